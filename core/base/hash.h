/* SHA-256 (FIPS 180-4); CRC-32C (RFC 3720 appendix B.4) for the store's records, with SSE4.2 where the machine has it. */
#ifndef TK_BASE_HASH_H
#define TK_BASE_HASH_H
#include "base/buf.h"
#include "base/err.h"

/* HMAC-SHA-256 (RFC 2104). */
void tk_hmac_sha256(tk_slice key, tk_slice text, uint8_t out[32]);
void tk_sha256(tk_slice data, uint8_t out[32]);
void tk_hex(const uint8_t *bytes, size_t size, char *out);           /* 2*size digits and NUL */
int tk_hex_digit(char c);                                            /* 0 to 15, either case; -1: none */
bool tk_unhex(const char *text, size_t size, uint8_t *out);          /* size/2 bytes; false if not hex */
uint32_t tk_crc32c(uint32_t crc, const void *data, size_t size);     /* start with 0 */
uint32_t tk_crc32c_portable(uint32_t crc, const void *data, size_t size); /* the same without the instruction */

#endif
