/* The structure of a data.mdb file, read page by page with pread(2): LMDB trusts what it maps, and a damaged page can crash
 * it, so this is looked at first where damage is to be expected (`check`, a file that was cut). Knows the file format of LMDB
 * 0.9 on 64-bit machines. Any thread. */
#ifndef TK_STORE_PAGES_H
#define TK_STORE_PAGES_H
#include "base/buf.h"

typedef struct tk_pages_tree {
  uint16_t flags, depth;
  uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} tk_pages_tree;
typedef struct tk_pages_meta {
  bool valid;
  uint32_t version, page_size;
  uint64_t map_size, last_page, txn;
  tk_pages_tree free, main;
} tk_pages_meta;

/* The two headers; false when neither is one. */
bool tk_pages_read_metas(int fd, tk_pages_meta out[2]);
/* The header that counts: the newer valid one. */
static inline const tk_pages_meta *tk_pages_newest(const tk_pages_meta metas[2]) {
  return metas[1].valid && (!metas[0].valid || metas[1].txn > metas[0].txn) ? &metas[1] : &metas[0];
}
/* Walks what the header leads to: every page (deep), or the list of tables and each table's root. Returns the number of
 * damages, each reported in one sentence. */
int tk_pages_walk(int fd, const tk_pages_meta *meta, bool deep, void (*report)(void *context, const char *what), void *context);

#endif
