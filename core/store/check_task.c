/* One task: its header against its steps, both against what points to them. */
#include <stdio.h>

#include "store/check.h"

typedef struct task_check {
  tk_check *c;
  tk_task *task;
  uint32_t open, active, running, held, failed, children;
  bool whole;                     /* no chunk was damaged */
  tk_arena far;                   /* of the chunk of instances that is looked at */
  tk_fan *fans;                   /* by step of the graph: what the elements of the maps say */
} task_check;

#define NO(number) ((unsigned long long)(number))

static void check_claimed(task_check *t, uint32_t index, const tk_step *step, uint32_t attempt) {
  for (const tk_check_claim *claim = tk_map_get(&t->c->claims, tk_check_step_key(t->task->no, index)); claim; claim = claim->next)
    if (claim->process == step->owner && claim->attempt == attempt) return;
  tk_check_say(t->c,
               "task number %llu: its step %u is held by process %u, whose claims do not have it: it would never be given back",
               NO(t->task->no), index + 1, step->owner);
}

static void check_indexed(task_check *t, uint32_t index, const tk_step *step) {
  uint32_t queue = tk_task_template(t->task, index)->queue_no;
  tk_ready entry = {
      queue ? queue : t->task->queue, t->task->definition, t->task->priority, t->task->no, index, step->ready_at_us};
  tk_key key = tk_key_ready(&entry);
  tk_slice record;
  if (!tk_check_get(t->c, TK_TABLE_READY, tk_key_slice(&key), &record))
    tk_check_say(t->c, "task number %llu: its step %u is ready but not in the index of ready work", NO(t->task->no), index + 1);
}

static void check_timed(task_check *t, uint32_t step, int64_t due_us) {
  tk_timer timer = {due_us, t->task->no, step, 0};
  tk_key key = tk_key_timer(&timer);
  tk_slice record;
  if (tk_check_get(t->c, TK_TABLE_TIMERS, tk_key_slice(&key), &record)) return;
  if (step == TK_NO_STEP) tk_check_say(t->c, "task number %llu: its timer is missing", NO(t->task->no));
  else tk_check_say(t->c, "task number %llu: the timer of its step %u is missing", NO(t->task->no), step + 1);
}

/* Counts an element for its map, and sees that it is one. */
static void check_element(task_check *t, uint32_t index, const tk_step *step) {
  tk_task *task = t->task;
  const tk_fan *fan = tk_task_is_map(task, step->template_) ? tk_task_step(task, step->template_)->fan : NULL;
  if (!fan || index < fan->first || index - fan->first >= fan->count ||
      step->ordinal != index - fan->first + 1) {
    tk_check_say(t->c, "task number %llu: its step %u is an element of a map that does not know it", NO(task->no), index + 1);
    return;
  }
  tk_fan *seen = &t->fans[step->template_];
  seen->active += tk_step_active(step->status);
  seen->running += step->status == TK_STEP_IN_PROGRESS;
  seen->queued += !!(step->flags & TK_STEP_F_QUEUED);
  seen->ended += tk_step_final(step->status);
  seen->failed += step->status == TK_STEP_ERROR || step->status == TK_STEP_CANCELLED;
  if ((step->flags & TK_STEP_F_QUEUED) && index - fan->first < fan->queued_from)
    tk_check_say(t->c, "task number %llu: its step %u is ready, but its map looks for such only from %u on", NO(task->no), index + 1,
                 fan->first + fan->queued_from + 1);
}

static void check_compensation(task_check *t, uint32_t index, const tk_step *step) {
  if (tk_task_step(t->task, step->template_)->compensation != index)
    tk_check_say(t->c, "task number %llu: its step %u undoes a step that does not know it", NO(t->task->no), index + 1);
}

static void check_notification(task_check *t, uint32_t index, const tk_step *step) {
  if (!(t->task->graph->steps[step->template_].flags & TK_GRAPH_NOTIFIES))
    tk_check_say(t->c, "task number %llu: its step %u tells people of a step that does not", NO(t->task->no), index + 1);
  else if (!step->ordinal || step->ordinal > tk_task_step(t->task, step->template_)->notifications)
    tk_check_say(t->c, "task number %llu: its step %u is a notification that its approval does not count", NO(t->task->no), index + 1);
}

