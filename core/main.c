/* tasker-lua: a Lua 5.4 interpreter with tasker built in, and tasker's command line. The first word that is no option
 * decides: a command runs that command, a file is a script, none at all asks a person or reads stdin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lua.h>

#include <lauxlib.h>
#include <lualib.h>

#include "bind/core.h"
#include "bind/embed.h"
#include "cli/interp.h"
#include "cli/options.h"
#include "cli/program.h"
#include "cli/repl.h"

static void print_usage(const char *bad_option) {
  bool lacks_argument = (bad_option[1] == 'e' || bad_option[1] == 'l') && bad_option[2] == '\0';
  fprintf(stderr, lacks_argument ? "%s: '%s' needs argument\n" : "%s: unrecognized option '%s'\n", TK_PROGRAM, bad_option);
  fprintf(stderr,
          "usage: %s [options] [script [args]]\n"
          "       %s COMMAND [args]   ('%s help' lists the commands)\n"
          "Available options are:\n"
          "  -e stat   execute string 'stat'\n"
          "  -i        enter interactive mode after executing 'script'\n"
          "  -l mod    require library 'mod' into global 'mod'\n"
          "  -l g=mod  require library 'mod' into global 'g'\n"
          "  -v        show version information\n"
          "  -E        ignore environment variables\n"
          "  -W        turn warnings on\n"
          "  --        stop handling options\n"
          "  -         stop handling options and execute stdin\n",
          TK_PROGRAM, TK_PROGRAM, TK_PROGRAM);
  fflush(stderr);
}

static void print_version(void) {
  puts(LUA_COPYRIGHT);
  fflush(stdout);
}

/* Opens what every script finds: the standard library, and tasker by `require`, loaded only when asked for. */
static void open_libraries(lua_State *L) {
  luaL_openlibs(L);
  tk_embed_install_searcher(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_tasker_core);
  lua_setfield(L, -2, "tasker.core");
  lua_pop(L, 1);
  lua_gc(L, LUA_GCRESTART);
  lua_gc(L, LUA_GCGEN, 0, 0);
}

/* Does what -e, -l and -W before argv[last] say, in their order. */
static bool run_options(lua_State *L, char **argv, int last) {
  for (int i = 1; i < last; i++) {
    const char *text;
    int status = LUA_OK;
    switch (argv[i][1]) {
      case 'e':
        i = tk_options_text(argv, i, &text);
        status = tk_interp_text(L, text, "=(command line)");
        break;
      case 'l':
        i = tk_options_text(argv, i, &text);
        status = tk_interp_library(L, text);
        break;
      case 'W': lua_warning(L, "@on", 0); break;
      default: break;
    }
    if (status != LUA_OK) {
      return false;
    }
  }
  return true;
}

/* A word that is no command is a script if there is such a file, or if it cannot be meant as anything else. */
static bool is_script(const char *word) {
  struct stat info;
  return strchr(word, '/') != NULL || strstr(word, ".lua") != NULL || strcmp(word, "-") == 0 ||
         (stat(word, &info) == 0 && !S_ISDIR(info.st_mode));
}

static bool is_command_line(const tk_options *options, int argc, char **argv) {
  if (options->first == argc || options->after_dashes) {
    return false;
  }
  const char *word = argv[options->first];
  return options->tasker_option || tk_program_is_command(word) || !is_script(word);
}

static int run_command_line(lua_State *L, int count, char **words) {
  static char help[] = "help";
  static char version[] = "version";
  if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0) {
    words[0] = help;
  } else if (strcmp(words[0], "--version") == 0) {
    words[0] = version;
  }
  return tk_program_run(L, count, words);
}

static int run_script(lua_State *L, const tk_options *options, char **argv) {
  const char *path = argv[options->first];
  bool is_stdin = strcmp(path, "-") == 0 && !options->after_dashes;
  return tk_interp_script(L, is_stdin ? NULL : path) == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* argc, argv -> exit code. Protected by its caller. */
static int run(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  tk_options options = tk_options_parse(argc, argv);
  int code = EXIT_SUCCESS;
  lua_settop(L, 0);
  if (options.is_wrong) {
    print_usage(argv[options.first]);
    lua_pushinteger(L, EXIT_FAILURE);
    return 1;
  }
  bool is_command = is_command_line(&options, argc, argv);
  if (options.show_version) {
    print_version();
  }
  if (options.ignore_env) {
    /* Asked for by the libraries when they look for LUA_PATH and LUA_CPATH. */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  open_libraries(L);
  tk_interp_set_arg(L, argc, argv, options.first);
  /* LUA_INIT is for scripts: what it prints has no place in a command's output. */
  if ((!options.ignore_env && !is_command && tk_interp_init_variable(L) != LUA_OK) || !run_options(L, argv, options.first)) {
    code = EXIT_FAILURE;
  } else if (is_command) {
    code = run_command_line(L, argc - options.first, argv + options.first);
  } else if (options.first < argc) {
    code = run_script(L, &options, argv);
  }
  if (code == EXIT_SUCCESS && !is_command) {
    if (options.interactive) {
      tk_repl_run(L);
    } else if (options.first == argc && !options.executes && !options.show_version) {
      if (isatty(STDIN_FILENO)) {
        print_version();
        tk_repl_run(L);
      } else {
        tk_interp_file(L, NULL);
      }
    }
  }
  lua_pushinteger(L, code);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    fprintf(stderr, "%s: cannot create state: not enough memory\n", TK_PROGRAM);
    return EXIT_FAILURE;
  }
  /* No collection while the libraries are opened: nothing is garbage yet. */
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = lua_pcall(L, 2, 1, 0);
  int code = status == LUA_OK ? (int)lua_tointeger(L, -1) : EXIT_FAILURE;
  tk_interp_report(L, status, TK_PROGRAM);
  lua_close(L);
  return code;
}
