/* A task moves to another version of its handler.
 *
 * Its steps find their places by name, or as the migration renames them. What is done stays done; what waits goes on waiting; what
 * was not begun is judged anew by the new graph. A new step all of whose dependents have begun comes too late: it is skipped and
 * counts as done. What runs cannot move: the migration is then refused as busy, and asked again later. */
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "model/decide_parts.h"

#define NOWHERE UINT32_MAX          /* the new version has no such step */
#define DROPPED (UINT32_MAX - 1)    /* the migration says that it goes, with what came of it */

typedef struct move {
  tk_decide *d;
  tk_task *task;
  const tk_migration *m;
  const tk_graph *from, *to;
  uint32_t *place;                  /* by step of `from`: its index in `to`, or NOWHERE, DROPPED */
  uint32_t *origin;                 /* by step of `to`: its index in `from`; TK_NO_STEP: it is new */
  tk_step *steps;                   /* of `to`, as they will be */
  tk_err *err;
} move;

/* ---- Whether it can ---- */

static int refuse(const move *v, uint32_t step, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(const move *v, uint32_t step, const char *format, ...) {
  char id[37], why[400];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  tk_id_format(&v->task->id, id);
  if (step == TK_NO_STEP) return tk_err_set(v->err, TK_E_REFUSED, "task %s cannot be migrated: %s", id, why);
  tk_slice name = v->from->steps[step].name;
  tk_err_set(v->err, TK_E_REFUSED, "task %s cannot be migrated: step '%.*s' %s", id, (int)name.size, name.data, why);
  tk_err_details(v->err, "{\"step\":\"%.*s\"}", (int)name.size, name.data);
  return TK_E_REFUSED;
}

/* Asked again, it may be possible. */
static int refuse_busy(const move *v, uint32_t step) {
  tk_slice name = step == TK_NO_STEP ? tk_slice_str("") : v->from->steps[step].name;
  if (step == TK_NO_STEP) refuse(v, step, "something else is happening to it");
  else refuse(v, step, "is running");
  tk_err_details(v->err, "{\"busy\":true,\"step\":%s%.*s%s}", step == TK_NO_STEP ? "null" : "\"", (int)name.size, name.data,
                 step == TK_NO_STEP ? "" : "\"");
  return TK_E_REFUSED;
}

static const tk_rename *rename_of(const tk_migration *m, tk_slice name) {
  for (size_t i = 0; i < m->rename_count; i++)
    if (tk_slice_eq(m->renames[i].from, name)) return &m->renames[i];
  return NULL;
}

static int find_places(move *v) {
  for (uint32_t i = 0; i < v->to->step_count; i++) v->origin[i] = TK_NO_STEP;
  for (uint32_t i = 0; i < v->from->step_count; i++) {
    const tk_rename *r = rename_of(v->m, v->from->steps[i].name);
    v->place[i] = DROPPED;
    if (r && !r->to.size) continue;
    int64_t found = tk_graph_find(v->to, r ? r->to : v->from->steps[i].name);
    v->place[i] = found < 0 ? NOWHERE : (uint32_t)found;
    if (found < 0) continue;
    if (v->origin[found] != TK_NO_STEP) {
      tk_slice other = v->from->steps[v->origin[found]].name;
      return refuse(v, i, "and '%.*s' would become one", (int)other.size, other.data);
    }
    v->origin[found] = i;
  }
  return TK_OK;
}

/* It has started before and is not at its end. */
static bool is_under_way(const tk_step *step) {
  return step->status == TK_STEP_WAITING || step->status == TK_STEP_IN_PROGRESS || (step->status == TK_STEP_READY && step->attempts);
}
static bool is_begun(const tk_step *step) { return (step->status != TK_STEP_PENDING && step->status != TK_STEP_READY) || step->attempts; }

static bool same_limits(const tk_graph_step *a, const tk_graph_step *b) {
  bool same = a->limit_count == b->limit_count;
  for (uint32_t i = 0; same && i < a->limit_count; i++)
    same = a->limits[i].keyed == b->limits[i].keyed && tk_slice_eq(a->limits[i].name, b->limits[i].name);
  return same;
}

/* Instances lie behind the graph's steps and name their templates by index: both must be where they were. */
static int admit_instances(const move *v) {
  if (!v->task->instances) return TK_OK;
  if (v->from->step_count != v->to->step_count)
    return refuse(v, TK_NO_STEP, "it has mapped a list or notified people, and version %.*s has %u steps, not %u", (int)v->to->version.size,
                  v->to->version.data, v->to->step_count, v->from->step_count);
  for (uint32_t i = 0; i < v->from->step_count; i++) {
    if (v->from->steps[i].flags & TK_GRAPH_NOTIFIES && tk_task_step(v->task, i)->notifications && v->place[i] != i)
      return refuse(v, i, "has notified people, and is not at the same place of version %.*s", (int)v->to->version.size,
                    v->to->version.data);
    if (tk_task_step(v->task, i)->fan && (v->place[i] != i || !(v->to->steps[i].flags & TK_GRAPH_MAP)))
      return refuse(v, i, "has mapped its list, and is not a map at the same place of version %.*s", (int)v->to->version.size,
                    v->to->version.data);
    else if (tk_task_step(v->task, i)->fan && !same_limits(&v->from->steps[i], &v->to->steps[i]))
      return refuse(v, i, "has mapped its list within other limits than version %.*s has", (int)v->to->version.size, v->to->version.data);
  }
  return TK_OK;
}

static int admit_step(const move *v, uint32_t i) {
  const tk_step *step = tk_task_step(v->task, i);
  tk_slice version = v->to->version;
  if (step->child && (v->place[i] != i || v->to->steps[i].kind != TK_KIND_CHILD))
    return refuse(v, i, "has a child, and is no step with a child at the same place of version %.*s", (int)version.size, version.data);
  if (v->place[i] == NOWHERE && is_begun(step))
    return refuse(v, i, "is %s, and version %.*s has no step of that name: say what becomes of it", tk_step_status_name(step->status),
                  (int)version.size, version.data);
  if (v->place[i] == DROPPED && is_under_way(step))
    return refuse(v, i, "is %s: it cannot be dropped before its end", tk_step_status_name(step->status));
  if (v->place[i] == NOWHERE || v->place[i] == DROPPED || !is_under_way(step)) return TK_OK;
  const tk_graph_step *new = &v->to->steps[v->place[i]];
  if (v->from->steps[i].kind != new->kind || ((v->from->steps[i].flags ^ new->flags) & TK_GRAPH_MAP))
    return refuse(v, i, "is %s, and '%.*s' of version %.*s is a step of another kind", tk_step_status_name(step->status),
                  (int)new->name.size, new->name.data, (int)version.size, version.data);
  bool rooted = step->waiting_for == TK_WAIT_APPROVAL || step->waiting_for == TK_WAIT_CHILD;
  if (rooted && v->place[i] != i)
    return refuse(v, i, "waits for %s and is step %u of version %.*s, not %u: settle it first",
                  tk_waiting_for_name(step->waiting_for), v->place[i] + 1, (int)version.size, version.data, i + 1);
  return TK_OK;
}

static bool in_a_case(const tk_graph_step *g, uint32_t index) {
  for (uint32_t c = 0; c < g->case_count; c++)
    for (uint32_t k = 0; k < g->cases[c].count; k++)
      if (g->cases[c].steps[k] == index) return true;
  return false;
}

/* Which branch a switch took is known only by what became of its cases then. */
static int admit_switch(const move *v, uint32_t i) {
  const tk_graph_step *old = &v->from->steps[i], *new = &v->to->steps[v->place[i]];
  if (new->kind != TK_KIND_SWITCH || !tk_step_final(tk_task_step(v->task, i)->status)) return TK_OK;
  for (uint32_t o = 0; o < v->to->step_count; o++) {
    uint32_t before = v->origin[o];
    if (!in_a_case(new, o) || (before != TK_NO_STEP && in_a_case(old, before))) continue;
    if (before != TK_NO_STEP && is_begun(tk_task_step(v->task, before))) continue;
    return refuse(v, i, "has chosen its branch, and '%.*s' is new in its cases", (int)v->to->steps[o].name.size,
                  v->to->steps[o].name.data);
  }
  return TK_OK;
}

static int admit(const move *v) {
  const tk_task *task = v->task;
  if (!tk_slice_eq(v->from->version, v->m->from))
    return refuse(v, TK_NO_STEP, "it is of version %.*s, not %.*s", (int)v->from->version.size, v->from->version.data,
                  (int)v->m->from.size, v->m->from.data);
  if (!tk_part_running(task) && task->status != TK_TASK_ERROR) return refuse(v, TK_NO_STEP, "it is %s", tk_task_status_name(task->status));
  bool undone = task->compensating == TK_COMPENSATION_OVER;
  if (task->compensating) return refuse(v, TK_NO_STEP, "its steps %s compensated", undone ? "were" : "are being");
  if (v->from->initial || v->to->initial) return refuse(v, TK_NO_STEP, "it is a machine");
  if (task->migrations.size > TK_LIMIT_MIGRATIONS_BYTES) return refuse(v, TK_NO_STEP, "it was migrated too often");
  for (uint32_t i = 0; i < v->from->step_count; i++) {
    int code = admit_step(v, i);
    if (!code && v->place[i] < v->to->step_count) code = admit_switch(v, i);
    if (code) return code;
  }
  int code = admit_instances(v);
  if (code) return code;
  for (uint32_t i = 0; task->running && i < v->from->step_count; i++) {
    const tk_step *step = tk_task_step(v->task, i);
    if (step->status == TK_STEP_IN_PROGRESS || (step->flags & TK_STEP_F_ASKING)) return refuse_busy(v, i);
  }
  return task->running || task->sweeps || task->dirty ? refuse_busy(v, TK_NO_STEP) : TK_OK;
}

/* ---- The steps in their new places ---- */

/* Adds a step of `graph` to the task's counters, or takes it out. */
static void count(const move *v, const tk_graph *graph, uint32_t index, uint8_t status, int sign) {
  tk_task *task = v->task;
  bool failed = status == TK_STEP_CANCELLED || (status == TK_STEP_ERROR && !(graph->steps[index].flags & TK_GRAPH_CONTINUE));
  task->open += (uint32_t)(sign * !tk_step_final(status));
  task->active += (uint32_t)(sign * tk_step_active(status));
  task->failed += (uint32_t)(sign * failed);
  v->d->changes->steps_delta[status] += sign;
}

static void forget_payload(const move *v, uint64_t payload) {
  if (payload) tk_list_push(v->d->changes->arena, &v->d->changes->unpayloads, payload);
}

/* A signal of another name is another thing to wait for; and what waits for its limits asks those of the new version. */
static bool waits_anew(const move *v, uint32_t i, const tk_step *step) {
  if (step->waiting_for == TK_WAIT_RATE_LIMIT) return true;
  return step->waiting_for == TK_WAIT_SIGNAL && !tk_slice_eq(v->from->steps[i].signal, v->to->steps[v->place[i]].signal);
}

static uint8_t timer_kind(const tk_step *step, const tk_graph_step *g) {
  if (step->waiting_for == TK_WAIT_RETRY) return TK_TIMER_RETRY;
  if (step->waiting_for == TK_WAIT_SIGNAL) return TK_TIMER_SIGNAL;
  return g->kind == TK_KIND_RUN ? TK_TIMER_SNOOZE : TK_TIMER_SLEEP;
}

/* Takes step `i` out of what points to its old place, and puts it into its new one. */
static void carry(move *v, uint32_t i) {
  tk_step *old = tk_task_step(v->task, i);
  uint32_t to = v->place[i];
  bool stays = to == i && (old->status == TK_STEP_WAITING || old->status == TK_STEP_IN_PROGRESS) && !waits_anew(v, i, old);
  if (old->status == TK_STEP_IN_PROGRESS) tk_fan_take_back(v->d, v->task, i);   /* a map: nothing else is, where nothing runs */
  if (old->flags & TK_STEP_F_PERMIT && !tk_task_is_map(v->task, i)) tk_part_forget_limits(v->d, v->task, i);
  int64_t due_us = old->due_us;
  if (!stays) tk_part_unhook(v->d, v->task, i);
  count(v, v->from, i, old->status, -1);
  if (to == NOWHERE || to == DROPPED) {
    forget_payload(v, old->results);
    forget_payload(v, old->inputs);
    forget_payload(v, old->progress);
    return;
  }
  tk_step *step = &v->steps[to];
  bool bypassed = old->status == TK_STEP_SKIPPED && (old->flags & TK_STEP_F_BYPASS) && (old->met || !v->from->steps[i].dep_count);
  *step = *old;
  step->met = step->unmet = step->failed_deps = 0;
  step->flags &= ~(TK_STEP_F_RELEASED | TK_STEP_F_FAILED);
  if (old->status == TK_STEP_SKIPPED && !bypassed) step->flags &= ~TK_STEP_F_BYPASS;
  if (tk_graph_step_keyed(&v->to->steps[to]) && !step->fan) step->flags &= ~TK_STEP_F_ASKED;   /* for its keys */
  if (old->status == TK_STEP_READY || (old->status == TK_STEP_WAITING && waits_anew(v, i, old))) {
    step->status = TK_STEP_PENDING;
    step->waiting_for = TK_WAIT_NONE;
    step->due_us = step->ready_at_us = 0;
    if (!step->attempts) {   /* what its code answered before is the old version's */
      forget_payload(v, step->inputs);
      step->inputs = 0;
      step->flags &= ~TK_STEP_F_ASKED;
    }
  } else if (!stays && old->status == TK_STEP_WAITING && due_us) {
    tk_timer timer = {due_us, v->task->no, to, timer_kind(step, &v->to->steps[to])};
    tk_list_push(v->d->changes->arena, &v->d->changes->timers, timer);
    step->due_us = due_us;
  }
}

/* What the end of step `i` means to its dependents; false: it is not at its end, or they are not told of it. */
static bool end_of(move *v, uint32_t i, uint8_t *end) {
  tk_step *step = &v->steps[i];
  const tk_graph_step *g = &v->to->steps[i];
  switch (step->status) {
    case TK_STEP_COMPLETE:
    case TK_STEP_RESOLVED: *end = TK_DEP_DONE; return true;
    case TK_STEP_SKIPPED: *end = step->flags & TK_STEP_F_BYPASS ? TK_DEP_DONE : TK_DEP_SKIPPED; return true;
    case TK_STEP_ERROR:
      *end = TK_DEP_DONE;
      if (g->flags & TK_GRAPH_CONTINUE) {
        step->flags |= TK_STEP_F_RELEASED;
        return true;
      }
      break;
    case TK_STEP_CANCELLED: break;
    default: return false;
  }
  *end = TK_DEP_FAILED;
  if (g->ends_matter) step->flags |= TK_STEP_F_FAILED;
  return g->ends_matter;
}

static void tell_dependents(move *v, uint32_t i) {
  const tk_graph_step *g = &v->to->steps[i];
  uint8_t end;
  if (!end_of(v, i, &end)) return;
  for (uint32_t k = 0; k < g->out_count; k++) {
    tk_step *out = &v->steps[g->outs[k]];
    bool not_taken = g->kind == TK_KIND_SWITCH && (out->flags & TK_STEP_F_NOT_TAKEN) && in_a_case(g, g->outs[k]);
    tk_part_count_end(out, not_taken ? TK_DEP_NOT_TAKEN : end);
  }
}

/* A new step that comes too late. */
static bool is_passed(const move *v, uint32_t i) {
  const tk_graph_step *g = &v->to->steps[i];
  if (v->origin[i] != TK_NO_STEP || v->steps[i].status != TK_STEP_PENDING || !g->out_count) return false;
  for (uint32_t k = 0; k < g->out_count; k++)
    if (!is_begun(&v->steps[g->outs[k]])) return false;
  return true;
}

static uint32_t pass(move *v, uint32_t i) {
  v->steps[i].status = TK_STEP_SKIPPED;
  v->steps[i].flags |= TK_STEP_F_BYPASS;
  v->steps[i].completed_at_us = v->d->now_us;
  return i;
}

/* One that is passed may make its own dependencies be passed. */
static void pass_over(move *v) {
  uint32_t *stack = TK_ARENA_ARRAY(v->d->changes->arena, uint32_t, v->to->step_count + 1), depth = 0;
  for (uint32_t i = 0; i < v->to->step_count; i++) {
    if (is_passed(v, i)) stack[depth++] = pass(v, i);
    while (depth) {
      const tk_graph_step *g = &v->to->steps[stack[--depth]];
      for (uint32_t k = 0; k < g->dep_count; k++)
        if (is_passed(v, g->deps[k])) stack[depth++] = pass(v, g->deps[k]);
    }
  }
}

/* ---- The task ---- */

static void place_steps(move *v) {
  tk_task *task = v->task;
  tk_arena *arena = v->d->changes->arena;
  uint32_t old_chunks = task->chunk_count;
  bool same = v->from->step_count == v->to->step_count && !(v->to->grows && tk_task_chunk(task, 0)->cut);
  task->graph = v->to;
  task->definition = v->m->definition;
  if (!same) {
    tk_task_prepare(task, arena);
    task->page_count = 0;
    for (uint32_t c = 0; c < task->chunk_count; c++) task->chunks[c] = TK_ARENA_NEW(arena, tk_chunk);
  }
  for (uint32_t i = 0; i < v->to->step_count; i++) {
    *tk_task_step(task, i) = v->steps[i];
    tk_part_touch(v->d, task, i);
    count(v, v->to, i, v->steps[i].status, 1);
  }
  for (uint32_t i = 0; i < v->to->step_count; i++)
    if (v->steps[i].status == TK_STEP_IN_PROGRESS) tk_fan_give(v->d, task, i);
  for (uint32_t c = task->chunk_count; c < old_chunks; c++) {
    tk_chunk_key key = {task->no, c};
    tk_list_push(arena, &v->d->changes->unchunks, key);
  }
}

static void remember(move *v) {
  tk_task *task = v->task;
  tk_buf bytes = {0};
  if (task->migrations.size) tk_buf_append(&bytes, task->migrations.data, task->migrations.size);
  tk_buf_varint(&bytes, task->last_log);
  tk_buf_varint(&bytes, task->definition);
  task->migrations = tk_arena_copy(v->d->changes->arena, tk_buf_slice(&bytes));
  tk_buf_free(&bytes);
}

static void log_migrated(move *v, tk_slice audit) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "from");
  tk_json_put_str(&w, v->from->version);
  tk_json_key(&w, "to");
  tk_json_put_str(&w, v->to->version);
  if (audit.size > 2) tk_json_put_raw(&w, tk_slice_of(audit.data + 1, audit.size - 2));
  tk_json_object_end(&w);
  tk_part_log(v->d, v->task, TK_LOG_TASK_MIGRATED, TK_NO_STEP, 0, 0, tk_arena_copy(v->d->changes->arena, tk_buf_slice(&text)));
  tk_buf_free(&text);
  for (uint32_t i = 0; i < v->to->step_count; i++)
    if (v->origin[i] == TK_NO_STEP && v->steps[i].status == TK_STEP_SKIPPED)
      tk_part_log(v->d, v->task, TK_LOG_STEP_SKIPPED, i, 0, 0, tk_slice_str("{\"passed\":true}"));
}

