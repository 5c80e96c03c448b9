/* check finds any record, index entry or counter that is not what it should be; readers of damaged records refuse them. */
#include "store_support.h"

static const tk_plan nothing;

/* A task whose step waits for ann. */
static void ask_people(world *w) {
  static const char shown[TK_SHOWN_SIZE];
  uint32_t definition = world_define(w, "people", "1.0.0", 1, SHAPE_PEOPLE);
  tk_submission s = world_submission(definition, "{}");
  tk_buf plan = {0};
  tk_buf_varint(&plan, 1);
  tk_buf_bytes(&plan, tk_slice_of(shown, sizeof shown));
  tk_buf_bytes(&plan, tk_slice_str(""));
  tk_buf_varint(&plan, 1);
  tk_buf_u8(&plan, 0);
  tk_buf_bytes(&plan, tk_slice_str("ann"));
  tk_buf_varint(&plan, 0);
  if (turn_begin(w, &nothing)) abort();
  tk_task *task = turn_submit(w, &s);
  tk_decide_claim(&w->d, task, &w->changes.ready.items[0], false);
  w->changes.claims.count = 0;
  tk_event answer = {.type = TK_EV_ASK_DONE, .task_no = task->no, .name = tk_buf_slice(&plan)};
  if (tk_decide_event(&w->d, task, &answer, NULL, &w->err) || turn_apply(w)) abort();
  tk_buf_free(&plan);
}

/* A task that runs within a limit, and one that waits for it. */
static void limit_steps(world *w) {
  uint32_t definition = world_define(w, "limited", "1.0.0", 1, SHAPE_LIMITED);
  tk_limit_change change = {.name = tk_slice_str("pace"), .declared = true, .sets_rate = true, .sets_per = true, .sets_burst = true,
                            .rules = {.rate = 1, .per = 60, .burst = 2}};
  if (turn_begin(w, &nothing)) abort();
  tk_graph_limit *limit = (tk_graph_limit *)w->graphs[definition]->steps[0].limits;
  limit->no = tk_store_name(w->store, limit->name, &w->err);
  if (tk_decide_limit(&w->d, limit->no, &change, &w->err)) abort();
  tk_submission submissions[2];   /* borrowed until they are applied */
  for (int i = 0; i < 2; i++) {
    submissions[i] = world_submission(definition, "{}");
    tk_task *task = turn_submit(w, &submissions[i]);
    tk_ready ready = w->changes.ready.items[--w->changes.ready.count];
    if (tk_decide_claim(&w->d, task, &ready, false) != (i ? TK_CLAIM_NOT : TK_CLAIM_RUN)) abort();
  }
  tk_decide_call_waiters(&w->d);
  if (turn_apply(w)) abort();
}

/* A request that holds a place and is the probe of a breaker. */
static void hold_places(world *w) {
  tk_limit_change places = {.name = tk_slice_str("places"), .declared = true, .sets_concurrency = true,
                            .rules = {.concurrency = 1, .burst = 1}};
  tk_admission_limit limit = {.name = places.name, .key = tk_slice_str("acme"), .cost = 1};
  tk_admission a = {.limits = &limit, .limit_count = 1, .breaker = tk_slice_str("payments"), .most = 1, .hold = 1,
                    .latest_us = INT64_MAX};
  tk_event declare = {.type = TK_EV_BREAKER, .admission = &a}, settle = {.type = TK_EV_SETTLE, .admission = &a};
  tk_event admit = {.type = TK_EV_ADMIT, .admission = &a};
  if (turn_begin(w, &nothing)) abort();
  limit.no = tk_store_name(w->store, limit.name, &w->err);
  a.breaker_no = tk_store_name(w->store, a.breaker, &w->err);
  if (tk_decide_limit(&w->d, limit.no, &places, &w->err) || tk_decide_admission(&w->d, &declare, &w->err)) abort();
  a.verdict = TK_VERDICT_FAILURE;
  if (tk_decide_admission(&w->d, &settle, &w->err)) abort();
  a.hold = 2;
  if (tk_decide_admission(&w->d, &admit, &w->err) || a.outcome != TK_ADMITTED || turn_apply(w)) abort();
}

