#include "model/graph.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "bounds.h"

#define GRAPH_VERSION 3   /* 1 had no kinds, joins, cases; 2 no maps, children and limits */

/* One block: the graph, its steps, the edges both ways, the name index, retry lists, and the texts. */
typedef struct graph_block {
  tk_graph graph;
  uint32_t *by_name;   /* step indexes sorted by name */
} graph_block;

static size_t aligned(size_t n) { return (n + 15) & ~(size_t)15; }

static size_t block_size(const tk_graph *from) {
  size_t n = from->step_count, edges = 0, lists = 0, cases = 0, members = 0, limits = 0,
         text = from->ns.size + from->name.size + from->version.size + from->queue.size;
  for (size_t i = 0; i < n; i++) {
    const tk_graph_step *s = &from->steps[i];
    edges += s->dep_count;
    lists += s->retry.backoff == TK_BACKOFF_LIST ? s->retry.list_count : 0;
    text += s->name.size + s->queue.size + s->signal.size + s->child.size;
    cases += s->case_count;
    limits += s->limit_count;
    for (uint32_t l = 0; l < s->limit_count; l++) text += s->limits[l].name.size;
    for (uint32_t c = 0; c < s->case_count; c++) {
      members += s->cases[c].count;
      text += s->cases[c].name.size;
    }
  }
  return aligned(sizeof(graph_block)) + aligned(n * sizeof(tk_graph_step)) + aligned(edges * 2 * sizeof(uint32_t)) +
         aligned(n * sizeof(uint32_t)) + aligned(lists * sizeof(double)) + aligned(cases * sizeof(tk_graph_case)) +
         aligned(members * sizeof(uint32_t)) + aligned(limits * sizeof(tk_graph_limit)) + text;
}

typedef struct cursor { char *at; } cursor;
static void *take(cursor *c, size_t size) {
  void *p = c->at;
  c->at += aligned(size);
  return p;
}
static tk_slice take_text(char **at, tk_slice text) {
  if (text.size) memcpy(*at, text.data, text.size);
  tk_slice copy = tk_slice_of(*at, text.size);
  *at += text.size;
  return copy;
}

static int compare_names(const void *a, const void *b, void *context) {
  const tk_graph_step *steps = context;
  tk_slice x = steps[*(const uint32_t *)a].name, y = steps[*(const uint32_t *)b].name;
  int c = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
  return c ? c : (x.size > y.size) - (x.size < y.size);
}

/* Kahn's algorithm over the derived edges: names a step of a cycle when not every step can be reached. */
static int refuse_cycles(const tk_graph *g, tk_err *err) {
  uint32_t n = g->step_count, *left = tk_calloc(n, sizeof *left), *queue = tk_calloc(n, sizeof *queue), head = 0, tail = 0;
  for (uint32_t i = 0; i < n; i++) {
    left[i] = g->steps[i].dep_count;
    if (!left[i]) queue[tail++] = i;
  }
  while (head < tail) {
    const tk_graph_step *s = &g->steps[queue[head++]];
    for (uint32_t i = 0; i < s->out_count; i++)
      if (!--left[s->outs[i]]) queue[tail++] = s->outs[i];
  }
  int code = TK_OK;
  for (uint32_t i = 0; i < n && tail < n; i++)
    if (left[i]) {
      code =
          tk_err_set(err, TK_E_INVALID, "handler %.*s/%.*s: step '%.*s' depends on itself through other steps", (int)g->ns.size,
                     g->ns.data, (int)g->name.size, g->name.data, (int)g->steps[i].name.size, g->steps[i].name.data);
      break;
    }
  tk_free(left);
  tk_free(queue);
  return code;
}

