#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS 0x8080808080808080u

/* Table 3-7 of the Unicode standard. */
size_t tk_utf8_sequence(const char *text, size_t left) {
  const unsigned char *at = (const unsigned char *)text;
  unsigned char lead = left ? at[0] : 0xFF;
  unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
  size_t size;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return lead < 0x80 ? 1 : 0;
  }
  if (left < size || at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < size; i++)
    if ((at[i] & 0xC0) != 0x80) return 0;
  return size;
}

size_t tk_utf8_invalid_at(const char *text, size_t size) {
  const unsigned char *bytes = (const unsigned char *)text;
  size_t at = 0;
  while (at < size) {
    uint64_t word;
    while (size - at >= sizeof word) {
      memcpy(&word, bytes + at, sizeof word);
      if (word & HIGH_BITS) break;
      at += sizeof word;
    }
    while (at < size && bytes[at] < 0x80) at++;
    if (at == size) break;
    size_t step = tk_utf8_sequence(text + at, size - at);
    if (step == 0) return at;
    at += step;
  }
  return size;
}
