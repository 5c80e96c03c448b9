/* AES-256-GCM with a random nonce, by OpenSSL's libcrypto, which is loaded when it is first needed: core.seal, core.unseal; and
 * core.key_file, which reads a file that nobody else may read; core.no_dumps. Thread: the one that runs the state. */
#ifndef TK_BIND_SEAL_H
#define TK_BIND_SEAL_H
#include <lua.h>

/* seal(key of 32 bytes, associated, text) -> nonce, ciphertext and tag as one string | nil, err (unsupported, io) */
int tk_bind_seal(lua_State *L);
/* unseal(key, associated, sealed) -> text | nil, err (corrupt: another key, other associated bytes, or changed) */
int tk_bind_unseal(lua_State *L);
/* key_file(path) -> its text | nil, err (refused: others may read it; io) */
int tk_bind_key_file(lua_State *L);
/* no_dumps(): from now on this process dumps no core, and only root looks into its memory */
int tk_bind_no_dumps(lua_State *L);

#endif
