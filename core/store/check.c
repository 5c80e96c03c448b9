/* Walks every record of one snapshot. Order matters: what tasks are compared with (definitions, log, claims, inbox) is read
 * before them, what refers to them (indexes) and what they refer to (payloads) after them. */
#include <stdarg.h>
#include <stdio.h>

#include "store/check.h"

#define PROGRESS_EVERY 4096       /* records */
#define COUNTED_MAX ((uint64_t)1 << 34)   /* a larger counter is damage, and no array is made for it */
#define NO(number) ((unsigned long long)(number))

void tk_check_say(tk_check *c, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  c->damages++;
  c->report(c->context, text);
}

bool tk_check_get(tk_check *c, tk_table table, tk_slice key, tk_slice *record) {
  tk_err err;
  int rc = tk_kv_get(c->snap->txn, table, key, record, &err);
  if (rc < 0) tk_check_say(c, "table %s cannot be read: %s", tk_table_name(table), err.message);
  return rc == 0;
}

void tk_check_refer(tk_check *c, uint64_t payload, uint64_t task_no) {
  if (payload >= c->meta.next_payload || !(c->payloads[payload] & 1))
    tk_check_say(c, "task number %llu refers to payload %llu, which is not there", NO(task_no), NO(payload));
  else c->payloads[payload] |= 2;
}

/* ---- Walking ---- */

typedef void (*record_check)(tk_check *c, tk_slice key, tk_slice record);

static void walk(tk_check *c, tk_table table, record_check check) {
  tk_kv_cursor *cursor;
  tk_slice key, record;
  tk_err err;
  int rc = tk_kv_cursor_open(c->snap->txn, table, &cursor, &err);
  if (!rc) {
    for (rc = tk_kv_step(cursor, TK_KV_FIRST, &key, &record, &err); !rc;
         rc = tk_kv_step(cursor, TK_KV_NEXT, &key, &record, &err)) {
      check(c, key, record);
      if (++c->done % PROGRESS_EVERY == 0 && c->progress) c->progress(c->context, c->done, c->total);
    }
    tk_kv_cursor_close(cursor);
  }
  if (rc < 0) tk_check_say(c, "table %s cannot be read: %s", tk_table_name(table), err.message);
}

static uint64_t entries_of(tk_check *c, tk_table table) {
  uint64_t entries = 0;
  tk_kv_count(c->snap->txn, table, &entries, NULL);
  return entries;
}

/* ---- Meta, claims, names, definitions, processes ---- */

static void check_claims(tk_check *c, tk_slice key, tk_slice record, uint32_t number) {
  tk_claims_record claims;
  tk_claim claim;
  tk_slice process;
  tk_key by_number = tk_key_u32(number);
  if (!tk_read_claims(key, record, &claims)) {
    tk_check_say(c, "a record of claims is damaged");
    return;
  }
  if (!tk_check_get(c, TK_TABLE_PROCESSES, tk_key_slice(&by_number), &process))
    tk_check_say(c, "there are claims of process %u, which is not there", number);
  while (tk_read_claim(&claims, &claim)) {
    uint64_t step = tk_check_step_key(claim.task_no, claim.step);
    tk_check_claim *kept = TK_ARENA_NEW(&c->arena, tk_check_claim);
    *kept = (tk_check_claim){tk_map_get(&c->claims, step), number, claim.attempt};
    tk_map_put(&c->claims, step, kept);
  }
  if (claims.claims.bad) tk_check_say(c, "a record of claims of process %u is damaged", number);
}

static void check_meta_entry(tk_check *c, tk_slice key, tk_slice record) {
  uint64_t turn;
  uint32_t process;
  tk_key own = tk_key_meta();
  if (tk_slice_eq(key, tk_key_slice(&own))) return;   /* read at the start */
  if (tk_key_is_claims(key, &process, &turn)) check_claims(c, key, record, process);
  else if (key.size != 17 || !tk_read_number(key, record, &turn)) tk_check_say(c, "a process's mark of its last turn is damaged");
}

static void check_name(tk_check *c, tk_slice key, tk_slice record) {
  tk_slice text, other;
  uint64_t number;
  if (key.size != 4 || !tk_read_slice(key, record, &text)) tk_check_say(c, "the record of a queue's name is damaged");
  else if (tk_get_u32be(key.data) >= c->meta.next_name)
    tk_check_say(c, "the name '%.*s' has a number that was never given", (int)text.size, text.data);
  else if (!tk_check_get(c, TK_TABLE_NAME_NUMBERS, text, &other) || !tk_read_number(text, other, &number) ||
           number != tk_get_u32be(key.data))
    tk_check_say(c, "the name '%.*s' is not found by its text", (int)text.size, text.data);
}

