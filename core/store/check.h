/* The check of a whole store, in one snapshot: shared by check.c (tables, log, references) and check_task.c (one task against its
 * indexes). Only for these. */
#ifndef TK_STORE_CHECK_H
#define TK_STORE_CHECK_H
#include "store/parts.h"

/* Claims of one step, in a chain. */
typedef struct tk_check_claim { struct tk_check_claim *next; uint32_t process, attempt; } tk_check_claim;

typedef struct tk_check {
  tk_snap *snap;
  void (*report)(void *context, const char *what);
  void (*progress)(void *context, uint64_t done, uint64_t total);
  void *context;
  int damages;
  uint64_t done, total;           /* records */
  tk_meta_record meta;
  tk_map graphs;                  /* definition number -> tk_graph, with queue_no resolved; owns */
  uint64_t *last_logs;            /* by task number: key of its last log record; meta.next_task entries */
  uint8_t *payloads;              /* by payload number: 1 it is there, 2 something refers to it; meta.next_payload entries */
  tk_map claims;                  /* tk_check_step_key -> tk_check_claim */
  tk_map sweeps;                  /* task number -> 1 + events in the inbox (as a pointer) */
  tk_map meters;                  /* hash -> what check_limit.c counts of a key */
  tk_arena arena;                 /* of the claims and meters */
  int64_t tasks_by_status[TK_TASK_STATUS_COUNT], steps_by_status[TK_STEP_STATUS_COUNT];
} tk_check;

/* A unique key of a step within the limits on tasks and steps. */
static inline uint64_t tk_check_step_key(uint64_t task_no, uint32_t step) { return task_no << 24 | (step & 0xFFFFFF); }

void tk_check_say(tk_check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Looks a record up; false when it is absent or the store cannot be read (which is said). */
bool tk_check_get(tk_check *c, tk_table table, tk_slice key, tk_slice *record);
/* A payload number that something refers to. */
void tk_check_refer(tk_check *c, uint64_t payload, uint64_t task_no);
const tk_graph *tk_check_graph(void *context, uint32_t definition);
/* A task's header against its steps, and both against ids, info, indexes, claims and the log. */
void tk_check_task(tk_check *c, tk_slice key, tk_slice record);
/* An entry of an index against the task it points to. */
void tk_check_ready_entry(tk_check *c, tk_slice key, tk_slice record);
void tk_check_compensation(tk_check *c, const tk_compensation *page);
void tk_check_approval(tk_check *c, const tk_approval *approval);
void tk_check_timer_entry(tk_check *c, tk_slice key, tk_slice record);
/* check_schedule.c */
void tk_check_schedule(tk_check *c, tk_slice key, tk_slice record);
void tk_check_schedule_name(tk_check *c, tk_slice key, tk_slice record);
void tk_check_schedule_timer(tk_check *c, const tk_timer *timer);
bool tk_check_has_schedule(tk_check *c, uint64_t no);

/* check_limit.c: records of limits; what a step with limits says of them; at the end, what was counted. */
void tk_check_limit(tk_check *c, tk_slice key, tk_slice record);
void tk_check_meter(tk_check *c, tk_slice key, tk_slice record);
void tk_check_waiter(tk_check *c, tk_slice key, tk_slice record);
void tk_check_limited_step(tk_check *c, const tk_task *task, uint32_t index, const tk_step *step);
/* A permit against its step. */
void tk_check_permit(tk_check *c, tk_slice key, tk_slice record);
/* What a request holds, which counts as running; a breaker. Before tk_check_meters. */
void tk_check_hold(tk_check *c, tk_slice key, tk_slice record);
void tk_check_breaker(tk_check *c, tk_slice key, tk_slice record);
void tk_check_meters(tk_check *c);

#endif
