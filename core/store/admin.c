/* Administration: backup and compact. (stats: open.c; check: check.c) */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/dir.h"
#include "store/parts.h"

static int check_empty_folder(const char *path, tk_err *err) {
  DIR *folder = opendir(path);
  struct dirent *entry;
  int count = 0;
  if (!folder) return tk_err_set(err, TK_E_IO, "cannot open the folder '%s': %s", path, strerror(errno));
  while ((entry = readdir(folder))) count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  closedir(folder);
  return count ? tk_err_set(err, TK_E_REFUSED, "the folder '%s' is not empty: a backup goes into a new or an empty one", path)
               : 0;
}

int tk_store_backup(tk_store *store, const char *path, tk_err *err) {
  int rc = tk_dir_make(path, err);
  if (!rc) rc = check_empty_folder(path, err);
  return rc ? rc : store->kv->ops->copy(store->kv, path, true, err);
}

static int file_size(const char *path, uint64_t *size, tk_err *err) {
  struct stat st;
  char file[PATH_MAX];
  snprintf(file, sizeof file, "%s/data.mdb", path);
  if (stat(file, &st)) return tk_err_set(err, TK_E_IO, "cannot look at '%s': %s", file, strerror(errno));
  *size = (uint64_t)st.st_size;
  return 0;
}

/* The copy takes the file's name at once and whole; whoever opens the store afterwards maps the new file. */
int tk_store_compact(const char *url, uint64_t *before, uint64_t *after, tk_err *err) {
  tk_store_options options = {.exclusive = true};
  tk_store *store;
  if (strcmp(url, "memory:") == 0) return tk_err_set(err, TK_E_UNSUPPORTED, "a store in memory has no file to make small");
  int rc = tk_store_open(url, &options, &store, err);
  if (rc) return rc;
  const char *path = tk_store_path(store);
  rc = file_size(path, before, err);
  if (!rc) rc = store->kv->ops->copy(store->kv, path, true, err);
  if (!rc) rc = file_size(path, after, err);
  tk_store_close(store);
  return rc;
}
