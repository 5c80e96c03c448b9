/* The ordered key-value engine over LMDB (data.mdb, lock.mdb).
 *
 * The map: LMDB maps the file at a fixed size and refuses to write beyond it. It may be enlarged only while this process has
 * no transaction open, so transactions hold `resize` shared and an enlargement takes it alone. Before a turn is begun, a map
 * that is nearly full is enlarged; a turn that fills it all the same is started anew behind the gate (dir.h), so that what it
 * loaded is still true.
 *
 * A failed commit: what is on disk is unknown (MDB_FATAL_ERROR), unless LMDB still works: then nothing was written.
 *
 * Threads: as kv.h. `readers` is shared under its mutex; a read slot is kept from one snapshot to the next. */
#include "store/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store/dir.h"
#include "store/pages.h"

#define MAP_DEFAULT ((uint64_t)1 << 30)
#define MAP_MIN ((uint64_t)1 << 18)
#define MAP_STEP_MAX ((uint64_t)64 << 30)         /* a map doubles, but not by more than this */
#define MAP_MARGIN_MAX ((uint64_t)64 << 20)       /* what a usual turn may need */
#define READERS_MAX 1022                          /* slots over all processes; 64 bytes each in lock.mdb */
#define LOCK_FILE_SIZE (64 * 1024)                /* what LMDB makes it for so many */
#define PIN_TRIES 1000
#define FULL_BYTES (64 * 1024)                    /* a disk with less room than this is full */
#define FAULT_TEXT 256
#define FILE_MODE 0666                            /* less the umask */

typedef struct lmdb lmdb;

typedef struct lmdb_txn {
  tk_kv_txn base;
  lmdb *kv;
  MDB_txn *txn;
  bool write;
  MDB_cursor *cursors[TK_TABLE_COUNT];            /* of the write transaction: reads and writes nearby find their page at once */
  struct lmdb_txn *next;                          /* in kv->readers */
} lmdb_txn;

typedef struct lmdb_cursor {
  tk_kv_cursor base;
  MDB_cursor *cursor;
} lmdb_cursor;

struct lmdb {
  tk_kv base;
  MDB_env *env;
  MDB_dbi tables[TK_TABLE_COUNT];
  tk_dir dir;
  int file;                                       /* data.mdb, for reading beside the map */
  bool read_only;
  atomic_bool failed;
  lmdb_txn writer;
  size_t writer_id;                               /* LMDB's number of the write transaction begun last */
  pthread_rwlock_t resize;
  pthread_mutex_t mutex;
  lmdb_txn *readers;                              /* reset read transactions; under mutex */
};

static const tk_kv_ops lmdb_ops;

static tk_slice slice_of(MDB_val v) { return tk_slice_of(v.mv_data, v.mv_size); }
static MDB_val val_of(tk_slice s) { return (MDB_val){s.size, (void *)s.data}; }

/* What LMDB or the system said, as one of our codes. */
static int set_error(const lmdb *kv, int rc, const char *what, tk_err *err) {
  const char *path = kv->dir.path ? kv->dir.path : "";
  switch (rc) {
    case MDB_CORRUPTED: case MDB_PAGE_NOTFOUND: case MDB_CURSOR_FULL: case MDB_PAGE_FULL: case MDB_BAD_DBI: case MDB_INCOMPATIBLE:
      return tk_err_set(err, TK_E_CORRUPT, "the store '%s' is damaged (%s: %s): restore a backup", path, what, mdb_strerror(rc));
    case MDB_INVALID:
      return tk_err_set(err, TK_E_CORRUPT, "'%s/data.mdb' is no store (its header is not LMDB's)", path);
    case MDB_VERSION_MISMATCH:
      return tk_err_set(err, TK_E_UNSUPPORTED, "'%s' was written by an incompatible version of LMDB", path);
    case ENOSPC: case EDQUOT:
      return tk_err_set(err, TK_E_FULL, "no space left on the disk of the store '%s'", path);
    case MDB_MAP_FULL: case ENOMEM:
      return tk_err_set(err, TK_E_FULL, "the store '%s' cannot be mapped larger (%s): %s", path, what, mdb_strerror(rc));
    case MDB_READERS_FULL:
      return tk_err_set(err, TK_E_FULL, "more than %d readers have the store '%s' open", READERS_MAX, path);
    case MDB_BAD_VALSIZE:
      return tk_err_set(err, TK_E_INVALID, "a key or value is too long for the store (%s)", what);
    case MDB_PANIC:
      return tk_err_set(err, TK_E_IO, "the store '%s' failed earlier and has to be opened again", path);
    default:
      return tk_err_set(err, TK_E_IO, "the store '%s': %s: %s", path, what, mdb_strerror(rc));
  }
}

