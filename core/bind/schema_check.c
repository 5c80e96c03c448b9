/* DESIGN. The text is first taken apart into a flat list of values in the order of the text (a container is followed by what it
 * holds, and knows where that ends), so that branches of a schema can look at a value again without reading it again. */
#include "bind/schema_check.h"

#include <math.h>

#include "base/err.h"
#include "base/json_scan.h"
#include "base/utf8.h"
#include "bind/regex.h"

/* Deeper values and longer chains of references are looked at by the functions. */
#define DEPTH_MAX 160
/* Nodes that one check looks at: branches that all refer on double with each level. */
#define STEPS_MAX 2000000
#define UNESCAPED_MAX 1024
#define UNIQUE_MAX 64   /* elements compared with each other */
#define DOCUMENT_KEEP ((size_t)64 * 1024)

typedef enum verdict { INVALID, VALID, UNSURE } verdict;

typedef struct value {
  uint8_t type;       /* one of TK_SCHEMA_* */
  bool escaped;       /* of a string: it has escapes */
  bool boolean;
  uint32_t count;     /* bytes of a string; elements, or members: each a string and a value */
  uint32_t next;      /* index of the value behind it and what it holds */
  union {
    const char *text; /* borrows the input */
    int64_t integer;  /* INTEGER: written as one, or a double without fraction within 64 bits */
    double number;    /* NUMBER */
  };
} value;

typedef struct reader {
  tk_json_scan scan;
  tk_buf *out;
} reader;

typedef struct checker {
  tk_schema_program *program;
  const value *values;
} checker;

/* -- taking apart --------------------------------------------------------------------------------------------------------- */

static value *value_at(reader *r, size_t index) { return (value *)(void *)r->out->data + index; }

static size_t push_value(reader *r, uint8_t type) {
  value *v = (value *)(void *)tk_buf_reserve(r->out, sizeof *v);
  *v = (value){.type = type};
  r->out->size += sizeof *v;
  return r->out->size / sizeof *v - 1;
}

static bool read_text(reader *r) {
  size_t index = push_value(r, TK_SCHEMA_STRING);
  const char *start = ++r->scan.at;
  bool escaped;
  if (!tk_json_scan_string(&r->scan, &escaped)) return false;
  value *v = value_at(r, index);
  v->text = start;
  v->count = (uint32_t)(r->scan.at - 1 - start);
  v->escaped = escaped;
  v->next = (uint32_t)index + 1;
  return true;
}

static bool read_number(reader *r) {
  tk_json_num num;
  if (!tk_json_scan_number(&r->scan, &num)) return false;
  size_t index = push_value(r, TK_SCHEMA_INTEGER);
  value *v = value_at(r, index);
  v->next = (uint32_t)index + 1;
  if (num.is_integer) {
    v->integer = num.integer;
  } else {
    v->type = TK_SCHEMA_NUMBER;
    v->number = num.number;
  }
  return true;
}

static bool read_any(reader *r, int depth);

static bool read_container(reader *r, bool object, int depth) {
  size_t index = push_value(r, object ? TK_SCHEMA_OBJECT : TK_SCHEMA_ARRAY);
  char end = object ? '}' : ']';
  uint32_t count = 0;
  r->scan.at++;
  tk_json_scan_space(&r->scan);
  while (r->scan.at < r->scan.end && *r->scan.at != end) {
    if (count++ && *r->scan.at++ != ',') return false;
    tk_json_scan_space(&r->scan);
    if (object) {
      if (r->scan.at == r->scan.end || *r->scan.at != '"' || !read_text(r)) return false;
      tk_json_scan_space(&r->scan);
      if (r->scan.at == r->scan.end || *r->scan.at++ != ':') return false;
    }
    if (!read_any(r, depth + 1)) return false;
    tk_json_scan_space(&r->scan);
  }
  if (r->scan.at == r->scan.end) return false;
  r->scan.at++;
  value_at(r, index)->count = count;
  value_at(r, index)->next = (uint32_t)(r->out->size / sizeof(value));
  return true;
}

