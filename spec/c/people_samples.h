/* Samples of approvals and compensations for test_store_records.c, and whether they read back. */
#ifndef TK_SPEC_PEOPLE_SAMPLES_H
#define TK_SPEC_PEOPLE_SAMPLES_H

static uint32_t sample_undone[] = {300, 4, 5};

static tk_compensation sample_compensation(void) {
  return (tk_compensation){.task_no = 77, .page = 2, .steps = sample_undone, .count = 3, .error = 99, .audit = text("{\"by\":\"ann\"}")};
}

static bool compensation_reads_back(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_compensation c, e = sample_compensation();
  bool same = tk_read_compensation(key, record, &arena, &c) && c.task_no == 77 && c.page == 2 && c.count == 3 && c.error == 99 &&
              tk_slice_eq(c.audit, e.audit) && memcmp(c.steps, sample_undone, sizeof sample_undone) == 0;
  tk_arena_free(&arena);
  return same;
}

static tk_approver sample_approvers[] = {{{"ann", 3}, true, TK_DECISION_APPROVE}, {{"bob", 3}, false, TK_DECISION_NONE}};
static tk_vote sample_votes[] = {{.decision = TK_DECISION_APPROVE, .by = {"ann", 3}, .details = {"{\"a\":1}", 7}, .at_us = EPOCH_US + 5},
                                 {.decision = TK_DECISION_DELEGATE, .by = {"eve", 3}, .to = {"bob", 3}, .at_us = EPOCH_US + 6}};
static tk_escalation sample_escalations[] = {{EPOCH_US + 60, sample_approvers, 2}};

static uint32_t sample_notifications[] = {5, 300};

static tk_approval sample_approval(void) {
  tk_approval a = {.task_no = 77, .step = 2, .required = 2, .round = 3, .excluded = {"eve", 3}, .opened_at_us = EPOCH_US,
                   .deadline_us = EPOCH_US + 100, .approvers = sample_approvers, .approver_count = 2, .votes = sample_votes,
                   .vote_count = 2, .escalations = sample_escalations, .escalation_count = 1,
                   .notifications = sample_notifications, .notification_count = 2};
  memset(a.shown, 0x5A, sizeof a.shown);
  return a;
}

static bool approval_reads_back(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_approval a, e = sample_approval();
  bool same = tk_read_approval(key, record, &arena, &a) && a.task_no == 77 && a.step == 2 && a.required == e.required &&
              a.round == e.round && memcmp(a.shown, e.shown, sizeof a.shown) == 0 && tk_slice_eq(a.excluded, e.excluded) &&
              a.opened_at_us == e.opened_at_us && a.deadline_us == e.deadline_us && a.approver_count == 2 && a.vote_count == 2 &&
              a.escalation_count == 1;
  for (int i = 0; same && i < 2; i++)
    same = tk_slice_eq(a.approvers[i].name, sample_approvers[i].name) && a.approvers[i].veto == sample_approvers[i].veto &&
           a.approvers[i].decision == sample_approvers[i].decision && a.votes[i].decision == sample_votes[i].decision &&
           tk_slice_eq(a.votes[i].by, sample_votes[i].by) && tk_slice_eq(a.votes[i].to, sample_votes[i].to) &&
           tk_slice_eq(a.votes[i].details, sample_votes[i].details) && a.votes[i].at_us == sample_votes[i].at_us;
  same = same && a.escalations[0].due_us == EPOCH_US + 60 && a.escalations[0].count == 2 &&
         tk_slice_eq(a.escalations[0].approvers[1].name, sample_approvers[1].name);
  bool knew_none = record.data[0] == 1;   /* its version */
  same = same && a.notification_count == (knew_none ? 0 : 2) && (knew_none || a.notifications[1] == 300);
  tk_arena_free(&arena);
  return same;
}

#endif