static void on_assert(MDB_env *env, const char *message) {
  (void)env;
  tk_log(TK_LOG_ERROR, "the store is damaged: %s", message);
  abort();
}

/* ---- The map ---- */

/* With no transaction of this thread open. size 0: what another process made it. */
static int set_map(lmdb *kv, uint64_t size) {
  pthread_rwlock_wrlock(&kv->resize);
  int rc = mdb_env_set_mapsize(kv->env, size);
  pthread_rwlock_unlock(&kv->resize);
  return rc;
}

static uint64_t used_bytes(MDB_env *env, uint64_t *map) {
  MDB_envinfo info;
  MDB_stat stat;
  mdb_env_info(env, &info);
  mdb_env_stat(env, &stat);
  *map = info.me_mapsize;
  return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

static bool map_nearly_full(MDB_env *env) {
  uint64_t map, used = used_bytes(env, &map);
  uint64_t margin = map / 4 < MAP_MARGIN_MAX ? map / 4 : MAP_MARGIN_MAX;
  return used + margin > map;
}

static int enlarge(lmdb *kv, tk_err *err) {
  uint64_t map;
  used_bytes(kv->env, &map);
  int rc = set_map(kv, map + (map < MAP_STEP_MAX ? map : MAP_STEP_MAX));
  return rc ? set_error(kv, rc, "enlarging it", err) : 0;
}

/* ---- Transactions ---- */

static int begin_write(lmdb *kv, bool behind_gate, tk_kv_txn **out, tk_err *err) {
  bool enlarged = false;
  for (;;) {
    if (atomic_load(&kv->failed)) return set_error(kv, MDB_PANIC, "", err);
    pthread_rwlock_rdlock(&kv->resize);
    MDB_txn *txn;
    int rc = mdb_txn_begin(kv->env, NULL, 0, &txn);
    bool gate = !rc && !behind_gate && tk_dir_gate_closed(&kv->dir);
    bool full = !rc && !gate && !enlarged && map_nearly_full(kv->env);
    if (!rc && !gate && !full) {
      kv->writer = (lmdb_txn){.base.ops = &lmdb_ops, .kv = kv, .txn = txn, .write = true};
      if (!behind_gate) kv->writer_id = mdb_txn_id(txn);
      *out = &kv->writer.base;
      return 0;
    }
    if (!rc) mdb_txn_abort(txn);
    pthread_rwlock_unlock(&kv->resize);
    if (rc == MDB_MAP_RESIZED) rc = set_map(kv, 0);
    if (rc) return set_error(kv, rc, "beginning to write", err);
    if (gate) rc = tk_dir_wait_gate(&kv->dir, err);
    if (full) rc = enlarge(kv, err);
    enlarged |= full;
    if (rc) return rc;
  }
}

static lmdb_txn *take_reader(lmdb *kv) {
  pthread_mutex_lock(&kv->mutex);
  lmdb_txn *reader = kv->readers;
  if (reader) kv->readers = reader->next;
  pthread_mutex_unlock(&kv->mutex);
  if (reader) return reader;
  reader = tk_calloc(1, sizeof *reader);
  reader->base.ops = &lmdb_ops;
  reader->kv = kv;
  return reader;
}

static void give_reader(lmdb_txn *reader) {
  lmdb *kv = reader->kv;
  pthread_mutex_lock(&kv->mutex);
  reader->next = kv->readers;
  kv->readers = reader;
  pthread_mutex_unlock(&kv->mutex);
}

static int start_reader(lmdb_txn *reader) {
  lmdb *kv = reader->kv;
  int rc = MDB_MAP_RESIZED, dead = 0;
  for (int tries = 0; tries < 3 && rc; tries++) {
    pthread_rwlock_rdlock(&kv->resize);
    rc = reader->txn ? mdb_txn_renew(reader->txn) : mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &reader->txn);
    if (rc) pthread_rwlock_unlock(&kv->resize);
    if (rc == MDB_MAP_RESIZED) set_map(kv, 0);
    else if (rc == MDB_READERS_FULL) mdb_reader_check(kv->env, &dead);
    else break;
  }
  return rc;
}

