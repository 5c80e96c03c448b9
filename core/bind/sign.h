/* core.sign: signatures of JSON Web Tokens (RFC 7518, RFC 8037). */
#ifndef TK_BIND_SIGN_H
#define TK_BIND_SIGN_H
#include <lua.h>

/* core.sign(pem, alg or nil, text) -> signature, alg | nil, err. alg "RS256", "ES256" or "EdDSA"; nil: what the key is for. */
int tk_bind_sign(lua_State *L);

#endif
