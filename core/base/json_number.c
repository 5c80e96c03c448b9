/* Numbers of JSON in both directions, exactly rounded, whatever the locale says about decimal points.
 *
 * Reading: digits * 10^e is one correctly rounded operation when both factors are exact. In a double that holds for 53 bits
 * and 10^22; the x87 extended format carries it to 64 bits and 10^27, and only a result that lies just between two doubles
 * needs the slow way (strtod on digits without a point). Writing: the first of the nearest 15, 16 and 17 digits that reads
 * back as the same double is the shortest form (any decimal of 15 digits survives a double). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/json_scan.h"

#define HAVE_EXTENDED (LDBL_MANT_DIG == 64)
#define DIGITS_KEPT 19      /* in a uint64 */
#define DIGITS_DECISIVE 800 /* no double's rounding depends on more than 768 digits and whether anything follows */

static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#if HAVE_EXTENDED
static const long double extended_power[] = {
    1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
    1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

/* `value` is rounded to 64 bits; false when it lies exactly between two doubles, where the lost bits decide. */
static bool extended_to_double(long double value, double *out) {
  uint64_t mantissa;
  memcpy(&mantissa, &value, sizeof mantissa);
  *out = (double)value;
  return (mantissa & 0x7FF) != 0x400;
}
#endif

static double slow_decimal(const char *digits, size_t count, int64_t exponent) {
  char text[DIGITS_DECISIVE + 32];
  TK_ASSERT(count <= DIGITS_DECISIVE + 1);
  memcpy(text, digits, count);
  snprintf(text + count, sizeof text - count, "e%lld", (long long)exponent);
  return strtod(text, NULL);
}

double tk_json_decimal(uint64_t digits, int exponent) {
  if (digits == 0) return 0.0;
  if (digits <= (UINT64_C(1) << 53) && exponent >= -22 && exponent <= 22)
    return exponent < 0 ? (double)digits / exact_power[-exponent] : (double)digits * exact_power[exponent];
#if HAVE_EXTENDED
  if (exponent >= -27 && exponent <= 27) {
    long double wide = (long double)digits;
    double value;
    wide = exponent < 0 ? wide / extended_power[-exponent] : wide * extended_power[exponent];
    if (extended_to_double(wide, &value)) return value;
  }
#endif
  char text[32];
  int count = snprintf(text, sizeof text, "%llu", (unsigned long long)digits);
  return slow_decimal(text, (size_t)count, exponent);
}

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A number too long for a uint64: all its digits up to the decisive ones, then a 1 if anything other than 0 follows. */
static double long_decimal(const char *at, const char *end, int64_t exponent) {
  char digits[DIGITS_DECISIVE + 1];
  size_t count = 0;
  bool fraction = false, more = false;
  for (; at < end && *at != 'e' && *at != 'E'; at++) {
    if (*at == '.') {
      fraction = true;
      continue;
    }
    if (count == DIGITS_DECISIVE) {
      more |= *at != '0';
      exponent += !fraction;
      continue;
    }
    exponent -= fraction;
    if (count > 0 || *at != '0') digits[count++] = *at;
  }
  if (more) {
    digits[count++] = '1';
    exponent--;
  }
  if (count == 0) return 0.0;
  return slow_decimal(digits, count, exponent);
}

/* The shape of a number; sums its digits up as far as they fit. */
typedef struct shape {
  const char *first; /* digit, behind the sign */
  uint64_t digits;
  int count;         /* of significant digits in `digits`, or DIGITS_KEPT + 1 when there are more */
  int64_t exponent;  /* as written */
  int64_t fraction;  /* digits behind the point */
  bool is_integer;
} shape;

static inline void take_digit(shape *s, char c) {
  if (s->count < DIGITS_KEPT) {
    s->digits = s->digits * 10 + (uint64_t)(c - '0');
    s->count += s->digits != 0;
  } else {
    s->count = DIGITS_KEPT + 1;
  }
}

static bool fault(tk_json_scan *scan, const char *what) {
  scan->fault = what;
  return false;
}

static bool scan_exponent(tk_json_scan *scan, shape *s) {
  s->is_integer = false;
  scan->at++;
  bool negative = scan->at < scan->end && *scan->at == '-';
  if (scan->at < scan->end && (*scan->at == '-' || *scan->at == '+')) scan->at++;
  if (scan->at == scan->end || !is_digit(*scan->at)) return fault(scan, "expected a digit of the exponent");
  for (; scan->at < scan->end && is_digit(*scan->at); scan->at++)
    if (s->exponent < INT32_MAX) s->exponent = s->exponent * 10 + (*scan->at - '0');
  if (negative) s->exponent = -s->exponent;
  return true;
}

static bool scan_shape(tk_json_scan *scan, shape *s) {
  if (scan->at == scan->end || !is_digit(*scan->at)) return fault(scan, "expected a digit");
  s->first = scan->at;
  if (*scan->at == '0') {
    scan->at++;
    if (scan->at < scan->end && is_digit(*scan->at)) return fault(scan, "a number must not begin with 0");
  } else {
    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++) take_digit(s, *scan->at);
  }
  if (scan->at < scan->end && *scan->at == '.') {
    s->is_integer = false;
    scan->at++;
    const char *point = scan->at;
    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++) take_digit(s, *scan->at);
    s->fraction = scan->at - point;
    if (s->fraction == 0) return fault(scan, "expected a digit behind the point");
  }
  if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) return scan_exponent(scan, s);
  return true;
}

