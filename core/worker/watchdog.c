#include "worker/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum { STATE_IDLE = 0, STATE_BUSY = 1, STATE_GIVEN_UP = 2, EXEMPT = 4 };
#define STATE_OF(word) ((word) & 3)

#define SIGNAL_AGAIN_US 100000      /* a step may have replaced the hook: set it again */
#define GRACE_US 1000000            /* for a C call to end after its step's limit */
#define LINGER_US 50000             /* how long after a ring limits are looked at without another: steps come one after the other */
#define LOST_US 10000000            /* given up for so long: a thread that does not come back */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static tk_watch *watches;           /* under lock, as the next three */
static tk_signal_catcher *catchers;
static pid_t owner;                 /* process whose thread runs; another one after fork: none does */
static int bell = -1;               /* eventfd; written by any thread and by signal handlers */
static _Atomic int64_t next_us;     /* when the thread wakes by itself */
static void (*on_expired)(void);
static struct sigaction old_urgent, old_interrupt, old_terminate;
static _Atomic int signals_caught;
static bool signal_told;            /* under lock */

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer runs a handler at the next call that it intercepts, and a loop in Lua makes none: this way around it. */
extern int __sigaction(int signal_number, const struct sigaction *action, struct sigaction *old);
#define set_urgent_action __sigaction
#else
#define set_urgent_action sigaction
#endif

static void ring(void) {
  uint64_t one = 1;
  int saved = errno;
  ssize_t ignored = write(bell, &one, sizeof one);
  (void)ignored;
  errno = saved;
}

/* A child made by fork has no watchdog: it gets the lock free, and the signals as they come. */
static void take_lock(void) { pthread_mutex_lock(&lock); }
static void free_lock(void) { pthread_mutex_unlock(&lock); }

static void on_urgent(int signal_number) {
  (void)signal_number;
  int saved = errno;
  on_expired();
  errno = saved;
}

