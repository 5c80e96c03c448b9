/* Time and randomness are arguments: the engine gets them as objects, so that tests and the simulation own them. */
#ifndef TK_BASE_CLOCK_H
#define TK_BASE_CLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds since the Unix epoch, UTC. */
typedef struct tk_clock {
  int64_t (*now_us)(void *context);
  void *context;
} tk_clock;
extern const tk_clock tk_clock_system;
static inline int64_t tk_clock_now_us(const tk_clock *clock) { return clock->now_us(clock->context); }
int64_t tk_monotonic_us(void);
int32_t tk_process_id(void);   /* getpid(2), asked once a process: a system call is much for what each request looks at */

/* xoshiro256**; seeded from the system or from a number. Not for secrets. */
typedef struct tk_rng { uint64_t state[4]; } tk_rng;
void tk_rng_seed(tk_rng *rng, uint64_t seed);
void tk_rng_seed_system(tk_rng *rng);              /* getrandom(2) */
uint64_t tk_rng_next(tk_rng *rng);
double tk_rng_unit(tk_rng *rng);                   /* [0, 1) with 53 bits */
void tk_random_bytes(void *out, size_t size);      /* getrandom(2); aborts if the system has none */

/* RFC 3339 in UTC with microseconds: "2026-11-23T08:00:00.123456Z". out holds at least 32 bytes; years 0000-9999. */
void tk_time_format(int64_t time_us, char out[32]);
/* Any RFC 3339 date-time (offset required, fraction of 1-9 digits optional, lower-case t/z accepted, leap second 60 read as
 * 59.999999). False if it is none. */
bool tk_time_parse(const char *text, size_t size, int64_t *time_us);

#endif
