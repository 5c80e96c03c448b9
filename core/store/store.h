/* The store's contract, in domain verbs: begin, load (a plan), apply (changes, one commit), abort; snapshots to read; and
 * administration. One implementation of the verbs over an ordered key-value engine (kv.h: lmdb, memory); PostgreSQL
 * implements the verbs themselves.
 *
 * Threads: one thread (the engine's) takes turns (begin..apply/abort). Snapshots may be taken by any thread, several at once;
 * a snapshot belongs to the thread that opened it and must not be kept while user code runs (an old snapshot keeps pages from
 * being reused). */
#ifndef TK_STORE_STORE_H
#define TK_STORE_STORE_H
#include "model/admission.h"
#include "model/approval.h"
#include "model/compensation.h"
#include "model/schedule.h"

typedef struct tk_store tk_store;

enum { TK_DURABILITY_SYNC = 0, TK_DURABILITY_RELAXED };
typedef struct tk_store_options {
  uint8_t durability;
  bool read_only;          /* never creates, never writes */
  bool exclusive;          /* compact: TK_E_REFUSED unless alone */
  uint64_t map_size;       /* bytes to start with; 0: default; it grows by itself */
} tk_store_options;

/* Opens "lmdb:PATH", a bare PATH, or "memory:". Creates the directory and the store unless read_only. Errors: not_found
 * (read_only), unsupported (network file system, newer format), corrupt (no store), io, full, refused (exclusive), conflict
 * (another copy of the library). */
int tk_store_open(const char *url, const tk_store_options *options, tk_store **out, tk_err *err);
void tk_store_close(tk_store *store);
const char *tk_store_path(const tk_store *store);      /* absolute directory; "" for memory */

/* ---- Turns ---- */

/* What a turn will touch. All slices and arrays are borrowed until apply or abort. */
typedef struct tk_plan {
  int64_t now_us;
  uint32_t process;               /* whose notices to read; 0: none */
  const tk_event *events;         /* from clients and workers; SUBMITs are looked up by identity only */
  size_t event_count;
  const uint32_t *queues;         /* queue numbers to take ready work from ... */
  size_t queue_count;
  const uint32_t *definitions;    /* ... ascending; whose code is at hand */
  size_t definition_count;
  size_t candidates;              /* ready entries wanted at most */
  size_t timers;                  /* due timers and inbox events taken at most; 0: none of them */
  bool due;                       /* whether timers are wanted: only who works takes them */
} tk_plan;

typedef struct tk_load {
  tk_task **tasks;                /* by event of the plan; NULL: no such task (or a SUBMIT) */
  tk_identity_row **identities;   /* by event; NULL unless a SUBMIT with identity; equal hashes of one plan share a row */
  tk_event *events;               /* due timers, then inbox events: taken out of their tables by apply */
  tk_task **event_tasks;          /* theirs; never NULL (entries of deleted tasks are dropped) */
  size_t event_count, event_capacity;
  tk_event *schedule_events;      /* the same for schedules */
  tk_schedule **event_schedules;
  size_t schedule_event_count, schedule_event_capacity;
  tk_ready *candidates;           /* merged over lanes: priority (greater first), task, step */
  size_t candidate_count;
  tk_notice *notices;             /* to plan.process; taken out by apply */
  size_t notice_count;
  int64_t next_timer_us;          /* due time of the first timer that is not taken; INT64_MAX: none */
  bool more;                      /* due timers or inbox events are left */
  uint64_t next_task, next_payload, next_seq;
  uint64_t generation;            /* rises with every new definition */
  int64_t tasks_by_status[TK_TASK_STATUS_COUNT], steps_by_status[TK_STEP_STATUS_COUNT];
} tk_load;

/* Finds a graph by definition number; borrows from the engine's cache until the turn ends. NULL: unknown. */
typedef const tk_graph *(*tk_graph_lookup)(void *context, uint32_t definition);

/* Takes the write lock (waits for other processes). Checks format and protocol. */
int tk_store_begin(tk_store *store, tk_err *err);
/* Answers a plan inside the turn that began; memory is the arena's. Tasks are loaded lazily by chunk (tk_task.load_chunk). A
 * damaged record: corrupt. */
int tk_store_load(tk_store *store, tk_arena *arena, const tk_plan *plan, tk_graph_lookup lookup, void *lookup_context,
                  tk_load *out, tk_err *err);
/* One more task in the same turn (a candidate's), the same aggregate if it is loaded already. NULL with err when missing or
 * damaged. */