static int check_machine(const tk_graph *from, tk_err *err) {
  if (from->initial > from->step_count) return tk_err_set(err, TK_E_INVALID, "a machine begins with one of its states");
  for (uint32_t i = 0; i < from->step_count; i++) {
    const tk_graph_step *s = &from->steps[i];
    bool goes_on = s->case_count || (s->flags & (TK_GRAPH_FINAL | TK_GRAPH_FINAL_ERROR)) || s->kind == TK_KIND_RUN;
    if (s->dep_count || s->limit_count || (s->flags & TK_GRAPH_MAP) || s->after > from->step_count || !goes_on || s->kind == TK_KIND_SWITCH)
      return tk_err_set(err, TK_E_INVALID, "step %u: no state of a machine is like this", i);
    if (s->after && from->steps[s->after - 1].kind != TK_KIND_SLEEP)
      return tk_err_set(err, TK_E_INVALID, "step %u: what ends it is no sleep", i);
  }
  return TK_OK;
}

static int check_shape(const tk_graph *from, tk_err *err) {
  if (from->step_count < 1 || from->step_count > TK_LIMIT_STEPS)
    return tk_err_set(err, TK_E_INVALID, "a handler has 1 to %d steps, not %u", TK_LIMIT_STEPS, from->step_count);
  for (uint32_t i = 0; i < from->step_count; i++) {
    const tk_graph_step *s = &from->steps[i];
    for (uint32_t d = 0; d < s->dep_count; d++)
      if (s->deps[d] >= from->step_count || (d && s->deps[d] <= s->deps[d - 1]))
        return tk_err_set(err, TK_E_INVALID, "step %u: dependencies are ascending indexes of steps", i);
    if (s->kind >= TK_KIND_COUNT || s->join > TK_JOIN_ALL_DONE ||
        (s->kind == TK_KIND_APPROVAL && !(s->flags & TK_GRAPH_ASK)) ||
        (s->join == TK_JOIN_COUNT && (s->join_count < 1 || s->join_count > s->dep_count)))
      return tk_err_set(err, TK_E_INVALID, "step %u: no such kind or join", i);
    bool maps = s->kind == TK_KIND_RUN || s->kind == TK_KIND_CHILD;
    if ((s->flags & TK_GRAPH_MAP) && (!maps || !(s->flags & TK_GRAPH_ASK) || !(s->map_failures >= 0)))
      return tk_err_set(err, TK_E_INVALID, "step %u: a map asks for its list, runs, and some of it may fail", i);
    if (s->kind == TK_KIND_CHILD && (!s->child.size || !(s->flags & TK_GRAPH_ASK)))
      return tk_err_set(err, TK_E_INVALID, "step %u: a child is named and asked for", i);
    for (uint32_t c = 0; c < s->case_count; c++)
      for (uint32_t k = 0; k < s->cases[c].count; k++)
        if (s->cases[c].steps[k] >= from->step_count) return tk_err_set(err, TK_E_INVALID, "step %u: a case names no step", i);
    if (s->limit_count > TK_LIMIT_STEP_LIMITS || (s->limit_count && s->kind != TK_KIND_RUN))
      return tk_err_set(err, TK_E_INVALID, "step %u: a step that runs has at most %d limits", i, TK_LIMIT_STEP_LIMITS);
    if (!from->initial && (s->kind == TK_KIND_PASS || s->after))
      return tk_err_set(err, TK_E_INVALID, "step %u: only a machine has such", i);
  }
  if (from->initial) return check_machine(from, err);
  return TK_OK;
}

static void derive_outs(tk_graph *g, uint32_t *outs) {
  for (uint32_t i = 0; i < g->step_count; i++)
    for (uint32_t d = 0; d < g->steps[i].dep_count; d++) g->steps[g->steps[i].deps[d]].out_count++;
  for (uint32_t i = 0; i < g->step_count; i++) {
    g->steps[i].outs = outs;
    outs += g->steps[i].out_count;
    g->steps[i].out_count = 0;
  }
  for (uint32_t i = 0; i < g->step_count; i++)
    for (uint32_t d = 0; d < g->steps[i].dep_count; d++) {
      tk_graph_step *dep = &g->steps[g->steps[i].deps[d]];
      ((uint32_t *)dep->outs)[dep->out_count++] = i;
      if (g->steps[i].join == TK_JOIN_ALL_DONE) dep->ends_matter = true;
    }
}