static void check_map(task_check *t, uint32_t index, const tk_fan *fan) {
  const tk_fan *seen = &t->fans[index];
  if (fan->active != seen->active || fan->running != seen->running || fan->queued != seen->queued || fan->ended != seen->ended ||
      fan->failed != seen->failed)
    tk_check_say(t->c, "task number %llu: its step %u counts its elements otherwise than they are", NO(t->task->no), index + 1);
  if (fan->first < t->task->graph->step_count || fan->first + (uint64_t)fan->count > tk_task_count(t->task) || fan->next > fan->count)
    tk_check_say(t->c, "task number %llu: its step %u has elements that are not there", NO(t->task->no), index + 1);
  for (uint32_t page = 0; page * TK_MAP_PAGE < fan->count; page++) tk_check_refer(t->c, fan->items + page, t->task->no);
}

static void count_step(task_check *t, uint32_t index, const tk_step *step) {
  const tk_task *task = t->task;
  bool asking = step->flags & TK_STEP_F_ASKING;
  t->active += tk_step_active(step->status);
  t->running += (step->status == TK_STEP_IN_PROGRESS && !tk_task_is_map(task, index)) || asking;
  t->held += !!(step->flags & TK_STEP_F_HELD);
  if (tk_task_is_instance(task, index) && step->role != TK_ROLE_VISIT) {
    if (step->role == TK_ROLE_COMPENSATION) check_compensation(t, index, step);
    else if (step->role == TK_ROLE_NOTIFICATION) check_notification(t, index, step);
    else check_element(t, index, step);
    return;
  }
  t->open += !tk_step_final(step->status);
  t->failed += step->status == TK_STEP_CANCELLED ||
               (step->status == TK_STEP_ERROR && !(task->graph->steps[step->role ? step->template_ : index].flags & TK_GRAPH_CONTINUE));
}

static bool read_header(task_check *t, uint64_t task_no, tk_task *out) {
  tk_key key = tk_key_u64(task_no);
  tk_slice record;
  memset(out, 0, sizeof *out);
  return tk_check_get(t->c, TK_TABLE_TASKS, tk_key_slice(&key), &record) && tk_read_task(tk_key_slice(&key), record, out, NULL, NULL, NULL);
}

static void check_child(task_check *t, uint32_t index, const tk_step *step) {
  tk_task child;
  if (!read_header(t, step->child, &child))
    tk_check_say(t->c, "task number %llu: its step %u has task number %llu for a child, which is not there", NO(t->task->no),
                 index + 1, NO(step->child));
  else if (child.parent != t->task->no || child.parent_step != index)
    tk_check_say(t->c, "task number %llu: its step %u has task number %llu for a child, which has another parent", NO(t->task->no),
                 index + 1, NO(step->child));
}

static void check_parent(task_check *t, uint64_t by_info) {
  tk_task parent;
  const tk_task *task = t->task;
  if (task->parent != by_info)
    tk_check_say(t->c, "task number %llu: its header says that its parent is task number %llu, and its origin says %llu", NO(task->no),
                 NO(task->parent), NO(by_info));
  if (!task->parent) return;
  const tk_graph *graph = read_header(t, task->parent, &parent) ? tk_check_graph(t->c, parent.definition) : NULL;
  if (!graph) tk_check_say(t->c, "task number %llu has task number %llu for a parent, which is not there", NO(task->no), NO(task->parent));
  else if (task->parent_step >= graph->step_count + parent.instances ||
           (task->parent_step < graph->step_count && graph->steps[task->parent_step].kind != TK_KIND_CHILD))
    tk_check_say(t->c, "task number %llu is the child of step %u of task number %llu, which is no step with a child", NO(task->no),
                 task->parent_step + 1, NO(task->parent));
}

