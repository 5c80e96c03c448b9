/* Trees of tasks, as far as a turn must know more than one task: making a child, and whether anything above stops a task. */
#include <stdio.h>

#include "base/err.h"
#include "engine/parts.h"

/* The task whose step waits for this one; NULL: none, or that step has its end, or another child by now. */
static tk_task *waiting_parent(tk_engine *e, const tk_task *task) {
  tk_task *parent = task->parent ? tk_store_task(e->store, task->parent, NULL) : NULL;
  const tk_step *step = parent ? tk_task_step(parent, task->parent_step) : NULL;
  if (!step || step->child != task->no || step->status == TK_STEP_COMPLETE || step->status == TK_STEP_SKIPPED) return NULL;
  return parent;
}

/* A task whose parent is being cancelled hears of it by the inbox, turns later: it must not start anything until then. */
tk_task *tk_children_stopper(tk_engine *e, const tk_task *task) {
  for (tk_task *parent; (parent = waiting_parent(e, task)); task = parent) {
    const tk_step *step = tk_task_step(parent, task->parent_step);
    bool ending = step->status == TK_STEP_CANCELLED || step->status == TK_STEP_RESOLVED || (step->flags & TK_STEP_F_CHILD_GONE) ||
                  (parent->status == TK_TASK_ERROR && step->status == TK_STEP_WAITING);
    if (ending || parent->status == TK_TASK_CANCELLED || parent->status == TK_TASK_PAUSED) return parent;
  }
  return NULL;
}

int tk_children_check(tk_engine *e, const tk_task *task, const tk_event *event, tk_err *err) {
  const char *verb = event->type == TK_EV_RESUME ? "resume" : event->type == TK_EV_RETRY ? "retry" : NULL;
  const tk_task *stopper = verb && task->parent ? tk_children_stopper(e, task) : NULL;
  if (!stopper) return TK_OK;
  char id[37], above[37];
  tk_id_format(&task->id, id);
  tk_id_format(&stopper->id, above);
  return tk_err_set(err, TK_E_REFUSED, "%s of task %s is refused: task %s, whose child it is, is %s or does not wait for it any more",
                    verb, id, above, tk_task_status_name(stopper->status));
}

static uint32_t depth_of(tk_engine *e, const tk_task *task) {
  uint32_t depth = 0;
  for (; task && task->parent && depth < TK_LIMIT_DEPTH; depth++) task = tk_store_task(e->store, task->parent, NULL);
  return depth;
}

/* Its step is in error; the text is the program's own. */
static void refuse(tk_decide *d, tk_task *parent, const tk_event *event, const char *code, const char *message) {
  char text[256];
  int size = snprintf(text, sizeof text, "{\"message\":\"%s\",\"code\":\"%s\",\"retryable\":false}", message, code);
  tk_decide_child_refused(d, parent, event, tk_arena_copy(d->changes->arena, tk_slice_of(text, (size_t)size)));
}

void tk_children_spawn(tk_engine *e, tk_decide *d, tk_task *parent, const tk_event *event) {
  tk_submission *s = (tk_submission *)event->submission;
  if (!s || !tk_decide_wants_child(parent, event)) return;
  s->graph = tk_turn_graph(e, s->definition);
  tk_task *child = TK_ARENA_NEW(&e->arena, tk_task);
  child->queue = s->graph ? tk_store_name(e->store, s->graph->queue, NULL) : 0;
  if (depth_of(e, parent) + 1 >= TK_LIMIT_DEPTH) {
    char message[128];
    snprintf(message, sizeof message, "children of children may be %d deep, and this would be one more", TK_LIMIT_DEPTH);
    refuse(d, parent, event, "invalid", message);
    return;
  }
  if (!child->queue) {
    refuse(d, parent, event, "not_found", "the definition of the child is not in this store");
    return;
  }
  s->queue = s->info.queue = s->graph->queue;
  s->priority = s->graph->priority ? s->graph->priority : parent->priority;
  child->no = d->changes->next_task++;
  child->id = tk_id_next(&e->ids, d->now_us, &e->rng);
  tk_decide_child_made(d, parent, event, child);
  child->stopped = tk_children_stopper(e, child) != NULL;
  tk_decide_submit(d, child, s, NULL);   /* without bypass there is nothing to refuse */
  tk_store_adopt(e->store, child);
}