static int lmdb_begin(tk_kv *base, bool write, tk_kv_txn **out, tk_err *err) {
  lmdb *kv = (lmdb *)base;
  if (write && kv->read_only) return tk_err_set(err, TK_E_REFUSED, "the store '%s' was opened for reading only", kv->dir.path);
  if (write) return begin_write(kv, false, out, err);
  if (atomic_load(&kv->failed)) return set_error(kv, MDB_PANIC, "", err);
  lmdb_txn *reader = take_reader(kv);
  int rc = start_reader(reader);
  if (rc) {
    give_reader(reader);
    return set_error(kv, rc, "beginning to read", err);
  }
  *out = &reader->base;
  return 0;
}

static void lmdb_abort(tk_kv_txn *base) {
  lmdb_txn *txn = (lmdb_txn *)base;
  if (txn->write) {
    mdb_txn_abort(txn->txn);
    txn->txn = NULL;
    pthread_rwlock_unlock(&txn->kv->resize);
  } else {
    mdb_txn_reset(txn->txn);
    pthread_rwlock_unlock(&txn->kv->resize);
    give_reader(txn);
  }
}

/* A store that no longer begins transactions failed while its header was written. */
static bool still_works(lmdb *kv) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn);
  if (!rc) mdb_txn_abort(txn);
  return rc == 0 || rc == MDB_READERS_FULL;
}