tk_task *tk_store_task(tk_store *store, uint64_t task_no, tk_err *err);
/* Registers an aggregate made in this turn (a submission), so that tk_store_task finds it. */
void tk_store_adopt(tk_store *store, tk_task *task);
/* A schedule in the same turn, by number or name, the same aggregate if it is loaded already. *out NULL: there is none. */
int tk_store_schedule(tk_store *store, uint64_t no, tk_schedule **out, tk_err *err);
int tk_store_find_schedule(tk_store *store, tk_slice name, tk_schedule **out, tk_err *err);
void tk_store_adopt_schedule(tk_store *store, tk_schedule *schedule);   /* made in this turn */
uint32_t tk_store_find_definition(tk_store *store, tk_slice ns, tk_slice name, tk_slice version);   /* as tk_snap_find_definition */
/* The cold record of a task, and a payload, as they are committed; in the turn's arena. */
int tk_store_info(tk_store *store, const tk_task *task, tk_task_info *out, tk_err *err);
int tk_store_payload(tk_store *store, uint64_t payload, tk_slice *out, tk_err *err);
/* Number of a name (queues), made when new; inside a turn. Names are cached in the process. */
uint32_t tk_store_name(tk_store *store, tk_slice name, tk_err *err);   /* 0 on failure */

/* Where decide finds limits inside a turn, after load. */
void tk_store_limit_source(tk_store *store, tk_limit_source *out);

typedef struct tk_turn_mark { uint8_t incarnation[16]; uint64_t turn; } tk_turn_mark;
/* What the engine adds to the changes: the mark of this turn, claim batches that are worked off. */
typedef struct tk_apply {
  tk_changes *changes;
  tk_turn_mark mark;
  uint32_t process;
  const uint64_t *finished_batches;   /* turn numbers of this process's claim batches to delete */
  size_t finished_batch_count;
} tk_apply;
typedef struct tk_applied { uint64_t first_seq, last_seq; } tk_applied;   /* log numbers given; first > last: none */
/* Writes and commits; the turn is over either way. On failure nothing is written, or it is unknown: err->details
 * {"unknown":true} (close, reopen, tk_store_committed). corrupt: a chunk that decide asked for was damaged. conflict: somebody
 * wrote while the store was enlarged (nearly impossible): decide the turn again. */
int tk_store_apply(tk_store *store, const tk_apply *apply, tk_applied *out, tk_err *err);
void tk_store_abort(tk_store *store);
/* After a lost answer: 1 if the turn with this mark was committed, 0 if not, or TK_E_*. */
int tk_store_committed(tk_store *store, const tk_turn_mark *mark, tk_err *err);

/* ---- The reader of the log ---- */
#define TK_BUILTIN_DEFINITIONS 2
typedef struct tk_log_reader {
  uint64_t task_no;               /* woken (TK_EV_WAKE, its first step) by turns that write to the log; 0: none */
  uint32_t definitions[TK_BUILTIN_DEFINITIONS];   /* every worker has their code; 0: none */
} tk_log_reader;
/* A small commit of its own; task NULL: none any more. */
int tk_store_set_reader(tk_store *store, const tk_id *task, const uint32_t definitions[TK_BUILTIN_DEFINITIONS], tk_err *err);
const tk_log_reader *tk_store_reader(const tk_store *store);   /* inside a turn */

/* ---- Definitions (each its own small commit, made by the engine's thread) ---- */
typedef struct tk_definition {
  uint32_t number;
  uint8_t hash[32];               /* content: graph, its JSON and its source */
  tk_slice ns, name, version;
  tk_slice graph;                 /* tk_graph_encode */
  tk_slice json;                  /* the definition as Lua normalised it (retry, schemas, identity, ...) */
  uint8_t source[32];             /* hash of the source bundle; all zero: none kept */
  int64_t created_at_us;
} tk_definition;
/* Stores it unless the hash is known; makes it the current one of its ns/name@version. *number: its number either way. */
int tk_store_define(tk_store *store, const tk_definition *definition, tk_slice source, uint32_t *number, tk_err *err);

/* ---- Consumers (each change its own small commit, made by the engine's thread) ---- */
typedef struct tk_consumer {
  tk_slice name;
  tk_slice events;                /* a JSON array of patterns; empty: all (OPEN of one that is there: as they are) */
  uint64_t seq;                   /* of the last event it is done with */
  int64_t created_at_us, moved_at_us;
} tk_consumer;
enum { TK_CONSUMER_OPEN, TK_CONSUMER_ACK, TK_CONSUMER_REWIND, TK_CONSUMER_DELETE };
#define TK_CONSUMER_NOW UINT64_MAX  /* seq of an OPEN: a new one begins behind the last event */
/* OPEN makes it where it is not there; an ACK never goes back. TK_E_NOT_FOUND; TK_E_INVALID for a seq that is not there yet. */
int tk_store_consumer(tk_store *store, uint8_t operation, const tk_consumer *consumer, tk_err *err);

