#include "model/approval.h"

static const char *const decision_names[TK_DECISION_COUNT] = {
    [TK_DECISION_APPROVE] = "approve", [TK_DECISION_REJECT] = "reject", [TK_DECISION_CHANGES] = "changes",
    [TK_DECISION_DELEGATE] = "delegate"};

const char *tk_decision_name(uint8_t decision) { return decision < TK_DECISION_COUNT ? decision_names[decision] : NULL; }

static tk_approver *read_group(tk_reader *r, tk_arena *arena, uint32_t *count) {
  uint64_t size = tk_read_varint(r);
  *count = 0;
  if (size > tk_reader_left(r)) {
    r->bad = true;
    return NULL;
  }
  tk_approver *list = TK_ARENA_ARRAY(arena, tk_approver, size + 1);
  for (uint64_t i = 0; i < size && !r->bad; i++) {
    list[i].veto = tk_read_u8(r) != 0;
    list[i].name = tk_arena_copy(arena, tk_read_bytes(r));
  }
  *count = (uint32_t)size;
  return list;
}

bool tk_approval_open(tk_slice plan, int64_t now_us, tk_arena *arena, tk_approval *out) {
  tk_reader r = tk_reader_of(plan);
  out->required = (uint32_t)tk_read_varint(&r);
  tk_slice shown = tk_read_bytes(&r);
  out->excluded = tk_arena_copy(arena, tk_read_bytes(&r));
  out->approvers = read_group(&r, arena, &out->approver_count);
  uint64_t groups = tk_read_varint(&r);
  if (r.bad || groups > tk_reader_left(&r) || shown.size != TK_SHOWN_SIZE) return false;
  memcpy(out->shown, shown.data, TK_SHOWN_SIZE);
  out->escalations = TK_ARENA_ARRAY(arena, tk_escalation, groups + 1);
  out->escalation_count = (uint32_t)groups;
  for (uint64_t i = 0; i < groups && !r.bad; i++) {
    out->escalations[i].due_us = now_us + (int64_t)tk_read_varint(&r);
    out->escalations[i].approvers = read_group(&r, arena, &out->escalations[i].count);
  }
  out->opened_at_us = now_us;
  out->round = 1;
  return !r.bad && !tk_reader_left(&r) && out->required >= 1 && out->required <= out->approver_count;
}

tk_approver *tk_approval_find(const tk_approval *approval, tk_slice name) {
  for (uint32_t i = 0; i < approval->approver_count; i++)
    if (tk_slice_eq(approval->approvers[i].name, name)) return &approval->approvers[i];
  return NULL;
}

void tk_approval_derive(tk_approval *approval) {
  for (uint32_t i = 0; i < approval->vote_count; i++) {
    tk_approver *by = tk_approval_find(approval, approval->votes[i].by);
    if (by) by->decision = approval->votes[i].decision;
  }
}

void tk_approval_add_vote(tk_approval *approval, tk_arena *arena, const tk_vote *vote) {
  tk_vote *grown = TK_ARENA_ARRAY(arena, tk_vote, approval->vote_count + 1);
  if (approval->vote_count) memcpy(grown, approval->votes, approval->vote_count * sizeof *grown);
  grown[approval->vote_count] = *vote;
  approval->votes = grown;
  approval->vote_count++;
  tk_approval_find(approval, vote->by)->decision = vote->decision;
}

void tk_approval_add_approvers(tk_approval *approval, tk_arena *arena, const tk_approver *list, uint32_t count) {
  tk_approver *grown = TK_ARENA_ARRAY(arena, tk_approver, approval->approver_count + count);
  if (approval->approver_count) memcpy(grown, approval->approvers, approval->approver_count * sizeof *grown);
  approval->approvers = grown;
  for (uint32_t i = 0; i < count; i++)
    if (!tk_approval_find(approval, list[i].name)) grown[approval->approver_count++] = list[i];
}

uint32_t tk_approval_count(const tk_approval *approval, uint8_t decision) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < approval->approver_count; i++) count += approval->approvers[i].decision == decision;
  return count;
}

int64_t tk_approval_next_us(const tk_approval *approval) {
  int64_t next_us = approval->deadline_us;
  if (approval->escalation_count && (!next_us || approval->escalations[0].due_us < next_us)) next_us = approval->escalations[0].due_us;
  return next_us;
}

/* What came with the vote stands in the JSON object `details`: its members go between the others. */
static void put_vote(const tk_vote *vote, tk_json_writer *w) {
  tk_json_object(w);
  tk_json_key(w, "by");
  tk_json_put_str(w, vote->by);
  tk_json_key(w, "decision");
  tk_json_put_cstr(w, tk_decision_name(vote->decision));
  if (vote->to.size) {
    tk_json_key(w, "to");
    tk_json_put_str(w, vote->to);
  }
  if (vote->details.size > 2) tk_json_put_raw(w, tk_slice_of(vote->details.data + 1, vote->details.size - 2));
  tk_json_key(w, "at");
  tk_json_put_time(w, vote->at_us);
  tk_json_object_end(w);
}

void tk_approval_put_votes(const tk_approval *approval, tk_json_writer *w) {
  tk_json_array(w);
  for (uint32_t i = 0; i < approval->vote_count; i++) put_vote(&approval->votes[i], w);
  tk_json_array_end(w);
}
