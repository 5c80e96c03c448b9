#include "model/cron.h"

#include <strings.h>

#include "base/date.h"
#include "model/expression.h"

#define LONGEST 1024   /* characters: every value of every field listed takes less */
#define CALENDAR_CYCLE_SECONDS (146097LL * TK_DAY_SECONDS)   /* 400 years: dates and weekdays repeat */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct field {
  const char *name, *part;
  int least, most, star_most;   /* values; up to where `*` goes: 7 is Sunday again */
  const char *const *names;
  int name_count;
} fields[FIELDS] = {
    [SECOND] = {"second", "the field for the second", 0, 59, 59, NULL, 0},
    [MINUTE] = {"minute", "the field for the minute", 0, 59, 59, NULL, 0},
    [HOUR] = {"hour", "the field for the hour", 0, 23, 23, NULL, 0},
    [DAY] = {"day of the month", "the field for the day of the month", 1, 31, 31, NULL, 0},
    [MONTH] = {"month", "the field for the month", 1, 12, 12, month_names, 12},
    [WEEKDAY] = {"day of the week", "the field for the day of the week", 0, 7, 6, weekday_names, 7},
};

static const struct { const char *name, *expression; } macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

/* The text, and the field that is being read. */
typedef struct parser {
  tk_expr e;
  const struct field *field;
} parser;

/* A value of the field: a number, or a name. */
static bool parse_value(parser *p, int *value) {
  for (int i = 0; i < p->field->name_count; i++) {
    if (p->e.end - p->e.at < 3 || strncasecmp(p->e.at, p->field->names[i], 3) != 0) continue;
    *value = p->field->least + i;
    p->e.at += 3;
    return true;
  }
  return tk_expr_number(&p->e, p->field->name, p->field->least, p->field->most, value);
}

static bool parse_step(parser *p, int *step) {
  *step = 1;
  if (!tk_expr_accept(&p->e, '/')) return true;
  return tk_expr_number(&p->e, "a step of", 1, p->field->star_most - p->field->least + 1, step);
}

static void add_range(uint64_t *bits, int from, int to, int step) {
  for (; from <= to; from += step) *bits |= 1ull << from;
}

/* "a", "a-b", "a/n", "a-b/n" behind its first value. */
static bool parse_range(parser *p, const char *from, int first, uint64_t *bits) {
  int last = first, step;
  bool ranged = tk_expr_accept(&p->e, '-');
  if (ranged && !parse_value(p, &last)) return false;
  if (p->field == &fields[WEEKDAY] && ranged && last == 0 && first > 0) last = 7;   /* FRI-SUN */
  if (last < first)
    return tk_expr_fail(&p->e, from, "the range %.*s goes backward (ranges do not wrap)",
                        p->e.at - from > 15 ? 15 : (int)(p->e.at - from), from);
  if (!ranged && tk_expr_is_next(&p->e, '/')) last = first > p->field->star_most ? first : p->field->star_most;
  if (!parse_step(p, &step)) return false;
  add_range(bits, first, last, step);
  return true;
}

/* "L", "L-3", "LW", "L-3W" behind the L. */
static bool parse_last_day(parser *p, tk_cron *cron) {
  int before = 0;
  if (tk_expr_accept(&p->e, '-') && !tk_expr_number(&p->e, "the day before the last", 1, 30, &before)) return false;
  if (tk_expr_accept(&p->e, 'W')) cron->near_last |= 1u << before;
  else cron->days_before_last |= 1u << before;
  return true;
}

