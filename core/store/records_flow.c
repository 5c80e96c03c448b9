/* Records of what flows: the log, ready work, timers, the inbox, claims, notices. */
#include "store/codec.h"

#define VERSION_LOG 1
#define VERSION_READY 1
#define VERSION_INBOX 2           /* 1 had no child */
#define VERSION_CLAIMS 1
#define VERSION_NOTICE 1

#define LOG_ROOM 64               /* of a log record's head */
#define LOG_ENTRY_ROOM 48         /* of an entry but its data */
#define READY_ROOM 16
#define CLAIM_ROOM 20

enum { ENTRY_STEP = 1, ENTRY_ATTEMPT = 2, ENTRY_PAYLOAD = 4, ENTRY_DATA = 8 };
#define ENTRY_MASK_END 16

tk_slice tk_write_log(tk_buf *buf, tk_slice key, const tk_task *task, uint64_t first, uint64_t previous, int64_t at_us) {
  size_t room = LOG_ROOM;
  for (const tk_log_entry *e = task->log_head; e; e = e->next) room += LOG_ENTRY_ROOM + e->data.size;
  uint8_t *at = tk_frame_begin(buf, VERSION_LOG, room);
  at = tk_enc(at, task->no);
  at = tk_enc(at, previous ? first - previous : 0);
  at = tk_enc_difference(at, at_us, 0);
  at = tk_enc(at, task->log_count);
  for (const tk_log_entry *e = task->log_head; e; e = e->next) {
    unsigned mask = (e->step != TK_NO_STEP ? ENTRY_STEP : 0) | (e->attempt ? ENTRY_ATTEMPT : 0) |
                    (e->payload ? ENTRY_PAYLOAD : 0) | (e->data.size ? ENTRY_DATA : 0);
    *at++ = e->kind;
    *at++ = (uint8_t)mask;
    if (mask & ENTRY_STEP) at = tk_enc(at, e->step);
    if (mask & ENTRY_ATTEMPT) at = tk_enc(at, e->attempt);
    if (mask & ENTRY_PAYLOAD) at = tk_enc(at, e->payload);
    if (mask & ENTRY_DATA) {
      at = tk_enc(at, e->data.size);
      memcpy(at, e->data.data, e->data.size);
      at += e->data.size;
    }
  }
  return tk_frame_end_at(buf, key, at);
}

bool tk_read_log(tk_slice key, tk_slice record, tk_log_record *out) {
  memset(out, 0, sizeof *out);
  tk_reader r;
  if (key.size != 8 || !tk_frame_open(key, record, VERSION_LOG, &r)) return false;
  out->first = tk_get_u64be(key.data);
  out->task_no = tk_dec(&r);
  uint64_t back = tk_dec(&r);
  out->previous = back ? out->first - back : 0;
  out->at_us = tk_dec_difference(&r, 0);
  out->count = tk_dec_u32(&r);
  out->entries = r;
  return !r.bad && back <= out->first && out->count > 0;
}

bool tk_read_log_entry(tk_log_record *record, uint32_t index, tk_log_event *out) {
  tk_reader *r = &record->entries;
  if (index == record->count) r->bad |= r->at != r->end;
  if (index >= record->count || r->bad) return false;
  *out = (tk_log_event){.seq = record->first + index, .record = record->first,
                        .at_us = record->at_us, .task_no = record->task_no, .step = TK_NO_STEP};
  out->kind = tk_read_u8(r);
  uint8_t mask = tk_read_u8(r);
  if (mask >= ENTRY_MASK_END || out->kind == 0 || out->kind >= TK_LOG_KIND_COUNT) r->bad = true;
  if (mask & ENTRY_STEP) out->step = tk_dec_u32(r);
  if (mask & ENTRY_ATTEMPT) out->attempt = tk_dec_u32(r);
  if (mask & ENTRY_PAYLOAD) out->payload = tk_dec(r);
  if (mask & ENTRY_DATA) out->data = tk_read_bytes(r);
  return !r->bad;
}

tk_slice tk_write_ready(tk_buf *buf, tk_slice key, int64_t ready_at_us) {
  uint8_t *at = tk_frame_begin(buf, VERSION_READY, READY_ROOM);
  return tk_frame_end_at(buf, key, tk_enc_difference(at, ready_at_us, 0));
}

bool tk_read_ready(tk_slice key, tk_slice record, tk_ready *out) {
  tk_reader r;
  if (!tk_read_ready_key(key, out) || !tk_frame_open(key, record, VERSION_READY, &r)) return false;
  out->ready_at_us = tk_dec_difference(&r, 0);
  return tk_frame_done(&r);
}

