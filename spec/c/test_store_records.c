/* Records: what is written is read back, old bytes stay readable, changed bytes are refused.
 *
 * `build/spec/test_store_records print` prints the fixtures as today's writers write them: for a new version of a record, add
 * its line to fixtures[] and keep the old ones. */
#include "base/hash.h"
#include "store_support.h"

static tk_slice text(const char *s) { return tk_slice_str(s); }

/* ---- Samples: fixed values, so that fixtures stay comparable ---- */

static void fill_step(tk_step *step, uint32_t seed, tk_rng *rng) {
  memset(step, 0, sizeof *step);
  step->status = (uint8_t)(seed % TK_STEP_STATUS_COUNT);
  uint64_t pick = rng ? tk_rng_next(rng) : 0x2FFFFF;
  int shift = rng ? (int)(tk_rng_next(rng) % 60) : 20;
  uint64_t value = (rng ? tk_rng_next(rng) : 0x123456789ABCDEFu * (seed + 1)) >> shift;
  if (pick & 1) step->waiting_for = (uint8_t)(value % TK_WAIT_COUNT);
  if (pick & 2) step->flags = (uint16_t)(rng ? value % 1024 : value & 0xFF);
  if (pick & 4) step->attempts = (uint32_t)value;
  if (pick & 8) step->failures = (uint32_t)(value >> 1);
  if (pick & 16) step->losses = (uint32_t)(value >> 2);
  if (pick & 32) step->met = (uint32_t)(value >> 3);
  if (pick & 64) step->owner = (uint32_t)(value >> 4);
  if (pick & 128) step->results = value;
  if (pick & 256) step->error = value + 1;
  if (pick & 512) step->inputs = value + 2;
  if (pick & 1024) step->progress = value + 3;
  if (pick & 2048) step->started_at_us = (int64_t)value + 4;
  if (pick & 4096) step->last_attempted_at_us = pick & 8192 ? step->started_at_us : (int64_t)value + 5;
  if (pick & 16384) step->completed_at_us = (int64_t)value - 6;
  if (pick & 32768) step->due_us = (int64_t)~value;
  if (pick & 65536) step->ready_at_us = (int64_t)(value * 7);
  if (pick & 131072) step->delay_us = (int64_t)value >> 3;
  if (pick & 262144) step->unmet = (uint32_t)(value >> 5);
  if (pick & 524288) step->failed_deps = (uint32_t)(value >> 6);
  if (pick & 1048576) {
    step->role = (uint8_t)(1 + value % (TK_ROLE_COUNT - 1));
    step->template_ = (uint16_t)(value % TK_LIMIT_STEPS);
    step->ordinal = (uint32_t)(value >> 7);
  } else if (pick & 4194304) {
    step->compensation = (uint32_t)(value >> 8);
  }
  if (pick & 2097152) step->child = value + 7;
}

static tk_graph sample_graph = {.step_count = 70};

static void fill_task(tk_task *task, tk_chunk *chunks, tk_chunk *pointers[3], tk_rng *rng) {
  memset(task, 0, sizeof *task);
  task->no = 77;
  for (int i = 0; i < 16; i++) task->id.bytes[i] = (uint8_t)(i * 17);
  task->definition = 3;
  task->graph = &sample_graph;
  task->status = TK_TASK_PAUSED;
  task->paused_from = TK_TASK_IN_PROGRESS;
  task->priority = -5;
  task->queue = 2;
  task->attempt = 4;
  task->open = 60;
  task->active = 50;
  task->running = 40;
  task->held = 30;
  task->held_from = 20;
  task->failed = 10;
  task->sweeps = 9;
  task->last_log = 1234567;
  task->results = 8;
  task->signals = 6;
  task->parent = 55;
  task->parent_step = 5;
  task->parent_attempt = 2;
  task->children = 7;
  task->schedule = 5;
  task->created_at_us = EPOCH_US;
  task->started_at_us = EPOCH_US + 100;
  task->completed_at_us = EPOCH_US + 5000000;
  task->due_us = EPOCH_US + 60000000;
  task->due_kind = TK_TIMER_TASK_TIMEOUT;
  task->instances = rng ? (uint32_t)(tk_rng_next(rng) % 26) : 0;
  task->migrations = rng && tk_rng_next(rng) % 2 ? tk_slice_str("\x05\x01\x07\x02") : tk_slice_of(NULL, 0);
  task->compensating = rng ? (uint8_t)(tk_rng_next(rng) % TK_COMPENSATION_STATE_COUNT) : 0;
  task->compensations = task->compensating ? (uint32_t)tk_rng_next(rng) : 0;
  task->chunk_count = 3;
  task->chunks = pointers;
  for (uint32_t c = 0; c < 3; c++) {
    pointers[c] = &chunks[c];
    for (uint32_t i = 0; i < TK_CHUNK_STEPS; i++) {
      uint32_t index = c * TK_CHUNK_STEPS + i;
      memset(&chunks[c].steps[i], 0, sizeof(tk_step));
      if (index < tk_task_count(task) && (rng || i % 7 == 0)) fill_step(&chunks[c].steps[i], index, rng);
    }
  }
}

