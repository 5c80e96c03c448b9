/* Patterns by PCRE2, as tasker.schema.pattern writes those of ECMA-262. The library is loaded when the first pattern is compiled:
 * most programs have none. Its few functions and numbers used here are part of its stable interface. Thread: the one that runs
 * the state. */
#include "bind/regex.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "bind/error.h"

#define LIBRARY "libpcre2-8.so.0"
#define MATCHER_TYPE "tasker.regex"

/* Steps of one match: a pattern that backtracks without end is stopped in well under a second. */
#define MATCH_LIMIT 1000000
#define HEAP_LIMIT_KIB (16 * 1024)

enum {
  ALLOW_EMPTY_CLASS = 0x1u,    /* [] matches nothing */
  DOLLAR_ENDONLY = 0x10u,      /* $ is the very end */
  MATCH_UNSET_BACKREF = 0x200u,
  UTF = 0x80000u,
  NEVER_BACKSLASH_C = 0x100000u,
  NEWLINE_ANYCRLF = 5          /* what a dot does not match */
};
enum { ERROR_NOMATCH = -1, ERROR_MATCHLIMIT = -47, ERROR_DEPTHLIMIT = -53, ERROR_HEAPLIMIT = -63 };

static struct {
  void *(*compile)(const unsigned char *, size_t, uint32_t, int *, size_t *, void *);
  void (*code_free)(void *);
  void *(*compile_context_create)(void *);
  int (*set_newline)(void *, uint32_t);
  void *(*match_data_create_from_pattern)(const void *, void *);
  void (*match_data_free)(void *);
  void *(*match_context_create)(void *);
  int (*set_match_limit)(void *, uint32_t);
  int (*set_heap_limit)(void *, uint32_t);
  int (*match)(const void *, const unsigned char *, size_t, size_t, uint32_t, void *, void *);
  int (*get_error_message)(int, unsigned char *, size_t);
  void *compile_context, *match_context;   /* set once, then only read: shared by all threads */
  bool ready;
} pcre;

static void load_library(void) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  const struct { void *to; const char *name; } symbols[] = {
      {&pcre.compile, "pcre2_compile_8"},
      {&pcre.code_free, "pcre2_code_free_8"},
      {&pcre.compile_context_create, "pcre2_compile_context_create_8"},
      {&pcre.set_newline, "pcre2_set_newline_8"},
      {&pcre.match_data_create_from_pattern, "pcre2_match_data_create_from_pattern_8"},
      {&pcre.match_data_free, "pcre2_match_data_free_8"},
      {&pcre.match_context_create, "pcre2_match_context_create_8"},
      {&pcre.set_match_limit, "pcre2_set_match_limit_8"},
      {&pcre.set_heap_limit, "pcre2_set_heap_limit_8"},
      {&pcre.match, "pcre2_match_8"},
      {&pcre.get_error_message, "pcre2_get_error_message_8"},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *symbol = dlsym(library, symbols[i].name);
    if (!symbol) return;
    memcpy(symbols[i].to, &symbol, sizeof symbol);
  }
  pcre.compile_context = pcre.compile_context_create(NULL);
  pcre.match_context = pcre.match_context_create(NULL);
  if (!pcre.compile_context || !pcre.match_context) return;
  pcre.set_newline(pcre.compile_context, NEWLINE_ANYCRLF);
  pcre.set_match_limit(pcre.match_context, MATCH_LIMIT);
  pcre.set_heap_limit(pcre.match_context, HEAP_LIMIT_KIB);
  pcre.ready = true;
}

typedef struct matcher {
  void *code, *data;   /* owns */
} matcher;

static int matcher_gc(lua_State *L) {
  matcher *m = luaL_checkudata(L, 1, MATCHER_TYPE);
  if (m->data) pcre.match_data_free(m->data);
  if (m->code) pcre.code_free(m->code);
  m->code = m->data = NULL;
  return 0;
}

static int return_problem(lua_State *L, int code, int number) {
  unsigned char text[256] = "unknown error";
  tk_err err;
  pcre.get_error_message(number, text, sizeof text);
  tk_err_set(&err, code, "%s", (const char *)text);
  return tk_return_error(L, &err);
}

static int matcher_call(lua_State *L) {
  matcher *m = luaL_checkudata(L, 1, MATCHER_TYPE);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  int found = pcre.match(m->code, (const unsigned char *)text, size, 0, 0, m->data, pcre.match_context);
  if (found >= 0 || found == ERROR_NOMATCH) {
    lua_pushboolean(L, found >= 0);
    return 1;
  }
  if (found == ERROR_MATCHLIMIT || found == ERROR_DEPTHLIMIT || found == ERROR_HEAPLIMIT) {
    tk_err err;
    tk_err_set(&err, TK_E_INVALID, "matching takes too long (%d steps)", MATCH_LIMIT);
    return tk_return_error(L, &err);
  }
  return return_problem(L, TK_E_INVALID, found);
}

void *tk_regex_check(lua_State *L, int idx) { return luaL_checkudata(L, idx, MATCHER_TYPE); }

int tk_regex_match(void *matcher_of, tk_slice text) {
  matcher *m = matcher_of;
  int found = pcre.match(m->code, (const unsigned char *)(text.data ? text.data : ""), text.size, 0, 0, m->data, pcre.match_context);
  return found >= 0 ? 1 : found == ERROR_NOMATCH ? 0 : -1;
}

static matcher *push_matcher(lua_State *L) {
  matcher *m = lua_newuserdatauv(L, sizeof *m, 0);
  m->code = m->data = NULL;
  if (luaL_newmetatable(L, MATCHER_TYPE)) {
    lua_pushcfunction(L, matcher_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, matcher_call);
    lua_setfield(L, -2, "__call");
  }
  lua_setmetatable(L, -2);
  return m;
}

int tk_bind_regex(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  size_t size, offset = 0;
  const char *pattern = luaL_checklstring(L, 1, &size);
  tk_err err;
  pthread_once(&once, load_library);
  if (!pcre.ready) {
    tk_err_set(&err, TK_E_UNSUPPORTED, "patterns need the library " LIBRARY " (Debian's libpcre2-8-0), which cannot be loaded");
    return tk_return_error(L, &err);
  }
  matcher *m = push_matcher(L);
  int number = 0;
  m->code = pcre.compile((const unsigned char *)pattern, size,
                         ALLOW_EMPTY_CLASS | DOLLAR_ENDONLY | MATCH_UNSET_BACKREF | UTF | NEVER_BACKSLASH_C, &number,
                         &offset, pcre.compile_context);
  if (!m->code) {
    unsigned char text[256] = "unknown error";
    pcre.get_error_message(number, text, sizeof text);
    tk_err_set(&err, TK_E_INVALID, "no regular expression: %s at character %zu", (const char *)text, offset + 1);
    return tk_return_error(L, &err);
  }
  m->data = pcre.match_data_create_from_pattern(m->code, NULL);
  if (!m->data) return luaL_error(L, "not enough memory");
  return 1;
}