static void check_name_number(tk_check *c, tk_slice key, tk_slice record) {
  uint64_t number;
  tk_slice other;
  tk_key by_number;
  if (!tk_read_number(key, record, &number) || number > UINT32_MAX) {
    tk_check_say(c, "the number of the name '%.*s' is damaged", (int)key.size, key.data);
    return;
  }
  by_number = tk_key_u32((uint32_t)number);
  if (!tk_check_get(c, TK_TABLE_NAMES, tk_key_slice(&by_number), &other))
    tk_check_say(c, "the name '%.*s' has number %llu, which has no name", (int)key.size, key.data, NO(number));
}

static void resolve_names(tk_check *c, tk_graph *graph) {
  for (uint32_t i = 0; i < graph->step_count; i++) {
    tk_slice queue = graph->steps[i].queue;
    if (queue.size) graph->steps[i].queue_no = tk_snap_find_name(c->snap, queue);
    for (uint32_t l = 0; l < graph->steps[i].limit_count; l++) {
      tk_graph_limit *limit = (tk_graph_limit *)&graph->steps[i].limits[l];
      limit->no = tk_snap_find_name(c->snap, limit->name);
    }
  }
}

static void check_definition_links(tk_check *c, const tk_definition *d) {
  static const uint8_t none[32];
  tk_slice record, text;
  if (tk_snap_find_definition_hash(c->snap, d->hash) != d->number)
    tk_check_say(c, "definition %u is not found by its hash", d->number);
  if (!tk_snap_find_definition(c->snap, d->ns, d->name, d->version))
    tk_check_say(c, "definition %u (%.*s/%.*s) is not found by its name and version", d->number, (int)d->ns.size, d->ns.data,
                 (int)d->name.size, d->name.data);
  if (memcmp(d->source, none, sizeof none) == 0) return;
  tk_slice key = tk_slice_of(d->source, sizeof d->source);
  if (!tk_check_get(c, TK_TABLE_SOURCES, key, &record)) tk_check_say(c, "the source of definition %u is missing", d->number);
  else if (!tk_read_slice(key, record, &text)) tk_check_say(c, "the source of definition %u is damaged", d->number);
}

static void check_definition(tk_check *c, tk_slice key, tk_slice record) {
  tk_definition d;
  tk_graph *graph;
  tk_err err;
  if (!tk_read_definition(key, record, &d)) {
    tk_check_say(c, "the record of definition %u is damaged", key.size == 4 ? tk_get_u32be(key.data) : 0);
    return;
  }
  if (d.number >= c->meta.next_definition) tk_check_say(c, "definition %u is beyond the last number given", d.number);
  check_definition_links(c, &d);
  if (tk_graph_decode(d.graph, &graph, &err)) {
    tk_check_say(c, "the graph of definition %u is damaged: %s", d.number, err.message);
    return;
  }
  resolve_names(c, graph);
  tk_map_put(&c->graphs, d.number, graph);
}

const tk_graph *tk_check_graph(void *context, uint32_t definition) {
  return tk_map_get(&((tk_check *)context)->graphs, definition);
}

static void check_definition_number(tk_check *c, tk_slice key, tk_slice record) {
  uint64_t number;
  tk_slice other;
  tk_key by_number;
  if (!tk_read_number(key, record, &number) || number > UINT32_MAX) {
    tk_check_say(c, "an entry of the index of definitions is damaged");
    return;
  }
  by_number = tk_key_u32((uint32_t)number);
  if (!tk_check_get(c, TK_TABLE_DEFINITIONS, tk_key_slice(&by_number), &other))
    tk_check_say(c, "the index of definitions points to definition %llu, which is not there", NO(number));
}

static void check_source(tk_check *c, tk_slice key, tk_slice record) {
  tk_slice text;
  if (key.size != 32 || !tk_read_slice(key, record, &text)) tk_check_say(c, "a kept source is damaged");
}

static void check_process(tk_check *c, tk_slice key, tk_slice record) {
  tk_process process;
  if (!tk_read_process(key, record, &process)) tk_check_say(c, "the record of a process is damaged");
  else if (process.number >= c->meta.next_process)
    tk_check_say(c, "process %u has a number that was never given", process.number);
}

/* ---- The log ---- */

