/* Cron expressions and recurrence rules as Lua asks for them. */
#ifndef TK_BIND_CRON_H
#define TK_BIND_CRON_H
#include <lua.h>

/* Pushes the table {cron_next, rrule_next}; both return a list of RFC 3339 texts in UTC, or nil and an err. */
int tk_bind_cron(lua_State *L);

#endif
