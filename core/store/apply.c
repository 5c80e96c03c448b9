/* The second half of a turn: what decide changed becomes records, and one commit. */
#include <stdlib.h>

#include "store/parts.h"

/* A write on behalf of apply: remembers the first failure and does nothing after it. */
typedef struct writer {
  tk_store *store;
  const tk_apply *apply;
  tk_changes *changes;
  uint64_t *last_logs;            /* by dirty task: the record written for it */
  tk_err *err;
  int rc;
} writer;

static void put(writer *w, tk_table table, const tk_key *key, tk_slice record, unsigned flags) {
  if (!w->rc) w->rc = tk_kv_put(w->store->txn, table, tk_key_slice(key), record, flags, w->err);
}

static void del(writer *w, tk_table table, const tk_key *key) {
  if (w->rc) return;
  int rc = tk_kv_del(w->store->txn, table, tk_key_slice(key), w->err);
  w->rc = rc == TK_KV_ABSENT ? 0 : rc;
}

/* ---- Tasks ---- */

static void write_log(writer *w, size_t at) {
  tk_store *store = w->store;
  tk_task *task = w->changes->dirty.items[at];
  w->last_logs[at] = task->last_log;
  if (!task->log_head) return;
  uint64_t first = store->meta.next_seq;
  tk_key key = tk_key_u64(first);
  store->meta.next_seq += task->log_count;
  w->last_logs[at] = first;
  put(w, TK_TABLE_LOG, &key, tk_write_log(&store->buf, tk_key_slice(&key), task, first, task->last_log, store->now_us),
      TK_KV_APPEND);
}

static void write_task(writer *w, size_t at) {
  tk_store *store = w->store;
  tk_task *task = w->changes->dirty.items[at];
  tk_key key = tk_key_u64(task->no);
  put(w, TK_TABLE_TASKS, &key, tk_write_task(&store->buf, tk_key_slice(&key), task, w->last_logs[at]),
      task->created ? TK_KV_APPEND : 0);
}

static void write_chunk(writer *w, const tk_task *task, const tk_chunk *chunk, uint32_t index) {
  if (w->rc || !chunk || !chunk->dirty) return;
  tk_key key = tk_key_u64_u32(task->no, index);
  put(w, TK_TABLE_CHUNKS, &key, tk_write_chunk(&w->store->buf, tk_key_slice(&key), task, chunk, index), 0);
}

/* Contexts that migrations changed; chunks they left behind. */
static void write_migrated(writer *w) {
  const tk_changes *c = w->changes;
  for (size_t i = 0; i < c->contexts.count && !w->rc; i++) {
    tk_key key = tk_key_u64(c->contexts.items[i].task_no);
    const tk_id *id = &((tk_task *)tk_map_get(&w->store->tasks, c->contexts.items[i].task_no))->id;
    tk_slice record;
    tk_task_info info;
    w->rc = tk_kv_get(w->store->txn, TK_TABLE_INFO, tk_key_slice(&key), &record, w->err);
    if (w->rc || !tk_read_info(tk_key_slice(&key), record, id, c->arena, &info)) {
      if (w->rc >= 0) w->rc = tk_store_damaged(w->err, TK_TABLE_INFO, tk_key_slice(&key));
      return;
    }
    info.context = c->contexts.items[i].context;
    put(w, TK_TABLE_INFO, &key, tk_write_info(&w->store->buf, tk_key_slice(&key), &info, id), 0);
  }
  for (size_t i = 0; i < c->unchunks.count && !w->rc; i++) {
    tk_key key = tk_key_u64_u32(c->unchunks.items[i].task_no, c->unchunks.items[i].index);
    del(w, TK_TABLE_CHUNKS, &key);
  }
}

static void write_chunks(writer *w, const tk_task *task) {
  for (uint32_t i = 1; i < task->chunk_count; i++) write_chunk(w, task, task->chunks[i], i);
  for (uint32_t page = 0; page < task->page_count; page++)
    for (uint32_t i = 0; task->pages[page] && i < TK_CHUNK_PAGE; i++)
      write_chunk(w, task, task->pages[page]->chunks[i], task->chunk_count + page * TK_CHUNK_PAGE + i);
}

