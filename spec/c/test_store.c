/* The store's contract, over LMDB and memory. */
#include "store_support.h"

static const tk_plan nothing;

/* ---- Definitions and names ---- */

TEST_BOTH(a_definition_is_known_by_its_content_and_its_version_is_the_last_one_defined) {
  world *w = world_new(kind);
  uint32_t first = world_define(w, "order", "1.0.0", 2, SHAPE_CHAIN), other = world_define(w, "order", "1.0.0", 3, SHAPE_CHAIN);
  CHECK(first && other && first != other);
  tk_snap *snap;
  tk_meta before, after;
  tk_slice ns = tk_slice_str("test"), name = tk_slice_str("order"), version = tk_slice_str("1.0.0");
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_find_definition(snap, ns, name, version), other);
  tk_snap_meta(snap, &before, &w->err);
  tk_snap_close(snap);
  CHECK_EQ_INT(world_define(w, "order", "1.0.0", 2, SHAPE_CHAIN), first);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_find_definition(snap, ns, name, version), first);
  tk_snap_meta(snap, &after, &w->err);
  CHECK(after.generation > before.generation);
  tk_definition d;
  REQUIRE(tk_snap_definition(snap, first, &d, &w->err) == 0);
  CHECK(tk_slice_eq(d.name, name) && tk_slice_eq(d.version, version) && d.created_at_us == EPOCH_US);
  CHECK_EQ_INT(tk_snap_find_definition_hash(snap, d.hash), first);
  CHECK_EQ_INT(tk_snap_definition(snap, 99, &d, &w->err), TK_E_NOT_FOUND);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  world_free(w);
}

TEST_BOTH(without_a_version_the_highest_one_is_found) {
  world *w = world_new(kind);
  uint32_t nine = world_define(w, "a", "1.9.0", 1, SHAPE_CHAIN), ten = world_define(w, "a", "1.10.0", 2, SHAPE_CHAIN);
  world_define(w, "a", "1.10.0-rc.1", 3, SHAPE_CHAIN);
  world_define(w, "ab", "2.0.0", 4, SHAPE_CHAIN);
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_find_definition(snap, tk_slice_str("test"), tk_slice_str("a"), tk_slice_of(NULL, 0)), ten);
  CHECK_EQ_INT(tk_snap_find_definition(snap, tk_slice_str("test"), tk_slice_str("a"), tk_slice_str("1.9.0")), nine);
  CHECK_EQ_INT(tk_snap_find_definition(snap, tk_slice_str("test"), tk_slice_str("b"), tk_slice_of(NULL, 0)), 0);
  tk_snap_close(snap);
  world_free(w);
}

TEST_BOTH(a_source_is_kept_once_and_found_by_its_hash) {
  world *w = world_new(kind);
  tk_definition d = {
      .ns = tk_slice_str("test"), .name = tk_slice_str("x"), .version = tk_slice_str("1.0.0"), .json = tk_slice_str("{}")};
  uint32_t number;
  tk_slice text;
  tk_graph_step step = {.name = tk_slice_str("a"), .retry = {.limit = 1}};
  tk_graph from = {.ns = d.ns,
                   .name = d.name,
                   .version = d.version,
                   .queue = tk_slice_str("default"),
                   .step_count = 1,
                   .steps = &step},
           *graph;
  tk_buf bytes = {0};
  REQUIRE(tk_graph_build(&from, &graph, &w->err) == 0);
  tk_graph_encode(graph, &bytes);
  tk_graph_free(graph);
  d.graph = tk_buf_slice(&bytes);
  memset(d.hash, 1, 32);
  memset(d.source, 2, 32);
  CHECK_EQ_INT(tk_store_define(w->store, &d, tk_slice_str("return 1"), &number, &w->err), 0);
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_source(snap, d.source, &text, &w->err), 0);
  CHECK(tk_slice_eq(text, tk_slice_str("return 1")));
  CHECK_EQ_INT(tk_snap_source(snap, d.hash, &text, &w->err), TK_E_NOT_FOUND);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  tk_buf_free(&bytes);
  world_free(w);
}

