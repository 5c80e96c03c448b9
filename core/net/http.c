#include "net/http.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "net/curl.h"
#include "net/guard.h"

#define STREAM_ROOM (256 * 1024)    /* bytes that wait for who takes them, before the peer has to */
#define MAX_CONNECTIONS 1024        /* kept by one thread */
#define MAX_PER_HOST 256
#define SPARE_HANDLES 256           /* kept by one thread, with what all requests have in common set */

struct tk_http {
  const tk_curl *curl;
  CURLM *multi;
  tk_loop *loop;
  tk_loop_timer timer;
  bool guarded;
  bool borrows_thread;              /* the process's first thread: SIGPIPE is its own affair outside of curl */
  bool encrypts;                    /* some connection may be encrypted: OpenSSL writes to it, with signals; curl itself never does */
  struct transfer *transfers;
  tk_map sockets;                   /* descriptor -> polled, of those that open_socket made */
  CURL *spare[SPARE_HANDLES];
  size_t spare_count;
};

typedef struct transfer {
  tk_http_transfer public;
  struct transfer *next, **place;   /* of http->transfers */
  tk_http *http;
  CURL *easy;
  struct curl_slist *headers;
  uint64_t max_body, received;
  bool streamed, paused, too_large, blocked;
  bool plain;                       /* its handle has nothing that another request would not have */
  int file, file_error;
  int64_t started_us;
} transfer;

/* A socket that curl waits for. What open_socket made stays watched between requests, as its connection stays open; when something comes
 * that nobody waits for, the watching ends until somebody does. */
typedef struct polled {
  uv_poll_t uv;
  tk_http *http;
  curl_socket_t socket;
  int events;                       /* watched; 0: not */
  bool kept, wanted;                /* made by open_socket; curl waits for it */
} polled;

const char *tk_http_code_name(tk_http_code code) {
  static const char *const names[] = {NULL, "timeout", "dns", "connect", "tls", "blocked", "too_large", "protocol", "invalid"};
  return names[code];
}

/* ---- Driving curl ---- */

static void finish(transfer *t, CURLcode result);

/* curl and OpenSSL write to sockets whose peer may be gone. */
static void block_pipe(sigset_t *old) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, old);
}

static void restore_pipe(const sigset_t *old) {
  static const struct timespec now = {0, 0};
  sigset_t pipe;
  if (sigismember(old, SIGPIPE)) return;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  while (sigtimedwait(&pipe, NULL, &now) > 0) continue;
  pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void drive(tk_http *http, curl_socket_t socket, int events) {
  int running, left;
  sigset_t old;
  bool unblocks = http->borrows_thread && http->encrypts;
  if (unblocks) block_pipe(&old);
  http->curl->multi_socket_action(http->multi, socket, events, &running);
  if (unblocks) restore_pipe(&old);
  for (CURLMsg *message; (message = http->curl->multi_info_read(http->multi, &left));) {
    transfer *t;
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result;
    http->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    finish(t, result);
  }
}

static void on_timer(tk_loop_timer *timer) {
  drive((tk_http *)((char *)timer - offsetof(tk_http, timer)), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *context) {
  tk_http *http = context;
  (void)multi;
  if (ms < 0) tk_loop_unset(http->loop, &http->timer);
  else tk_loop_set(http->loop, &http->timer, tk_monotonic_us() + (int64_t)ms * 1000);
  return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events) {
  polled *p = (polled *)poll;
  if (!p->wanted) {
    uv_poll_stop(&p->uv);
    p->events = 0;
    return;
  }
  int what = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) what |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
  drive(p->http, p->socket, what);
}

static void free_polled(uv_handle_t *handle) { tk_free(handle); }

static polled *new_polled(tk_http *http, curl_socket_t socket, bool kept) {
  polled *p = tk_calloc(1, sizeof *p);
  p->http = http;
  p->socket = socket;
  p->kept = kept;
  if (!uv_poll_init_socket(tk_loop_uv(http->loop), &p->uv, socket)) return p;
  tk_free(p);
  return NULL;
}

/* A loop does not go on for what nobody waits for. */
static void set_wanted(polled *p, bool wanted) {
  p->wanted = wanted;
  if (wanted) uv_ref((uv_handle_t *)&p->uv);
  else uv_unref((uv_handle_t *)&p->uv);
}

static uint64_t socket_key(curl_socket_t socket) { return (uint64_t)socket + 1; }

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *watched) {
  tk_http *http = context;
  polled *p = watched;
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    if (p && p->kept) set_wanted(p, false);
    else if (p) uv_close((uv_handle_t *)&p->uv, free_polled);
    http->curl->multi_assign(http->multi, socket, NULL);
    return 0;
  }
  if (!p) {
    p = tk_map_get(&http->sockets, socket_key(socket));
    if (!p) p = new_polled(http, socket, false);   /* of curl's own making: the resolver's */
    if (!p) return -1;
    http->curl->multi_assign(http->multi, socket, p);
  }
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  set_wanted(p, true);
  if (p->events == events) return 0;
  p->events = events;
  return uv_poll_start(&p->uv, events, on_socket) ? -1 : 0;
}