static bool same_header(const tk_task *a, const tk_task *b) {
  return a->no == b->no && memcmp(&a->id, &b->id, sizeof a->id) == 0 && a->definition == b->definition &&
         a->status == b->status && a->paused_from == b->paused_from && a->priority == b->priority && a->queue == b->queue &&
         a->attempt == b->attempt && a->open == b->open && a->active == b->active && a->running == b->running &&
         a->held == b->held && a->held_from == b->held_from && a->failed == b->failed && a->sweeps == b->sweeps &&
         a->last_log == b->last_log && a->results == b->results && a->signals == b->signals && a->instances == b->instances &&
         a->compensating == b->compensating && a->compensations == b->compensations &&
         a->created_at_us == b->created_at_us && a->started_at_us == b->started_at_us &&
         a->completed_at_us == b->completed_at_us && a->due_us == b->due_us && a->due_kind == b->due_kind &&
         tk_slice_eq(a->migrations, b->migrations) &&
         a->parent == b->parent && a->parent_step == b->parent_step && a->parent_attempt == b->parent_attempt &&
         a->children == b->children && a->schedule == b->schedule;
}

static tk_log_entry sample_entries[] = {
  {.kind = TK_LOG_TASK_CREATED, .step = TK_NO_STEP},
  {.kind = TK_LOG_STEP_STARTED, .step = 300, .attempt = 2},
  {.kind = TK_LOG_STEP_FAILED, .step = 0, .attempt = 1, .payload = 99},
  {.kind = TK_LOG_TASK_CANCELLED, .step = TK_NO_STEP, .data = {"{\"by\":\"ann\"}", 12}}};

static void fill_log(tk_task *task) {
  for (int i = 0; i < 3; i++) sample_entries[i].next = &sample_entries[i + 1];
  task->log_head = &sample_entries[0];
  task->log_tail = &sample_entries[3];
  task->log_count = 4;
}

static tk_meta_record sample_meta(void) {
  tk_meta_record m = {.format = TK_STORE_FORMAT,
                      .protocol = TK_STORE_PROTOCOL,
                      .next_task = 1000,
                      .next_payload = 70000,
                      .next_seq = 123456789,
                      .next_inbox = 12,
                      .next_notice = 13,
                      .generation = 14,
                      .next_process = 15, .next_definition = 16, .next_name = 17,
                      .reader = {18, {19, 20}}};
  for (int i = 0; i < TK_TASK_STATUS_COUNT; i++) m.tasks_by_status[i] = i * 100 - 1;
  for (int i = 0; i < TK_STEP_STATUS_COUNT; i++) m.steps_by_status[i] = i * 1000;
  return m;
}

static tk_id sample_id(void) {
  tk_id id;
  for (int i = 0; i < 16; i++) id.bytes[i] = (uint8_t)(i * 17);
  return id;
}

static tk_task_info sample_info(void) {
  return (tk_task_info){.id = sample_id(),
                        .initiator = text("ann"),
                        .source_system = text("unknown"),
                        .reason = text("because"),
                        .queue = text("mail"),
                        .tags = text("[\"a\"]"),
                        .bypass_steps = text("[\"b\"]"),
                        .identity = text("key-7"),
                        .context = text("{\"n\":1}"),
                        .parent = 5,
                        .requested_at_us = EPOCH_US,
                        .run_at_us = EPOCH_US + 1, .schedule = text("nightly"), .scheduled_us = EPOCH_US + 2,
                        .previous_us = EPOCH_US - 3, .late_us = 4};
}

static tk_event sample_event(void) {
  return (tk_event){.type = TK_EV_SWEEP,
                    .sweep = TK_SWEEP_CANCEL,
                    .task_no = 77,
                    .step = TK_NO_STEP,
                    .cursor = 256,
                    .attempt = 2,
                    .delay_us = -1,
                    .due_us = EPOCH_US,
                    .audit = {"{\"reason\":\"x\"}", 14},
                    .data = {"1", 1},
                    .name = {"n", 1},
                    .retryable = true, .end = TK_DEP_FAILED, .branch = 3, .child = 66};
}

static tk_definition sample_definition(void) {
  tk_definition d = {.number = 3,
                     .ns = text("shop"),
                     .name = text("order"),
                     .version = text("1.0.0"),
                     .graph = text("graph bytes"),
                     .json = text("{}"),
                     .created_at_us = EPOCH_US};
  memset(d.hash, 0xAB, 32);
  memset(d.source, 0xCD, 32);
  return d;
}

/* ---- Fixtures ---- */

enum {
  F_META,
  F_NUMBER,
  F_BYTES,
  F_TASK,
  F_CHUNK,
  F_MAP,
  F_INFO,
  F_LOG,
  F_READY,
  F_INBOX,
  F_CLAIMS,
  F_NOTICE,
  F_IDENTITY,
  F_ANNOTATION,
  F_DEFINITION,
  F_PROCESS,
  F_APPROVAL,
  F_COMPENSATION,
  F_CONSUMER,
  F_LIMIT, F_METER, F_WAITER, F_PERMIT,
  F_SECRET,
  F_BREAKER, F_HOLD,
  F_COUNT
};
static const char *const fixture_names[F_COUNT] = {"meta",   "number", "bytes",    "task",       "chunk",      "map",
                                                   "info",   "log",    "ready",    "inbox",      "claims",
                                                   "notice", "identity", "annotation", "definition", "process",
                                                   "approval", "compensation", "consumer", "limit", "meter", "waiter", "permit",
                                                   "secret", "breaker", "hold"};