/* LMDB answers EIO to a short write, and a write is short when it took the last of the space. */
static bool disk_is_full(const lmdb *kv) {
  struct statvfs fs;
  return statvfs(kv->dir.path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

static int lmdb_commit(tk_kv_txn *base, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  lmdb *kv = txn->kv;
  int rc = mdb_txn_commit(txn->txn);
  txn->txn = NULL;
  if (rc == EIO && disk_is_full(kv)) rc = ENOSPC;
  bool unknown = rc && rc != MDB_MAP_FULL && !((rc == ENOSPC || rc == EDQUOT) && still_works(kv));
  if (unknown) atomic_store(&kv->failed, true);
  pthread_rwlock_unlock(&kv->resize);
  if (!rc) return 0;
  if (!unknown) return rc == MDB_MAP_FULL ? TK_KV_GROW : set_error(kv, rc, "committing", err);
  tk_err_set(err, TK_E_IO, "the store '%s': a commit failed (%s): whether it was made is unknown", kv->dir.path,
             mdb_strerror(rc));
  tk_err_details(err, "{\"unknown\":true}");
  return TK_E_IO;
}

/* txn may have been ended already by a commit that asked for this. */
static int lmdb_grow(tk_kv_txn **txn, tk_err *err) {
  lmdb *kv = ((lmdb_txn *)*txn)->kv;
  bool live = ((lmdb_txn *)*txn)->txn != NULL;
  int rc = tk_dir_close_gate(&kv->dir, err);
  if (live) lmdb_abort(*txn);
  *txn = NULL;
  if (rc) return rc;
  rc = enlarge(kv, err);
  if (!rc) rc = begin_write(kv, true, txn, err);
  /* A commit that needed room may have let somebody in before the gate was closed. */
  if (!rc && mdb_txn_id(kv->writer.txn) != kv->writer_id) {
    lmdb_abort(*txn);
    *txn = NULL;
    rc = tk_err_set(err, TK_E_CONFLICT, "another process wrote to the store '%s' while it was enlarged: take the turn again",
                    kv->dir.path);
  }
  tk_dir_open_gate(&kv->dir);
  return rc;
}

/* ---- Records ---- */

static int table_cursor(lmdb_txn *txn, tk_table table, MDB_cursor **out) {
  *out = txn->cursors[table];
  if (*out) return 0;
  int rc = mdb_cursor_open(txn->txn, txn->kv->tables[table], out);
  if (!rc) txn->cursors[table] = *out;
  return rc;
}

static int lmdb_get(tk_kv_txn *base, tk_table table, tk_slice key, tk_slice *value, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  MDB_val k = val_of(key), v = {0, NULL};
  MDB_cursor *cursor;
  int rc;
  if (txn->write) {
    rc = table_cursor(txn, table, &cursor);
    if (!rc) rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
  } else {
    rc = mdb_get(txn->txn, txn->kv->tables[table], &k, &v);
  }
  if (rc == MDB_NOTFOUND) return TK_KV_ABSENT;
  *value = slice_of(v);
  return rc ? set_error(txn->kv, rc, tk_table_name(table), err) : 0;
}

static int lmdb_put(tk_kv_txn *base, tk_table table, tk_slice key, tk_slice value, unsigned flags, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  MDB_val k = val_of(key), v = val_of(value);
  MDB_cursor *cursor;
  int rc = table_cursor(txn, table, &cursor);
  if (!rc) rc = mdb_cursor_put(cursor, &k, &v, flags & TK_KV_APPEND ? MDB_APPEND : 0);
  if (rc == MDB_KEYEXIST) {                       /* not the greatest key after all */
    k = val_of(key);
    v = val_of(value);
    rc = mdb_cursor_put(cursor, &k, &v, 0);
  }
  if (rc == MDB_MAP_FULL) return TK_KV_GROW;
  return rc ? set_error(txn->kv, rc, tk_table_name(table), err) : 0;
}

static int lmdb_del(tk_kv_txn *base, tk_table table, tk_slice key, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  MDB_val k = val_of(key), v;
  MDB_cursor *cursor;
  int rc = table_cursor(txn, table, &cursor);
  if (!rc) rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
  if (!rc) rc = mdb_cursor_del(cursor, 0);
  if (rc == MDB_NOTFOUND) return TK_KV_ABSENT;
  if (rc == MDB_MAP_FULL) return TK_KV_GROW;
  return rc ? set_error(txn->kv, rc, tk_table_name(table), err) : 0;
}

static int lmdb_cursor_open(tk_kv_txn *base, tk_table table, tk_kv_cursor **out, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(txn->txn, txn->kv->tables[table], &cursor);
  if (rc) return set_error(txn->kv, rc, tk_table_name(table), err);
  lmdb_cursor *made = tk_malloc(sizeof *made);
  *made = (lmdb_cursor){{&lmdb_ops}, cursor};
  *out = &made->base;
  return 0;
}

static void lmdb_cursor_close(tk_kv_cursor *base) {
  mdb_cursor_close(((lmdb_cursor *)base)->cursor);
  tk_free(base);
}

static int lmdb_move(tk_kv_cursor *base, tk_kv_move move, tk_slice *key, tk_slice *value, tk_err *err) {
  static const MDB_cursor_op ops[] = {[TK_KV_FIRST] = MDB_FIRST, [TK_KV_LAST] = MDB_LAST, [TK_KV_NEXT] = MDB_NEXT,
                                      [TK_KV_PREV] = MDB_PREV, [TK_KV_AT_LEAST] = MDB_SET_RANGE};
  MDB_cursor *cursor = ((lmdb_cursor *)base)->cursor;
  MDB_val k = {0, NULL}, v = {0, NULL};
  if (move == TK_KV_AT_LEAST) k = val_of(*key);
  int rc = mdb_cursor_get(cursor, &k, &v, ops[move]);
  if (rc == MDB_NOTFOUND) return TK_KV_ABSENT;
  if (rc) return set_error(mdb_env_get_userctx(mdb_txn_env(mdb_cursor_txn(cursor))), rc, "reading on", err);
  *key = slice_of(k);
  *value = slice_of(v);
  return 0;
}

static int lmdb_count(tk_kv_txn *base, tk_table table, uint64_t *entries, tk_err *err) {
  lmdb_txn *txn = (lmdb_txn *)base;
  MDB_stat stat;
  int rc = mdb_stat(txn->txn, txn->kv->tables[table], &stat);
  if (rc) return set_error(txn->kv, rc, tk_table_name(table), err);
  *entries = stat.ms_entries;
  return 0;
}

static int lmdb_stats(tk_kv *base, tk_store_stats *out, tk_err *err) {
  lmdb *kv = (lmdb *)base;
  char file[PATH_MAX];
  struct stat st;
  MDB_envinfo info;
  tk_kv_txn *txn;
  int rc = lmdb_begin(base, false, &txn, err);
  if (rc) return rc;
  *out = (tk_store_stats){0};
  MDB_stat whole;
  mdb_env_stat(kv->env, &whole);
  mdb_env_info(kv->env, &info);
  uint64_t pages = 0;
  for (int i = 0; i < TK_TABLE_COUNT; i++) {
    MDB_stat table;
    if (mdb_stat(((lmdb_txn *)txn)->txn, kv->tables[i], &table)) continue;
    pages += table.ms_branch_pages + table.ms_leaf_pages + table.ms_overflow_pages;
  }
  lmdb_abort(txn);
  snprintf(file, sizeof file, "%s/data.mdb", kv->dir.path);
  if (stat(file, &st)) return tk_err_set(err, TK_E_IO, "cannot look at '%s': %s", file, strerror(errno));
  out->bytes = (uint64_t)st.st_size;
  out->used_bytes = pages * whole.ms_psize;
  out->free_bytes = out->bytes > out->used_bytes ? out->bytes - out->used_bytes : 0;
  out->map_bytes = info.me_mapsize;
  out->readers = info.me_numreaders;
  return 0;
}

/* The copy appears under its name when it is whole and on the disk. */
static int lmdb_copy(tk_kv *base, const char *path, bool compact, tk_err *err) {
  lmdb *kv = (lmdb *)base;
  char made[PATH_MAX], file[PATH_MAX];
  snprintf(made, sizeof made, "%s/data.new", path);
  if (snprintf(file, sizeof file, "%s/data.mdb", path) >= (int)sizeof file)
    return tk_err_set(err, TK_E_INVALID, "the path '%.100s...' is too long", path);
  if (atomic_load(&kv->failed)) return set_error(kv, MDB_PANIC, "", err);
  int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
  if (fd < 0) return tk_err_set(err, TK_E_IO, "cannot make '%s': %s", made, strerror(errno));
  pthread_rwlock_rdlock(&kv->resize);
  int rc = mdb_env_copyfd2(kv->env, fd, compact ? MDB_CP_COMPACT : 0);
  pthread_rwlock_unlock(&kv->resize);
  if (!rc && fsync(fd)) rc = errno;
  close(fd);
  if (!rc && rename(made, file)) rc = errno;
  if (!rc) return tk_dir_sync(path, err);
  unlink(made);
  return tk_err_set(err, rc == ENOSPC || rc == EDQUOT ? TK_E_FULL : TK_E_IO, "cannot copy the store to '%s': %s", path,
                    mdb_strerror(rc));
}

static int lmdb_housekeep(tk_kv *base, tk_err *err) {
  lmdb *kv = (lmdb *)base;
  int dead = 0, rc = mdb_reader_check(kv->env, &dead);
  return rc ? set_error(kv, rc, "looking for dead readers", err) : 0;
}

/* ---- Structure ---- */

/* A read transaction and the header it was begun with, which keeps all that the header leads to as it is. The header is read
 * first: in the time until the transaction begins somebody may commit, then it is tried again. */
static int pin_header(lmdb *kv, tk_pages_meta *out, MDB_txn **txn, tk_err *err) {
  for (int tries = 0; tries < PIN_TRIES; tries++) {
    tk_pages_meta metas[2];
    if (!tk_pages_read_metas(kv->file, metas)) return set_error(kv, MDB_INVALID, "", err);
    int rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, txn);
    if (rc) return set_error(kv, rc, "beginning to read", err);
    for (int i = 0; i < 2; i++)
      if (metas[i].valid && metas[i].txn == mdb_txn_id(*txn)) {
        *out = metas[i];
        return 0;
      }
    mdb_txn_abort(*txn);
  }
  return tk_err_set(err, TK_E_TIMEOUT, "the store '%s' is written to too fast to look at its pages", kv->dir.path);
}

/* The number of damages, or TK_E_*. */
static int walk_pages(lmdb *kv, bool deep, void (*report)(void *context, const char *what), void *context, tk_err *err) {
  tk_pages_meta meta;
  MDB_txn *txn = NULL;
  pthread_rwlock_rdlock(&kv->resize);
  int rc = pin_header(kv, &meta, &txn, err);
  if (!rc) {
    struct stat st;
    bool cut = fstat(kv->file, &st) == 0 && (uint64_t)st.st_size / meta.page_size <= meta.last_page;
    rc = tk_pages_walk(kv->file, &meta, deep || cut, report, context);
    mdb_txn_abort(txn);
  }
  pthread_rwlock_unlock(&kv->resize);
  return rc;
}

static int lmdb_verify(tk_kv *base, void (*report)(void *context, const char *what), void *context, tk_err *err) {
  return walk_pages((lmdb *)base, true, report, context, err);
}

static void keep_first(void *context, const char *what) {
  char *text = context;
  if (!text[0]) snprintf(text, FAULT_TEXT, "%s", what);
}

/* What a quick look finds before LMDB trusts the file: the tables and their roots, and everything when the file is shorter than
 * its header says (pages at its end that were never written may be missing, others not). */
static int check_pages(lmdb *kv, tk_err *err) {
  char fault[FAULT_TEXT] = "";
  int rc = walk_pages(kv, false, keep_first, fault, err);
  if (rc <= 0) return rc;
  return tk_err_set(err, TK_E_CORRUPT, "the store '%s' is damaged (%s): restore a backup", kv->dir.path, fault);
}

/* ---- Opening ---- */

static int open_tables(MDB_env *env, bool create, MDB_dbi *tables) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(env, NULL, create ? 0 : MDB_RDONLY, &txn);
  if (rc) return rc;
  for (int i = 0; i < TK_TABLE_COUNT && !rc; i++)
    rc = mdb_dbi_open(txn, tk_table_name((tk_table)i), create ? MDB_CREATE : 0, &tables[i]);
  if (!rc) return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc;
}

