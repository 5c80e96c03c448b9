#include "bind/sign.h"

#include <lauxlib.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "bind/error.h"
#include "bind/libcrypto.h"
#include "bind/state.h"

/* Of libcrypto's stable interface: the kinds of keys. */
enum { KEY_RSA = 6, KEY_EC = 408, KEY_ED25519 = 1087 };
#define RSA_BITS_MIN 2048            /* RFC 7518 section 3.3 */
#define P256_BITS 256
#define P256_NUMBER 32               /* bytes of r and of s */
#define SIGNATURE_MAX 2048           /* of an RSA key of 16384 bits */

static struct {
  void *(*bio)(const void *, int);
  int (*bio_free)(void *);
  void *(*read_key)(void *, void **, int (*)(char *, int, int, void *), void *);
  void (*key_free)(void *);
  int (*key_id)(const void *);
  int (*key_bits)(const void *);
  void *(*ctx_new)(void);
  void (*ctx_free)(void *);
  const void *(*sha256)(void);
  int (*init)(void *, void **, const void *, void *, void *);
  int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t);
  void (*clear_errors)(void);
  bool ready;
} crypto;

static void load_functions(void) {
  const tk_symbol symbols[] = {
      {&crypto.bio, "BIO_new_mem_buf"},   {&crypto.bio_free, "BIO_free"},
      {&crypto.read_key, "PEM_read_bio_PrivateKey"}, {&crypto.key_free, "EVP_PKEY_free"},
      {&crypto.ctx_new, "EVP_MD_CTX_new"}, {&crypto.ctx_free, "EVP_MD_CTX_free"},
      {&crypto.sha256, "EVP_sha256"},     {&crypto.init, "EVP_DigestSignInit"},
      {&crypto.sign, "EVP_DigestSign"},   {&crypto.clear_errors, "ERR_clear_error"},
  };
  const tk_symbol of_3[] = {{&crypto.key_id, "EVP_PKEY_get_base_id"}, {&crypto.key_bits, "EVP_PKEY_get_bits"}};
  const tk_symbol of_1_1[] = {{&crypto.key_id, "EVP_PKEY_base_id"}, {&crypto.key_bits, "EVP_PKEY_bits"}};
  crypto.ready = tk_libcrypto_load(symbols, sizeof symbols / sizeof *symbols) &&
                 (tk_libcrypto_load(of_3, sizeof of_3 / sizeof *of_3) || tk_libcrypto_load(of_1_1, sizeof of_1_1 / sizeof *of_1_1));
}

static int need_library(tk_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_functions);
  return crypto.ready ? 0 : tk_libcrypto_missing(err, "signatures");
}

/* An encrypted key is none: libcrypto would ask the terminal. */
static int no_password(char *out, int size, int writing, void *context) {
  (void)out;
  (void)size;
  (void)writing;
  (void)context;
  return -1;
}

static void *read_key(tk_slice pem) {
  void *bio = pem.size <= INT_MAX ? crypto.bio(pem.data, (int)pem.size) : NULL;
  void *key = bio ? crypto.read_key(bio, NULL, no_password, NULL) : NULL;
  if (bio) crypto.bio_free(bio);
  crypto.clear_errors();
  return key;
}

/* The algorithm that a key is for; NULL: none. */
static const char *alg_of(const void *key) {
  int id = crypto.key_id(key), bits = crypto.key_bits(key);
  if (id == KEY_RSA && bits >= RSA_BITS_MIN) return "RS256";
  if (id == KEY_EC && bits == P256_BITS) return "ES256";
  return id == KEY_ED25519 ? "EdDSA" : NULL;
}

/* An INTEGER of DER as P256_NUMBER bytes; *at moves behind it. */
static bool read_number(const unsigned char **at, const unsigned char *end, unsigned char *out) {
  if (end - *at < 2 || (*at)[0] != 2 || (*at)[1] > P256_NUMBER + 1 || end - *at - 2 < (*at)[1]) return false;
  const unsigned char *from = *at + 2;
  size_t size = (*at)[1];
  *at += 2 + size;
  for (; size > P256_NUMBER; size--)
    if (*from++) return false;
  memset(out, 0, P256_NUMBER - size);
  memcpy(out + P256_NUMBER - size, from, size);
  return true;
}

/* ECDSA's DER sequence of r and s as RFC 7518 wants it: one after the other. */
static bool flatten(unsigned char *signature, size_t *size) {
  unsigned char flat[2 * P256_NUMBER];
  const unsigned char *at = signature + 2, *end = signature + *size;
  if (*size < 2 || signature[0] != 0x30 || signature[1] != *size - 2) return false;
  if (!read_number(&at, end, flat) || !read_number(&at, end, flat + P256_NUMBER) || at != end) return false;
  memcpy(signature, flat, sizeof flat);
  *size = sizeof flat;
  return true;
}

static bool sign(void *key, const char *alg, tk_slice text, unsigned char *out, size_t *size) {
  bool edwards = strcmp(alg, "EdDSA") == 0;
  void *ctx = crypto.ctx_new();
  bool ok = ctx && crypto.init(ctx, NULL, edwards ? NULL : crypto.sha256(), NULL, key) == 1 &&
            crypto.sign(ctx, out, size, (const unsigned char *)text.data, text.size) == 1;
  if (ctx) crypto.ctx_free(ctx);
  crypto.clear_errors();
  return ok && (strcmp(alg, "ES256") != 0 || flatten(out, size));
}

/* The algorithm wanted and a key that is for it. */
static int choose(const void *key, const char *wanted, const char **alg, tk_err *err) {
  if (!key) return tk_err_set(err, TK_E_INVALID, "the private key is none in PEM (PKCS #8, PKCS #1 or SEC 1, not encrypted)");
  *alg = alg_of(key);
  if (!*alg) return tk_err_set(err, TK_E_INVALID, "the private key must be of RSA with 2048 bits or more, of P-256 or of Ed25519");
  if (wanted && strcmp(wanted, *alg) != 0)
    return tk_err_set(err, TK_E_INVALID, "the private key is one for %s, not for %.20s", *alg, wanted);
  return 0;
}

int tk_bind_sign(lua_State *L) {
  tk_slice pem, text;
  const char *wanted = luaL_optstring(L, 2, NULL), *alg = NULL;
  unsigned char signature[SIGNATURE_MAX];
  size_t size = sizeof signature;
  tk_err err;
  pem.data = luaL_checklstring(L, 1, &pem.size);
  text.data = luaL_checklstring(L, 3, &text.size);
  if (need_library(&err)) return tk_return_error(L, &err);
  void *key = read_key(pem);
  int code = choose(key, wanted, &alg, &err);
  if (!code && !sign(key, alg, text, signature, &size)) code = tk_err_set(&err, TK_E_INVALID, "libcrypto cannot sign with the private key");
  if (key) crypto.key_free(key);
  if (code) return tk_return_error(L, &err);
  lua_pushlstring(L, (const char *)signature, size);
  lua_pushstring(L, alg);
  return 2;
}