/* A task whose second step failed: its first is to be undone. */
static void undo(world *w) {
  tk_submission s = world_submission(world_define(w, "saga", "1.0.0", 2, SHAPE_UNDO), "{}");
  if (turn_begin(w, &nothing)) abort();
  tk_task *task = turn_submit(w, &s);
  for (uint32_t i = 0; i < 2; i++) {
    tk_decide_claim(&w->d, task, &w->changes.ready.items[i], false);
    w->changes.claims.count = 0;
    tk_event outcome = {.type = i ? TK_EV_STEP_FAILED : TK_EV_STEP_DONE, .task_no = task->no, .step = i, .attempt = 1,
                        .data = tk_slice_str("{}")};
    if (tk_decide_event(&w->d, task, &outcome, NULL, &w->err)) abort();
  }
  if (turn_apply(w)) abort();
}

static void make_schedule(world *w) {
  tk_schedule_spec spec = {.kind = TK_RECUR_EVERY, .every_us = 60000000, .catch_up_us = 1000000};
  spec.texts[TK_SCHEDULE_NAME] = tk_slice_str("hourly");
  tk_event put = {.type = TK_EV_SCHEDULE_PUT, .step = TK_NO_STEP, .schedule = &spec};
  tk_plan nothing = {0};
  tk_recurrence recurrence;
  tk_fires fires = {0};
  if (turn_begin(w, &nothing)) abort();
  tk_schedule *s = TK_ARENA_NEW(&w->arena, tk_schedule);
  s->no = w->changes.next_task++;
  if (tk_schedule_recurrence(&spec, w->now_us, (tk_slice){NULL, 0}, &w->arena, &recurrence, &w->err)) abort();
  if (tk_decide_schedule(&w->d, s, &put, &recurrence, &fires, &w->err)) abort();
  if (turn_apply(w)) abort();
}

/* A store with something in every table. */
static world *rich_world(const char *kind) {
  world *w = world_new(kind);
  uint32_t pair = world_define(w, "pair", "1.0.0", 2, SHAPE_CHAIN), big = world_define(w, "big", "1.0.0", 600, SHAPE_FAN);
  for (int i = 0; i < 4; i++) world_submit(w, pair);
  world_work(w, &pair, 1, 2, "{\"x\":1}");
  uint32_t queue = 1;
  tk_plan plan = {.queues = &queue, .queue_count = 1, .definitions = &pair, .definition_count = 1, .candidates = 2};
  if (turn_begin(w, &plan)) abort();
  for (size_t i = 0; i < w->load.candidate_count; i++)
    tk_decide_claim(&w->d, tk_store_task(w->store, w->load.candidates[i].task_no, &w->err), &w->load.candidates[i], true);
  tk_claim held = w->changes.claims.items[0];
  if (turn_apply(w)) abort();
  tk_event failed = {.type = TK_EV_STEP_FAILED,
                     .task_no = held.task_no,
                     .step = held.step,
                     .attempt = 1,
                     .retryable = true,
                     .delay_us = 1000,
                     .data = tk_slice_str("{\"message\":\"no\"}")};
  if (world_event(w, failed)) abort();
  tk_event note = {
      .type = TK_EV_ANNOTATE, .task_no = 1, .step = TK_NO_STEP, .name = tk_slice_str("color"), .data = tk_slice_str("1")};
  if (world_event(w, note)) abort();
  tk_event signal = {
      .type = TK_EV_SIGNAL, .task_no = 3, .step = TK_NO_STEP, .name = tk_slice_str("paid"), .data = tk_slice_str("{}")};
  if (world_event(w, signal)) abort();              /* nobody waits for it: it is kept */
  tk_submission s = world_submission(big, "{}");
  tk_event submit = {.type = TK_EV_SUBMIT, .submission = &s};
  s.has_identity = true;
  memset(s.identity, 3, 32);
  tk_plan with_identity = {.events = &submit, .event_count = 1};
  if (turn_begin(w, &with_identity)) abort();
  w->load.identities[0]->task_no = turn_submit(w, &s)->no;
  tk_list_push(&w->arena, &w->changes.identities, w->load.identities[0]);
  tk_notice notice = {w->process.number, 1, 0, 1};
  tk_list_push(&w->arena, &w->changes.notices, notice);
  if (turn_apply(w)) abort();
  world_work(w, &big, 1, 1, "{}");                  /* releases more than one turn may: sweeps in the inbox */
  ask_people(w);
  limit_steps(w);
  hold_places(w);
  undo(w);
  tk_definition d = {
      .ns = tk_slice_str("test"), .name = tk_slice_str("kept"), .version = tk_slice_str("1.0.0"), .json = tk_slice_str("{}")};
  tk_buf bytes = {0};
  uint32_t number;
  tk_graph_encode(w->graphs[pair], &bytes);
  d.graph = tk_buf_slice(&bytes);
  memset(d.hash, 8, 32);
  memset(d.source, 9, 32);
  if (tk_store_define(w->store, &d, tk_slice_str("return 1"), &number, &w->err)) abort();
  tk_buf_free(&bytes);
  tk_consumer consumer = {.name = tk_slice_str("billing"), .events = tk_slice_str("[\"task.*\"]"), .seq = 3};
  if (tk_store_consumer(w->store, TK_CONSUMER_OPEN, &consumer, &w->err)) abort();
  make_schedule(w);
  tk_secret secret = {.name = tk_slice_str("token"), .sealed = tk_slice_str("sealed"), .key_id = {1}};
  tk_secret_change change = {.secrets = &secret, .count = 1, .note = tk_slice_str("{}"), .at_us = 1};
  if (tk_store_secrets(w->store, &change, &w->err)) abort();
  return w;
}

