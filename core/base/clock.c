#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/date.h"
#include "base/err.h"

#define US_PER_SECOND 1000000

static int64_t clock_us(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

static int64_t system_now_us(void *context) {
  (void)context;
  return clock_us(CLOCK_REALTIME);
}

const tk_clock tk_clock_system = {system_now_us, NULL};

int64_t tk_monotonic_us(void) { return clock_us(CLOCK_MONOTONIC); }

static _Atomic int32_t process_id;
static pthread_once_t watch_forks = PTHREAD_ONCE_INIT;
static void forget_process_id(void) { atomic_store(&process_id, 0); }
static void forget_at_fork(void) { pthread_atfork(NULL, NULL, forget_process_id); }

int32_t tk_process_id(void) {
  int32_t id = atomic_load_explicit(&process_id, memory_order_relaxed);
  if (id) return id;
  pthread_once(&watch_forks, forget_at_fork);
  id = getpid();
  atomic_store(&process_id, id);
  return id;
}

static uint64_t splitmix64(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void tk_rng_seed(tk_rng *rng, uint64_t seed) {
  for (int i = 0; i < 4; i++) rng->state[i] = splitmix64(&seed);
}

void tk_rng_seed_system(tk_rng *rng) {
  uint64_t seed;
  tk_random_bytes(&seed, sizeof seed);
  tk_rng_seed(rng, seed);
  uint64_t more[4];
  tk_random_bytes(more, sizeof more); /* all 256 bits: ids of many processes come from here */
  for (int i = 0; i < 4; i++) rng->state[i] ^= more[i];
  if (!(rng->state[0] | rng->state[1] | rng->state[2] | rng->state[3])) tk_rng_seed(rng, seed);
}

static inline uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

uint64_t tk_rng_next(tk_rng *rng) {
  uint64_t *s = rng->state;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}

double tk_rng_unit(tk_rng *rng) { return (double)(tk_rng_next(rng) >> 11) * 0x1p-53; }

void tk_random_bytes(void *out, size_t size) {
  char *at = out;
  while (size > 0) {
    ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    TK_ASSERT(got > 0);
    at += got;
    size -= (size_t)got;
  }
}

static void put_digits(char *at, int width, int64_t value) {
  while (width-- > 0) {
    at[width] = (char)('0' + value % 10);
    value /= 10;
  }
}

void tk_time_format(int64_t time_us, char out[32]) {
  int64_t seconds = time_us / US_PER_SECOND, fraction_us = time_us % US_PER_SECOND;
  if (fraction_us < 0) {
    fraction_us += US_PER_SECOND;
    seconds--;
  }
  if (seconds < TK_YEAR_0000_SECONDS) seconds = TK_YEAR_0000_SECONDS, fraction_us = 0;
  if (seconds > TK_YEAR_9999_SECONDS) seconds = TK_YEAR_9999_SECONDS, fraction_us = US_PER_SECOND - 1;
  int64_t days = seconds / TK_DAY_SECONDS, second_of_day = seconds % TK_DAY_SECONDS;
  if (second_of_day < 0) {
    second_of_day += TK_DAY_SECONDS;
    days--;
  }
  int64_t year;
  int month, day;
  tk_date_of_days(days, &year, &month, &day);
  memcpy(out, "0000-00-00T00:00:00.000000Z", 28);
  put_digits(out, 4, year);
  put_digits(out + 5, 2, month);
  put_digits(out + 8, 2, day);
  put_digits(out + 11, 2, second_of_day / 3600);
  put_digits(out + 14, 2, second_of_day / 60 % 60);
  put_digits(out + 17, 2, second_of_day % 60);
  put_digits(out + 20, 6, fraction_us);
}

/* A cursor over the text; `ok` turns false at the first byte that does not fit, and everything reads as 0 from then on. */
typedef struct scan {
  const char *at, *end;
  bool ok;
} scan;

static int scan_digits(scan *s, int width) {
  int value = 0;
  for (int i = 0; i < width; i++) {
    if (!s->ok || s->at == s->end || *s->at < '0' || *s->at > '9') {
      s->ok = false;
      return 0;
    }
    value = value * 10 + (*s->at++ - '0');
  }
  return value;
}

static bool scan_char(scan *s, char lower, char upper) {
  if (!s->ok || s->at == s->end || (*s->at != lower && *s->at != upper)) return false;
  s->at++;
  return true;
}

static void scan_expect(scan *s, char lower, char upper) {
  if (!scan_char(s, lower, upper)) s->ok = false;
}

/* ".1" to ".123456789" in microseconds, cut; nothing is 0. */
static int scan_fraction_us(scan *s) {
  if (!scan_char(s, '.', '.')) return 0;
  int us = 0, digits = 0;
  for (int place = 100000; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, digits++, place /= 10)
    us += (*s->at - '0') * place;
  if (digits < 1 || digits > 9) s->ok = false;
  return us;
}

static int scan_offset_seconds(scan *s) {
  if (scan_char(s, 'z', 'Z')) return 0;
  int sign = scan_char(s, '-', '-') ? -1 : 1;
  if (sign > 0) scan_expect(s, '+', '+');
  int hours = scan_digits(s, 2);
  scan_expect(s, ':', ':');
  int minutes = scan_digits(s, 2);
  if (hours > 23 || minutes > 59) s->ok = false;
  return sign * (hours * 3600 + minutes * 60);
}

bool tk_time_parse(const char *text, size_t size, int64_t *time_us) {
  scan s = {text, text + size, true};
  int year = scan_digits(&s, 4);
  scan_expect(&s, '-', '-');
  int month = scan_digits(&s, 2);
  scan_expect(&s, '-', '-');
  int day = scan_digits(&s, 2);
  scan_expect(&s, 't', 'T');
  int hour = scan_digits(&s, 2);
  scan_expect(&s, ':', ':');
  int minute = scan_digits(&s, 2);
  scan_expect(&s, ':', ':');
  int second = scan_digits(&s, 2);
  int fraction_us = scan_fraction_us(&s);
  int offset = scan_offset_seconds(&s);
  if (!s.ok || s.at != s.end || month < 1 || month > 12 || day < 1 || day > tk_days_in_month(year, month)) return false;
  if (hour > 23 || minute > 59 || second > 60) return false;
  bool leap_second = second == 60;
  if (leap_second) second = 59, fraction_us = US_PER_SECOND - 1;
  int64_t seconds = tk_date_to_days(year, month, day) * TK_DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
  if (seconds < TK_YEAR_0000_SECONDS || seconds > TK_YEAR_9999_SECONDS) return false;
  /* UTC inserts leap seconds only at the end of a day. */
  if (leap_second && (seconds - TK_YEAR_0000_SECONDS) % TK_DAY_SECONDS != TK_DAY_SECONDS - 1) return false;
  *time_us = seconds * US_PER_SECOND + fraction_us;
  return true;
}