#include "breaker_samples.h"
#include "limit_samples.h"
#include "people_samples.h"
#include "secret_samples.h"

static tk_key fixture_key(int kind) {
  tk_ready ready = {1, 2, -3, 77, 4, EPOCH_US};
  switch (kind) {
    case F_META: return tk_key_meta();
    case F_CHUNK: case F_MAP: case F_APPROVAL: case F_PERMIT: case F_COMPENSATION: return tk_key_u64_u32(77, 2);
    case F_LOG: return tk_key_u64(2000);
    case F_READY: return tk_key_ready(&ready);
    case F_CLAIMS: return tk_key_claims(6, 7);
    case F_NOTICE: return tk_key_u32_u64(6, 7);
    case F_HOLD: return tk_key_u32_u64(2, 300);
    case F_BREAKER: return tk_key_u32(9);
    case F_ANNOTATION: return tk_key_annotation(77, text("color"));
    case F_DEFINITION: case F_PROCESS: case F_LIMIT: return tk_key_u32(3);
    case F_METER: case F_WAITER: return limit_key(kind);
    case F_IDENTITY: {
      tk_key key;
      memset(key.bytes, 0x11, 32);
      key.size = 32;
      return key;
    }
    default: return tk_key_u64(77);
  }
}

static tk_consumer sample_consumer(void) {
  return (tk_consumer){.seq = 1234, .created_at_us = EPOCH_US, .moved_at_us = EPOCH_US + 5, .events = text("[\"task.*\"]")};
}

/* A map, and an element of it. */
static tk_fan sample_fan = {.first = 70, .count = 20, .next = 9, .active = 3, .running = 2, .queued = 1, .queued_from = 4, .ended = 6,
                            .failed = 2, .last_failed = 3, .stopped = true, .renewing = true, .items = 12345};
static void fill_map(tk_task *task, tk_chunk *chunk) {
  task->instances = 20;
  memset(chunk, 0, sizeof *chunk);
  chunk->steps[5] = (tk_step){.status = TK_STEP_IN_PROGRESS, .flags = TK_STEP_F_ASKED | TK_STEP_F_GIVING, .attempts = 1,
                              .fan = &sample_fan};
  chunk->steps[6] = (tk_step){.status = TK_STEP_READY, .flags = TK_STEP_F_QUEUED, .role = TK_ROLE_ELEMENT, .template_ = 69, .ordinal = 1};
  chunk->steps[7] = (tk_step){.status = TK_STEP_COMPLETE, .results = 9, .compensation = 90};
}

static bool map_reads_back(tk_slice key, tk_slice record) {
  static tk_chunk chunk, expected;
  tk_arena arena = {0};
  tk_task task;
  memset(&chunk, 0, sizeof chunk);
  fill_map(&task, &expected);
  bool same = tk_read_chunk(key, record, EPOCH_US, &chunk, &arena) && chunk.steps[5].fan &&
              memcmp(chunk.steps[5].fan, &sample_fan, sizeof sample_fan) == 0;
  chunk.steps[5].fan = &sample_fan;
  same = same && memcmp(chunk.steps, expected.steps, sizeof chunk.steps) == 0;
  tk_arena_free(&arena);
  return same;
}

static const tk_claim sample_claims[] = {{77, 0, 1}, {1000000, 9999, 0}};

