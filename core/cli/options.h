/* What the command line asks for: the interpreter's own options, then a script, a command, or nothing. Pure. */
#ifndef TK_CLI_OPTIONS_H
#define TK_CLI_OPTIONS_H

#include <stdbool.h>

typedef struct tk_options {
  bool is_wrong;      /* argv[first] is no option, or one that lacks its argument */
  bool show_version;  /* -v */
  bool interactive;   /* -i */
  bool ignore_env;    /* -E */
  bool executes;      /* some -e */
  bool after_dashes;  /* `--` came: what follows is a script, never a command */
  bool tasker_option; /* argv[first] is an option of the command line proper: --store, --help, -h, --version */
  int first;          /* index of the first word that is no option of the interpreter; argc when there is none */
} tk_options;

/* Borrows argv for the call only. */
tk_options tk_options_parse(int argc, char **argv);

/* The index of the text of the -e or -l option at argv[i], which may be glued to it or the next word. */
int tk_options_text(char **argv, int i, const char **text);

#endif