/* One record of a table, changed by a test and put back. */
typedef struct kept_record { tk_buf key, value; } kept_record;

/* Takes the record at place `index`; false when the table has fewer. */
static bool take_record(world *w, tk_table table, size_t index, kept_record *out) {
  tk_kv_txn *txn;
  tk_kv_cursor *cursor;
  tk_slice key, value;
  if (tk_kv_begin(w->store->kv, false, &txn, &w->err) || tk_kv_cursor_open(txn, table, &cursor, &w->err)) abort();
  int rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &value, &w->err);
  while (!rc && index--) rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &value, &w->err);
  if (!rc) {
    tk_buf_clear(&out->key);
    tk_buf_clear(&out->value);
    tk_buf_append(&out->key, key.data, key.size);
    tk_buf_append(&out->value, value.data, value.size);
  }
  tk_kv_cursor_close(cursor);
  tk_kv_abort(txn);
  return !rc;
}

/* value NULL: deletes. */
static void change_record(world *w, tk_table table, tk_slice key, const tk_slice *value) {
  tk_kv_txn *txn;
  if (tk_kv_begin(w->store->kv, true, &txn, &w->err)) abort();
  if (value ? tk_kv_put(txn, table, key, *value, 0, &w->err) : tk_kv_del(txn, table, key, &w->err)) abort();
  if (tk_kv_commit(txn, &w->err)) abort();
}

static void expect_damage(world *w, tk_table table, const char *how) {
  damage_list list = world_damages(w);
  if (list.count == 0) fprintf(stderr, "a record of %s was %s, and check finds nothing\n", tk_table_name(table), how);
  CHECK(list.count > 0);
}

