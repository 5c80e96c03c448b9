/* core.schema_program(nodes) -> program: see lua/tasker/schema/lower.lua for the table it takes. A program has
 * `program:accepts_text(json)` and `program:accepts(value)`: true, or false when that is not sure (bind/schema_check.h). */
#ifndef TK_BIND_SCHEMA_PROGRAM_H
#define TK_BIND_SCHEMA_PROGRAM_H
#include <lua.h>

int tk_bind_schema_program(lua_State *L);

#endif
