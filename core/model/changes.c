#include "model/changes.h"

static const char *const log_names[TK_LOG_KIND_COUNT] = {
    [TK_LOG_TASK_CREATED] = "task.created",     [TK_LOG_TASK_STARTED] = "task.started",
    [TK_LOG_TASK_COMPLETED] = "task.completed", [TK_LOG_TASK_FAILED] = "task.failed",
    [TK_LOG_TASK_CANCELLED] = "task.cancelled", [TK_LOG_TASK_PAUSED] = "task.paused",
    [TK_LOG_TASK_RESUMED] = "task.resumed",     [TK_LOG_TASK_RETRIED] = "task.retried",
    [TK_LOG_TASK_RESOLVED] = "task.resolved_manually",
    [TK_LOG_STEP_STARTED] = "step.started",     [TK_LOG_STEP_COMPLETED] = "step.completed",
    [TK_LOG_STEP_FAILED] = "step.failed",       [TK_LOG_STEP_RETRY_SCHEDULED] = "step.retry_scheduled",
    [TK_LOG_STEP_WAITING] = "step.waiting",     [TK_LOG_STEP_SKIPPED] = "step.skipped",
    [TK_LOG_STEP_CANCELLED] = "step.cancelled", [TK_LOG_STEP_RESOLVED] = "step.resolved_manually",
    [TK_LOG_STEP_LOGGED] = "step.logged",       [TK_LOG_TASK_ANNOTATED] = "task.annotated",
    [TK_LOG_STEP_RELEASED] = "step.released",   [TK_LOG_TASK_SIGNALLED] = "task.signalled",
    [TK_LOG_STEP_APPROVAL_DECIDED] = "step.approval_decided",
    [TK_LOG_STEP_APPROVAL_ESCALATED] = "step.approval_escalated",
    [TK_LOG_TASK_MIGRATED] = "task.migrated",
    [TK_LOG_SCHEDULE_CREATED] = "schedule.created", [TK_LOG_SCHEDULE_UPDATED] = "schedule.updated",
    [TK_LOG_SCHEDULE_PAUSED] = "schedule.paused",   [TK_LOG_SCHEDULE_RESUMED] = "schedule.resumed",
    [TK_LOG_SCHEDULE_DELETED] = "schedule.deleted", [TK_LOG_SCHEDULE_SKIPPED] = "schedule.skipped",
    [TK_LOG_SCHEDULE_BACKFILLED] = "schedule.backfilled",
    [TK_LOG_STEP_COMPENSATED] = "step.compensated",
    [TK_LOG_STEP_COMPENSATION_FAILED] = "step.compensation_failed",
    [TK_LOG_CONNECTION_PARKED] = "connection.parked",
};

const char *tk_log_kind_name(uint8_t kind) { return kind < TK_LOG_KIND_COUNT ? log_names[kind] : NULL; }

void *tk_list_grow(tk_arena *arena, void *items, size_t item_size, size_t *capacity) {
  size_t old = *capacity, grown = old ? old * 2 : 16;
  void *copy = tk_arena_alloc(arena, grown * item_size);
  if (old) memcpy(copy, items, old * item_size);
  *capacity = grown;
  return copy;
}

uint64_t tk_changes_payload(tk_changes *changes, tk_slice bytes) {
  if (tk_slice_eq(bytes, tk_slice_str("null"))) return TK_PAYLOAD_NULL;
  tk_payload payload = {changes->next_payload++, bytes};
  tk_list_push(changes->arena, &changes->payloads, payload);
  return payload.no;
}
