#include "base/tzfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define DIRECTORY "/usr/share/zoneinfo"
#define LONGEST_NAME 128             /* the longest of the IANA database has 32 */
#define LARGEST_FILE (1024 * 1024)   /* the largest of tzdata has 4 KiB */

typedef struct kept_file {
  struct kept_file *next;
  char *path;
  tk_slice bytes;
} kept_file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kept_file *kept;

static bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_+-.", c);
}

/* Components of letters, digits and `_+-.` that begin with none of `.` and `-`: nothing that leads out of the directory. */
static bool is_name(tk_slice name) {
  if (name.size == 0 || name.size > LONGEST_NAME) return false;
  char before = '/';
  for (size_t i = 0; i < name.size; before = name.data[i++]) {
    char c = name.data[i];
    if (c == '/' ? before == '/' : !c || !is_name_char(c)) return false;
    if (before == '/' && (c == '.' || c == '-')) return false;
  }
  return before != '/';
}

static int unknown_zone(tk_slice name, tk_err *err) {
  char shown[65];
  size_t size = 0;
  for (; size < name.size && size < sizeof shown - 1; size++) {
    unsigned char c = (unsigned char)name.data[size];
    shown[size] = c < ' ' || c > '~' ? '?' : (char)c;
  }
  shown[size] = '\0';
  return tk_err_set(err, TK_E_INVALID,
                    "there is no time zone '%s' (a name of the IANA database such as Europe/Berlin or UTC expected)", shown);
}

static const char *directory(void) {
  const char *set = getenv("TZDIR");
  return set && *set ? set : DIRECTORY;
}

static int open_error(tk_slice name, const char *path, tk_err *err) {
  int why = errno;
  if (why != ENOENT && why != ENOTDIR && why != ENAMETOOLONG)
    return tk_err_set(err, TK_E_IO, "cannot read %s: %s", path, strerror(why));
  struct stat info;
  if (stat(directory(), &info) == 0) return unknown_zone(name, err);
  return tk_err_set(err, TK_E_UNSUPPORTED, "there are no time zones in %s (Debian's tzdata has them; UTC needs none)",
                    directory());
}

/* Reads the whole file at `path` into `out`. */
static int read_file(tk_slice name, const char *path, tk_buf *out, tk_err *err) {
  int result = 0;
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);   /* opening a pipe must not wait for a writer */
  if (fd < 0) return open_error(name, path, err);
  if (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_size > LARGEST_FILE) {
    result = unknown_zone(name, err);
    goto out;
  }
  for (;;) {
    ssize_t got = read(fd, tk_buf_reserve(out, 8192), 8192);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result = tk_err_set(err, TK_E_IO, "cannot read %s: %s", path, strerror(errno));
    if (got <= 0) break;
    out->size += (size_t)got;
    if (out->size > LARGEST_FILE) break;
  }
  /* tzdata has tables of text beside the zones. */
  bool is_zone = out->size >= 4 && out->size <= LARGEST_FILE && memcmp(out->data, "TZif", 4) == 0;
  if (!result && !is_zone) result = unknown_zone(name, err);
out:
  close(fd);
  return result;
}

static const kept_file *find_kept(const char *path) {
  for (const kept_file *file = kept; file; file = file->next)
    if (strcmp(file->path, path) == 0) return file;
  return NULL;
}

int tk_tzfile_read(tk_slice name, tk_slice *bytes, tk_err *err) {
  *bytes = tk_slice_of(NULL, 0);
  if (tk_slice_eq(name, tk_slice_str("UTC"))) return 0;
  if (!is_name(name)) return unknown_zone(name, err);
  int result = 0;
  tk_buf path = {0}, content = {0};
  tk_buf_printf(&path, "%s/%.*s", directory(), (int)name.size, name.data);
  tk_buf_u8(&path, 0);
  pthread_mutex_lock(&lock);
  const kept_file *found = find_kept(path.data);
  if (!found) {
    result = read_file(name, path.data, &content, err);
    if (result) goto out;
    kept_file *file = tk_malloc(sizeof *file);
    *file = (kept_file){kept, tk_strdup(path.data), tk_slice_of(tk_memdup(content.data, content.size), content.size)};
    found = kept = file;
  }
  *bytes = found->bytes;
out:
  pthread_mutex_unlock(&lock);
  tk_buf_free(&content);
  tk_buf_free(&path);
  return result;
}
