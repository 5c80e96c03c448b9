/* The life cycles of tasks and steps: every status, and the one table of legal transitions. decide asserts against it;
 * `tasker-lua help states` prints it; docs draw it; the suite fails when a row is not taken by any test. Pure. */
#ifndef TK_MODEL_STATES_H
#define TK_MODEL_STATES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tk_task_status {   /* stored: never renumber */
  TK_TASK_PENDING = 0, TK_TASK_IN_PROGRESS, TK_TASK_COMPLETE, TK_TASK_ERROR, TK_TASK_CANCELLED, TK_TASK_RESOLVED, TK_TASK_PAUSED,
  TK_TASK_STATUS_COUNT
} tk_task_status;

typedef enum tk_step_status {   /* stored: never renumber; 0 must stay "pending": an untouched step costs nothing */
  TK_STEP_PENDING = 0, TK_STEP_READY, TK_STEP_IN_PROGRESS, TK_STEP_WAITING, TK_STEP_COMPLETE, TK_STEP_ERROR, TK_STEP_CANCELLED,
  TK_STEP_SKIPPED, TK_STEP_RESOLVED,
  TK_STEP_STATUS_COUNT
} tk_step_status;

typedef enum tk_waiting_for {   /* stored */
  TK_WAIT_NONE = 0, TK_WAIT_RETRY, TK_WAIT_TIMER, TK_WAIT_SIGNAL, TK_WAIT_APPROVAL, TK_WAIT_CHILD, TK_WAIT_RATE_LIMIT, TK_WAIT_PERSON,
  TK_WAIT_COUNT
} tk_waiting_for;

typedef struct tk_transition {
  uint8_t from, to;
  const char *on;      /* what causes it, for people: "its first step starts" */
} tk_transition;

extern const tk_transition tk_task_transitions[];
extern const size_t tk_task_transition_count;
extern const tk_transition tk_step_transitions[];
extern const size_t tk_step_transition_count;

const char *tk_task_status_name(uint8_t status);   /* "in_progress", ...; NULL out of range */
const char *tk_step_status_name(uint8_t status);
const char *tk_waiting_for_name(uint8_t waiting_for);
int tk_task_status_parse(const char *text, size_t size);   /* the status, or -1 */
bool tk_task_may(uint8_t from, uint8_t to);
bool tk_step_may(uint8_t from, uint8_t to);
static inline bool tk_task_final(uint8_t s) {   /* error is an end too, but may be retried or resolved */
  return s == TK_TASK_COMPLETE || s == TK_TASK_ERROR || s == TK_TASK_CANCELLED || s == TK_TASK_RESOLVED;
}
static inline bool tk_step_final(uint8_t s) { return s >= TK_STEP_COMPLETE; }
static inline bool tk_step_active(uint8_t s) { return s == TK_STEP_READY || s == TK_STEP_IN_PROGRESS || s == TK_STEP_WAITING; }

#endif