static void forget_socket(tk_http *http, curl_socket_t socket) {
  polled *p = tk_map_remove(&http->sockets, socket_key(socket));
  if (p) uv_close((uv_handle_t *)&p->uv, free_polled);
}

static int close_socket(void *context, curl_socket_t socket) {
  forget_socket(context, socket);
  return close(socket);
}

/* http:// through a proxy that is reached by https:// is encrypted too. */
static bool has_proxy(void) { return getenv("http_proxy") || getenv("all_proxy") || getenv("ALL_PROXY"); }

int tk_http_open(tk_loop *loop, bool guarded, tk_http **out, tk_err *err) {
  const tk_curl *curl = tk_curl_load(err);
  if (!curl) return err->code;
  tk_http *http = tk_calloc(1, sizeof *http);
  http->curl = curl;
  http->loop = loop;
  http->guarded = guarded;
  http->timer.fire = on_timer;
  http->borrows_thread = gettid() == getpid();
  http->encrypts = !guarded && has_proxy();
  http->multi = curl->multi_init();
  if (!http->multi) {
    tk_free(http);
    return tk_err_set(err, TK_E_IO, "HTTP: no memory for connections");
  }
  curl->multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl->multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
  curl->multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl->multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
  curl->multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS);
  curl->multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)MAX_PER_HOST);
  sigset_t old;
  if (!http->borrows_thread) block_pipe(&old);
  *out = http;
  return 0;
}

void tk_http_close(tk_http *http) {
  sigset_t old;
  if (!http) return;
  while (http->transfers) {
    tk_http_transfer *transfer = &http->transfers->public;
    transfer->lost(transfer);
    tk_http_free(transfer);
  }
  block_pipe(&old);
  for (size_t i = 0; i < http->spare_count; i++) http->curl->easy_cleanup(http->spare[i]);
  http->curl->multi_cleanup(http->multi);   /* says goodbye on TLS connections */
  restore_pipe(&old);
  tk_map_free(&http->sockets);
  tk_loop_unset(http->loop, &http->timer);
  tk_free(http);
}

/* ---- What comes in ---- */

static size_t on_header(char *data, size_t size, size_t count, void *context) {
  transfer *t = context;
  size *= count;
  if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {   /* of the next answer: what came before was an interim one */
    tk_buf_clear(&t->public.headers);
    return size;
  }
  const char *colon = memchr(data, ':', size), *end = data + size;
  if (!colon || colon == data) return size;
  const char *from = colon + 1;
  while (from < end && (*from == ' ' || *from == '\t')) from++;
  while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t')) end--;
  tk_buf_append(&t->public.headers, data, (size_t)(colon - data));
  tk_buf_u8(&t->public.headers, 0);
  tk_buf_append(&t->public.headers, from, (size_t)(end - from));
  tk_buf_u8(&t->public.headers, 0);
  return size;
}

