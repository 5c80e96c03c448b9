/* The hot records: a task with its first steps, and later chunks of steps. Written straight into reserved room. */
#include "store/codec.h"

#define VERSION_TASK 2            /* 1 had no instances, migrations, children and schedule; all that it had is read the same */
#define VERSION_CHUNK 2           /* the same */

#define TASK_ROOM 300             /* of a header: 25 varints of at most 10 bytes, and a little */
#define STEP_ROOM 256             /* of a step: the same */

enum {                            /* which fields of a header differ from their usual value (zero; attempt: one) */
  HAS_STARTED = 1, HAS_COMPLETED = 2, HAS_OPEN = 4, HAS_ACTIVE = 8, HAS_RUNNING = 16, HAS_PRIORITY = 32, HAS_FAILED = 64,
  HAS_DUE = 128, HAS_HELD = 256, HAS_ATTEMPT = 512, HAS_SWEEPS = 1024, HAS_RESULTS_OF_TASK = 2048, HAS_PAUSED_FROM = 4096,
  HAS_SIGNALS = 8192, HAS_INSTANCES = 16384, HAS_MIGRATIONS = 32768, HAS_PARENT = 65536, HAS_CHILDREN = 131072,
  HAS_SCHEDULE = 262144, HAS_COMPENSATING = 524288
};
#define TASK_MASK_END 1048576

/* A step is its status + 1, which fields are there, and these; the usual ones first, so that the mask of a finished step takes
 * two bytes. An untouched step is a 0 byte; untouched steps at the end of a chunk are not there. `last attempted` is absent when
 * equal to `started`. */
enum {
  HAS_ATTEMPTS = 1, HAS_READY_AT = 2, HAS_STARTED_AT = 4, HAS_COMPLETED_AT = 8, HAS_RESULTS = 16, HAS_MET = 32, HAS_OWNER = 64,
  HAS_LAST_ATTEMPTED = 128, HAS_FAILURES = 256, HAS_ERROR = 512, HAS_DUE_AT = 1024, HAS_WAITING_FOR = 2048, HAS_FLAGS = 4096,
  HAS_INPUTS = 8192, HAS_PROGRESS = 16384, HAS_LOSSES = 32768, HAS_DELAY = 65536, HAS_UNMET = 131072, HAS_FAILED_DEPS = 262144,
  HAS_ROLE = 524288, HAS_FAN = 1048576, HAS_CHILD = 2097152, HAS_COMPENSATION = 4194304
};
#define STEP_MASK_END 8388608
#define STEP_FLAGS_END 8192

_Static_assert(sizeof(tk_step) == 136, "a new field of a step needs a place in its record");

static uint32_t step_mask(const tk_step *step) {
  return (step->attempts ? HAS_ATTEMPTS : 0) | (step->ready_at_us ? HAS_READY_AT : 0) |
         (step->started_at_us ? HAS_STARTED_AT : 0) | (step->completed_at_us ? HAS_COMPLETED_AT : 0) |
         (step->results ? HAS_RESULTS : 0) | (step->met ? HAS_MET : 0) | (step->owner ? HAS_OWNER : 0) |
         (step->last_attempted_at_us != step->started_at_us ? HAS_LAST_ATTEMPTED : 0) | (step->failures ? HAS_FAILURES : 0) |
         (step->error ? HAS_ERROR : 0) | (step->due_us ? HAS_DUE_AT : 0) | (step->waiting_for ? HAS_WAITING_FOR : 0) |
         (step->flags ? HAS_FLAGS : 0) | (step->inputs ? HAS_INPUTS : 0) | (step->progress ? HAS_PROGRESS : 0) |
         (step->losses ? HAS_LOSSES : 0) | (step->delay_us ? HAS_DELAY : 0) | (step->unmet ? HAS_UNMET : 0) |
         (step->failed_deps ? HAS_FAILED_DEPS : 0) | (step->role ? HAS_ROLE : 0) | (step->fan ? HAS_FAN : 0) |
         (step->child ? HAS_CHILD : 0) | (!step->role && step->compensation ? HAS_COMPENSATION : 0);
}

enum { FAN_STOPPED = 1, FAN_RENEWING = 2 };
#define FAN_FLAGS_END 4

