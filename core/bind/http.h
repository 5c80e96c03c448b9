/* HTTP transfers as Lua sees them. */
#ifndef TK_BIND_HTTP_H
#define TK_BIND_HTTP_H
#include <lua.h>

/* Pushes the table {start, wait, result, close, is_public}:
 * start(request) -> transfer, or nil and an err: the request's fields are those of tk_http_request, times in seconds, `headers` a list
 *   of "Name: value"; `path` is a file that gets the body; `ca`, `cert`, `key` are PEM or the path of a file.
 * wait(transfer) -> nil when it is done, false when it is not yet (a signal came), else the next piece of a streamed body. In a step it
 *   yields; elsewhere the thread waits.
 * result(transfer) -> status, headers (name, value, ... in order), body, seconds, of the one that is done; or nil, code, message.
 * close(transfer): ends it.
 * is_public(text) -> whether an address as text is a public one; nil: it is none. */
int tk_bind_http(lua_State *L);

#endif
