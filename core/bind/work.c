/* engine:work and engine:stop: from the options to a group of workers, and the Lua states of its threads. */
#include <lauxlib.h>
#include <lualib.h>

#include "base/alloc.h"
#include "bind/core.h"
#include "bind/embed.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bounds.h"
#include "worker/group.h"

/* Argument texts that the group keeps while it runs. */
typedef struct text_list {
  char **items;
  size_t count;
} text_list;

static void free_texts(text_list *list) {
  for (size_t i = 0; i < list->count; i++) tk_free(list->items[i]);
  tk_free(list->items);
  list->items = NULL;
  list->count = 0;
}

/* The list of strings in field `name` of the table at `t`. Raises for another type, before anything is allocated. */
static void read_texts(lua_State *L, int t, const char *name, text_list *out) {
  if (lua_getfield(L, t, name) == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      if (lua_rawgeti(L, -1, i) != LUA_TSTRING) luaL_error(L, "'%s' must be a list of strings", name);
      lua_pop(L, 1);
    }
    out->items = tk_calloc((size_t)count + 1, sizeof *out->items);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      out->items[out->count++] = tk_strdup(lua_tostring(L, -1));
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "'%s' must be a list of strings", name);
  }
  lua_pop(L, 1);
}

/* ---- Code of a state ---- */

/* Fills `code` from the state: the step runner, the handle at `handle`, and the definition numbers of the list at `definitions`. May raise;
 * what was filled is code_free's. */
static void read_code(lua_State *L, int handle, int definitions, tk_worker_code *code) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tasker.step");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "run");
  code->run = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getfield(L, -1, "interrupted");
  code->interrupted = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tasker.subscriptions");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "serve");
  code->serve = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  lua_pushvalue(L, handle);
  code->engine = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_Integer count = luaL_len(L, definitions);
  uint32_t *numbers = tk_calloc((size_t)count + 1, sizeof *numbers);
  code->definitions = numbers;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, definitions, i);
    numbers[code->definition_count++] = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
}

static void code_init(tk_worker_code *code) {
  *code = (tk_worker_code){.run = LUA_NOREF, .interrupted = LUA_NOREF, .engine = LUA_NOREF, .serve = LUA_NOREF};
}

static void code_free(lua_State *L, tk_worker_code *code) {
  luaL_unref(L, LUA_REGISTRYINDEX, code->run);
  luaL_unref(L, LUA_REGISTRYINDEX, code->interrupted);
  luaL_unref(L, LUA_REGISTRYINDEX, code->engine);
  luaL_unref(L, LUA_REGISTRYINDEX, code->serve);
  tk_free((void *)code->definitions);
  code_init(code);
}

/* ---- States of threads ---- */

typedef struct thread_shared {
  int references;        /* atomic */
  tk_shared_engine *engine;
  text_list files;
  char *path, *cpath;    /* package.path and cpath of the calling state */
} thread_shared;

static void shared_retain(void *context) { __atomic_add_fetch(&((thread_shared *)context)->references, 1, __ATOMIC_RELAXED); }

static void shared_release(void *context) {
  thread_shared *shared = context;
  if (__atomic_sub_fetch(&shared->references, 1, __ATOMIC_ACQ_REL)) return;
  if (shared->engine) tk_shared_release(shared->engine);
  free_texts(&shared->files);
  tk_free(shared->path);
  tk_free(shared->cpath);
  tk_free(shared);
}

static int code_of_name(const char *name) {
  for (int code = TK_E_NOT_FOUND; name && code >= TK_E_UNSUPPORTED; code--)
    if (strcmp(name, tk_err_name(code)) == 0) return code;
  return TK_E_INVALID;
}

/* The error value on top of the stack as a tk_err. */
static int read_error(lua_State *L, tk_err *err) {
  int code = TK_E_INVALID;
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "code");
    code = code_of_name(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  const char *message = luaL_tolstring(L, -1, NULL);
  return tk_err_set(err, code, "%s", message);
}

typedef struct opening {
  thread_shared *shared;
  tk_worker_code *code;
  tk_err *err;
  int result;
} opening;

static void open_libraries(lua_State *L, const thread_shared *shared) {
  luaL_openlibs(L);
  tk_embed_install_searcher(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_tasker_core);
  lua_setfield(L, -2, "tasker.core");
  lua_pop(L, 1);
  lua_getglobal(L, "package");
  lua_pushstring(L, shared->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, shared->cpath);
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
}

