#include "bind/ed25519.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "bind/error.h"
#include "bind/libcrypto.h"

#define KEY_SIZE 32
#define SIGNATURE_SIZE 64
#define NID_ED25519 1087          /* of libcrypto's stable interface */

static struct {
  void *(*private_key)(int, void *, const unsigned char *, size_t);
  void *(*public_key)(int, void *, const unsigned char *, size_t);
  int (*get_public)(const void *, unsigned char *, size_t *);
  void (*key_free)(void *);
  void *(*ctx_new)(void);
  void (*ctx_free)(void *);
  int (*sign_init)(void *, void **, const void *, void *, void *);
  int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t);
  int (*verify_init)(void *, void **, const void *, void *, void *);
  int (*verify)(void *, const unsigned char *, size_t, const unsigned char *, size_t);
  bool ready;
} crypto;

static void load_library(void) {
  const tk_symbol symbols[] = {
      {&crypto.private_key, "EVP_PKEY_new_raw_private_key"}, {&crypto.public_key, "EVP_PKEY_new_raw_public_key"},
      {&crypto.get_public, "EVP_PKEY_get_raw_public_key"},   {&crypto.key_free, "EVP_PKEY_free"},
      {&crypto.ctx_new, "EVP_MD_CTX_new"},                   {&crypto.ctx_free, "EVP_MD_CTX_free"},
      {&crypto.sign_init, "EVP_DigestSignInit"},             {&crypto.sign, "EVP_DigestSign"},
      {&crypto.verify_init, "EVP_DigestVerifyInit"},         {&crypto.verify, "EVP_DigestVerify"},
  };
  crypto.ready = tk_libcrypto_load(symbols, sizeof symbols / sizeof *symbols);
}

static int need_library(tk_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_library);
  return crypto.ready ? 0 : tk_libcrypto_missing(err, "ed25519 signatures");
}

static tk_slice check_bytes(lua_State *L, int argument, size_t size) {
  tk_slice bytes;
  bytes.data = luaL_checklstring(L, argument, &bytes.size);
  luaL_argcheck(L, bytes.size == size, argument, "wrong number of bytes");
  return bytes;
}

static const unsigned char *octets(tk_slice s) { return (const unsigned char *)s.data; }

static int give(lua_State *L, bool ok, const unsigned char *bytes, size_t size) {
  tk_err err;
  if (ok) {
    lua_pushlstring(L, (const char *)bytes, size);
    return 1;
  }
  tk_err_set(&err, TK_E_IO, "libcrypto cannot sign by ed25519");
  return tk_return_error(L, &err);
}

int tk_bind_ed25519_public(lua_State *L) {
  tk_slice seed = check_bytes(L, 1, KEY_SIZE);
  unsigned char out[KEY_SIZE];
  size_t size = sizeof out;
  tk_err err;
  if (need_library(&err)) return tk_return_error(L, &err);
  void *key = crypto.private_key(NID_ED25519, NULL, octets(seed), seed.size);
  bool ok = key && crypto.get_public(key, out, &size) == 1 && size == KEY_SIZE;
  if (key) crypto.key_free(key);
  return give(L, ok, out, KEY_SIZE);
}

int tk_bind_ed25519_sign(lua_State *L) {
  tk_slice seed = check_bytes(L, 1, KEY_SIZE), text;
  unsigned char out[SIGNATURE_SIZE];
  size_t size = sizeof out;
  tk_err err;
  text.data = luaL_checklstring(L, 2, &text.size);
  if (need_library(&err)) return tk_return_error(L, &err);
  void *key = crypto.private_key(NID_ED25519, NULL, octets(seed), seed.size), *ctx = crypto.ctx_new();
  bool ok = key && ctx && crypto.sign_init(ctx, NULL, NULL, NULL, key) == 1 &&
            crypto.sign(ctx, out, &size, octets(text), text.size) == 1 && size == SIGNATURE_SIZE;
  if (ctx) crypto.ctx_free(ctx);
  if (key) crypto.key_free(key);
  return give(L, ok, out, SIGNATURE_SIZE);
}

int tk_bind_ed25519_verify(lua_State *L) {
  tk_slice public = check_bytes(L, 1, KEY_SIZE), text, signature;
  tk_err err;
  text.data = luaL_checklstring(L, 2, &text.size);
  signature.data = luaL_checklstring(L, 3, &signature.size);
  if (need_library(&err)) return tk_return_error(L, &err);
  void *key = crypto.public_key(NID_ED25519, NULL, octets(public), public.size), *ctx = crypto.ctx_new();
  bool ok = key && ctx && crypto.verify_init(ctx, NULL, NULL, NULL, key) == 1 &&
            crypto.verify(ctx, octets(signature), signature.size, octets(text), text.size) == 1;
  if (ctx) crypto.ctx_free(ctx);
  if (key) crypto.key_free(key);
  lua_pushboolean(L, ok);
  return 1;
}
