/* A thread's event loop: timers and a wake-up from other threads over one libuv loop. Idle, it sleeps in the kernel
 * without waking. Thread: one owner; tk_loop_wake is for any thread and for signal handlers. */
#ifndef TK_NET_LOOP_H
#define TK_NET_LOOP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

typedef struct tk_loop tk_loop;

/* Embedded where it is needed; zero-initialise. `fire` is called once, by tk_loop_turn, when due_us (monotonic) has come. */
typedef struct tk_loop_timer {
  int64_t due_us;
  size_t place;                                  /* 1-based place in the heap; 0: not set */
  void (*fire)(struct tk_loop_timer *timer);
} tk_loop_timer;

/* `woken` is called by tk_loop_turn after one or several tk_loop_wake. */
int tk_loop_open(void (*woken)(void *context), void *context, tk_loop **out, tk_err *err);
void tk_loop_close(tk_loop *loop);               /* no timer is set any more */
void tk_loop_wake(tk_loop *loop);
/* Timers go by this clock, which somebody moves by hand, instead of the monotonic one; tk_loop_fire fires them. Borrowed. */
void tk_loop_use_clock(tk_loop *loop, const tk_clock *clock);
void tk_loop_fire(tk_loop *loop);
int64_t tk_loop_next_us(const tk_loop *loop);    /* of the first timer; INT64_MAX: none is set */
void tk_loop_set(tk_loop *loop, tk_loop_timer *timer, int64_t due_us);   /* sets it, or moves it */
void tk_loop_unset(tk_loop *loop, tk_loop_timer *timer);
/* The libuv loop below, for what else of net/ lives on it; what it adds must be closed before tk_loop_close. */
struct uv_loop_s *tk_loop_uv(tk_loop *loop);
/* Serves what is there: wake-ups, due timers. `block`: sleeps until there is something. */
void tk_loop_turn(tk_loop *loop, bool block);

#endif