TEST_BOTH(a_name_keeps_its_number_even_when_its_turn_is_given_up) {
  world *w = world_new(kind);
  REQUIRE(turn_begin(w, &nothing) == 0);
  uint32_t number = tk_store_name(w->store, tk_slice_str("mail"), &w->err),
           other = tk_store_name(w->store, tk_slice_str("post"), &w->err);
  CHECK(number && other && number != other);
  tk_store_abort(w->store);
  REQUIRE(turn_begin(w, &nothing) == 0);
  CHECK_EQ_INT(tk_store_name(w->store, tk_slice_str("post"), &w->err), other);
  CHECK(tk_store_name(w->store, tk_slice_str("more"), &w->err) > other);
  CHECK_EQ_INT(turn_apply(w), 0);
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_find_name(snap, tk_slice_str("mail")), number);
  CHECK(tk_slice_eq(tk_snap_name(snap, other), tk_slice_str("post")));
  CHECK_EQ_INT(tk_snap_name(snap, 77).size, 0);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  world_free(w);
}

/* ---- Tasks ---- */

TEST_BOTH(what_was_submitted_is_read_back_whole) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "order", "1.0.0", 3, SHAPE_CHAIN), bypass[] = {1};
  tk_submission s = world_submission(definition, "{\"order_id\":7}");
  tk_buf annotations = {0};
  s.info.initiator = tk_slice_str("ann");
  s.info.tags = tk_slice_str("[\"vip\"]");
  s.info.bypass_steps = tk_slice_str("[\"s1\"]");
  s.info.identity = tk_slice_str("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
  s.info.parent = 0;
  s.priority = -3;
  s.queue = s.info.queue = tk_slice_str("mail");
  s.bypass = bypass;
  s.bypass_count = 1;
  tk_buf_bytes(&annotations, tk_slice_str("color"));
  tk_buf_bytes(&annotations, tk_slice_str("\"red\""));
  s.annotations = tk_buf_slice(&annotations);
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_task *made = turn_submit(w, &s);
  tk_id id = made->id;
  uint64_t no = made->no;
  CHECK_EQ_INT(turn_apply(w), 0);

  tk_snap *snap;
  tk_arena arena = {0};
  tk_task *task;
  tk_task_info info;
  tk_annotation *list;
  size_t count;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_task_no(snap, &id), no);
  REQUIRE(tk_snap_task(snap, &arena, no, world_graph, w, &task, &info, &w->err) == 0);
  CHECK(memcmp(&task->id, &id, sizeof id) == 0 && memcmp(&info.id, &id, sizeof id) == 0);
  CHECK_EQ_INT(task->priority, -3);
  CHECK_EQ_INT(task->created_at_us, EPOCH_US);
  CHECK_EQ_INT(task->open, 3);
  CHECK_EQ_INT(task->attempt, 1);
  CHECK(tk_slice_eq(tk_snap_name(snap, task->queue), s.queue));
  CHECK_EQ_INT(tk_task_step(task, 0)->status, TK_STEP_READY);
  CHECK_EQ_INT(tk_task_step(task, 1)->flags, TK_STEP_F_BYPASS);
  CHECK(tk_slice_eq(info.initiator, s.info.initiator) && tk_slice_eq(info.source_system, tk_slice_str("unknown")));
  CHECK(tk_slice_eq(info.tags, s.info.tags) && tk_slice_eq(info.bypass_steps, s.info.bypass_steps));
  CHECK(tk_slice_eq(info.identity, s.info.identity) && tk_slice_eq(info.context, s.info.context) &&
        tk_slice_eq(info.queue, s.queue));
  CHECK_EQ_INT(info.requested_at_us, EPOCH_US - 5);
  REQUIRE(tk_snap_annotations(snap, &arena, no, &list, &count, &w->err) == 0);
  REQUIRE(count == 1);
  CHECK(tk_slice_eq(list[0].name, tk_slice_str("color")) && tk_slice_eq(list[0].value, tk_slice_str("\"red\"")));
  CHECK_EQ_INT(tk_snap_task(snap, &arena, no + 1, world_graph, w, &task, NULL, &w->err), TK_E_NOT_FOUND);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  tk_arena_free(&arena);
  tk_buf_free(&annotations);
  world_free(w);
}

static bool collect_tasks(void *context, uint64_t task_no) {
  tk_buf *out = context;
  tk_buf_printf(out, "%llu ", (unsigned long long)task_no);
  return out->size < 8;
}

