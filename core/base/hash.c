#include "base/hash.h"

#include <dlfcn.h>
#include <pthread.h>

#define CRYPTO_LIBRARY "libcrypto.so.3"

/* The two functions of libcrypto's EVP interface that we use; the digest lives as long as the process. */
static struct {
  int (*digest)(const void *data, size_t size, unsigned char *out, unsigned *out_size, const void *type, void *engine);
  const void *sha256; /* NULL: `fault` says why */
  char fault[256];
} crypto;

static void load_crypto(void) {
  void *library = dlopen(CRYPTO_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    strncpy(crypto.fault, why ? why : CRYPTO_LIBRARY, sizeof crypto.fault - 1);
    return;
  }
  void *fetch_symbol = dlsym(library, "EVP_MD_fetch"), *digest_symbol = dlsym(library, "EVP_Digest");
  void *(*fetch)(void *context, const char *name, const char *properties);
  /* ISO C has no conversion from void * to a function pointer; POSIX promises that the bits are the same. */
  memcpy(&fetch, &fetch_symbol, sizeof fetch);
  memcpy(&crypto.digest, &digest_symbol, sizeof crypto.digest);
  if (fetch && crypto.digest) crypto.sha256 = fetch(NULL, "SHA256", NULL);
  if (!crypto.sha256) strcpy(crypto.fault, CRYPTO_LIBRARY " has no SHA-256");
}

int tk_sha256(tk_slice data, uint8_t out[32], tk_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_crypto);
  if (!crypto.sha256) return tk_err_set(err, TK_E_UNSUPPORTED, "cannot compute SHA-256: %s", crypto.fault);
  unsigned size = 0;
  if (crypto.digest(data.data ? data.data : "", data.size, out, &size, crypto.sha256, NULL) != 1 || size != 32)
    return tk_err_set(err, TK_E_UNSUPPORTED, "cannot compute SHA-256: %s refuses", CRYPTO_LIBRARY);
  return 0;
}

void tk_hex(const uint8_t *bytes, size_t size, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    *out++ = digits[bytes[i] >> 4];
    *out++ = digits[bytes[i] & 15];
  }
  *out = '\0';
}

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool tk_unhex(const char *text, size_t size, uint8_t *out) {
  if (size % 2) return false;
  for (size_t i = 0; i < size; i += 2) {
    int high = digit_of(text[i]), low = digit_of(text[i + 1]);
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
