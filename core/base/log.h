/* Lines for people about the running of the program itself, on stderr: "tasker: message". Not the event log. Any thread. */
#ifndef TK_BASE_LOG_H
#define TK_BASE_LOG_H
enum { TK_LOG_ERROR, TK_LOG_WARN, TK_LOG_INFO, TK_LOG_DEBUG };
/* Lines above `level` (default TK_LOG_WARN, or from $TASKER_LOG = error|warn|info|debug) are dropped. */
void tk_log_set_level(int level);
void tk_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
