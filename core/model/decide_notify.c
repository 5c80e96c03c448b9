/* Notifications: what the code of an approval tells the people it asks, once a round. Each is an instance that runs by the
 * approval's step. It holds its task open while it runs, but its end, good or bad, means nothing to others; and what has not
 * started when the approval ends is not started any more. */
#include "base/err.h"
#include "model/approval.h"
#include "model/decide_parts.h"

static const tk_slice nothing = {NULL, 0};

void tk_part_notify(tk_decide *d, tk_task *task, tk_approval *a) {
  tk_arena *arena = d->changes->arena;
  const tk_graph_step *g = tk_task_template(task, a->step);
  if (!(g->flags & TK_GRAPH_NOTIFIES)) return;
  uint32_t template_ = (uint32_t)(g - task->graph->steps), index = tk_part_reserve(d, task, 1);
  tk_step *told = tk_task_step(task, template_);
  tk_part_instance(d, task, index, TK_ROLE_NOTIFICATION, template_, ++told->notifications);
  tk_part_touch(d, task, template_);
  tk_step *step = tk_task_step(task, index);
  step->flags |= TK_STEP_F_ASKED;
  step->round = a->round;
  uint32_t *grown = TK_ARENA_ARRAY(arena, uint32_t, a->notification_count + 1);
  if (a->notification_count) memcpy(grown, a->notifications, a->notification_count * sizeof *grown);
  grown[a->notification_count++] = index;
  a->notifications = grown;
  tk_part_make_ready(d, task, index);
}

static void drop(tk_decide *d, tk_task *task, uint32_t index) {
  uint8_t status = tk_task_step(task, index)->status;
  if (status != TK_STEP_READY && status != TK_STEP_WAITING) return;
  tk_part_unhook(d, task, index);
  tk_part_set_step(d, task, index, TK_STEP_CANCELLED);
  tk_part_log(d, task, TK_LOG_STEP_CANCELLED, index, 0, 0, nothing);
}

void tk_part_drop_notifications(tk_decide *d, tk_task *task, const tk_approval *a) {
  for (uint32_t i = 0; i < a->notification_count; i++) drop(d, task, a->notifications[i]);
}

void tk_part_notification_moved(tk_decide *d, tk_task *task, uint32_t index) {
  uint32_t template_ = tk_task_step(task, index)->template_;
  const tk_step *approval = tk_task_step(task, template_);
  if (task->graph->initial && approval->visits) approval = tk_task_step(task, approval->visit);
  if (approval->status != TK_STEP_WAITING || approval->waiting_for != TK_WAIT_APPROVAL) drop(d, task, index);
}

int tk_part_admit_notification(tk_task *task, const tk_event *event, tk_err *err) {
  char room[TK_STEP_NAME_ROOM];
  tk_slice name = tk_task_step_name(task, event->step, room);
  if (event->type == TK_EV_CANCEL) return TK_OK;
  return tk_err_set(err, TK_E_REFUSED, "'%.*s' is refused: it is a notification of an approval, which can only be cancelled",
                    (int)name.size, name.data);
}