static bool read_word(reader *r, const char *word, uint8_t type) {
  size_t index = push_value(r, type);
  value_at(r, index)->boolean = *word == 't';
  value_at(r, index)->next = (uint32_t)index + 1;
  return tk_json_scan_word(&r->scan, word);
}

static bool read_any(reader *r, int depth) {
  tk_json_scan_space(&r->scan);
  if (r->scan.at == r->scan.end || depth > DEPTH_MAX) return false;
  switch (*r->scan.at) {
    case '"': return read_text(r);
    case '{': return read_container(r, true, depth);
    case '[': return read_container(r, false, depth);
    case 't': return read_word(r, "true", TK_SCHEMA_BOOLEAN);
    case 'f': return read_word(r, "false", TK_SCHEMA_BOOLEAN);
    case 'n': return read_word(r, "null", TK_SCHEMA_NULL);
    default: return read_number(r);
  }
}

/* -- looking at values ---------------------------------------------------------------------------------------------------- */

static verdict both(verdict a, verdict b) {
  if (a == INVALID || b == INVALID) return INVALID;
  return a == VALID ? b : a;
}

static verdict known(bool ok) { return ok ? VALID : INVALID; }

static bool is_number(const value *v) { return v->type == TK_SCHEMA_NUMBER || v->type == TK_SCHEMA_INTEGER; }

static long double number_of(const value *v) {
  return v->type == TK_SCHEMA_INTEGER ? (long double)v->integer : (long double)v->number;
}

static bool has_type(const value *v, uint8_t types) {
  if (types == 0 || (v->type & types)) return true;
  if (v->type == TK_SCHEMA_INTEGER) return types & TK_SCHEMA_NUMBER;
  return v->type == TK_SCHEMA_NUMBER && (types & TK_SCHEMA_INTEGER) && floor(v->number) == v->number;
}

/* The text of a string without its escapes; false when it is too long for `room`. */
static bool plain_text(const value *v, char room[UNESCAPED_MAX], tk_slice *out) {
  *out = tk_slice_of(v->text, v->count);
  if (!v->escaped) return true;
  if (v->count > UNESCAPED_MAX) return false;
  *out = tk_slice_of(room, tk_json_unescape(*out, room));
  return true;
}

static uint32_t characters(tk_slice text) {
  uint32_t count = 0;
  for (size_t i = 0; i < text.size; i++) count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
  return count;
}

static verdict check_text(const tk_schema_node *node, const value *v) {
  if (node->length_min == 0 && node->length_max == UINT32_MAX && !node->matcher) return VALID;
  char room[UNESCAPED_MAX];
  tk_slice text;
  if (!plain_text(v, room, &text)) return UNSURE;
  if (node->length_min > 0 || node->length_max < UINT32_MAX) {
    uint32_t length = characters(text);
    if (length < node->length_min || length > node->length_max) return INVALID;
  }
  if (!node->matcher) return VALID;
  int found = tk_regex_match(node->matcher, text);
  return found < 0 ? UNSURE : known(found);
}

static verdict check_number(const tk_schema_node *node, const value *v) {
  long double number = number_of(v);
  if (node->least.set && (node->least.exclusive ? number <= node->least.value : number < node->least.value)) return INVALID;
  if (node->most.set && (node->most.exclusive ? number >= node->most.value : number > node->most.value)) return INVALID;
  if (!node->multiple_of) return VALID;
  return v->type == TK_SCHEMA_INTEGER ? known(v->integer % node->multiple_of == 0) : UNSURE;
}

static bool is_scalar(const value *v) { return v->type != TK_SCHEMA_OBJECT && v->type != TK_SCHEMA_ARRAY; }

static verdict check_values(const tk_schema_node *node, const value *v) {
  char room[UNESCAPED_MAX];
  tk_slice text = {0};
  if (!is_scalar(v)) return INVALID;
  if (v->type == TK_SCHEMA_STRING && !plain_text(v, room, &text)) return UNSURE;
  for (uint32_t i = 0; i < node->value_count; i++) {
    const tk_schema_value *wanted = &node->values[i];
    if (is_number(v) ? wanted->type != TK_SCHEMA_NUMBER : wanted->type != v->type) continue;
    if (v->type == TK_SCHEMA_STRING) {
      if (tk_slice_eq(text, wanted->text)) return VALID;
    } else if (is_number(v)) {
      if (number_of(v) == wanted->number) return VALID;
    } else if (v->type == TK_SCHEMA_NULL || v->boolean == wanted->boolean) {
      return VALID;
    }
  }
  return INVALID;
}