static int make_env(uint64_t map_size, MDB_env **out) {
  int rc = mdb_env_create(out);
  if (!rc) rc = mdb_env_set_mapsize(*out, map_size);
  if (!rc) rc = mdb_env_set_maxdbs(*out, TK_TABLE_COUNT);
  if (!rc) rc = mdb_env_set_maxreaders(*out, READERS_MAX);
  if (!rc) rc = mdb_env_set_assert(*out, on_assert);
  return rc;
}

/* A new file is made beside and gets its name when it is whole, so that a crash leaves no half store. */
static int create_file(lmdb *kv, const char *file, uint64_t map_size, tk_err *err) {
  char made[PATH_MAX];
  MDB_env *env = NULL;
  MDB_dbi tables[TK_TABLE_COUNT];
  snprintf(made, sizeof made, "%s/data.new", kv->dir.path);
  if (unlink(made) && errno != ENOENT) return tk_err_set(err, TK_E_IO, "cannot remove '%s': %s", made, strerror(errno));
  int rc = make_env(map_size, &env);
  if (!rc) rc = mdb_env_open(env, made, MDB_NOSUBDIR | MDB_NOLOCK, FILE_MODE);
  if (!rc) rc = open_tables(env, true, tables);
  if (env) mdb_env_close(env);
  if (!rc && rename(made, file)) rc = errno;
  if (!rc) return tk_dir_sync(kv->dir.path, err);
  unlink(made);
  return set_error(kv, rc, "creating it", err);
}

