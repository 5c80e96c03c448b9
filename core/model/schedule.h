/* A schedule: what makes tasks by the clock, and how far it is. The aggregate lives in the arena of one turn, as a task's does.
 * A schedule has a number of the same series as tasks, so that timers, inbox and log tell them apart by number alone. Pure data;
 * decide_schedule.c says what follows from an event. */
#ifndef TK_MODEL_SCHEDULE_H
#define TK_MODEL_SCHEDULE_H
#include "model/changes.h"
#include "model/recurrence.h"

enum { /* what becomes of an occurrence while a task of the schedule is open; stored */
       TK_SCHEDULE_SKIP = 0,
       TK_SCHEDULE_BUFFER_ONE,
       TK_SCHEDULE_BUFFER_ALL,
       TK_SCHEDULE_CANCEL_OTHER,
       TK_SCHEDULE_ALLOW,
       TK_SCHEDULE_OVERLAP_COUNT
};

enum { /* texts of a spec; stored in this order */
       TK_SCHEDULE_NAME,
       TK_SCHEDULE_NS,
       TK_SCHEDULE_HANDLER,
       TK_SCHEDULE_VERSION,  /* empty: the highest there is when an occurrence comes */
       TK_SCHEDULE_RULE,     /* of cron and rrule */
       TK_SCHEDULE_ZONE,
       TK_SCHEDULE_CONTEXT,  /* a JSON object; empty where it is asked for */
       TK_SCHEDULE_QUEUE,    /* empty: the handler's; so with the next */
       TK_SCHEDULE_TAGS,     /* a JSON array of strings; empty: none */
       TK_SCHEDULE_INITIATOR,
       TK_SCHEDULE_SOURCE_SYSTEM,
       TK_SCHEDULE_REASON,
       TK_SCHEDULE_DEFINED_BY,   /* namespace/name@version of the handler whose file made it; empty: made by a call */
       TK_SCHEDULE_TEXT_COUNT
};

/* What was asked for. */
typedef struct tk_schedule_spec {
  tk_slice texts[TK_SCHEDULE_TEXT_COUNT];
  uint8_t kind;                   /* TK_RECUR_* */
  uint8_t overlap;
  tk_dst dst;
  bool has_priority;
  int32_t priority;
  uint32_t ask;                   /* definition that answers with the context of an occurrence; 0: the context is fixed */
  int64_t at_us, every_us;
  int64_t catch_up_us, jitter_us;
  int64_t starts_us, ends_us;     /* 0: none */
  uint64_t count;                 /* occurrences at most; 0: no limit */
} tk_schedule_spec;

/* Occurrences in [next_us, to_us) that somebody wants made. */
typedef struct tk_backfill { int64_t next_us, to_us, previous_us; } tk_backfill;

typedef struct tk_schedule {
  uint64_t no;
  tk_schedule_spec spec;
  bool paused;
  int64_t created_at_us, updated_at_us;
  int64_t phase_us;               /* where `every` counts from, and a rule without DTSTART starts */
  int64_t next_us;                /* planned time of the next occurrence; 0: there is none */
  int64_t due_us;                 /* its timer: that time and its jitter; 0: no timer (paused, or no next) */
  int64_t last_us;                /* planned time of the last occurrence that the clock made a task of; 0: none */
  uint64_t last_task;             /* the newest task made by it */
  uint64_t made, skipped;         /* tasks made; occurrences that did not become one */
  uint64_t taken;                 /* by the clock, made or buffered: what `count` counts */
  uint64_t open;                  /* tasks of it that are not final */
  TK_LIST(uint64_t) open_tasks;   /* their numbers; the first TK_LIMIT_SCHEDULE_OPEN of them */
  TK_LIST(int64_t) buffered;      /* planned times of occurrences that wait for a task to end, in order */
  TK_LIST(tk_backfill) backfills; /* in order of arrival; the first is under way */
  uint64_t last_log;

  /* Not stored. */
  bool created, dirty, deleted;   /* in this turn */
  tk_log_entry *log_head, *log_tail;
  uint32_t log_count;
} tk_schedule;

/* An occurrence that becomes a task in this turn. */
typedef struct tk_fire {
  uint64_t task_no;               /* for the task to be made */
  int64_t scheduled_us, previous_us;   /* previous_us 0: none */
  int64_t late_us;
  tk_slice context;               /* empty: the spec's, or asked for */
  bool manual;                    /* a person wanted it now */
} tk_fire;
typedef struct tk_fires { TK_LIST(tk_fire) list; } tk_fires;

/* The recurrence of a spec that was parsed into the arena. `zone_bytes`: TZif of its zone. TK_E_INVALID. */
int tk_schedule_recurrence(const tk_schedule_spec *spec, int64_t phase_us, tk_slice zone_bytes, tk_arena *arena, tk_recurrence *out,
                           tk_err *err);
/* Whether two specs say the same; by_time: as far as the times of their occurrences go. */
bool tk_schedule_spec_same(const tk_schedule_spec *a, const tk_schedule_spec *b, bool by_time);
/* How much later than planned the occurrence at `planned_us` fires: always the same, below the spec's jitter, and before the next
 * one is planned. */
int64_t tk_schedule_jitter(const tk_schedule *schedule, const tk_recurrence *recurrence, int64_t planned_us);
/* As the recurrence of a backfill: an interval that has no start goes back beyond the schedule's creation. */
tk_recurrence tk_schedule_backwards(const tk_schedule *schedule, const tk_recurrence *recurrence, int64_t from_us);

enum { TK_SCHEDULE_PUT_REPLACE = 1, TK_SCHEDULE_PUT_PAUSED = 2 };   /* event.cursor of TK_EV_SCHEDULE_PUT */

#endif
