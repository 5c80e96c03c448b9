/* What stands between a client and the service that it calls, as values: breakers, and the places of limits that a request holds while
 * it is under way. Pure.
 *
 * What is true between turns: a breaker that is half open has one probe, which holds it; a hold is of a process that has joined, and
 * ends with its request or with its process. */
#ifndef TK_MODEL_ADMISSION_H
#define TK_MODEL_ADMISSION_H
#include "model/limit.h"

typedef enum tk_breaker_state {   /* stored */
  TK_BREAKER_CLOSED = 0, TK_BREAKER_OPEN, TK_BREAKER_HALF_OPEN, TK_BREAKER_STATE_COUNT
} tk_breaker_state;
const char *tk_breaker_state_name(uint8_t state);   /* "half_open" */

typedef struct tk_breaker {
  uint32_t no;                   /* number of its name */
  tk_slice name;
  uint32_t most;                 /* failures in a row that open it, >= 1 */
  int64_t reset_us;              /* how long it stays open before one request may try */
  uint8_t state;
  uint32_t failures;             /* in a row, while it is closed; those that opened it, while it is not */
  uint32_t epoch;                /* rises with each change of state: what began before says nothing of it any more */
  int64_t since_us;              /* when it came to this state; 0: it was never open */
  int64_t until_us;              /* open: from then on one may try; half open: then its probe is taken for lost */
  tk_slice why;                  /* the last failure that counted, for people */
  bool there;                    /* false: no such breaker */
  bool dirty;
} tk_breaker;

typedef struct tk_hold_entry {
  uint32_t limit;                /* number of its name */
  tk_slice key;
} tk_hold_entry;

/* What one request holds: places of concurrency limits, a breaker of which it is the probe. */
typedef struct tk_hold {
  uint32_t process;
  uint64_t no;                   /* of the process's */
  uint32_t count;
  tk_hold_entry *entries;
  uint32_t breaker, epoch;       /* breaker 0: none */
  bool there, dirty;
  struct tk_hold *next;          /* the loader's */
} tk_hold;

typedef struct tk_admission_limit {
  uint32_t no;                   /* filled by the engine */
  tk_slice name, key;
  uint32_t cost;
} tk_admission_limit;

typedef enum tk_admission_outcome {
  TK_ADMITTED = 0,               /* at at_us, which may be to come */
  TK_ADMIT_LATER,                /* nothing was taken: ask again at at_us, or in a while (0) */
  TK_ADMIT_LIMITED,              /* not before at_us, which is too late */
  TK_ADMIT_BROKEN                /* the breaker is open, until at_us as far as is known */
} tk_admission_outcome;

typedef enum tk_verdict { TK_VERDICT_NONE = 0, TK_VERDICT_SUCCESS, TK_VERDICT_FAILURE } tk_verdict;

/* A question and its answer: lives in the request that asks. */
typedef struct tk_admission {
  tk_admission_limit *limits;
  uint32_t limit_count;
  tk_slice breaker;              /* empty: none */
  uint32_t breaker_no;           /* filled by the engine */
  uint32_t most;                 /* BREAKER: its rules */
  int64_t reset_us;
  int64_t latest_us;             /* ADMIT: when it must have started */
  int64_t lease_us;              /* ADMIT: how long a probe may take before it is taken for lost */
  uint8_t verdict;               /* SETTLE */
  tk_slice why;                  /* SETTLE of a failure */
  /* Answers of ADMIT, questions of SETTLE. */
  uint64_t hold;                 /* filled by the engine for ADMIT; afterwards 0: nothing is held */
  uint32_t epoch;                /* of the breaker */
  /* Answers. */
  uint8_t outcome;
  uint32_t which;                /* LATER, LIMITED: index of the limit */
  int64_t at_us, now_us;
} tk_admission;

/* Whether it lets a request pass now; *probes: as the one that tries. */
bool tk_breaker_lets(const tk_breaker *breaker, int64_t now_us, bool *probes);
void tk_breaker_probe(tk_breaker *breaker, int64_t now_us, int64_t lease_us);
/* What came of a request that it let pass in `epoch`; NONE: nobody knows. False: nothing changed. */
bool tk_breaker_settle(tk_breaker *breaker, uint32_t epoch, uint8_t verdict, tk_slice why, int64_t now_us);

#endif
