/* See dir.h. The file `lock` holds the PID namespace of those who have the store open: claims and peers are told apart by
 * process, which means nothing across namespaces. Its first bytes are locked by meaning (LOCK_*), bytes from LOCK_PROCESS on
 * by process id. */
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"

enum { LOCK_OPEN = 0, LOCK_CREATION = 1, LOCK_GATE = 2 };
#define LOCK_PROCESS ((off_t)1 << 32)
#define NAMESPACE_TEXT 32

#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xFF534D42
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

static const struct network_type {
  unsigned long magic;
  const char *name;
} network_types[] = {{NFS_SUPER_MAGIC, "NFS"},     {SMB_SUPER_MAGIC, "SMB"}, {CIFS_SUPER_MAGIC, "CIFS"},
                     {SMB2_SUPER_MAGIC, "SMB"},    {V9FS_MAGIC, "9p"},       {CODA_SUPER_MAGIC, "Coda"},
                     {AFS_SUPER_MAGIC, "AFS"},     {AFS_FS_MAGIC, "AFS"},    {CEPH_SUPER_MAGIC, "Ceph"},
                     {OCFS2_SUPER_MAGIC, "OCFS2"}, {0x01161970, "GFS2"},     {0x0BD00BD0, "Lustre"},
                     {0x47504653, "GPFS"}};

/* FUSE carries local and remote file systems; the type of the mount tells them apart. */
static const char *const remote_fuse_types[] = {"fuse.sshfs",     "fuse.glusterfs", "fuse.s3fs",    "fuse.rclone",
                                                "fuse.ceph",      "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.davfs2",
                                                "fuse.curlftpfs", "fuse.juicefs",   "virtiofs"};

/* The type of the mount that holds device `dev`, from /proc/self/mountinfo ("... major:minor root where options - type source
 * ..."). */
static bool mount_type(dev_t dev, char out[64]) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (!file) return false;
  char *line = NULL, wanted[32];
  size_t size = 0;
  bool found = false;
  snprintf(wanted, sizeof wanted, " %u:%u ", major(dev), minor(dev));
  while (!found && getline(&line, &size, file) > 0) {
    const char *type = strstr(line, " - ");
    if (strstr(line, wanted) && type) found = sscanf(type, " - %63s", out) == 1;
  }
  free(line);
  fclose(file);
  return found;
}

static int check_file_system(const char *path, tk_err *err) {
  struct statfs fs;
  struct stat st;
  char type[64];
  if (statfs(path, &fs) || stat(path, &st))
    return tk_err_set(err, TK_E_IO, "cannot look at the folder '%s': %s", path, strerror(errno));
  const char *name = NULL;
  for (size_t i = 0; i < sizeof network_types / sizeof *network_types; i++)
    if ((unsigned long)fs.f_type == network_types[i].magic) name = network_types[i].name;
  if ((unsigned long)fs.f_type == FUSE_SUPER_MAGIC && mount_type(st.st_dev, type))
    for (size_t i = 0; i < sizeof remote_fuse_types / sizeof *remote_fuse_types; i++)
      if (strcmp(type, remote_fuse_types[i]) == 0) name = type;
  if (!name) return 0;
  return tk_err_set(
      err, TK_E_UNSUPPORTED,
      "the store '%s' is on a network file system (%s), where processes cannot share a mapped file: use a local disk", path,
      name);
}

int tk_dir_sync(const char *path, tk_err *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int rc = fd < 0 || fsync(fd) ? errno : 0;
  if (fd >= 0) close(fd);
  /* Some file systems cannot sync a folder and need not. */
  if (!rc || rc == EINVAL) return 0;
  return tk_err_set(err, TK_E_IO, "cannot sync the folder '%s': %s", path, strerror(rc));
}

/* A new folder survives a power cut once the one above it was synced. */
static int sync_above(const char *path, tk_err *err) {
  char *above = tk_strdup(path), *slash = strrchr(above, '/');
  if (slash) slash[slash == above] = '\0';
  int rc = tk_dir_sync(slash ? above : ".", err);
  tk_free(above);
  return rc;
}

