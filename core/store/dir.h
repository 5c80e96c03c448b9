/* The folder of a store: made when missing, refused where a mapped file cannot be shared, and the locks on its file `lock`:
 * who has the store open (shared; compact: alone), who creates it, and the gate that is closed while a process enlarges the
 * map in the middle of a turn. All locks are open-file-description locks: they end with the process. Any thread. */
#ifndef TK_STORE_DIR_H
#define TK_STORE_DIR_H
#include "store/store.h"

typedef struct tk_dir {
  char *path;                     /* absolute; owned */
  int lock_fd;                    /* -1: read-only medium, nothing is locked */
} tk_dir;

/* not_found (read only and missing), unsupported (network file system, another PID namespace), conflict (this process has it
 * open), refused (exclusive and not alone; or being compacted), io. */
int tk_dir_open(const char *path, const tk_store_options *options, tk_dir *out, tk_err *err);
void tk_dir_close(tk_dir *dir);
/* Creating the files is done by one process at a time. */
int tk_dir_lock_creation(tk_dir *dir, tk_err *err);
void tk_dir_unlock_creation(tk_dir *dir);

int tk_dir_close_gate(tk_dir *dir, tk_err *err);
void tk_dir_open_gate(tk_dir *dir);
bool tk_dir_gate_closed(const tk_dir *dir);       /* by another process */
int tk_dir_wait_gate(tk_dir *dir, tk_err *err);   /* until it is open */

/* Makes `path` and what is missing above it. */
int tk_dir_make(const char *path, tk_err *err);
int tk_dir_sync(const char *path, tk_err *err);   /* fsync of the folder */

#endif