static bool parse_item(parser *p, tk_cron *cron, uint64_t *bits) {
  const char *from = p->e.at;
  int value, nth;
  bool is_day = p->field == &fields[DAY], is_weekday = p->field == &fields[WEEKDAY];
  if (is_day && tk_expr_accept(&p->e, 'L')) return parse_last_day(p, cron);
  if (is_weekday && tk_expr_is_next(&p->e, 'L'))
    return tk_expr_fail(&p->e, from, "L needs the day of the week before it, as in 5L");
  if (!parse_value(p, &value)) return false;
  if (is_day && tk_expr_accept(&p->e, 'W')) {
    cron->near |= 1u << value;
    return true;
  }
  if (is_weekday && tk_expr_accept(&p->e, 'L')) {
    cron->nth_weekday[value % 7] |= 1;
    return true;
  }
  if (is_weekday && tk_expr_accept(&p->e, '#')) {
    if (!tk_expr_number(&p->e, "the week of the month after #", 1, 5, &nth)) return false;
    cron->nth_weekday[value % 7] |= (uint8_t)(1u << nth);
    return true;
  }
  return parse_range(p, from, value, bits);
}

static bool accept_star(parser *p) {
  bool may_ask = p->field == &fields[DAY] || p->field == &fields[WEEKDAY];
  return tk_expr_accept(&p->e, '*') || (may_ask && tk_expr_accept(&p->e, '?'));
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
  } while (tk_expr_accept(&p->e, ','));
  *star = items == 1 && stars == 1;
  return p->e.at == p->e.end || tk_expr_unexpected(&p->e);
}

static bool is_space(char c) { return c == ' ' || c == '\t'; }

/* Splits at spaces; false when there are not 5 or 6 fields. */
static bool split(parser *p, tk_slice list[FIELDS], int *count) {
  const char *at = p->e.text.data, *end = at + p->e.text.size, *extra = NULL;
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
  return tk_expr_fail(&p->e, extra ? extra : end, "5 fields, or 6 with seconds first, are expected, not %d", *count);
}

/* Replaces a macro by the expression it stands for. False for an unknown one. */
static bool expand_macro(parser *p) {
  tk_slice name = p->e.text;
  while (name.size > 0 && is_space(*name.data)) name.data++, name.size--;
  while (name.size > 0 && is_space(name.data[name.size - 1])) name.size--;
  if (name.size == 0 || *name.data != '@') return true;
  for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
    if (name.size != strlen(macros[i].name) || strncasecmp(name.data, macros[i].name, name.size) != 0) continue;
    p->e.text = tk_slice_str(macros[i].expression);
    return true;
  }
  return tk_expr_fail(&p->e, name.data,
                      "there are the macros @yearly @annually @monthly @weekly @daily @midnight @hourly, not this one");
}

static bool parse_fields(parser *p, tk_slice list[FIELDS], int count, tk_cron *out) {
  uint64_t bits[FIELDS] = {0};
  bool star[FIELDS] = {false};
  if (count == FIELDS - 1) bits[SECOND] = 1;
  for (int i = FIELDS - count; i < FIELDS; i++) {
    tk_slice part = list[i - (FIELDS - count)];
    p->field = &fields[i];
    p->e.part = fields[i].part;
    p->e.at = part.data;
    p->e.end = part.data + part.size;
    if (!parse_field(p, out, &bits[i], &star[i])) return false;
  }
  out->times = (tk_daytimes){bits[SECOND], bits[MINUTE], (uint32_t)bits[HOUR]};
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
  if (p->e.text.size > LONGEST)
    return tk_expr_fail(&p->e, p->e.text.data + LONGEST, "an expression has at most %d characters", LONGEST);
  if (!expand_macro(p) || !split(p, list, &count) || !parse_fields(p, list, count, out)) return false;
  if (tk_cron_next_local(out, 0, CALENDAR_CYCLE_SECONDS) < CALENDAR_CYCLE_SECONDS) return true;
  return tk_expr_fail(&p->e, list[count - 3].data, "it never fires: no month that it allows has such a day");
}

int tk_cron_parse(tk_slice text, tk_cron *out, tk_err *err) {
  parser p = {tk_expr_of("cron expression", text, err), NULL};
  memset(out, 0, sizeof *out);
  return parse(&p, out) ? 0 : TK_E_INVALID;
}
