/* Validates JSON text by a schema that was lowered to a table of nodes, without making Lua values.
 *
 * The answer is "valid" or "not sure": what is invalid, or needs what is not known here (tables in enum, an escape in a key,
 * nesting beyond a bound ...), is for the functions of tasker.schema to look at again, which also say what is wrong. So a mistake
 * can only lie in calling valid what is not. */
#ifndef TK_BIND_SCHEMA_CHECK_H
#define TK_BIND_SCHEMA_CHECK_H
#include "base/arena.h"
#include "base/buf.h"

enum { TK_SCHEMA_NONE = -1 }; /* no schema there */
enum {
  TK_SCHEMA_NULL = 1,
  TK_SCHEMA_BOOLEAN = 2,
  TK_SCHEMA_OBJECT = 4,
  TK_SCHEMA_ARRAY = 8,
  TK_SCHEMA_NUMBER = 16,
  TK_SCHEMA_STRING = 32,
  TK_SCHEMA_INTEGER = 64
};

typedef struct tk_schema_list {
  uint32_t count;
  int32_t *schemas;
} tk_schema_list;

/* A scalar of enum and const. */
typedef struct tk_schema_value {
  uint8_t type; /* one of TK_SCHEMA_*; INTEGER is NUMBER here */
  bool boolean;
  long double number; /* holds 64-bit integers and doubles exactly */
  tk_slice text;
} tk_schema_value;

typedef struct tk_schema_property {
  tk_slice name;    /* data NULL: a free place of the table */
  int32_t schema;   /* or NONE */
  int32_t required; /* its bit, or -1 */
} tk_schema_property;

typedef struct tk_schema_bound {
  bool set, exclusive;
  long double value;
} tk_schema_bound;

typedef struct tk_schema_pattern {
  void *matcher; /* of bind/regex.h; borrows: the program holds it */
  int32_t schema;
} tk_schema_pattern;

typedef struct tk_schema_node {
  bool never;            /* the schema false */
  uint8_t types;         /* those allowed; 0: all */
  bool needs_elements;   /* an empty table of Lua would have to be looked at as a list */
  bool unique;
  tk_schema_value *values; /* of enum; NULL: any */
  uint32_t value_count;
  tk_schema_bound least, most;
  int64_t multiple_of;   /* 0: any */
  uint32_t length_min, length_max, items_min, items_max, properties_min, properties_max;
  void *matcher;         /* as in a pattern, or NULL */
  tk_schema_property *properties; /* an open hash table; NULL: none */
  uint32_t property_mask;
  uint64_t required;     /* bits that all have to come */
  tk_schema_pattern *patterns;
  uint32_t pattern_count;
  int32_t additional, items, negated, condition, then, otherwise;
  tk_schema_list prefix, all, any, one;
} tk_schema_node;

typedef struct tk_schema_program {
  tk_arena arena;        /* owns the nodes and all they point to */
  tk_schema_node *nodes;
  uint32_t count;
  tk_buf document;       /* scratch: the text taken apart */
  uint64_t steps;        /* of the check that runs */
} tk_schema_program;

uint32_t tk_schema_hash(tk_slice name);
/* Is the JSON text valid by the first node? false: not sure. The text is as our encoder writes it: no key twice. Calls no Lua. */
bool tk_schema_check(tk_schema_program *program, tk_slice text);

#endif