TEST_BOTH(tasks_are_listed_from_the_newest_and_from_below_a_number) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_snap *snap;
  tk_buf out = {0};
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_each_task(snap, 0, collect_tasks, &out, &w->err), 0);
  CHECK_EQ_INT(out.size, 0);
  tk_snap_close(snap);
  for (int i = 0; i < 5; i++) world_submit(w, definition);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_each_task(snap, 0, collect_tasks, &out, &w->err);
  tk_buf_u8(&out, '|');
  tk_snap_each_task(snap, 3, collect_tasks, &out, &w->err);
  tk_buf_u8(&out, 0);
  CHECK_EQ_STR(out.data, "5 4 3 2 |2 ");
  tk_buf_clear(&out);
  tk_snap_each_task(snap, 99, collect_tasks, &out, &w->err);
  CHECK(out.size && out.data[0] == '5');
  tk_snap_close(snap);
  tk_buf_free(&out);
  world_free(w);
}

TEST_BOTH(an_id_is_found_by_its_beginning_or_end_unless_that_is_ambiguous) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_id first, found[2];
  tk_snap *snap;
  char hex[33];
  for (int i = 0; i < 50; i++) {
    tk_submission s = world_submission(definition, "{}");
    REQUIRE(turn_begin(w, &nothing) == 0);
    tk_id id = turn_submit(w, &s)->id;
    if (i == 0) first = id;
    REQUIRE(turn_apply(w) == 0);
  }
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", first.bytes[i]);
  CHECK_EQ_INT(tk_snap_find_id(snap, hex, found, &w->err), 1);
  CHECK_EQ_INT(tk_snap_find_id(snap, hex + 19, found, &w->err), 1);
  CHECK(memcmp(&found[0], &first, sizeof first) == 0);
  hex[9] = '\0';
  CHECK_EQ_INT(tk_snap_find_id(snap, hex, found, &w->err), 2);
  CHECK_EQ_INT(tk_snap_find_id(snap, "ffffffff", found, &w->err), 0);
  CHECK_EQ_INT(tk_snap_find_id(snap, "xyz", found, &w->err), 0);
  tk_snap_close(snap);
  world_free(w);
}

/* ---- Turns ---- */

TEST_BOTH(an_aborted_turn_leaves_nothing) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_submission s = world_submission(definition, "{}");
  tk_meta meta;
  tk_snap *snap;
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_id id = turn_submit(w, &s)->id;
  tk_store_abort(w->store);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &meta, &w->err);
  CHECK_EQ_INT(meta.last_seq, 0);
  CHECK_EQ_INT(tk_snap_task_no(snap, &id), 0);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  world_free(w);
}

TEST_BOTH(the_mark_tells_whether_a_turn_was_committed) {
  world *w = world_new(kind);
  tk_turn_mark mark;
  memcpy(mark.incarnation, w->process.incarnation, 16);
  mark.turn = 1;
  CHECK_EQ_INT(tk_store_committed(w->store, &mark, &w->err), 0);
  REQUIRE(turn_begin(w, &nothing) == 0 && turn_apply(w) == 0);
  CHECK_EQ_INT(tk_store_committed(w->store, &mark, &w->err), 1);
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_store_abort(w->store);
  mark.turn = 2;
  CHECK_EQ_INT(tk_store_committed(w->store, &mark, &w->err), 0);
  world_free(w);
}

typedef struct event_list { tk_buf text; uint64_t last; bool gap; } event_list;
static bool collect_event(void *context, const tk_log_event *event) {
  event_list *list = context;
  list->gap |= list->last && event->seq != list->last + 1;
  list->last = event->seq;
  tk_buf_printf(&list->text, "%s", tk_log_kind_name(event->kind));
  if (event->step != TK_NO_STEP) tk_buf_printf(&list->text, ":%u", event->step);
  tk_buf_u8(&list->text, ' ');
  return true;
}