/* Pushes what loader.<name>(argument on top) returned; false: nil, err, which is in opening->err. */
static bool call_loader(lua_State *L, const char *name, opening *o) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tasker.loader");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_pushvalue(L, -3);
  lua_call(L, 1, 2);
  if (!lua_isnil(L, -2)) {
    lua_pop(L, 1);
    return true;
  }
  o->result = read_error(L, o->err);
  return false;
}

static int open_protected(lua_State *L) {
  opening *o = lua_touserdata(L, 1);
  open_libraries(L, o->shared);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tasker.core");
  lua_call(L, 1, 0);
  lua_createtable(L, (int)o->shared->files.count, 0);
  for (size_t i = 0; i < o->shared->files.count; i++) {
    lua_pushstring(L, o->shared->files.items[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (!call_loader(L, "load_files", o)) return 0;
  tk_push_handle(L, o->shared->engine)->working++;
  tk_remember_handle(L, -1);
  int handle = lua_gettop(L);
  if (!call_loader(L, "register", o)) return 0;
  read_code(L, handle, lua_gettop(L), o->code);
  return 0;
}

static int open_state(void *context, tk_memory *memory, lua_State **out, tk_worker_code *code, tk_err *err) {
  code_init(code);
  lua_State *L = lua_newstate(tk_memory_alloc, memory);
  if (!L) return tk_err_set(err, TK_E_FULL, "not enough memory for a Lua state");
  *out = L;
  opening o = {context, code, err, 0};
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, &o);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return o.result;
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "a handler file raised what is no message";
  return tk_err_set(err, TK_E_INVALID, "%s", message);
}

static void close_state(void *context, lua_State *L, tk_worker_code *code) {
  (void)context;
  tk_free((void *)code->definitions);
  lua_close(L);
}

/* ---- work ---- */

typedef struct work {
  text_list queues, files;
  tk_worker_code code;
  thread_shared *shared;
  lua_State *L;          /* the calling one, for code and watch */
  tk_handle *handle;     /* at stack index 1 */
  int watch, begin;      /* stack indexes of functions in L */
} work;

static void release_work(void *ptr) {
  work *w = ptr;
  free_texts(&w->queues);
  free_texts(&w->files);
  if (w->shared) shared_release(w->shared);
  tk_free((void *)w->code.definitions);
  tk_free(w);
}

static void call_watch(void *context) {
  work *w = context;
  lua_pushvalue(w->L, w->watch);
  if (lua_pcall(w->L, 0, 0, 0) != LUA_OK) lua_pop(w->L, 1);
}

/* The function gives the task's id, or nil when there is none to work for: its caller knows why. */
static int call_begin(void *context, tk_id *task, tk_err *err) {
  work *w = context;
  int top = lua_gettop(w->L), code = TK_OK;
  size_t size = 0;
  lua_pushvalue(w->L, w->begin);
  const char *id = lua_pcall(w->L, 0, 1, 0) == LUA_OK ? lua_tolstring(w->L, -1, &size) : NULL;
  if (!id || !tk_id_parse(id, size, task)) code = tk_err_set(err, TK_E_REFUSED, "work: there is no task to work for");
  lua_settop(w->L, top);
  return code;
}

static int bad_option(tk_err *err, const char *what) { return tk_err_set(err, TK_E_INVALID, "work: %s", what); }

static int read_settings(lua_State *L, tk_worker_settings *settings, tk_err *err) {
  lua_Integer concurrency = tk_field_integer(L, 2, "concurrency", TK_CONCURRENCY_DEFAULT);
  if (concurrency < 1 || concurrency > TK_CONCURRENCY_MAX) return bad_option(err, "concurrency must be 1 to 100000");
  settings->concurrency = (uint32_t)concurrency;
  settings->cap_us = INT64_MAX;
  lua_getfield(L, 2, "until_idle");
  settings->until_idle = lua_toboolean(L, -1);
  if (lua_type(L, -1) == LUA_TNUMBER) {
    if (!(lua_tonumber(L, -1) >= 0)) return bad_option(err, "until_idle must be a boolean or a number of seconds from 0 on");
    int64_t cap_us = tk_seconds_to_us(lua_tonumber(L, -1)), now_us = tk_monotonic_us();
    if (cap_us < INT64_MAX - now_us) settings->cap_us = now_us + cap_us;
  }
  lua_pop(L, 1);
  if (lua_getfield(L, 2, "until_task") == LUA_TFUNCTION) return 0;
  lua_pop(L, 1);
  tk_slice task = tk_field_slice(L, 2, "until_task");
  settings->has_task = task.data != NULL;
  if (task.data && !tk_id_parse(task.data, task.size, &settings->task)) return bad_option(err, "until_task must be the id of a task");
  return 0;
}

static char *package_field(lua_State *L, const char *name) {
  char *copy = NULL;
  lua_getglobal(L, "package");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, name);
    copy = tk_strdup(lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return copy ? copy : tk_strdup("");
}

static int work_threads(lua_State *L, work *w, const tk_group_options *options, uint32_t threads, size_t memory, tk_err *err) {
  w->shared = tk_calloc(1, sizeof *w->shared);
  w->shared->references = 1;
  w->shared->path = package_field(L, "path");
  w->shared->cpath = package_field(L, "cpath");
  w->shared->files = w->files;
  w->files = (text_list){NULL, 0};
  w->shared->engine = w->handle->shared;
  tk_shared_retain(w->shared->engine);
  tk_thread_states states = {open_state, close_state, shared_retain, shared_release, w->shared};
  w->handle->working++;
  int code = tk_group_work_threads(options, threads, &states, memory, err);
  w->handle->working--;
  return code;
}

static int work_here(lua_State *L, work *w, const tk_group_options *options, size_t memory, tk_err *err) {
  lua_getfield(L, 2, "definitions");
  luaL_checktype(L, -1, LUA_TTABLE);
  read_code(L, 1, lua_gettop(L), &w->code);
  w->handle->working++;
  int code = tk_group_work_here(options, L, &w->code, memory, err);
  w->handle->working--;
  code_free(L, &w->code);
  return code;
}

static int engine_work(lua_State *L) {
  tk_err err;
  if (tk_fiber_current(L)) return luaL_error(L, "app:work cannot be called in a step");
  luaL_checktype(L, 2, LUA_TTABLE);
  tk_check_not_loading(L, "app:work");
  tk_engine *engine = tk_check_writer(L, 1, &err);
  if (!engine) return tk_return_error(L, &err);
  lua_settop(L, 2);
  tk_group_options options = {.engine = engine};
  tk_box *box = tk_box_push(L, release_work);
  work *w = box->ptr = tk_calloc(1, sizeof *w);
  code_init(&w->code);
  w->L = L;
  read_texts(L, 2, "queues", &w->queues);
  read_texts(L, 2, "files", &w->files);
  lua_Integer threads = tk_field_integer(L, 2, "threads", 1), memory = tk_field_integer(L, 2, "memory", 0);
  if (read_settings(L, &options.settings, &err)) return tk_return_error(L, &err);
  if (threads < 1 || threads > TK_THREADS_MAX || (threads > 1 && !w->files.items)) {
    bad_option(&err, threads < 1 || threads > TK_THREADS_MAX ? "threads must be 1 to 256" : "more than one thread needs `files`");
    return tk_return_error(L, &err);
  }
  options.settings.queues = (const char *const *)w->queues.items;
  options.settings.queue_count = w->queues.count;
  options.context = w;
  if (lua_getfield(L, 2, "until_task") == LUA_TFUNCTION) {
    w->begin = lua_gettop(L);
    options.begin = call_begin;
  }
  if (lua_getfield(L, 2, "watch") == LUA_TFUNCTION) {
    w->watch = lua_gettop(L);
    options.watch = call_watch;
    options.watch_us = tk_seconds_to_us(tk_field_number(L, 2, "watch_interval", 0.25));
  }
  w->handle = tk_check_handle(L, 1);
  int code = w->files.items ? work_threads(L, w, &options, (uint32_t)threads, (size_t)memory, &err)
                            : work_here(L, w, &options, (size_t)memory, &err);
  tk_box_release(box);
  if (code) return tk_return_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int engine_stop(lua_State *L) {
  tk_check_handle(L, 1);
  lua_pushboolean(L, tk_group_stop_current());
  return 1;
}

/* What this state subscribes to is to be served by the worker that runs in it, if one does. */
int tk_bind_serve(lua_State *L) {
  tk_worker *worker = tk_worker_current();
  if (worker && worker->registry == lua_topointer(L, LUA_REGISTRYINDEX)) tk_worker_serve(worker);
  return 0;
}

const luaL_Reg tk_work_methods[] = {{"work", engine_work}, {"stop", engine_stop}, {NULL, NULL}};
