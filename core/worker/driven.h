/* A worker run by hand, for tests with a clock of their own: no thread, no waiting. Who drives it takes turns of its manual engine, lets
 * its steps run one by one, and moves the clock.
 *
 * Thread: one, which makes all calls, never inside a step of any worker. */
#ifndef TK_WORKER_DRIVEN_H
#define TK_WORKER_DRIVEN_H
#include "worker/worker.h"

typedef struct tk_driven tk_driven;

/* Moves `code` (its references stay the caller's to give back after close or drop). */
int tk_driven_open(lua_State *L, tk_engine *engine, const tk_worker_code *code, uint32_t concurrency, const tk_clock *clock,
                   tk_driven **out, tk_err *err);
void tk_driven_serve(tk_driven *driven, const char *const *queues, size_t queue_count, const uint32_t *definitions, size_t count);
/* Fires due timers, takes what the engine sent: how many steps could run now. */
size_t tk_driven_runnable(tk_driven *driven);
const tk_run_message *tk_driven_peek(const tk_driven *driven, size_t at);   /* what tk_driven_run would run */
/* Lets the step at `at` (below tk_driven_runnable) run until it waits or ends. */
void tk_driven_run(tk_driven *driven, lua_State *L, size_t at);
/* Hands the engine what was posted so far; its next turn takes it. False: there was nothing. */
bool tk_driven_flush(tk_driven *driven);
/* Where steps wait for the network or a program: until one of them has moved, in real time. False: none does. */
bool tk_driven_wait(tk_driven *driven);
/* All of it until nothing can move before the clock does: 0, or the store's failure. */
int tk_driven_settle(tk_driven *driven, lua_State *L, tk_err *err);
/* When the first step that sleeps goes on; `limits`: or is over its time. INT64_MAX: none. */
int64_t tk_driven_next_us(const tk_driven *driven, bool limits);
size_t tk_driven_active(const tk_driven *driven);     /* steps that run or wait in here */
/* Ends what is left and gives it back. */
void tk_driven_close(tk_driven *driven, lua_State *L);
/* Gone as by kill -9: no code runs, nothing is given back. `crashed`: so is the engine (tk_engine_crash). */
void tk_driven_drop(tk_driven *driven, lua_State *L, bool crashed);

#endif
