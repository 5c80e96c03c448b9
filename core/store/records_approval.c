/* The record of an approval. The votes say what each approver decided, so only they are stored. */
#include "store/codec.h"

#define VERSION_APPROVAL 2        /* 1 had no notifications */

static void put_approvers(tk_buf *buf, const tk_approver *list, uint32_t count) {
  tk_buf_varint(buf, count);
  for (uint32_t i = 0; i < count; i++) {
    tk_buf_u8(buf, list[i].veto);
    tk_buf_bytes(buf, list[i].name);
  }
}

tk_slice tk_write_approval(tk_buf *buf, tk_slice key, const tk_approval *a) {
  tk_frame_begin(buf, VERSION_APPROVAL, 0);
  tk_buf_varint(buf, a->required);
  tk_buf_varint(buf, a->round);
  tk_buf_append(buf, a->shown, sizeof a->shown);
  tk_buf_bytes(buf, a->excluded);
  tk_buf_svarint(buf, a->opened_at_us);
  tk_buf_svarint(buf, a->deadline_us);
  put_approvers(buf, a->approvers, a->approver_count);
  tk_buf_varint(buf, a->vote_count);
  for (uint32_t i = 0; i < a->vote_count; i++) {
    tk_buf_u8(buf, a->votes[i].decision);
    tk_buf_svarint(buf, a->votes[i].at_us);
    tk_buf_bytes(buf, a->votes[i].by);
    tk_buf_bytes(buf, a->votes[i].to);
    tk_buf_bytes(buf, a->votes[i].details);
  }
  tk_buf_varint(buf, a->escalation_count);
  for (uint32_t i = 0; i < a->escalation_count; i++) {
    tk_buf_svarint(buf, a->escalations[i].due_us);
    put_approvers(buf, a->escalations[i].approvers, a->escalations[i].count);
  }
  tk_buf_varint(buf, a->notification_count);
  for (uint32_t i = 0; i < a->notification_count; i++) tk_buf_varint(buf, a->notifications[i]);
  return tk_frame_end(buf, key);
}

/* A count of things that take at least a byte each; more than what is left is damage. */
static uint32_t get_count(tk_reader *r) {
  uint32_t count = tk_dec_u32(r);
  if (count > tk_reader_left(r)) r->bad = true;
  return r->bad ? 0 : count;
}

static tk_approver *get_approvers(tk_reader *r, tk_arena *arena, uint32_t *count) {
  *count = get_count(r);
  tk_approver *list = TK_ARENA_ARRAY(arena, tk_approver, *count + 1);
  for (uint32_t i = 0; i < *count; i++) {
    list[i].veto = tk_dec_below(r, 2);
    list[i].name = tk_read_bytes(r);
  }
  return list;
}

static void get_votes(tk_reader *r, tk_arena *arena, tk_approval *out) {
  out->vote_count = get_count(r);
  out->votes = TK_ARENA_ARRAY(arena, tk_vote, out->vote_count + 1);
  for (uint32_t i = 0; i < out->vote_count; i++) {
    out->votes[i].decision = tk_dec_below(r, TK_DECISION_COUNT);
    out->votes[i].at_us = tk_read_svarint(r);
    out->votes[i].by = tk_read_bytes(r);
    out->votes[i].to = tk_read_bytes(r);
    out->votes[i].details = tk_read_bytes(r);
  }
}

static void get_notifications(tk_reader *r, tk_arena *arena, tk_approval *out) {
  out->notification_count = get_count(r);
  out->notifications = TK_ARENA_ARRAY(arena, uint32_t, out->notification_count + 1);
  for (uint32_t i = 0; i < out->notification_count; i++) out->notifications[i] = tk_dec_u32(r);
}

bool tk_read_approval(tk_slice key, tk_slice record, tk_arena *arena, tk_approval *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  uint8_t version = key.size == 12 ? tk_frame_open(key, record, VERSION_APPROVAL, &r) : 0;
  if (!version) return false;
  out->task_no = tk_get_u64be(key.data);
  out->step = tk_get_u32be(key.data + 8);
  out->required = tk_dec_u32(&r);
  out->round = tk_dec_u32(&r);
  if (tk_reader_left(&r) < sizeof out->shown) return false;
  memcpy(out->shown, r.at, sizeof out->shown);
  r.at += sizeof out->shown;
  out->excluded = tk_read_bytes(&r);
  out->opened_at_us = tk_read_svarint(&r);
  out->deadline_us = tk_read_svarint(&r);
  out->approvers = get_approvers(&r, arena, &out->approver_count);
  get_votes(&r, arena, out);
  out->escalation_count = get_count(&r);
  out->escalations = TK_ARENA_ARRAY(arena, tk_escalation, out->escalation_count + 1);
  for (uint32_t i = 0; i < out->escalation_count; i++) {
    out->escalations[i].due_us = tk_read_svarint(&r);
    out->escalations[i].approvers = get_approvers(&r, arena, &out->escalations[i].count);
  }
  if (version >= 2) get_notifications(&r, arena, out);
  tk_approval_derive(out);
  return tk_frame_done(&r);
}