static void on_stop_signal(int signal_number) {
  if (owner == getpid() && atomic_fetch_add(&signals_caught, 1) == 0) {
    ring();
    return;
  }
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

/* A worker that is asked to look at its messages. One that does not run Lua does so by itself, or runs Lua again by then. */
static int64_t inspect_urged(tk_watch *watch, int64_t now_us) {
  if (!atomic_load(&watch->urged)) return INT64_MAX;
  if (STATE_OF(atomic_load(&watch->word)) == STATE_BUSY) pthread_kill(watch->thread, SIGURG);
  return now_us + SIGNAL_AGAIN_US;
}

/* Looks at one watch; returns when to look again. */
static int64_t inspect(tk_watch *watch, int64_t now_us) {
  uint64_t word = atomic_load(&watch->word);
  if (STATE_OF(word) == STATE_GIVEN_UP) {
    if (watch->lost_told) return INT64_MAX;
    if (now_us < watch->since_us + LOST_US) return watch->since_us + LOST_US;
    watch->lost_told = true;
    watch->lost(watch);
    return INT64_MAX;
  }
  if (STATE_OF(word) != STATE_BUSY) return INT64_MAX;
  int64_t limit_us = atomic_load(&watch->limit_us), stop_us = atomic_load(watch->stop_us);
  if (!(word & EXEMPT) && stop_us < limit_us) limit_us = stop_us;
  if (limit_us > now_us) {
    int64_t late_us = watch->late_told == word ? INT64_MAX : atomic_load(&watch->late_us);
    if (late_us > now_us) return late_us < limit_us ? late_us : limit_us;
    watch->late_told = word;
    watch->late(watch);
    return limit_us;
  }
  if (watch->signalled != word) {
    watch->signalled = word;
    watch->since_us = now_us;
  }
  if (now_us < watch->since_us + GRACE_US) {
    pthread_kill(watch->thread, SIGURG);
    return now_us + SIGNAL_AGAIN_US;
  }
  if (!atomic_compare_exchange_strong(&watch->word, &word, (word & ~UINT64_C(3)) | STATE_GIVEN_UP)) return now_us;
  watch->since_us = now_us;
  watch->lost_told = false;
  watch->give_up(watch);
  return now_us + LOST_US;
}

static int64_t inspect_all(void) {
  int64_t now_us = tk_monotonic_us(), first_us = INT64_MAX;
  for (tk_watch *watch = watches; watch; watch = watch->next) {
    int64_t due_us = inspect(watch, now_us), urged_us = inspect_urged(watch, now_us);
    if (due_us < first_us) first_us = due_us;
    if (urged_us < first_us) first_us = urged_us;
  }
  return first_us;
}

static void *watchdog_thread(void *unused) {
  (void)unused;
  bool rung = false;
  for (;;) {
    /* A worker that enters from here on rings; one that entered before is seen below. */
    atomic_store(&next_us, INT64_MAX);
    pthread_mutex_lock(&lock);
    if (atomic_load(&signals_caught) > 0 && !signal_told) {
      signal_told = true;
      for (tk_signal_catcher *catcher = catchers; catcher; catcher = catcher->next) catcher->caught(catcher);
    }
    int64_t wake_us = inspect_all();
    pthread_mutex_unlock(&lock);
    if (rung && wake_us > tk_monotonic_us() + LINGER_US) wake_us = tk_monotonic_us() + LINGER_US;
    atomic_store(&next_us, wake_us);
    int64_t wait_ms = -1;
    if (wake_us != INT64_MAX) {
      wait_ms = (wake_us - tk_monotonic_us() + 999) / 1000;
      if (wait_ms < 0) wait_ms = 0;
      if (wait_ms > 86400000) wait_ms = 86400000;
    }
    struct pollfd fd = {bell, POLLIN, 0};
    rung = poll(&fd, 1, (int)wait_ms) > 0;
    if (rung) {
      uint64_t count;
      ssize_t ignored = read(bell, &count, sizeof count);
      (void)ignored;
    }
  }
  return NULL;
}

/* Under lock. */
static int start_thread(tk_err *err) {
  if (owner == getpid()) return 0;
  if (!owner) pthread_atfork(take_lock, free_lock, free_lock);
  watches = NULL;
  catchers = NULL;
  if (bell >= 0) close(bell);   /* a fork's child has a bell of its own: the parent's watchdog would take the rings of this one */
  bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (bell < 0) return tk_err_set(err, TK_E_IO, "cannot make an event descriptor: %s", strerror(errno));
  sigset_t all, old;
  pthread_t thread;
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int code = pthread_create(&thread, &attributes, watchdog_thread, NULL);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (code) return tk_err_set(err, TK_E_IO, "cannot start the watchdog's thread: %s", strerror(code));
  owner = getpid();
  return 0;
}

int tk_watch_add(tk_watch *watch, void (*expired)(void), tk_err *err) {
  watch->thread = pthread_self();
  pthread_mutex_lock(&lock);
  int code = start_thread(err);
  if (code == 0) {
    if (!watches) {
      struct sigaction action = {.sa_handler = on_urgent, .sa_flags = SA_RESTART};
      sigemptyset(&action.sa_mask);
      on_expired = expired;
      set_urgent_action(SIGURG, &action, &old_urgent);
    }
    watch->next = watches;
    watches = watch;
  }
  pthread_mutex_unlock(&lock);
  return code;
}

void tk_watch_remove(tk_watch *watch) {
  pthread_mutex_lock(&lock);
  for (tk_watch **at = &watches; *at; at = &(*at)->next) {
    if (*at != watch) continue;
    *at = watch->next;
    if (!watches) set_urgent_action(SIGURG, &old_urgent, NULL);
    break;
  }
  pthread_mutex_unlock(&lock);
}

void tk_watch_enter(tk_watch *watch, int64_t limit_us, bool exempt, int64_t late_us) {
  atomic_store_explicit(&watch->limit_us, limit_us, memory_order_relaxed);
  atomic_store_explicit(&watch->late_us, late_us, memory_order_relaxed);
  atomic_store(&watch->word, ++watch->sequence << 3 | (exempt ? EXEMPT : 0) | STATE_BUSY);
  int64_t first_us = late_us < limit_us ? late_us : limit_us, stop_us = exempt ? INT64_MAX : atomic_load(watch->stop_us);
  if ((stop_us < first_us ? stop_us : first_us) < atomic_load(&next_us)) ring();
}

void tk_watch_move(tk_watch *watch, int64_t limit_us) {
  atomic_store(&watch->limit_us, limit_us);
  if (limit_us < atomic_load(&next_us)) ring();
}

void tk_watch_urge(tk_watch *watch) {
  atomic_store(&watch->urged, true);
  ring();
}

bool tk_watch_leave(tk_watch *watch) {
  uint64_t word = atomic_exchange(&watch->word, watch->sequence << 3 | STATE_IDLE);
  if (STATE_OF(word) != STATE_GIVEN_UP) return false;
  /* give_up or lost may still be at work on what this thread owns. */
  pthread_mutex_lock(&lock);
  pthread_mutex_unlock(&lock);
  return true;
}

void tk_watchdog_recheck(void) { ring(); }

int tk_signal_catch(tk_signal_catcher *catcher, tk_err *err) {
  pthread_mutex_lock(&lock);
  int code = start_thread(err);
  if (code == 0) {
    if (!catchers) {
      struct sigaction action = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
      sigemptyset(&action.sa_mask);
      atomic_store(&signals_caught, 0);
      signal_told = false;
      sigaction(SIGINT, &action, &old_interrupt);
      sigaction(SIGTERM, &action, &old_terminate);
    }
    catcher->next = catchers;
    catchers = catcher;
  }
  pthread_mutex_unlock(&lock);
  return code;
}

void tk_signal_release(tk_signal_catcher *catcher) {
  pthread_mutex_lock(&lock);
  for (tk_signal_catcher **at = &catchers; *at; at = &(*at)->next) {
    if (*at != catcher) continue;
    *at = catcher->next;
    break;
  }
  if (!catchers) {
    sigaction(SIGINT, &old_interrupt, NULL);
    sigaction(SIGTERM, &old_terminate, NULL);
  }
  pthread_mutex_unlock(&lock);
}
