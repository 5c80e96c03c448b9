#include "bind/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/libcrypto.h"
#include "bind/state.h"

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define TEXT_MAX ((size_t)1 << 20)
#define KEY_FILE_MAX 4096

/* Of libcrypto's stable interface. */
enum { CTRL_GET_TAG = 0x10, CTRL_SET_TAG = 0x11 };

static struct {
  void *(*ctx_new)(void);
  void (*ctx_free)(void *);
  const void *(*aes_256_gcm)(void);
  int (*ctrl)(void *, int, int, void *);
  int (*init)(void *, const void *, void *, const unsigned char *, const unsigned char *, int);
  int (*update)(void *, unsigned char *, int *, const unsigned char *, int);
  int (*final)(void *, unsigned char *, int *);
  bool ready;
} crypto;

static void load_library(void) {
  const tk_symbol symbols[] = {
      {&crypto.ctx_new, "EVP_CIPHER_CTX_new"}, {&crypto.ctx_free, "EVP_CIPHER_CTX_free"},
      {&crypto.aes_256_gcm, "EVP_aes_256_gcm"}, {&crypto.ctrl, "EVP_CIPHER_CTX_ctrl"},
      {&crypto.init, "EVP_CipherInit_ex"},     {&crypto.update, "EVP_CipherUpdate"},
      {&crypto.final, "EVP_CipherFinal_ex"},
  };
  crypto.ready = tk_libcrypto_load(symbols, sizeof symbols / sizeof *symbols);
}

static int need_library(tk_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load_library);
  return crypto.ready ? 0 : tk_libcrypto_missing(err, "secrets");
}

/* One pass over `in`; the tag is written (seal) or checked. False: it is another tag, or the library failed. */
static bool run_cipher(bool seal, const char *key, const char *nonce, tk_slice associated, tk_slice in, char *out, char *tag) {
  int size = 0, rest = 0;
  void *ctx = crypto.ctx_new();
  bool ok = ctx && crypto.init(ctx, crypto.aes_256_gcm(), NULL, (const unsigned char *)key, (const unsigned char *)nonce, seal) == 1;
  if (ok && associated.size)
    ok = crypto.update(ctx, NULL, &size, (const unsigned char *)associated.data, (int)associated.size) == 1;
  if (ok && in.size) ok = crypto.update(ctx, (unsigned char *)out, &size, (const unsigned char *)in.data, (int)in.size) == 1;
  if (ok && !seal) ok = crypto.ctrl(ctx, CTRL_SET_TAG, TAG_SIZE, tag) == 1;
  if (ok) ok = crypto.final(ctx, (unsigned char *)out + in.size, &rest) == 1;
  if (ok && seal) ok = crypto.ctrl(ctx, CTRL_GET_TAG, TAG_SIZE, tag) == 1;
  if (ctx) crypto.ctx_free(ctx);
  return ok;
}

static void check_arguments(lua_State *L, tk_slice *key, tk_slice *associated, tk_slice *text) {
  key->data = luaL_checklstring(L, 1, &key->size);
  associated->data = luaL_checklstring(L, 2, &associated->size);
  text->data = luaL_checklstring(L, 3, &text->size);
  luaL_argcheck(L, key->size == KEY_SIZE, 1, "a key of 32 bytes expected");
  luaL_argcheck(L, associated->size < TEXT_MAX && text->size <= TEXT_MAX, 3, "a text of at most 1 MiB expected");
}

