#include "cli/options.h"

#include <string.h>

int tk_options_text(char **argv, int i, const char **text) {
  if (argv[i][2] != '\0') {
    *text = argv[i] + 2;
    return i;
  }
  *text = argv[i + 1];
  return i + 1;
}

static bool is_tasker_option(const char *word) {
  return strcmp(word, "--store") == 0 || strncmp(word, "--store=", 8) == 0 || strcmp(word, "--help") == 0 ||
         strcmp(word, "-h") == 0 || strcmp(word, "--version") == 0;
}

/* Takes the option at argv[options->first] and moves behind it; false when it is none or lacks its argument. */
static bool take_option(tk_options *options, char **argv) {
  const char *word = argv[options->first];
  const char *text = NULL;
  if (word[1] == 'e' || word[1] == 'l') {
    int last = tk_options_text(argv, options->first, &text);
    if (text == NULL || (last > options->first && text[0] == '-')) {
      return false;
    }
    options->executes = options->executes || word[1] == 'e';
    options->first = last + 1;
    return true;
  }
  if (word[2] != '\0') {
    return false;
  }
  switch (word[1]) {
    case 'E': options->ignore_env = true; break;
    case 'W': break;
    case 'v': options->show_version = true; break;
    case 'i': options->interactive = options->show_version = true; break;
    default: return false;
  }
  options->first++;
  return true;
}

tk_options tk_options_parse(int argc, char **argv) {
  tk_options options = {.first = 1};
  while (options.first < argc) {
    const char *word = argv[options.first];
    if (word[0] != '-' || word[1] == '\0') {
      break;
    }
    if (is_tasker_option(word)) {
      options.tasker_option = true;
      break;
    }
    if (strcmp(word, "--") == 0) {
      options.after_dashes = true;
      options.first++;
      break;
    }
    if (!take_option(&options, argv)) {
      options.is_wrong = true;
      break;
    }
  }
  return options;
}