bool tk_read_timer(tk_slice key, tk_slice record, tk_timer *out) {
  uint64_t kind = 0;
  if (key.size != 20 || !tk_read_number(key, record, &kind) || kind > UINT8_MAX) return false;
  *out = (tk_timer){.due_us = (int64_t)tk_get_u64be(key.data), .task_no = tk_get_u64be(key.data + 8),
                    .step = tk_get_u32be(key.data + 16), .kind = (uint8_t)kind};
  return true;
}

/* Events of the inbox are from the engine to a task: a SUBMIT has no place there (its submission is memory). */
tk_slice tk_write_inbox(tk_buf *buf, tk_slice key, const tk_event *event) {
  TK_ASSERT(!event->submission && !event->vote && !event->schedule && !event->failure.size && event->task_no);
  tk_frame_begin(buf, VERSION_INBOX, 0);
  tk_buf_u8(buf, event->type);
  tk_buf_u8(buf, event->timer_kind);
  tk_buf_u8(buf, event->sweep);
  tk_buf_u8(buf, event->retryable);
  tk_buf_varint(buf, event->task_no);
  tk_buf_varint(buf, event->step);
  tk_buf_varint(buf, event->attempt);
  tk_buf_varint(buf, event->cursor);
  tk_buf_u8(buf, event->end);
  tk_buf_varint(buf, event->branch);
  tk_buf_svarint(buf, event->delay_us);
  tk_buf_svarint(buf, event->due_us);
  tk_buf_bytes(buf, event->step_name);
  tk_buf_bytes(buf, event->name);
  tk_buf_bytes(buf, event->data);
  tk_buf_bytes(buf, event->audit);
  tk_buf_varint(buf, event->child);
  return tk_frame_end(buf, key);
}

bool tk_read_inbox(tk_slice key, tk_slice record, tk_event *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  uint8_t version = key.size == 8 ? tk_frame_open(key, record, VERSION_INBOX, &r) : 0;
  if (!version) return false;
  out->type = tk_read_u8(&r);
  if (out->type == TK_EV_NONE || out->type >= TK_EV_TYPE_COUNT || out->type == TK_EV_SUBMIT) r.bad = true;
  out->timer_kind = tk_read_u8(&r);
  out->sweep = tk_read_u8(&r);
  out->retryable = tk_dec_below(&r, 2);
  out->task_no = tk_dec(&r);
  out->step = tk_dec_u32(&r);
  out->attempt = tk_dec_u32(&r);
  out->cursor = tk_dec_u32(&r);
  out->end = tk_dec_below(&r, (TK_DEP_RECOVERED | TK_DEP_FAILED) + 1);
  out->branch = tk_dec_u32(&r);
  out->delay_us = tk_read_svarint(&r);
  out->due_us = tk_read_svarint(&r);
  out->step_name = tk_read_bytes(&r);
  out->name = tk_read_bytes(&r);
  out->data = tk_read_bytes(&r);
  out->audit = tk_read_bytes(&r);
  if (version >= 2) out->child = tk_dec(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_claims(tk_buf *buf, tk_slice key, const tk_claim *claims, size_t count) {
  uint8_t *at = tk_frame_begin(buf, VERSION_CLAIMS, CLAIM_ROOM * (count + 1));
  at = tk_enc(at, count);
  for (size_t i = 0; i < count; i++) {
    at = tk_enc(at, claims[i].task_no);
    at = tk_enc(at, claims[i].step);
    at = tk_enc(at, claims[i].attempt);
  }
  return tk_frame_end_at(buf, key, at);
}

bool tk_read_claims(tk_slice key, tk_slice record, tk_claims_record *out) {
  memset(out, 0, sizeof *out);
  if (!tk_frame_open(key, record, VERSION_CLAIMS, &out->claims)) return false;
  out->count = tk_dec_u32(&out->claims);
  return !out->claims.bad;
}

bool tk_read_claim(tk_claims_record *record, tk_claim *out) {
  tk_reader *r = &record->claims;
  if (record->count == 0) r->bad |= r->at != r->end;
  if (record->count == 0 || r->bad) return false;
  record->count--;
  *out = (tk_claim){.task_no = tk_dec(r), .step = 0, .attempt = 0};
  out->step = tk_dec_u32(r);
  out->attempt = tk_dec_u32(r);
  return !r->bad;
}

tk_slice tk_write_notice(tk_buf *buf, tk_slice key, const tk_notice *notice) {
  tk_frame_begin(buf, VERSION_NOTICE, 0);
  tk_buf_varint(buf, notice->task_no);
  tk_buf_varint(buf, notice->step);
  tk_buf_varint(buf, notice->attempt);
  return tk_frame_end(buf, key);
}

bool tk_read_notice(tk_slice key, tk_slice record, tk_notice *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 12 || !tk_frame_open(key, record, VERSION_NOTICE, &r)) return false;
  out->process = tk_get_u32be(key.data);
  out->task_no = tk_dec(&r);
  out->step = tk_dec_u32(&r);
  out->attempt = tk_dec_u32(&r);
  return tk_frame_done(&r);
}