static uint8_t *put_fan(uint8_t *at, const tk_fan *fan) {
  *at++ = (uint8_t)((fan->stopped ? FAN_STOPPED : 0) | (fan->renewing ? FAN_RENEWING : 0));
  const uint32_t numbers[] = {fan->first,  fan->count,       fan->next,  fan->active, fan->running,
                              fan->queued, fan->queued_from, fan->ended, fan->failed, fan->last_failed};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) at = tk_enc(at, numbers[i]);
  return tk_enc(at, fan->items);
}

static tk_fan *get_fan(tk_reader *r, tk_arena *arena) {
  tk_fan *fan = TK_ARENA_NEW(arena, tk_fan);
  uint8_t flags = tk_dec_below(r, FAN_FLAGS_END);
  fan->stopped = flags & FAN_STOPPED;
  fan->renewing = flags & FAN_RENEWING;
  uint32_t *const numbers[] = {&fan->first,  &fan->count,       &fan->next,  &fan->active, &fan->running,
                               &fan->queued, &fan->queued_from, &fan->ended, &fan->failed, &fan->last_failed};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = tk_dec_u32(r);
  fan->items = tk_dec(r);
  return fan;
}

/* What the time after it is measured from. */
static inline int64_t time_base(int64_t time_us, int64_t otherwise_us) { return time_us ? time_us : otherwise_us; }

static uint8_t *put_step(uint8_t *at, const tk_step *step, int64_t created_at_us) {
  uint32_t mask = step_mask(step);
  if (!mask && step->status == TK_STEP_PENDING) {
    *at++ = 0;
    return at;
  }
  *at++ = (uint8_t)(step->status + 1);
  at = tk_enc(at, mask);
  if (mask & HAS_ATTEMPTS) at = tk_enc(at, step->attempts);
  int64_t base = created_at_us;
  if (mask & HAS_READY_AT) at = tk_enc_difference(at, step->ready_at_us, base);
  base = time_base(step->ready_at_us, base);
  if (mask & HAS_STARTED_AT) at = tk_enc_difference(at, step->started_at_us, base);
  if (mask & HAS_LAST_ATTEMPTED) at = tk_enc_difference(at, step->last_attempted_at_us, step->started_at_us);
  base = time_base(step->last_attempted_at_us, base);
  if (mask & HAS_COMPLETED_AT) at = tk_enc_difference(at, step->completed_at_us, base);
  if (mask & HAS_RESULTS) at = tk_enc(at, step->results);
  if (mask & HAS_MET) at = tk_enc(at, step->met);
  if (mask & HAS_OWNER) at = tk_enc(at, step->owner);
  if (mask & HAS_FAILURES) at = tk_enc(at, step->failures);
  if (mask & HAS_ERROR) at = tk_enc(at, step->error);
  if (mask & HAS_DUE_AT) at = tk_enc_difference(at, step->due_us, base);
  if (mask & HAS_WAITING_FOR) at = tk_enc(at, step->waiting_for);
  if (mask & HAS_FLAGS) at = tk_enc(at, step->flags);
  if (mask & HAS_INPUTS) at = tk_enc(at, step->inputs);
  if (mask & HAS_PROGRESS) at = tk_enc(at, step->progress);
  if (mask & HAS_LOSSES) at = tk_enc(at, step->losses);
  if (mask & HAS_DELAY) at = tk_enc_difference(at, step->delay_us, 0);
  if (mask & HAS_UNMET) at = tk_enc(at, step->unmet);
  if (mask & HAS_FAILED_DEPS) at = tk_enc(at, step->failed_deps);
  if (mask & HAS_ROLE) {
    *at++ = step->role;
    at = tk_enc(at, step->template_);
    at = tk_enc(at, step->ordinal);
  }
  if (mask & HAS_CHILD) at = tk_enc(at, step->child);
  if (mask & HAS_COMPENSATION) at = tk_enc(at, step->compensation);
  return mask & HAS_FAN ? put_fan(at, step->fan) : at;
}