TEST_BOTH(a_rich_store_is_whole_and_has_something_in_every_table) {
  world *w = rich_world(kind);
  kept_record record = {0};
  CHECK_WHOLE(w);
  for (int table = 0; table < TK_TABLE_COUNT; table++) {
    bool there = take_record(w, (tk_table)table, 0, &record);
    if (!there) fprintf(stderr, "table %s is empty\n", tk_table_name((tk_table)table));
    CHECK(there);
  }
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(a_changed_byte_in_any_record_is_found) {
  world *w = rich_world(kind);
  kept_record record = {0};
  for (int table = 0; table < TK_TABLE_COUNT; table++)
    for (size_t index = 0; index < 3 && take_record(w, (tk_table)table, index, &record); index++)
      for (int n = 0; n < 3; n++) {
        size_t at = n == 0 ? 0 : n == 1 ? record.value.size - 1 : tk_rng_next(&w->rng) % record.value.size;
        char right = record.value.data[at];
        tk_slice value = tk_buf_slice(&record.value);
        record.value.data[at] = (char)(right ^ 1 << tk_rng_next(&w->rng) % 7);
        change_record(w, (tk_table)table, tk_buf_slice(&record.key), &value);
        expect_damage(w, (tk_table)table, "changed");
        record.value.data[at] = right;
        change_record(w, (tk_table)table, tk_buf_slice(&record.key), &value);
      }
  CHECK_WHOLE(w);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(a_cut_record_is_found_in_every_table) {
  world *w = rich_world(kind);
  kept_record record = {0};
  for (int table = 0; table < TK_TABLE_COUNT; table++) {
    if (!take_record(w, (tk_table)table, 0, &record)) continue;
    tk_slice whole = tk_buf_slice(&record.value), key = tk_buf_slice(&record.key);
    for (size_t size = 0; size < whole.size; size += 1 + whole.size / 7) {
      tk_slice cut = tk_slice_of(whole.data, size);
      change_record(w, (tk_table)table, key, &cut);
      expect_damage(w, (tk_table)table, "cut");
    }
    change_record(w, (tk_table)table, key, &whole);
  }
  CHECK_WHOLE(w);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(a_missing_record_is_found_where_something_leads_to_it) {
  /* Nothing knows of these. */
  static const tk_table alone[] = {TK_TABLE_NOTICES, TK_TABLE_IDENTITY, TK_TABLE_ANNOTATIONS, TK_TABLE_CONSUMERS,
                                   TK_TABLE_SECRETS};
  world *w = rich_world(kind);
  kept_record record = {0};
  for (int table = 0; table < TK_TABLE_COUNT; table++) {
    bool skip = false;
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) skip |= (int)alone[i] == table;
    size_t some = table == TK_TABLE_META ? 3 : 2;
    for (size_t index = 0; !skip && index < some && take_record(w, (tk_table)table, index, &record); index++) {
      if (table == TK_TABLE_META && index == 1) continue;   /* the mark of a turn; claims come after it */
      tk_slice whole = tk_buf_slice(&record.value), key = tk_buf_slice(&record.key);
      uint32_t process;
      uint64_t turn;
      CHECK(table != TK_TABLE_META || index == 0 || tk_key_is_claims(key, &process, &turn));
      change_record(w, (tk_table)table, key, NULL);
      expect_damage(w, (tk_table)table, "deleted");
      change_record(w, (tk_table)table, key, &whole);
    }
  }
  CHECK_WHOLE(w);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(a_record_under_another_key_is_found) {
  world *w = rich_world(kind);
  kept_record record = {0};
  for (int table = 0; table < TK_TABLE_COUNT; table++) {
    if (!take_record(w, (tk_table)table, 0, &record)) continue;
    tk_slice key = tk_buf_slice(&record.key), value = tk_buf_slice(&record.value);
    tk_buf moved = {0};
    tk_buf_append(&moved, key.data, key.size);
    moved.data[moved.size - 1] ^= 0x40;
    change_record(w, (tk_table)table, tk_buf_slice(&moved), &value);
    expect_damage(w, (tk_table)table, "copied to another key");
    change_record(w, (tk_table)table, tk_buf_slice(&moved), NULL);
    tk_buf_free(&moved);
  }
  CHECK_WHOLE(w);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(wrong_counters_and_entries_that_point_nowhere_are_found) {
  world *w = rich_world(kind);
  kept_record record = {0};
  tk_buf buf = {0};
  tk_key meta_key = tk_key_meta();
  tk_meta_record meta;
  REQUIRE(take_record(w, TK_TABLE_META, 0, &record));
  REQUIRE(tk_read_meta(tk_key_slice(&meta_key), tk_buf_slice(&record.value), &meta));
  for (int i = 0; i < 4; i++) {
    tk_meta_record wrong = meta;
    if (i == 0) wrong.tasks_by_status[TK_TASK_COMPLETE]++;
    if (i == 1) wrong.steps_by_status[TK_STEP_READY]--;
    if (i == 2) wrong.next_seq++;
    if (i == 3) wrong.next_task = 2;
    tk_slice value = tk_write_meta(&buf, tk_key_slice(&meta_key), &wrong);
    change_record(w, TK_TABLE_META, tk_key_slice(&meta_key), &value);
    expect_damage(w, TK_TABLE_META, "given wrong counters");
  }
  tk_slice right = tk_buf_slice(&record.value);
  change_record(w, TK_TABLE_META, tk_key_slice(&meta_key), &right);
  CHECK_WHOLE(w);

  tk_ready ready = {1, 1, 0, 1, 0, 5};              /* that step is complete */
  tk_key key = tk_key_ready(&ready);
  tk_slice value = tk_write_ready(&buf, tk_key_slice(&key), 5);
  change_record(w, TK_TABLE_READY, tk_key_slice(&key), &value);
  expect_damage(w, TK_TABLE_READY, "made up");
  change_record(w, TK_TABLE_READY, tk_key_slice(&key), NULL);

  tk_timer timer = {w->now_us, 1, 0, TK_TIMER_RETRY};
  key = tk_key_timer(&timer);
  value = tk_write_number(&buf, tk_key_slice(&key), TK_TIMER_RETRY);
  change_record(w, TK_TABLE_TIMERS, tk_key_slice(&key), &value);
  expect_damage(w, TK_TABLE_TIMERS, "made up");
  change_record(w, TK_TABLE_TIMERS, tk_key_slice(&key), NULL);

  tk_meta_record more = meta;
  more.next_payload++;
  value = tk_write_meta(&buf, tk_key_slice(&meta_key), &more);
  change_record(w, TK_TABLE_META, tk_key_slice(&meta_key), &value);
  key = tk_key_u64(meta.next_payload);
  value = tk_write_bytes(&buf, tk_key_slice(&key), tk_slice_str("{}"));
  change_record(w, TK_TABLE_PAYLOADS, tk_key_slice(&key), &value);
  expect_damage(w, TK_TABLE_PAYLOADS, "made up");
  tk_buf_free(&buf);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_BOTH(a_damaged_task_or_chunk_refuses_the_turn_and_leaves_the_store_as_it_was) {
  world *w = rich_world(kind);
  kept_record record = {0};
  uint64_t big = 5;
  tk_snap *snap;
  tk_meta before, after;
  REQUIRE(take_record(w, TK_TABLE_CHUNKS, 2, &record));
  uint32_t chunk = tk_get_u32be(record.key.data + 8);
  CHECK_EQ_INT(tk_get_u64be(record.key.data), big);
  record.value.data[record.value.size - 1] ^= 1;
  tk_slice wrong = tk_buf_slice(&record.value);
  change_record(w, TK_TABLE_CHUNKS, tk_buf_slice(&record.key), &wrong);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &before, &w->err);
  tk_snap_close(snap);
  tk_event resolve = {.type = TK_EV_CANCEL, .task_no = big, .step = chunk * TK_CHUNK_STEPS};
  CHECK_EQ_INT(world_event(w, resolve), TK_E_CORRUPT);
  REQUIRE(tk_snap_open(w->store, &snap, &w->err) == 0);
  tk_snap_meta(snap, &after, &w->err);
  CHECK_EQ_INT(before.last_seq, after.last_seq);
  tk_arena arena = {0};
  tk_task *task;
  REQUIRE(tk_snap_task(snap, &arena, big, world_graph, w, &task, NULL, &w->err) == 0);
  CHECK(task->load_chunk(task->load_context, task, chunk) == NULL);
  tk_snap_close(snap);
  REQUIRE(take_record(w, TK_TABLE_TASKS, 0, &record));
  record.value.data[record.value.size - 1] ^= 1;
  wrong = tk_buf_slice(&record.value);
  change_record(w, TK_TABLE_TASKS, tk_buf_slice(&record.key), &wrong);
  tk_event pause = {.type = TK_EV_PAUSE, .task_no = 1, .step = TK_NO_STEP};
  CHECK_EQ_INT(world_event(w, pause), TK_E_CORRUPT);
  CHECK(strstr(w->err.message, "damaged") != NULL);
  REQUIRE(turn_begin(w, &nothing) == 0);            /* other tasks go on */
  CHECK_EQ_INT(turn_apply(w), 0);
  tk_arena_free(&arena);
  tk_buf_free(&record.key);
  tk_buf_free(&record.value);
  world_free(w);
}

TEST_MAIN
