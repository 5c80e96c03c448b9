#include <stddef.h>

#include "base/alloc.h"
#include "engine/parts.h"

tk_request *tk_request_new(uint8_t type, size_t event_count) {
  tk_request *request = tk_malloc(sizeof *request);
  memset(request, 0, offsetof(tk_request, err));
  request->err.code = 0;
  request->err.message[0] = request->err.details[0] = '\0';
  request->message.type = TK_MSG_REPLY;
  request->type = type;
  request->arena.at = request->inline_bytes;
  request->arena.end = request->inline_bytes + sizeof request->inline_bytes;
  request->event_count = event_count;
  request->events = TK_ARENA_ARRAY(&request->arena, tk_event, event_count);
  request->answers = TK_ARENA_ARRAY(&request->arena, struct tk_answer, event_count);
  for (size_t i = 0; i < event_count; i++) request->events[i].step = TK_NO_STEP;
  return request;
}

void tk_request_free(tk_request *request) {
  if (!request) return;
  tk_arena_free(&request->arena);
  tk_free(request);
}
