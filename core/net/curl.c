#include "net/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

static tk_curl loaded;
static tk_err failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *find(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  if (!symbol && !failure.code) tk_err_set(&failure, TK_E_UNSUPPORTED, "HTTP needs %s with %s, which this one lacks", LIBRARY, name);
  return symbol;
}

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    tk_err_set(&failure, TK_E_UNSUPPORTED, "HTTP needs %s (Debian's package libcurl4): %s", LIBRARY, dlerror());
    return;
  }
  loaded.easy_init = find(library, "curl_easy_init");
  loaded.easy_cleanup = find(library, "curl_easy_cleanup");
  loaded.easy_setopt = find(library, "curl_easy_setopt");
  loaded.easy_getinfo = find(library, "curl_easy_getinfo");
  loaded.easy_pause = find(library, "curl_easy_pause");
  loaded.easy_strerror = find(library, "curl_easy_strerror");
  loaded.multi_init = find(library, "curl_multi_init");
  loaded.multi_cleanup = find(library, "curl_multi_cleanup");
  loaded.multi_setopt = find(library, "curl_multi_setopt");
  loaded.multi_add_handle = find(library, "curl_multi_add_handle");
  loaded.multi_remove_handle = find(library, "curl_multi_remove_handle");
  loaded.multi_socket_action = find(library, "curl_multi_socket_action");
  loaded.multi_info_read = find(library, "curl_multi_info_read");
  loaded.multi_assign = find(library, "curl_multi_assign");
  loaded.slist_append = find(library, "curl_slist_append");
  loaded.slist_free_all = find(library, "curl_slist_free_all");
  CURLcode (*global_init)(long) = find(library, "curl_global_init");
  curl_version_info_data *(*version_info)(CURLversion) = find(library, "curl_version_info");
  if (failure.code) return;
  if (global_init(CURL_GLOBAL_DEFAULT)) {
    tk_err_set(&failure, TK_E_UNSUPPORTED, "HTTP: %s cannot start", LIBRARY);
    return;
  }
  const curl_version_info_data *version = version_info(CURLVERSION_NOW);
  if (!version->ssl_version || strncmp(version->ssl_version, "OpenSSL/", 8) != 0)
    tk_err_set(&failure, TK_E_UNSUPPORTED, "HTTP needs a %s that is built with OpenSSL, not with %s", LIBRARY,
               version->ssl_version ? version->ssl_version : "no TLS at all");
}

const tk_curl *tk_curl_load(tk_err *err) {
  pthread_once(&once, load);
  if (!failure.code) return &loaded;
  *err = failure;
  return NULL;
}