static tk_slice write_fixture(int kind, tk_buf *buf) {
  tk_key key_bytes = fixture_key(kind);
  tk_slice key = tk_key_slice(&key_bytes);
  static tk_chunk chunks[3];
  tk_chunk *pointers[3];
  tk_task task;
  fill_task(&task, chunks, pointers, NULL);
  fill_log(&task);
  switch (kind) {
    case F_META: { tk_meta_record m = sample_meta(); return tk_write_meta(buf, key, &m); }
    case F_NUMBER: return tk_write_number(buf, key, 1234567);
    case F_BYTES: return tk_write_bytes(buf, key, text("{\"a\":1}"));
    case F_TASK: return tk_write_task(buf, key, &task, task.last_log);
    case F_CHUNK: return tk_write_chunk(buf, key, &task, &chunks[2], 2);
    case F_MAP:
      fill_map(&task, &chunks[2]);
      return tk_write_chunk(buf, key, &task, &chunks[2], 2);
    case F_INFO: { tk_task_info i = sample_info(); tk_id id = sample_id(); return tk_write_info(buf, key, &i, &id); }
    case F_LOG: return tk_write_log(buf, key, &task, 2000, 1500, EPOCH_US);
    case F_READY: return tk_write_ready(buf, key, EPOCH_US);
    case F_INBOX: { tk_event e = sample_event(); return tk_write_inbox(buf, key, &e); }
    case F_CLAIMS: return tk_write_claims(buf, key, sample_claims, 2);
    case F_NOTICE: { tk_notice n = {6, 77, 3, 2}; return tk_write_notice(buf, key, &n); }
    case F_IDENTITY: { tk_identity_row r = {.task_no = 77, .created_at_us = EPOCH_US}; return tk_write_identity(buf, key, &r); }
    case F_ANNOTATION: { tk_annotation a = {77, text("color"), text("\"red\"")}; return tk_write_annotation(buf, key, &a); }
    case F_COMPENSATION: { tk_compensation c = sample_compensation(); return tk_write_compensation(buf, key, &c); }
    case F_APPROVAL: { tk_approval a = sample_approval(); return tk_write_approval(buf, key, &a); }
    case F_DEFINITION: { tk_definition d = sample_definition(); return tk_write_definition(buf, key, &d); }
    case F_CONSUMER: { tk_consumer c = sample_consumer(); return tk_write_consumer(buf, key, &c); }
    case F_LIMIT: return tk_write_limit(buf, key, &sample_limit);
    case F_METER: { tk_meter m = sample_meter(); return tk_write_meter(buf, key, &m); }
    case F_WAITER: { tk_meter m = sample_meter(); tk_waiter wt = sample_waiter(&m); return tk_write_waiter(buf, key, &wt); }
    case F_PERMIT: return tk_write_permit(buf, key, &sample_permit);
    case F_SECRET: return tk_write_secret(buf, key, &sample_secret);
    case F_BREAKER: return tk_write_breaker(buf, key, &sample_breaker);
    case F_HOLD: return tk_write_hold(buf, key, &sample_hold);
    default: { tk_process p = {3, {1, 2, 3}, 4242, EPOCH_US}; return tk_write_process(buf, key, &p); }
  }
}

static bool same_text(tk_slice a, tk_slice b) { return tk_slice_eq(a, b); }

static bool log_reads_back(tk_slice key, tk_slice record) {
  tk_log_record log;
  tk_log_event event;
  uint32_t i = 0;
  if (!tk_read_log(key, record, &log) || log.task_no != 77 || log.previous != 1500 || log.count != 4 || log.at_us != EPOCH_US)
    return false;
  for (; tk_read_log_entry(&log, i, &event); i++) {
    const tk_log_entry *e = &sample_entries[i];
    if (event.seq != 2000 + i || event.kind != e->kind || event.step != e->step || event.attempt != e->attempt ||
        event.payload != e->payload || !same_text(event.data, e->data))
      return false;
  }
  return i == 4 && !log.entries.bad;
}

/* Version 1 had none. */
static void without_children(tk_task *task, tk_chunk *chunks) {
  task->parent = task->parent_step = task->parent_attempt = task->children = 0;
  task->schedule = 0;
  for (uint32_t i = 0; i < 3 * TK_CHUNK_STEPS; i++) chunks[i / TK_CHUNK_STEPS].steps[i % TK_CHUNK_STEPS].child = 0;
}

static bool task_reads_back(tk_slice key, tk_slice record, bool chunk_only) {
  static tk_chunk chunks[3], first;
  tk_chunk *pointers[3];
  tk_task expected, task = {0};
  uint32_t touched;
  tk_arena arena = {0};   /* nothing is made in it: no map */
  memset(&first, 0, sizeof first);
  fill_task(&expected, chunks, pointers, NULL);
  if (record.size && record.data[0] < 2) without_children(&expected, chunks);
  if (chunk_only)
    return tk_read_chunk(key, record, EPOCH_US, &first, &arena) && memcmp(first.steps, chunks[2].steps, sizeof first.steps) == 0;
  return tk_read_task(key, record, &task, &first, &touched, &arena) && same_header(&task, &expected) &&
         memcmp(first.steps, chunks[0].steps, sizeof first.steps) == 0;
}

static bool info_reads_back(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_task_info info, e = sample_info();
  tk_id id = sample_id();
  bool same = tk_read_info(key, record, &id, &arena, &info) && memcmp(&info.id, &id, sizeof id) == 0 &&
              same_text(info.initiator, e.initiator) && same_text(info.source_system, e.source_system) &&
              same_text(info.reason, e.reason) && same_text(info.queue, e.queue) && same_text(info.tags, e.tags) &&
              same_text(info.bypass_steps, e.bypass_steps) && same_text(info.identity, e.identity) &&
              same_text(info.context, e.context) && info.parent == 5 && info.requested_at_us == EPOCH_US &&
              info.run_at_us == EPOCH_US + 1;
  if (record.data[0] >= 2)
    same = same && same_text(info.schedule, e.schedule) && info.scheduled_us == e.scheduled_us && info.previous_us == e.previous_us &&
           info.late_us == e.late_us;
  tk_arena_free(&arena);
  return same;
}

static bool inbox_reads_back(tk_slice key, tk_slice record) {
  tk_event event, e = sample_event();
  return tk_read_inbox(key, record, &event) && event.type == e.type && event.sweep == e.sweep && event.task_no == 77 &&
         event.step == e.step && event.cursor == 256 && event.attempt == 2 && event.end == TK_DEP_FAILED && event.branch == 3 &&
         event.delay_us == -1 && event.due_us == EPOCH_US && event.retryable && same_text(event.audit, e.audit) &&
         same_text(event.data, e.data) && same_text(event.name, e.name) &&
         event.child == (record.data[0] < 2 ? 0 : e.child);
}