/* False: all of them are of no task and of no schedule. */
static bool check_log_entries(tk_check *c, tk_log_record *log) {
  tk_log_event event;
  uint32_t index = 0;
  bool numbered = false;
  for (; tk_read_log_entry(log, index, &event); index++) {
    if (event.payload) tk_check_refer(c, event.payload, log->task_no);
    numbered |= !tk_log_of_no_task(event.kind) || tk_log_of_schedule(event.kind);
  }
  if (log->entries.bad) tk_check_say(c, "the record %llu of the log is damaged", NO(log->first));
  return numbered || log->entries.bad;
}

/* meta.next_seq counts the log through: `expected` is kept in last_logs[0], which no task has. */
static void check_log(tk_check *c, tk_slice key, tk_slice record) {
  tk_log_record log;
  uint64_t expected = c->last_logs[0];
  if (!tk_read_log(key, record, &log)) {
    tk_check_say(c, "the record %llu of the log is damaged", key.size == 8 ? NO(tk_get_u64be(key.data)) : 0);
    c->last_logs[0] = 0;
    return;
  }
  if (expected && log.first != expected)
    tk_check_say(c, "the log has a gap: event %llu is followed by event %llu", NO(expected - 1), NO(log.first));
  c->last_logs[0] = log.first + log.count;
  if (!check_log_entries(c, &log) && log.task_no == 0) return;
  if (log.task_no == 0 || log.task_no >= c->meta.next_task) {
    tk_check_say(c, "the record %llu of the log is of task number %llu, which was never given", NO(log.first), NO(log.task_no));
    return;
  }
  if (c->last_logs[log.task_no] != log.previous)
    tk_check_say(c, "the record %llu of the log says that the one before it of its task is %llu, and it is %llu", NO(log.first),
                 NO(log.previous), NO(c->last_logs[log.task_no]));
  c->last_logs[log.task_no] = log.first;
}

static void check_log_end(tk_check *c) {
  if (c->last_logs[0] && c->last_logs[0] != c->meta.next_seq)
    tk_check_say(c, "the log ends with event %llu, and the store says %llu", NO(c->last_logs[0] - 1), NO(c->meta.next_seq - 1));
}

/* ---- Payloads, inbox, notices ---- */

static void check_payload(tk_check *c, tk_slice key, tk_slice record) {
  tk_slice bytes;
  uint64_t number = key.size == 8 ? tk_get_u64be(key.data) : 0;
  if (!number || !tk_read_slice(key, record, &bytes)) tk_check_say(c, "payload %llu is damaged", NO(number));
  if (number && number < c->meta.next_payload) c->payloads[number] |= 1;
  else tk_check_say(c, "payload %llu has a number that was never given", NO(number));
}

static void check_payload_use(tk_check *c) {
  for (uint64_t i = TK_PAYLOAD_NULL + 1; i < c->meta.next_payload; i++)
    if (c->payloads[i] == 1) tk_check_say(c, "payload %llu belongs to nothing", NO(i));
}

static bool task_there(tk_check *c, uint64_t task_no) {
  tk_key key = tk_key_u64(task_no);
  tk_slice record;
  return tk_check_get(c, TK_TABLE_TASKS, tk_key_slice(&key), &record);
}

static void check_inbox(tk_check *c, tk_slice key, tk_slice record) {
  tk_event event;
  tk_slice task;
  if (!tk_read_inbox(key, record, &event)) {
    tk_check_say(c, "an event of the inbox is damaged");
    return;
  }
  if (tk_event_of_schedule(&event)) return;   /* what comes to a deleted schedule goes nowhere */
  tk_key no = tk_key_u64(event.task_no);
  if (!tk_check_get(c, TK_TABLE_TASKS, tk_key_slice(&no), &task))
    tk_check_say(c, "an event of the inbox is for task number %llu, which is not there", NO(event.task_no));
  if (event.child && !task_there(c, event.child))
    tk_check_say(c, "an event of the inbox is about task number %llu, which is not there", NO(event.child));
  if (event.type != TK_EV_SWEEP) return;
  uintptr_t sweeps = (uintptr_t)tk_map_get(&c->sweeps, event.task_no);
  tk_map_put(&c->sweeps, event.task_no, (void *)(sweeps ? sweeps + 1 : 2));
}

static void check_notice(tk_check *c, tk_slice key, tk_slice record) {
  tk_notice notice;
  if (!tk_read_notice(key, record, &notice)) tk_check_say(c, "a notice to a process is damaged");
}

static void check_consumer(tk_check *c, tk_slice key, tk_slice record) {
  tk_consumer consumer;
  if (!tk_read_consumer(key, record, &consumer)) tk_check_say(c, "a consumer is damaged");
  else if (consumer.seq >= c->meta.next_seq)
    tk_check_say(c, "consumer '%.*s' has seen event %llu, which is not there", (int)key.size, key.data, NO(consumer.seq));
}

