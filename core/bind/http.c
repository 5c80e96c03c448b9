#include "bind/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/plain.h"
#include "bind/state.h"
#include "net/guard.h"
#include "net/http.h"
#include "worker/worker.h"

#define TRANSFER_TYPE "tasker.transfer"

/* The connections of plain code in one Lua state; in a step the worker's serve. */
typedef struct plain_connections { tk_http *http[2]; } plain_connections;

typedef struct held {
  tk_http_transfer *transfer;    /* NULL: closed */
  tk_fiber *fiber;               /* waits for it; NULL: none does */
  bool plain;                    /* in the loop of plain code, not in a worker's */
  int file;
} held;

static const char connections_key;

static int connections_gc(lua_State *L) {
  plain_connections *p = lua_touserdata(L, 1);
  for (int i = 0; i < 2; i++) tk_http_close(p->http[i]);
  p->http[0] = p->http[1] = NULL;
  return 0;
}

static tk_http *plain_http(lua_State *L, tk_loop *loop, bool guarded, tk_err *err) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &connections_key);
  plain_connections *p = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!p) {   /* younger than the loop: so it is closed before it */
    p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = (plain_connections){{NULL, NULL}};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, connections_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &connections_key);
  }
  if (!p->http[guarded]) tk_http_open(loop, guarded, &p->http[guarded], err);
  return p->http[guarded];
}

/* ---- A transfer ---- */

static void on_moved(tk_http_transfer *transfer) {
  held *h = transfer->context;
  tk_fiber *fiber = h->fiber;
  h->fiber = NULL;
  if (fiber) tk_fiber_wake(fiber);
}

static void on_lost(tk_http_transfer *transfer) { ((held *)transfer->context)->transfer = NULL; }

static void close_held(held *h) {
  tk_http_transfer *transfer = h->transfer;
  h->transfer = NULL;
  if (transfer) tk_http_free(transfer);
  if (h->file >= 0) close(h->file);
  h->file = -1;
}

static void on_cancel(tk_fiber *fiber) {
  held *h = fiber->operation;
  h->fiber = NULL;
  close_held(h);
}

static held *check_held(lua_State *L) { return luaL_checkudata(L, 1, TRANSFER_TYPE); }

static int http_close(lua_State *L) {
  close_held(check_held(L));
  return 0;
}

/* What is at once PEM or the name of a file. */
static void read_pem(lua_State *L, const char *name, const char **file, tk_slice *pem) {
  tk_slice text = tk_field_slice(L, 1, name);
  if (!text.data) return;
  if (memmem(text.data, text.size, "-----BEGIN", 10)) *pem = text;
  else *file = text.data;
}

static size_t read_headers(lua_State *L, const char *const **out) {
  if (lua_getfield(L, 1, "headers") != LUA_TTABLE) return 0;
  lua_Integer count = luaL_len(L, -1);
  const char **texts = lua_newuserdatauv(L, sizeof *texts * (size_t)(count + 1), 0);   /* stays on the stack while it is needed */
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    texts[i] = luaL_checkstring(L, -1);   /* the list keeps the string */
    lua_pop(L, 1);
  }
  *out = texts;
  return (size_t)count;
}

static void read_request(lua_State *L, tk_http_request *r) {
  *r = (tk_http_request){.file = -1};
  r->method = tk_field_slice(L, 1, "method").data;
  r->url = tk_field_slice(L, 1, "url").data;
  luaL_argcheck(L, r->method && r->url, 1, "a method and a url expected");
  r->body = tk_field_slice(L, 1, "body");
  r->has_body = r->body.data != NULL;
  r->timeout_us = tk_field_us(L, 1, "timeout");
  r->connect_timeout_us = tk_field_us(L, 1, "connect_timeout");
  r->max_body = (uint64_t)tk_field_integer(L, 1, "max_body", 0);
  r->streamed = tk_field_bool(L, 1, "streamed");
  r->no_verify = tk_field_bool(L, 1, "no_verify");
  read_pem(L, "ca", &r->ca_file, &r->ca);
  read_pem(L, "cert", &r->cert_file, &r->cert);
  read_pem(L, "key", &r->key_file, &r->key);
}

static int open_path(lua_State *L, held *h, tk_err *err) {
  const char *path = tk_field_slice(L, 1, "path").data;
  if (!path) return 0;
  h->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  return h->file >= 0 ? 0 : tk_err_set(err, TK_E_INVALID, "cannot write the body to '%s': %s", path, strerror(errno));
}

