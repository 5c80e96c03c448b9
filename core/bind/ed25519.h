/* Signatures by Ed25519 (RFC 8032), by libcrypto: core.ed25519_public, core.ed25519_sign, core.ed25519_verify. Thread: the one that
 * runs the state. */
#ifndef TK_BIND_ED25519_H
#define TK_BIND_ED25519_H
#include <lua.h>

/* ed25519_public(private key of 32 bytes) -> public key of 32 bytes | nil, err (unsupported, io) */
int tk_bind_ed25519_public(lua_State *L);
/* ed25519_sign(private key, text) -> signature of 64 bytes | nil, err */
int tk_bind_ed25519_sign(lua_State *L);
/* ed25519_verify(public key of 32 bytes, text, signature) -> whether it is that key's signature of the text | nil, err */
int tk_bind_ed25519_verify(lua_State *L);

#endif
