#include "model/states.h"

#include <string.h>

static const char *const task_names[] = {"pending", "in_progress", "complete", "error", "cancelled", "resolved_manually", "paused"};
static const char *const step_names[] = {"pending", "ready", "in_progress", "waiting", "complete", "error", "cancelled", "skipped",
                                         "resolved_manually"};
static const char *const wait_names[] = {NULL, "retry", "timer", "signal", "approval", "child", "rate_limit", "person"};

const tk_transition tk_task_transitions[] = {
    {TK_TASK_PENDING, TK_TASK_IN_PROGRESS, "its first step starts, or begins to wait"},
    {TK_TASK_PENDING, TK_TASK_COMPLETE, "every step was skipped or resolved before one started"},
    {TK_TASK_PENDING, TK_TASK_ERROR, "nothing can move any more before one started"},
    {TK_TASK_PENDING, TK_TASK_CANCELLED, "cancel"},
    {TK_TASK_PENDING, TK_TASK_PAUSED, "pause"},
    {TK_TASK_IN_PROGRESS, TK_TASK_COMPLETE, "every step is done"},
    {TK_TASK_IN_PROGRESS, TK_TASK_ERROR, "nothing can move any more and a step failed, or its timeout"},
    {TK_TASK_IN_PROGRESS, TK_TASK_CANCELLED, "cancel"},
    {TK_TASK_IN_PROGRESS, TK_TASK_PAUSED, "pause"},
    {TK_TASK_PAUSED, TK_TASK_PENDING, "resume, before one started"},
    {TK_TASK_PAUSED, TK_TASK_IN_PROGRESS, "resume"},
    {TK_TASK_PAUSED, TK_TASK_ERROR, "its timeout"},
    {TK_TASK_PAUSED, TK_TASK_CANCELLED, "cancel"},
    {TK_TASK_ERROR, TK_TASK_PENDING, "retry or resolve of a step, before one started"},
    {TK_TASK_ERROR, TK_TASK_IN_PROGRESS, "retry, or retry or resolve of a step"},
    {TK_TASK_ERROR, TK_TASK_CANCELLED, "cancel"},
    {TK_TASK_ERROR, TK_TASK_RESOLVED, "resolve"},
};
const size_t tk_task_transition_count = sizeof tk_task_transitions / sizeof *tk_task_transitions;

const tk_transition tk_step_transitions[] = {
    {TK_STEP_PENDING, TK_STEP_READY, "its dependencies are done"},
    {TK_STEP_PENDING, TK_STEP_SKIPPED, "its branch is not taken, or it is bypassed"},
    {TK_STEP_PENDING, TK_STEP_CANCELLED, "cancel"},
    {TK_STEP_PENDING, TK_STEP_RESOLVED, "resolve"},
    {TK_STEP_READY, TK_STEP_IN_PROGRESS, "a worker starts an attempt, or the list of its elements is known"},
    {TK_STEP_READY, TK_STEP_WAITING, "it sleeps, or waits for a signal, for people, for its child or for its limits"},
    {TK_STEP_READY, TK_STEP_COMPLETE, "the switch named a branch, its signal came before, or its list is empty"},
    {TK_STEP_READY, TK_STEP_SKIPPED, "its condition says no"},
    {TK_STEP_READY, TK_STEP_PENDING, "its task moves to a version in which it has to wait"},
    {TK_STEP_READY, TK_STEP_ERROR, "a value it needs before it starts could not be had"},
    {TK_STEP_READY, TK_STEP_CANCELLED, "cancel"},
    {TK_STEP_READY, TK_STEP_RESOLVED, "resolve"},
    {TK_STEP_IN_PROGRESS, TK_STEP_COMPLETE, "the attempt returned results, or its elements are done"},
    {TK_STEP_IN_PROGRESS, TK_STEP_WAITING, "the attempt failed and is retried later or parked, or it snoozed"},
    {TK_STEP_IN_PROGRESS, TK_STEP_READY, "the attempt was lost, given back, or is retried at once"},
    {TK_STEP_IN_PROGRESS, TK_STEP_ERROR, "the last attempt failed, or too many of its elements"},
    {TK_STEP_IN_PROGRESS, TK_STEP_SKIPPED, "its failure was decided to be skipped, or its state's time was over"},
    {TK_STEP_IN_PROGRESS, TK_STEP_CANCELLED, "cancel"},
    {TK_STEP_WAITING, TK_STEP_READY, "what it waits for came"},
    {TK_STEP_WAITING, TK_STEP_COMPLETE, "its time or its signal came, people decided, or its child ended"},
    {TK_STEP_WAITING, TK_STEP_ERROR, "its signal, a decision or its child's end did not come in time, people said no, or its child failed"},
    {TK_STEP_WAITING, TK_STEP_PENDING, "its task moves to a version in which it has to wait for others and another signal"},
    {TK_STEP_WAITING, TK_STEP_SKIPPED, "its state was left by another way"},
    {TK_STEP_WAITING, TK_STEP_CANCELLED, "cancel"},
    {TK_STEP_WAITING, TK_STEP_RESOLVED, "resolve"},
    {TK_STEP_ERROR, TK_STEP_READY, "retry"},
    {TK_STEP_ERROR, TK_STEP_RESOLVED, "resolve"},
    {TK_STEP_CANCELLED, TK_STEP_PENDING, "retry of its task"},
};
const size_t tk_step_transition_count = sizeof tk_step_transitions / sizeof *tk_step_transitions;

const char *tk_task_status_name(uint8_t status) { return status < TK_TASK_STATUS_COUNT ? task_names[status] : NULL; }
const char *tk_step_status_name(uint8_t status) { return status < TK_STEP_STATUS_COUNT ? step_names[status] : NULL; }
const char *tk_waiting_for_name(uint8_t waiting_for) { return waiting_for < TK_WAIT_COUNT ? wait_names[waiting_for] : NULL; }

int tk_task_status_parse(const char *text, size_t size) {
  for (int i = 0; i < TK_TASK_STATUS_COUNT; i++)
    if (strlen(task_names[i]) == size && memcmp(task_names[i], text, size) == 0) return i;
  return -1;
}

static bool may(const tk_transition *rows, size_t count, uint8_t from, uint8_t to) {
  for (size_t i = 0; i < count; i++)
    if (rows[i].from == from && rows[i].to == to) return true;
  return false;
}
bool tk_task_may(uint8_t from, uint8_t to) { return may(tk_task_transitions, tk_task_transition_count, from, to); }
bool tk_step_may(uint8_t from, uint8_t to) { return may(tk_step_transitions, tk_step_transition_count, from, to); }
