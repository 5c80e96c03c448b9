#include "model/cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/date.h"

#define LONGEST 1024   /* characters: every value of every field listed takes less */
#define CALENDAR_CYCLE_SECONDS (146097LL * TK_DAY_SECONDS)   /* 400 years: dates and weekdays repeat */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct field {
  const char *name;
  int least, most, star_most;   /* values; up to where `*` goes: 7 is Sunday again */
  const char *const *names;
  int name_count;
} fields[FIELDS] = {
    [SECOND] = {"second", 0, 59, 59, NULL, 0},
    [MINUTE] = {"minute", 0, 59, 59, NULL, 0},
    [HOUR] = {"hour", 0, 23, 23, NULL, 0},
    [DAY] = {"day of the month", 1, 31, 31, NULL, 0},
    [MONTH] = {"month", 1, 12, 12, month_names, 12},
    [WEEKDAY] = {"day of the week", 0, 7, 6, weekday_names, 7},
};

static const struct { const char *name, *expression; } macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

/* `at` goes through one field, which ends at `end`. */
typedef struct parser {
  tk_slice text;
  const char *at, *end;
  const struct field *field;
  bool failed;
  tk_err *err;
} parser;

/* Says what is wrong at `where`, a place in the text; the first fault counts. Returns false. */
__attribute__((format(printf, 3, 4)))
static bool fail(parser *p, const char *where, const char *format, ...) {
  if (p->failed) return false;
  p->failed = true;
  char what[256], shown[101];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  size_t size = p->text.size < sizeof shown - 1 ? p->text.size : sizeof shown - 1;
  for (size_t i = 0; i < size; i++) shown[i] = p->text.data[i] < ' ' || p->text.data[i] > '~' ? '?' : p->text.data[i];
  shown[size] = '\0';
  int position = (int)(where - p->text.data) + 1;
  tk_err_set(p->err, TK_E_INVALID, "cron expression '%s': %s, at character %d", shown, what, position);
  if (p->err) tk_err_details(p->err, "{\"position\":%d}", position);
  return false;
}

static bool is_next(const parser *p, char upper) {
  return p->at < p->end && (*p->at == upper || (upper >= 'A' && upper <= 'Z' && *p->at == upper + 32));
}

static bool accept(parser *p, char upper) {
  if (!is_next(p, upper)) return false;
  p->at++;
  return true;
}

static bool unexpected(parser *p) {
  if (p->at == p->end) return fail(p, p->at, "the field for the %s ends too early", p->field->name);
  bool printable = *p->at > ' ' && *p->at <= '~';
  if (!printable) return fail(p, p->at, "a character that cannot stand in the field for the %s", p->field->name);
  return fail(p, p->at, "'%c' cannot stand there in the field for the %s", *p->at, p->field->name);
}

static bool parse_digits(parser *p, int *value) {
  const char *from = p->at;
  *value = 0;
  while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
    if (*value < 100000) *value = *value * 10 + (*p->at - '0');
    p->at++;
  }
  return p->at > from || unexpected(p);
}

/* A number in [least, most]; `what` names it in the message. */
static bool parse_number(parser *p, const char *what, int least, int most, int *value) {
  const char *from = p->at;
  if (!parse_digits(p, value)) return false;
  if (*value >= least && *value <= most) return true;
  return fail(p, from, "%s %.*s is not in %d-%d", what, p->at - from > 9 ? 9 : (int)(p->at - from), from, least, most);
}

/* A value of the field: a number, or a name. */
static bool parse_value(parser *p, int *value) {
  for (int i = 0; i < p->field->name_count; i++) {
    if (p->end - p->at < 3 || strncasecmp(p->at, p->field->names[i], 3) != 0) continue;
    *value = p->field->least + i;
    p->at += 3;
    return true;
  }
  return parse_number(p, p->field->name, p->field->least, p->field->most, value);
}

static bool parse_step(parser *p, int *step) {
  *step = 1;
  if (!accept(p, '/')) return true;
  return parse_number(p, "a step of", 1, p->field->star_most - p->field->least + 1, step);
}

static void add_range(uint64_t *bits, int from, int to, int step) {
  for (; from <= to; from += step) *bits |= 1ull << from;
}

/* "a", "a-b", "a/n", "a-b/n" behind its first value. */
static bool parse_range(parser *p, const char *from, int first, uint64_t *bits) {
  int last = first, step;
  bool ranged = accept(p, '-');
  if (ranged && !parse_value(p, &last)) return false;
  if (p->field == &fields[WEEKDAY] && ranged && last == 0 && first > 0) last = 7;   /* FRI-SUN */
  if (last < first)
    return fail(p, from, "the range %.*s goes backward (ranges do not wrap)", p->at - from > 15 ? 15 : (int)(p->at - from), from);
  if (!ranged && is_next(p, '/')) last = first > p->field->star_most ? first : p->field->star_most;
  if (!parse_step(p, &step)) return false;
  add_range(bits, first, last, step);
  return true;
}

/* "L", "L-3", "LW", "L-3W" behind the L. */
static bool parse_last_day(parser *p, tk_cron *cron) {
  int before = 0;
  if (accept(p, '-') && !parse_number(p, "the day before the last", 1, 30, &before)) return false;
  if (accept(p, 'W')) cron->near_last |= 1u << before;
  else cron->days_before_last |= 1u << before;
  return true;
}

