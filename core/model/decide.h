/* The heart: what follows from an event. Pure functions of values: the aggregate, the event, the time, a random source; what
 * follows is the changed aggregate, the changes to write, and the step to interrupt. No I/O, no clock, no globals. The same
 * function runs under the engine, in the simulation and in tests. */
#ifndef TK_MODEL_DECIDE_H
#define TK_MODEL_DECIDE_H
#include "model/changes.h"

typedef struct tk_decide {
  tk_changes *changes;
  int64_t now_us;
  tk_rng *rng;
  uint32_t process;               /* number of the process that takes the turn (owner of new claims) */
  tk_slice audit;                 /* of the operation that is decided: children get it too. Set by tk_decide_event */
} tk_decide;

/* Applies `event` to `task`. 0; or for clients' operations TK_E_REFUSED / TK_E_INVALID with the reason (nothing was changed).
 * Events from workers that are fenced (wrong attempt, final step) change nothing: *fenced is set (may be NULL). */
int tk_decide_event(tk_decide *d, tk_task *task, const tk_event *event, bool *fenced, tk_err *err);

/* Whether the definition allows what the submission asks (submission->graph is set): TK_E_INVALID names the step that cannot be
 * bypassed. */
int tk_decide_check_submission(const tk_submission *submission, tk_err *err);
/* Makes a task out of a submission. `task` is zeroed memory with chunks prepared (tk_task_prepare) by the caller; no is set. */
int tk_decide_submit(tk_decide *d, tk_task *task, const tk_submission *submission, tk_err *err);

/* Children. A SPAWN that is still wanted: its step waits for a child that was not made. */
bool tk_decide_wants_child(const tk_task *task, const tk_event *event);
/* It is made: `child` has its number and id, and gets its place in the tree here; tk_decide_submit follows. */
void tk_decide_child_made(tk_decide *d, tk_task *task, const tk_event *event, tk_task *child);
/* It cannot be made: the step is in error with that error JSON. */
void tk_decide_child_refused(tk_decide *d, tk_task *task, const tk_event *event, tk_slice error);

typedef enum tk_claim_result { TK_CLAIM_RUN, TK_CLAIM_RUN_MORE, TK_CLAIM_ASK, TK_CLAIM_NOT } tk_claim_result;
/* Starts a ready step for d->process: step.started, attempt + 1; or an ask; or TK_CLAIM_NOT when it may not start now (paused, at
 * max_parallel, no longer ready): it is then held or dropped. `indexed`: the entry is in the index and must be taken out. The
 * entry of a map starts its next element: ready->step is changed to that, and with TK_CLAIM_RUN_MORE the entry stays. */
tk_claim_result tk_decide_claim(tk_decide *d, tk_task *task, tk_ready *ready, bool indexed);

#endif
