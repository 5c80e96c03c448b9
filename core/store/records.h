/* Every record of the store as bytes, and back. A record is: version byte, CRC-32C (little endian) over its key and body
 * (seeded with the version), body. Integers in bodies are LEB128; times are differences to a time stored before them. Pure;
 * any thread.
 *
 * Tables (kv.h), their keys (big endian) and records:
 *   meta             0 -> tk_meta_record; 1, incarnation[16] -> number of the last turn this process committed; 2, process u32,
 *                    turn u64 -> claims of that turn (here, because each turn writes here: a page less for a commit)
 *   ids              task id[16] -> task number            info         task number u64 -> the cold record
 *   tasks            task number u64 -> header and the first TK_CHUNK_STEPS steps
 *   chunks           task number u64, index u32 -> the steps of a later chunk; absent: untouched
 *   payloads         payload number u64 -> bytes            log          first seq u64 -> events of one task in one turn
 *   ready            queue u32, definition u32, priority u32 (greater first), task u64, step u32 -> when it became ready
 *   timers           due u64, task u64, step u32 -> kind    inbox        number u64 -> event
 *   notices          process u32, number u64 -> notice      identity     hash[32] -> task number, created at
 *   signals          task number u64, payload number u64 -> name (kept until a step takes it)
 *   approvals        task number u64, step u32 -> approvers, votes, escalations (while the step waits for them)
 *   limits           number of its name u32 -> rules         permits      task u64, step u32 -> keys, where it waits
 *   meters           limit u32, hash of the key[16] -> what is used of it
 *   waiters          limit u32, hash[16], since u64, task u64, step u32 -> a place in the queue of a key
 *   compensations    task number u64, page u32 -> steps to undo, how the task ends (while it undoes)
 *   annotations      tk_key_annotation -> name, JSON        names        number u32 -> text; name_numbers: text -> number
 *   definitions      number u32 -> definition               definition_hashes   hash[32] -> number
 *   definition_current   ns 0 name 0 version -> number      sources      hash[32] -> text
 *   processes        number u32 -> process                 consumers    name -> how far it read the log
 *   schedules        number u64 (of the same series as task numbers) -> schedule      schedule_names   text -> number
 *   breakers         number of its name u32 -> rules, state   holds        process u32, number u64 -> what a request holds
 *   secrets          name -> which key sealed it, the sealed text
 *
 * How to change a record: (1) give it the next version number in records.c (VERSION_*); (2) keep the old reader as a branch
 * on the version, translating into today's struct; writers write the new version only; (3) add the old bytes as a fixture to
 * spec/c/test_store_records.c (fixtures are printed by `build/spec/test_store_records print`), where a test reads every
 * fixture; (4) a change that old programs must not meet raises TK_STORE_PROTOCOL, one that old programs cannot read raises
 * TK_STORE_FORMAT. */
#ifndef TK_STORE_RECORDS_H
#define TK_STORE_RECORDS_H
#include "store/kv.h"

#define TK_STORE_FORMAT 1         /* what is in the file; greater than ours: a newer store */
#define TK_STORE_PROTOCOL 1       /* how processes work on it together; all must have the same */

typedef struct tk_meta_record {
  uint32_t format, protocol;
  uint64_t next_task, next_payload, next_seq, next_inbox, next_notice, generation;
  uint32_t next_process, next_definition, next_name;
  int64_t tasks_by_status[TK_TASK_STATUS_COUNT], steps_by_status[TK_STEP_STATUS_COUNT];
  tk_log_reader reader;
} tk_meta_record;