int tk_part_migrate(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  const tk_migration *m = event->migration;
  tk_arena *arena = d->changes->arena;
  move v = {.d = d, .task = task, .m = m, .from = task->graph, .to = m->graph, .err = err};
  if (task->definition == m->definition) return refuse(&v, TK_NO_STEP, "it is of that version already");
  v.place = TK_ARENA_ARRAY(arena, uint32_t, v.from->step_count);
  v.origin = TK_ARENA_ARRAY(arena, uint32_t, v.to->step_count);
  int code = find_places(&v);
  if (!code) code = admit(&v);
  if (code || m->dry) return code;
  v.steps = TK_ARENA_ARRAY(arena, tk_step, v.to->step_count);
  remember(&v);
  for (uint32_t i = 0; i < v.from->step_count; i++) carry(&v, i);
  pass_over(&v);
  for (uint32_t i = 0; i < v.to->step_count; i++) tell_dependents(&v, i);
  place_steps(&v);
  task->held_from = 0;
  if (m->context.size) {
    tk_context_change change = {task->no, m->context};
    tk_list_push(arena, &d->changes->contexts, change);
  }
  log_migrated(&v, event->audit);
  if (tk_part_running(task)) tk_part_begin_pending(d, task, 0);
  tk_part_settle(d, task, 0);
  return TK_OK;
}

void tk_part_begin_pending(tk_decide *d, tk_task *task, uint32_t from) {
  uint32_t at = from, end = task->graph->step_count;
  if (end - at > TK_SWEEP_STEPS) end = at + TK_SWEEP_STEPS;
  for (; at < end; at++) {
    bool early = task->due_kind == TK_TIMER_RUN_AT && !task->graph->steps[at].dep_count;   /* its timer begins these */
    if (!early && tk_task_step(task, at)->status == TK_STEP_PENDING) tk_part_rejoin(d, task, at);
  }
  if (at < task->graph->step_count) tk_part_sweep(d, task, TK_SWEEP_BEGIN, TK_NO_STEP, at, tk_slice_of(NULL, 0));
}