static bool parse_item(parser *p, tk_cron *cron, uint64_t *bits) {
  const char *from = p->at;
  int value, nth;
  bool is_day = p->field == &fields[DAY], is_weekday = p->field == &fields[WEEKDAY];
  if (is_day && accept(p, 'L')) return parse_last_day(p, cron);
  if (is_weekday && is_next(p, 'L')) return fail(p, from, "L needs the day of the week before it, as in 5L");
  if (!parse_value(p, &value)) return false;
  if (is_day && accept(p, 'W')) {
    cron->near |= 1u << value;
    return true;
  }
  if (is_weekday && accept(p, 'L')) {
    cron->nth_weekday[value % 7] |= 1;
    return true;
  }
  if (is_weekday && accept(p, '#')) {
    if (!parse_number(p, "the week of the month after #", 1, 5, &nth)) return false;
    cron->nth_weekday[value % 7] |= (uint8_t)(1u << nth);
    return true;
  }
  return parse_range(p, from, value, bits);
}

static bool accept_star(parser *p) {
  return accept(p, '*') || ((p->field == &fields[DAY] || p->field == &fields[WEEKDAY]) && accept(p, '?'));
}

/* One field; `star`: it is one star, alone or with a step. */
static bool parse_field(parser *p, tk_cron *cron, uint64_t *bits, bool *star) {
  int items = 0, stars = 0, step;
  do {
    items++;
    if (accept_star(p)) {
      stars++;
      if (!parse_step(p, &step)) return false;
      add_range(bits, p->field->least, p->field->star_most, step);
    } else if (!parse_item(p, cron, bits)) {
      return false;
    }
  } while (accept(p, ','));
  *star = items == 1 && stars == 1;
  return p->at == p->end || unexpected(p);
}

static bool is_space(char c) { return c == ' ' || c == '\t'; }

/* Splits at spaces; false when there are not 5 or 6 fields. */
static bool split(parser *p, tk_slice list[FIELDS], int *count) {
  const char *at = p->text.data, *end = at + p->text.size, *extra = NULL;
  *count = 0;
  for (;;) {
    while (at < end && is_space(*at)) at++;
    if (at == end) break;
    const char *from = at;
    while (at < end && !is_space(*at)) at++;
    if (*count < FIELDS) list[*count] = tk_slice_of(from, (size_t)(at - from));
    else if (!extra) extra = from;
    ++*count;
  }
  if (*count == FIELDS || *count == FIELDS - 1) return true;
  return fail(p, extra ? extra : end, "5 fields, or 6 with seconds first, are expected, not %d", *count);
}

/* Replaces a macro by the expression it stands for. False for an unknown one. */
static bool expand_macro(parser *p) {
  tk_slice name = p->text;
  while (name.size > 0 && is_space(*name.data)) name.data++, name.size--;
  while (name.size > 0 && is_space(name.data[name.size - 1])) name.size--;
  if (name.size == 0 || *name.data != '@') return true;
  for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
    if (name.size != strlen(macros[i].name) || strncasecmp(name.data, macros[i].name, name.size) != 0) continue;
    p->text = tk_slice_str(macros[i].expression);
    return true;
  }
  return fail(p, name.data, "there are the macros @yearly @annually @monthly @weekly @daily @midnight @hourly, not this one");
}

static bool parse_fields(parser *p, tk_slice list[FIELDS], int count, tk_cron *out) {
  uint64_t bits[FIELDS] = {0};
  bool star[FIELDS] = {false};
  if (count == FIELDS - 1) bits[SECOND] = 1;
  for (int i = FIELDS - count; i < FIELDS; i++) {
    tk_slice part = list[i - (FIELDS - count)];
    p->field = &fields[i];
    p->at = part.data;
    p->end = part.data + part.size;
    if (!parse_field(p, out, &bits[i], &star[i])) return false;
  }
  out->seconds = bits[SECOND];
  out->minutes = bits[MINUTE];
  out->hours = (uint32_t)bits[HOUR];
  out->days = (uint32_t)bits[DAY];
  out->months = (uint16_t)bits[MONTH];
  out->weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7F);
  out->any_day = star[DAY];
  out->any_weekday = star[WEEKDAY];
  out->elapsed = star[HOUR];
  return true;
}

static bool parse(parser *p, tk_cron *out) {
  tk_slice list[FIELDS];
  int count;
  if (p->text.size > LONGEST) return fail(p, p->text.data + LONGEST, "an expression has at most %d characters", LONGEST);
  if (!expand_macro(p) || !split(p, list, &count) || !parse_fields(p, list, count, out)) return false;
  if (tk_cron_next_local(out, 0, CALENDAR_CYCLE_SECONDS) < CALENDAR_CYCLE_SECONDS) return true;
  return fail(p, list[count - 3].data, "it never fires: no month that it allows has such a day");
}

int tk_cron_parse(tk_slice text, tk_cron *out, tk_err *err) {
  parser p = {.text = {text.data ? text.data : "", text.size}, .err = err};
  memset(out, 0, sizeof *out);
  return parse(&p, out) ? 0 : TK_E_INVALID;
}
