/* Schedules in a turn: their events are decided, and the occurrences that come of it become tasks in the same commit. */
#include "base/json.h"
#include "base/log.h"
#include "base/tzfile.h"
#include "engine/parts.h"

#define ASK_NAMESPACE "tasker"
#define BLOCKED_RETRY_US 60000000   /* a schedule whose zone cannot be read is looked at again after so long */

static tk_slice text_of(const tk_schedule *s, int which) { return s->spec.texts[which]; }

static int recurrence_of(tk_engine *e, const tk_schedule_spec *spec, int64_t phase_us, tk_recurrence *out, tk_err *err) {
  tk_slice zone = spec->texts[TK_SCHEDULE_ZONE], bytes = {NULL, 0};
  int code = zone.size ? tk_tzfile_read(zone, &bytes, err) : TK_OK;
  return code ? code : tk_schedule_recurrence(spec, phase_us, bytes, &e->arena, out, err);
}

/* ---- Tasks ---- */

/* What the context of an occurrence is asked with. */
static tk_slice occurrence_json(tk_engine *e, const tk_schedule *s, const tk_fire *fire) {
  tk_buf text = {0};
  tk_json_writer w = tk_json_to(&text);
  tk_json_object(&w);
  tk_json_key(&w, "schedule");
  tk_json_put_str(&w, text_of(s, TK_SCHEDULE_NAME));
  tk_json_key(&w, "scheduled_at");
  tk_json_put_time(&w, fire->scheduled_us);
  if (fire->previous_us) {
    tk_json_key(&w, "previous_scheduled_at");
    tk_json_put_time(&w, fire->previous_us);
  }
  tk_json_key(&w, "triggered");
  tk_json_put_bool(&w, fire->manual);
  tk_json_object_end(&w);
  tk_slice copy = tk_arena_copy(&e->arena, tk_buf_slice(&text));
  tk_buf_free(&text);
  return copy;
}

static tk_slice or_else(tk_slice text, tk_slice otherwise) { return text.size ? text : otherwise; }

static void fill_info(tk_engine *e, const tk_decide *d, const tk_schedule *s, const tk_fire *fire, bool ask, tk_submission *sub) {
  tk_slice unknown = tk_slice_str("unknown");
  tk_task_info *info = &sub->info;
  info->context = ask ? occurrence_json(e, s, fire) : or_else(fire->context, text_of(s, TK_SCHEDULE_CONTEXT));
  info->context = or_else(info->context, tk_slice_str("{}"));
  info->tags = text_of(s, TK_SCHEDULE_TAGS);
  info->initiator = or_else(text_of(s, TK_SCHEDULE_INITIATOR), unknown);
  info->source_system = or_else(text_of(s, TK_SCHEDULE_SOURCE_SYSTEM), unknown);
  info->reason = or_else(text_of(s, TK_SCHEDULE_REASON), unknown);
  info->queue = sub->queue;
  info->requested_at_us = d->now_us;
  info->schedule = text_of(s, TK_SCHEDULE_NAME);
  info->scheduled_us = fire->scheduled_us;
  info->previous_us = fire->previous_us;
  info->late_us = fire->late_us;
}

/* A task of an occurrence, or the one that asks for its context. Its number was given by decide. */
static int make_task(tk_engine *e, tk_decide *d, const tk_schedule *s, const tk_fire *fire, tk_err *err) {
  bool ask = s->spec.ask && !fire->context.size;
  tk_submission *sub = TK_ARENA_NEW(&e->arena, tk_submission);
  uint32_t target = tk_store_find_definition(e->store, text_of(s, TK_SCHEDULE_NS), text_of(s, TK_SCHEDULE_HANDLER),
                                             text_of(s, TK_SCHEDULE_VERSION));
  const tk_graph *graph = target ? tk_turn_graph(e, target) : NULL;
  sub->definition = ask ? s->spec.ask : target;
  sub->graph = ask ? tk_turn_graph(e, s->spec.ask) : graph;
  if (!graph || !sub->graph) return tk_err_set(err, TK_E_CORRUPT, "its definition is not in the store");
  sub->priority = s->spec.has_priority ? s->spec.priority : graph->priority;
  sub->queue = or_else(text_of(s, TK_SCHEDULE_QUEUE), graph->queue);
  sub->schedule = s->no;
  fill_info(e, d, s, fire, ask, sub);
  tk_task *task = TK_ARENA_NEW(&e->arena, tk_task);
  task->no = fire->task_no;
  task->id = tk_id_next(&e->ids, d->now_us, &e->rng);
  task->queue = tk_store_name(e->store, sub->queue, err);
  if (!task->queue) return err->code;
  int code = tk_decide_submit(d, task, sub, err);
  if (!code) tk_store_adopt(e->store, task);
  return code;
}

/* The number of a task that cannot be made is never used. */
static void make_tasks(tk_engine *e, tk_decide *d, tk_schedule *s, const tk_fires *fires) {
  for (size_t i = 0; i < fires->list.count; i++) {
    const tk_fire *fire = &fires->list.items[i];
    tk_err err = {0};
    if (!make_task(e, d, s, fire, &err)) continue;
    tk_slice name = text_of(s, TK_SCHEDULE_NAME);
    tk_log(TK_LOG_ERROR, "schedule %.*s: %s", (int)name.size, name.data, err.message);
    tk_decide_schedule_skip(d, s, fire->scheduled_us, "its task could not be made");
    tk_decide_schedule(d, s, &(tk_event){.type = TK_EV_SCHEDULE_ENDED, .child = fire->task_no}, NULL, NULL, NULL);
  }
}

/* ---- Events ---- */

