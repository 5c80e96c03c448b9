#include "base/hash.h"

#include <pthread.h>

void tk_hex(const uint8_t *bytes, size_t size, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    *out++ = digits[bytes[i] >> 4];
    *out++ = digits[bytes[i] & 15];
  }
  *out = '\0';
}

int tk_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool tk_unhex(const char *text, size_t size, uint8_t *out) {
  if (size % 2) return false;
  for (size_t i = 0; i < size; i += 2) {
    int high = tk_hex_digit(text[i]), low = tk_hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static uint32_t crc_table[256];

static void fill_crc_table(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    crc_table[i] = crc;
  }
}

uint32_t tk_crc32c_portable(uint32_t crc, const void *data, size_t size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_crc_table);
  const uint8_t *at = data;
  crc = ~crc;
  while (size--) crc = crc >> 8 ^ crc_table[(crc ^ *at++) & 0xFF];
  return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *at, size_t size) {
  uint64_t wide = crc;
  for (; size >= 8; size -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = (uint32_t)wide;
  while (size--) crc = __builtin_ia32_crc32qi(crc, *at++);
  return crc;
}
#endif

uint32_t tk_crc32c(uint32_t crc, const void *data, size_t size) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("sse4.2")) return ~crc32c_sse42(~crc, data, size);
#endif
  return tk_crc32c_portable(crc, data, size);
}