static bool claims_read_back(tk_slice key, tk_slice record) {
  tk_claims_record claims;
  tk_claim claim;
  if (!tk_read_claims(key, record, &claims)) return false;
  for (int i = 0; i < 2; i++)
    if (!tk_read_claim(&claims, &claim) || memcmp(&claim, &sample_claims[i], sizeof claim) != 0) return false;
  return !tk_read_claim(&claims, &claim) && !claims.claims.bad;
}

static bool fixture_reads_back(int kind, tk_slice record) {
  tk_key key_bytes = fixture_key(kind);
  tk_slice key = tk_key_slice(&key_bytes), slice;
  tk_meta_record meta, sample = sample_meta();
  tk_definition d, ed = sample_definition();
  tk_identity_row row;
  tk_annotation a;
  tk_process p;
  tk_consumer consumer;
  tk_notice n;
  tk_ready ready;
  uint64_t number;
  switch (kind) {
    case F_META:
      if (record.data[0] == 1) sample.reader = (tk_log_reader){0};   /* its version */
      return tk_read_meta(key, record, &meta) && memcmp(&meta, &sample, sizeof meta) == 0;
    case F_NUMBER: return tk_read_number(key, record, &number) && number == 1234567;
    case F_BYTES: return tk_read_slice(key, record, &slice) && same_text(slice, text("{\"a\":1}"));
    case F_TASK: return task_reads_back(key, record, false);
    case F_CHUNK: return task_reads_back(key, record, true);
    case F_MAP: return map_reads_back(key, record);
    case F_INFO: return info_reads_back(key, record);
    case F_LOG: return log_reads_back(key, record);
    case F_READY:
      return tk_read_ready(key, record, &ready) && ready.queue == 1 && ready.definition == 2 && ready.priority == -3 &&
             ready.task_no == 77 && ready.step == 4 && ready.ready_at_us == EPOCH_US;
    case F_INBOX: return inbox_reads_back(key, record);
    case F_APPROVAL: return approval_reads_back(key, record);
    case F_COMPENSATION: return compensation_reads_back(key, record);
    case F_CLAIMS: return claims_read_back(key, record);
    case F_NOTICE: return tk_read_notice(key, record, &n) && n.process == 6 && n.task_no == 77 && n.step == 3 && n.attempt == 2;
    case F_IDENTITY:
      return tk_read_identity(key, record, &row) && row.task_no == 77 && row.created_at_us == EPOCH_US && row.hash[31] == 0x11;
    case F_ANNOTATION:
      return tk_read_annotation(key, record, &a) && a.task_no == 77 && same_text(a.name, text("color")) &&
             same_text(a.value, text("\"red\""));
    case F_DEFINITION:
      return tk_read_definition(key, record, &d) && d.number == 3 && memcmp(d.hash, ed.hash, 32) == 0 &&
             memcmp(d.source, ed.source, 32) == 0 && same_text(d.ns, ed.ns) && same_text(d.name, ed.name) &&
             same_text(d.version, ed.version) && same_text(d.graph, ed.graph) && same_text(d.json, ed.json) &&
             d.created_at_us == EPOCH_US;
    case F_LIMIT: case F_METER: case F_WAITER: case F_PERMIT: return limits_read_back(kind, key, record);
    case F_CONSUMER:
      return tk_read_consumer(key, record, &consumer) && consumer.seq == 1234 && consumer.created_at_us == EPOCH_US &&
             consumer.moved_at_us == EPOCH_US + 5 && same_text(consumer.events, sample_consumer().events);
    case F_SECRET: return secret_reads_back(key, record);
    case F_BREAKER: return breaker_reads_back(key, record);
    case F_HOLD: return hold_reads_back(key, record);
    default:
      return tk_read_process(key, record, &p) && p.number == 3 && p.incarnation[2] == 3 && p.pid == 4242 &&
             p.since_us == EPOCH_US;
  }
}