typedef struct case_room { tk_graph_case *cases; uint32_t *members; } case_room;

static case_room take_case_room(cursor *c, const tk_graph *from) {
  size_t cases = 0, members = 0;
  for (uint32_t i = 0; i < from->step_count; i++) {
    cases += from->steps[i].case_count;
    for (uint32_t k = 0; k < from->steps[i].case_count; k++) members += from->steps[i].cases[k].count;
  }
  case_room room;
  room.cases = take(c, cases * sizeof *room.cases);
  room.members = take(c, members * sizeof *room.members);
  return room;
}

static void copy_cases(tk_graph_step *to, const tk_graph_step *from, case_room *room, char **text) {
  to->cases = room->cases;
  for (uint32_t k = 0; k < from->case_count; k++) {
    tk_graph_case *c = room->cases++;
    c->name = take_text(text, from->cases[k].name);
    c->count = from->cases[k].count;
    c->steps = room->members;
    if (c->count) memcpy(room->members, from->cases[k].steps, c->count * sizeof *room->members);
    room->members += c->count;
  }
}

static tk_graph_limit *take_limit_room(cursor *c, const tk_graph *from) {
  size_t count = 0;
  for (uint32_t i = 0; i < from->step_count; i++) count += from->steps[i].limit_count;
  return take(c, count * sizeof(tk_graph_limit));
}

static void copy_limits(tk_graph_step *to, const tk_graph_step *from, tk_graph_limit **room, char **text) {
  to->limits = *room;
  for (uint32_t i = 0; i < from->limit_count; i++) {
    tk_graph_limit *limit = (*room)++;
    *limit = from->limits[i];
    limit->name = take_text(text, limit->name);
    limit->no = 0;
  }
}

int tk_graph_build(const tk_graph *from, tk_graph **out, tk_err *err) {
  int code = check_shape(from, err);
  if (code) return code;
  uint32_t n = from->step_count;
  size_t edges = 0;
  for (uint32_t i = 0; i < n; i++) edges += from->steps[i].dep_count;
  cursor c = {tk_calloc(1, block_size(from))};
  graph_block *block = take(&c, sizeof *block);
  tk_graph *g = &block->graph;
  *g = *from;
  g->step_queues = g->signals = g->limited = g->numbered = g->compensates = false;
  g->grows = g->initial;
  g->memory = block;
  g->steps = take(&c, n * sizeof *g->steps);
  uint32_t *edge = take(&c, edges * 2 * sizeof *edge);
  block->by_name = take(&c, n * sizeof *block->by_name);
  size_t lists = 0;
  for (uint32_t i = 0; i < n; i++) lists += from->steps[i].retry.backoff == TK_BACKOFF_LIST ? from->steps[i].retry.list_count : 0;
  double *list = take(&c, lists * sizeof *list);
  case_room room = take_case_room(&c, from);
  tk_graph_limit *limits = take_limit_room(&c, from);
  char *text = c.at;
  g->ns = take_text(&text, from->ns);
  g->name = take_text(&text, from->name);
  g->version = take_text(&text, from->version);
  g->queue = take_text(&text, from->queue);
  for (uint32_t i = 0; i < n; i++) {
    const tk_graph_step *f = &from->steps[i];
    tk_graph_step *s = &g->steps[i];
    *s = *f;
    s->name = take_text(&text, f->name);
    s->queue = take_text(&text, f->queue);
    s->queue_no = 0;
    s->signal = take_text(&text, f->signal);
    s->child = take_text(&text, f->child);
    copy_cases(s, f, &room, &text);
    copy_limits(s, f, &limits, &text);
    g->limited = g->limited || s->limit_count;
    s->ends_matter = false;
    g->signals = g->signals || s->kind == TK_KIND_SIGNAL;
    g->compensates = g->compensates || (s->flags & TK_GRAPH_COMPENSATES);
    g->grows = g->grows || (s->flags & (TK_GRAPH_COMPENSATES | TK_GRAPH_MAP | TK_GRAPH_NOTIFIES));
    g->step_queues = g->step_queues || s->queue.size;
    if (f->dep_count) memcpy(edge, f->deps, f->dep_count * sizeof *edge);
    s->deps = edge;
    edge += f->dep_count;
    s->outs = NULL;
    s->out_count = 0;
    s->retry.list = NULL;
    if (f->retry.backoff == TK_BACKOFF_LIST && f->retry.list_count) {
      memcpy(list, f->retry.list, f->retry.list_count * sizeof *list);
      s->retry.list = list;
      list += f->retry.list_count;
    }
    block->by_name[i] = i;
  }
  derive_outs(g, edge);
  for (uint32_t i = 0; i < n; i++) g->steps[i].after_of = 0;
  for (uint32_t i = 0; i < n; i++)
    if (g->steps[i].after) g->steps[g->steps[i].after - 1].after_of = i + 1;
  qsort_r(block->by_name, n, sizeof *block->by_name, compare_names, g->steps);
  if ((code = refuse_cycles(g, err))) {
    tk_graph_free(g);
    return code;
  }
  *out = g;
  return TK_OK;
}

