/* How the processes of one store find, wake and miss each other: for each a file procs/<incarnation> that it holds locked for
 * life (OFD lock) with a page of shared flags, and a FIFO beside it. A pidfd is the bell of a death, the lock is the truth.
 * Owner: the engine's thread. */
#ifndef TK_ENGINE_PRESENCE_H
#define TK_ENGINE_PRESENCE_H
#include <poll.h>

#include "base/err.h"
#include "store/store.h"

typedef struct tk_presence tk_presence;

enum { TK_WAKE_WORK = 1, TK_WAKE_LOG = 2 };   /* what a process wants to be woken for; bits of its shared flags */

/* Sees the peers only; makes no files. NULL for a store without a directory. */
tk_presence *tk_presence_new(const char *store_path);
void tk_presence_free(tk_presence *presence);        /* removes this process's files if it joined */
/* Makes and locks this process's files under `incarnation`. */
int tk_presence_join(tk_presence *presence, const uint8_t incarnation[16], tk_err *err);
/* Sets what this process wants to be woken for (0: it is awake). Sequentially consistent: set it, then look at the store a last time. */
void tk_presence_want(tk_presence *presence, uint32_t wants);
/* Wakes the peers that want any of `reasons`. */
void tk_presence_wake(tk_presence *presence, uint32_t reasons);
/* Descriptors to poll besides the engine's own: the FIFO and a pidfd of each peer. Appends to fds at *count (room for max). */
void tk_presence_poll(tk_presence *presence, struct pollfd *fds, size_t *count, size_t max);
/* After poll: true when a peer rang (drains the FIFO); *died when some peer may be gone. */
bool tk_presence_rang(tk_presence *presence, const struct pollfd *fds, size_t count, bool *died);
/* Whether processes came or went since the last call of this. */
bool tk_presence_changed(tk_presence *presence);
/* Whether the process with that incarnation holds its lock. */
bool tk_presence_alive(tk_presence *presence, const uint8_t incarnation[16]);
/* Watches for the death of that process. */
void tk_presence_watch(tk_presence *presence, const uint8_t incarnation[16], int32_t pid);
/* Removes the files of a process that is dead and recovered. */
void tk_presence_bury(tk_presence *presence, const uint8_t incarnation[16]);

#endif
