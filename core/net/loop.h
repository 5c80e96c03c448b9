/* A thread's event loop: timers and a wake-up from other threads over one libuv loop. Idle, it sleeps in the kernel
 * without waking. Thread: one owner; tk_loop_wake is for any thread and for signal handlers. */
#ifndef TK_NET_LOOP_H
#define TK_NET_LOOP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/timers.h"

typedef struct tk_loop tk_loop;

/* `woken` is called by tk_loop_turn after one or several tk_loop_wake. */
int tk_loop_open(void (*woken)(void *context), void *context, tk_loop **out, tk_err *err);
void tk_loop_close(tk_loop *loop);               /* no timer is set any more */
void tk_loop_wake(tk_loop *loop);
/* Timers of the monotonic clock, fired by tk_loop_turn. */
void tk_loop_set(tk_loop *loop, tk_loop_timer *timer, int64_t due_us);   /* sets it, or moves it */
void tk_loop_unset(tk_loop *loop, tk_loop_timer *timer);
tk_timers *tk_loop_timers(tk_loop *loop);        /* the same ones */
/* The libuv loop below, for what else of net/ lives on it; what it adds must be closed before tk_loop_close. */
struct uv_loop_s *tk_loop_uv(tk_loop *loop);
/* Serves what is there: wake-ups, due timers. `block`: sleeps until there is something. */
void tk_loop_turn(tk_loop *loop, bool block);

#endif
