/* What a child and its parent need of each other's records: so that decide, which touches one task, reads none of them. */
#include "base/json.h"
#include "base/json_scan.h"
#include "store/parts.h"

#define MESSAGE_MAX 4096          /* of a child's error, in the message that its parent keeps */
#define CAUSE_MAX (TK_LIMIT_ERROR / 2)   /* of the whole error, in the details */

/* ---- A child to be ---- */

/* Who asked, by which system and why is the same in the whole tree; tags and annotations are of one task. */
static int inherit(tk_store *store, const tk_task *parent, tk_task_info *info, tk_err *err) {
  tk_key key = tk_key_u64(parent->no);
  tk_slice record;
  tk_task_info theirs;
  int rc = tk_kv_get(store->txn, TK_TABLE_INFO, tk_key_slice(&key), &record, err);
  if (rc < 0) return rc;
  if (rc || !tk_read_info(tk_key_slice(&key), record, &parent->id, store->arena, &theirs))
    return tk_store_damaged(err, TK_TABLE_INFO, tk_key_slice(&key));
  info->initiator = tk_arena_copy(store->arena, theirs.initiator);
  info->source_system = tk_arena_copy(store->arena, theirs.source_system);
  info->reason = tk_arena_copy(store->arena, theirs.reason);
  info->parent = parent->no;
  info->requested_at_us = store->now_us;
  return 0;
}

int tk_store_load_spawn(tk_store *store, tk_task *parent, tk_event *event, size_t *bytes, tk_err *err) {
  if (!tk_decide_wants_child(parent, event)) return 0;
  tk_submission *submission = TK_ARENA_NEW(store->arena, tk_submission);
  submission->definition = event->cursor;
  tk_slice context = {0};
  int rc = inherit(store, parent, &submission->info, err);
  if (!rc) rc = tk_store_read_payload(store->txn, tk_task_step(parent, event->step)->inputs, &context, err);
  submission->info.context = tk_arena_copy(store->arena, context);
  event->submission = submission;
  *bytes += context.size;
  return rc;
}

/* ---- A child's end ---- */

static bool has_results(const tk_step *step) { return step->status == TK_STEP_COMPLETE || step->status == TK_STEP_RESOLVED; }

static int put_payload(tk_store *store, tk_json_writer *w, uint64_t payload, tk_err *err) {
  tk_slice json = {0};
  int rc = payload ? tk_store_read_payload(store->txn, payload, &json, err) : 0;
  if (!rc) tk_json_put_raw(w, json);
  return rc;
}

/* A map's results are those of its elements, false in the place of one that failed. */
static int put_elements(tk_store *store, tk_task *child, const tk_fan *fan, tk_json_writer *w, tk_err *err) {
  int rc = 0;
  tk_json_array(w);
  for (uint32_t i = 0; i < fan->count && !rc && w->buf->size <= TK_LIMIT_PAYLOAD; i++) {
    const tk_step *step = tk_task_step(child, fan->first + i);
    if (step->status == TK_STEP_ERROR || step->status == TK_STEP_CANCELLED) tk_json_put_bool(w, false);
    else rc = put_payload(store, w, has_results(step) ? step->results : 0, err);
  }
  tk_json_array_end(w);
  return rc;
}

/* {"step": payload, ...} of the steps that have one, until the text is longer than a payload may be. */
static int put_outcomes(tk_store *store, tk_task *child, tk_json_writer *w, bool errors, tk_err *err) {
  tk_json_object(w);
  for (uint32_t i = 0; i < child->graph->step_count && w->buf->size <= TK_LIMIT_PAYLOAD; i++) {
    const tk_step *step = tk_task_step(child, i);
    if (errors ? step->status != TK_STEP_ERROR : !has_results(step)) continue;
    tk_json_put_str(w, child->graph->steps[i].name);
    tk_buf_u8(w->buf, ':');
    w->comma = false;
    bool elements = !errors && step->fan && !step->results;
    int rc = elements ? put_elements(store, child, step->fan, w, err) : put_payload(store, w, errors ? step->error : step->results, err);
    if (rc) return rc;
  }
  tk_json_object_end(w);
  return 0;
}

static void put_heading(tk_json_writer *w, const tk_task *child) {
  char id[37];
  tk_id_format(&child->id, id);
  tk_json_object(w);
  tk_json_key(w, "task_id");
  tk_json_put_cstr(w, id);
  tk_json_key(w, "status");
  tk_json_put_cstr(w, tk_task_status_name(child->status));
}

/* The results that the parent's step gets; empty when they are too large. */
static int put_results(tk_store *store, tk_task *child, tk_slice *out, tk_err *err) {
  tk_buf buf = {0};
  tk_json_writer w = tk_json_to(&buf);
  tk_slice resolution = {0};
  put_heading(&w, child);
  tk_json_key(&w, "results");
  int rc = put_outcomes(store, child, &w, false, err);
  if (!rc && child->failed) {
    tk_json_key(&w, "errors");
    rc = put_outcomes(store, child, &w, true, err);
  }
  if (!rc && child->results) {
    rc = tk_store_read_payload(store->txn, child->results, &resolution, err);
    tk_json_key(&w, "resolution");
    tk_json_put_raw(&w, resolution);
  }
  tk_json_object_end(&w);
  *out = buf.size <= TK_LIMIT_PAYLOAD ? tk_arena_copy(store->arena, tk_buf_slice(&buf)) : tk_slice_of(NULL, 0);
  tk_buf_free(&buf);
  return rc;
}

