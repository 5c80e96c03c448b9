/* What the files of the store share. Only for core/store. */
#ifndef TK_STORE_PARTS_H
#define TK_STORE_PARTS_H
#include <pthread.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "model/decide.h"
#include "store/kv.h"
#include "store/records.h"

/* A name and its number, as this process knows it. */
typedef struct tk_name {
  struct tk_name *next;           /* with the same hash */
  uint32_t number;
  bool fresh;                     /* given, but not yet committed */
  size_t size;
  char text[];
} tk_name;

/* Keys that the running turn took out (due timers, inbox, notices), to be deleted by apply. In the turn's arena. */
typedef struct tk_taken { struct tk_taken *next; tk_table table; tk_key key; } tk_taken;

struct tk_store {
  tk_kv *kv;
  bool read_only;

  /* The running turn; the engine's thread only. */
  tk_kv_txn *txn;                 /* NULL: none */
  tk_meta_record meta;            /* as it will be written */
  tk_arena *arena;
  tk_graph_lookup lookup;
  void *lookup_context;
  int64_t now_us;
  tk_map tasks;                   /* number -> tk_task */
  tk_map schedules;               /* number -> tk_schedule */
  tk_taken *taken;
  tk_map limits, meters, waiters, permits;   /* of this turn: number, or hash of the key -> chain */
  tk_map breakers, holds;         /* the same */
  tk_key meter_hand;              /* from where on idle meters are looked for; of this process */
  tk_err fault;                   /* of a chunk that could not be read in the middle of decide; code 0: none. apply answers it */
  uint32_t fresh_names, first_fresh;   /* how many, from which number on */
  tk_map names;                   /* hash -> tk_name */
  tk_buf buf;

  pthread_mutex_t mutex;          /* of free_snaps */
  struct tk_snap *free_snaps;
};

struct tk_snap {
  tk_store *store;
  tk_kv_txn *txn;
  struct tk_snap *next;           /* in free_snaps */
};

/* Fills err for a record that cannot be what it should be. */
int tk_store_damaged(tk_err *err, tk_table table, tk_slice key);
/* Reads and checks meta; refuses other formats and protocols. */
int tk_store_read_meta(tk_kv_txn *txn, tk_meta_record *out, tk_err *err);
/* Reads a task's header and first steps into the arena (loader left NULL). TK_E_NOT_FOUND. */
int tk_store_read_task(tk_kv_txn *txn, tk_arena *arena, uint64_t task_no, tk_graph_lookup lookup, void *lookup_context,
                       tk_task **out, tk_err *err);
/* The bytes of a payload, borrowed from the transaction. TK_E_NOT_FOUND. */
int tk_store_read_payload(tk_kv_txn *txn, uint64_t number, tk_slice *out, tk_err *err);
/* Reads a later chunk; zeroes when it was never written. */
int tk_store_read_chunk(tk_kv_txn *txn, tk_arena *arena, const tk_task *task, uint32_t index, tk_chunk **out, tk_err *err);
/* load_child.c: the submission of the child that the event asks for, from its parent's records; the outcome of a child. In a turn;
 * memory is the turn's; what was read is added to *bytes. *wanted false: the child moves again, and its end is yet to come. */
int tk_store_load_spawn(tk_store *store, tk_task *parent, tk_event *event, size_t *bytes, tk_err *err);
int tk_store_load_child(tk_store *store, tk_event *event, bool *wanted, size_t *bytes, tk_err *err);
/* Limits (limits.c): forgets what the last turn loaded; writes what this turn changed. */
void tk_store_clear_limits(tk_store *store);
void tk_store_free_limits(tk_store *store);
int tk_store_write_limits(tk_store *store, const tk_changes *changes, tk_err *err);
/* The same for breakers and holds (breakers.c); fills their functions in. */
void tk_store_clear_breakers(tk_store *store);
void tk_store_free_breakers(tk_store *store);
int tk_store_write_breakers(tk_store *store, const tk_changes *changes, tk_err *err);
void tk_store_breaker_source(tk_limit_source *out);
/* What limits.c and breakers.c share: a map of a turn is emptied; a record is looked up (false: there is none, or it cannot be read,
 * which apply answers), found damaged, written or deleted. */
void tk_store_clear_map(tk_map *map);
bool tk_store_look_up(tk_store *store, tk_table table, const tk_key *key, tk_slice *record);
void tk_store_fault(tk_store *store, tk_table table, tk_slice key);
int tk_store_write_record(tk_store *store, tk_table table, const tk_key *key, bool there, tk_slice record, tk_err *err);
/* A small commit of its own around `write`, repeated when the store has to grow. */
int tk_store_commit_small(tk_store *store, int (*write)(tk_store *store, void *context, tk_err *err), void *context, tk_err *err);
/* Writes a number under a key. */
int tk_store_put_number(tk_store *store, tk_table table, tk_slice key, uint64_t number, tk_err *err);
int tk_store_put_meta(tk_store *store, tk_err *err);
/* Fresh names: writes them; they are committed; gives them their numbers again in a new turn (conflict when those are taken). */
int tk_store_put_names(tk_store *store, tk_err *err);
void tk_store_settle_names(tk_store *store);
int tk_store_renew_names(tk_store *store, tk_err *err);
void tk_store_free_names(tk_store *store);
/* The schedules of a turn, their log too. */
int tk_store_put_schedules(tk_store *store, const tk_changes *changes, tk_err *err);
/* The key of definition_current: ns 0 name 0 version. */
void tk_store_current_key(tk_buf *buf, tk_slice ns, tk_slice name, tk_slice version);
/* 0, or TK_E_CORRUPT when the number read is 0 or damaged; TK_KV_ABSENT passes. */
int tk_store_get_number(tk_kv_txn *txn, tk_table table, tk_slice key, uint64_t *number, tk_err *err);

#endif