int tk_bind_seal(lua_State *L) {
  tk_slice key, associated, text;
  tk_err err;
  char nonce[NONCE_SIZE];
  check_arguments(L, &key, &associated, &text);
  if (need_library(&err)) return tk_return_error(L, &err);
  if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) {
    tk_err_set(&err, TK_E_IO, "the system gives no random bytes: %s", strerror(errno));
    return tk_return_error(L, &err);
  }
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, NONCE_SIZE + text.size + TAG_SIZE);
  memcpy(out, nonce, NONCE_SIZE);
  if (!run_cipher(true, key.data, nonce, associated, text, out + NONCE_SIZE, out + NONCE_SIZE + text.size)) {
    tk_err_set(&err, TK_E_IO, "libcrypto cannot encrypt");
    return tk_return_error(L, &err);
  }
  luaL_pushresultsize(&buffer, NONCE_SIZE + text.size + TAG_SIZE);
  return 1;
}

int tk_bind_unseal(lua_State *L) {
  tk_slice key, associated, sealed;
  tk_err err;
  char tag[TAG_SIZE];
  check_arguments(L, &key, &associated, &sealed);
  if (need_library(&err)) return tk_return_error(L, &err);
  if (sealed.size < NONCE_SIZE + TAG_SIZE) {
    tk_err_set(&err, TK_E_CORRUPT, "a sealed text is too short");
    return tk_return_error(L, &err);
  }
  tk_slice text = tk_slice_of(sealed.data + NONCE_SIZE, sealed.size - NONCE_SIZE - TAG_SIZE);
  memcpy(tag, text.data + text.size, TAG_SIZE);
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, text.size + TAG_SIZE);
  if (!run_cipher(false, key.data, sealed.data, associated, text, out, tag)) {
    memset(out, 0, text.size);
    tk_err_set(&err, TK_E_CORRUPT, "a sealed text cannot be opened: it was changed, or it was sealed as something else");
    return tk_return_error(L, &err);
  }
  luaL_pushresultsize(&buffer, text.size);
  return 1;
}

/* ---- Key files ---- */

static int read_key_file(const char *path, char out[KEY_FILE_MAX], size_t *size, tk_err *err) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return tk_err_set(err, TK_E_IO, "the key file '%s' cannot be opened: %s", path, strerror(errno));
  int rc = 0;
  ssize_t got = 0;
  if (fstat(fd, &st)) rc = tk_err_set(err, TK_E_IO, "the key file '%s' cannot be looked at: %s", path, strerror(errno));
  else if (!S_ISREG(st.st_mode)) rc = tk_err_set(err, TK_E_REFUSED, "the key file '%s' is no file", path);
  else if (st.st_mode & (S_IRWXG | S_IRWXO))
    rc = tk_err_set(err, TK_E_REFUSED, "others may read the key file '%s' (its mode is %03o): chmod 600 makes it yours alone", path,
                    (unsigned)(st.st_mode & 0777));
  else if (st.st_uid != geteuid() && st.st_uid != 0)
    rc = tk_err_set(err, TK_E_REFUSED, "the key file '%s' belongs to somebody else", path);
  else if ((got = read(fd, out, KEY_FILE_MAX)) < 0)
    rc = tk_err_set(err, TK_E_IO, "the key file '%s' cannot be read: %s", path, strerror(errno));
  close(fd);
  *size = rc ? 0 : (size_t)got;
  return rc;
}

int tk_bind_key_file(lua_State *L) {
  char text[KEY_FILE_MAX];
  size_t size = 0;
  tk_err err;
  if (read_key_file(luaL_checkstring(L, 1), text, &size, &err)) return tk_return_error(L, &err);
  lua_pushlstring(L, text, size);
  explicit_bzero(text, sizeof text);
  return 1;
}

/* ---- Core dumps ---- */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define IS_SANITIZED 1               /* its search for leaks attaches to the process */
#else
#define IS_SANITIZED 0
#endif

/* What has keys in its memory, as Lua strings that nobody can wipe, does as ssh-agent does. Programs that it starts are not
 * concerned. $TASKER_CORE_DUMPS: for who has to look for a crash. */
int tk_bind_no_dumps(lua_State *L) {
  (void)L;
  const char *wanted = getenv("TASKER_CORE_DUMPS");
  if (!IS_SANITIZED && !(wanted && *wanted)) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return 0;
}
