/* The heart: what follows from an event. Pure functions of values: the aggregate, the event, the time, a random source; what
 * follows is the changed aggregate, the changes to write, and the step to interrupt. No I/O, no clock, no globals. The same
 * function runs under the engine, in the simulation and in tests. */
#ifndef TK_MODEL_DECIDE_H
#define TK_MODEL_DECIDE_H
#include "model/admission.h"
#include "model/schedule.h"

typedef struct tk_decide {
  tk_changes *changes;
  int64_t now_us;
  tk_rng *rng;
  uint32_t process;               /* number of the process that takes the turn (owner of new claims) */
  tk_slice audit;                 /* of the operation that is decided: children get it too. Set by tk_decide_event */
  const tk_limit_source *limits;
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

enum {                           /* what a claim came to */
  TK_CLAIM_RUN, TK_CLAIM_ASK,
  TK_CLAIM_BEGUN,                 /* it needs no worker: it waits for the child it has */
  TK_CLAIM_NOT,
  TK_CLAIM_MORE = 8               /* a bit beside these: the entry of a map, which has more to start */
};
/* Starts a ready step for d->process: step.started, attempt + 1; or an ask; or TK_CLAIM_NOT when it may not start now (paused, at
 * max_parallel, no longer ready): it is then held or dropped. `indexed`: the entry is in the index and must be taken out. The
 * entry of a map starts its next element: ready->step is changed to that, and with TK_CLAIM_MORE the entry stays. */
int tk_decide_claim(tk_decide *d, tk_task *task, tk_ready *ready, bool indexed);

/* Applies `event` to a schedule: the occurrences that become tasks now are added to `fires`, and are counted as open already. A PUT
 * of a new one gets a zeroed schedule with its number. The recurrence is that of the spec, for a PUT of the new one. 0, or
 * TK_E_CONFLICT, TK_E_INVALID, TK_E_REFUSED (nothing was changed). */
int tk_decide_schedule(tk_decide *d, tk_schedule *schedule, const tk_event *event, const tk_recurrence *recurrence, tk_fires *fires,
                       tk_err *err);
/* The context of an occurrence that was asked for is there: it becomes a task. */
void tk_decide_schedule_answered(tk_decide *d, tk_schedule *schedule, const tk_fire *occurrence, tk_fires *fires);
/* An occurrence does not become a task after all. */
void tk_decide_schedule_skip(tk_decide *d, tk_schedule *schedule, int64_t scheduled_us, const char *reason);
/* A step that its limits would let start was not claimed, or may not start now: it gives its places to others and asks again when
 * it is claimed. */
void tk_decide_lapse(tk_decide *d, tk_task *task, uint32_t index);
/* Declares a limit or sets rules at run time; no is the number of its name. TK_E_NOT_FOUND, or TK_E_INVALID when the rules
 * allow nothing. */
int tk_decide_limit(tk_decide *d, uint32_t no, const tk_limit_change *change, tk_err *err);
/* A request of a client asks to pass its limits and breaker, or has ended; a breaker gets its rules (event->admission). 0,
 * TK_E_NOT_FOUND for a limit that is not declared, TK_E_INVALID. */
int tk_decide_admission(tk_decide *d, const tk_event *event, tk_err *err);
/* What held it is gone. */
void tk_decide_release_hold(tk_decide *d, tk_hold *hold);
/* Last in a turn: those who wait for what this turn made free are called. */
void tk_decide_call_waiters(tk_decide *d);

#endif