static void check_step(task_check *t, uint32_t index, const tk_step *step) {
  const tk_task *task = t->task;
  bool asking = step->flags & TK_STEP_F_ASKING, held = step->flags & TK_STEP_F_HELD;
  if (tk_task_is_instance(task, index) && !step->role) return;   /* never touched */
  if (step->template_ >= task->graph->step_count) {
    tk_check_say(t->c, "task number %llu: its step %u runs by a step that its definition does not have", NO(task->no), index + 1);
    return;
  }
  count_step(t, index, step);
  t->children += step->child != 0;
  if (step->child) check_child(t, index, step);
  t->c->steps_by_status[step->status]++;
  uint64_t payloads[] = {step->results, step->error, step->inputs, step->progress};
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
    if (payloads[i]) tk_check_refer(t->c, payloads[i], task->no);
  if (step->status == TK_STEP_READY && asking) check_claimed(t, index, step, 0);
  else if (tk_step_startable(step)) check_indexed(t, index, step);
  else if (step->status == TK_STEP_IN_PROGRESS && !tk_task_is_map(task, index)) check_claimed(t, index, step, step->attempts);
  if ((step->status == TK_STEP_WAITING || step->flags & TK_STEP_F_LIMITED) && step->due_us) check_timed(t, index, step->due_us);
  if (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_APPROVAL) {
    tk_key key = tk_key_u64_u32(task->no, index);
    tk_slice record;
    if (!tk_check_get(t->c, TK_TABLE_APPROVALS, tk_key_slice(&key), &record))
      tk_check_say(t->c, "task number %llu: its step %u waits for an approval that is not there", NO(task->no), index + 1);
  }
  bool limited = task->graph->steps[step->role ? step->template_ : index].limit_count && step->role != TK_ROLE_COMPENSATION;
  if (limited) tk_check_limited_step(t->c, task, index, step);
  if (held && index < task->held_from)
    tk_check_say(t->c, "task number %llu: its step %u is held, but the header says that none is before step %u", NO(task->no),
                 index + 1, task->held_from + 1);
}

static tk_chunk *load_chunk(void *context, tk_task *task, uint32_t index) {
  task_check *t = context;
  tk_chunk *chunk;
  tk_err err;
  bool far = index >= task->chunk_count;
  int rc = tk_store_read_chunk(t->c->snap->txn, far ? &t->far : task->arena, task, index, &chunk, &err);
  if (!rc) return chunk;
  tk_check_say(t->c, "task number %llu: the record of its steps from %u on is damaged", NO(task->no), index * TK_CHUNK_STEPS + 1);
  t->whole = false;
  return TK_ARENA_NEW(far ? &t->far : task->arena, tk_chunk);
}

/* Instances may be many: their chunks are looked at one after the other. */
static void forget_chunk(task_check *t, uint32_t c) {
  if (c < t->task->chunk_count) return;
  *tk_task_far_chunk(t->task, c) = NULL;
  tk_arena_reset(&t->far);
}

/* False when a chunk is damaged: then there is nothing to count. */
static bool check_steps(task_check *t) {
  uint32_t count = tk_task_count(t->task);
  t->whole = true;
  t->task->load_chunk = load_chunk;
  t->task->load_context = t;
  t->fans = TK_ARENA_ARRAY(t->task->arena, tk_fan, t->task->graph->step_count);
  for (uint32_t i = 0; i < count; i++) {
    check_step(t, i, tk_task_step(t->task, i));
    if (i >= t->task->graph->step_count && (i + 1) % TK_CHUNK_STEPS == 0) forget_chunk(t, i / TK_CHUNK_STEPS);
  }
  for (uint32_t i = 0; i < t->task->graph->step_count; i++) {
    const tk_step *step = tk_task_step(t->task, i);
    if (step->fan) check_map(t, i, step->fan);
  }
  return t->whole;
}

static void check_count(task_check *t, const char *what, uint32_t header, uint32_t steps) {
  if (header != steps)
    tk_check_say(t->c, "task number %llu: its header counts %u %s steps, and there are %u", NO(t->task->no), header, what, steps);
}

static void check_header(task_check *t) {
  const tk_task *task = t->task;
  check_count(t, "open", task->open, t->open);
  check_count(t, "active", task->active, t->active);
  check_count(t, "running", task->running, t->running);
  check_count(t, "held", task->held, t->held);
  check_count(t, "failed", task->failed, t->failed);
  check_count(t, "children's", task->children, t->children);
  tk_key last = tk_key_u64_u32(task->no, 0);
  tk_slice record;
  if (task->compensating == TK_COMPENSATION_RUNS && !tk_check_get(t->c, TK_TABLE_COMPENSATIONS, tk_key_slice(&last), &record))
    tk_check_say(t->c, "task number %llu: what of it is to be undone is not there", NO(task->no));
}