/* ---- Keys; those of name_numbers and definition_current are texts of bounded size ---- */
#define TK_KEY_MAX 80
typedef struct tk_key { uint8_t bytes[TK_KEY_MAX]; size_t size; } tk_key;
static inline tk_slice tk_key_slice(const tk_key *key) { return tk_slice_of(key->bytes, key->size); }
static inline tk_key tk_key_u32(uint32_t n) { tk_key k; tk_put_u32be(k.bytes, n); k.size = 4; return k; }
static inline tk_key tk_key_u64(uint64_t n) { tk_key k; tk_put_u64be(k.bytes, n); k.size = 8; return k; }
static inline tk_key tk_key_u64_u32(uint64_t n, uint32_t m) {
  tk_key k;
  tk_put_u64be(k.bytes, n);
  tk_put_u32be(k.bytes + 8, m);
  k.size = 12;
  return k;
}
static inline tk_key tk_key_u32_u64(uint32_t n, uint64_t m) {
  tk_key k;
  tk_put_u32be(k.bytes, n);
  tk_put_u64be(k.bytes + 4, m);
  k.size = 12;
  return k;
}
tk_key tk_key_meta(void);
tk_key tk_key_mark(const uint8_t incarnation[16]);
tk_key tk_key_claims(uint32_t process, uint64_t turn);
/* Whether it is one of the above, and then whose and of which turn. */
bool tk_key_is_claims(tk_slice key, uint32_t *process, uint64_t *turn);
tk_key tk_key_u64_u64(uint64_t n, uint64_t m);
tk_key tk_key_ready(const tk_ready *ready);
tk_key tk_key_timer(const tk_timer *timer);
/* Task number u64, the name's first 64 bytes, and a hash of the rest of a longer one. */
tk_key tk_key_annotation(uint64_t task_no, tk_slice name);

tk_key tk_key_meter(uint32_t limit, const uint8_t hash[16]);
tk_key tk_key_waiter(const tk_waiter *waiter);

/* ---- Writing: clears buf; the slice borrows buf ---- */
tk_slice tk_write_meta(tk_buf *buf, tk_slice key, const tk_meta_record *meta);
tk_slice tk_write_number(tk_buf *buf, tk_slice key,
                         uint64_t number); /* ids, marks, timers (kind), numbers of names and definitions */
tk_slice tk_write_bytes(tk_buf *buf, tk_slice key, tk_slice bytes);             /* payloads, names, sources */
/* last_log is written instead of task->last_log (which changes only once the turn is committed). */
tk_slice tk_write_task(tk_buf *buf, tk_slice key, const tk_task *task, uint64_t last_log);
tk_slice tk_write_chunk(tk_buf *buf, tk_slice key, const tk_task *task, const tk_chunk *chunk, uint32_t index);
tk_slice tk_write_info(tk_buf *buf, tk_slice key, const tk_task_info *info, const tk_id *id);   /* id: the task's */
/* The events of a task in this turn (task->log_head); previous: the task's last record before; first: the record's own
 * number. */
tk_slice tk_write_log(tk_buf *buf, tk_slice key, const tk_task *task, uint64_t first, uint64_t previous, int64_t at_us);
tk_slice tk_write_ready(tk_buf *buf, tk_slice key, int64_t ready_at_us);
tk_slice tk_write_inbox(tk_buf *buf, tk_slice key, const tk_event *event);
tk_slice tk_write_claims(tk_buf *buf, tk_slice key, const tk_claim *claims, size_t count);
tk_slice tk_write_notice(tk_buf *buf, tk_slice key, const tk_notice *notice);
tk_slice tk_write_identity(tk_buf *buf, tk_slice key, const tk_identity_row *row);
tk_slice tk_write_annotation(tk_buf *buf, tk_slice key, const tk_annotation *annotation);
tk_slice tk_write_approval(tk_buf *buf, tk_slice key, const tk_approval *approval);
tk_slice tk_write_compensation(tk_buf *buf, tk_slice key, const tk_compensation *page);
tk_slice tk_write_definition(tk_buf *buf, tk_slice key, const tk_definition *definition);
tk_slice tk_write_schedule(tk_buf *buf, tk_slice key, const tk_schedule *schedule, uint64_t last_log);   /* as tk_write_task */
tk_slice tk_write_limit(tk_buf *buf, tk_slice key, const tk_limit *limit);
tk_slice tk_write_meter(tk_buf *buf, tk_slice key, const tk_meter *meter);
tk_slice tk_write_waiter(tk_buf *buf, tk_slice key, const tk_waiter *waiter);
tk_slice tk_write_permit(tk_buf *buf, tk_slice key, const tk_permit *permit);
tk_slice tk_write_breaker(tk_buf *buf, tk_slice key, const tk_breaker *breaker);
tk_slice tk_write_hold(tk_buf *buf, tk_slice key, const tk_hold *hold);
tk_slice tk_write_process(tk_buf *buf, tk_slice key, const tk_process *process);
tk_slice tk_write_consumer(tk_buf *buf, tk_slice key, const tk_consumer *consumer);
tk_slice tk_write_secret(tk_buf *buf, tk_slice key, const tk_secret *secret);

