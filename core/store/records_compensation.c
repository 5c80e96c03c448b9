/* The record of a page of what is to be undone. */
#include "store/codec.h"

#define VERSION_COMPENSATION 1

tk_slice tk_write_compensation(tk_buf *buf, tk_slice key, const tk_compensation *page) {
  tk_frame_begin(buf, VERSION_COMPENSATION, 0);
  tk_buf_varint(buf, page->error);
  tk_buf_bytes(buf, page->audit);
  tk_buf_varint(buf, page->count);
  for (uint32_t i = 0; i < page->count; i++) tk_buf_varint(buf, page->steps[i]);
  return tk_frame_end(buf, key);
}

bool tk_read_compensation(tk_slice key, tk_slice record, tk_arena *arena, tk_compensation *out) {
  tk_reader r;
  memset(out, 0, sizeof *out);
  if (key.size != 12 || !tk_frame_open(key, record, VERSION_COMPENSATION, &r)) return false;
  out->task_no = tk_get_u64be(key.data);
  out->page = tk_get_u32be(key.data + 8);
  out->error = tk_dec(&r);
  out->audit = tk_read_bytes(&r);
  out->count = tk_dec_u32(&r);
  if (r.bad || out->count < 1 || out->count > TK_COMPENSATION_PAGE) return false;
  out->steps = TK_ARENA_ARRAY(arena, uint32_t, TK_COMPENSATION_PAGE);
  for (uint32_t i = 0; i < out->count; i++) {
    out->steps[i] = tk_dec_u32(&r);
    if (out->steps[i] >= TK_LIMIT_STEPS) r.bad = true;
  }
  return tk_frame_done(&r);
}
