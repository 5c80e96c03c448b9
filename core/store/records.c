/* Keys and the records that are not written a hundred thousand times a second. */
#include "store/codec.h"

#define VERSION_META 2           /* 1 had no reader */
#define VERSION_NUMBER 1
#define VERSION_BYTES 1
#define VERSION_INFO 2           /* 2: knows its schedule */
#define VERSION_IDENTITY 1
#define VERSION_ANNOTATION 1
#define VERSION_DEFINITION 1
#define VERSION_PROCESS 1
#define VERSION_CONSUMER 1
#define VERSION_SECRET 1

#define NUMBER_ROOM 16
#define ANNOTATION_NAME_KEPT 64   /* bytes of a name that its key holds as they are */

tk_key tk_key_meta(void) {
  tk_key key;
  key.bytes[0] = 0;
  key.size = 1;
  return key;
}

tk_key tk_key_mark(const uint8_t incarnation[16]) {
  tk_key key;
  key.bytes[0] = 1;
  memcpy(key.bytes + 1, incarnation, 16);
  key.size = 17;
  return key;
}

tk_key tk_key_claims(uint32_t process, uint64_t turn) {
  tk_key key;
  key.bytes[0] = 2;
  tk_put_u32be(key.bytes + 1, process);
  tk_put_u64be(key.bytes + 5, turn);
  key.size = 13;
  return key;
}

bool tk_key_is_claims(tk_slice key, uint32_t *process, uint64_t *turn) {
  if (key.size != 13 || key.data[0] != 2) return false;
  *process = tk_get_u32be(key.data + 1);
  *turn = tk_get_u64be(key.data + 5);
  return true;
}

/* Signed to unsigned so that a greater priority is a smaller number. */
static uint32_t flip_priority(int32_t priority) { return ~((uint32_t)priority ^ 0x80000000u); }
static int32_t unflip_priority(uint32_t stored) { return (int32_t)(~stored ^ 0x80000000u); }

tk_key tk_key_ready(const tk_ready *ready) {
  tk_key key;
  tk_put_u32be(key.bytes, ready->queue);
  tk_put_u32be(key.bytes + 4, ready->definition);
  tk_put_u32be(key.bytes + 8, flip_priority(ready->priority));
  tk_put_u64be(key.bytes + 12, ready->task_no);
  tk_put_u32be(key.bytes + 20, ready->step);
  key.size = 24;
  return key;
}

bool tk_read_ready_key(tk_slice key, tk_ready *out) {
  if (key.size != 24) return false;
  *out = (tk_ready){.queue = tk_get_u32be(key.data), .definition = tk_get_u32be(key.data + 4),
                    .priority = unflip_priority(tk_get_u32be(key.data + 8)), .task_no = tk_get_u64be(key.data + 12),
                    .step = tk_get_u32be(key.data + 20)};
  return true;
}

/* Times are never before 1970, so a due time sorts like the number that it is. */
tk_key tk_key_timer(const tk_timer *timer) {
  tk_key key;
  tk_put_u64be(key.bytes, (uint64_t)timer->due_us);
  tk_put_u64be(key.bytes + 8, timer->task_no);
  tk_put_u32be(key.bytes + 16, timer->step);
  key.size = 20;
  return key;
}

tk_key tk_key_u64_u64(uint64_t n, uint64_t m) {
  tk_key k;
  tk_put_u64be(k.bytes, n);
  tk_put_u64be(k.bytes + 8, m);
  k.size = 16;
  return k;
}

tk_key tk_key_annotation(uint64_t task_no, tk_slice name) {
  tk_key key;
  size_t kept = name.size < ANNOTATION_NAME_KEPT ? name.size : ANNOTATION_NAME_KEPT;
  tk_put_u64be(key.bytes, task_no);
  if (kept) memcpy(key.bytes + 8, name.data, kept);
  key.size = 8 + kept;
  if (name.size > kept) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = kept; i < name.size; i++) hash = (hash ^ (uint8_t)name.data[i]) * 0x100000001B3u;
    tk_put_u64be(key.bytes + key.size, hash);
    key.size += 8;
  }
  return key;
}