static int prepare_file(lmdb *kv, const tk_store_options *options, uint64_t map_size, tk_err *err) {
  char file[PATH_MAX];
  struct stat st;
  if (snprintf(file, sizeof file, "%s/data.mdb", kv->dir.path) >= (int)sizeof file)
    return tk_err_set(err, TK_E_INVALID, "the path '%.100s...' is too long", kv->dir.path);
  if (stat(file, &st) && errno == ENOENT && !options->read_only && !options->exclusive) {
    int rc = tk_dir_lock_creation(&kv->dir, err);
    if (rc) return rc;
    if (stat(file, &st) && errno == ENOENT) rc = create_file(kv, file, map_size, err);
    tk_dir_unlock_creation(&kv->dir);
    if (rc) return rc;
  }
  if (stat(file, &st)) return tk_err_set(err, TK_E_IO, "cannot look at '%s': %s", file, strerror(errno));
  if (st.st_size == 0) return tk_err_set(err, TK_E_CORRUPT, "'%s' is empty: it was cut, restore a backup", file);
  kv->file = open(file, O_RDONLY | O_CLOEXEC);
  if (kv->file < 0) return tk_err_set(err, TK_E_IO, "cannot open '%s': %s", file, strerror(errno));
  tk_pages_meta metas[2];
  if (!tk_pages_read_metas(kv->file, metas) || !metas[0].valid || !metas[1].valid) return set_error(kv, MDB_INVALID, "", err);
  return 0;
}

/* LMDB makes its lock file sparse, and a page that finds no room when it is first touched ends the process with SIGBUS.
 * A file that cannot be opened is LMDB's to complain about. */
