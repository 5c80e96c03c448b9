#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/parts.h"

/* A futex word counts pushes, so that a reader that looked before it slept cannot miss one. */
struct tk_port {
  pthread_mutex_t lock;
  tk_message *head, *tail;
  bool hushed;
  void (*wake)(void *context);
  void *context;
  _Atomic uint32_t bell;
  _Atomic uint32_t waiting;
};

tk_port *tk_port_new(void (*wake)(void *context), void *context) {
  tk_port *port = tk_calloc(1, sizeof *port);
  pthread_mutex_init(&port->lock, NULL);
  port->wake = wake;
  port->context = context;
  return port;
}

void tk_message_free(tk_message *message) {
  if (message && message->type == TK_MSG_REPLY) tk_request_free((tk_request *)message);
  else tk_free(message);
}

void tk_port_free(tk_port *port) {
  if (!port) return;
  for (tk_message *m = tk_port_drain(port); m;) {
    tk_message *next = m->next;
    tk_message_free(m);
    m = next;
  }
  pthread_mutex_destroy(&port->lock);
  tk_free(port);
}

static void ring(tk_port *port) {
  atomic_fetch_add(&port->bell, 1);
  if (atomic_load(&port->waiting)) syscall(SYS_futex, &port->bell, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Under the lock, so that the port cannot be freed between push and wake. */
static void append(tk_port *port, tk_message *first, tk_message *last) {
  last->next = NULL;
  bool was_empty = !port->head;
  if (was_empty) port->head = first;
  else port->tail->next = first;
  port->tail = last;
  if (was_empty && port->wake && !port->hushed) port->wake(port->context);
  if (was_empty) ring(port);
}

void tk_port_push_chain(tk_port *port, tk_message *first, tk_message *last) {
  pthread_mutex_lock(&port->lock);
  append(port, first, last);
  pthread_mutex_unlock(&port->lock);
}

void tk_port_push_log(tk_port *port) {
  pthread_mutex_lock(&port->lock);
  if (!port->tail || port->tail->type != TK_MSG_LOG) {
    tk_message *message = tk_calloc(1, sizeof *message);
    message->type = TK_MSG_LOG;
    append(port, message, message);
  }
  pthread_mutex_unlock(&port->lock);
}

void tk_port_push(tk_port *port, tk_message *message) { tk_port_push_chain(port, message, message); }

void tk_port_hush(tk_port *port, bool hush) {
  pthread_mutex_lock(&port->lock);
  port->hushed = hush;
  pthread_mutex_unlock(&port->lock);
}

tk_message *tk_port_drain(tk_port *port) {
  pthread_mutex_lock(&port->lock);
  tk_message *first = port->head;
  port->head = port->tail = NULL;
  pthread_mutex_unlock(&port->lock);
  return first;
}

/* ThreadSanitizer runs a signal's handler when the thread next calls something that it knows; the futex's system call is not. */
#ifdef __SANITIZE_THREAD__
#define WAIT_AT_MOST_US 100000
#else
#define WAIT_AT_MOST_US INT64_MAX
#endif

tk_message *tk_port_wait(tk_port *port, int64_t timeout_us) {
  int64_t end_us = timeout_us < 0 ? INT64_MAX : tk_monotonic_us() + timeout_us;
  for (;;) {
    uint32_t bell = atomic_load(&port->bell);
    atomic_fetch_add(&port->waiting, 1);
    tk_message *first = tk_port_drain(port);
    int64_t left_us = end_us == INT64_MAX ? INT64_MAX : end_us - tk_monotonic_us();
    bool stop = first || left_us <= 0;
    if (!stop) {
      if (left_us > WAIT_AT_MOST_US) left_us = WAIT_AT_MOST_US;
      struct timespec left = {left_us / 1000000, left_us % 1000000 * 1000};
      syscall(SYS_futex, &port->bell, FUTEX_WAIT_PRIVATE, bell, left_us == INT64_MAX ? NULL : &left, NULL, 0);
    }
    atomic_fetch_sub(&port->waiting, 1);
    if (stop) return first;
  }
}
