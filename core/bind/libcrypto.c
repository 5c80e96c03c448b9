#include "bind/libcrypto.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static const char *const libraries[] = {"libcrypto.so.3", "libcrypto.so.1.1", NULL};
static void *library;

static void open_library(void) {
  for (size_t i = 0; libraries[i] && !library; i++) library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
}

bool tk_libcrypto_load(const tk_symbol *symbols, size_t count) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  if (!library) return false;
  for (size_t i = 0; i < count; i++) {
    void *symbol = dlsym(library, symbols[i].name);
    if (!symbol) return false;
    memcpy(symbols[i].to, &symbol, sizeof symbol);
  }
  return true;
}

int tk_libcrypto_missing(tk_err *err, const char *what) {
  return tk_err_set(err, TK_E_UNSUPPORTED, "%s need the library libcrypto.so.3 (Debian's libssl3), which cannot be loaded", what);
}