TEST_BOTH(a_chain_is_told_by_the_log_without_a_gap_and_each_task_by_its_own) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "pair", "1.0.0", 2, SHAPE_CHAIN);
  uint64_t first = world_submit(w, definition);
  world_submit(w, definition);
  for (int i = 0; i < 3; i++) {
    w->now_us += 1000000;
    world_work(w, &definition, 1, 10, "{}");
  }
  tk_snap *snap;
  event_list all = {0}, own = {0}, tail = {0};
  tk_meta meta;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_each_event(snap, 0, 0, collect_event, &all, &w->err), 0);
  CHECK(!all.gap);
  tk_snap_meta(snap, &meta, &w->err);
  CHECK_EQ_INT(all.last, meta.last_seq);
  CHECK_EQ_INT(tk_snap_each_event(snap, 0, first, collect_event, &own, &w->err), 0);
  tk_buf_u8(&own.text, 0);
  CHECK_EQ_STR(own.text.data,
               "task.created task.started step.started:0 step.completed:0 step.started:1 step.completed:1 task.completed ");
  CHECK_EQ_INT(tk_snap_each_event(snap, all.last - 2, 0, collect_event, &tail, &w->err), 0);
  tk_buf_u8(&tail.text, 0);
  CHECK_EQ_STR(tail.text.data, "step.completed:1 task.completed ");
  tk_buf_clear(&tail.text);
  CHECK_EQ_INT(tk_snap_each_event(snap, all.last, 0, collect_event, &tail, &w->err), 0);
  CHECK_EQ_INT(tk_snap_each_event(snap, all.last + 100, 0, collect_event, &tail, &w->err), 0);
  CHECK_EQ_INT(tail.text.size, 0);
  CHECK_EQ_INT(meta.tasks_by_status[TK_TASK_COMPLETE], 2);
  CHECK_EQ_INT(meta.steps_by_status[TK_STEP_COMPLETE], 4);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  tk_buf_free(&all.text);
  tk_buf_free(&own.text);
  tk_buf_free(&tail.text);
  world_free(w);
}

TEST_BOTH(the_events_of_a_task_after_a_number_begin_in_the_middle_of_a_record) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "one", "1.0.0", 1, SHAPE_CHAIN);
  uint64_t no = world_submit(w, definition);
  world_work(w, &definition, 1, 1, "{}");
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  for (uint64_t after = 0; after < 7; after++) {
    event_list own = {0}, all = {0};
    tk_snap_each_event(snap, after, no, collect_event, &own, &w->err);
    tk_snap_each_event(snap, after, 0, collect_event, &all, &w->err);
    CHECK_EQ_INT(own.text.size, all.text.size);
    CHECK_EQ_INT(own.last, after < 5 ? 5 : 0);
    tk_buf_free(&own.text);
    tk_buf_free(&all.text);
  }
  tk_snap_close(snap);
  world_free(w);
}

/* ---- Ready work ---- */

static void submit_with_priority(world *w, uint32_t definition, int32_t priority, const char *queue) {
  tk_submission s = world_submission(definition, "{}");
  s.priority = priority;
  s.queue = s.info.queue = tk_slice_str(queue);
  if (turn_begin(w, &nothing)) abort();
  turn_submit(w, &s);
  if (turn_apply(w)) abort();
}

static void candidates_text(world *w, const uint32_t *queues, size_t queue_count, const uint32_t *definitions,
                            size_t definition_count, size_t limit, char out[256]) {
  tk_plan plan = {.queues = queues,
                  .queue_count = queue_count,
                  .definitions = definitions,
                  .definition_count = definition_count,
                  .candidates = limit};
  if (turn_begin(w, &plan)) abort();
  out[0] = '\0';
  for (size_t i = 0; i < w->load.candidate_count; i++)
    snprintf(out + strlen(out), 256 - strlen(out), "%llu.%u ", (unsigned long long)w->load.candidates[i].task_no,
             w->load.candidates[i].step);
  tk_store_abort(w->store);
}

