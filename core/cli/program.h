/* The command line's door: which words are commands, and running one (lua/tasker/cli). Main thread only. */
#ifndef TK_CLI_PROGRAM_H
#define TK_CLI_PROGRAM_H

#include <stdbool.h>

#include <lua.h>

/* Every embedded file lua/tasker/cli/<name>.lua is a command, but for init.lua and args.lua. */
bool tk_program_is_command(const char *word);

/* Runs the command line of these words and returns its exit code. An unknown command is told so. */
int tk_program_run(lua_State *L, int count, char **words);

#endif