static int http_start(lua_State *L) {
  tk_err err;
  tk_http_request r;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  held *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (held){.file = -1};
  luaL_setmetatable(L, TRANSFER_TYPE);
  read_request(L, &r);
  lua_getfield(L, 1, "body");
  lua_setiuservalue(L, 2, 1);   /* curl borrows it */
  bool guarded = tk_field_bool(L, 1, "guarded");
  tk_fiber *fiber = tk_fiber_current(L);
  tk_loop *loop = fiber ? fiber->worker->loop : tk_plain_loop(L, &err);
  if (!loop) return tk_return_error(L, &err);
  tk_http *http = fiber ? tk_worker_http(fiber->worker, guarded, &err) : plain_http(L, loop, guarded, &err);
  if (!http || open_path(L, h, &err)) return tk_return_error(L, &err);
  h->plain = !fiber;
  r.file = h->file;
  r.header_count = read_headers(L, &r.headers);
  if (tk_http_start(http, &r, &h->transfer, &err)) return tk_return_error(L, &err);
  h->transfer->moved = on_moved;
  h->transfer->lost = on_lost;
  h->transfer->context = h;
  lua_settop(L, 2);
  return 1;
}

/* A piece of the body, nil at the end; -1: neither is there yet. */
static int push_next(lua_State *L, held *h) {
  tk_http_transfer *transfer = h->transfer;
  if (!transfer) return luaL_error(L, "the transfer is closed");
  if (transfer->done && h->file >= 0) {
    close(h->file);
    h->file = -1;
  }
  bool piece = h->file < 0 && lua_toboolean(L, 2) && transfer->body.size;
  if (!piece && !transfer->done) return -1;
  if (!piece) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, transfer->body.data, transfer->body.size);
  tk_buf_clear(&transfer->body);
  tk_http_taken(transfer);
  return 1;
}

static int go_on(lua_State *L, int status, lua_KContext context) {
  held *h = check_held(L);
  (void)status;
  (void)context;
  tk_fiber *fiber = tk_fiber_current(L);
  int pushed = push_next(L, h);
  if (pushed >= 0) return pushed;
  tk_fiber_prepare(L, fiber, on_cancel);
  fiber->operation = h;
  h->fiber = fiber;
  return tk_fiber_park(L, fiber, 0, go_on);
}

static int http_wait(lua_State *L) {
  held *h = check_held(L);
  lua_settop(L, 2);
  if (!h->plain) {
    luaL_argcheck(L, tk_fiber_current(L), 1, "a transfer of this step expected");
    return go_on(L, LUA_OK, 0);
  }
  for (;;) {
    int pushed = push_next(L, h);
    if (pushed >= 0) return pushed;
    if (tk_plain_turn(L)) continue;
    lua_pushboolean(L, 0);
    return 1;
  }
}

static int http_result(lua_State *L) {
  held *h = check_held(L);
  tk_http_transfer *transfer = h->transfer;
  luaL_argcheck(L, transfer && transfer->done, 1, "a transfer that is done expected");
  if (transfer->code) {
    lua_pushnil(L);
    lua_pushstring(L, tk_http_code_name(transfer->code));
    lua_pushstring(L, transfer->message);
    return 3;
  }
  lua_pushinteger(L, transfer->status);
  lua_newtable(L);
  const char *at = transfer->headers.data, *end = at + transfer->headers.size;
  for (lua_Integer n = 1; at < end; n++) {
    size_t size = strlen(at);
    lua_pushlstring(L, at, size);
    lua_rawseti(L, -2, n);
    at += size + 1;
  }
  lua_pushlstring(L, transfer->body.size ? transfer->body.data : "", transfer->body.size);
  lua_pushnumber(L, transfer->seconds);
  return 4;
}

static int http_is_public(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  struct sockaddr_in four = {.sin_family = AF_INET};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  if (inet_pton(AF_INET, text, &four.sin_addr) == 1) lua_pushboolean(L, tk_address_is_public((struct sockaddr *)&four));
  else if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) lua_pushboolean(L, tk_address_is_public((struct sockaddr *)&six));
  else lua_pushnil(L);
  return 1;
}

int tk_bind_http(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", http_start}, {"wait", http_wait}, {"result", http_result}, {"close", http_close},
    {"is_public", http_is_public}, {NULL, NULL}};
  if (luaL_newmetatable(L, TRANSFER_TYPE)) {
    lua_pushcfunction(L, http_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, http_close);
    lua_setfield(L, -2, "__close");
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