void tk_graph_free(tk_graph *graph) {
  if (graph) tk_free(graph->memory);
}

int64_t tk_graph_find(const tk_graph *graph, tk_slice name) {
  const uint32_t *by_name = ((const graph_block *)graph->memory)->by_name;
  uint32_t low = 0, high = graph->step_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    tk_slice at = graph->steps[by_name[middle]].name;
    int c = memcmp(at.data, name.data, at.size < name.size ? at.size : name.size);
    if (!c) c = (at.size > name.size) - (at.size < name.size);
    if (!c) return by_name[middle];
    if (c < 0) low = middle + 1;
    else high = middle;
  }
  return -1;
}

static void encode_retry(const tk_retry *r, tk_buf *out) {
  tk_buf_varint(out, r->limit);
  tk_buf_varint(out, r->lost_limit);
  tk_buf_u8(out, r->backoff);
  tk_buf_u8(out, r->jitter);
  tk_buf_f64le(out, r->base);
  tk_buf_f64le(out, r->factor);
  tk_buf_f64le(out, r->cap);
  tk_buf_f64le(out, r->fraction);
  uint32_t count = r->backoff == TK_BACKOFF_LIST ? r->list_count : 0;
  tk_buf_varint(out, count);
  for (uint32_t i = 0; i < count; i++) tk_buf_f64le(out, r->list[i]);
}

static void encode_map(const tk_graph_step *s, tk_buf *out) {
  if (!(s->flags & TK_GRAPH_MAP)) return;
  tk_buf_varint(out, s->map_parallel);
  tk_buf_f64le(out, s->map_failures);
}

static void encode_kind(const tk_graph_step *s, tk_buf *out) {
  tk_buf_u8(out, s->kind);
  tk_buf_u8(out, s->join);
  tk_buf_varint(out, s->join_count);
  tk_buf_svarint(out, s->sleep_us);
  tk_buf_bytes(out, s->signal);
  tk_buf_varint(out, s->case_count);
  for (uint32_t c = 0; c < s->case_count; c++) {
    tk_buf_bytes(out, s->cases[c].name);
    tk_buf_varint(out, s->cases[c].count);
    for (uint32_t k = 0; k < s->cases[c].count; k++) tk_buf_varint(out, s->cases[c].steps[k]);
  }
}

