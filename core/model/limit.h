/* Limits in front of steps, as values: what a limit allows, how much of it each key has used, and who waits. Rates are GCRA
 * (generic cell rate algorithm): one time a key, `tat_ns`, at which all that was started is paid off. Pure.
 *
 * What is true between turns: a meter's `holders` are the steps in progress that name it; its `waiting` are its waiters, whose costs
 * are queued - done together; a waiter has a permit, whose entry says `waits`, and its step waits for rate_limit. */
#ifndef TK_MODEL_LIMIT_H
#define TK_MODEL_LIMIT_H
#include "base/arena.h"
#include "bounds.h"

typedef struct tk_limit_rules {
  double rate, per;              /* `rate` units every `per` seconds; rate 0: none */
  uint32_t burst;                /* units at once, >= 1 */
  uint32_t concurrency;          /* steps at once; 0: no limit */
} tk_limit_rules;

/* A declared limit. */
typedef struct tk_limit {
  uint32_t no;                   /* number of its name */
  tk_slice name;
  tk_limit_rules rules;          /* what holds now */
  tk_limit_rules declared;       /* what a file said last: rules set at run time outlive its being loaded again */
  int64_t unit_ns;               /* derived: what one unit takes */
  bool there;                    /* false: no such limit */
  bool dirty;
} tk_limit;

typedef struct tk_waiter tk_waiter;

/* What one key of a limit has used; idle ones are not stored. */
typedef struct tk_meter {
  const tk_limit *limit;
  uint8_t hash[16];              /* of the key; zeroes: the limit has no key */
  tk_slice key;
  int64_t tat_ns;                /* since epoch: when what was started is paid off */
  int64_t unit_ns;               /* what one unit took when tat_ns was written */
  uint64_t queued, done;         /* units: of all waiters so far, and of those that no longer wait; 0 when nobody waits */
  uint32_t holders;              /* steps in progress */
  uint32_t waiting;              /* waiters */
  bool there;                    /* it is stored */
  bool dirty;
  tk_waiter *touched;            /* its waiters that this turn changed */
  struct tk_meter *next;         /* the loader's */
} tk_meter;

/* A place in a key's queue: the order is since_us, task, step. */
struct tk_waiter {
  tk_meter *meter;
  int64_t since_us;              /* when its step was first made to wait */
  uint64_t task_no;
  uint32_t step;
  uint32_t cost;
  uint64_t position;             /* the meter's `queued` when it came */
  int64_t slot_us;               /* when its step's timer comes; 0: none, it is woken when there is room */
  bool woken;                    /* an event in the inbox tells its step to try */
  bool elsewhere;                /* its step waits for another limit at the moment: it only keeps its place */
  bool there;                    /* false: it is to be deleted */
  bool dirty;
  tk_waiter *next, *next_touched;   /* the loader's; the meter's */
};

typedef struct tk_permit_entry {
  tk_slice key;                  /* as the ask told it; empty: the limit has none */
  bool waits;                    /* it has a waiter there */
} tk_permit_entry;

/* What a step needs to remember of its limits: their keys, and where it waits. Stored only for steps that have keys or wait
 * (TK_STEP_F_PERMIT). */
typedef struct tk_permit {
  uint64_t task_no;
  uint32_t step;
  int64_t since_us;              /* when it was first made to wait; 0: it does not */
  uint32_t count;                /* of its graph step's limits, in their order; 0: not made yet */
  tk_permit_entry *entries;
  bool there, dirty;
  struct tk_permit *next;        /* the loader's */
} tk_permit;

/* Where a turn finds these, each once, the same object every time; what is missing comes as zeroes. Nothing is NULL, except
 * next_waiter at the end of the queue. */
typedef struct tk_limit_source {
  void *context;
  tk_limit *(*limit)(void *context, uint32_t no);
  tk_meter *(*meter)(void *context, const tk_limit *limit, tk_slice key);
  tk_permit *(*permit)(void *context, uint64_t task_no, uint32_t step, bool stored);
  tk_waiter *(*waiter)(void *context, tk_meter *meter, int64_t since_us, uint64_t task_no, uint32_t step);
  /* The first waiter behind `after` (NULL: of all) in the queue, with what this turn changed. */
  tk_waiter *(*next_waiter)(void *context, tk_meter *meter, const tk_waiter *after);
  /* Meters of a limit that have waiters, at most `max` of them. */
  size_t (*waited)(void *context, const tk_limit *limit, tk_meter **out, size_t max);
  struct tk_breaker *(*breaker)(void *context, uint32_t no);
  struct tk_hold *(*hold)(void *context, uint32_t process, uint64_t no);
} tk_limit_source;

#define TK_NEVER INT64_MAX

/* What `units` take; 0 without a rate. */
int64_t tk_limit_ns(const tk_limit_rules *rules, uint64_t units);
bool tk_limit_same(const tk_limit_rules *a, const tk_limit_rules *b);
void tk_limit_hash(tk_slice key, uint8_t out[16]);
/* Fits a meter that was read to rules that have changed since it was written. */
void tk_meter_fit(tk_meter *meter, int64_t now_ns);
/* The earliest time, in nanoseconds, at which a step of that cost may start, as far as is known; TK_NEVER: when somebody makes room.
 * waiter: its own there, or NULL; waited: it waits here or elsewhere, so that it need not let others go first. */
int64_t tk_meter_slot(const tk_meter *meter, const tk_waiter *waiter, bool waited, uint32_t cost, int64_t now_ns);
void tk_meter_take(tk_meter *meter, uint32_t cost, int64_t now_ns);
/* The same for what is not counted as running. */
void tk_meter_spend(tk_meter *meter, uint32_t cost, int64_t now_ns);
/* The cost of what was taken was `by` units more (or less). */
void tk_meter_correct(tk_meter *meter, int64_t by, int64_t now_ns);
/* Nothing to remember: a meter that is not there says the same. */
bool tk_meter_idle(const tk_meter *meter, int64_t now_ns);

#endif