/* ---- Reading: false when damaged; slices borrow the record ---- */
bool tk_read_meta(tk_slice key, tk_slice record, tk_meta_record *out);
bool tk_read_number(tk_slice key, tk_slice record, uint64_t *out);
bool tk_read_slice(tk_slice key, tk_slice record, tk_slice *out);             /* what tk_write_bytes wrote */
/* Header into task (no, definition ... due_kind; the rest is as it was) and the steps that were touched to the front of
 * chunk, how many into *step_count: what is behind them is the caller's to zero. chunk NULL: not wanted. What steps point to is
 * made in the arena. */
bool tk_read_task(tk_slice key, tk_slice record, tk_task *task, tk_chunk *chunk, uint32_t *step_count, tk_arena *arena);
/* The same of a chunk that the caller zeroed. */
bool tk_read_chunk(tk_slice key, tk_slice record, int64_t created_at_us, tk_chunk *chunk, tk_arena *arena);
/* id: the task's, from its header; identity may be made in the arena. */
bool tk_read_info(tk_slice key, tk_slice record, const tk_id *id, tk_arena *arena, tk_task_info *out);
typedef struct tk_log_record {
  uint64_t first, task_no, previous;
  int64_t at_us;
  uint32_t count;
  tk_reader entries;
} tk_log_record;
bool tk_read_log(tk_slice key, tk_slice record, tk_log_record *out);
/* The next event of it; false after the last one. The record was checked by tk_read_log, so a malformed entry is damage:
 * record->entries.bad. */
bool tk_read_log_entry(tk_log_record *record, uint32_t index, tk_log_event *out);
bool tk_read_ready(tk_slice key, tk_slice record, tk_ready *out);
bool tk_read_ready_key(tk_slice key, tk_ready *out);                            /* without its time */
bool tk_read_timer(tk_slice key, tk_slice record, tk_timer *out);
bool tk_read_inbox(tk_slice key, tk_slice record, tk_event *out);
typedef struct tk_claims_record { uint32_t count; tk_reader claims; } tk_claims_record;
bool tk_read_claims(tk_slice key, tk_slice record, tk_claims_record *out);
bool tk_read_claim(tk_claims_record *record, tk_claim *out);                    /* false after the last one, or .claims.bad */
bool tk_read_notice(tk_slice key, tk_slice record, tk_notice *out);
bool tk_read_identity(tk_slice key, tk_slice record, tk_identity_row *out);
bool tk_read_annotation(tk_slice key, tk_slice record, tk_annotation *out);
bool tk_read_approval(tk_slice key, tk_slice record, tk_arena *arena, tk_approval *out);   /* lists in the arena */
bool tk_read_compensation(tk_slice key, tk_slice record, tk_arena *arena, tk_compensation *out);   /* steps in the arena */
bool tk_read_definition(tk_slice key, tk_slice record, tk_definition *out);
bool tk_read_schedule(tk_slice key, tk_slice record, tk_arena *arena, tk_schedule *out);   /* its texts are copied */
bool tk_read_limit(tk_slice key, tk_slice record, tk_limit *out);               /* without its name */
bool tk_read_meter(tk_slice key, tk_slice record, tk_meter *out);               /* without its limit */
bool tk_read_waiter(tk_slice key, tk_slice record, tk_waiter *out);             /* without its meter */
/* Entries in the arena; their keys borrow the record. */
bool tk_read_permit(tk_slice key, tk_slice record, tk_arena *arena, tk_permit *out);
bool tk_read_breaker(tk_slice key, tk_slice record, tk_breaker *out);           /* without its name */
bool tk_read_hold(tk_slice key, tk_slice record, tk_arena *arena, tk_hold *out);   /* entries in the arena; their keys borrow the record */
bool tk_read_process(tk_slice key, tk_slice record, tk_process *out);
bool tk_read_consumer(tk_slice key, tk_slice record, tk_consumer *out);
bool tk_read_secret(tk_slice key, tk_slice record, tk_secret *out);

#endif