static int compare_tasks(const void *a, const void *b) {
  uint64_t x = (*(tk_task *const *)a)->no, y = (*(tk_task *const *)b)->no;
  return (x > y) - (x < y);
}

static bool ascending(tk_task *const *tasks, size_t count) {
  for (size_t i = 1; i < count; i++)
    if (tasks[i - 1]->no >= tasks[i]->no) return false;
  return true;
}

/* Table by table, each in ascending order, so that neighbours share the page that is at hand. */
static void write_tasks(writer *w) {
  size_t count = w->changes->dirty.count;
  tk_task **tasks = w->changes->dirty.items;
  for (size_t i = 0; i < count && !w->rc; i++) write_log(w, i);
  for (size_t i = 0; i < count && !w->rc; i++) write_task(w, i);
  for (size_t i = 0; i < count && !w->rc; i++)
    if (tasks[i]->chunk_count > 1 || tasks[i]->page_count) write_chunks(w, tasks[i]);
}

/* The annotations that came with a submission. */
static void write_submitted_annotations(writer *w, uint64_t task_no, tk_slice packed) {
  tk_reader r = tk_reader_of(packed);
  while (tk_reader_left(&r) && !w->rc) {
    tk_annotation annotation = {.task_no = task_no};
    annotation.name = tk_read_bytes(&r);
    annotation.value = tk_read_bytes(&r);
    TK_ASSERT(!r.bad);
    tk_key key = tk_key_annotation(task_no, annotation.name);
    put(w, TK_TABLE_ANNOTATIONS, &key, tk_write_annotation(&w->store->buf, tk_key_slice(&key), &annotation), 0);
  }
}

static void write_created(writer *w) {
  tk_store *store = w->store;
  for (size_t i = 0; i < w->changes->created.count && !w->rc; i++) {
    const tk_new_task *made = &w->changes->created.items[i];
    tk_key id, no = tk_key_u64(made->task->no);
    memcpy(id.bytes, made->id.bytes, sizeof made->id.bytes);
    id.size = sizeof made->id.bytes;
    put(w, TK_TABLE_IDS, &id, tk_write_number(&store->buf, tk_key_slice(&id), made->task->no), TK_KV_APPEND);
    put(w, TK_TABLE_INFO, &no, tk_write_info(&store->buf, tk_key_slice(&no), &made->submission->info, &made->id), TK_KV_APPEND);
    write_submitted_annotations(w, made->task->no, made->submission->annotations);
  }
}

static void write_payloads(writer *w) {
  const tk_changes *c = w->changes;
  for (size_t i = 0; i < c->payloads.count && !w->rc; i++) {
    tk_key key = tk_key_u64(c->payloads.items[i].no);
    put(w, TK_TABLE_PAYLOADS, &key, tk_write_bytes(&w->store->buf, tk_key_slice(&key), c->payloads.items[i].bytes), TK_KV_APPEND);
  }
  for (size_t i = 0; i < c->unpayloads.count && !w->rc; i++) {
    tk_key key = tk_key_u64(c->unpayloads.items[i]);
    if (c->unpayloads.items[i] != TK_PAYLOAD_NULL) del(w, TK_TABLE_PAYLOADS, &key);
  }
}

/* ---- Indexes and what flows ---- */

static int compare_ready(const void *a, const void *b) {
  tk_key x = tk_key_ready(a), y = tk_key_ready(b);
  return memcmp(x.bytes, y.bytes, x.size);
}

