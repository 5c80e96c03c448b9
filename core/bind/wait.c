#include "bind/wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "engine/view.h"
#include "worker/worker.h"

/* A mailbox with a descriptor, so that a signal ends the wait (poll is interrupted; a futex would be waited for again). */
struct tk_log_waiter {
  tk_port *port;
  int fd;
};

static void ring(void *context) {
  uint64_t one = 1;
  ssize_t ignored = write(((tk_log_waiter *)context)->fd, &one, sizeof one);
  (void)ignored;
}

void tk_log_waiter_free(tk_handle *handle) {
  tk_log_waiter *waiter = handle->waiter;
  if (!waiter) return;
  handle->waiter = NULL;
  if (tk_engine_alive(handle->shared->engine, NULL) != TK_E_CLOSED) tk_engine_unfollow(handle->shared->engine, waiter->port);
  tk_port_free(waiter->port);
  close(waiter->fd);
  tk_free(waiter);
}

static int follow(tk_handle *handle, tk_err *err) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return tk_err_set(err, TK_E_IO, "cannot make an event descriptor: %s", strerror(errno));
  tk_log_waiter *waiter = tk_calloc(1, sizeof *waiter);
  waiter->fd = fd;
  waiter->port = tk_port_new(ring, waiter);
  int code = tk_engine_follow(handle->shared->engine, waiter->port, err);
  if (code) {
    tk_port_free(waiter->port);
    close(fd);
    tk_free(waiter);
    return code;
  }
  handle->waiter = waiter;
  return 0;
}

/* Blocks until fd (or nothing when < 0) is readable or end_us has come. False: a signal interrupted it and set a hook that wants to run. */
static bool block(lua_State *L, int fd, int64_t end_us, bool *readable) {
  struct pollfd what = {fd, POLLIN, 0};
  *readable = false;
  for (;;) {
    int64_t left_us = end_us == INT64_MAX ? INT64_MAX : end_us - tk_monotonic_us();
    if (left_us <= 0) return true;
    struct timespec left = {left_us / 1000000, left_us % 1000000 * 1000};
    int count = ppoll(&what, fd < 0 ? 0 : 1, end_us == INT64_MAX ? NULL : &left, NULL);
    if (count > 0) {
      *readable = true;
      return true;
    }
    if (count < 0 && lua_gethookmask(L)) return false;
  }
}

/* Waits are measured by the clock of the worker whose step waits. */
static int64_t now_of(lua_State *L) {
  const tk_fiber *fiber = tk_fiber_current(L);
  return fiber ? tk_worker_now_us(fiber->worker) : tk_monotonic_us();
}

static int64_t end_of(lua_State *L, lua_Number seconds) {
  int64_t now_us = now_of(L), duration_us = tk_seconds_to_us(seconds);
  return duration_us > INT64_MAX - 1 - now_us ? INT64_MAX : now_us + duration_us;
}

/* ---- Sleep ---- */

static int slept(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

int tk_bind_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "a number of seconds from 0 on expected");
  tk_fiber *fiber = tk_fiber_current(L);
  if (fiber) {
    tk_fiber_prepare(L, fiber, tk_fiber_cancel_sleep);
    tk_fiber_sleep(fiber, tk_seconds_to_us(seconds));
    return tk_fiber_park(L, fiber, 0, slept);
  }
  bool readable;
  block(L, -1, end_of(L, seconds), &readable);
  return 0;
}

/* ---- The log ---- */

/* One look: has the log moved since this attempt's last one? Its first look counts as a move: what came before it was not seen. */
static int moved_in_fiber(tk_engine *engine, tk_fiber *fiber, bool *moved, tk_err *err) {
  int code = tk_worker_follow(fiber->worker, engine, err);
  *moved = !code && fiber->log_seen != fiber->worker->log_count;
  fiber->log_seen = fiber->worker->log_count;
  return code;
}

static int log_resumed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  tk_fiber *fiber = tk_fiber_current(L);
  if (!fiber) return luaL_error(L, "the step that this coroutine waited for is gone");
  lua_pushboolean(L, fiber->log_seen != fiber->worker->log_count);
  fiber->log_seen = fiber->worker->log_count;
  return 1;
}