TEST_BOTH(ready_work_comes_by_priority_then_submission_over_all_lanes) {
  world *w = world_new(kind);
  uint32_t a = world_define(w, "a", "1.0.0", 2, SHAPE_PARALLEL), b = world_define(w, "b", "1.0.0", 1, SHAPE_CHAIN),
           c = world_define(w, "c", "1.0.0", 1, SHAPE_CHAIN);
  submit_with_priority(w, a, 0, "default");   /* 1 */
  submit_with_priority(w, b, 5, "default");   /* 2 */
  submit_with_priority(w, c, 9, "default");   /* 3: no code */
  submit_with_priority(w, b, -2, "mail");     /* 4 */
  submit_with_priority(w, b, 0, "other");     /* 5: not asked for */
  submit_with_priority(w, a, 5, "mail");      /* 6 */
  submit_with_priority(w, b, 0, "default");   /* 7 */
  tk_snap *snap;
  char text[256];
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  uint32_t queues[] = {tk_snap_find_name(snap, tk_slice_str("default")), tk_snap_find_name(snap, tk_slice_str("mail"))};
  tk_snap_close(snap);
  uint32_t definitions[] = {a, b}, only[] = {c}, others[] = {99, 100};
  candidates_text(w, queues, 2, definitions, 2, 100, text);
  CHECK_EQ_STR(text, "2.0 6.0 6.1 1.0 1.1 7.0 4.0 ");
  candidates_text(w, queues, 2, definitions, 2, 3, text);
  CHECK_EQ_STR(text, "2.0 6.0 6.1 ");
  candidates_text(w, queues, 1, definitions, 2, 100, text);
  CHECK_EQ_STR(text, "2.0 1.0 1.1 7.0 ");
  candidates_text(w, queues + 1, 1, definitions + 1, 1, 100, text);
  CHECK_EQ_STR(text, "4.0 ");
  candidates_text(w, queues, 2, only, 1, 100, text);
  CHECK_EQ_STR(text, "3.0 ");
  candidates_text(w, queues, 2, others, 2, 100, text);
  CHECK_EQ_STR(text, "");
  candidates_text(w, queues, 2, definitions, 0, 100, text);
  CHECK_EQ_STR(text, "");
  CHECK_WHOLE(w);
  world_free(w);
}

TEST_BOTH(many_lanes_are_merged_in_order) {
  world *w = world_new(kind);
  uint32_t definitions[8], queues[4];
  char name[16];
  const char *queue_names[] = {"q0", "q1", "q2", "q3"};
  for (int i = 0; i < 8; i++) {
    snprintf(name, sizeof name, "d%d", i);
    definitions[i] = world_define(w, name, "1.0.0", (uint32_t)(1 + i % 3), SHAPE_PARALLEL);
  }
  for (int i = 0; i < 300; i++)
    submit_with_priority(w, definitions[tk_rng_next(&w->rng) % 8], (int32_t)(tk_rng_next(&w->rng) % 5) - 2,
                         queue_names[tk_rng_next(&w->rng) % 4]);
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  for (int i = 0; i < 4; i++) queues[i] = tk_snap_find_name(snap, tk_slice_str(queue_names[i]));
  tk_snap_close(snap);
  tk_plan plan = {.queues = queues, .queue_count = 4, .definitions = definitions, .definition_count = 8, .candidates = 10000};
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK_EQ_INT(w->load.candidate_count, w->load.steps_by_status[TK_STEP_READY]);
  for (size_t i = 1; i < w->load.candidate_count; i++) {
    const tk_ready *x = &w->load.candidates[i - 1], *y = &w->load.candidates[i];
    bool order = x->priority != y->priority ? x->priority > y->priority
                 : x->task_no != y->task_no ? x->task_no < y->task_no
                                            : x->step < y->step;
    CHECK(order);
  }
  tk_store_abort(w->store);
  world_free(w);
}

/* ---- Timers, inbox, notices ---- */

static uint64_t submit_at(world *w, uint32_t definition, int64_t run_at_us) {
  tk_submission s = world_submission(definition, "{}");
  s.info.run_at_us = run_at_us;
  if (turn_begin(w, &nothing)) abort();
  uint64_t no = turn_submit(w, &s)->no;
  if (turn_apply(w)) abort();
  return no;
}

TEST_BOTH(timers_come_when_they_are_due_and_once) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_plan plan = {.timers = 4, .due = true};
  for (int i = 5; i > 0; i--) submit_at(w, definition, w->now_us + i * 1000);
  CHECK_WHOLE(w);
  w->now_us += 3000;
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK_EQ_INT(w->load.event_count, 2);             /* timers use half the room, so that the inbox does not starve */
  CHECK(w->load.more);
  CHECK_EQ_INT(w->load.events[0].due_us, EPOCH_US + 1000);
  CHECK_EQ_INT(w->load.event_tasks[0]->no, 5);
  CHECK_EQ_INT(w->load.next_timer_us, EPOCH_US + 3000);
  for (size_t i = 0; i < w->load.event_count; i++) tk_decide_event(&w->d, w->load.event_tasks[i], &w->load.events[i], NULL, NULL);
  CHECK_EQ_INT(turn_apply(w), 0);
  CHECK_WHOLE(w);
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK_EQ_INT(w->load.event_count, 1);
  CHECK(!w->load.more);
  CHECK_EQ_INT(w->load.next_timer_us, EPOCH_US + 4000);
  tk_store_abort(w->store);
  plan.timers = 0;
  REQUIRE(turn_begin(w, &plan) == 0);               /* none wanted now: the first is told all the same */
  CHECK_EQ_INT(w->load.event_count, 0);
  CHECK_EQ_INT(w->load.next_timer_us, EPOCH_US + 3000);
  tk_store_abort(w->store);
  world_free(w);
}