static void write_indexes(writer *w) {
  tk_changes *c = w->changes;
  tk_buf *buf = &w->store->buf;
  for (size_t i = 0; i < c->unready.count && !w->rc; i++) {
    tk_key key = tk_key_ready(&c->unready.items[i]);
    del(w, TK_TABLE_READY, &key);
  }
  if (c->ready.count > 1) qsort(c->ready.items, c->ready.count, sizeof *c->ready.items, compare_ready);
  for (size_t i = 0; i < c->ready.count && !w->rc; i++) {
    tk_key key = tk_key_ready(&c->ready.items[i]);
    put(w, TK_TABLE_READY, &key, tk_write_ready(buf, tk_key_slice(&key), c->ready.items[i].ready_at_us), TK_KV_APPEND);
  }
  for (size_t i = 0; i < c->untimers.count && !w->rc; i++) {
    tk_key key = tk_key_timer(&c->untimers.items[i]);
    del(w, TK_TABLE_TIMERS, &key);
  }
  for (size_t i = 0; i < c->timers.count && !w->rc; i++) {
    tk_key key = tk_key_timer(&c->timers.items[i]);
    put(w, TK_TABLE_TIMERS, &key, tk_write_number(buf, tk_key_slice(&key), c->timers.items[i].kind), 0);
  }
}

static void write_flow(writer *w) {
  tk_store *store = w->store;
  tk_changes *c = w->changes;
  tk_buf *buf = &store->buf;
  for (size_t i = 0; i < c->inbox.count && !w->rc; i++) {
    tk_key key = tk_key_u64(store->meta.next_inbox++);
    put(w, TK_TABLE_INBOX, &key, tk_write_inbox(buf, tk_key_slice(&key), &c->inbox.items[i]), TK_KV_APPEND);
  }
  for (size_t i = 0; i < c->notices.count && !w->rc; i++) {
    tk_key key = tk_key_u32_u64(c->notices.items[i].process, store->meta.next_notice++);
    put(w, TK_TABLE_NOTICES, &key, tk_write_notice(buf, tk_key_slice(&key), &c->notices.items[i]), 0);
  }
  for (size_t i = 0; i < w->apply->finished_batch_count && !w->rc; i++) {
    tk_key key = tk_key_claims(w->apply->process, w->apply->finished_batches[i]);
    del(w, TK_TABLE_META, &key);
  }
  if (c->claims.count) {
    tk_key key = tk_key_claims(w->apply->process, w->apply->mark.turn);
    put(w, TK_TABLE_META, &key, tk_write_claims(buf, tk_key_slice(&key), c->claims.items, c->claims.count), 0);
  }
}

static void write_rows(writer *w) {
  tk_changes *c = w->changes;
  tk_buf *buf = &w->store->buf;
  for (size_t i = 0; i < c->identities.count && !w->rc; i++) {
    tk_key key;
    memcpy(key.bytes, c->identities.items[i]->hash, 32);
    key.size = 32;
    put(w, TK_TABLE_IDENTITY, &key, tk_write_identity(buf, tk_key_slice(&key), c->identities.items[i]), 0);
  }
  for (size_t i = 0; i < c->signals.count && !w->rc; i++) {
    const tk_signal_change *change = &c->signals.items[i];
    tk_key key = tk_key_u64_u64(change->task_no, change->signal.payload);
    if (change->taken) del(w, TK_TABLE_SIGNALS, &key);
    else put(w, TK_TABLE_SIGNALS, &key, tk_write_bytes(buf, tk_key_slice(&key), change->signal.name), 0);
  }
  for (size_t i = 0; i < c->approvals.count && !w->rc; i++) {
    const tk_approval_change *change = &c->approvals.items[i];
    tk_key key = tk_key_u64_u32(change->task_no, change->step);
    if (change->row) put(w, TK_TABLE_APPROVALS, &key, tk_write_approval(buf, tk_key_slice(&key), change->row), 0);
    else del(w, TK_TABLE_APPROVALS, &key);
  }
  for (size_t i = 0; i < c->compensations.count && !w->rc; i++) {
    const tk_compensation_change *change = &c->compensations.items[i];
    tk_key key = tk_key_u64_u32(change->task_no, change->page);
    if (change->row) put(w, TK_TABLE_COMPENSATIONS, &key, tk_write_compensation(buf, tk_key_slice(&key), change->row), 0);
    else del(w, TK_TABLE_COMPENSATIONS, &key);
  }
  for (size_t i = 0; i < c->annotations.count && !w->rc; i++) {
    tk_key key = tk_key_annotation(c->annotations.items[i].task_no, c->annotations.items[i].name);
    put(w, TK_TABLE_ANNOTATIONS, &key, tk_write_annotation(buf, tk_key_slice(&key), &c->annotations.items[i]), 0);
  }
}

