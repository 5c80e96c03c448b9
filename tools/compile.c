/* Compiles Lua files for tools/embed with the Lua library that the program is linked with: DIR/tasker/cli/init.luac for
 * lua/tasker/cli/init.lua, DIR/tasker/handlers/rest.luac for handlers/rest.lua, and DIR/ident, which names that library.
 * Usage: compile DIR FILE... */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096 };

static void fail(const char *what, const char *why) {
  fprintf(stderr, "compile: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

static void make_folders(char *path) {
  for (char *at = path + 1; (at = strchr(at, '/')); at++) {
    *at = '\0';
    if (mkdir(path, 0777) && errno != EEXIST) fail(path, strerror(errno));
    *at = '/';
  }
}

static FILE *create(char *path) {
  make_folders(path);
  FILE *out = fopen(path, "wb");
  if (!out) fail(path, strerror(errno));
  return out;
}

static void finish(FILE *out, const char *path) {
  if (ferror(out) || fclose(out)) fail(path, "cannot write");
}

static int write_part(lua_State *L, const void *part, size_t size, void *out) {
  (void)L;
  return fwrite(part, 1, size, out) != size;
}

/* The chunk gets the name it would have as a file of the installed package: what tracebacks show. */
static void compile(lua_State *L, const char *dir, const char *file) {
  const char *prefix = strncmp(file, "handlers/", 9) == 0 ? "tasker/" : "";
  const char *inner = strncmp(file, "lua/", 4) == 0 ? file + 4 : file;
  char path[PATH_SIZE];
  lua_pushfstring(L, "@%s%s", prefix, inner);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  FILE *in = fopen(file, "rb");
  if (!in) fail(file, strerror(errno));
  for (size_t size; (size = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, in)) > 0;) luaL_addsize(&text, size);
  fclose(in);
  luaL_pushresult(&text);
  size_t size;
  const char *bytes = lua_tolstring(L, -1, &size);
  if (luaL_loadbufferx(L, bytes, size, lua_tostring(L, -2), "t")) fail(file, lua_tostring(L, -1));
  if (snprintf(path, sizeof path, "%s/%s%sc", dir, prefix, inner) >= (int)sizeof path) fail(file, "its path is too long");
  FILE *out = create(path);
  if (lua_dump(L, write_part, out, 0)) fail(path, "cannot write");
  finish(out, path);
  lua_settop(L, 0);
}

int main(int argc, char **argv) {
  if (argc < 2) fail("usage", "compile DIR FILE...");
  lua_State *L = luaL_newstate();
  if (!L) fail("Lua", "out of memory");
  char path[PATH_SIZE];
  if (snprintf(path, sizeof path, "%s/ident", argv[1]) >= (int)sizeof path) fail(argv[1], "the path is too long");
  FILE *ident = create(path);
  fputs(lua_ident, ident);
  finish(ident, path);
  for (int i = 2; i < argc; i++) compile(L, argv[1], argv[i]);
  lua_close(L);
  return EXIT_SUCCESS;
}