static verdict check(checker *c, int32_t schema, const value *v, int depth);

static verdict check_unique(const checker *c, const value *v) {
  const value *first = v + 1, *end = c->values + v->next;
  if (v->count > UNIQUE_MAX) return UNSURE;
  for (const value *a = first; a < end; a++) {
    if (!is_scalar(a) || a->escaped) return UNSURE;
    for (const value *b = first; b < a; b++) {
      bool equal = is_number(a) ? is_number(b) && number_of(a) == number_of(b)
                   : a->type != b->type ? false
                   : a->type == TK_SCHEMA_STRING ? tk_slice_eq(tk_slice_of(a->text, a->count), tk_slice_of(b->text, b->count))
                                                 : a->boolean == b->boolean;
      if (equal) return INVALID;
    }
  }
  return VALID;
}

static verdict check_array(checker *c, const tk_schema_node *node, const value *v, int depth) {
  verdict result = VALID;
  if (v->count < node->items_min || v->count > node->items_max) return INVALID;
  if (node->unique && (result = check_unique(c, v)) == INVALID) return INVALID;
  if (node->prefix.count == 0 && node->items == TK_SCHEMA_NONE) return result;
  uint32_t index = 0;
  for (const value *element = v + 1; element < c->values + v->next; element = c->values + element->next, index++) {
    int32_t schema = index < node->prefix.count ? node->prefix.schemas[index] : node->items;
    if (schema == TK_SCHEMA_NONE) break;
    result = both(result, check(c, schema, element, depth));
    if (result == INVALID) return INVALID;
  }
  return result;
}

static const tk_schema_property *find_property(const tk_schema_node *node, tk_slice name) {
  if (!node->properties) return NULL;
  for (uint32_t i = tk_schema_hash(name) & node->property_mask;; i = (i + 1) & node->property_mask) {
    const tk_schema_property *property = &node->properties[i];
    if (!property->name.data) return NULL;
    if (tk_slice_eq(property->name, name)) return property;
  }
}

/* One member: by its name, by the patterns its name matches, or as an additional one. */
static verdict check_member(checker *c, const tk_schema_node *node, tk_slice name, const value *element, uint64_t *seen, int depth) {
  const tk_schema_property *property = find_property(node, name);
  verdict result = VALID;
  bool is_known = false;
  if (property) {
    if (property->required >= 0) *seen |= UINT64_C(1) << property->required;
    if (property->schema != TK_SCHEMA_NONE) {
      is_known = true;
      result = check(c, property->schema, element, depth);
    }
  }
  for (uint32_t i = 0; i < node->pattern_count && result != INVALID; i++) {
    int found = tk_regex_match(node->patterns[i].matcher, name);
    if (found < 0) return UNSURE;
    if (found) {
      is_known = true;
      result = both(result, check(c, node->patterns[i].schema, element, depth));
    }
  }
  if (!is_known && node->additional != TK_SCHEMA_NONE) result = check(c, node->additional, element, depth);
  return result;
}

static verdict check_object(checker *c, const tk_schema_node *node, const value *v, int depth) {
  verdict result = VALID;
  uint64_t seen = 0;
  if (v->count < node->properties_min || v->count > node->properties_max) return INVALID;
  if (!node->properties && !node->pattern_count && node->additional == TK_SCHEMA_NONE) return VALID;
  const value *end = c->values + v->next;
  for (const value *key = v + 1; key < end; key = c->values + key[1].next) {
    if (key->escaped) return UNSURE;
    result = both(result, check_member(c, node, tk_slice_of(key->text, key->count), key + 1, &seen, depth));
    if (result == INVALID) return INVALID;
  }
  return both(result, known(seen == node->required));
}