/* Bytes of every version of every record that was ever released. */
static const struct { int kind; const char *hex; } fixtures[] = {
  {F_META,
   "015d62771a0101e807f0a204959aef3a0c0d0e0f10110701c6018e03d6049e06e607ae090900d00fa01ff02ec03e904ee05db06d807d"},
  {F_META,
   "023c36376b0101e807f0a204959aef3a0c0d0e0f10110701c6018e03d6049e06e607ae090900d00fa01ff02ec03e904ee05db06d807d12"
   "1314"},
  {F_NUMBER,
   "01366074a587ad4b"},
  {F_BYTES,
   "01b4a653707b2261223a317d"},
  {F_TASK,
   "01221bcd63ff7f00112233445566778899aabbccddeeff03060287ad4b808082e288d2a306c801b8abe2043c3228090a02b89a9c391e14"
   "04090801061d01fffe1f9af1d9a20393cf97fc9ab2a306afceb6a0a71b139af1d9a2a302939eabb40489cf959a02cdf8acd1019bf1d9a2"
   "a302f1c4e78a8d09029a019cf1d9a2a3029df1d9a2a302a6bcd6e808a6bcd6e848c4e78a8d09e2b3c5c60400000000000008fffe1fd589"
   "cf950ad9f8aeb39ad3a106f3f3b483bada0113d589cf959a129af1d9a203cdf8acd101eac4e78a0dd689cf959a12dda6bcd6e84805d501"
   "d789cf959a12d889cf959a12b5e2b3c506b4e2b3c5c604a6bcd6e808939eabb40400000000000006fffe1f91a2c4880191a2c6ea99f49f"
   "06c399b3e6cc99031391a2c4889122a2c488910291a2c488018891a2c40892a2c4889122cd8891a2c48801011193a2c488912294a2c488"
   "9122c48891a204c48891a2c4088891a2c408c48891a20400000000000004fffe1fccbab9fb07d7cbdda199959e0687bfb1c9dfd80413cc"
   "bab9fb8732a997b77fd4cbdb3fa6dddcfd03cdbab9fb8732b9eae5ed9fc801044ccebab9fb8732cfbab9fb8732d3aeeefe01d2aeeefec1"
   "0ceae5ed9f08f5f2f68f0400000000000002fffe1f87d3aeee0e9df5f4d898b69c06cbe4afacf297061387d3aeeefe41b0eae5ed0f98f5"
   "f2f60fc3a997b70f88d3aeeefe41a5ccbab9fb870207870189d3aeeefe418ad3aeeefe41e1d4cbdb0fe0d4cbdbbf10ccbab9fb07a6dddc"
   "fd03"},
  {F_CHUNK,
   "014afac4ed0102fffe1fc9bed2cf048194ff86a8bb9306e3eeddbbf7ee0d13c9bed2cff49301e9a7fac90ef493fda40fa49fe9a70acabe"
   "d2cff49301adfac9bed2cf040149cbbed2cff49301ccbed2cff49301d2cff4930dd2cff493fd24fac9bed20ffda49fe907"},
  {F_INFO,
   "011b397d85fd03808082e288d2a306828082e288d2a3060503616e6e0762656361757365046d61696c055b2261225d055b2262225d056b"
   "65792d377b226e223a317d"},
  {F_LOG,
   "01cb0cc47d4df403808082e288d2a3060401000a03ac02020c0700016305080c7b226279223a22616e6e227d"},
  {F_READY,
   "01991cfbeb808082e288d2a306"},
  {F_INBOX,
   "0180a2fcd7120003014dffffffff0f028002030301808082e288d2a30600016e01310e7b22726561736f6e223a2278227d"},
  {F_CLAIMS,
   "010115792d024d0001c0843d8f4e00"},
  {F_NOTICE,
   "016d39d39b4d0302"},
  {F_IDENTITY,
   "01aef8b1494d808082e288d2a306"},
  {F_ANNOTATION,
   "019638b31805636f6c6f72052272656422"},
  {F_DEFINITION,
   "0191ba452bababababababababababababababababababababababababababababababababcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
   "cdcdcdcdcdcdcdcdcdcdcdcdcdcd808082e288d2a3060473686f70056f7264657205312e302e300b6772617068206279746573027b7d"},
  {F_PROCESS,
   "01f2315eab01020300000000000000000000000000a442808082e288d2a306"},
  {F_APPROVAL,
   "014f11658302035a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a03657665808082e288d2a306c88182e2"
   "88d2a306020103616e6e0003626f6202018a8082e288d2a30603616e6e00077b2261223a317d048c8082e288d2a3060365766503626f62"
   "0001f88082e288d2a306020103616e6e0003626f62"},
  {F_APPROVAL,
   "0207bc9e8502035a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a03657665808082e288d2a306c88182e2"
   "88d2a306020103616e6e0003626f6202018a8082e288d2a30603616e6e00077b2261223a317d048c8082e288d2a3060365766503626f62"
   "0001f88082e288d2a306020103616e6e0003626f620205ac02"},
  {F_CONSUMER,
   "0197b5d584d209808082e288d2a3068a8082e288d2a3060a5b227461736b2e2a225d"},
  {F_SECRET, "01d34d97d60102030405060708808082e288d2a3060a067365616c6564"},
  {F_BREAKER, "01cf60706705808ece1c010503808082e288d2a306808ed0fe88d2a3060f697420616e73776572656420353033"},
  {F_HOLD, "01c000fae1090402030461636d650400"},
  {F_TASK,
   "02bc6b2ed5ffff1c00112233445566778899aabbccddeeff03060287ad4b808082e288d2a306c801b8abe2043c3228090a02b89a9c391e"
   "14040908010637050207051d01fffe9f019af1d9a20393cf97fc9ab2a306afceb6a0a71b139af1d9a2a302939eabb40489cf959a02cdf8"
   "acd1019bf1d9a2a302f1c4e78a8d09029a019cf1d9a2a3029df1d9a2a302a6bcd6e808a6bcd6e848c4e78a8d09e2b3c5c604a1f1d9a2a3"
   "0200000000000008fffe9f01d589cf950ad9f8aeb39ad3a106f3f3b483bada0113d589cf959a129af1d9a203cdf8acd101eac4e78a0dd6"
   "89cf959a12dda6bcd6e84805d501d789cf959a12d889cf959a12b5e2b3c506b4e2b3c5c604a6bcd6e808939eabb404dc89cf959a120000"
   "0000000006fffe9f0191a2c4880191a2c6ea99f49f06c399b3e6cc99031391a2c4889122a2c488910291a2c488018891a2c40892a2c488"
   "9122cd8891a2c48801011193a2c488912294a2c4889122c48891a204c48891a2c4088891a2c408c48891a20498a2c48891220000000000"
   "0004fffe9f01ccbab9fb07d7cbdda199959e0687bfb1c9dfd80413ccbab9fb8732a997b77fd4cbdb3fa6dddcfd03cdbab9fb8732b9eae5"
   "ed9fc801044ccebab9fb8732cfbab9fb8732d3aeeefe01d2aeeefec10ceae5ed9f08f5f2f68f04d3bab9fb873200000000000002fffe9f"
   "0187d3aeee0e9df5f4d898b69c06cbe4afacf297061387d3aeeefe41b0eae5ed0f98f5f2f60fc3a997b70f88d3aeeefe41a5ccbab9fb87"
   "0207870189d3aeeefe418ad3aeeefe41e1d4cbdb0fe0d4cbdbbf10ccbab9fb07a6dddcfd038ed3aeeefe41"},
  {F_INFO,
   "02fb8d779ffd13808082e288d2a306828082e288d2a3060503616e6e0762656361757365046d61696c055b2261225d055b2262225d056b"
   "65792d37076e696768746c79848082e288d2a306faff81e288d2a306087b226e223a317d"},
  {F_CHUNK,
   "021ad151460102fffe9f01c9bed2cf048194ff86a8bb9306e3eeddbbf7ee0d13c9bed2cff49301e9a7fac90ef493fda40fa49fe9a70aca"
   "bed2cff49301adfac9bed2cf040149cbbed2cff49301ccbed2cff49301d2cff4930dd2cff493fd24fac9bed20ffda49fe907d0bed2cff4"
   "9301"},
  {F_MAP,
   "02ea847c100800000000000381a0400184010346140903020104060203b9600280a02080020145010590808002095a"},
  {F_COMPENSATION,
   "0151794a47630c7b226279223a22616e6e227d03ac020405"},
  {F_INBOX,
   "028f9ae62e120003014dffffffff0f028002030301808082e288d2a30600016e01310e7b22726561736f6e223a2278227d42"},
  {F_LIMIT,
   "0190ed329c00000000000004400000000000004e4007000000000000000000000000000000f03f0104"},
  {F_METER,
   "0116108a1f8280d0dfbd94b9863180c097e8b2010205ac02070461636d65"},
  {F_WAITER,
   "01c5dcac290203aa02b08082e288d2a306"},
  {F_PERMIT,
   "01296621f9808082e288d2a30602010461636d650000"},
};