int tk_dir_make(const char *path, tk_err *err) {
  if (path[0] == '\0') return tk_err_set(err, TK_E_INVALID, "the path of the folder is empty");
  char *copy = tk_strdup(path);
  int rc = 0, sync_rc = 0;
  for (char *at = copy + 1;; at++) {
    char kept = *at;
    if (kept != '/' && kept != '\0') continue;
    *at = '\0';
    if (!mkdir(copy, 0777)) sync_rc = sync_above(copy, err);
    else if (errno != EEXIST && (kept == '\0' || access(copy, F_OK))) rc = errno;
    *at = kept;
    if (rc || sync_rc || kept == '\0') break;
  }
  tk_free(copy);
  if (!rc) return sync_rc;
  return tk_err_set(err, rc == ENOSPC || rc == EDQUOT ? TK_E_FULL : TK_E_IO, "cannot make the folder '%s': %s", path,
                    strerror(rc));
}

/* 0, or errno. type: F_RDLCK, F_WRLCK, F_UNLCK. */
static int set_lock(int fd, short type, off_t at, bool wait) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
  while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock))
    if (errno != EINTR) return errno;
  return 0;
}

static bool lock_taken(int rc) { return rc == EAGAIN || rc == EACCES; }

static int lock_error(const tk_dir *dir, int rc, tk_err *err) {
  return tk_err_set(err, rc == EOPNOTSUPP || rc == EINVAL ? TK_E_UNSUPPORTED : TK_E_IO, "cannot lock '%s/lock': %s", dir->path,
                    strerror(rc));
}

/* "pid:[4026531836]", or "" where /proc is not there. */
static void own_namespace(char out[NAMESPACE_TEXT]) {
  ssize_t size = readlink("/proc/self/ns/pid", out, NAMESPACE_TEXT - 1);
  out[size > 0 ? size : 0] = '\0';
}

/* With the creation lock held: takes LOCK_OPEN and settles the namespace. */
static int take_open_lock(tk_dir *dir, const tk_store_options *options, tk_err *err) {
  char own[NAMESPACE_TEXT] = "", theirs[NAMESPACE_TEXT] = "";
  int rc = set_lock(dir->lock_fd, F_WRLCK, LOCK_OPEN, false);
  own_namespace(own);
  if (rc == 0) {                                  /* alone */
    if (ftruncate(dir->lock_fd, 0) || pwrite(dir->lock_fd, own, strlen(own), 0) < 0) return lock_error(dir, errno, err);
    if (options->exclusive) return 0;
    rc = set_lock(dir->lock_fd, F_RDLCK, LOCK_OPEN, false);
    return rc ? lock_error(dir, rc, err) : 0;
  }
  if (!lock_taken(rc) && rc != EBADF) return lock_error(dir, rc, err);   /* EBADF: opened for reading only */
  if (options->exclusive)
    return tk_err_set(err, TK_E_REFUSED, "the store '%s' is open elsewhere: this needs it alone", dir->path);
  rc = set_lock(dir->lock_fd, F_RDLCK, LOCK_OPEN, false);
  if (lock_taken(rc))
    return tk_err_set(err, TK_E_REFUSED, "the store '%s' is being compacted: try again when that is done", dir->path);
  if (rc) return lock_error(dir, rc, err);
  ssize_t size = pread(dir->lock_fd, theirs, sizeof theirs - 1, 0);
  if (size > 0 && own[0] && strcmp(own, theirs) != 0)
    return tk_err_set(
        err, TK_E_UNSUPPORTED,
        "the store '%s' is open in another PID namespace (a container?): processes of one store must see each other", dir->path);
  return 0;
}