static int allocate_lock_file(const lmdb *kv) {
  char path[PATH_MAX];
  struct stat st;
  if (snprintf(path, sizeof path, "%s/lock.mdb", kv->dir.path) >= (int)sizeof path) return ENAMETOOLONG;
  if (stat(path, &st) == 0 && st.st_size >= LOCK_FILE_SIZE && (int64_t)st.st_blocks * 512 >= LOCK_FILE_SIZE) return 0;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
  if (fd < 0) return 0;
  int rc = posix_fallocate(fd, 0, LOCK_FILE_SIZE);
  close(fd);
  return rc == ENOSPC || rc == EDQUOT ? rc : 0;
}

static int open_env(lmdb *kv, const tk_store_options *options, uint64_t map_size, tk_err *err) {
  unsigned flags =
      MDB_NOTLS | (options->read_only ? MDB_RDONLY : 0) | (options->durability == TK_DURABILITY_RELAXED ? MDB_NOMETASYNC : 0);
  int rc = make_env(map_size, &kv->env), dead = 0;
  if (!rc) rc = allocate_lock_file(kv);
  if (!rc) rc = mdb_env_open(kv->env, kv->dir.path, flags, FILE_MODE);
  if (rc == EACCES || rc == EROFS || rc == EPERM)
    return tk_err_set(err, TK_E_IO, "no permission to open the store '%s': %s", kv->dir.path, strerror(rc));
  if (rc) return set_error(kv, rc, "opening it", err);
  mdb_env_set_userctx(kv->env, kv);
  mdb_reader_check(kv->env, &dead);
  rc = check_pages(kv, err);
  if (rc) return rc;
  rc = open_tables(kv->env, false, kv->tables);
  /* A store of an older version lacks the tables that came later. */
  if (rc == MDB_NOTFOUND && kv->tables[TK_TABLE_META] && !options->read_only) rc = open_tables(kv->env, true, kv->tables);
  else if (rc == MDB_NOTFOUND && kv->tables[TK_TABLE_META])
    return tk_err_set(err, TK_E_UNSUPPORTED,
                      "the store '%s' is of an older version: a worker or a submission brings it up to date", kv->dir.path);
  if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
    return tk_err_set(err, TK_E_CORRUPT, "'%s/data.mdb' is an LMDB file but no store", kv->dir.path);
  return rc ? set_error(kv, rc, "opening it", err) : 0;
}

static void lmdb_close(tk_kv *base) {
  lmdb *kv = (lmdb *)base;
  while (kv->readers) {
    lmdb_txn *reader = kv->readers;
    kv->readers = reader->next;
    if (reader->txn) mdb_txn_abort(reader->txn);
    tk_free(reader);
  }
  if (kv->env) mdb_env_close(kv->env);
  if (kv->file >= 0) close(kv->file);
  tk_dir_close(&kv->dir);
  pthread_rwlock_destroy(&kv->resize);
  pthread_mutex_destroy(&kv->mutex);
  tk_free(kv);
}

static const char *lmdb_path(const tk_kv *base) { return ((const lmdb *)base)->dir.path; }

int tk_kv_lmdb_open(const char *path, const tk_store_options *options, tk_kv **out, tk_err *err) {
  lmdb *kv = tk_calloc(1, sizeof *kv);
  kv->base.ops = &lmdb_ops;
  kv->dir.lock_fd = kv->file = -1;
  kv->read_only = options->read_only;
  pthread_rwlock_init(&kv->resize, NULL);
  pthread_mutex_init(&kv->mutex, NULL);
  uint64_t map_size = options->map_size ? options->map_size : MAP_DEFAULT;
  if (map_size < MAP_MIN) map_size = MAP_MIN;
  int rc = tk_dir_open(path, options, &kv->dir, err);
  if (!rc) rc = prepare_file(kv, options, map_size, err);
  if (!rc) rc = open_env(kv, options, map_size, err);
  if (rc) lmdb_close(&kv->base);
  else *out = &kv->base;
  return rc;
}

static const tk_kv_ops lmdb_ops = {
    .close = lmdb_close, .path = lmdb_path, .begin = lmdb_begin, .commit = lmdb_commit, .abort = lmdb_abort,
    .grow = lmdb_grow, .get = lmdb_get, .put = lmdb_put, .del = lmdb_del, .cursor = lmdb_cursor_open,
    .cursor_close = lmdb_cursor_close, .move = lmdb_move, .count = lmdb_count, .stats = lmdb_stats, .copy = lmdb_copy,
    .housekeep = lmdb_housekeep, .verify = lmdb_verify};