/* ids, info, the log, its own timer, its own results, events to itself. */
static void check_around(task_check *t, tk_arena *arena) {
  tk_check *c = t->c;
  const tk_task *task = t->task;
  tk_slice record, id = tk_slice_of(task->id.bytes, sizeof task->id.bytes);
  tk_key key = tk_key_u64(task->no);
  tk_task_info info;
  uint64_t number = 0;
  if (!tk_check_get(c, TK_TABLE_IDS, id, &record) || !tk_read_number(id, record, &number) || number != task->no)
    tk_check_say(c, "task number %llu is not found by its id", NO(task->no));
  if (!tk_check_get(c, TK_TABLE_INFO, tk_key_slice(&key), &record))
    tk_check_say(c, "task number %llu has lost its context and origin", NO(task->no));
  else if (!tk_read_info(tk_key_slice(&key), record, &task->id, arena, &info))
    tk_check_say(c, "task number %llu: the record of its context and origin is damaged", NO(task->no));
  else check_parent(t, info.parent);
  if (task->no < c->meta.next_task && c->last_logs[task->no] != task->last_log)
    tk_check_say(c, "task number %llu: its header says that its newest log record is %llu, and the log says %llu", NO(task->no),
                 NO(task->last_log), NO(c->last_logs[task->no]));
  if (task->due_us) check_timed(t, TK_NO_STEP, task->due_us);
  if (task->results) tk_check_refer(c, task->results, task->no);
  uint64_t sweeps = (uint64_t)(uintptr_t)tk_map_get(&c->sweeps, task->no);
  if (task->sweeps != (sweeps ? sweeps - 1 : 0))
    tk_check_say(c, "task number %llu: its header counts %u events to itself, and the inbox has %llu", NO(task->no), task->sweeps,
                 NO(sweeps ? sweeps - 1 : 0));
}

void tk_check_task(tk_check *c, tk_slice key, tk_slice record) {
  tk_task task = {0};
  tk_arena arena = {0};
  task_check t = {.c = c, .task = &task};
  tk_chunk *first = TK_ARENA_NEW(&arena, tk_chunk);
  uint32_t touched;
  if (!tk_read_task(key, record, &task, first, &touched, &arena)) {
    tk_check_say(c, "task number %llu: its record is damaged", key.size == 8 ? NO(tk_get_u64be(key.data)) : 0);
    tk_arena_free(&arena);
    return;
  }
  c->tasks_by_status[task.status]++;
  if (task.no >= c->meta.next_task) tk_check_say(c, "task number %llu is beyond the last number given", NO(task.no));
  task.graph = tk_check_graph(c, task.definition);
  if (task.graph) {
    tk_task_prepare(&task, &arena);
    task.chunks[0] = first;
    if (check_steps(&t)) check_header(&t);
  } else {
    tk_check_say(c, "task number %llu has definition %u, which is missing or damaged", NO(task.no), task.definition);
  }
  check_around(&t, &arena);
  tk_arena_free(&t.far);
  tk_arena_free(&arena);
}

/* ---- Entries of the indexes ---- */

/* The task an entry points to; its first steps and, when it lies later, the chunk of `step`. NULL (said where the task itself is
 * walked when it is damaged; said here when it is missing). */
static tk_task *pointed_task(tk_check *c, tk_arena *arena, uint64_t task_no, const char *what, tk_err *err) {
  tk_task *task;
  int rc = tk_store_read_task(c->snap->txn, arena, task_no, tk_check_graph, c, &task, err);
  if (rc == TK_E_NOT_FOUND) tk_check_say(c, "%s points to task number %llu, which is not there", what, NO(task_no));
  return rc ? NULL : task;
}

static const tk_step *pointed_step(tk_check *c, tk_arena *arena, tk_task *task, uint32_t step) {
  tk_chunk *chunk;
  tk_err err;
  if (step >= tk_task_count(task)) return NULL;
  if (step < TK_CHUNK_STEPS) return tk_task_step(task, step);
  if (tk_store_read_chunk(c->snap->txn, arena, task, step / TK_CHUNK_STEPS, &chunk, &err)) return NULL;
  return &chunk->steps[step % TK_CHUNK_STEPS];
}

