/* The walk over a file's pages finds what is broken and survives anything. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "store/pages.h"
#include "store_support.h"

#define PAGE 4096

typedef struct file_copy { uint8_t *bytes; size_t size; int fd; } file_copy;

/* The file of a store with branches, large values and free pages. */
static file_copy make_file(void) {
  world *w = world_new("lmdb:");
  char path[160], *big = tk_calloc(1, 20001);
  file_copy f;
  struct stat st;
  uint32_t definition = world_define(w, "pair", "1.0.0", 2, SHAPE_CHAIN);
  memset(big, '3', 20000);
  for (int i = 0; i < 200; i++) {
    world_submit(w, definition);
    if (i % 2) world_work(w, &definition, 1, 1, i % 16 == 1 ? big : "{}");
  }
  tk_store_close(w->store);
  w->store = NULL;
  snprintf(path, sizeof path, "%s/data.mdb", w->url);
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &st)) abort();
  f.size = (size_t)st.st_size;
  f.bytes = tk_malloc(f.size);
  if (read(fd, f.bytes, f.size) != (ssize_t)f.size) abort();
  close(fd);
  f.fd = memfd_create("pages", MFD_CLOEXEC);
  if (write(f.fd, f.bytes, f.size) != (ssize_t)f.size) abort();
  tk_free(big);
  world_free(w);
  return f;
}

static void free_file(file_copy *f) {
  close(f->fd);
  tk_free(f->bytes);
}

static void note(void *context, const char *what) {
  (void)what;
  ++*(int *)context;
}

/* The number of damages; a header that is none counts as one. */
static int walk(const file_copy *f) {
  tk_pages_meta metas[2];
  int reported = 0;
  if (!tk_pages_read_metas(f->fd, metas)) return 1;
  int damages = tk_pages_walk(f->fd, tk_pages_newest(metas), true, note, &reported);
  CHECK(reported == damages || damages >= 100);
  return damages;
}

static void put(const file_copy *f, size_t at, const void *bytes, size_t size) {
  if (pwrite(f->fd, bytes, size, (off_t)at) != (ssize_t)size) abort();
}

TEST(a_whole_file_has_no_damage_and_a_zeroed_page_in_use_is_found) {
  file_copy f = make_file();
  static const uint8_t zeroes[PAGE];
  int found = 0, pages = (int)(f.size / PAGE);
  CHECK_EQ_INT(walk(&f), 0);
  for (int page = 2; page < pages; page++) {
    put(&f, (size_t)page * PAGE, zeroes, PAGE);
    found += walk(&f) > 0;
    put(&f, (size_t)page * PAGE, f.bytes + (size_t)page * PAGE, PAGE);
  }
  CHECK(found > 20);                                /* the others are free, or the inside of a large value */
  CHECK_EQ_INT(walk(&f), 0);
  free_file(&f);
}

TEST(a_file_that_ends_early_is_found) {
  file_copy f = make_file();
  tk_pages_meta metas[2];
  REQUIRE(tk_pages_read_metas(f.fd, metas));
  REQUIRE(ftruncate(f.fd, (off_t)(f.size / 2)) == 0);
  CHECK(walk(&f) > 0);
  free_file(&f);
}

TEST(any_bytes_are_survived) {
  file_copy f = make_file();
  tk_rng rng;
  tk_rng_seed(&rng, 17);
  for (int round = 0; round < 4000; round++) {
    uint8_t noise[64];
    size_t at = tk_rng_next(&rng) % 4 ? tk_rng_next(&rng) % (f.size - sizeof noise) : tk_rng_next(&rng) % (f.size / PAGE) * PAGE;
    size_t size = 1 + tk_rng_next(&rng) % 16;
    int kind = (int)(tk_rng_next(&rng) % 4);
    for (size_t i = 0; i < size; i++) noise[i] = kind == 0 ? 0 : kind == 1 ? 0xFF : (uint8_t)tk_rng_next(&rng);
    put(&f, at, noise, size);
    walk(&f);
    if (tk_rng_next(&rng) % 3) put(&f, at, f.bytes + at, size);
    if (round % 50 == 49) put(&f, 0, f.bytes, f.size);
  }
  free_file(&f);
}

TEST_MAIN