bool tk_json_scan_number(tk_json_scan *scan, tk_json_num *num) {
  const char *start = scan->at;
  bool negative = *start == '-';
  shape s = {.is_integer = true};
  scan->at += negative;
  if (!scan_shape(scan, &s)) return false;
  if (s.is_integer && s.count <= DIGITS_KEPT && s.digits <= (uint64_t)INT64_MAX + negative) {
    num->is_integer = true;
    num->integer = (int64_t)(negative ? 0 - s.digits : s.digits);
    return true;
  }
  int64_t exponent = s.exponent - s.fraction;
  double value;
  if (s.count <= DIGITS_KEPT && exponent > -1000 && exponent < 1000) value = tk_json_decimal(s.digits, (int)exponent);
  else value = long_decimal(s.first, scan->at, s.exponent);
  if (isinf(value)) {
    scan->at = start;
    return fault(scan, "a number larger than a double can be");
  }
  num->is_integer = false;
  num->number = negative ? -value : value;
  return true;
}

/* n * 10^exponent is the shortest decimal that reads back as the value. */
typedef struct decimal {
  uint64_t n;
  int exponent;
} decimal;

static bool reads_back(double value, decimal d) { return tk_json_decimal(d.n, d.exponent) == value; }

#if HAVE_EXTENDED
/* The value scaled to 17 digits is right to 1/64 of the last one. False: out of range, or too close to call. */
static bool shortest_fast(double value, decimal *out) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & ((UINT64_C(1) << 52) - 1)) == 0) return false; /* a power of two: its neighbours are not equally far */
  int exponent = 16 - (int)floor(((int)(bits >> 52) - 1023) * 0.30102999566398120);
  if (exponent < -26 || exponent > 26) return false;
  long double scaled = exponent < 0 ? value / extended_power[-exponent] : value * extended_power[exponent];
  if (scaled >= 1e17L) {
    exponent--;
    scaled = exponent < 0 ? value / extended_power[-exponent] : value * extended_power[exponent];
  }
  static const struct { unsigned unit; int exponent; } tries[] = {{100, 2}, {10, 1}, {1, 0}};
  uint64_t whole = (uint64_t)scaled;
  long double part = scaled - (long double)whole;
  for (int i = 0; i < 3; i++) {
    unsigned unit = tries[i].unit;
    long double rest = (long double)(whole % unit) + part, half = unit * 0.5L;
    *out = (decimal){whole / unit + (rest > half), tries[i].exponent - exponent};
    bool close = rest > half - 0.02L && rest < half + 0.02L;
    if (i > 0 && close) return false;
    if (i == 2 || reads_back(value, *out)) return true;
  }
  return false;
}
#else
static bool shortest_fast(double value, decimal *out) {
  (void)value, (void)out;
  return false;
}
#endif