/* -- schemas in schemas --------------------------------------------------------------------------------------------------- */

static verdict check_all(checker *c, const tk_schema_list *list, const value *v, int depth) {
  verdict result = VALID;
  for (uint32_t i = 0; i < list->count && result != INVALID; i++) result = both(result, check(c, list->schemas[i], v, depth));
  return result;
}

static verdict check_any(checker *c, const tk_schema_list *list, const value *v, int depth) {
  verdict result = INVALID;
  for (uint32_t i = 0; i < list->count; i++) {
    verdict one = check(c, list->schemas[i], v, depth);
    if (one == VALID) return VALID;
    if (one == UNSURE) result = UNSURE;
  }
  return result;
}

static verdict check_one(checker *c, const tk_schema_list *list, const value *v, int depth) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < list->count; i++) {
    verdict one = check(c, list->schemas[i], v, depth);
    if (one == UNSURE) return UNSURE;
    count += one == VALID;
  }
  return known(count == 1);
}

static verdict check_branches(checker *c, const tk_schema_node *node, const value *v, int depth) {
  verdict result = VALID;
  if (node->all.count) result = check_all(c, &node->all, v, depth);
  if (result != INVALID && node->any.count) result = both(result, check_any(c, &node->any, v, depth));
  if (result != INVALID && node->one.count) result = both(result, check_one(c, &node->one, v, depth));
  if (result != INVALID && node->negated != TK_SCHEMA_NONE) {
    verdict negated = check(c, node->negated, v, depth);
    result = both(result, negated == UNSURE ? UNSURE : known(negated == INVALID));
  }
  if (result != INVALID && node->condition != TK_SCHEMA_NONE) {
    verdict condition = check(c, node->condition, v, depth);
    int32_t branch = condition == VALID ? node->then : node->otherwise;
    if (condition == UNSURE) return UNSURE;
    if (branch != TK_SCHEMA_NONE) result = both(result, check(c, branch, v, depth));
  }
  return result;
}

static verdict check(checker *c, int32_t schema, const value *v, int depth) {
  const tk_schema_node *node = &c->program->nodes[schema];
  if (depth > DEPTH_MAX || ++c->program->steps > STEPS_MAX) return UNSURE;
  if (node->never) return INVALID;
  bool is_empty = v->type == TK_SCHEMA_OBJECT && v->count == 0;
  if (is_empty && node->needs_elements) return UNSURE;
  if (!has_type(v, node->types)) return INVALID;
  verdict result = VALID;
  if (node->values && (result = check_values(node, v)) == INVALID) return INVALID;
  verdict own = VALID;
  switch (v->type) {
    case TK_SCHEMA_STRING: own = check_text(node, v); break;
    case TK_SCHEMA_INTEGER:
    case TK_SCHEMA_NUMBER: own = check_number(node, v); break;
    case TK_SCHEMA_ARRAY: own = check_array(c, node, v, depth + 1); break;
    case TK_SCHEMA_OBJECT: own = check_object(c, node, v, depth + 1); break;
    default: break;
  }
  result = both(result, own);
  return result == INVALID ? INVALID : both(result, check_branches(c, node, v, depth + 1));
}

uint32_t tk_schema_hash(tk_slice name) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < name.size; i++) hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
  return hash ^ hash >> 15;
}

bool tk_schema_check(tk_schema_program *program, tk_slice text) {
  TK_ASSERT(program->count > 0);
  reader r = {{text.data, text.data + text.size, ""}, &program->document};
  if (text.size > UINT32_MAX / sizeof(value)) return false;
  tk_buf_clear(&program->document);
  bool ok = read_any(&r, 0);
  if (ok) {
    tk_json_scan_space(&r.scan);
    ok = r.scan.at == r.scan.end;
  }
  if (ok) {
    checker c = {program, (const value *)(const void *)program->document.data};
    program->steps = 0;
    ok = check(&c, 0, c.values, 0) == VALID;
  }
  if (program->document.capacity > DOCUMENT_KEEP) tk_buf_free(&program->document);
  return ok;
}
