/* What is left to undo of a task that failed or was cancelled: the steps in the order in which they ended, by pages, so that each
 * compensation reads and writes one. The pages are rows of the store while compensations run; page 0, the last to be worked off,
 * also knows how the task ends. Pure data. */
#ifndef TK_MODEL_COMPENSATION_H
#define TK_MODEL_COMPENSATION_H
#include "base/buf.h"

#define TK_COMPENSATION_PAGE 256  /* steps in one page */

typedef enum tk_compensating {    /* stored in the task's header */
  TK_COMPENSATION_NONE = 0,
  TK_COMPENSATION_RUNS,           /* `compensations` of them are left; the task's last event comes after them */
  TK_COMPENSATION_OVER,           /* all that was to be undone was tried: the task cannot be retried */
  TK_COMPENSATION_DUE,            /* its steps are being ended, in more than one turn; then it is seen what is to be undone */
  TK_COMPENSATION_STATE_COUNT
} tk_compensating;
/* The task's end is not told yet: something of it is being undone, or may have to be. */
static inline bool tk_compensation_is_open(uint8_t state) { return state == TK_COMPENSATION_RUNS || state == TK_COMPENSATION_DUE; }

typedef struct tk_compensation tk_compensation;
struct tk_compensation {
  uint64_t task_no;
  uint32_t page;
  uint32_t *steps, count;         /* indexes of the graph's steps, the one that ended first in front */
  uint64_t error;                 /* of page 0: payload of the failure that the task ends with; 0: none */
  tk_slice audit;                 /* of page 0: who cancelled the task and why */
  tk_compensation *next;          /* not stored: of the same task, in this turn */
};

#endif
