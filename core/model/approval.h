/* An approval as a value: who may decide, who did, and what comes when nobody does. One row of the store while a step waits for
 * it; loaded only by votes and by its own timer. Slices are borrowed until the turn (or the snapshot) ends. Pure data. */
#ifndef TK_MODEL_APPROVAL_H
#define TK_MODEL_APPROVAL_H
#include "base/arena.h"
#include "base/json.h"

typedef enum tk_decision {        /* stored */
  TK_DECISION_NONE = 0,
  TK_DECISION_APPROVE,
  TK_DECISION_REJECT,
  TK_DECISION_CHANGES,            /* a request for changes: ends the approval as a rejection does, with a code of its own */
  TK_DECISION_DELEGATE,           /* passes the right to decide on to `to` */
  TK_DECISION_COUNT
} tk_decision;

#define TK_SHOWN_SIZE 32          /* SHA-256 of what the approvers were shown */

typedef struct tk_approver {
  tk_slice name;
  bool veto;                      /* its rejection is the end, whatever the others say */
  uint8_t decision;               /* tk_decision; derived from the votes when read */
} tk_approver;

typedef struct tk_vote {
  uint8_t decision;
  tk_slice by, to;                /* to: of a delegation */
  tk_slice details;               /* a JSON object with comment and form */
  int64_t at_us;
  /* Of the event only. */
  tk_slice shown;                 /* what the voter saw must still be what is asked; empty: not checked */
} tk_vote;

/* Approvers that are added when nobody has decided by then. */
typedef struct tk_escalation {
  int64_t due_us;
  const tk_approver *approvers;
  uint32_t count;
} tk_escalation;

typedef struct tk_approval tk_approval;
struct tk_approval {
  uint64_t task_no;
  uint32_t step;
  uint32_t required;              /* approvals that complete it */
  uint32_t round;                 /* 1 at the start, and one more with each escalation */
  uint8_t shown[TK_SHOWN_SIZE];
  tk_slice excluded;              /* who started the task, where nobody may approve their own; empty: nobody */
  int64_t opened_at_us, deadline_us;   /* deadline 0: none */
  tk_approver *approvers;
  uint32_t approver_count;
  tk_vote *votes;                 /* in order */
  uint32_t vote_count;
  tk_escalation *escalations;     /* those to come, by time */
  uint32_t escalation_count;
  uint32_t *notifications;        /* indexes of the instances that tell people, the first round's in front */
  uint32_t notification_count;
  tk_approval *next;              /* not stored: of the same task, in this turn */
};

/* Decodes what the step's code answered before the approval opens (lua/tasker/approval.lua packs it): required, shown, excluded,
 * groups of approvers with their delays. False when malformed. */
bool tk_approval_open(tk_slice plan, int64_t now_us, tk_arena *arena, tk_approval *out);
/* Gives the approvers what they voted; after reading. */
void tk_approval_derive(tk_approval *approval);
tk_approver *tk_approval_find(const tk_approval *approval, tk_slice name);
/* A new vote or approver, in the arena. */
void tk_approval_add_vote(tk_approval *approval, tk_arena *arena, const tk_vote *vote);
void tk_approval_add_approvers(tk_approval *approval, tk_arena *arena, const tk_approver *list, uint32_t count);
uint32_t tk_approval_count(const tk_approval *approval, uint8_t decision);
/* The first of its times that is to come: an escalation or the deadline; 0: none. */
int64_t tk_approval_next_us(const tk_approval *approval);
/* `[{by, decision, comment, form, at}]`. */
void tk_approval_put_votes(const tk_approval *approval, tk_json_writer *w);
const char *tk_decision_name(uint8_t decision);   /* "approve" ...; NULL out of range */

#endif
