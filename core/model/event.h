/* Events in: everything that can happen to a task, as values. Made by clients, workers, timers, recovery and decide itself (to
 * the durable inbox). Pure data; slices are borrowed until the event was answered. */
#ifndef TK_MODEL_EVENT_H
#define TK_MODEL_EVENT_H
#include "model/limit.h"
#include "model/task.h"

typedef enum tk_event_type { /* stored in the inbox: never renumber */
                             TK_EV_NONE = 0,
                             /* From clients. */
                             TK_EV_SUBMIT = 1,
                             TK_EV_CANCEL,
                             TK_EV_PAUSE,
                             TK_EV_RESUME,
                             TK_EV_RETRY,
                             TK_EV_RESOLVE,  /* step == TK_NO_STEP: the whole task */
                             TK_EV_ANNOTATE, /* name, data: a JSON value */
                             /* From workers; `attempt` is the fence. */
                             TK_EV_STEP_DONE,     /* data: results JSON */
                             TK_EV_STEP_FAILED,   /* data: error JSON; retryable, delay_us, code */
                             TK_EV_STEP_SNOOZED,  /* delay_us */
                             TK_EV_STEP_RELEASED, /* given back unfinished (SIGTERM) */
                             TK_EV_STEP_LOST,     /* its process died */
                             TK_EV_HEARTBEAT,     /* data: progress JSON */
                             TK_EV_STEP_LOG,      /* data: {"level","message","fields"} */
                             TK_EV_ASK_DONE,   /* data: inputs JSON, or empty; ask_skip: `when` said no; cursor: case of a switch;
                                                  name: its name, or the plan of an approval;
                                                  due_us: end of a sleep; of a map name: its list, TK_MAP_PAGE elements a line (each
                                                  an array), cursor: how many */
                             TK_EV_ASK_FAILED, /* data: error JSON: the step is in error */
                             /* From the store. */
                             TK_EV_TIMER,  /* timer_kind, due_us */
                             TK_EV_SWEEP,  /* sweep, step, cursor: go on with what was too much for one turn */
                             TK_EV_SIGNAL, /* from clients: name, data: payload JSON */
                             /* From workers: what retry.decide made of the attempt's failure, which stands in `failure`. */
                             TK_EV_STEP_SKIPPED,
                             TK_EV_STEP_PARKED, /* it waits for a person */
                             TK_EV_VOTE,        /* from clients: vote */
                             TK_EV_MIGRATE,     /* from clients: migration */
                             /* From one task to another, by the inbox. */
                             TK_EV_SPAWN,       /* to the parent: make its step's child; cursor: definition. load fills submission */
                             TK_EV_CHILD_ENDED, /* to the parent: child, cursor: its status. load fills data (results JSON, or empty
                                                   when too large) and failure (error JSON) */
                             TK_EV_CHILD_RETRY, /* to the child: its parent's step waits again, in `attempt` */
                             /* To schedules: task_no is the schedule's number, or 0 and `name` its name. */
                             TK_EV_SCHEDULE_PUT,    /* schedule; cursor: TK_SCHEDULE_PUT_* */
                             TK_EV_SCHEDULE_PAUSE,
                             TK_EV_SCHEDULE_RESUME,
                             TK_EV_SCHEDULE_TRIGGER,  /* data: the context, or empty */
                             TK_EV_SCHEDULE_BACKFILL, /* occurrences in [due_us, until_us) */
                             TK_EV_SCHEDULE_DELETE,
                             TK_EV_SCHEDULE_ENDED,    /* a task of it is final: child; cursor: its status */
                             TK_EV_SCHEDULE_REOPENED, /* it is not any more */
                             TK_EV_SCHEDULE_GO_ON,    /* with what was too much for one turn */
                             TK_EV_LIMIT_WAKE, /* from a limit to a step that waits for it: try at due_us */
                             TK_EV_LIMIT,      /* from clients, to no task: `limit` is declared or set */
                             TK_EV_STEP_COST,  /* from workers: the limit `cursor` of the step costs delay_us units more than charged */
                             TK_EV_ADMIT,      /* from clients, to no task: `admission` asks */
                             TK_EV_SETTLE,     /* from clients, to no task: what came of it */
                             TK_EV_BREAKER,    /* from clients, to no task: `admission` has the rules of a breaker */
                             TK_EV_WAKE,       /* from turns to the reader of the log: ready, or to look once more */
                             TK_EV_TYPE_COUNT
} tk_event_type;

typedef enum tk_timer_kind {      /* stored */
  TK_TIMER_NONE = 0, TK_TIMER_RUN_AT, TK_TIMER_TASK_TIMEOUT, TK_TIMER_RETRY, TK_TIMER_SNOOZE,
  TK_TIMER_SLEEP, TK_TIMER_SIGNAL,  /* a sleep ends; a signal did not come in time */
  TK_TIMER_APPROVAL,              /* the next escalation of an approval, or its deadline */
  TK_TIMER_CHILD,                 /* a child did not end in time */
  TK_TIMER_SCHEDULE,              /* an occurrence of a schedule */
  TK_TIMER_LIMIT,                 /* a step's slot in its limits */
  TK_TIMER_AFTER                  /* the limit of a machine's state: a sleep beside it, that nobody waits for */
} tk_timer_kind;