TEST_BOTH(a_large_task_goes_on_over_the_inbox_and_touches_only_the_chunks_it_needs) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "big", "1.0.0", 2000, SHAPE_FAN);
  uint64_t no = world_submit(w, definition), chunks;
  tk_kv_txn *txn;
  tk_kv_begin(w->store->kv, false, &txn, &w->err);
  tk_kv_count(txn, TK_TABLE_CHUNKS, &chunks, &w->err);
  tk_kv_abort(txn);
  CHECK_EQ_INT(chunks, 0);
  CHECK_EQ_INT(world_work(w, &definition, 1, 1, "{}"), 1);
  CHECK_WHOLE(w);
  tk_snap *snap;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK(!tk_snap_inbox_empty(snap));
  tk_snap_close(snap);
  size_t done = 0;
  for (int i = 0; i < 40; i++) {
    done += world_work(w, &definition, 1, 100, "{}");
    if (i % 10 == 0) CHECK_WHOLE(w);
  }
  CHECK_EQ_INT(done, 1999);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK(tk_snap_inbox_empty(snap));
  tk_arena arena = {0};
  tk_task *task;
  REQUIRE(tk_snap_task(snap, &arena, no, world_graph, w, &task, NULL, &w->err) == 0);
  CHECK_EQ_INT(task->status, TK_TASK_COMPLETE);
  CHECK_EQ_INT(tk_task_step(task, 1999)->status, TK_STEP_COMPLETE);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  tk_arena_free(&arena);
  world_free(w);
}

TEST_BOTH(a_notice_reaches_its_process_once) {
  world *w = world_new(kind);
  tk_plan plan = {.process = w->process.number}, other = {.process = w->process.number + 1};
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_notice notice = {w->process.number, 5, 2, 3};
  tk_list_push(&w->arena, &w->changes.notices, notice);
  CHECK_EQ_INT(turn_apply(w), 0);
  REQUIRE(turn_begin(w, &other) == 0);
  CHECK_EQ_INT(w->load.notice_count, 0);
  tk_store_abort(w->store);
  REQUIRE(turn_begin(w, &plan) == 0);
  REQUIRE(w->load.notice_count == 1);
  CHECK(w->load.notices[0].task_no == 5 && w->load.notices[0].step == 2 && w->load.notices[0].attempt == 3);
  CHECK_EQ_INT(turn_apply(w), 0);
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK_EQ_INT(w->load.notice_count, 0);
  tk_store_abort(w->store);
  world_free(w);
}

/* ---- Identity ---- */

TEST_BOTH(equal_identities_of_one_plan_share_a_row_and_the_row_is_found_later) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_submission s[3];
  tk_event events[3];
  for (int i = 0; i < 3; i++) {
    s[i] = world_submission(definition, "{}");
    s[i].has_identity = true;
    memset(s[i].identity, i == 1 ? 9 : 1, 32);
    events[i] = (tk_event){.type = TK_EV_SUBMIT, .submission = &s[i]};
  }
  s[1].identity[31] = 1;                            /* the first bytes are not the whole */
  memset(s[1].identity, 1, 31);
  s[1].identity[31] = 7;
  tk_plan plan = {.events = events, .event_count = 3};
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK(w->load.identities[0] == w->load.identities[2] && w->load.identities[0] != w->load.identities[1]);
  CHECK_EQ_INT(w->load.identities[0]->task_no, 0);
  tk_identity_row *row = w->load.identities[0];
  row->task_no = turn_submit(w, &s[0])->no;
  row->created_at_us = w->now_us;
  tk_list_push(&w->arena, &w->changes.identities, row);
  CHECK_EQ_INT(turn_apply(w), 0);
  REQUIRE(turn_begin(w, &plan) == 0);
  CHECK_EQ_INT(w->load.identities[2]->task_no, 1);
  CHECK_EQ_INT(w->load.identities[2]->created_at_us, EPOCH_US);
  CHECK_EQ_INT(w->load.identities[1]->task_no, 0);
  tk_store_abort(w->store);
  CHECK_WHOLE(w);
  world_free(w);
}

