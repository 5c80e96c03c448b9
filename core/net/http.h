/* HTTP transfers of one thread: curl's multi interface on the thread's loop, so that any number of them go on at once without a
 * thread of their own. It moves bytes; redirects, retries, credentials are its callers' policy.
 *
 * Thread: the loop's owner, all of it. */
#ifndef TK_NET_HTTP_H
#define TK_NET_HTTP_H
#include "base/buf.h"
#include "net/loop.h"

typedef enum tk_http_code {
  TK_HTTP_OK = 0, TK_HTTP_TIMEOUT, TK_HTTP_DNS, TK_HTTP_CONNECT, TK_HTTP_TLS, TK_HTTP_BLOCKED, TK_HTTP_TOO_LARGE, TK_HTTP_PROTOCOL,
  TK_HTTP_INVALID                    /* the request itself cannot be: its URL, a file of its TLS settings */
} tk_http_code;
const char *tk_http_code_name(tk_http_code code);   /* "timeout"; of TK_HTTP_OK NULL */

/* Its connections are kept and reused by later transfers. */
typedef struct tk_http tk_http;

/* `guarded`: connects to public addresses only (guard.h), past any proxy of the environment; its connections are its own.
 * SIGPIPE stays blocked in the calling thread, or, if that is the process's first, is blocked while curl works. */
int tk_http_open(tk_loop *loop, bool guarded, tk_http **out, tk_err *err);
/* Ends what is under way: each transfer's owner is told (`lost`) that it is gone. */
void tk_http_close(tk_http *http);

/* Texts are borrowed until tk_http_start returns, but the body, which is borrowed until the transfer is freed. */
typedef struct tk_http_request {
  const char *method, *url;
  const char *const *headers;        /* "Name: value" */
  size_t header_count;
  bool has_body;
  tk_slice body;
  int64_t timeout_us, connect_timeout_us;   /* of the whole, and of name, connection and TLS; 0: none */
  uint64_t max_body;                 /* bytes, unpacked; more is TK_HTTP_TOO_LARGE. 0: any number */
  bool streamed;                     /* the body is taken in pieces (tk_http_take), and waits when nobody takes it */
  int file;                          /* descriptor that gets the body; -1: none */
  const char *ca_file, *cert_file, *key_file;   /* NULL: the system's, none, none */
  tk_slice ca, cert, key;            /* the same as PEM; empty: none */
  bool no_verify;
} tk_http_request;

typedef struct tk_http_transfer {
  bool done;
  tk_http_code code;
  char message[256];                 /* of a code that is not TK_HTTP_OK */
  long status;
  tk_buf headers;                    /* name, 0, value, 0, ... in the order they came in; of the final answer */
  tk_buf body;                       /* streamed: what nobody took yet */
  double seconds;                    /* from start to end */
  /* Called in the loop's turn when it is done and, streamed, when there is something to take. May free it when it is done. */
  void (*moved)(struct tk_http_transfer *transfer);
  void (*lost)(struct tk_http_transfer *transfer);
  void *context;                     /* the owner's */
} tk_http_transfer;

int tk_http_start(tk_http *http, const tk_http_request *request, tk_http_transfer **out, tk_err *err);
/* Lets go on what waited because nobody took its body: the caller has emptied `body`. */
void tk_http_taken(tk_http_transfer *transfer);
/* Ends it, done or not; nothing of it is called any more. */
void tk_http_free(tk_http_transfer *transfer);

#endif