static void get_step(tk_reader *r, tk_step *step, int64_t created_at_us, tk_arena *arena) {
  uint8_t status = tk_dec_below(r, TK_STEP_STATUS_COUNT + 1);
  if (!status || r->bad) return;
  step->status = (uint8_t)(status - 1);
  uint64_t mask = tk_dec(r);
  if (mask >= STEP_MASK_END) r->bad = true;
  if (mask & HAS_ATTEMPTS) step->attempts = tk_dec_u32(r);
  int64_t base = created_at_us;
  if (mask & HAS_READY_AT) step->ready_at_us = tk_dec_difference(r, base);
  base = time_base(step->ready_at_us, base);
  if (mask & HAS_STARTED_AT) step->started_at_us = tk_dec_difference(r, base);
  step->last_attempted_at_us = mask & HAS_LAST_ATTEMPTED ? tk_dec_difference(r, step->started_at_us) : step->started_at_us;
  base = time_base(step->last_attempted_at_us, base);
  if (mask & HAS_COMPLETED_AT) step->completed_at_us = tk_dec_difference(r, base);
  if (mask & HAS_RESULTS) step->results = tk_dec(r);
  if (mask & HAS_MET) step->met = tk_dec_u32(r);
  if (mask & HAS_OWNER) step->owner = tk_dec_u32(r);
  if (mask & HAS_FAILURES) step->failures = tk_dec_u32(r);
  if (mask & HAS_ERROR) step->error = tk_dec(r);
  if (mask & HAS_DUE_AT) step->due_us = tk_dec_difference(r, base);
  if (mask & HAS_WAITING_FOR) step->waiting_for = tk_dec_below(r, TK_WAIT_COUNT);
  if (mask & HAS_FLAGS) step->flags = tk_dec_u16(r, STEP_FLAGS_END);
  if (mask & HAS_INPUTS) step->inputs = tk_dec(r);
  if (mask & HAS_PROGRESS) step->progress = tk_dec(r);
  if (mask & HAS_LOSSES) step->losses = tk_dec_u32(r);
  if (mask & HAS_DELAY) step->delay_us = tk_dec_difference(r, 0);
  if (mask & HAS_UNMET) step->unmet = tk_dec_u32(r);
  if (mask & HAS_FAILED_DEPS) step->failed_deps = tk_dec_u32(r);
  if (mask & HAS_ROLE) {
    step->role = tk_dec_below(r, TK_ROLE_COUNT);
    step->template_ = tk_dec_u16(r, TK_LIMIT_STEPS);
    step->ordinal = tk_dec_u32(r);
  }
  if (mask & HAS_CHILD) step->child = tk_dec(r);
  if (mask & HAS_COMPENSATION) step->compensation = tk_dec_u32(r);
  if (mask & HAS_FAN) step->fan = get_fan(r, arena);
}

static const tk_step untouched_step;
/* Nothing but speed hangs on padding bytes: a step that is taken for a touched one is written as untouched all the same. */
static bool step_untouched(const tk_step *step) { return memcmp(step, &untouched_step, sizeof *step) == 0; }

static uint8_t *put_chunk(uint8_t *at, const tk_chunk *chunk, uint32_t limit, int64_t created_at_us) {
  uint32_t count = limit;
  while (count > 0 && step_untouched(&chunk->steps[count - 1])) count--;
  at = tk_enc(at, count);
  for (uint32_t i = 0; i < count; i++) at = put_step(at, &chunk->steps[i], created_at_us);
  return at;
}

/* Returns how many steps were there. */
static uint32_t get_chunk(tk_reader *r, tk_chunk *chunk, int64_t created_at_us, tk_arena *arena) {
  uint8_t count = tk_dec_below(r, TK_CHUNK_STEPS + 1);
  chunk->dirty = chunk->absent = chunk->cut = false;
  for (uint8_t i = 0; i < count && !r->bad; i++) {
    chunk->steps[i] = untouched_step;
    get_step(r, &chunk->steps[i], created_at_us, arena);
  }
  return count;
}