/* ---- Secrets (each change its own small commit, made by the engine's thread) ---- */
typedef struct tk_secret {
  tk_slice name;
  tk_slice sealed;                /* nonce, ciphertext and tag; empty in a change: deletes it */
  tk_slice previous;              /* what it is sealed as, for a change of just that; empty: whatever it is */
  bool fresh;                     /* it is not there yet */
  uint8_t key_id[8];              /* of the key that sealed it */
  int64_t created_at_us, changed_at_us;
} tk_secret;
typedef struct tk_secret_change {
  tk_secret *secrets;
  size_t count;
  bool rotate;                    /* replaces all there are, which are those of the list */
  tk_slice note;                  /* a JSON object for the log, of a connection that is parked; empty: none */
  int64_t at_us;                  /* when: of the note */
} tk_secret_change;
/* All of them or none. refused: those there are sealed by another key. conflict: they are not what the list says they are.
 * not_found: nothing to delete. */
int tk_store_secrets(tk_store *store, const tk_secret_change *change, tk_err *err);

/* ---- Processes ---- */
typedef struct tk_process { uint32_t number; uint8_t incarnation[16]; int32_t pid; int64_t since_us; } tk_process;
/* In: incarnation, pid, since; out: number (never used again). */
int tk_store_join(tk_store *store, tk_process *process, tk_err *err);
int tk_store_leave(tk_store *store, uint32_t number, tk_err *err);             /* its claims must be gone */
/* Claims of a process as STEP_LOST events (attempt 0: an ask) with task_no, step, attempt: whole batches, until there are `max`
 * claims or more. Fewer than max: that was all. batches: their numbers, to be deleted by the same apply. Inside a turn. */
int tk_store_claims_of(tk_store *store, tk_arena *arena, uint32_t process, size_t max, tk_event **events, size_t *count,
                       uint64_t **batches, size_t *batch_count, tk_err *err);

/* What requests of a process hold, at most `max` of them. Inside a turn. */
int tk_store_holds_of(tk_store *store, uint32_t process, size_t max, tk_hold ***holds, size_t *count, tk_err *err);

/* ---- Reading ---- */
typedef struct tk_snap tk_snap;
int tk_snap_open(tk_store *store, tk_snap **out, tk_err *err);       /* cheap: slots are kept per thread and renewed */
void tk_snap_close(tk_snap *snap);
typedef struct tk_meta {
  uint64_t generation, last_seq, next_task;
  int64_t tasks_by_status[TK_TASK_STATUS_COUNT], steps_by_status[TK_STEP_STATUS_COUNT];
} tk_meta;
int tk_snap_meta(tk_snap *snap, tk_meta *out, tk_err *err);
uint64_t tk_snap_task_no(tk_snap *snap, const tk_id *id);            /* 0: none */
/* Ids that begin or end with `hex` (lower-case, dashes removed): at most 2 are written to out; returns how many were found (2:
 * ambiguous). */
int tk_snap_find_id(tk_snap *snap, const char *hex, tk_id out[2], tk_err *err);
/* Header and cold record; chunks are loaded lazily from the snapshot. lookup as in load. NULL info: not wanted.
 * TK_E_NOT_FOUND. */
int tk_snap_task(tk_snap *snap, tk_arena *arena, uint64_t task_no, tk_graph_lookup lookup, void *lookup_context, tk_task **task,
                 tk_task_info *info, tk_err *err);
/* The bytes of a payload, borrowed until the snapshot closes. */
int tk_snap_payload(tk_snap *snap, uint64_t payload, tk_slice *out, tk_err *err);
int tk_snap_annotations(tk_snap *snap, tk_arena *arena, uint64_t task_no, tk_annotation **out, size_t *count, tk_err *err);
/* The approval that a step waits for; lists in the arena, texts borrowed until the snapshot closes. */
int tk_snap_approval(tk_snap *snap, tk_arena *arena, uint64_t task_no, uint32_t step, tk_approval *out, tk_err *err);
/* All that wait for people, oldest tasks first, until visit returns false; each is in the arena, which is reset between them. */
int tk_snap_each_approval(tk_snap *snap, tk_arena *arena, bool (*visit)(void *context, const tk_approval *approval), void *context,
                          tk_err *err);
/* Tasks with numbers below `before` (0: from the newest), newest first: calls visit until it returns false. */
int tk_snap_each_task(tk_snap *snap, uint64_t before, bool (*visit)(void *context, uint64_t task_no), void *context, tk_err *err);
/* One event of the log as read back. */
typedef struct tk_log_event {
  uint64_t seq;
  uint64_t record;                /* of the record it stands in: the seq of that one's first event */
  int64_t at_us;
  uint64_t task_no;
  uint8_t kind;
  uint32_t step, attempt;
  uint64_t payload;
  tk_slice data;
} tk_log_event;
/* Events with seq > after, ascending; with task_no != 0 only that task's (walked back by its chain, still given ascending).
 * Until visit returns false. */
