#include "net/timers.h"

#include "base/alloc.h"

static void place(tk_timers *timers, size_t at, tk_loop_timer *timer) {
  timers->heap[at] = timer;
  timer->place = at + 1;
}

static void sift_up(tk_timers *timers, size_t at) {
  tk_loop_timer *timer = timers->heap[at];
  while (at > 0 && timers->heap[(at - 1) / 2]->due_us > timer->due_us) {
    place(timers, at, timers->heap[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(timers, at, timer);
}

static void sift_down(tk_timers *timers, size_t at) {
  tk_loop_timer *timer = timers->heap[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= timers->count) break;
    if (child + 1 < timers->count && timers->heap[child + 1]->due_us < timers->heap[child]->due_us) child++;
    if (timers->heap[child]->due_us >= timer->due_us) break;
    place(timers, at, timers->heap[child]);
    at = child;
  }
  place(timers, at, timer);
}

void tk_timers_set(tk_timers *timers, tk_loop_timer *timer, int64_t due_us) {
  timer->due_us = due_us;
  if (timer->place == 0) {
    if (timers->count == timers->capacity) {
      timers->capacity = timers->capacity ? 2 * timers->capacity : 64;
      timers->heap = tk_realloc(timers->heap, timers->capacity * sizeof *timers->heap);
    }
    place(timers, timers->count++, timer);
  }
  sift_up(timers, timer->place - 1);
  sift_down(timers, timer->place - 1);
}

void tk_timers_unset(tk_timers *timers, tk_loop_timer *timer) {
  if (timer->place == 0) return;
  size_t at = timer->place - 1;
  timer->place = 0;
  tk_loop_timer *last = timers->heap[--timers->count];
  if (last == timer) return;
  place(timers, at, last);
  sift_up(timers, at);
  sift_down(timers, last->place - 1);
}

void tk_timers_fire(tk_timers *timers, int64_t now_us) {
  while (timers->count && timers->heap[0]->due_us <= now_us) {
    tk_loop_timer *timer = timers->heap[0];
    tk_timers_unset(timers, timer);
    timer->fire(timer);
  }
}

int64_t tk_timers_next_us(const tk_timers *timers) { return timers->count ? timers->heap[0]->due_us : INT64_MAX; }

void tk_timers_free(tk_timers *timers) {
  tk_free(timers->heap);
  *timers = (tk_timers){NULL, 0, 0};
}