/* `value` rounded to `count` digits, by the C library (whose decimal point may be any sequence of bytes). */
static decimal round_to(double value, int count) {
  char text[64];
  snprintf(text, sizeof text, "%.*e", count - 1, value);
  const char *at = text;
  decimal d = {0, 0};
  for (; *at != 'e'; at++)
    if (is_digit(*at)) d.n = d.n * 10 + (uint64_t)(*at - '0');
  d.exponent = atoi(at + 1) - (count - 1);
  return d;
}

static decimal shortest_slow(double value) {
  for (int count = value < DBL_MIN ? 1 : 15; count < 17; count++) {
    decimal d = round_to(value, count);
    if (reads_back(value, d)) return d;
    /* Above a power of two the doubles lie twice as far apart: the next decimal up may do though the nearest does not. */
    d.n++;
    if (reads_back(value, d)) return d;
  }
  return round_to(value, 17);
}

/* Everyday numbers: at most six decimals and 15 digits in all, so that one product and one quotient decide. */
static bool shortest_plain(double value, decimal *out) {
  if (value >= 1e9) return false;
  *out = (decimal){(uint64_t)(value * 1e6 + 0.5), -6};
  return (double)out->n / 1e6 == value;
}

static decimal shortest(double value) {
  decimal d = {0, 0};
  if (value < 9007199254740992.0 && value == (double)(uint64_t)value) d.n = (uint64_t)value;
  else if (!shortest_plain(value, &d) && !shortest_fast(value, &d)) d = shortest_slow(value);
  while (d.n >= 10 && d.n % 10 == 0) {
    d.n /= 10;
    d.exponent++;
  }
  return d;
}

size_t tk_json_integer(int64_t value, char *out) {
  char digits[20];
  size_t count = 0, size = 0;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    digits[count++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  if (value < 0) out[size++] = '-';
  while (count) out[size++] = digits[--count];
  return size;
}

/* The layout of ECMAScript's Number::toString; `point` is where the decimal point stands, counted from the first digit. */
static size_t layout(const char *digits, int count, int point, char *out) {
  char *at = out;
  if (count <= point && point <= 21) {
    memcpy(at, digits, (size_t)count);
    memset(at + count, '0', (size_t)(point - count));
    return (size_t)point;
  }
  if (point > 0 && point <= 21) {
    memcpy(at, digits, (size_t)point);
    at[point] = '.';
    memcpy(at + point + 1, digits + point, (size_t)(count - point));
    return (size_t)count + 1;
  }
  if (point > -6 && point <= 0) {
    memcpy(at, "0.00000", (size_t)(2 - point));
    memcpy(at + 2 - point, digits, (size_t)count);
    return (size_t)(2 - point + count);
  }
  *at++ = digits[0];
  if (count > 1) {
    *at++ = '.';
    memcpy(at, digits + 1, (size_t)(count - 1));
    at += count - 1;
  }
  *at++ = 'e';
  if (point > 0) *at++ = '+';
  at += tk_json_integer(point - 1, at);
  return (size_t)(at - out);
}

size_t tk_json_number(double value, bool canonical, char out[32]) {
  TK_ASSERT(isfinite(value));
  size_t size = 0;
  if (signbit(value) && !(canonical && value == 0)) out[size++] = '-';
  decimal d = shortest(fabs(value));
  char digits[32];
  int count = (int)tk_json_integer((int64_t)d.n, digits), point = count + d.exponent;
  size += layout(digits, count, point, out + size);
  if (!canonical && d.exponent >= 0 && point <= 21) { /* neither a point nor an exponent was written */
    memcpy(out + size, ".0", 2);
    size += 2;
  }
  return size;
}
