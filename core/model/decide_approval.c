/* Approvals: a step that waits for people. Its row (model/approval.h) is there exactly while the step waits; each vote, escalation
 * and timeout is one event, so that however many race, one decides. */
#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "bounds.h"
#include "model/approval.h"
#include "model/decide_parts.h"

#define SHOWN(who) (int)(who).size, (who).data   /* for %.*s */

static const tk_slice nothing = {NULL, 0};

static tk_approval *approval_of(tk_task *task, uint32_t index) {
  for (tk_approval *a = task->approvals; a; a = a->next)
    if (a->step == index) return a;
  tk_approval *loaded = task->load_approval(task->load_context, task, index);
  loaded->next = task->approvals;
  task->approvals = loaded;
  return loaded;
}

static void write_row(tk_decide *d, const tk_task *task, uint32_t index, const tk_approval *row) {
  tk_approval_change change = {task->no, index, row};
  tk_list_push(d->changes->arena, &d->changes->approvals, change);
}

/* JSON text that was written into a buffer of its own, in the turn's arena. */
static tk_slice keep_text(tk_decide *d, tk_buf *text) {
  tk_slice copy = tk_arena_copy(d->changes->arena, tk_buf_slice(text));
  tk_buf_free(text);
  return copy;
}

static void set_timer(tk_decide *d, tk_task *task, uint32_t index, int64_t due_us) {
  tk_task_step(task, index)->due_us = due_us;
  tk_part_touch(d, task, index);
  if (!due_us) return;
  tk_timer timer = {due_us, task->no, index, TK_TIMER_APPROVAL};
  tk_list_push(d->changes->arena, &d->changes->timers, timer);
}

static void log_open(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "waiting_for");
  tk_json_put_cstr(&w, "approval");
  if (a->deadline_us) {
    tk_json_key(&w, "until");
    tk_json_put_time(&w, a->deadline_us);
  }
  tk_json_object_end(&w);
  tk_part_log(d, task, TK_LOG_STEP_WAITING, index, 0, 0, keep_text(d, &text));
}

void tk_part_open_approval(tk_decide *d, tk_task *task, uint32_t index, tk_slice plan) {
  const tk_graph_step *g = tk_task_template(task, index);
  tk_approval *a = TK_ARENA_NEW(d->changes->arena, tk_approval);
  tk_task_step(task, index)->flags &= (uint16_t)~TK_STEP_F_ASKED;   /* what is shown and who is asked is asked anew on a retry */
  a->task_no = task->no;
  a->step = index;
  if (!tk_approval_open(plan, d->now_us, d->changes->arena, a)) {
    tk_step *step = tk_task_step(task, index);
    step->error = tk_changes_payload(d->changes, tk_slice_str("{\"message\":\"approval: the code of the step named no approvers\","
                                                              "\"code\":\"error\",\"retryable\":false}"));
    tk_part_log(d, task, TK_LOG_STEP_FAILED, index, 0, step->error, nothing);
    tk_part_fail(d, task, index);
    return;
  }
  if (g->timeout_us) a->deadline_us = g->timeout_us < INT64_MAX / 2 ? d->now_us + g->timeout_us : INT64_MAX / 2;
  a->next = task->approvals;
  task->approvals = a;
  tk_part_start_waiting(d, task);
  log_open(d, task, index, a);
  tk_part_wait(d, task, index, TK_WAIT_APPROVAL, 0, TK_TIMER_NONE);
  set_timer(d, task, index, tk_approval_next_us(a));
  tk_part_notify(d, task, a);
  write_row(d, task, index, a);
}

void tk_part_close_approval(tk_decide *d, tk_task *task, uint32_t index) {
  if (tk_task_template(task, index)->flags & TK_GRAPH_NOTIFIES) tk_part_drop_notifications(d, task, approval_of(task, index));
  tk_approval **at = &task->approvals;
  while (*at && (*at)->step != index) at = &(*at)->next;
  if (*at) *at = (*at)->next;
  write_row(d, task, index, NULL);
}

/* ---- The end ---- */