typedef enum tk_sweep_kind {      /* stored */
  TK_SWEEP_ROOTS = 1,             /* make the steps without dependencies ready, from `cursor` (a step index) on */
  TK_SWEEP_RELEASE,               /* step is done: release its dependents, from outs[cursor] on */
  TK_SWEEP_CANCEL,                /* cancel what is not final; data: the audit of the cancel */
  TK_SWEEP_RETRY,                 /* fresh attempts for what failed */
  TK_SWEEP_HELD,                  /* put held steps into the ready index while the task may start more */
  TK_SWEEP_STOP_ELEMENTS,         /* cancel the elements of a map (step) that do not run, from number `cursor` on */
  TK_SWEEP_RENEW_ELEMENTS,        /* fresh attempts for the elements of a map that failed, from number `cursor` on */
  TK_SWEEP_BEGIN,                 /* begin pending steps whose dependencies have spoken, from `cursor` (a step index) on */
  TK_SWEEP_PAUSE, TK_SWEEP_RESUME /* tell the children, from the step `cursor` on; data: the audit for them */
} tk_sweep_kind;

/* What the end of a step means to its dependents. */
typedef enum tk_dependency_end {   /* stored */
  TK_DEP_DONE = 0,                /* done, or counts as done */
  TK_DEP_SKIPPED,                 /* skipped */
  TK_DEP_NOT_TAKEN,               /* a switch that did not choose the dependent: it is skipped, whatever its other dependencies say */
  TK_DEP_FAILED,                  /* in error or cancelled */
  TK_DEP_RECOVERED = 8            /* a bit beside the others: they were told that it failed, which is no longer so */
} tk_dependency_end;

typedef struct tk_event {
  uint8_t type;
  uint8_t timer_kind, sweep;
  bool retryable;
  bool ask_skip;
  uint64_t task_no;               /* 0: by task_id */
  tk_id task_id;
  uint32_t step;                  /* index; TK_NO_STEP: the task, or by step_name */
  tk_slice step_name;             /* when clients name it; the engine resolves it */
  uint32_t attempt;
  uint32_t definition;            /* of outcomes: by which the attempt ran; 0: not said */
  uint32_t cursor;
  uint64_t child;                 /* CHILD_ENDED: its task number */
  uint8_t end;                    /* SWEEP_RELEASE: tk_dependency_end; CHILD_ENDED: 1 when its steps were compensated */
  uint32_t branch;                /* SWEEP_RELEASE of a switch: the case taken; STEP_DONE of a state: index of the next;
                                     SWEEP_CANCEL: the status that the task got for it */
  int64_t delay_us;               /* STEP_FAILED: before the next attempt, -1: the built-in policy; SNOOZED: the pause */
  int64_t due_us;                 /* TIMER; ASK_DONE of a sleep */
  tk_slice name;                  /* ANNOTATE, SIGNAL; ASK_DONE of a switch or a map */
  tk_slice data;                  /* JSON by type, as above; RESOLVE: results */
  tk_slice audit;                 /* a JSON object {"reason":..., "by":...} for operations; empty: none */
  tk_slice failure;               /* STEP_DONE, STEP_SKIPPED, STEP_PARKED that were decided upon a failure: its error JSON, counted
                                     and logged first; `audit` is then the data of what is logged next. CHILD_ENDED. Never in the
                                     inbox */
  tk_slice keys;                  /* ASK_DONE: of the step's limits, in their order, each with its size (varint) before it */
  int64_t until_us;               /* SCHEDULE_BACKFILL */
  const struct tk_submission *submission;   /* SUBMIT, SPAWN */
  const struct tk_vote *vote;     /* VOTE */
  const struct tk_migration *migration;     /* MIGRATE */
  const struct tk_schedule_spec *schedule;  /* SCHEDULE_PUT */
  const struct tk_limit_change *limit;      /* LIMIT */
  struct tk_admission *admission;           /* ADMIT, which fills in the answer; SETTLE, BREAKER. None of these six in the inbox */
} tk_event;
static inline bool tk_event_of_schedule(const tk_event *event) {
  return (event->type >= TK_EV_SCHEDULE_PUT && event->type <= TK_EV_SCHEDULE_GO_ON) ||
         (event->type == TK_EV_TIMER && event->timer_kind == TK_TIMER_SCHEDULE);
}

typedef struct tk_rename { tk_slice from, to; } tk_rename;   /* of a step; `to` empty: it goes, with what came of it */
/* To another definition of the same handler. */
typedef struct tk_migration {
  uint32_t definition;
  const tk_graph *graph;          /* filled by the engine */
  tk_slice from;                  /* the version that the task must be of */
  const tk_rename *renames;       /* other steps keep their names */
  size_t rename_count;
  tk_slice context;               /* a JSON object; empty: as it is */
  bool dry;                       /* only whether it can be */
} tk_migration;

/* A limit is declared by a file, or some of its rules are set at run time. */
typedef struct tk_limit_change {
  tk_slice name;
  bool declared;                  /* by a file: all rules; nothing changes when the file says what it said before */
  bool sets_rate, sets_per, sets_burst, sets_concurrency;
  tk_limit_rules rules;
} tk_limit_change;

typedef enum tk_identity_conflict { TK_IDENTITY_RETURN = 0, TK_IDENTITY_REJECT } tk_identity_conflict;

typedef struct tk_submission {
  uint32_t definition;            /* definition number, as looked up by the client */
  const tk_graph *graph;          /* filled by the engine */
  tk_task_info info;              /* info.id is made by the engine */
  int32_t priority;
  tk_slice queue;
  bool has_identity;              /* identity_key or a strategy that is not guid */
  uint8_t identity[32];           /* SHA-256 */
  int64_t identity_window_us;     /* 0: as long as the first task is kept */
  uint8_t identity_conflict;
  const uint32_t *bypass;         /* step indexes, skippable ones only (checked by the client and again by decide) */
  uint32_t bypass_count;
  tk_slice annotations;           /* records: (varint-sized name, varint-sized JSON)*; empty: none */
  uint64_t schedule;              /* number of the schedule that makes it; 0: none */
} tk_submission;

#endif
