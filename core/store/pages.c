/* See pages.h. A page: number u64, pad u16, flags u16, then lower and upper u16 (end of the offsets, start of the nodes) or, on
 * the first page of a large value, the number of its pages u32. Offsets of nodes follow. A node: low u16, high u16, flags u16,
 * key size u16, key, data; low and high are the data's size in a leaf, and the child's page, with the flags as its upper bits, in
 * a branch. All little endian. */
#include "store/pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define MAGIC 0xBEEFC0DEu
#define META_SIZE 152
#define HEADER 16
#define NODE_HEADER 8
#define TREE_SIZE 48
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32
#define DAMAGES_MAX 100           /* more are the same damage */
#define PAGES_MAX ((uint64_t)1 << 36)

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, PAGE_KINDS = 15 };
enum { NODE_BIG = 1, NODE_TREE = 2 };

typedef struct walk {
  int fd;
  const tk_pages_meta *meta;
  uint64_t file_pages;            /* whole pages in the file */
  uint8_t *seen;                  /* a bit for each page that something leads to; NULL: not deep */
  void (*report)(void *context, const char *what);
  void *context;
  int damages;
} walk;

/* One tree on its way down. */
typedef struct tree_walk {
  walk *w;
  char name[64];                  /* for people */
  const tk_pages_tree *tree;
  bool free_list;              /* the free list: numbers in the machine's order */
  bool lists_tables;              /* the main tree */
  uint64_t branch_pages, leaf_pages, overflow_pages, entries;
} tree_walk;

static uint16_t get_u16(const uint8_t *at) { uint16_t v; memcpy(&v, at, 2); return v; }
static uint32_t get_u32(const uint8_t *at) { uint32_t v; memcpy(&v, at, 4); return v; }
static uint64_t get_u64(const uint8_t *at) { uint64_t v; memcpy(&v, at, 8); return v; }

