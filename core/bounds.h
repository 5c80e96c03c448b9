/* Every bound of the system in one place, each with its reason. Sizes in bytes unless the name says otherwise. */
#ifndef TK_BOUNDS_H
#define TK_BOUNDS_H

/* From the interface (INTERFACE section 10, Sizes). */
#define TK_LIMIT_PAYLOAD (1024 * 1024)        /* context, results, inputs */
#define TK_LIMIT_ERROR (64 * 1024)            /* a kept error; longer ones are cut */
#define TK_LIMIT_JSON_DEPTH 128               /* of what is stored */
#define TK_LIMIT_STEPS 10000                  /* a handler */
#define TK_LIMIT_MAP 100000                   /* elements of one map */
#define TK_LIMIT_MAP_BYTES (16 * 1024 * 1024) /* of a map's list as JSON: one commit writes it */
#define TK_LIMIT_VISITS 10000                 /* of a machine's states beyond the first of each: what goes round for ever ends */
#define TK_LIMIT_STATES 256                   /* steps that a machine becomes: one event may skip them all */
#define TK_LIMIT_INSTANCES 16000000           /* of all maps of a task: with its steps, 24 bits (tk_running_key) */
#define TK_LIMIT_ANNOTATIONS 64               /* a task */
#define TK_LIMIT_SUBMIT_MANY 10000            /* entries of one submit_many */
#define TK_LIMIT_SUBMIT_MANY_BYTES (16 * 1024 * 1024)
#define TK_LIMIT_NAME 64                      /* namespace, handler, queue */
#define TK_LIMIT_STEP_NAME 128
#define TK_LIMIT_TASKS_PAGE 100000            /* app:tasks limit */
#define TK_LIMIT_TAGS 64                      /* a task: keeps the cold record small */
#define TK_LIMIT_SIGNALS 1000                  /* kept for a task before a step waits for them */
#define TK_LIMIT_MIGRATIONS_BYTES 320         /* of what a task remembers of its migrations: some 32 of them */
#define TK_LIMIT_APPROVERS 1000                 /* of one approval, escalations included */
#define TK_LIMIT_APPROVAL (512 * 1024)          /* all comments and forms of one approval: they become its results */
#define TK_LIMIT_DEPTH 100                    /* children of children: a handler that starts itself must end */
#define TK_LIMIT_SCHEDULE_NAME 129            /* namespace/name */
#define TK_LIMIT_SCHEDULE_OPEN 1000           /* open tasks that a schedule knows by number; more are only counted */
#define TK_LIMIT_SCHEDULE_BUFFER 1000         /* occurrences that wait for a task to end; more are skipped */
#define TK_LIMIT_SCHEDULE_BACKFILLS 16        /* under way for one schedule */
#define TK_LIMIT_STEP_LIMITS 16                /* limits in front of one step */
#define TK_LIMIT_LIMIT_KEY 256                 /* a key of a limit */
#define TK_LIMIT_NAME_PREFIX 16                /* what consumers of ours have before their names */
#define TK_LIMIT_TEXT 1024                    /* reason, initiator, source_system, tag, identity key */

/* Ours. */
#define TK_CHUNK_STEPS 32                     /* steps in one stored record: a small task is one record, a big one is touched by pieces */
#define TK_MAP_PAGE 64                        /* elements of a map's list in one payload: a worker reads one to get an element */
#define TK_TURN_EVENTS 1024                   /* events one turn takes: bounds the time others wait for the write lock */
#define TK_SCHEDULE_OCCURRENCES 64            /* one event makes tasks of at most so many; the rest is for later turns */
#define TK_SWEEP_STEPS 256                    /* steps one event may change; the rest is a cursor for later turns */
#define TK_LIMIT_WAKES 256                    /* waiters of one key that one turn calls; each of them calls more */
#define TK_LIMIT_QUEUE_LOOKS 4096               /* waiters of one key looked at for those to call */
#define TK_LIMIT_KEYS_AT_ONCE 1024            /* keys whose waiters hear of new rules at once; others at their next start or end */
#define TK_CONCURRENCY_DEFAULT 512
#define TK_CONCURRENCY_MAX 100000
#define TK_THREADS_MAX 256
#define TK_NOTIFY_TIMEOUT_US 3600000000LL      /* of an attempt to tell people: as the default of a step that runs */
#define TK_LOST_LIMIT 10                      /* losses of one step before it is in error */

#endif
