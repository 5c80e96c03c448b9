/* Decoding of records: any bytes are refused or read without touching memory that is not theirs. The checksum is made right,
 * so that the bytes get past the frame. Input: which record, which key, the record from its version byte on. */
#include "store/codec.h"

static uint8_t copy[1 << 16];

/* What a reader hands out must lie in the record. */
static void touch(tk_slice s) {
  volatile char sum = 0;
  for (size_t i = 0; i < s.size; i++) sum = (char)(sum + s.data[i]);
}

static void read_log(tk_slice key, tk_slice record) {
  tk_log_record log;
  tk_log_event event;
  if (!tk_read_log(key, record, &log)) return;
  for (uint32_t i = 0; tk_read_log_entry(&log, i, &event); i++) touch(event.data);
}

static void read_claims(tk_slice key, tk_slice record) {
  tk_claims_record claims;
  tk_claim claim;
  if (!tk_read_claims(key, record, &claims)) return;
  while (tk_read_claim(&claims, &claim)) {}
}

static void read_info(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_task_info info;
  static const tk_id id;
  if (tk_read_info(key, record, &id, &arena, &info)) {
    touch(info.initiator);
    touch(info.identity);
    touch(info.tags);
    touch(info.context);
  }
  tk_arena_free(&arena);
}

static void read_task(tk_slice key, tk_slice record) {
  static tk_chunk chunk;
  tk_task task = {0};
  tk_arena arena = {0};
  uint32_t touched;
  memset(&chunk, 0, sizeof chunk);
  bool whole = tk_read_task(key, record, &task, &chunk, &touched, &arena);
  tk_arena_free(&arena);
  if (!whole) return;
  TK_ASSERT(touched <= TK_CHUNK_STEPS);
  TK_ASSERT(task.status < TK_TASK_STATUS_COUNT && task.paused_from < TK_TASK_STATUS_COUNT);
  for (int i = 0; i < TK_CHUNK_STEPS; i++)
    TK_ASSERT(chunk.steps[i].status < TK_STEP_STATUS_COUNT && chunk.steps[i].waiting_for < TK_WAIT_COUNT);
}

static void read_chunk(tk_slice key, tk_slice record) {
  static tk_chunk chunk;
  tk_arena arena = {0};
  memset(&chunk, 0, sizeof chunk);
  tk_read_chunk(key, record, 1, &chunk, &arena);
  tk_arena_free(&arena);
}

static void read_limits(tk_slice key, tk_slice record) {
  tk_arena arena = {0};
  tk_limit limit;
  tk_meter meter;
  tk_waiter waiter;
  tk_permit permit;
  tk_read_limit(key, record, &limit);
  tk_read_waiter(key, record, &waiter);
  if (tk_read_meter(key, record, &meter)) touch(meter.key);
  if (tk_read_permit(key, record, &arena, &permit)) touch(permit.entries[permit.count - 1].key);
  tk_arena_free(&arena);
}

static void read_rest(uint8_t kind, tk_slice key, tk_slice record) {
  tk_meta_record meta;
  tk_event event;
  tk_notice notice;
  tk_identity_row row;
  tk_annotation annotation;
  tk_definition definition;
  tk_approval approval;
  tk_arena arena = {0};
  tk_process process;
  tk_consumer consumer;
  tk_secret secret;
  tk_ready ready;
  tk_timer timer;
  tk_slice bytes;
  uint64_t number;
  switch (kind) {
    case 0: read_chunk(key, record); break;
    case 1: tk_read_meta(key, record, &meta); break;
    case 2: if (tk_read_inbox(key, record, &event)) { touch(event.data); touch(event.audit); touch(event.name); } break;
    case 3: tk_read_notice(key, record, &notice); break;
    case 4: tk_read_identity(key, record, &row); break;
    case 5: if (tk_read_annotation(key, record, &annotation)) { touch(annotation.name); touch(annotation.value); } break;
    case 6:
      if (tk_read_definition(key, record, &definition)) {
        touch(definition.graph);
        touch(definition.json);
        touch(definition.ns);
      }
      break;
    case 7: tk_read_process(key, record, &process); break;
    case 8: tk_read_ready(key, record, &ready); break;
    case 9: tk_read_timer(key, record, &timer); break;
    case 11:
      if (tk_read_approval(key, record, &arena, &approval) && approval.vote_count) touch(approval.votes[approval.vote_count - 1].by);
      tk_arena_free(&arena);
      break;
    case 17: read_limits(key, record); break;
    case 18: if (tk_read_secret(key, record, &secret)) touch(secret.sealed); break;
    case 12: if (tk_read_consumer(key, record, &consumer)) touch(consumer.events); break;
    case 10: if (tk_read_slice(key, record, &bytes)) touch(bytes); break;
    default: tk_read_number(key, record, &number); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t key_sizes[] = {1, 4, 8, 12, 16, 20, 24, 32, 40};
  static const uint8_t key_bytes[TK_KEY_MAX] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3};
  if (size < 3 || size + TK_FRAME_SIZE > sizeof copy) return 0;
  uint8_t kind = data[0] % 19;
  tk_slice key = tk_slice_of(key_bytes, key_sizes[data[1] % sizeof key_sizes]);
  size_t body = size - 3;
  uint8_t *record_bytes = copy + sizeof copy - TK_FRAME_SIZE - body;   /* at the end of memory that may be read */
  record_bytes[0] = data[2];
  memcpy(record_bytes + TK_FRAME_SIZE, data + 3, body);
  uint32_t crc = tk_frame_crc(data[2], key, record_bytes + TK_FRAME_SIZE, body);
  memcpy(record_bytes + 1, &crc, 4);
  tk_slice record = tk_slice_of(record_bytes, TK_FRAME_SIZE + body);
  if (kind == 15) read_log(key, record);
  else if (kind == 14) read_claims(key, record);
  else if (kind == 13) read_info(key, record);
  else if (kind == 16) read_task(key, record);
  else read_rest(kind, key, record);
  return 0;
}