int tk_snap_each_event(tk_snap *snap, uint64_t after, uint64_t task_no, bool (*visit)(void *context, const tk_log_event *event),
                       void *context, tk_err *err);
int tk_snap_definition(tk_snap *snap, uint32_t number, tk_definition *out, tk_err *err);              /* borrowed until close */
/* Current definition of ns/name; version empty: the highest semver. Its number, 0: none. */
uint32_t tk_snap_find_definition(tk_snap *snap, tk_slice ns, tk_slice name, tk_slice version);
uint32_t tk_snap_find_definition_hash(tk_snap *snap, const uint8_t hash[32]);
int tk_snap_each_definition(tk_snap *snap, bool (*visit)(void *context, const tk_definition *definition), void *context,
                            tk_err *err);
int tk_snap_source(tk_snap *snap, const uint8_t hash[32], tk_slice *out, tk_err *err);
tk_slice tk_snap_name(tk_snap *snap, uint32_t number);
uint32_t tk_snap_find_name(tk_snap *snap, tk_slice name);            /* 0: none */
int tk_snap_each_ready(tk_snap *snap, bool (*visit)(void *context, const tk_ready *ready), void *context, tk_err *err);
int tk_snap_each_timer(tk_snap *snap, bool (*visit)(void *context, const tk_timer *timer), void *context, tk_err *err);
/* Declared limits, by number; name and rules. */
int tk_snap_each_limit(tk_snap *snap, bool (*visit)(void *context, const tk_limit *limit), void *context, tk_err *err);
/* What is stored of a limit's keys, idle ones too; meter->limit is NULL. */
int tk_snap_each_meter(tk_snap *snap, uint32_t limit, bool (*visit)(void *context, const tk_meter *meter), void *context, tk_err *err);
/* The breakers that were declared, by number; with names. */
int tk_snap_each_breaker(tk_snap *snap, bool (*visit)(void *context, const tk_breaker *breaker), void *context, tk_err *err);
int tk_snap_breaker(tk_snap *snap, tk_slice name, tk_breaker *out, tk_err *err);   /* TK_E_NOT_FOUND; borrowed until close */
bool tk_snap_inbox_empty(tk_snap *snap);
bool tk_snap_claims_empty(tk_snap *snap);                            /* no process runs anything */
/* A schedule in the arena: by name (TK_E_NOT_FOUND), by number; and their names in order, those behind `after` (empty: all). */
int tk_snap_schedule(tk_snap *snap, tk_arena *arena, tk_slice name, tk_schedule **out, tk_err *err);
int tk_snap_schedule_no(tk_snap *snap, tk_arena *arena, uint64_t no, tk_schedule **out, tk_err *err);
int tk_snap_each_schedule(tk_snap *snap, tk_slice after, bool (*visit)(void *context, uint64_t no, tk_slice name), void *context,
                          tk_err *err);
int tk_snap_each_process(tk_snap *snap, bool (*visit)(void *context, const tk_process *process), void *context, tk_err *err);

int tk_snap_consumer(tk_snap *snap, tk_slice name, tk_consumer *out, tk_err *err);   /* borrowed until close; TK_E_NOT_FOUND */
int tk_snap_each_consumer(tk_snap *snap, bool (*visit)(void *context, const tk_consumer *consumer), void *context, tk_err *err);
int tk_snap_secret(tk_snap *snap, tk_slice name, tk_secret *out, tk_err *err);       /* borrowed until close; TK_E_NOT_FOUND */
int tk_snap_each_secret(tk_snap *snap, bool (*visit)(void *context, const tk_secret *secret), void *context, tk_err *err);

/* Frees the reader slots of processes that died while reading. */
int tk_store_housekeep(tk_store *store, tk_err *err);

/* ---- Administration ---- */
typedef struct tk_store_stats { uint64_t bytes, used_bytes, free_bytes, map_bytes; uint32_t readers; } tk_store_stats;
int tk_store_stats_of(tk_store *store, tk_store_stats *out, tk_err *err);
/* Walks every record, index and counter of one snapshot; calls report for each damage with one sentence. Returns the number of
 * damages or TK_E_*. */
int tk_store_check(tk_store *store, void (*report)(void *context, const char *what),
                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, tk_err *err);
/* A consistent copy into `path` (missing or empty directory) while others write; opens as a store. */
int tk_store_backup(tk_store *store, const char *path, tk_err *err);
/* Rewrites the file small; the store must be alone (opened exclusive). Sizes in bytes. */
int tk_store_compact(const char *url, uint64_t *before, uint64_t *after, tk_err *err);

#endif