static void encode_limits(const tk_graph_step *s, tk_buf *out) {
  tk_buf_varint(out, s->limit_count);
  for (uint32_t i = 0; i < s->limit_count; i++) {
    tk_buf_bytes(out, s->limits[i].name);
    tk_buf_varint(out, s->limits[i].cost);
    tk_buf_u8(out, s->limits[i].keyed);
  }
}

/* The layout of GRAPH_VERSION. To change it: raise the version, keep reading the earlier ones, add their bytes to the fixtures.
 */
void tk_graph_encode(const tk_graph *g, tk_buf *out) {
  tk_buf_u8(out, GRAPH_VERSION);
  tk_buf_bytes(out, g->ns);
  tk_buf_bytes(out, g->name);
  tk_buf_bytes(out, g->version);
  tk_buf_bytes(out, g->queue);
  tk_buf_svarint(out, g->priority);
  tk_buf_varint(out, g->max_parallel);
  tk_buf_svarint(out, g->timeout_us);
  tk_buf_varint(out, g->initial);
  tk_buf_varint(out, g->step_count);
  for (uint32_t i = 0; i < g->step_count; i++) {
    const tk_graph_step *s = &g->steps[i];
    tk_buf_bytes(out, s->name);
    tk_buf_varint(out, s->dep_count);
    for (uint32_t d = 0; d < s->dep_count; d++) tk_buf_varint(out, s->deps[d]);
    tk_buf_varint(out, s->flags);
    encode_retry(&s->retry, out);
    tk_buf_svarint(out, s->timeout_us);
    tk_buf_svarint(out, s->heartbeat_timeout_us);
    tk_buf_bytes(out, s->queue);
    encode_kind(s, out);
    encode_map(s, out);
    if (s->kind == TK_KIND_CHILD) tk_buf_bytes(out, s->child);
    encode_limits(s, out);
    if (g->initial) tk_buf_varint(out, s->after);
  }
}

static void decode_retry(tk_reader *r, tk_retry *retry, tk_arena *arena) {
  retry->limit = (uint32_t)tk_read_varint(r);
  retry->lost_limit = (uint32_t)tk_read_varint(r);
  retry->backoff = tk_read_u8(r);
  retry->jitter = tk_read_u8(r);
  retry->base = tk_read_f64le(r);
  retry->factor = tk_read_f64le(r);
  retry->cap = tk_read_f64le(r);
  retry->fraction = tk_read_f64le(r);
  uint64_t count = tk_read_varint(r);
  if (count > tk_reader_left(r) / 8 || retry->backoff > TK_BACKOFF_CUSTOM || retry->jitter > TK_JITTER_FRACTION) {
    r->bad = true;
    return;
  }
  double *list = TK_ARENA_ARRAY(arena, double, count);
  for (uint64_t i = 0; i < count; i++) list[i] = tk_read_f64le(r);
  retry->list = list;
  retry->list_count = (uint32_t)count;
}

static void decode_kind(tk_reader *r, tk_graph_step *s, tk_arena *arena) {
  s->kind = tk_read_u8(r);
  s->join = tk_read_u8(r);
  s->join_count = (uint32_t)tk_read_varint(r);
  s->sleep_us = tk_read_svarint(r);
  s->signal = tk_read_bytes(r);
  uint64_t cases = tk_read_varint(r);
  if (cases > tk_reader_left(r)) {
    r->bad = true;
    return;
  }
  tk_graph_case *list = TK_ARENA_ARRAY(arena, tk_graph_case, cases);
  for (uint64_t c = 0; c < cases && !r->bad; c++) {
    list[c].name = tk_read_bytes(r);
    uint64_t count = tk_read_varint(r);
    if (count > tk_reader_left(r)) {
      r->bad = true;
      return;
    }
    uint32_t *members = TK_ARENA_ARRAY(arena, uint32_t, count);
    for (uint64_t k = 0; k < count; k++) members[k] = (uint32_t)tk_read_varint(r);
    list[c].steps = members;
    list[c].count = (uint32_t)count;
  }
  s->cases = list;
  s->case_count = (uint32_t)cases;
}

