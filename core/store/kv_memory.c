/* The ordered key-value engine in memory: one B+tree per table, never changed where somebody else can see it.
 *
 * A version is the set of roots at one commit. Readers hold the version they began with; the writer copies the nodes on the way
 * to what it changes (a node made in the running transaction is changed in place) and a commit makes its version the current one.
 * Nodes and items are counted by reference, so a version that nobody holds goes away by itself, and no reader ever waits for the
 * writer.
 *
 * A branch's items[i] is a lower bound of what is below children[i] (but for the first child, which also takes all that is
 * lower). Nodes that run empty are taken out; others are not merged: tables that shrink do so from an end.
 *
 * Threads: as kv.h. `current` is shared, under the mutex. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "store/kv.h"

#define ORDER 32                  /* entries of a node */
#define DEPTH_MAX 16              /* 2^80 entries at the least */

typedef struct item {
  atomic_uint refs;
  uint32_t key_size;
  size_t value_size;
  char bytes[];                   /* key, value */
} item;

typedef struct node {
  atomic_uint refs;
  bool leaf;
  uint8_t count;
  uint64_t maker;                 /* the write transaction that made it: may change it in place */
  item *items[ORDER];
  struct node *children[];        /* ORDER of a branch, none of a leaf */
} node;

typedef struct version {
  atomic_uint refs;
  node *roots[TK_TABLE_COUNT];    /* NULL: empty */
  uint64_t counts[TK_TABLE_COUNT];
} version;

typedef struct memory memory;
typedef struct memory_txn {
  tk_kv_txn base;
  memory *kv;
  version *version;
  bool write;
} memory_txn;

struct memory {
  tk_kv base;
  pthread_mutex_t mutex;
  version *current;
  memory_txn writer;
  uint64_t writes;                /* number of the running or last write transaction */
  atomic_ullong bytes;            /* of items and nodes */
  atomic_uint readers;
};

typedef struct memory_cursor {
  tk_kv_cursor base;
  memory_txn *txn;
  tk_table table;
  int depth;                      /* of the leaf in the path; -1: nowhere */
  node *nodes[DEPTH_MAX];
  uint8_t at[DEPTH_MAX];
} memory_cursor;

static const tk_kv_ops memory_ops;

/* ---- Items and nodes ---- */

static tk_slice item_key(const item *it) { return tk_slice_of(it->bytes, it->key_size); }
static tk_slice item_value(const item *it) { return tk_slice_of(it->bytes + it->key_size, it->value_size); }
static size_t item_bytes(const item *it) { return sizeof *it + it->key_size + it->value_size; }
static size_t node_bytes(bool leaf) { return sizeof(node) + (leaf ? 0 : ORDER * sizeof(node *)); }

static item *new_item(memory *kv, tk_slice key, tk_slice value) {
  item *it = tk_malloc(sizeof *it + key.size + value.size);
  atomic_init(&it->refs, 1);
  it->key_size = (uint32_t)key.size;
  it->value_size = value.size;
  if (key.size) memcpy(it->bytes, key.data, key.size);
  if (value.size) memcpy(it->bytes + key.size, value.data, value.size);
  atomic_fetch_add(&kv->bytes, item_bytes(it));
  return it;
}

static item *keep_item(item *it) {
  atomic_fetch_add(&it->refs, 1);
  return it;
}

static void drop_item(memory *kv, item *it) {
  if (atomic_fetch_sub(&it->refs, 1) != 1) return;
  atomic_fetch_sub(&kv->bytes, item_bytes(it));
  tk_free(it);
}

static node *new_node(memory *kv, bool leaf) {
  node *n = tk_malloc(node_bytes(leaf));
  atomic_init(&n->refs, 1);
  n->leaf = leaf;
  n->count = 0;
  n->maker = kv->writes;
  atomic_fetch_add(&kv->bytes, node_bytes(leaf));
  return n;
}

static node *keep_node(node *n) {
  if (n) atomic_fetch_add(&n->refs, 1);
  return n;
}

static void drop_node(memory *kv, node *n) {
  if (!n || atomic_fetch_sub(&n->refs, 1) != 1) return;
  for (int i = 0; i < n->count; i++) {
    drop_item(kv, n->items[i]);
    if (!n->leaf) drop_node(kv, n->children[i]);
  }
  atomic_fetch_sub(&kv->bytes, node_bytes(n->leaf));
  tk_free(n);
}