static void put_outcome(tk_json_writer *w, const tk_approval *a, const char *decision, bool timed_out) {
  char hex[2 * TK_SHOWN_SIZE + 1];
  tk_hex(a->shown, TK_SHOWN_SIZE, hex);
  tk_json_object(w);
  tk_json_key(w, "decision");
  tk_json_put_cstr(w, decision);
  tk_json_key(w, "decisions");
  tk_approval_put_votes(a, w);
  if (timed_out) {
    tk_json_key(w, "timed_out");
    tk_json_put_bool(w, true);
  }
  tk_json_key(w, "shown_hash");
  tk_json_put_cstr(w, hex);
  tk_json_object_end(w);
}

static void end_complete(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a, uint8_t decision, bool timed_out) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  put_outcome(&w, a, tk_decision_name(decision), timed_out);
  tk_part_unhook(d, task, index);
  tk_part_complete(d, task, index, tk_changes_payload(d->changes, keep_text(d, &text)), 0, nothing);
  tk_part_release_done(d, task, index, tk_machine_case(task, index, tk_slice_str(tk_decision_name(decision))));
}

/* Many votes with long forms could make an error larger than errors may be: then it does without them, the log has them. */
static tk_slice error_json(tk_decide *d, const tk_approval *a, const char *code, tk_slice message, bool timed_out) {
  tk_buf details = {0}, text = {0};
  tk_json_writer inner = tk_json_to(&details), w = tk_json_to(&text);
  put_outcome(&inner, a, code, timed_out);
  tk_json_object(&w);
  tk_json_key(&w, "message");
  tk_json_put_str(&w, message);
  tk_json_key(&w, "code");
  tk_json_put_cstr(&w, code);
  tk_json_key(&w, "retryable");
  tk_json_put_bool(&w, false);
  if (details.size + text.size < TK_LIMIT_ERROR) {
    tk_json_key(&w, "details");
    tk_json_put_raw(&w, tk_buf_slice(&details));
  }
  tk_json_object_end(&w);
  tk_buf_free(&details);
  return keep_text(d, &text);
}

static void end_failed(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a, const char *code, tk_slice message,
                       bool timed_out) {
  tk_step *step = tk_task_step(task, index);
  tk_part_unhook(d, task, index);
  step->error = tk_changes_payload(d->changes, error_json(d, a, code, message, timed_out));
  tk_part_log(d, task, TK_LOG_STEP_FAILED, index, 0, step->error, nothing);
  tk_part_fail(d, task, index);
}

/* A no, of whatever kind. `why` tells people. */
static void end_refused(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a, uint8_t decision, tk_slice why,
                        bool timed_out) {
  bool completes = tk_task_template(task, index)->flags & TK_GRAPH_REJECT_COMPLETES;
  if (completes) end_complete(d, task, index, a, decision, timed_out);
  else end_failed(d, task, index, a, decision == TK_DECISION_CHANGES ? "changes_requested" : "rejected", why, timed_out);
}

static tk_slice why_of(tk_decide *d, const tk_approval *a, const tk_vote *vote, bool veto) {
  tk_buf text = {0};
  if (vote->decision == TK_DECISION_CHANGES) tk_buf_printf(&text, "changes were requested by %.*s", SHOWN(vote->by));
  else if (veto) tk_buf_printf(&text, "rejected: veto of %.*s", SHOWN(vote->by));
  else
    tk_buf_printf(&text, "rejected: %u of %u approvers said no, the last of them %.*s, and %u have to agree",
                  tk_approval_count(a, TK_DECISION_REJECT), a->approver_count - tk_approval_count(a, TK_DECISION_DELEGATE),
                  SHOWN(vote->by), a->required);
  return keep_text(d, &text);
}

/* What a vote led to: enough agree, somebody asks for changes, or those who have not said no are too few. Escalations that are
 * still to come do not count: they are for silence, not for a no. */