TEST(records_of_every_version_are_read) {
  bool covered[F_COUNT] = {false};
  for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
    uint8_t bytes[4096];
    size_t size = strlen(fixtures[i].hex);
    REQUIRE(size / 2 <= sizeof bytes && tk_unhex(fixtures[i].hex, size, bytes));
    bool same = fixture_reads_back(fixtures[i].kind, tk_slice_of(bytes, size / 2));
    if (!same) fprintf(stderr, "fixture %zu (%s) is not read\n", i, fixture_names[fixtures[i].kind]);
    CHECK(same);
    covered[fixtures[i].kind] = true;
  }
  for (int kind = 0; kind < F_COUNT; kind++) CHECK(covered[kind]);
}

TEST(every_record_reads_back_what_was_written) {
  tk_buf buf = {0};
  for (int kind = 0; kind < F_COUNT; kind++) {
    bool same = fixture_reads_back(kind, write_fixture(kind, &buf));
    if (!same) fprintf(stderr, "%s is not read back\n", fixture_names[kind]);
    CHECK(same);
  }
  tk_buf_free(&buf);
}

TEST(no_changed_or_cut_record_is_taken_for_a_right_one) {
  tk_buf buf = {0};
  for (int kind = 0; kind < F_COUNT; kind++) {
    write_fixture(kind, &buf);
    for (size_t at = 0; at < buf.size; at++) {
      for (int bit = 0; bit < 8; bit++) {
        buf.data[at] ^= (char)(1 << bit);
        CHECK(!fixture_reads_back(kind, tk_buf_slice(&buf)));
        buf.data[at] ^= (char)(1 << bit);
      }
      CHECK(!fixture_reads_back(kind, tk_slice_of(buf.data, at)));
    }
    tk_buf_u8(&buf, 0);
    CHECK(!fixture_reads_back(kind, tk_buf_slice(&buf)));
  }
  tk_buf_free(&buf);
}