static uint32_t task_mask(const tk_task *task) {
  return (task->started_at_us ? HAS_STARTED : 0) | (task->completed_at_us ? HAS_COMPLETED : 0) | (task->open ? HAS_OPEN : 0) |
         (task->active ? HAS_ACTIVE : 0) | (task->running ? HAS_RUNNING : 0) | (task->priority ? HAS_PRIORITY : 0) |
         (task->failed ? HAS_FAILED : 0) | (task->due_us || task->due_kind ? HAS_DUE : 0) |
         (task->held || task->held_from ? HAS_HELD : 0) | (task->attempt != 1 ? HAS_ATTEMPT : 0) |
         (task->sweeps ? HAS_SWEEPS : 0) | (task->results ? HAS_RESULTS_OF_TASK : 0) | (task->paused_from ? HAS_PAUSED_FROM : 0) |
         (task->signals ? HAS_SIGNALS : 0) | (task->instances ? HAS_INSTANCES : 0) |
         (task->migrations.size ? HAS_MIGRATIONS : 0) | (task->parent ? HAS_PARENT : 0) | (task->children ? HAS_CHILDREN : 0) |
         (task->schedule ? HAS_SCHEDULE : 0) | (task->compensating ? HAS_COMPENSATING : 0);
}

tk_slice tk_write_task(tk_buf *buf, tk_slice key, const tk_task *task, uint64_t last_log) {
  uint8_t *at = tk_frame_begin(buf, VERSION_TASK, TASK_ROOM + task->migrations.size + TK_CHUNK_STEPS * STEP_ROOM);
  uint32_t mask = task_mask(task);
  at = tk_enc(at, mask);
  memcpy(at, task->id.bytes, sizeof task->id.bytes);
  at += sizeof task->id.bytes;
  at = tk_enc(at, task->definition);
  *at++ = task->status;
  at = tk_enc(at, task->queue);
  at = tk_enc(at, last_log);
  at = tk_enc_difference(at, task->created_at_us, 0);
  if (mask & HAS_STARTED) at = tk_enc_difference(at, task->started_at_us, task->created_at_us);
  int64_t base = time_base(task->started_at_us, task->created_at_us);
  if (mask & HAS_COMPLETED) at = tk_enc_difference(at, task->completed_at_us, base);
  if (mask & HAS_OPEN) at = tk_enc(at, task->open);
  if (mask & HAS_ACTIVE) at = tk_enc(at, task->active);
  if (mask & HAS_RUNNING) at = tk_enc(at, task->running);
  if (mask & HAS_PRIORITY) at = tk_enc_difference(at, task->priority, 0);
  if (mask & HAS_FAILED) at = tk_enc(at, task->failed);
  if (mask & HAS_DUE) {
    *at++ = task->due_kind;
    at = tk_enc_difference(at, task->due_us, base);
  }
  if (mask & HAS_HELD) {
    at = tk_enc(at, task->held);
    at = tk_enc(at, task->held_from);
  }
  if (mask & HAS_ATTEMPT) at = tk_enc(at, task->attempt);
  if (mask & HAS_SWEEPS) at = tk_enc(at, task->sweeps);
  if (mask & HAS_RESULTS_OF_TASK) at = tk_enc(at, task->results);
  if (mask & HAS_PAUSED_FROM) *at++ = task->paused_from;
  if (mask & HAS_SIGNALS) at = tk_enc(at, task->signals);
  if (mask & HAS_INSTANCES) at = tk_enc(at, task->instances);
  if (mask & HAS_MIGRATIONS) {
    at = tk_enc(at, task->migrations.size);
    memcpy(at, task->migrations.data, task->migrations.size);
    at += task->migrations.size;
  }
  if (mask & HAS_PARENT) {
    at = tk_enc(at, task->parent);
    at = tk_enc(at, task->parent_step);
    at = tk_enc(at, task->parent_attempt);
  }
  if (mask & HAS_CHILDREN) at = tk_enc(at, task->children);
  if (mask & HAS_SCHEDULE) at = tk_enc(at, task->schedule);
  if (mask & HAS_COMPENSATING) {
    *at++ = task->compensating;
    at = tk_enc(at, task->compensations);
  }
  if (task->chunk_count && task->chunks[0]) {
    uint32_t steps = tk_task_count(task);
    at = put_chunk(at, task->chunks[0], steps < TK_CHUNK_STEPS ? steps : TK_CHUNK_STEPS, task->created_at_us);
  } else {
    *at++ = 0;
  }
  return tk_frame_end_at(buf, key, at);
}

