/* libcurl, loaded when the first transfer needs it: it brings some thirty libraries, which would cost every start of the program
 * more than the rest of its start (ADR 13). Only for net/. */
#ifndef TK_NET_CURL_H
#define TK_NET_CURL_H
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

typedef struct tk_curl {
  CURL *(*easy_init)(void);
  void (*easy_cleanup)(CURL *easy);
  CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
  CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
  CURLcode (*easy_pause)(CURL *easy, int bits);
  const char *(*easy_strerror)(CURLcode code);
  CURLM *(*multi_init)(void);
  CURLMcode (*multi_cleanup)(CURLM *multi);
  CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
  CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
  CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
  CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t socket, int events, int *running);
  CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
  CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t socket, void *value);
  struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
  void (*slist_free_all)(struct curl_slist *list);
} tk_curl;

/* The library's functions; NULL with TK_E_UNSUPPORTED, which says what is missing. Any thread. */
const tk_curl *tk_curl_load(tk_err *err);

#endif
