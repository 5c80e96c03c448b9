/* One task: its header against its steps, both against what points to them. */
#include <stdio.h>

#include "store/check.h"

typedef struct task_check {
  tk_check *c;
  tk_task *task;
  uint32_t open, active, running, held, failed;
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
  uint32_t queue = t->task->graph->steps[index].queue_no;
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

static void check_step(task_check *t, uint32_t index, const tk_step *step) {
  const tk_task *task = t->task;
  bool asking = step->flags & TK_STEP_F_ASKING, held = step->flags & TK_STEP_F_HELD;
  bool fails = step->status == TK_STEP_CANCELLED ||
               (step->status == TK_STEP_ERROR && !(task->graph->steps[index].flags & TK_GRAPH_CONTINUE));
  t->open += !tk_step_final(step->status);
  t->active += step->status == TK_STEP_READY || step->status == TK_STEP_IN_PROGRESS || step->status == TK_STEP_WAITING;
  t->running += step->status == TK_STEP_IN_PROGRESS || asking;
  t->held += held;
  t->failed += fails;
  t->c->steps_by_status[step->status]++;
  uint64_t payloads[] = {step->results, step->error, step->inputs, step->progress};
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
    if (payloads[i]) tk_check_refer(t->c, payloads[i], task->no);
  if (step->status == TK_STEP_IN_PROGRESS) check_claimed(t, index, step, step->attempts);
  else if (step->status == TK_STEP_READY && asking) check_claimed(t, index, step, 0);
  else if (step->status == TK_STEP_READY && !held) check_indexed(t, index, step);
  if (step->status == TK_STEP_WAITING && step->due_us) check_timed(t, index, step->due_us);
  if (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_APPROVAL) {
    tk_key key = tk_key_u64_u32(task->no, index);
    tk_slice record;
    if (!tk_check_get(t->c, TK_TABLE_APPROVALS, tk_key_slice(&key), &record))
      tk_check_say(t->c, "task number %llu: its step %u waits for an approval that is not there", NO(task->no), index + 1);
  }
  if (held && index < task->held_from)
    tk_check_say(t->c, "task number %llu: its step %u is held, but the header says that none is before step %u", NO(task->no),
                 index + 1, task->held_from + 1);
}

/* False when a chunk is damaged: then there is nothing to count. */
static bool check_steps(task_check *t) {
  tk_arena arena = {0};
  bool whole = true;
  for (uint32_t i = 0; i < t->task->graph->step_count; i++) {
    uint32_t chunk = i / TK_CHUNK_STEPS;
    tk_err err;
    if (i % TK_CHUNK_STEPS == 0 && chunk > 0) {
      tk_arena_reset(&arena);
      if (tk_store_read_chunk(t->c->snap->txn, &arena, t->task, chunk, &t->task->chunks[chunk], &err)) {
        tk_check_say(t->c, "task number %llu: the record of its steps from %u on is damaged", NO(t->task->no), i + 1);
        whole = false;
        t->task->chunks[chunk] = TK_ARENA_NEW(&arena, tk_chunk);
      }
    }
    check_step(t, i, &t->task->chunks[chunk]->steps[i % TK_CHUNK_STEPS]);
  }
  tk_arena_free(&arena);
  return whole;
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
  if (!tk_read_task(key, record, &task, first, &touched)) {
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
  uint32_t chunk = step / TK_CHUNK_STEPS;
  tk_err err;
  if (step >= task->graph->step_count) return NULL;
  if (chunk && tk_store_read_chunk(c->snap->txn, arena, task, chunk, &task->chunks[chunk], &err)) return NULL;
  return &task->chunks[chunk]->steps[step % TK_CHUNK_STEPS];
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
  uint32_t queue = step && task->graph->steps[entry.step].queue_no ? task->graph->steps[entry.step].queue_no
                   : task                                          ? task->queue
                                                                   : 0;
  if (task && !step)
    tk_check_say(c, "the index of ready work points to step %u of task number %llu, which it does not have", entry.step + 1,
                 NO(task->no));
  if (step && (entry.queue != queue || entry.definition != task->definition || entry.priority != task->priority))
    tk_check_say(c, "the index of ready work has step %u of task number %llu in the wrong place", entry.step + 1, NO(task->no));
  if (step && task->status != TK_TASK_PAUSED &&
      (step->status != TK_STEP_READY || (step->flags & (TK_STEP_F_HELD | TK_STEP_F_ASKING))))
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

void tk_check_approval(tk_check *c, const tk_approval *approval) {
  tk_arena arena = {0};
  tk_err err;
  tk_task *task = pointed_task(c, &arena, approval->task_no, "an approval", &err);
  const tk_step *step = task ? pointed_step(c, &arena, task, approval->step) : NULL;
  if (task && !(step && step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_APPROVAL))
    tk_check_say(c, "there is an approval of step %u of task number %llu, which does not wait for it", approval->step + 1, NO(task->no));
  tk_arena_free(&arena);
}
