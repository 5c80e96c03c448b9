#include "store/semver.h"

typedef struct semver { tk_slice parts[3], pre; bool valid; } semver;

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Takes "0" or a number without leading zero from the front. */
static bool take_number(tk_slice *text, tk_slice *out) {
  size_t size = 0;
  while (size < text->size && digit(text->data[size])) size++;
  if (size == 0 || (size > 1 && text->data[0] == '0')) return false;
  *out = tk_slice_of(text->data, size);
  *text = tk_slice_of(text->data + size, text->size - size);
  return true;
}

static bool take(tk_slice *text, char c) {
  if (text->size == 0 || text->data[0] != c) return false;
  *text = tk_slice_of(text->data + 1, text->size - 1);
  return true;
}

static semver parse(tk_slice text) {
  semver v = {.valid = true};
  for (int i = 0; i < 3 && v.valid; i++) v.valid = (i == 0 || take(&text, '.')) && take_number(&text, &v.parts[i]);
  if (!v.valid) return v;
  if (take(&text, '-')) {
    const char *build = memchr(text.data, '+', text.size);
    v.pre = tk_slice_of(text.data, build ? (size_t)(build - text.data) : text.size);
    return v;
  }
  v.valid = text.size == 0 || text.data[0] == '+';
  return v;
}

static int compare_bytes(tk_slice a, tk_slice b) {
  size_t size = a.size < b.size ? a.size : b.size;
  int order = size ? memcmp(a.data, b.data, size) : 0;
  return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Numbers without leading zeros: the longer one is greater. */
static int compare_numbers(tk_slice a, tk_slice b) { return a.size != b.size ? (a.size > b.size ? 1 : -1) : compare_bytes(a, b); }

static tk_slice next_identifier(tk_slice *list) {
  const char *dot = memchr(list->data, '.', list->size);
  tk_slice first = tk_slice_of(list->data, dot ? (size_t)(dot - list->data) : list->size);
  size_t skip = first.size + (dot ? 1 : 0);
  *list = tk_slice_of(list->data + skip, list->size - skip);
  return first;
}

static bool numeric(tk_slice text) {
  for (size_t i = 0; i < text.size; i++)
    if (!digit(text.data[i])) return false;
  return text.size > 0;
}

static int compare_pre(tk_slice a, tk_slice b) {
  if (!a.size || !b.size) return (a.size == 0) - (b.size == 0);   /* a release is greater than its pre-releases */
  while (a.size && b.size) {
    tk_slice x = next_identifier(&a), y = next_identifier(&b);
    bool nx = numeric(x), ny = numeric(y);
    int order = nx != ny ? (nx ? -1 : 1) : nx ? compare_numbers(x, y) : compare_bytes(x, y);
    if (order) return order;
  }
  return (a.size > 0) - (b.size > 0);
}

int tk_semver_compare(tk_slice a, tk_slice b) {
  semver x = parse(a), y = parse(b);
  if (!x.valid || !y.valid) return x.valid != y.valid ? (x.valid ? 1 : -1) : compare_bytes(a, b);
  for (int i = 0; i < 3; i++) {
    int order = compare_numbers(x.parts[i], y.parts[i]);
    if (order) return order;
  }
  return compare_pre(x.pre, y.pre);
}