/* A paused task may have entries of steps that became held when somebody tried to start them: they go away by themselves. */
void tk_check_ready_entry(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_ready entry;
  tk_err err;
  if (!tk_read_ready(key, record, &entry)) {
    tk_check_say(c, "an entry of the index of ready work is damaged");
    return;
  }
  tk_task *task = pointed_task(c, &arena, entry.task_no, "the index of ready work", &err);
  const tk_step *step = task ? pointed_step(c, &arena, task, entry.step) : NULL;
  uint32_t template_ = step && step->role ? step->template_ : entry.step;
  uint32_t queue = step && template_ < task->graph->step_count ? task->graph->steps[template_].queue_no : 0;
  if (task && !queue) queue = task->queue;
  if (task && !step)
    tk_check_say(c, "the index of ready work points to step %u of task number %llu, which it does not have", entry.step + 1,
                 NO(task->no));
  if (step && (entry.queue != queue || entry.definition != task->definition || entry.priority != task->priority))
    tk_check_say(c, "the index of ready work has step %u of task number %llu in the wrong place", entry.step + 1, NO(task->no));
  if (step && task->status != TK_TASK_PAUSED && !tk_step_startable(step))
    tk_check_say(c, "the index of ready work has step %u of task number %llu, which is not ready", entry.step + 1, NO(task->no));
  tk_arena_free(&arena);
}

void tk_check_timer_entry(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_timer timer;
  tk_err err;
  if (!tk_read_timer(key, record, &timer)) {
    tk_check_say(c, "a timer is damaged");
    return;
  }
  if (timer.kind == TK_TIMER_SCHEDULE) {
    tk_check_schedule_timer(c, &timer);
    return;
  }
  tk_task *task = pointed_task(c, &arena, timer.task_no, "a timer", &err);
  if (task && timer.step == TK_NO_STEP && task->due_us != timer.due_us)
    tk_check_say(c, "task number %llu does not know one of its timers", NO(task->no));
  if (task && timer.step != TK_NO_STEP) {
    const tk_step *step = pointed_step(c, &arena, task, timer.step);
    if (!step || step->due_us != timer.due_us)
      tk_check_say(c, "step %u of task number %llu does not know one of its timers", timer.step + 1, NO(task->no));
  }
  tk_arena_free(&arena);
}

void tk_check_compensation(tk_check *c, const tk_compensation *page) {
  tk_arena arena = {0};
  tk_err err;
  tk_task *task = pointed_task(c, &arena, page->task_no, "a page of what is to be undone", &err);
  uint32_t last = task && task->compensations ? (task->compensations - 1) / TK_COMPENSATION_PAGE : 0;
  if (task && (task->compensating != TK_COMPENSATION_RUNS || page->page > last))
    tk_check_say(c, "there is a page of what is to be undone of task number %llu, which is not undoing it", NO(task->no));
  for (uint32_t i = 0; task && i < page->count; i++)
    if (page->steps[i] >= task->graph->step_count)
      tk_check_say(c, "task number %llu is to undo step %u, which it does not have", NO(task->no), page->steps[i] + 1);
  tk_arena_free(&arena);
}

void tk_check_approval(tk_check *c, const tk_approval *approval) {
  tk_arena arena = {0};
  tk_err err;
  tk_task *task = pointed_task(c, &arena, approval->task_no, "an approval", &err);
  const tk_step *step = task ? pointed_step(c, &arena, task, approval->step) : NULL;
  if (task && !(step && step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_APPROVAL))
    tk_check_say(c, "there is an approval of step %u of task number %llu, which does not wait for it", approval->step + 1, NO(task->no));
  tk_arena_free(&arena);
}

void tk_check_permit(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_permit permit;
  tk_err err;
  if (!tk_read_permit(key, record, &arena, &permit)) {
    tk_check_say(c, "the keys of a step's limits are damaged");
  } else {
    tk_task *task = pointed_task(c, &arena, permit.task_no, "what is kept of a step's limits", &err);
    const tk_step *step = task ? pointed_step(c, &arena, task, permit.step) : NULL;
    if (task && !(step && step->flags & TK_STEP_F_PERMIT))
      tk_check_say(c, "step %u of task number %llu does not know what is kept of its limits", permit.step + 1, NO(permit.task_no));
  }
  tk_arena_free(&arena);
}