static void check_secret(tk_check *c, tk_slice key, tk_slice record) {
  tk_secret secret;
  if (!tk_read_secret(key, record, &secret) || !secret.sealed.size) tk_check_say(c, "a secret is damaged");
}

/* ---- What points to tasks ---- */

static void check_id(tk_check *c, tk_slice key, tk_slice record) {
  uint64_t number = 0;
  if (key.size != 16 || !tk_read_number(key, record, &number)) tk_check_say(c, "an entry of the index of ids is damaged");
  else if (!task_there(c, number)) tk_check_say(c, "an id points to task number %llu, which is not there", NO(number));
}

static void check_info(tk_check *c, tk_slice key, tk_slice record) {
  (void)record;                                   /* read with its task */
  if (key.size != 8 || !task_there(c, tk_get_u64be(key.data)))
    tk_check_say(c, "there is a context without a task (number %llu)", key.size == 8 ? NO(tk_get_u64be(key.data)) : 0);
}

static void check_chunk(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_task *task;
  tk_err err;
  (void)record;                                   /* read with its task */
  uint64_t number = key.size == 12 ? tk_get_u64be(key.data) : 0;
  int rc = number ? tk_store_read_task(c->snap->txn, &arena, number, tk_check_graph, c, &task, &err) : TK_E_NOT_FOUND;
  if (rc == TK_E_NOT_FOUND) tk_check_say(c, "there are steps without a task (number %llu)", NO(number));
  else if (!rc && tk_get_u32be(key.data + 8) >= tk_chunk_count_for(tk_task_count(task)))
    tk_check_say(c, "task number %llu has more steps than its definition", NO(number));
  tk_arena_free(&arena);
}

static void check_identity(tk_check *c, tk_slice key, tk_slice record) {
  tk_identity_row row;
  if (!tk_read_identity(key, record, &row)) tk_check_say(c, "an identity is damaged");
  else if (!task_there(c, row.task_no))
    tk_check_say(c, "an identity points to task number %llu, which is not there", NO(row.task_no));
}

static void check_signal(tk_check *c, tk_slice key, tk_slice record) {
  tk_slice name;
  if (key.size != 16 || !tk_read_slice(key, record, &name)) {
    tk_check_say(c, "a kept signal is damaged");
    return;
  }
  uint64_t task_no = tk_get_u64be(key.data);
  tk_check_refer(c, tk_get_u64be(key.data + 8), task_no);
  if (!task_there(c, task_no)) tk_check_say(c, "a kept signal is of task number %llu, which is not there", NO(task_no));
}

/* Its row is there exactly while the step waits for people: the other half is in check_task.c. */
static void check_approval(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_approval approval;
  if (!tk_read_approval(key, record, &arena, &approval)) tk_check_say(c, "an approval is damaged");
  else tk_check_approval(c, &approval);
  tk_arena_free(&arena);
}

static void check_compensation(tk_check *c, tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_compensation page;
  if (!tk_read_compensation(key, record, &arena, &page)) tk_check_say(c, "a page of what is to be undone is damaged");
  else {
    if (page.error) tk_check_refer(c, page.error, page.task_no);
    tk_check_compensation(c, &page);
  }
  tk_arena_free(&arena);
}

static void check_annotation(tk_check *c, tk_slice key, tk_slice record) {
  tk_annotation annotation;
  if (!tk_read_annotation(key, record, &annotation)) tk_check_say(c, "an annotation is damaged");
  else if (!task_there(c, annotation.task_no))
    tk_check_say(c, "an annotation is of task number %llu, which is not there", NO(annotation.task_no));
}

/* ---- Counters ---- */

static void check_counters(tk_check *c) {
  for (uint8_t i = 0; i < TK_TASK_STATUS_COUNT; i++)
    if (c->meta.tasks_by_status[i] != c->tasks_by_status[i])
      tk_check_say(c, "the store counts %lld tasks %s, and there are %lld", (long long)c->meta.tasks_by_status[i],
                   tk_task_status_name(i), (long long)c->tasks_by_status[i]);
  for (uint8_t i = 0; i < TK_STEP_STATUS_COUNT; i++)
    if (c->meta.steps_by_status[i] != c->steps_by_status[i])
      tk_check_say(c, "the store counts %lld steps %s, and there are %lld", (long long)c->meta.steps_by_status[i],
                   tk_step_status_name(i), (long long)c->steps_by_status[i]);
}

