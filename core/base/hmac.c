#include "base/buf.h"
#include "base/hash.h"

#define BLOCK 64

void tk_hmac_sha256(tk_slice key, tk_slice text, uint8_t out[32]) {
  uint8_t pad[BLOCK] = {0};
  tk_buf inner = {0};
  if (key.size > BLOCK) tk_sha256(key, pad);
  else if (key.size) memcpy(pad, key.data, key.size);
  for (size_t i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
  tk_buf_append(&inner, pad, BLOCK);
  if (text.size) tk_buf_append(&inner, text.data, text.size);
  uint8_t outer[BLOCK + 32];
  for (size_t i = 0; i < BLOCK; i++) outer[i] = pad[i] ^ 0x36 ^ 0x5C;
  tk_sha256(tk_buf_slice(&inner), outer + BLOCK);
  tk_sha256(tk_slice_of(outer, sizeof outer), out);
  explicit_bzero(pad, sizeof pad);
  explicit_bzero(outer, sizeof outer);
  explicit_bzero(inner.data, BLOCK);
  tk_buf_free(&inner);
}