static int wait_log_in_place(lua_State *L, tk_handle *handle, int64_t end_us) {
  tk_err err;
  bool moved = false, readable;
  if (!handle->waiter) {
    if (follow(handle, &err)) return tk_return_error(L, &err);
    moved = true;
  }
  if (!moved) block(L, handle->waiter->fd, end_us, &readable);
  uint64_t rings;
  ssize_t ignored = read(handle->waiter->fd, &rings, sizeof rings);
  (void)ignored;
  for (tk_message *message = tk_port_drain(handle->waiter->port), *next; message; message = next) {
    next = message->next;
    tk_message_free(message);
    moved = true;
  }
  if (!moved && tk_engine_alive(handle->shared->engine, &err)) return tk_return_error(L, &err);
  lua_pushboolean(L, moved);
  return 1;
}

static int engine_wait_log(lua_State *L) {
  tk_err err;
  lua_Number seconds = luaL_optnumber(L, 2, -1);
  bool moved;
  tk_engine *engine = tk_check_engine(L, 1, &err);
  if (!engine) return tk_return_error(L, &err);
  tk_fiber *fiber = tk_fiber_current(L);
  if (!fiber) return wait_log_in_place(L, tk_check_handle(L, 1), seconds < 0 ? INT64_MAX : end_of(L, seconds));
  tk_fiber_prepare(L, fiber, tk_fiber_cancel_log);
  if (moved_in_fiber(engine, fiber, &moved, &err)) return tk_return_error(L, &err);
  if (moved) {
    lua_pushboolean(L, 1);
    return 1;
  }
  tk_fiber_wait_log(fiber, seconds < 0 ? -1 : tk_seconds_to_us(seconds));
  return tk_fiber_park(L, fiber, 0, log_resumed);
}

/* ---- One task ---- */

static int not_final(lua_State *L, uint8_t status) {
  tk_err err;
  tk_err_set(&err, TK_E_TIMEOUT, "the task is not final yet: it is %s", tk_task_status_name(status));
  return tk_return_error(L, &err);
}

/* Loops with the frame (engine, id, seconds): the end of the wait travels as the continuation's context. */
static int wait_more(lua_State *L, int status, lua_KContext context) {
  (void)status;
  int64_t end_us = (int64_t)context;
  tk_fiber *fiber = tk_fiber_current(L);
  for (;;) {
    tk_err err;
    tk_id id;
    uint8_t task_status;
    bool moved = true;
    tk_engine *engine = tk_check_engine(L, 1, &err);
    if (!engine) return tk_return_error(L, &err);
    if (!tk_arg_id(L, 2, &id)) {
      tk_err_set(&err, TK_E_NOT_FOUND, "no task has the id '%.200s'", lua_tostring(L, 2));
      return tk_return_error(L, &err);
    }
    if (tk_view_status(engine, &id, &task_status, &err)) return tk_return_error(L, &err);
    if (tk_task_final(task_status)) {
      lua_pushstring(L, tk_task_status_name(task_status));
      return 1;
    }
    int64_t left_us = end_us == INT64_MAX ? INT64_MAX : end_us - now_of(L);
    if (left_us <= 0) return not_final(L, task_status);
    if (fiber) {
      tk_fiber_prepare(L, fiber, tk_fiber_cancel_log);
      if (moved_in_fiber(engine, fiber, &moved, &err)) return tk_return_error(L, &err);
      if (moved) continue;
      tk_fiber_wait_log(fiber, end_us == INT64_MAX ? -1 : left_us);
      return tk_fiber_park(L, fiber, context, wait_more);
    }
    int pushed = wait_log_in_place(L, tk_check_handle(L, 1), end_us);
    if (pushed > 1) return pushed;
    lua_pop(L, pushed);
    if (lua_gethookmask(L)) return not_final(L, task_status);
  }
}

static int engine_wait(lua_State *L) {
  lua_Number seconds = luaL_optnumber(L, 3, -1);
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  return wait_more(L, LUA_OK, (lua_KContext)(seconds < 0 ? INT64_MAX : end_of(L, seconds)));
}

const luaL_Reg tk_wait_methods[] = {{"wait_log", engine_wait_log}, {"wait", engine_wait}, {NULL, NULL}};
