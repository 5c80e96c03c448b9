#include "cli/line.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_LINES 1000 /* kept over runs: more than anybody scrolls back */

static struct {
  bool is_loaded;
  char *(*readline)(const char *prompt);
  void (*add_history)(const char *line);
  int (*append_history)(int count, const char *path);
  char history_path[PATH_MAX]; /* "" when nothing is kept over runs */
} editor;

/* Makes the folders of a path, for the user alone. */
static bool make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
    *slash = '/';
    if (failed) {
      return false;
    }
  }
  return true;
}

/* Finds the history file and makes it when it is not there; false when none can be kept. */
static bool find_history(char *path, size_t size) {
  const char *state = getenv("XDG_STATE_HOME");
  const char *home = getenv("HOME");
  int length;
  if (state != NULL && state[0] == '/') {
    length = snprintf(path, size, "%s/tasker/history", state);
  } else if (home != NULL && home[0] == '/') {
    length = snprintf(path, size, "%s/.local/state/tasker/history", home);
  } else {
    return false;
  }
  if (length < 0 || (size_t)length >= size || !make_parents(path)) {
    return false;
  }
  int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    return false;
  }
  close(file);
  return true;
}

static void load_history(void *library) {
  int (*read_history)(const char *) = (int (*)(const char *))dlsym(library, "read_history");
  int (*truncate_file)(const char *, int) = (int (*)(const char *, int))dlsym(library, "history_truncate_file");
  editor.append_history = (int (*)(int, const char *))dlsym(library, "append_history");
  if (read_history == NULL || truncate_file == NULL || editor.append_history == NULL ||
      !find_history(editor.history_path, sizeof editor.history_path)) {
    editor.history_path[0] = '\0';
    return;
  }
  truncate_file(editor.history_path, HISTORY_LINES);
  read_history(editor.history_path);
}

static void load_editor(void) {
  editor.is_loaded = true;
  void *library = dlopen("libreadline.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    return;
  }
  editor.readline = (char *(*)(const char *))dlsym(library, "readline");
  editor.add_history = (void (*)(const char *))dlsym(library, "add_history");
  const char **name = dlsym(library, "rl_readline_name");
  if (name != NULL) {
    *name = "lua";
  }
  if (editor.add_history != NULL && isatty(STDIN_FILENO)) {
    load_history(library);
  }
}

static char *read_plain(const char *prompt) {
  fputs(prompt, stdout);
  fflush(stdout);
  char *line = NULL;
  size_t size = 0;
  ssize_t length = getline(&line, &size, stdin);
  if (length < 0) {
    free(line);
    return NULL;
  }
  if (length > 0 && line[length - 1] == '\n') {
    line[length - 1] = '\0';
  }
  return line;
}

char *tk_line_read(const char *prompt) {
  if (!editor.is_loaded) {
    load_editor();
  }
  return editor.readline != NULL ? editor.readline(prompt) : read_plain(prompt);
}

void tk_line_remember(const char *line) {
  if (line[0] == '\0' || editor.add_history == NULL) {
    return;
  }
  editor.add_history(line);
  /* At once, line by line: a session that is killed keeps its history. */
  if (editor.history_path[0] != '\0') {
    editor.append_history(1, editor.history_path);
  }
}