static void check_everything(tk_check *c) {
  walk(c, TK_TABLE_META, check_meta_entry);
  walk(c, TK_TABLE_NAMES, check_name);
  walk(c, TK_TABLE_NAME_NUMBERS, check_name_number);
  walk(c, TK_TABLE_DEFINITIONS, check_definition);
  walk(c, TK_TABLE_DEFINITION_HASHES, check_definition_number);
  walk(c, TK_TABLE_DEFINITION_CURRENT, check_definition_number);
  walk(c, TK_TABLE_SOURCES, check_source);
  walk(c, TK_TABLE_PROCESSES, check_process);
  walk(c, TK_TABLE_PAYLOADS, check_payload);
  c->last_logs[0] = 1;
  walk(c, TK_TABLE_LOG, check_log);
  check_log_end(c);
  walk(c, TK_TABLE_INBOX, check_inbox);
  walk(c, TK_TABLE_NOTICES, check_notice);
  walk(c, TK_TABLE_SIGNALS, check_signal);
  walk(c, TK_TABLE_LIMITS, tk_check_limit);
  walk(c, TK_TABLE_METERS, tk_check_meter);
  walk(c, TK_TABLE_COMPENSATIONS, check_compensation);   /* before the use of payloads is looked at */
  walk(c, TK_TABLE_TASKS, tk_check_task);
  walk(c, TK_TABLE_WAITERS, tk_check_waiter);
  walk(c, TK_TABLE_PERMITS, tk_check_permit);
  walk(c, TK_TABLE_BREAKERS, tk_check_breaker);
  walk(c, TK_TABLE_HOLDS, tk_check_hold);
  tk_check_meters(c);
  check_payload_use(c);
  walk(c, TK_TABLE_CHUNKS, check_chunk);
  walk(c, TK_TABLE_IDS, check_id);
  walk(c, TK_TABLE_INFO, check_info);
  walk(c, TK_TABLE_READY, tk_check_ready_entry);
  walk(c, TK_TABLE_TIMERS, tk_check_timer_entry);
  walk(c, TK_TABLE_SCHEDULES, tk_check_schedule);
  walk(c, TK_TABLE_SCHEDULE_NAMES, tk_check_schedule_name);
  walk(c, TK_TABLE_IDENTITY, check_identity);
  walk(c, TK_TABLE_ANNOTATIONS, check_annotation);
  walk(c, TK_TABLE_APPROVALS, check_approval);
  walk(c, TK_TABLE_CONSUMERS, check_consumer);
  walk(c, TK_TABLE_SECRETS, check_secret);
  check_counters(c);
  if (c->meta.reader.task_no && !task_there(c, c->meta.reader.task_no)) tk_check_say(c, "the task that reads the log is not there");
}

static void free_check(tk_check *c) {
  size_t cursor = 0;
  void *graph;
  while (tk_map_next(&c->graphs, &cursor, NULL, &graph)) tk_graph_free(graph);
  tk_map_free(&c->graphs);
  tk_map_free(&c->claims);
  tk_map_free(&c->meters);
  tk_map_free(&c->sweeps);
  tk_arena_free(&c->arena);
  tk_free(c->last_logs);
  tk_free(c->payloads);
}

int tk_store_check(tk_store *store, void (*report)(void *context, const char *what),
                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, tk_err *err) {
  tk_check c = {.report = report, .progress = progress, .context = context};
  int rc = tk_snap_open(store, &c.snap, err);
  if (rc) return rc;
  rc = store->kv->ops->verify(store->kv, report, context, err);
  if (rc > 0) c.damages = rc;                     /* a broken tree is not walked: it could lead anywhere */
  if (!rc) rc = tk_store_read_meta(c.snap->txn, &c.meta, err);
  if (rc == TK_E_CORRUPT) {
    tk_check_say(&c, "%s", err->message);
  } else if (!rc && (c.meta.next_task > COUNTED_MAX || c.meta.next_payload > COUNTED_MAX)) {
    tk_check_say(&c, "the store's counters are out of all bounds");
  } else if (!rc) {
    for (int i = 0; i < TK_TABLE_COUNT; i++) c.total += entries_of(&c, (tk_table)i);
    c.last_logs = tk_calloc(c.meta.next_task + 1, sizeof *c.last_logs);
    c.payloads = tk_calloc(c.meta.next_payload + 1, 1);
    c.payloads[TK_PAYLOAD_NULL] = 1;
    check_everything(&c);
    if (progress) progress(context, c.done, c.total);
  }
  tk_snap_close(c.snap);
  free_check(&c);
  return rc < 0 && rc != TK_E_CORRUPT ? rc : c.damages;
}