/* Makes *at a node that this transaction may change. */
static node *own_node(memory *kv, node **at) {
  node *n = *at;
  if (n->maker == kv->writes) return n;
  node *copy = new_node(kv, n->leaf);
  copy->count = n->count;
  for (int i = 0; i < n->count; i++) {
    copy->items[i] = keep_item(n->items[i]);
    if (!n->leaf) copy->children[i] = keep_node(n->children[i]);
  }
  drop_node(kv, n);
  *at = copy;
  return copy;
}

static int compare(tk_slice a, tk_slice b) {
  size_t size = a.size < b.size ? a.size : b.size;
  int order = size ? memcmp(a.data, b.data, size) : 0;
  return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* The first entry >= key; *equal when it is the key. */
static int lower_bound(const node *n, tk_slice key, bool *equal) {
  int low = 0, high = n->count;
  *equal = false;
  while (low < high) {
    int middle = (low + high) / 2, order = compare(item_key(n->items[middle]), key);
    if (order == 0) {
      *equal = true;
      return middle;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int child_for(const node *n, tk_slice key) {
  bool equal;
  int at = lower_bound(n, key, &equal);
  return equal || at == 0 ? at : at - 1;
}

/* ---- Changing ---- */

static void insert_entry(node *n, int at, item *it, node *child) {
  memmove(&n->items[at + 1], &n->items[at], (size_t)(n->count - at) * sizeof *n->items);
  if (!n->leaf) memmove(&n->children[at + 1], &n->children[at], (size_t)(n->count - at) * sizeof *n->children);
  n->items[at] = it;
  if (!n->leaf) n->children[at] = child;
  n->count++;
}

/* Moves the entries from `from` on to a new right neighbour. */
static node *split_node(memory *kv, node *n, int from) {
  node *right = new_node(kv, n->leaf);
  right->count = (uint8_t)(n->count - from);
  memcpy(right->items, &n->items[from], right->count * sizeof *n->items);
  if (!n->leaf) memcpy(right->children, &n->children[from], right->count * sizeof *n->children);
  n->count = (uint8_t)from;
  return right;
}

/* Takes the item (and child) over; returns a new right neighbour of n when it was full. An entry at the end leaves n full. */
static node *add_entry(memory *kv, node *n, int at, item *it, node *child) {
  if (n->count < ORDER) {
    insert_entry(n, at, it, child);
    return NULL;
  }
  node *right = split_node(kv, n, at == n->count ? at : ORDER / 2);
  if (at > n->count || right->count == 0) insert_entry(right, at - n->count, it, child);
  else insert_entry(n, at, it, child);
  return right;
}

/* Takes the item over. *added: the key is new. Returns a new right neighbour of *place, or NULL. */
static node *put_item(memory *kv, node **place, item *it, bool *added) {
  node *n = own_node(kv, place);
  bool equal;
  if (n->leaf) {
    int at = lower_bound(n, item_key(it), &equal);
    *added = !equal;
    if (!equal) return add_entry(kv, n, at, it, NULL);
    drop_item(kv, n->items[at]);
    n->items[at] = it;
    return NULL;
  }
  int at = child_for(n, item_key(it));
  node *right = put_item(kv, &n->children[at], it, added);
  return right ? add_entry(kv, n, at + 1, keep_item(right->items[0]), right) : NULL;
}

static void remove_entry(memory *kv, node *n, int at) {
  drop_item(kv, n->items[at]);
  n->count--;
  memmove(&n->items[at], &n->items[at + 1], (size_t)(n->count - at) * sizeof *n->items);
  if (!n->leaf) memmove(&n->children[at], &n->children[at + 1], (size_t)(n->count - at) * sizeof *n->children);
}

/* The key is there. A child that ran empty is taken out by its parent. */
static void delete_key(memory *kv, node **place, tk_slice key) {
  node *n = own_node(kv, place);
  bool equal;
  if (n->leaf) {
    remove_entry(kv, n, lower_bound(n, key, &equal));
    return;
  }
  int at = child_for(n, key);
  delete_key(kv, &n->children[at], key);
  if (n->children[at]->count) return;
  drop_node(kv, n->children[at]);
  remove_entry(kv, n, at);
}

static item *find_item(node *n, tk_slice key) {
  bool equal;
  while (n && !n->leaf) n = n->children[child_for(n, key)];
  if (!n) return NULL;
  int at = lower_bound(n, key, &equal);
  return equal ? n->items[at] : NULL;
}

/* ---- Transactions ---- */

static version *take_current(memory *kv) {
  pthread_mutex_lock(&kv->mutex);
  version *v = kv->current;
  atomic_fetch_add(&v->refs, 1);
  pthread_mutex_unlock(&kv->mutex);
  return v;
}

static void drop_version(memory *kv, version *v) {
  if (atomic_fetch_sub(&v->refs, 1) != 1) return;
  for (int i = 0; i < TK_TABLE_COUNT; i++) drop_node(kv, v->roots[i]);
  tk_free(v);
}

static int memory_begin(tk_kv *base, bool write, tk_kv_txn **out, tk_err *err) {
  memory *kv = (memory *)base;
  (void)err;
  if (!write) {
    memory_txn *txn = tk_malloc(sizeof *txn);
    *txn = (memory_txn){{&memory_ops}, kv, take_current(kv), false};
    atomic_fetch_add(&kv->readers, 1);
    *out = &txn->base;
    return 0;
  }
  TK_ASSERT(!kv->writer.version);
  version *copy = tk_malloc(sizeof *copy);
  memcpy(copy, kv->current, sizeof *copy);        /* only this thread replaces it */
  atomic_init(&copy->refs, 1);
  for (int i = 0; i < TK_TABLE_COUNT; i++) keep_node(copy->roots[i]);
  kv->writes++;
  kv->writer = (memory_txn){{&memory_ops}, kv, copy, true};
  *out = &kv->writer.base;
  return 0;
}

static int memory_commit(tk_kv_txn *base, tk_err *err) {
  memory *kv = ((memory_txn *)base)->kv;
  (void)err;
  pthread_mutex_lock(&kv->mutex);
  version *old = kv->current;
  kv->current = kv->writer.version;
  pthread_mutex_unlock(&kv->mutex);
  kv->writer.version = NULL;
  drop_version(kv, old);
  return 0;
}

static void memory_abort(tk_kv_txn *base) {
  memory_txn *txn = (memory_txn *)base;
  drop_version(txn->kv, txn->version);
  txn->version = NULL;
  if (txn->write) return;
  atomic_fetch_sub(&txn->kv->readers, 1);
  tk_free(txn);
}

static int memory_grow(tk_kv_txn **txn, tk_err *err) {
  memory_abort(*txn);
  *txn = NULL;
  return tk_err_set(err, TK_E_FULL, "a store in memory does not ask for room");
}

/* ---- Records ---- */

static int memory_get(tk_kv_txn *base, tk_table table, tk_slice key, tk_slice *value, tk_err *err) {
  item *it = find_item(((memory_txn *)base)->version->roots[table], key);
  (void)err;
  if (!it) return TK_KV_ABSENT;
  *value = item_value(it);
  return 0;
}

static int memory_put(tk_kv_txn *base, tk_table table, tk_slice key, tk_slice value, unsigned flags, tk_err *err) {
  memory_txn *txn = (memory_txn *)base;
  memory *kv = txn->kv;
  node **root = &txn->version->roots[table];
  bool added;
  (void)flags;
  (void)err;
  TK_ASSERT(txn->write);
  if (!*root) *root = new_node(kv, true);
  node *right = put_item(kv, root, new_item(kv, key, value), &added);
  if (right) {
    node *top = new_node(kv, false);
    insert_entry(top, 0, keep_item((*root)->items[0]), *root);
    insert_entry(top, 1, keep_item(right->items[0]), right);
    *root = top;
  }
  txn->version->counts[table] += added;
  return 0;
}

static int memory_del(tk_kv_txn *base, tk_table table, tk_slice key, tk_err *err) {
  memory_txn *txn = (memory_txn *)base;
  memory *kv = txn->kv;
  node **root = &txn->version->roots[table];
  (void)err;
  TK_ASSERT(txn->write);
  if (!find_item(*root, key)) return TK_KV_ABSENT;
  delete_key(kv, root, key);
  while (!(*root)->leaf && (*root)->count == 1) {
    node *only = keep_node((*root)->children[0]);
    drop_node(kv, *root);
    *root = only;
  }
  if ((*root)->count == 0) {
    drop_node(kv, *root);
    *root = NULL;
  }
  txn->version->counts[table]--;
  return 0;
}

/* ---- Cursors ---- */

static int memory_cursor_open(tk_kv_txn *base, tk_table table, tk_kv_cursor **out, tk_err *err) {
  memory_cursor *cursor = tk_malloc(sizeof *cursor);
  (void)err;
  cursor->base.ops = &memory_ops;
  cursor->txn = (memory_txn *)base;
  cursor->table = table;
  cursor->depth = -1;
  *out = &cursor->base;
  return 0;
}

static void memory_cursor_close(tk_kv_cursor *base) { tk_free(base); }

/* Goes down from n to its first or last entry. */
static void go_down(memory_cursor *c, node *n, bool last) {
  while (n) {
    TK_ASSERT(c->depth + 1 < DEPTH_MAX);
    c->depth++;
    c->nodes[c->depth] = n;
    c->at[c->depth] = last ? (uint8_t)(n->count - 1) : 0;
    n = n->leaf ? NULL : n->children[c->at[c->depth]];
  }
}

/* To the entry beside the current one. */
static void go_beside(memory_cursor *c, bool next) {
  while (c->depth >= 0 && (next ? c->at[c->depth] + 1 >= c->nodes[c->depth]->count : c->at[c->depth] == 0)) c->depth--;
  if (c->depth < 0) return;
  c->at[c->depth] = (uint8_t)(c->at[c->depth] + (next ? 1 : -1));
  node *n = c->nodes[c->depth];
  if (!n->leaf) go_down(c, n->children[c->at[c->depth]], !next);
}

static void go_at_least(memory_cursor *c, node *n, tk_slice key) {
  bool equal;
  while (n) {
    int at = n->leaf ? lower_bound(n, key, &equal) : child_for(n, key);
    c->depth++;
    c->nodes[c->depth] = n;
    c->at[c->depth] = (uint8_t)at;
    n = n->leaf ? NULL : n->children[at];
  }
  if (c->depth >= 0 && c->at[c->depth] == c->nodes[c->depth]->count) {   /* behind the leaf's last */
    c->at[c->depth]--;
    go_beside(c, true);
  }
}

static int memory_move(tk_kv_cursor *base, tk_kv_move move, tk_slice *key, tk_slice *value, tk_err *err) {
  memory_cursor *c = (memory_cursor *)base;
  node *root = c->txn->version->roots[c->table];
  (void)err;
  if (move == TK_KV_FIRST || move == TK_KV_LAST || move == TK_KV_AT_LEAST || c->depth < 0) {
    c->depth = -1;
    if (move == TK_KV_AT_LEAST) go_at_least(c, root, *key);
    else go_down(c, root, move == TK_KV_LAST || move == TK_KV_PREV);
  } else {
    go_beside(c, move == TK_KV_NEXT);
  }
  if (c->depth < 0) return TK_KV_ABSENT;
  const item *it = c->nodes[c->depth]->items[c->at[c->depth]];
  *key = item_key(it);
  *value = item_value(it);
  return 0;
}

/* ---- The rest ---- */

static int memory_count(tk_kv_txn *base, tk_table table, uint64_t *entries, tk_err *err) {
  (void)err;
  *entries = ((memory_txn *)base)->version->counts[table];
  return 0;
}

static int memory_stats(tk_kv *base, tk_store_stats *out, tk_err *err) {
  memory *kv = (memory *)base;
  (void)err;
  uint64_t bytes = atomic_load(&kv->bytes);
  *out = (tk_store_stats){.bytes = bytes, .used_bytes = bytes, .map_bytes = bytes, .readers = atomic_load(&kv->readers)};
  return 0;
}

static int memory_copy(tk_kv *base, const char *path, bool compact, tk_err *err) {
  (void)base;
  (void)compact;
  return tk_err_set(err, TK_E_UNSUPPORTED, "a store in memory cannot be copied to '%s'", path);
}

static int memory_housekeep(tk_kv *base, tk_err *err) {
  (void)base;
  (void)err;
  return 0;
}

static int memory_verify(tk_kv *base, void (*report)(void *context, const char *what), void *context, tk_err *err) {
  (void)base;
  (void)report;
  (void)context;
  (void)err;
  return 0;
}

static const char *memory_path(const tk_kv *base) {
  (void)base;
  return "";
}

static void memory_close(tk_kv *base) {
  memory *kv = (memory *)base;
  drop_version(kv, kv->current);
  TK_ASSERT(atomic_load(&kv->bytes) == 0);
  pthread_mutex_destroy(&kv->mutex);
  tk_free(kv);
}

int tk_kv_memory_open(tk_kv **out, tk_err *err) {
  memory *kv = tk_calloc(1, sizeof *kv);
  (void)err;
  kv->base.ops = &memory_ops;
  pthread_mutex_init(&kv->mutex, NULL);
  kv->current = tk_calloc(1, sizeof *kv->current);
  atomic_init(&kv->current->refs, 1);
  *out = &kv->base;
  return 0;
}

static const tk_kv_ops memory_ops = {
    .close = memory_close, .path = memory_path, .begin = memory_begin, .commit = memory_commit, .abort = memory_abort,
    .grow = memory_grow, .get = memory_get, .put = memory_put, .del = memory_del, .cursor = memory_cursor_open,
    .cursor_close = memory_cursor_close, .move = memory_move, .count = memory_count, .stats = memory_stats,
    .copy = memory_copy, .housekeep = memory_housekeep, .verify = memory_verify};
