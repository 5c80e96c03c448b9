/* What came of an attempt, as an event to the engine. Thread: the worker's. */
#ifndef TK_WORKER_OUTCOME_H
#define TK_WORKER_OUTCOME_H
#include "worker/fiber.h"

/* Reads the four results of step.run or step.interrupted from stack index `at` on. */
void tk_outcome_post(tk_fiber *fiber, lua_State *co, int at);
/* The error that lua_resume left on the fiber's stack. */
void tk_outcome_post_raised(tk_fiber *fiber);
void tk_outcome_post_error(tk_fiber *fiber, const char *message, size_t size);   /* SIZE_MAX: NUL-terminated */
/* By the graph's own policy. */
void tk_outcome_post_timeout(tk_fiber *fiber);
void tk_outcome_post_released(tk_worker *worker, const tk_run_message *run);
/* "not done within its timeout of 2 s" */
void tk_outcome_timeout_message(const tk_fiber *fiber, char *out, size_t size);
/* A request of its own that fails `run` by its timeout; for the watchdog's thread. */
tk_request *tk_outcome_timeout_request(const tk_run_message *run);
/* The same, giving it back. */
tk_request *tk_outcome_released_request(const tk_run_message *run);

#endif