/* Why a child that is in error is so: its first step that is. -1: none (its timeout), or only cancelled ones. */
static int64_t first_failed(tk_task *child) {
  for (uint32_t i = 0; i < child->graph->step_count; i++) {
    const tk_step *step = tk_task_step(child, i);
    if (step->status == TK_STEP_ERROR && step->error && !(child->graph->steps[i].flags & TK_GRAPH_CONTINUE)) return i;
  }
  return -1;
}

/* A text inside an error that was kept, at most `most` bytes of it. */
static tk_slice text_of(tk_store *store, tk_slice error, const char *key, size_t most) {
  tk_slice raw = tk_json_member(error, key);
  if (raw.size < 2 || raw.data[0] != '"') return tk_slice_of(NULL, 0);
  char *plain = tk_arena_alloc(store->arena, raw.size);
  size_t size = tk_json_unescape(tk_slice_of(raw.data + 1, raw.size - 2), plain);
  return tk_slice_of(plain, size < most ? size : most);
}

static void put_message(tk_json_writer *w, const tk_task *child, tk_slice step, tk_slice why, bool too_large) {
  const tk_graph *g = child->graph;
  tk_buf text = {0};
  char id[37];
  tk_id_format(&child->id, id);
  tk_buf_append_str(&text, "child task ");
  tk_buf_append_str(&text, id);
  tk_buf_append_str(&text, " (");
  tk_buf_append(&text, g->ns.data, g->ns.size);
  tk_buf_append_str(&text, "/");
  tk_buf_append(&text, g->name.data, g->name.size);
  tk_buf_append_str(&text, child->status == TK_TASK_CANCELLED ? ") was cancelled" : too_large ? ") has results" : ") ended in error");
  if (too_large) tk_buf_append_str(&text, " that are larger than a payload may be (1 MiB)");
  if (step.size) {
    tk_buf_append_str(&text, ": step '");
    tk_buf_append(&text, step.data, step.size);
    tk_buf_append_str(&text, "'");
  }
  if (why.size) {
    tk_buf_append_str(&text, ": ");
    tk_buf_append(&text, why.data, why.size);
  }
  tk_json_key(w, "message");
  tk_json_put_str(w, tk_buf_slice(&text));
  tk_buf_free(&text);
}

/* The error of the parent's step: the child's own, and where it came from. */
static int put_error(tk_store *store, tk_task *child, bool too_large, tk_slice *out, tk_err *err) {
  tk_slice cause = {0}, step = {0};
  tk_slice code = tk_slice_str(too_large ? "too_large" : child->status == TK_TASK_CANCELLED ? "cancelled" : "error");
  int64_t failed = child->status == TK_TASK_ERROR && !too_large ? first_failed(child) : -1;
  if (failed >= 0) {
    int rc = tk_store_read_payload(store->txn, tk_task_step(child, (uint32_t)failed)->error, &cause, err);
    if (rc) return rc;
    step = child->graph->steps[failed].name;
    tk_slice own = text_of(store, cause, "code", 128);
    if (own.size) code = own;
  } else if (child->status == TK_TASK_ERROR && !too_large && child->graph->timeout_us) {
    code = tk_slice_str("timeout");
  }
  tk_buf buf = {0};
  tk_json_writer w = tk_json_to(&buf);
  tk_json_object(&w);
  put_message(&w, child, step, text_of(store, cause, "message", MESSAGE_MAX), too_large);
  tk_json_key(&w, "code");
  tk_json_put_str(&w, code);
  tk_json_key(&w, "retryable");
  tk_json_put_bool(&w, child->status == TK_TASK_ERROR && !too_large);
  tk_json_key(&w, "details");
  put_heading(&w, child);
  if (step.size) {
    tk_json_key(&w, "step");
    tk_json_put_str(&w, step);
  }
  if (cause.size && cause.size <= CAUSE_MAX) {
    tk_json_key(&w, "error");
    tk_json_put_raw(&w, cause);
  }
  tk_json_object_end(&w);
  tk_json_object_end(&w);
  *out = tk_arena_copy(store->arena, tk_buf_slice(&buf));
  tk_buf_free(&buf);
  return 0;
}

int tk_store_load_child(tk_store *store, tk_event *event, bool *wanted, size_t *bytes, tk_err *err) {
  tk_err own;
  tk_task *child = tk_store_task(store, event->child, &own);
  *wanted = child && tk_task_final(child->status);
  if (!child && own.code != TK_E_NOT_FOUND && err) *err = own;
  if (!child) return own.code == TK_E_NOT_FOUND ? 0 : own.code;
  if (!*wanted) return 0;
  event->cursor = child->status;
  int rc = put_results(store, child, &event->data, err);
  bool good = child->status == TK_TASK_COMPLETE || child->status == TK_TASK_RESOLVED;
  if (!rc && (!good || !event->data.size)) rc = put_error(store, child, !event->data.size, &event->failure, err);
  *bytes += event->data.size + event->failure.size + child->chunk_count * sizeof(tk_chunk);
  return rc;
}