tk_slice tk_write_meta(tk_buf *buf, tk_slice key, const tk_meta_record *meta) {
  tk_frame_begin(buf, VERSION_META, 0);
  tk_buf_varint(buf, meta->format);
  tk_buf_varint(buf, meta->protocol);
  tk_buf_varint(buf, meta->next_task);
  tk_buf_varint(buf, meta->next_payload);
  tk_buf_varint(buf, meta->next_seq);
  tk_buf_varint(buf, meta->next_inbox);
  tk_buf_varint(buf, meta->next_notice);
  tk_buf_varint(buf, meta->generation);
  tk_buf_varint(buf, meta->next_process);
  tk_buf_varint(buf, meta->next_definition);
  tk_buf_varint(buf, meta->next_name);
  tk_buf_u8(buf, TK_TASK_STATUS_COUNT);
  for (int i = 0; i < TK_TASK_STATUS_COUNT; i++) tk_buf_svarint(buf, meta->tasks_by_status[i]);
  tk_buf_u8(buf, TK_STEP_STATUS_COUNT);
  for (int i = 0; i < TK_STEP_STATUS_COUNT; i++) tk_buf_svarint(buf, meta->steps_by_status[i]);
  tk_buf_varint(buf, meta->reader.task_no);
  for (int i = 0; i < TK_BUILTIN_DEFINITIONS; i++) tk_buf_varint(buf, meta->reader.definitions[i]);
  return tk_frame_end(buf, key);
}

static void get_counters(tk_reader *r, int64_t *counters, size_t limit) {
  size_t count = tk_read_u8(r);
  if (count > limit) r->bad = true;
  for (size_t i = 0; i < count && !r->bad; i++) counters[i] = tk_read_svarint(r);
}

