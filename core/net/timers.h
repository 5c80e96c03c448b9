/* Timers in a binary heap: they are embedded in what needs them, and a set or unset costs no system call and no allocation. Whose clock
 * they go by is for who fires them. Thread: one owner. */
#ifndef TK_NET_TIMERS_H
#define TK_NET_TIMERS_H
#include <stddef.h>
#include <stdint.h>

/* Embedded where it is needed; zero-initialise. `fire` is called once, when due_us has come. */
typedef struct tk_loop_timer {
  int64_t due_us;
  size_t place;                                  /* 1-based place in the heap; 0: not set */
  void (*fire)(struct tk_loop_timer *timer);
} tk_loop_timer;

typedef struct tk_timers {
  tk_loop_timer **heap;
  size_t count, capacity;
} tk_timers;

void tk_timers_set(tk_timers *timers, tk_loop_timer *timer, int64_t due_us);   /* sets it, or moves it */
void tk_timers_unset(tk_timers *timers, tk_loop_timer *timer);
void tk_timers_fire(tk_timers *timers, int64_t now_us);                       /* all that are due */
int64_t tk_timers_next_us(const tk_timers *timers);                           /* of the first; INT64_MAX: none is set */
void tk_timers_free(tk_timers *timers);

#endif
