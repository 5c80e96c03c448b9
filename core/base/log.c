#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE 2048
#define LOG_UNSET (-1)

static atomic_int log_level = LOG_UNSET;

static int level_from_environment(void) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  const char *wanted = getenv("TASKER_LOG");
  for (int i = 0; wanted && i < 4; i++)
    if (strcmp(wanted, names[i]) == 0) return i;
  return TK_LOG_WARN;
}

void tk_log_set_level(int level) { atomic_store_explicit(&log_level, level, memory_order_relaxed); }

/* One write(2) per line, so that lines of several threads and processes do not mix. */
void tk_log(int level, const char *format, ...) {
  int limit = atomic_load_explicit(&log_level, memory_order_relaxed);
  if (limit == LOG_UNSET) { /* two threads may both ask the environment: they get the same answer */
    limit = level_from_environment();
    tk_log_set_level(limit);
  }
  if (level > limit) return;
  char line[LOG_LINE];
  size_t prefix = (size_t)snprintf(line, sizeof line, "tasker: ");
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line + prefix, sizeof line - prefix, format, args);
  va_end(args);
  if (length < 0) return;
  size_t size = prefix + (size_t)length;
  if (size > sizeof line - 1) size = sizeof line - 1;
  line[size++] = '\n'; /* takes the place of the NUL */
  ssize_t written = write(STDERR_FILENO, line, size);
  (void)written; /* a lost diagnostic has nowhere to be reported */
}