/* Format and protocol come first and stay there, so that a newer record still says that it is newer. */
bool tk_read_meta(tk_slice key, tk_slice record, tk_meta_record *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  uint8_t version = tk_frame_open(key, record, UINT8_MAX, &r);
  if (!version) return false;
  out->format = tk_dec_u32(&r);
  out->protocol = tk_dec_u32(&r);
  if (!r.bad && out->format > TK_STORE_FORMAT) return true;
  out->next_task = tk_read_varint(&r);
  out->next_payload = tk_read_varint(&r);
  out->next_seq = tk_read_varint(&r);
  out->next_inbox = tk_read_varint(&r);
  out->next_notice = tk_read_varint(&r);
  out->generation = tk_read_varint(&r);
  out->next_process = tk_dec_u32(&r);
  out->next_definition = tk_dec_u32(&r);
  out->next_name = tk_dec_u32(&r);
  get_counters(&r, out->tasks_by_status, TK_TASK_STATUS_COUNT);
  get_counters(&r, out->steps_by_status, TK_STEP_STATUS_COUNT);
  if (version >= 2) out->reader.task_no = tk_read_varint(&r);
  for (int i = 0; version >= 2 && i < TK_BUILTIN_DEFINITIONS; i++) out->reader.definitions[i] = tk_dec_u32(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_number(tk_buf *buf, tk_slice key, uint64_t number) {
  uint8_t *at = tk_frame_begin(buf, VERSION_NUMBER, NUMBER_ROOM);
  return tk_frame_end_at(buf, key, tk_enc(at, number));
}

bool tk_read_number(tk_slice key, tk_slice record, uint64_t *out) {
  tk_reader r;
  if (!tk_frame_open(key, record, VERSION_NUMBER, &r)) return false;
  *out = tk_dec(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_bytes(tk_buf *buf, tk_slice key, tk_slice bytes) {
  tk_frame_begin(buf, VERSION_BYTES, bytes.size);
  tk_buf_append(buf, bytes.data, bytes.size);
  return tk_frame_end(buf, key);
}

bool tk_read_slice(tk_slice key, tk_slice record, tk_slice *out) {
  tk_reader r;
  *out = tk_slice_of(NULL, 0);
  if (!tk_frame_open(key, record, VERSION_BYTES, &r)) return false;
  *out = tk_slice_of(r.at, (size_t)(r.end - r.at));
  return true;
}

/* ---- The cold record of a task ---- */

#define UNKNOWN "unknown"         /* what the texts are unless the submitter says otherwise */
#define DEFAULT_QUEUE "default"

enum {                            /* fields of the cold record that are not as usual; stored */
  INFO_INITIATOR = 1, INFO_SOURCE = 2, INFO_REASON = 4, INFO_QUEUE = 8, INFO_TAGS = 16, INFO_BYPASS = 32, INFO_PARENT = 64,
  INFO_RUN_AT = 128, INFO_IDENTITY_TEXT = 256, INFO_IDENTITY_HASH = 512, INFO_IDENTITY_ID = 1024,
  INFO_SCHEDULE = 2048
};
#define INFO_MASK_END 4096

static bool is_hash_text(tk_slice text) {
  if (text.size != 64) return false;
  for (size_t i = 0; i < 64; i++)
    if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f'))) return false;
  return true;
}

static uint32_t identity_form(const tk_task_info *info, const tk_id *task_id) {
  char id[37];
  if (info->identity.size == 0) return 0;
  tk_id_format(task_id, id);
  if (tk_slice_eq(info->identity, tk_slice_str(id))) return INFO_IDENTITY_ID;
  return is_hash_text(info->identity) ? INFO_IDENTITY_HASH : INFO_IDENTITY_TEXT;
}

static uint32_t info_mask(const tk_task_info *info, const tk_id *id) {
  tk_slice unknown = tk_slice_str(UNKNOWN);
  return (tk_slice_eq(info->initiator, unknown) ? 0 : INFO_INITIATOR) |
         (tk_slice_eq(info->source_system, unknown) ? 0 : INFO_SOURCE) | (tk_slice_eq(info->reason, unknown) ? 0 : INFO_REASON) |
         (tk_slice_eq(info->queue, tk_slice_str(DEFAULT_QUEUE)) ? 0 : INFO_QUEUE) | (info->tags.size ? INFO_TAGS : 0) |
         (info->bypass_steps.size ? INFO_BYPASS : 0) | (info->parent ? INFO_PARENT : 0) | (info->run_at_us ? INFO_RUN_AT : 0) |
         (info->schedule.size ? INFO_SCHEDULE : 0) | identity_form(info, id);
}

tk_slice tk_write_info(tk_buf *buf, tk_slice key, const tk_task_info *info, const tk_id *id) {
  tk_frame_begin(buf, VERSION_INFO, 64 + info->context.size);
  uint32_t mask = info_mask(info, id);
  tk_buf_varint(buf, mask);
  tk_buf_svarint(buf, info->requested_at_us);
  if (mask & INFO_RUN_AT) tk_buf_svarint(buf, info->run_at_us);
  if (mask & INFO_PARENT) tk_buf_varint(buf, info->parent);
  if (mask & INFO_INITIATOR) tk_buf_bytes(buf, info->initiator);
  if (mask & INFO_SOURCE) tk_buf_bytes(buf, info->source_system);
  if (mask & INFO_REASON) tk_buf_bytes(buf, info->reason);
  if (mask & INFO_QUEUE) tk_buf_bytes(buf, info->queue);
  if (mask & INFO_TAGS) tk_buf_bytes(buf, info->tags);
  if (mask & INFO_BYPASS) tk_buf_bytes(buf, info->bypass_steps);
  if (mask & INFO_IDENTITY_TEXT) tk_buf_bytes(buf, info->identity);
  if (mask & INFO_IDENTITY_HASH) {
    tk_unhex(info->identity.data, 64, (uint8_t *)tk_buf_reserve(buf, 32));
    buf->size += 32;
  }
  if (mask & INFO_SCHEDULE) {
    tk_buf_bytes(buf, info->schedule);
    tk_buf_svarint(buf, info->scheduled_us);
    tk_buf_svarint(buf, info->previous_us);
    tk_buf_svarint(buf, info->late_us);
  }
  tk_buf_append(buf, info->context.data, info->context.size);   /* to the end */
  return tk_frame_end(buf, key);
}

static tk_slice get_identity(tk_reader *r, uint64_t mask, const tk_id *id, tk_arena *arena) {
  if (mask & INFO_IDENTITY_TEXT) return tk_read_bytes(r);
  if (mask & INFO_IDENTITY_ID) {
    char *text = tk_arena_alloc(arena, 37);
    tk_id_format(id, text);
    return tk_slice_of(text, 36);
  }
  if (!(mask & INFO_IDENTITY_HASH)) return tk_slice_of(NULL, 0);
  if (tk_reader_left(r) < 32) {
    r->bad = true;
    return tk_slice_of(NULL, 0);
  }
  char *text = tk_arena_alloc(arena, 65);
  tk_hex(r->at, 32, text);
  r->at += 32;
  return tk_slice_of(text, 64);
}

static bool get_raw(tk_reader *r, void *out, size_t size) {
  if (tk_reader_left(r) < size) {
    r->bad = true;
    return false;
  }
  memcpy(out, r->at, size);
  r->at += size;
  return true;
}

bool tk_read_info(tk_slice key, tk_slice record, const tk_id *id, tk_arena *arena, tk_task_info *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  out->id = *id;
  if (!tk_frame_open(key, record, VERSION_INFO, &r)) return false;
  uint64_t mask = tk_read_varint(&r);
  if (mask >= INFO_MASK_END) r.bad = true;
  out->requested_at_us = tk_read_svarint(&r);
  if (mask & INFO_RUN_AT) out->run_at_us = tk_read_svarint(&r);
  if (mask & INFO_PARENT) out->parent = tk_read_varint(&r);
  out->initiator = mask & INFO_INITIATOR ? tk_read_bytes(&r) : tk_slice_str(UNKNOWN);
  out->source_system = mask & INFO_SOURCE ? tk_read_bytes(&r) : tk_slice_str(UNKNOWN);
  out->reason = mask & INFO_REASON ? tk_read_bytes(&r) : tk_slice_str(UNKNOWN);
  out->queue = mask & INFO_QUEUE ? tk_read_bytes(&r) : tk_slice_str(DEFAULT_QUEUE);
  if (mask & INFO_TAGS) out->tags = tk_read_bytes(&r);
  if (mask & INFO_BYPASS) out->bypass_steps = tk_read_bytes(&r);
  out->identity = get_identity(&r, mask, &out->id, arena);
  if (mask & INFO_SCHEDULE) {
    out->schedule = tk_read_bytes(&r);
    out->scheduled_us = tk_read_svarint(&r);
    out->previous_us = tk_read_svarint(&r);
    out->late_us = tk_read_svarint(&r);
  }
  if (r.bad) return false;
  out->context = tk_slice_of(r.at, (size_t)(r.end - r.at));
  return true;
}

tk_slice tk_write_identity(tk_buf *buf, tk_slice key, const tk_identity_row *row) {
  tk_frame_begin(buf, VERSION_IDENTITY, 0);
  tk_buf_varint(buf, row->task_no);
  tk_buf_svarint(buf, row->created_at_us);
  return tk_frame_end(buf, key);
}

bool tk_read_identity(tk_slice key, tk_slice record, tk_identity_row *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != sizeof out->hash || !tk_frame_open(key, record, VERSION_IDENTITY, &r)) return false;
  memcpy(out->hash, key.data, sizeof out->hash);
  out->task_no = tk_read_varint(&r);
  out->created_at_us = tk_read_svarint(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_annotation(tk_buf *buf, tk_slice key, const tk_annotation *annotation) {
  tk_frame_begin(buf, VERSION_ANNOTATION, 0);
  tk_buf_bytes(buf, annotation->name);
  tk_buf_bytes(buf, annotation->value);
  return tk_frame_end(buf, key);
}

bool tk_read_annotation(tk_slice key, tk_slice record, tk_annotation *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size < 8 || !tk_frame_open(key, record, VERSION_ANNOTATION, &r)) return false;
  out->task_no = tk_get_u64be(key.data);
  out->name = tk_read_bytes(&r);
  out->value = tk_read_bytes(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_definition(tk_buf *buf, tk_slice key, const tk_definition *definition) {
  tk_frame_begin(buf, VERSION_DEFINITION, 0);
  tk_buf_append(buf, definition->hash, sizeof definition->hash);
  tk_buf_append(buf, definition->source, sizeof definition->source);
  tk_buf_svarint(buf, definition->created_at_us);
  tk_buf_bytes(buf, definition->ns);
  tk_buf_bytes(buf, definition->name);
  tk_buf_bytes(buf, definition->version);
  tk_buf_bytes(buf, definition->graph);
  tk_buf_bytes(buf, definition->json);
  return tk_frame_end(buf, key);
}

bool tk_read_definition(tk_slice key, tk_slice record, tk_definition *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 4 || !tk_frame_open(key, record, VERSION_DEFINITION, &r)) return false;
  out->number = tk_get_u32be(key.data);
  get_raw(&r, out->hash, sizeof out->hash);
  get_raw(&r, out->source, sizeof out->source);
  out->created_at_us = tk_read_svarint(&r);
  out->ns = tk_read_bytes(&r);
  out->name = tk_read_bytes(&r);
  out->version = tk_read_bytes(&r);
  out->graph = tk_read_bytes(&r);
  out->json = tk_read_bytes(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_process(tk_buf *buf, tk_slice key, const tk_process *process) {
  tk_frame_begin(buf, VERSION_PROCESS, 0);
  tk_buf_append(buf, process->incarnation, sizeof process->incarnation);
  tk_buf_svarint(buf, process->pid);
  tk_buf_svarint(buf, process->since_us);
  return tk_frame_end(buf, key);
}

bool tk_read_process(tk_slice key, tk_slice record, tk_process *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 4 || !tk_frame_open(key, record, VERSION_PROCESS, &r)) return false;
  out->number = tk_get_u32be(key.data);
  get_raw(&r, out->incarnation, sizeof out->incarnation);
  int64_t pid = tk_read_svarint(&r);
  if (pid < INT32_MIN || pid > INT32_MAX) r.bad = true;
  out->pid = (int32_t)pid;
  out->since_us = tk_read_svarint(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_consumer(tk_buf *buf, tk_slice key, const tk_consumer *consumer) {
  tk_frame_begin(buf, VERSION_CONSUMER, 0);
  tk_buf_varint(buf, consumer->seq);
  tk_buf_svarint(buf, consumer->created_at_us);
  tk_buf_svarint(buf, consumer->moved_at_us);
  tk_buf_bytes(buf, consumer->events);
  return tk_frame_end(buf, key);
}

bool tk_read_consumer(tk_slice key, tk_slice record, tk_consumer *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (!key.size || !tk_frame_open(key, record, VERSION_CONSUMER, &r)) return false;
  out->name = key;
  out->seq = tk_read_varint(&r);
  out->created_at_us = tk_read_svarint(&r);
  out->moved_at_us = tk_read_svarint(&r);
  out->events = tk_read_bytes(&r);
  return tk_frame_done(&r);
}

tk_slice tk_write_secret(tk_buf *buf, tk_slice key, const tk_secret *secret) {
  tk_frame_begin(buf, VERSION_SECRET, 0);
  tk_buf_append(buf, secret->key_id, sizeof secret->key_id);
  tk_buf_svarint(buf, secret->created_at_us);
  tk_buf_svarint(buf, secret->changed_at_us - secret->created_at_us);
  tk_buf_bytes(buf, secret->sealed);
  return tk_frame_end(buf, key);
}

bool tk_read_secret(tk_slice key, tk_slice record, tk_secret *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (!key.size || !tk_frame_open(key, record, VERSION_SECRET, &r)) return false;
  out->name = key;
  for (size_t i = 0; i < sizeof out->key_id; i++) out->key_id[i] = tk_read_u8(&r);
  out->created_at_us = tk_read_svarint(&r);
  out->changed_at_us = out->created_at_us + tk_read_svarint(&r);
  out->sealed = tk_read_bytes(&r);
  return tk_frame_done(&r);
}