static void judge(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a, const tk_vote *vote) {
  uint32_t yes = tk_approval_count(a, TK_DECISION_APPROVE), open = tk_approval_count(a, TK_DECISION_NONE);
  bool veto = vote->decision == TK_DECISION_REJECT && tk_approval_find(a, vote->by)->veto;
  if (yes >= a->required) end_complete(d, task, index, a, TK_DECISION_APPROVE, false);
  else if (veto || vote->decision == TK_DECISION_CHANGES || yes + open < a->required)
    end_refused(d, task, index, a, vote->decision == TK_DECISION_CHANGES ? TK_DECISION_CHANGES : TK_DECISION_REJECT,
                why_of(d, a, vote, veto), false);
}

/* ---- Votes ---- */

static int refuse(tk_err *err, tk_task *task, uint32_t index, int code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static int refuse(tk_err *err, tk_task *task, uint32_t index, int code, const char *format, ...) {
  char room[TK_STEP_NAME_ROOM];
  tk_slice name = tk_task_step_name(task, index, room);
  char why[512];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return tk_err_set(err, code, "approval '%.*s': %s", (int)name.size, name.data, why);
}

static int check_open(tk_task *task, uint32_t index, tk_err *err) {
  const tk_step *step = tk_task_step(task, index);
  const tk_graph_step *g = tk_task_template(task, index);
  if (g->kind != TK_KIND_APPROVAL)
    return tk_err_set(err, TK_E_INVALID, "step '%.*s' is no approval", (int)g->name.size, g->name.data);
  if (step->status == TK_STEP_WAITING && step->waiting_for == TK_WAIT_APPROVAL) return TK_OK;
  return tk_err_set(err, TK_E_REFUSED, "approval '%.*s' is refused: it is %s%s", (int)g->name.size, g->name.data,
                    tk_step_status_name(step->status),
                    tk_step_final(step->status) ? ", decided already" : " and does not wait for people");
}

static int check_voter(tk_task *task, uint32_t index, const tk_approval *a, const tk_vote *vote, tk_err *err) {
  const tk_approver *by = tk_approval_find(a, vote->by);
  bool delegates = vote->decision == TK_DECISION_DELEGATE;
  static const char own[] = "%.*s started the task and cannot decide about it";
  if (a->excluded.size && tk_slice_eq(a->excluded, vote->by)) return refuse(err, task, index, TK_E_REFUSED, own, SHOWN(vote->by));
  if (!by) return refuse(err, task, index, TK_E_REFUSED, "%.*s is not an approver", SHOWN(vote->by));
  if (by->decision == TK_DECISION_DELEGATE)
    return refuse(err, task, index, TK_E_REFUSED, "%.*s has passed the decision on", SHOWN(vote->by));
  if (by->decision != TK_DECISION_NONE)
    return refuse(err, task, index, TK_E_REFUSED, "%.*s has decided already: %s", SHOWN(vote->by), tk_decision_name(by->decision));
  if (delegates && a->excluded.size && tk_slice_eq(a->excluded, vote->to))
    return refuse(err, task, index, TK_E_REFUSED, own, SHOWN(vote->to));
  if (delegates && tk_approval_find(a, vote->to))
    return refuse(err, task, index, TK_E_REFUSED, "%.*s is asked already", SHOWN(vote->to));
  return TK_OK;
}

static int check_vote(tk_task *task, uint32_t index, const tk_approval *a, const tk_vote *vote, tk_err *err) {
  int code = check_voter(task, index, a, vote, err);
  if (code) return code;
  if (vote->shown.size && (vote->shown.size != TK_SHOWN_SIZE || memcmp(vote->shown.data, a->shown, TK_SHOWN_SIZE)))
    return refuse(err, task, index, TK_E_CONFLICT, "what %.*s was shown is not what is asked now", SHOWN(vote->by));
  size_t size = vote->details.size;
  for (uint32_t i = 0; i < a->vote_count; i++) size += a->votes[i].details.size;
  if (size > TK_LIMIT_APPROVAL)
    return refuse(err, task, index, TK_E_INVALID, "its comments and forms would be more than %d bytes", TK_LIMIT_APPROVAL);
  if (vote->decision == TK_DECISION_DELEGATE && a->approver_count >= TK_LIMIT_APPROVERS)
    return refuse(err, task, index, TK_E_INVALID, "it would have more than %d approvers", TK_LIMIT_APPROVERS);
  return TK_OK;
}

static void log_vote(tk_decide *d, tk_task *task, uint32_t index, const tk_vote *vote) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "by");
  tk_json_put_str(&w, vote->by);
  tk_json_key(&w, "decision");
  tk_json_put_cstr(&w, tk_decision_name(vote->decision));
  if (vote->to.size) {
    tk_json_key(&w, "to");
    tk_json_put_str(&w, vote->to);
  }
  if (vote->details.size > 2) tk_json_put_raw(&w, tk_slice_of(vote->details.data + 1, vote->details.size - 2));
  tk_json_object_end(&w);
  tk_part_log(d, task, TK_LOG_STEP_APPROVAL_DECIDED, index, 0, 0, keep_text(d, &text));
}