static void say(walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(walk *w, const char *format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (w->damages++ < DAMAGES_MAX && w->report) w->report(w->context, text);
}

/* ---- Headers ---- */

static tk_pages_tree read_tree(const uint8_t *at) {
  return (tk_pages_tree){get_u16(at + 4),  get_u16(at + 6),  get_u64(at + 8), get_u64(at + 16),
                         get_u64(at + 24), get_u64(at + 32), get_u64(at + 40)};
}

static bool read_meta(int fd, uint64_t offset, tk_pages_meta *out) {
  uint8_t bytes[META_SIZE];
  *out = (tk_pages_meta){0};
  if (pread(fd, bytes, sizeof bytes, (off_t)offset) != (ssize_t)sizeof bytes) return false;
  if (!(get_u16(bytes + 10) & PAGE_META) || get_u32(bytes + 16) != MAGIC) return false;
  out->version = get_u32(bytes + 20);
  out->map_size = get_u64(bytes + 32);
  out->page_size = get_u32(bytes + 40);
  out->free = read_tree(bytes + 40);
  out->main = read_tree(bytes + 88);
  out->last_page = get_u64(bytes + 136);
  out->txn = get_u64(bytes + 144);
  bool power = out->page_size >= 256 && out->page_size <= 65536 && (out->page_size & (out->page_size - 1)) == 0;
  out->valid = power && out->last_page >= 1 && out->last_page < PAGES_MAX;
  return out->valid;
}

bool tk_pages_read_metas(int fd, tk_pages_meta out[2]) {
  long system = sysconf(_SC_PAGESIZE);
  read_meta(fd, 0, &out[0]);
  read_meta(fd, out[0].valid ? out[0].page_size : (uint64_t)system, &out[1]);
  return out[0].valid || out[1].valid;
}

/* ---- Pages ---- */

/* Marks a run of pages as led to; false (and said) when one is out of range or was led to before. */
static bool mark(tree_walk *t, uint64_t first, uint64_t count) {
  walk *w = t->w;
  if (first < 2 || first > w->meta->last_page || count > w->meta->last_page - first + 1) {
    say(w, "%s leads to page %llu, which the file does not have", t->name, (unsigned long long)first);
    return false;
  }
  if (first + count > w->file_pages) {
    say(w, "%s leads to page %llu, which was cut off: the file ends before it", t->name, (unsigned long long)first);
    return false;
  }
  for (uint64_t page = first; w->seen && page < first + count; page++) {
    if (w->seen[page / 8] & 1 << page % 8) {
      say(w, "%s leads to page %llu, which has another use already", t->name, (unsigned long long)page);
      return false;
    }
    w->seen[page / 8] |= (uint8_t)(1 << page % 8);
  }
  return true;
}

static bool read_page(tree_walk *t, uint64_t page, size_t size, uint8_t *out) {
  ssize_t got = pread(t->w->fd, out, size, (off_t)(page * t->w->meta->page_size));
  if (got == (ssize_t)size && get_u64(out) == page) return true;
  say(t->w, got == (ssize_t)size ? "%s: page %llu has another page's number" : "%s: page %llu cannot be read", t->name,
      (unsigned long long)page);
  return false;
}

static const uint8_t *node_at(const uint8_t *page, unsigned index) { return page + get_u16(page + HEADER + 2 * index); }
static unsigned node_count(const uint8_t *page) { return (get_u16(page + 12) - HEADER) / 2u; }
static tk_slice node_key(const uint8_t *node) { return tk_slice_of(node + NODE_HEADER, get_u16(node + 6)); }
static uint64_t node_size(const uint8_t *node) { return get_u16(node) | (uint64_t)get_u16(node + 2) << 16; }
static uint64_t node_child(const uint8_t *node) { return node_size(node) | (uint64_t)get_u16(node + 4) << 32; }

static int compare_keys(const tree_walk *t, tk_slice a, tk_slice b) {
  if (t->free_list && a.size == 8 && b.size == 8) {
    uint64_t x = get_u64((const uint8_t *)a.data), y = get_u64((const uint8_t *)b.data);
    return (x > y) - (x < y);
  }
  size_t size = a.size < b.size ? a.size : b.size;
  int order = size ? memcmp(a.data, b.data, size) : 0;
  return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Every node lies in the page, and keys rise within [low, high) (empty: no bound). */
static const char *page_fault(const tree_walk *t, const uint8_t *page, bool branch, tk_slice low, tk_slice high) {
  unsigned size = t->w->meta->page_size, lower = get_u16(page + 12), upper = get_u16(page + 14);
  if (lower < HEADER || lower % 2 || lower > upper || upper > size) return "has impossible bounds";
  unsigned count = node_count(page);
  if (count < (branch ? 2u : 1u)) return "is empty";
  for (unsigned i = 0; i < count; i++) {
    unsigned offset = get_u16(page + HEADER + 2 * i);
    if (offset < upper || offset + NODE_HEADER > size) return "has a node outside of it";
    const uint8_t *node = page + offset;
    uint64_t data = branch ? 0 : get_u16(node + 4) & NODE_BIG ? 8 : node_size(node);
    if (offset + NODE_HEADER + get_u16(node + 6) + data > size) return "has a node that ends outside of it";
    if (branch && i == 0) continue;               /* its key is not used */
    tk_slice key = node_key(node);
    if (i > (branch ? 1u : 0u) && compare_keys(t, node_key(node_at(page, i - 1)), key) >= 0) return "has keys out of order";
    if ((low.size && compare_keys(t, key, low) < 0) || (high.size && compare_keys(t, key, high) >= 0))
      return "has keys that belong elsewhere";
  }
  return NULL;
}

static void walk_tree(walk *w, const tk_pages_tree *tree, const char *name, bool free_list, bool lists_tables);

/* False when the value is not to be had. */
static bool walk_large_value(tree_walk *t, const uint8_t *node) {
  uint64_t page = get_u64(node + NODE_HEADER + get_u16(node + 6)), size = t->w->meta->page_size;
  uint64_t pages = (HEADER + node_size(node) + size - 1) / size;
  uint8_t header[HEADER];
  if (!mark(t, page, pages) || !read_page(t, page, sizeof header, header)) return false;
  t->overflow_pages += pages;
  if ((get_u16(header + 10) & PAGE_OVERFLOW) && get_u32(header + 12) == pages) return true;
  say(t->w, "%s: page %llu does not hold the large value that it should", t->name, (unsigned long long)page);
  return false;
}

/* A record of the free list: count, then page numbers. None may have a use. */
static void check_free_pages(tree_walk *t, const uint8_t *list, uint64_t size) {
  walk *w = t->w;
  uint64_t count = size >= 8 ? get_u64(list) : UINT64_MAX;
  if (size % 8 || count != size / 8 - 1) {
    say(w, "%s has a record that is no list of pages", t->name);
    return;
  }
  for (uint64_t i = 1; i <= count; i++) {
    uint64_t page = get_u64(list + 8 * i);
    if (page < 2 || page > w->meta->last_page)
      say(w, "%s has page %llu, which the file does not have", t->name, (unsigned long long)page);
    else if (w->seen[page / 8] & 1 << page % 8) say(w, "%s has page %llu, which is in use", t->name, (unsigned long long)page);
    else w->seen[page / 8] |= (uint8_t)(1 << page % 8);
  }
}

static void check_free_node(tree_walk *t, const uint8_t *node) {
  uint64_t size = node_size(node), page_size = t->w->meta->page_size;
  const uint8_t *data = node + NODE_HEADER + get_u16(node + 6);
  if (!(get_u16(node + 4) & NODE_BIG)) {
    check_free_pages(t, data, size);
    return;
  }
  uint8_t *copy = tk_malloc(size);
  if (pread(t->w->fd, copy, size, (off_t)(get_u64(data) * page_size + HEADER)) == (ssize_t)size) check_free_pages(t, copy, size);
  tk_free(copy);
}

static void walk_leaf(tree_walk *t, const uint8_t *page) {
  unsigned count = node_count(page);
  t->leaf_pages++;
  t->entries += count;
  for (unsigned i = 0; i < count; i++) {
    const uint8_t *node = node_at(page, i);
    uint16_t flags = get_u16(node + 4);
    tk_slice key = node_key(node);
    if (flags & ~(NODE_BIG | NODE_TREE))
      say(t->w, "%s: page %llu has a node of unknown kind", t->name, (unsigned long long)get_u64(page));
    if (flags & NODE_TREE) {
      char name[64];
      tk_pages_tree tree = {0};
      if (t->lists_tables && node_size(node) == TREE_SIZE) tree = read_tree(node + NODE_HEADER + key.size);
      snprintf(name, sizeof name, "table %.*s", (int)(key.size < 40 ? key.size : 40), key.data);
      if (t->lists_tables && node_size(node) == TREE_SIZE) walk_tree(t->w, &tree, name, false, false);
      else say(t->w, "%s: page %llu has a table where none should be", t->name, (unsigned long long)get_u64(page));
    } else if (t->w->seen && (!(flags & NODE_BIG) || walk_large_value(t, node)) && t->free_list) {
      check_free_node(t, node);
    }
  }
}

static void walk_page(tree_walk *t, uint64_t number, unsigned depth, tk_slice low, tk_slice high) {
  walk *w = t->w;
  bool branch = depth < t->tree->depth;
  if (w->damages >= DAMAGES_MAX || !mark(t, number, 1)) return;
  uint8_t *page = tk_malloc(w->meta->page_size);
  if (read_page(t, number, w->meta->page_size, page)) {
    bool kind = (get_u16(page + 10) & PAGE_KINDS) == (branch ? PAGE_BRANCH : PAGE_LEAF);
    const char *fault = kind ? page_fault(t, page, branch, low, high) : "is of another kind";
    if (fault) {
      say(w, "%s: page %llu %s", t->name, (unsigned long long)number, fault);
    } else if (!branch) {
      if (w->seen || t->lists_tables) walk_leaf(t, page);
    } else if (w->seen || t->lists_tables) {
      t->branch_pages++;
      for (unsigned i = 0; i < node_count(page); i++)
        walk_page(t, node_child(node_at(page, i)), depth + 1, i ? node_key(node_at(page, i)) : low,
                  i + 1 < node_count(page) ? node_key(node_at(page, i + 1)) : high);
    }
  }
  tk_free(page);
}

static void walk_tree(walk *w, const tk_pages_tree *tree, const char *name, bool free_list, bool lists_tables) {
  tree_walk t = {.w = w, .tree = tree, .free_list = free_list, .lists_tables = lists_tables};
  snprintf(t.name, sizeof t.name, "%s", name);
  if (tree->root == NO_PAGE) {
    if (tree->entries) say(w, "%s has lost its root", t.name);
    return;
  }
  if (tree->depth == 0 || tree->depth > DEPTH_MAX) {
    say(w, "%s has an impossible depth", t.name);
    return;
  }
  int before = w->damages;
  tk_slice none = {0};
  walk_page(&t, tree->root, 1, none, none);
  if (!w->seen || w->damages != before) return;
  if (t.entries != tree->entries || t.branch_pages != tree->branch_pages || t.leaf_pages != tree->leaf_pages ||
      t.overflow_pages != tree->overflow_pages)
    say(w, "%s: its counts of pages and entries are not those of its header", t.name);
}

int tk_pages_walk(int fd, const tk_pages_meta *meta, bool deep, void (*report)(void *context, const char *what), void *context) {
  struct stat st;
  walk w = {.fd = fd, .meta = meta, .report = report, .context = context};
  if (fstat(fd, &st)) return 1;
  w.file_pages = (uint64_t)st.st_size / meta->page_size;
  if (deep) w.seen = tk_calloc(1, meta->last_page / 8 + 1);
  walk_tree(&w, &meta->main, "the list of tables", false, true);
  walk_tree(&w, &meta->free, "the list of free pages", true, false);
  tk_free(w.seen);
  return w.damages;
}