static void get_task(tk_reader *r, tk_task *task) {
  uint64_t mask = tk_dec(r);
  if (mask >= TASK_MASK_END || tk_reader_left(r) < sizeof task->id.bytes) {
    r->bad = true;
    return;
  }
  memcpy(task->id.bytes, r->at, sizeof task->id.bytes);
  r->at += sizeof task->id.bytes;
  task->definition = tk_dec_u32(r);
  task->status = tk_dec_below(r, TK_TASK_STATUS_COUNT);
  task->queue = tk_dec_u32(r);
  task->last_log = tk_dec(r);
  task->created_at_us = tk_dec_difference(r, 0);
  if (mask & HAS_STARTED) task->started_at_us = tk_dec_difference(r, task->created_at_us);
  int64_t base = time_base(task->started_at_us, task->created_at_us);
  if (mask & HAS_COMPLETED) task->completed_at_us = tk_dec_difference(r, base);
  if (mask & HAS_OPEN) task->open = tk_dec_u32(r);
  if (mask & HAS_ACTIVE) task->active = tk_dec_u32(r);
  if (mask & HAS_RUNNING) task->running = tk_dec_u32(r);
  if (mask & HAS_PRIORITY) {
    int64_t priority = tk_dec_difference(r, 0);
    if (priority < INT32_MIN || priority > INT32_MAX) r->bad = true;
    task->priority = (int32_t)priority;
  }
  if (mask & HAS_FAILED) task->failed = tk_dec_u32(r);
  if (mask & HAS_DUE) {
    task->due_kind = tk_read_u8(r);
    task->due_us = tk_dec_difference(r, base);
  }
  if (mask & HAS_HELD) {
    task->held = tk_dec_u32(r);
    task->held_from = tk_dec_u32(r);
  }
  task->attempt = mask & HAS_ATTEMPT ? tk_dec_u32(r) : 1;
  if (mask & HAS_SWEEPS) task->sweeps = tk_dec_u32(r);
  if (mask & HAS_RESULTS_OF_TASK) task->results = tk_dec(r);
  if (mask & HAS_PAUSED_FROM) task->paused_from = tk_dec_below(r, TK_TASK_STATUS_COUNT);
  if (mask & HAS_SIGNALS) task->signals = tk_dec_u32(r);
  if (mask & HAS_INSTANCES) task->instances = tk_dec_u32(r);
  if (mask & HAS_MIGRATIONS) task->migrations = tk_read_bytes(r);
  if (mask & HAS_PARENT) {
    task->parent = tk_dec(r);
    task->parent_step = tk_dec_u32(r);
    task->parent_attempt = tk_dec_u32(r);
  }
  if (mask & HAS_CHILDREN) task->children = tk_dec_u32(r);
  if (mask & HAS_SCHEDULE) task->schedule = tk_dec(r);
  if (mask & HAS_COMPENSATING) {
    task->compensating = tk_dec_below(r, TK_COMPENSATION_STATE_COUNT);
    task->compensations = tk_dec_u32(r);
  }
}

bool tk_read_task(tk_slice key, tk_slice record, tk_task *task, tk_chunk *chunk, uint32_t *step_count, tk_arena *arena) {
  tk_reader r;
  if (key.size != 8 || !tk_frame_open(key, record, VERSION_TASK, &r)) return false;
  task->no = tk_get_u64be(key.data);
  get_task(&r, task);
  if (!chunk) return !r.bad;
  *step_count = get_chunk(&r, chunk, task->created_at_us, arena);
  return tk_frame_done(&r);
}

tk_slice tk_write_chunk(tk_buf *buf, tk_slice key, const tk_task *task, const tk_chunk *chunk, uint32_t index) {
  uint8_t *at = tk_frame_begin(buf, VERSION_CHUNK, TASK_ROOM + TK_CHUNK_STEPS * STEP_ROOM);
  uint32_t left = tk_task_count(task) - index * TK_CHUNK_STEPS;
  at = put_chunk(at, chunk, left < TK_CHUNK_STEPS ? left : TK_CHUNK_STEPS, task->created_at_us);
  return tk_frame_end_at(buf, key, at);
}

bool tk_read_chunk(tk_slice key, tk_slice record, int64_t created_at_us, tk_chunk *chunk, tk_arena *arena) {
  tk_reader r;
  if (!tk_frame_open(key, record, VERSION_CHUNK, &r)) return false;
  get_chunk(&r, chunk, created_at_us, arena);
  return tk_frame_done(&r);
}