static bool write_file(transfer *t, const char *data, size_t size) {
  while (size) {
    ssize_t written = write(t->file, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      t->file_error = errno;
      return false;
    }
    data += written;
    size -= (size_t)written;
  }
  return true;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
  transfer *t = context;
  size *= count;
  if (t->streamed && t->public.body.size >= STREAM_ROOM) {
    t->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (t->max_body && size > t->max_body - t->received) {
    t->too_large = true;
    return 0;
  }
  t->received += size;
  if (t->file >= 0) return write_file(t, data, size) ? size : 0;
  bool first = t->public.body.size == 0;
  tk_buf_append(&t->public.body, data, size);
  if (t->streamed && first) t->public.moved(&t->public);
  return size;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  transfer *t = context;
  (void)purpose;
  if (t->http->guarded && !tk_address_is_public(&address->addr)) {
    t->blocked = true;
    return CURL_SOCKET_BAD;
  }
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  forget_socket(t->http, fd);   /* of one that was closed by other means than close_socket */
  polled *p = new_polled(t->http, fd, true);
  if (p) tk_map_put(&t->http->sockets, socket_key(fd), p);
  return fd;
}

/* ---- How it ended ---- */

static tk_http_code code_of(const transfer *t, CURLcode result) {
  if (t->too_large) return TK_HTTP_TOO_LARGE;
  switch (result) {
    case CURLE_OK: return TK_HTTP_OK;
    case CURLE_OPERATION_TIMEDOUT: return TK_HTTP_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return TK_HTTP_DNS;
    case CURLE_COULDNT_CONNECT: return t->blocked ? TK_HTTP_BLOCKED : TK_HTTP_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: return TK_HTTP_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_FUNCTION_ARGUMENT: return TK_HTTP_INVALID;
    case CURLE_WRITE_ERROR: return t->file_error ? TK_HTTP_INVALID : TK_HTTP_PROTOCOL;
    default: return TK_HTTP_PROTOCOL;
  }
}

static void tell_why(transfer *t, CURLcode result) {
  tk_http_transfer *p = &t->public;
  char detail[CURL_ERROR_SIZE];
  snprintf(detail, sizeof detail, "%s", *p->message ? p->message : t->http->curl->easy_strerror(result));
  if (t->too_large) snprintf(p->message, sizeof p->message, "the body is larger than %llu bytes", (unsigned long long)t->max_body);
  else if (p->code == TK_HTTP_BLOCKED) snprintf(p->message, sizeof p->message, "the address is not a public one");
  else if (t->file_error) snprintf(p->message, sizeof p->message, "cannot write the body: %s", strerror(t->file_error));
  else snprintf(p->message, sizeof p->message, "%.200s", detail);
}

static void finish(transfer *t, CURLcode result) {
  const tk_curl *curl = t->http->curl;
  curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->public.status);
  t->public.seconds = (double)(tk_monotonic_us() - t->started_us) / 1e6;
  t->public.code = code_of(t, result);
  if (t->public.code) tell_why(t, result);
  t->public.done = true;
  t->public.moved(&t->public);
}

/* ---- What goes out ---- */

static void set_blob(const tk_curl *curl, CURL *easy, CURLoption option, tk_slice pem) {
  struct curl_blob blob = {(void *)pem.data, pem.size, CURL_BLOB_COPY};
  if (pem.size) curl->easy_setopt(easy, option, &blob);
}

static void set_tls(const tk_curl *curl, CURL *easy, const tk_http_request *r) {
  if (r->ca_file) curl->easy_setopt(easy, CURLOPT_CAINFO, r->ca_file);
  if (r->cert_file) curl->easy_setopt(easy, CURLOPT_SSLCERT, r->cert_file);
  if (r->key_file) curl->easy_setopt(easy, CURLOPT_SSLKEY, r->key_file);
  set_blob(curl, easy, CURLOPT_CAINFO_BLOB, r->ca);
  set_blob(curl, easy, CURLOPT_SSLCERT_BLOB, r->cert);
  set_blob(curl, easy, CURLOPT_SSLKEY_BLOB, r->key);
  if (!r->no_verify) return;
  curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
}

static long milliseconds(int64_t us) { return us > 0 ? (long)((us + 999) / 1000) : 0; }

/* The handle is new, or was a GET. */
static void set_method(const tk_curl *curl, CURL *easy, const tk_http_request *r) {
  bool head = strcmp(r->method, "HEAD") == 0;
  if (!r->has_body && strcmp(r->method, "GET") == 0) return;
  if (r->has_body) {
    curl->easy_setopt(easy, CURLOPT_POSTFIELDS, r->body.size ? r->body.data : "");
    curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.size);
  }
  if (head) curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

/* A handle with what all requests have in common. */
static CURL *take_handle(tk_http *http) {
  const tk_curl *curl = http->curl;
  if (http->spare_count) return http->spare[--http->spare_count];
  CURL *easy = curl->easy_init();
  if (!easy) return NULL;
  curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);   /* an end does not wait for the resolver */
  curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl->easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  curl->easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  curl->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http);
  if (http->guarded) curl->easy_setopt(easy, CURLOPT_PROXY, "");
  return easy;
}