static int take_locks(tk_dir *dir, const tk_store_options *options, tk_err *err) {
  char file[PATH_MAX];
  if (snprintf(file, sizeof file, "%s/lock", dir->path) >= (int)sizeof file)
    return tk_err_set(err, TK_E_INVALID, "the path '%.100s...' is too long", dir->path);
  bool writable = true;
  dir->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (dir->lock_fd < 0 && options->read_only) {
    writable = false;
    dir->lock_fd = open(file, O_RDONLY | O_CLOEXEC);
    if (dir->lock_fd < 0) return 0;               /* nobody can write here: nothing to be locked out from */
  }
  if (dir->lock_fd < 0) return tk_err_set(err, TK_E_IO, "cannot open '%s': %s", file, strerror(errno));
  /* Locks belong to the open file, not to the process: another opening in this process shows by the byte of our process id. */
  int rc = writable ? set_lock(dir->lock_fd, F_WRLCK, LOCK_PROCESS + getpid(), false) : 0;
  if (lock_taken(rc) && options->exclusive)
    return tk_err_set(err, TK_E_REFUSED, "the store '%s' is open in this process: this needs it alone", dir->path);
  if (lock_taken(rc))
    return tk_err_set(err, TK_E_CONFLICT, "the store '%s' is already open in this process, by another copy of the library",
                      dir->path);
  if (rc) return lock_error(dir, rc, err);
  if (!writable) return take_open_lock(dir, options, err);
  rc = tk_dir_lock_creation(dir, err);
  if (rc) return rc;
  rc = take_open_lock(dir, options, err);
  tk_dir_unlock_creation(dir);
  return rc;
}

/* Those who only read must not leave anything in a folder that is no store. */
static int check_there(const tk_dir *dir, tk_err *err) {
  char file[PATH_MAX];
  snprintf(file, sizeof file, "%s/data.mdb", dir->path);
  return access(file, F_OK) ? tk_err_set(err, TK_E_NOT_FOUND, "there is no store at '%s'", dir->path) : 0;
}

int tk_dir_open(const char *path, const tk_store_options *options, tk_dir *out, tk_err *err) {
  *out = (tk_dir){.lock_fd = -1};
  struct stat st;
  int rc = 0;
  if (path[0] == '\0') return tk_err_set(err, TK_E_INVALID, "the path of the store is empty");
  if (stat(path, &st)) {
    if (errno != ENOENT) return tk_err_set(err, TK_E_IO, "cannot look at the store '%s': %s", path, strerror(errno));
    if (options->read_only || options->exclusive) return tk_err_set(err, TK_E_NOT_FOUND, "there is no store at '%s'", path);
    rc = tk_dir_make(path, err);
    if (rc) return rc;
  } else if (!S_ISDIR(st.st_mode)) {
    return tk_err_set(err, TK_E_CORRUPT, "'%s' is a file: a store is a folder", path);
  }
  char *real = realpath(path, NULL);
  if (!real) return tk_err_set(err, TK_E_IO, "cannot look at the store '%s': %s", path, strerror(errno));
  out->path = tk_strdup(real);
  free(real);
  rc = check_file_system(out->path, err);
  if (!rc && (options->read_only || options->exclusive)) rc = check_there(out, err);
  if (!rc) rc = take_locks(out, options, err);
  if (rc) tk_dir_close(out);
  return rc;
}

void tk_dir_close(tk_dir *dir) {
  if (dir->lock_fd >= 0) close(dir->lock_fd);
  tk_free(dir->path);
  *dir = (tk_dir){.lock_fd = -1};
}

int tk_dir_lock_creation(tk_dir *dir, tk_err *err) {
  int rc = dir->lock_fd < 0 ? 0 : set_lock(dir->lock_fd, F_WRLCK, LOCK_CREATION, true);
  return rc ? lock_error(dir, rc, err) : 0;
}

void tk_dir_unlock_creation(tk_dir *dir) {
  if (dir->lock_fd >= 0) set_lock(dir->lock_fd, F_UNLCK, LOCK_CREATION, false);
}

int tk_dir_close_gate(tk_dir *dir, tk_err *err) {
  int rc = set_lock(dir->lock_fd, F_WRLCK, LOCK_GATE, true);
  return rc ? lock_error(dir, rc, err) : 0;
}

void tk_dir_open_gate(tk_dir *dir) { set_lock(dir->lock_fd, F_UNLCK, LOCK_GATE, false); }

bool tk_dir_gate_closed(const tk_dir *dir) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = LOCK_GATE, .l_len = 1};
  return fcntl(dir->lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int tk_dir_wait_gate(tk_dir *dir, tk_err *err) {
  int rc = set_lock(dir->lock_fd, F_RDLCK, LOCK_GATE, true);
  if (rc) return lock_error(dir, rc, err);
  tk_dir_open_gate(dir);
  return 0;
}