/* ---- Claims ---- */

/* Claims `limit` ready steps and keeps them. */
static size_t claim_some(world *w, uint32_t definition, size_t limit) {
  uint32_t queue = 1;
  tk_plan plan = {.queues = &queue, .queue_count = 1, .definitions = &definition, .definition_count = 1, .candidates = limit};
  if (turn_begin(w, &plan)) abort();
  for (size_t i = 0; i < w->load.candidate_count; i++)
    tk_decide_claim(&w->d, tk_store_task(w->store, w->load.candidates[i].task_no, &w->err), &w->load.candidates[i], true);
  size_t count = w->changes.claims.count;
  if (turn_apply(w)) abort();
  return count;
}

TEST_BOTH(what_a_process_holds_is_found_again_batch_by_batch) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  for (int i = 0; i < 10; i++) world_submit(w, definition);
  CHECK_EQ_INT(claim_some(w, definition, 4), 4);
  uint64_t first_batch = w->turn;
  CHECK_EQ_INT(claim_some(w, definition, 3), 3);
  CHECK_EQ_INT(claim_some(w, definition, 10), 3);
  CHECK_WHOLE(w);
  tk_event *events;
  uint64_t *batches;
  size_t count, batch_count;
  REQUIRE(turn_begin(w, &nothing) == 0);
  REQUIRE(tk_store_claims_of(w->store, &w->arena, w->process.number, 5, &events, &count, &batches, &batch_count, &w->err) == 0);
  CHECK_EQ_INT(count, 7);                           /* whole batches, until at least five */
  CHECK_EQ_INT(batch_count, 2);
  CHECK_EQ_INT(batches[0], first_batch);
  CHECK(events[0].type == TK_EV_STEP_LOST && events[0].task_no == 1 && events[0].attempt == 1);
  for (size_t i = 0; i < count; i++)
    tk_decide_event(&w->d, tk_store_task(w->store, events[i].task_no, &w->err), &events[i], NULL, NULL);
  CHECK_EQ_INT(turn_apply_batches(w, batches, batch_count), 0);
  CHECK_WHOLE(w);
  REQUIRE(turn_begin(w, &nothing) == 0);
  REQUIRE(tk_store_claims_of(w->store, &w->arena, w->process.number, 5, &events, &count, &batches, &batch_count, &w->err) == 0);
  CHECK_EQ_INT(count, 3);
  REQUIRE(tk_store_claims_of(w->store, &w->arena, w->process.number + 1, 5, &events, &count, &batches, &batch_count, &w->err) ==
          0);
  CHECK_EQ_INT(count + batch_count, 0);
  tk_store_abort(w->store);
  world_free(w);
}

static bool count_process(void *context, const tk_process *process) {
  *(uint32_t *)context += process->number;
  return true;
}

TEST_BOTH(a_process_number_is_never_used_again) {
  world *w = world_new(kind);
  tk_process other = {.pid = 1, .since_us = 2}, third = other;
  tk_snap *snap;
  uint32_t sum = 0;
  CHECK_EQ_INT(tk_store_join(w->store, &other, &w->err), 0);
  CHECK_EQ_INT(tk_store_leave(w->store, other.number, &w->err), 0);
  CHECK_EQ_INT(tk_store_leave(w->store, other.number, &w->err), TK_E_NOT_FOUND);
  CHECK_EQ_INT(tk_store_join(w->store, &third, &w->err), 0);
  CHECK_EQ_INT(third.number, other.number + 1);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_each_process(snap, count_process, &sum, &w->err), 0);
  CHECK_EQ_INT(sum, w->process.number + third.number);
  tk_snap_close(snap);
  CHECK_WHOLE(w);
  world_free(w);
}

/* ---- Snapshots ---- */