TEST(steps_with_any_fields_are_kept) {
  static tk_chunk chunks[3], read[3];
  tk_chunk *pointers[3];
  tk_rng rng;
  tk_buf buf = {0};
  tk_arena arena = {0};   /* nothing is made in it: no map */
  tk_rng_seed(&rng, 3);
  for (int round = 0; round < 3000; round++) {
    tk_task task, back = {0};
    uint32_t touched;
    fill_task(&task, chunks, pointers, &rng);
    memset(read, 0, sizeof read);
    tk_key key = tk_key_u64(task.no);
    tk_slice record = tk_write_task(&buf, tk_key_slice(&key), &task, 42);
    CHECK(tk_read_task(tk_key_slice(&key), record, &back, &read[0], &touched, &arena));
    CHECK_EQ_INT(back.last_log, 42);
    for (uint32_t i = 1; i < 3; i++) {
      key = tk_key_u64_u32(task.no, i);
      record = tk_write_chunk(&buf, tk_key_slice(&key), &task, &chunks[i], i);
      CHECK(tk_read_chunk(tk_key_slice(&key), record, task.created_at_us, &read[i], &arena));
    }
    for (int i = 0; i < 3; i++) CHECK(memcmp(read[i].steps, chunks[i].steps, sizeof read[i].steps) == 0);
  }
  tk_buf_free(&buf);
}

TEST(an_untouched_task_is_small) {
  static tk_chunk chunk;
  tk_chunk *pointers[1] = {&chunk};
  tk_graph graph = {.step_count = 10};
  tk_task task = {.no = 5,
                  .definition = 1,
                  .graph = &graph,
                  .queue = 1,
                  .attempt = 1,
                  .open = 10,
                  .created_at_us = EPOCH_US,
                  .chunks = pointers,
                  .chunk_count = 1};
  tk_buf buf = {0};
  tk_key key = tk_key_u64(5);
  CHECK(tk_write_task(&buf, tk_key_slice(&key), &task, 1).size <= 40);
  chunk.steps[0].status = TK_STEP_READY;
  chunk.steps[0].ready_at_us = EPOCH_US + 1;
  CHECK(tk_write_task(&buf, tk_key_slice(&key), &task, 1).size <= 44);
  tk_buf_free(&buf);
}

TEST(identities_of_each_form_are_kept) {
  static const char *const forms[] = {"", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                                      "00112233-4455-6677-8899-aabbccddeeff",
                                      "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", "anything else"};
  tk_arena arena = {0};
  tk_buf buf = {0};
  tk_key key = tk_key_u64(1);
  tk_id id = sample_id();
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    tk_task_info info = sample_info(), back;
    info.identity = text(forms[i]);
    tk_slice record = tk_write_info(&buf, tk_key_slice(&key), &info, &id);
    CHECK(tk_read_info(tk_key_slice(&key), record, &id, &arena, &back) && tk_slice_eq(back.identity, info.identity));
  }
  tk_arena_free(&arena);
  tk_buf_free(&buf);
}

TEST(ready_keys_sort_by_queue_definition_greater_priority_task_step) {
  static const tk_ready order[] = {{1, 1, INT32_MAX, 1, 0, 0}, {1, 1, 5, 1, 0, 0}, {1, 1, 5, 1, 1, 0},
                                   {1, 1, 5, 2, 0, 0},         {1, 1, 0, 1, 0, 0}, {1, 1, -1, 1, 0, 0},
                                   {1, 1, INT32_MIN, 1, 0, 0}, {1, 2, 9, 1, 0, 0}, {2, 1, 9, 1, 0, 0}};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    tk_key key = tk_key_ready(&order[i]);
    tk_ready back;
    CHECK(tk_read_ready_key(tk_key_slice(&key), &back) && back.priority == order[i].priority && back.task_no == order[i].task_no);
    if (i == 0) continue;
    tk_key before = tk_key_ready(&order[i - 1]);
    CHECK(memcmp(before.bytes, key.bytes, key.size) < 0);
  }
}

TEST(annotations_with_long_names_have_keys_of_their_own) {
  char a[1024], b[1024];
  memset(a, 'n', sizeof a);
  memset(b, 'n', sizeof b);
  b[1023] = 'm';
  tk_key x = tk_key_annotation(1, tk_slice_of(a, sizeof a)), y = tk_key_annotation(1, tk_slice_of(b, sizeof b));
  CHECK(x.size <= TK_KEY_MAX && x.size == y.size && memcmp(x.bytes, y.bytes, x.size) != 0);
}

static int print_fixtures(void) {
  tk_buf buf = {0};
  for (int kind = 0; kind < F_COUNT; kind++) {
    tk_slice record = write_fixture(kind, &buf);
    char *hex = tk_malloc(record.size * 2 + 1);
    tk_hex((const uint8_t *)record.data, record.size, hex);
    char name[32];
    size_t at = 0;
    for (; fixture_names[kind][at]; at++) name[at] = (char)(fixture_names[kind][at] - 'a' + 'A');
    name[at] = '\0';
    printf("  {F_%s,\n   \"", name);
    for (size_t i = 0; i < record.size * 2; i += 110) printf("%s%.110s", i ? "\"\n   \"" : "", hex + i);
    printf("\"},\n");
    tk_free(hex);
  }
  tk_buf_free(&buf);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "print") == 0) return print_fixtures();
  return test_run_all(argc, argv);
}
