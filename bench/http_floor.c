/* The floor of bench/http.lua: a server that answers as fast as a thread can, and a bare loop on curl's multi interface that asks it
 * with the bytes that tasker.http would send.
 *
 * usage: http_floor serve                        prints its port, then answers until it is ended
 *        http_floor load URL COUNT CONCURRENT    GETs; requests a second as JSON */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/curl.h"

enum { CONNECTIONS_MAX = 1024, READ_SIZE = 4096, CONCURRENT_MAX = 256 };

static const char answer[] =
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n{\"order_id\":7,\"status\":\"paid\",\"amount\":12}";

static void check(int failed, const char *what) {
  if (!failed) return;
  perror(what);
  exit(EXIT_FAILURE);
}

/* ---- The server: one request a read, as clients that wait for their answers send them ---- */

static void answer_one(int fd) {
  char bytes[READ_SIZE];
  ssize_t size = read(fd, bytes, sizeof bytes);
  if (size <= 0) close(fd);
  else if (size >= 4 && memcmp(bytes + size - 4, "\r\n\r\n", 4) == 0) check(write(fd, answer, sizeof answer - 1) < 0, "write");
}

static void serve(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
  check(listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, CONNECTIONS_MAX), "listen");
  check(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[CONNECTIONS_MAX];
  check(epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event), "epoll");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(poll, events, CONNECTIONS_MAX, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd != listener) {
        answer_one(events[i].data.fd);
        continue;
      }
      int fd = accept(listener, NULL, NULL);
      check(fd < 0, "accept");
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      event.data.fd = fd;
      check(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event), "epoll");
    }
  }
}

/* ---- The loop ---- */

typedef struct transfer { CURL *easy; size_t size; char body[256]; } transfer;

static size_t on_body(char *data, size_t size, size_t count, void *context) {
  transfer *t = context;
  size *= count;
  if (t->size + size <= sizeof t->body) memcpy(t->body + t->size, data, size);
  t->size += size;
  return size;
}

static size_t on_header(char *data, size_t size, size_t count, void *context) {
  (void)data;
  (void)context;
  return size * count;
}

static void start(const tk_curl *curl, CURLM *multi, transfer *t) {
  t->size = 0;
  curl->multi_add_handle(multi, t->easy);
}

static void load(const char *url, long count, int concurrent) {
  static transfer transfers[CONCURRENT_MAX];
  tk_err err;
  const tk_curl *curl = tk_curl_load(&err);
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);   /* the same one; these two are not in tk_curl */
  CURLMcode (*perform)(CURLM *, int *) = library ? dlsym(library, "curl_multi_perform") : NULL;
  CURLMcode (*wait)(CURLM *, struct curl_waitfd *, unsigned, int, int *) = library ? dlsym(library, "curl_multi_poll") : NULL;
  check(!curl || !perform || !wait || concurrent > CONCURRENT_MAX, "libcurl");
  CURLM *multi = curl->multi_init();
  struct curl_slist *headers = curl->slist_append(NULL, "User-Agent: tasker/0.1.0");
  curl->slist_append(headers, "Traceparent: 00-0197f0a4c1d27b3c8a5e6f7081920a3b-1122334455667788-01");
  int64_t begun_us = tk_monotonic_us();
  long begun = 0, done = 0;
  for (; begun < concurrent && begun < count; begun++) {
    transfer *t = &transfers[begun];
    t->easy = curl->easy_init();
    curl->easy_setopt(t->easy, CURLOPT_URL, url);
    curl->easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl->easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, "");
    curl->easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl->easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    start(curl, multi, t);
  }
  while (done < count) {
    int running, left;
    perform(multi, &running);
    for (CURLMsg *message; (message = curl->multi_info_read(multi, &left));) {
      transfer *t;
      check(message->data.result != CURLE_OK, "transfer");
      curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
      curl->multi_remove_handle(multi, t->easy);
      done++;
      if (begun++ < count) start(curl, multi, t);
    }
    if (done < count) wait(multi, NULL, 0, 1000, NULL);
  }
  double seconds = (double)(tk_monotonic_us() - begun_us) / 1e6;
  printf("{\"requests_per_second\":%.0f,\"seconds\":%.3f}\n", (double)count / seconds, seconds);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "serve") == 0) serve();
  if (argc == 5 && strcmp(argv[1], "load") == 0) {
    load(argv[2], atol(argv[3]), atoi(argv[4]));
    return EXIT_SUCCESS;
  }
  fprintf(stderr, "usage: http_floor serve | load URL COUNT CONCURRENT\n");
  return 2;
}