static void write_meta(writer *w) {
  tk_store *store = w->store;
  tk_meta_record *meta = &store->meta;
  meta->next_task = w->changes->next_task;
  meta->next_payload = w->changes->next_payload;
  for (int i = 0; i < TK_TASK_STATUS_COUNT; i++) meta->tasks_by_status[i] += w->changes->tasks_delta[i];
  for (int i = 0; i < TK_STEP_STATUS_COUNT; i++) meta->steps_by_status[i] += w->changes->steps_delta[i];
  if (!w->rc) w->rc = tk_store_put_meta(store, w->err);
  tk_key key = tk_key_mark(w->apply->mark.incarnation);
  put(w, TK_TABLE_META, &key, tk_write_number(&store->buf, tk_key_slice(&key), w->apply->mark.turn), 0);
}

static void write_all(writer *w) {
  for (tk_taken *taken = w->store->taken; taken && !w->rc; taken = taken->next) del(w, taken->table, &taken->key);
  if (!w->rc) w->rc = tk_store_put_names(w->store, w->err);
  write_tasks(w);
  if (!w->rc) w->rc = tk_store_put_schedules(w->store, w->changes, w->err);
  write_created(w);
  write_migrated(w);
  write_payloads(w);
  write_indexes(w);
  write_flow(w);
  write_rows(w);
  if (!w->rc) w->rc = tk_store_write_limits(w->store, w->changes, w->err);
  write_meta(w);
}

/* ---- The commit ---- */

/* Ends the transaction, unless the store has to grow (tk_kv_grow ends it then). */
static void write_and_commit(writer *w) {
  w->rc = 0;
  write_all(w);
  if (!w->rc) w->rc = tk_kv_commit(w->store->txn, w->err);
  else if (w->rc != TK_KV_GROW) tk_kv_abort(w->store->txn);
}

static void finish(writer *w) {
  for (size_t i = 0; i < w->changes->dirty.count; i++) w->changes->dirty.items[i]->last_log = w->last_logs[i];
}

int tk_store_apply(tk_store *store, const tk_apply *apply, tk_applied *out, tk_err *err) {
  TK_ASSERT(store->txn);
  tk_changes *changes = apply->changes;
  tk_meta_record loaded = store->meta;
  if (store->fault.code) {
    if (err) *err = store->fault;
    tk_store_abort(store);
    return store->fault.code;
  }
  if (!ascending(changes->dirty.items, changes->dirty.count))
    qsort(changes->dirty.items, changes->dirty.count, sizeof *changes->dirty.items, compare_tasks);
  writer w = {.store = store, .apply = apply, .changes = changes, .err = err};
  w.last_logs = TK_ARENA_ARRAY(changes->arena, uint64_t, changes->dirty.count + 1);
  write_and_commit(&w);
  while (w.rc == TK_KV_GROW) {
    w.rc = tk_kv_grow(&store->txn, err);          /* what was written is gone; what was loaded is still so */
    if (w.rc) break;
    store->meta = loaded;
    write_and_commit(&w);
  }
  store->txn = NULL;
  if (w.rc) return w.rc;
  tk_store_settle_names(store);
  finish(&w);
  *out = (tk_applied){loaded.next_seq, store->meta.next_seq - 1};
  return 0;
}

int tk_store_committed(tk_store *store, const tk_turn_mark *mark, tk_err *err) {
  tk_kv_txn *txn;
  tk_key key = tk_key_mark(mark->incarnation);
  uint64_t turn = 0;
  int rc = tk_kv_begin(store->kv, false, &txn, err);
  if (rc) return rc;
  rc = tk_store_get_number(txn, TK_TABLE_META, tk_key_slice(&key), &turn, err);
  tk_kv_abort(txn);
  return rc < 0 ? rc : turn == mark->turn;
}