int tk_part_vote(tk_decide *d, tk_task *task, const tk_event *event, tk_err *err) {
  uint32_t index = event->step;
  int code = check_open(task, index, err);
  if (code) return code;
  tk_approval *a = approval_of(task, index);
  tk_vote vote = *event->vote;
  code = check_vote(task, index, a, &vote, err);
  if (code) return code;
  tk_arena *arena = d->changes->arena;
  vote.at_us = d->now_us;
  tk_approval_add_vote(a, arena, &vote);
  if (vote.decision == TK_DECISION_DELEGATE) {
    tk_approver heir = {.name = vote.to, .veto = tk_approval_find(a, vote.by)->veto};
    tk_approval_add_approvers(a, arena, &heir, 1);
  }
  log_vote(d, task, index, &vote);
  write_row(d, task, index, a);
  judge(d, task, index, a, &vote);
  tk_part_settle(d, task, tk_task_step(task, index)->error);
  return TK_OK;
}

/* ---- Time ---- */

static void escalate(tk_decide *d, tk_task *task, uint32_t index, tk_approval *a) {
  const tk_escalation *next = a->escalations;
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_approval_add_approvers(a, d->changes->arena, next->approvers, next->count);
  a->round++;
  a->escalations++;
  a->escalation_count--;
  tk_json_object(&w);
  tk_json_key(&w, "round");
  tk_json_put_int(&w, a->round);
  tk_json_key(&w, "approvers");
  tk_json_array(&w);
  for (uint32_t i = 0; i < next->count; i++) tk_json_put_str(&w, next->approvers[i].name);
  tk_json_array_end(&w);
  tk_json_object_end(&w);
  tk_part_log(d, task, TK_LOG_STEP_APPROVAL_ESCALATED, index, 0, 0, keep_text(d, &text));
  tk_part_notify(d, task, a);
}

static void time_is_up(tk_decide *d, tk_task *task, uint32_t index, const tk_approval *a) {
  const tk_graph_step *g = tk_task_template(task, index);
  tk_slice why = tk_part_text(d, "nobody decided within %.6g s", (double)g->timeout_us / 1e6);
  if (g->flags & TK_GRAPH_TIMEOUT_COMPLETES) end_complete(d, task, index, a, TK_DECISION_APPROVE, true);
  else if (g->flags & TK_GRAPH_TIMEOUT_REJECTS) end_refused(d, task, index, a, TK_DECISION_REJECT, why, true);
  else end_failed(d, task, index, a, "timeout", why, true);
}

void tk_part_approval_due(tk_decide *d, tk_task *task, uint32_t index) {
  tk_approval *a = approval_of(task, index);
  tk_task_step(task, index)->due_us = 0;   /* its timer is taken */
  if (a->deadline_us && a->deadline_us <= d->now_us) {
    time_is_up(d, task, index, a);
    return;
  }
  while (a->escalation_count && a->escalations[0].due_us <= d->now_us) escalate(d, task, index, a);
  set_timer(d, task, index, tk_approval_next_us(a));
  write_row(d, task, index, a);
}