static void decode_limits(tk_reader *r, tk_graph_step *s, tk_arena *arena) {
  uint64_t count = tk_read_varint(r);
  if (count > TK_LIMIT_STEP_LIMITS) {
    r->bad = true;
    return;
  }
  tk_graph_limit *list = TK_ARENA_ARRAY(arena, tk_graph_limit, count);
  for (uint64_t i = 0; i < count; i++) {
    list[i].name = tk_read_bytes(r);
    list[i].cost = (uint32_t)tk_read_varint(r);
    list[i].keyed = tk_read_u8(r);
    if (!list[i].cost || !list[i].name.size) r->bad = true;
  }
  s->limits = list;
  s->limit_count = (uint32_t)count;
}

static void decode_step(tk_reader *r, tk_graph_step *s, tk_arena *arena, uint8_t version, bool machine) {
  s->name = tk_read_bytes(r);
  uint64_t deps = tk_read_varint(r);
  if (deps > tk_reader_left(r)) {
    r->bad = true;
    return;
  }
  uint32_t *dep = TK_ARENA_ARRAY(arena, uint32_t, deps);
  for (uint64_t d = 0; d < deps; d++) dep[d] = (uint32_t)tk_read_varint(r);
  s->deps = dep;
  s->dep_count = (uint32_t)deps;
  s->flags = (uint32_t)tk_read_varint(r);
  decode_retry(r, &s->retry, arena);
  s->timeout_us = tk_read_svarint(r);
  s->heartbeat_timeout_us = tk_read_svarint(r);
  s->queue = tk_read_bytes(r);
  if (version >= 2) decode_kind(r, s, arena);
  if (version < 3) s->flags &= ~(uint32_t)TK_GRAPH_MAP;
  if (s->flags & TK_GRAPH_MAP) {
    s->map_parallel = (uint32_t)tk_read_varint(r);
    s->map_failures = tk_read_f64le(r);
  }
  if (s->kind == TK_KIND_CHILD) s->child = tk_read_bytes(r);
  if (version >= 3) decode_limits(r, s, arena);
  if (machine) s->after = (uint32_t)tk_read_varint(r);
}

int tk_graph_decode(tk_slice bytes, tk_graph **out, tk_err *err) {
  tk_reader r = tk_reader_of(bytes);
  tk_arena arena = {0};
  tk_graph g = {0};
  uint8_t version = tk_read_u8(&r);
  g.ns = tk_read_bytes(&r);
  g.name = tk_read_bytes(&r);
  g.version = tk_read_bytes(&r);
  g.queue = tk_read_bytes(&r);
  g.priority = (int32_t)tk_read_svarint(&r);
  g.max_parallel = (uint32_t)tk_read_varint(&r);
  g.timeout_us = tk_read_svarint(&r);
  if (version >= 3) g.initial = (uint32_t)tk_read_varint(&r);
  uint64_t n = tk_read_varint(&r);
  int code = TK_OK;
  if (r.bad || version < 1 || version > GRAPH_VERSION || n < 1 || n > TK_LIMIT_STEPS) {
    code = tk_err_set(err, TK_E_CORRUPT, "a stored definition does not decode (version %u)", version);
    goto out;
  }
  g.step_count = (uint32_t)n;
  g.steps = TK_ARENA_ARRAY(&arena, tk_graph_step, n);
  for (uint64_t i = 0; i < n && !r.bad; i++) decode_step(&r, &g.steps[i], &arena, version, g.initial > 0);
  if (r.bad || tk_reader_left(&r)) {
    code = tk_err_set(err, TK_E_CORRUPT, "a stored definition does not decode");
    goto out;
  }
  if ((code = tk_graph_build(&g, out, err))) {
    if (err) err->code = TK_E_CORRUPT;
    code = TK_E_CORRUPT;
  }
out:
  tk_arena_free(&arena);
  return code;
}