TEST_BOTH(a_snapshot_sees_what_was_committed_when_it_was_opened_and_nothing_later) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  tk_snap *old, *young;
  tk_meta meta;
  tk_submission s = world_submission(definition, "{}");
  REQUIRE(tk_snap_open(w->store, &old, &w->err) == 0);
  REQUIRE(turn_begin(w, &nothing) == 0);
  tk_id id = turn_submit(w, &s)->id;
  REQUIRE(tk_snap_open(w->store, &young, &w->err) == 0);
  CHECK_EQ_INT(turn_apply(w), 0);
  CHECK_EQ_INT(tk_snap_task_no(old, &id), 0);
  CHECK_EQ_INT(tk_snap_task_no(young, &id), 0);
  tk_snap_close(young);
  for (int i = 0; i < 50; i++) world_submit(w, definition);
  tk_snap_meta(old, &meta, &w->err);
  CHECK_EQ_INT(meta.next_task, 1);
  CHECK_EQ_INT(tk_snap_task_no(old, &id), 0);
  tk_snap_close(old);
  REQUIRE(tk_snap_open(w->store, &young, &w->err) == 0);
  CHECK_EQ_INT(tk_snap_task_no(young, &id), 1);
  tk_snap_close(young);
  world_free(w);
}

TEST_BOTH(a_payload_is_read_back_and_a_replaced_one_is_gone) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "a", "1.0.0", 1, SHAPE_CHAIN);
  world_submit(w, definition);
  CHECK_EQ_INT(claim_some(w, definition, 1), 1);
  for (int i = 0; i < 3; i++) {
    char text[32];
    snprintf(text, sizeof text, "{\"at\":%d}", i);
    tk_event beat = {.type = TK_EV_HEARTBEAT, .task_no = 1, .step = 0, .attempt = 1, .data = tk_slice_str(text)};
    CHECK_EQ_INT(world_event(w, beat), 0);
    CHECK_WHOLE(w);
  }
  tk_snap *snap;
  tk_arena arena = {0};
  tk_task *task;
  tk_slice bytes;
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  REQUIRE(tk_snap_task(snap, &arena, 1, world_graph, w, &task, NULL, &w->err) == 0);
  uint64_t progress = tk_task_step(task, 0)->progress;
  CHECK_EQ_INT(tk_snap_payload(snap, progress, &bytes, &w->err), 0);
  CHECK(tk_slice_eq(bytes, tk_slice_str("{\"at\":2}")));
  CHECK_EQ_INT(tk_snap_payload(snap, progress - 1, &bytes, &w->err), TK_E_NOT_FOUND);
  tk_snap_close(snap);
  tk_arena_free(&arena);
  world_free(w);
}

TEST_BOTH(operations_on_tasks_leave_all_indexes_true) {
  world *w = world_new(kind);
  uint32_t definition = world_define(w, "mix", "1.0.0", 40, SHAPE_FAN);
  static const uint8_t operations[] = {TK_EV_CANCEL,      TK_EV_PAUSE,         TK_EV_RESUME,       TK_EV_RETRY,    TK_EV_RESOLVE,
                                       TK_EV_STEP_FAILED, TK_EV_STEP_RELEASED, TK_EV_STEP_SNOOZED, TK_EV_STEP_DONE};
  for (int i = 0; i < 6; i++) world_submit(w, definition);
  for (int i = 0; i < 400; i++) {
    uint64_t dice = tk_rng_next(&w->rng);
    tk_event event = {.type = operations[dice % sizeof operations],
                      .task_no = 1 + (dice >> 8) % 6,
                      .step = (uint32_t)(dice >> 16) % 40,
                      .attempt = 1 + (uint32_t)(dice >> 32) % 3,
                      .delay_us = 500000,
                      .retryable = dice >> 40 & 1,
                      .data = tk_slice_str("{\"m\":1}"),
                      .audit = tk_slice_str("{\"by\":\"ann\"}")};
    bool whole_task = dice >> 41 & 1 && event.type <= TK_EV_RESOLVE && event.type != TK_EV_CANCEL;
    if (event.type == TK_EV_PAUSE || event.type == TK_EV_RESUME || whole_task) event.step = TK_NO_STEP;
    world_event(w, event);
    if (i % 3 == 0) claim_some(w, definition, 5);
    if (i % 5 == 0) world_work(w, &definition, 1, 4, "{}");
    w->now_us += 200000;
    if (i % 20 == 0) CHECK_WHOLE(w);
  }
  CHECK_WHOLE(w);
  world_free(w);
}

TEST_MAIN
