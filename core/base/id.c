#include "base/id.h"

#include "base/buf.h"
#include "base/hash.h"

/* rand_a starts low within a millisecond, so that a burst has room before the time must be moved ahead. */
#define COUNTER_MAX 0xFFFu
#define COUNTER_START_MASK 0x3FFu

tk_id tk_id_next(tk_id_source *source, int64_t now_us, tk_rng *rng) {
  uint64_t now_ms = now_us > 0 ? (uint64_t)now_us / 1000 : 0;
  uint64_t random = tk_rng_next(rng);
  if (now_ms > source->last_ms) {
    source->last_ms = now_ms;
    source->counter = (uint32_t)tk_rng_next(rng) & COUNTER_START_MASK;
  } else if (source->counter >= COUNTER_MAX) { /* ids must rise: borrow the next millisecond */
    source->last_ms++;
    source->counter = 0;
  } else {
    source->counter++;
  }
  tk_id id;
  tk_put_u64be(id.bytes, source->last_ms << 16 | 0x7000 | source->counter);
  tk_put_u64be(id.bytes + 8, (random & 0x3FFFFFFFFFFFFFFFu) | 0x8000000000000000u);
  return id;
}

static bool dash_at(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

void tk_id_format(const tk_id *id, char out[37]) {
  static const char digits[] = "0123456789abcdef";
  size_t at = 0;
  for (size_t i = 0; i < 16; i++) {
    if (dash_at(at)) out[at++] = '-';
    out[at++] = digits[id->bytes[i] >> 4];
    out[at++] = digits[id->bytes[i] & 15];
  }
  out[at] = '\0';
}

bool tk_id_parse(const char *text, size_t size, tk_id *id) {
  if (size != 36) return false;
  tk_id parsed;
  size_t at = 0;
  for (size_t i = 0; i < 16; i++) {
    if (dash_at(at) && text[at++] != '-') return false;
    int high = tk_hex_digit(text[at]), low = tk_hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return false;
    parsed.bytes[i] = (uint8_t)(high << 4 | low);
    at += 2;
  }
  *id = parsed;
  return true;
}