static void give_handle(transfer *t) {
  tk_http *http = t->http;
  const tk_curl *curl = http->curl;
  if (!t->plain || http->spare_count == SPARE_HANDLES) {
    curl->easy_cleanup(t->easy);
    return;
  }
  curl->easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
  curl->easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
  http->spare[http->spare_count++] = t->easy;
}

/* Bodies, methods, certificates and credentials in the address stay with the handle that had them. */
static bool is_plain(const tk_http_request *r) {
  return !r->has_body && strcmp(r->method, "GET") == 0 && !r->no_verify && !r->ca_file && !r->cert_file && !r->key_file && !r->ca.size &&
         !r->cert.size && !r->key.size && !strchr(r->url, '@');
}

static void set_options(transfer *t, const tk_http_request *r) {
  const tk_curl *curl = t->http->curl;
  CURL *easy = t->easy;
  curl->easy_setopt(easy, CURLOPT_PRIVATE, t);
  curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, t->public.message);
  curl->easy_setopt(easy, CURLOPT_URL, r->url);
  curl->easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
  curl->easy_setopt(easy, CURLOPT_HEADERDATA, t);
  curl->easy_setopt(easy, CURLOPT_WRITEDATA, t);
  curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
  curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(r->timeout_us));
  curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(r->connect_timeout_us));
  set_method(curl, easy, r);
  set_tls(curl, easy, r);
}

static bool has_header(const tk_http_request *r, const char *name) {
  size_t size = strlen(name);
  for (size_t i = 0; i < r->header_count; i++)
    if (strncasecmp(r->headers[i], name, size) == 0 && r->headers[i][size] == ':') return true;
  return false;
}

static void add_header(transfer *t, const char *text) {
  struct curl_slist *grown = t->http->curl->slist_append(t->headers, text);
  if (grown) t->headers = grown;
}

int tk_http_start(tk_http *http, const tk_http_request *r, tk_http_transfer **out, tk_err *err) {
  transfer *t = tk_calloc(1, sizeof *t);
  t->http = http;
  t->easy = take_handle(http);
  if (!t->easy) {
    tk_free(t);
    return tk_err_set(err, TK_E_IO, "HTTP: no memory for a request");
  }
  t->max_body = r->max_body ? r->max_body : UINT64_MAX;
  t->streamed = r->streamed;
  t->plain = is_plain(r);
  http->encrypts = http->encrypts || strncasecmp(r->url, "http:", 5) != 0;
  t->file = r->file;
  for (size_t i = 0; i < r->header_count; i++) add_header(t, r->headers[i]);
  add_header(t, "Expect:");   /* a round trip more, which many servers do not know */
  if (r->has_body && !has_header(r, "content-type")) add_header(t, "Content-Type:");
  set_options(t, r);
  t->started_us = tk_monotonic_us();
  t->next = http->transfers;
  t->place = &http->transfers;
  if (t->next) t->next->place = &t->next;
  http->transfers = t;
  CURLMcode code = http->curl->multi_add_handle(http->multi, t->easy);
  *out = &t->public;
  if (!code) return 0;
  tk_http_free(*out);
  return tk_err_set(err, TK_E_IO, "HTTP: a request cannot be started (%d)", (int)code);
}

void tk_http_taken(tk_http_transfer *public) {
  transfer *t = (transfer *)public;
  if (!t->paused || public->done) return;
  t->paused = false;
  t->http->curl->easy_pause(t->easy, CURLPAUSE_CONT);
}

void tk_http_free(tk_http_transfer *public) {
  transfer *t = (transfer *)public;
  if (!t) return;
  sigset_t old;
  bool unblocks = t->http->borrows_thread && t->http->encrypts;
  if (unblocks) block_pipe(&old);
  t->http->curl->multi_remove_handle(t->http->multi, t->easy);
  give_handle(t);
  if (unblocks) restore_pipe(&old);
  t->http->curl->slist_free_all(t->headers);
  *t->place = t->next;
  if (t->next) t->next->place = t->place;
  tk_buf_free(&public->headers);
  tk_buf_free(&public->body);
  tk_free(t);
}