/* The task that asked for a context has ended: with it, the occurrence becomes a task. */
static void take_answer(tk_engine *e, tk_decide *d, tk_schedule *s, const tk_event *event, tk_fires *fires) {
  tk_task_info info;
  tk_err err = {0};
  tk_task *task = tk_store_task(e->store, event->child, &err);
  if (!task || !tk_slice_eq(task->graph->ns, tk_slice_str(ASK_NAMESPACE)) || tk_store_info(e->store, task, &info, &err)) return;
  tk_fire fire = {.scheduled_us = info.scheduled_us, .previous_us = info.previous_us};
  fire.late_us = info.late_us + d->now_us - task->created_at_us;
  uint64_t results = event->cursor == TK_TASK_COMPLETE ? tk_task_step(task, 0)->results : task->results;
  if (results && !tk_store_payload(e->store, results, &fire.context, &err) && fire.context.size && fire.context.data[0] == '{')
    tk_decide_schedule_answered(d, s, &fire, fires);
  else tk_decide_schedule_skip(d, s, info.scheduled_us, "no context");
}

/* A schedule that cannot be computed here keeps its place: somebody else may be able to, or this process later. */
static void put_off(tk_decide *d, tk_schedule *s, const tk_event *event, const tk_err *err) {
  tk_slice name = text_of(s, TK_SCHEDULE_NAME);
  tk_log(TK_LOG_ERROR, "schedule %.*s cannot be computed: %s", (int)name.size, name.data, err->message);
  if (event->type != TK_EV_TIMER || s->due_us != event->due_us) return;
  s->due_us = d->now_us + BLOCKED_RETRY_US;
  tk_timer timer = {s->due_us, s->no, TK_NO_STEP, TK_TIMER_SCHEDULE};
  tk_list_push(d->changes->arena, &d->changes->timers, timer);
  if (!s->dirty) tk_list_push(d->changes->arena, &d->changes->schedules, s);
  s->dirty = true;
}

static int decide(tk_engine *e, tk_decide *d, tk_schedule *s, const tk_event *event, tk_err *err) {
  const tk_schedule_spec *spec = event->type == TK_EV_SCHEDULE_PUT ? event->schedule : &s->spec;
  tk_recurrence recurrence;
  tk_fires fires = {0};
  /* As decide will have it: an interval keeps its phase while nothing about its times changes. */
  bool fresh = event->type == TK_EV_SCHEDULE_PUT && !(s->created_at_us && tk_schedule_spec_same(&s->spec, spec, true));
  int64_t phase_us = fresh ? (spec->starts_us ? spec->starts_us : d->now_us) : s->phase_us;
  int code = recurrence_of(e, spec, phase_us, &recurrence, err);
  if (code) return code;
  if (event->type == TK_EV_SCHEDULE_ENDED) take_answer(e, d, s, event, &fires);
  code = tk_decide_schedule(d, s, event, &recurrence, &fires, err);
  if (!code) make_tasks(e, d, s, &fires);
  return code;
}

void tk_schedules_take(tk_engine *e, tk_decide *d, const tk_load *load) {
  for (size_t i = 0; i < load->schedule_event_count; i++) {
    tk_schedule *s = load->event_schedules[i];
    tk_err err = {0};
    if (s->deleted || !decide(e, d, s, &load->schedule_events[i], &err)) continue;
    put_off(d, s, &load->schedule_events[i], &err);
  }
}

/* ---- Requests ---- */

static int no_schedule(tk_slice name, tk_err *err) {
  return tk_err_set(err, TK_E_NOT_FOUND, "there is no schedule '%.*s'", (int)(name.size < 200 ? name.size : 200), name.data);
}

/* What the schedule will submit to must be there when it is made. */
static int check_handler(tk_engine *e, const tk_schedule_spec *spec, tk_err *err) {
  tk_slice ns = spec->texts[TK_SCHEDULE_NS], name = spec->texts[TK_SCHEDULE_HANDLER];
  if (tk_store_find_definition(e->store, ns, name, spec->texts[TK_SCHEDULE_VERSION])) return TK_OK;
  return tk_err_set(err, TK_E_NOT_FOUND, "no handler '%.*s/%.*s' is in the store", (int)ns.size, ns.data, (int)name.size, name.data);
}

int tk_schedules_request(tk_engine *e, tk_decide *d, const tk_event *event, struct tk_answer *answer, tk_err *err) {
  bool put = event->type == TK_EV_SCHEDULE_PUT;
  tk_slice name = put ? event->schedule->texts[TK_SCHEDULE_NAME] : event->name;
  tk_schedule *s;
  int code = tk_store_find_schedule(e->store, name, &s, err);
  if (!code && put) code = check_handler(e, event->schedule, err);
  if (code) return code;
  if (!s && !put) return no_schedule(name, err);
  if (!s) {
    s = TK_ARENA_NEW(&e->arena, tk_schedule);
    s->no = d->changes->next_task;
  }
  bool created = !s->created_at_us, triggered = event->type == TK_EV_SCHEDULE_TRIGGER;
  code = decide(e, d, s, event, err);
  if (code) return code;
  if (put && created) {
    d->changes->next_task++;
    tk_store_adopt_schedule(e->store, s);
  }
  answer->created = put && created;
  answer->task_no = s->no;
  const tk_task *task = triggered ? tk_store_task(e->store, s->last_task, NULL) : NULL;
  if (task) answer->id = task->id;
  return TK_OK;
}

int64_t tk_schedules_due_us(tk_engine *e, uint64_t no) {
  tk_schedule *s;
  return tk_store_schedule(e->store, no, &s, NULL) || !s ? 0 : s->due_us;
}
