#include "model/rrule.h"

#include <stdlib.h>
#include <strings.h>

#include "base/date.h"
#include "model/expression.h"

#define US_PER_SECOND 1000000
#define LONGEST 16384            /* characters: a rule and a thousand exceptions */
#define MOST_LISTED 1000         /* times of EXDATE, and of RDATE: each occurrence is compared with all of them */
#define MOST_COUNTED 100000      /* COUNT: the last time is found by counting */
#define LARGEST_INTERVAL 1000000
#define SEARCHED_SECONDS (146097LL * TK_DAY_SECONDS)

typedef struct list {
  int64_t times[MOST_LISTED];
  uint32_t count;
} list;

/* `seen` has a bit for each part that was there. */
typedef struct parser {
  tk_expr e;
  const tk_zone *zone;
  tk_rrule *rule;
  uint32_t seen;
  int64_t start;            /* local */
  const char *rule_at;      /* of the rule in the text; NULL: none yet */
  const char *until_at;
  uint32_t count;
  bool has_start;
  list excluded, excluded_days, added;
} parser;

enum { FREQ, INTERVAL, COUNT, UNTIL, BYSECOND, BYMINUTE, BYHOUR, BYDAY, BYMONTHDAY, BYYEARDAY, BYWEEKNO, BYMONTH, BYSETPOS, WKST,
  PARTS };
static const char *const part_names[PARTS] = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY",
  "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST"};
static const char *const frequency_names[] = {"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"};
static const char *const weekday_names[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};

static bool has_part(const parser *p, int part) { return p->seen >> part & 1; }

/* The place of the next word in `names`, or -1 with the fault said. */
static int parse_word(parser *p, const char *const *names, int count, const char *what) {
  const char *from = p->e.at;
  while (p->e.at < p->e.end && ((*p->e.at >= 'A' && *p->e.at <= 'Z') || (*p->e.at >= 'a' && *p->e.at <= 'z'))) p->e.at++;
  size_t size = (size_t)(p->e.at - from);
  for (int i = 0; i < count; i++)
    if (size == strlen(names[i]) && strncasecmp(from, names[i], size) == 0) return i;
  if (size == 0) tk_expr_unexpected(&p->e);
  else tk_expr_fail(&p->e, from, "'%.*s' is no %s", size > 20 ? 20 : (int)size, from, what);
  return -1;
}

/* ---- times: 20260101T090000, the same with Z, 20260101 ---- */

static int digits(parser *p, int count) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    if (p->e.at == p->e.end || *p->e.at < '0' || *p->e.at > '9') {
      tk_expr_unexpected(&p->e);
      return 0;
    }
    value = value * 10 + (*p->e.at++ - '0');
  }
  return value;
}

/* A local time; of a date, its first second, and `*dated` is set. */
static bool parse_time(parser *p, bool *dated, int64_t *local) {
  const char *from = p->e.at;
  int year = digits(p, 4), month = digits(p, 2), day = digits(p, 2), hour = 0, minute = 0, second = 0;
  *dated = !tk_expr_accept(&p->e, 'T');
  if (!*dated) hour = digits(p, 2), minute = digits(p, 2), second = digits(p, 2);
  if (p->e.failed) return false;
  if (month < 1 || month > 12 || day < 1 || day > tk_days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
    return tk_expr_fail(&p->e, from, "there is no such time");
  *local = tk_date_to_days(year, month, day) * TK_DAY_SECONDS + hour * 3600 + minute * 60 + second;
  if (!*dated && tk_expr_accept(&p->e, 'Z')) *local = tk_zone_local(p->zone, *local);
  return true;
}

/* ---- the parts of a rule ---- */

/* A list of numbers up to `most`; where they may be counted from the end, `back` takes the negative ones. */
static bool parse_numbers(parser *p, int least, int most, uint64_t *ahead, uint64_t *back) {
  do {
    bool from_end = back && tk_expr_accept(&p->e, '-');
    if (back && !from_end) tk_expr_accept(&p->e, '+');
    int number;
    if (!tk_expr_number(&p->e, "the number", least, most, &number)) return false;
    (from_end ? back : ahead)[number / 64] |= 1ull << number % 64;
  } while (tk_expr_accept(&p->e, ','));
  return true;
}

static bool parse_set(parser *p, int most, tk_rrule_set *set) {
  set->any = true;
  return parse_numbers(p, 1, most, set->ahead, set->back);
}

static bool parse_mask(parser *p, int least, int most, uint64_t *mask) { return parse_numbers(p, least, most, mask, NULL); }

static bool parse_weekdays(parser *p) {
  do {
    bool from_end = tk_expr_accept(&p->e, '-'), ahead = !from_end && tk_expr_accept(&p->e, '+');
    int nth = 0;
    if ((from_end || ahead || (p->e.at < p->e.end && *p->e.at >= '0' && *p->e.at <= '9')) &&
        !tk_expr_number(&p->e, "the number", 1, 53, &nth))
      return false;
    int weekday = parse_word(p, weekday_names, 7, "day of the week (SU MO TU WE TH FR SA)");
    if (weekday < 0) return false;
    if (!nth) {
      p->rule->weekdays |= (uint8_t)(1u << weekday);
      continue;
    }
    tk_rrule_set *set = &p->rule->nth_weekdays[weekday];
    p->rule->any_nth = true;
    (from_end ? set->back : set->ahead)[0] |= 1ull << nth;
  } while (tk_expr_accept(&p->e, ','));
  return true;
}

static bool parse_until(parser *p) {
  bool dated;
  p->until_at = p->e.at;
  if (!parse_time(p, &dated, &p->rule->until)) return false;
  if (dated) p->rule->until += TK_DAY_SECONDS - 1;
  return true;
}

static bool parse_count(parser *p) {
  int count;
  if (!tk_expr_number(&p->e, "the count", 1, MOST_COUNTED, &count)) return false;
  p->count = (uint32_t)count;
  return true;
}

static bool parse_value(parser *p, int part) {
  tk_rrule *rule = p->rule;
  uint64_t mask = 0;
  int number = 0;
  bool ok = true;
  switch (part) {
    case FREQ: number = parse_word(p, frequency_names, TK_SECONDLY + 1, "frequency"); break;
    case WKST: number = parse_word(p, weekday_names, 7, "day of the week"); break;
    case INTERVAL: ok = tk_expr_number(&p->e, "the interval", 1, LARGEST_INTERVAL, &number); break;
    case COUNT: return parse_count(p);
    case UNTIL: return parse_until(p);
    case BYSECOND: return parse_mask(p, 0, 59, &rule->times.seconds);
    case BYMINUTE: return parse_mask(p, 0, 59, &rule->times.minutes);
    case BYHOUR: ok = parse_mask(p, 0, 23, &mask); break;
    case BYMONTH: ok = parse_mask(p, 1, 12, &mask); break;
    case BYDAY: return parse_weekdays(p);
    case BYMONTHDAY: return parse_set(p, 31, &rule->month_days);
    case BYYEARDAY: return parse_set(p, 366, &rule->year_days);
    case BYWEEKNO: return parse_set(p, 53, &rule->weeks);
    case BYSETPOS: return parse_set(p, 366, &rule->positions);
  }
  if (!ok || number < 0) return false;
  if (part == FREQ) rule->frequency = (uint8_t)number;
  if (part == WKST) rule->week_start = (uint8_t)number;
  if (part == INTERVAL) rule->interval = (uint32_t)number;
  if (part == BYHOUR) rule->times.hours = (uint32_t)mask;
  if (part == BYMONTH) rule->months = (uint16_t)mask;
  return true;
}

static bool parse_part(parser *p) {
  const char *from = p->e.at;
  p->e.part = "the rule";
  int part = parse_word(p, part_names, PARTS, "part of a rule");
  if (part < 0) return false;
  if (has_part(p, part)) return tk_expr_fail(&p->e, from, "%s is there twice", part_names[part]);
  p->seen |= 1u << part;
  p->e.part = part_names[part];
  if (!tk_expr_accept(&p->e, '=')) return tk_expr_unexpected(&p->e);
  return parse_value(p, part);
}

/* What the RFC rules out; NULL: nothing. */
static const char *fault_of_rule(const parser *p) {
  uint8_t frequency = p->rule->frequency;
  const uint32_t by = 1u << BYSECOND | 1u << BYMINUTE | 1u << BYHOUR | 1u << BYDAY | 1u << BYMONTHDAY | 1u << BYYEARDAY |
                      1u << BYWEEKNO | 1u << BYMONTH;
  if (!has_part(p, FREQ)) return "FREQ is missing";
  if (has_part(p, UNTIL) && has_part(p, COUNT)) return "UNTIL and COUNT exclude each other";
  if (has_part(p, BYWEEKNO) && frequency != TK_YEARLY) return "BYWEEKNO needs FREQ=YEARLY";
  if (has_part(p, BYYEARDAY) && (frequency == TK_MONTHLY || frequency == TK_WEEKLY || frequency == TK_DAILY))
    return "BYYEARDAY cannot be with FREQ=MONTHLY, WEEKLY or DAILY";
  if (has_part(p, BYMONTHDAY) && frequency == TK_WEEKLY) return "BYMONTHDAY cannot be with FREQ=WEEKLY";
  if (p->rule->any_nth && frequency != TK_YEARLY && frequency != TK_MONTHLY)
    return "a numbered BYDAY needs FREQ=MONTHLY or YEARLY";
  if (p->rule->any_nth && has_part(p, BYWEEKNO)) return "a numbered BYDAY cannot be with BYWEEKNO";
  if (has_part(p, BYSETPOS) && !(p->seen & by)) return "BYSETPOS needs another part whose name begins with BY";
  return NULL;
}

static bool parse_rule(parser *p) {
  if (p->rule_at) return tk_expr_fail(&p->e, p->e.at, "a second rule");
  p->rule_at = p->e.at;
  do {
    if (p->e.at == p->e.end && p->seen) break;   /* a semicolon at the end */
    if (!parse_part(p)) return false;
  } while (tk_expr_accept(&p->e, ';'));
  if (p->e.at != p->e.end) return tk_expr_unexpected(&p->e);
  const char *fault = fault_of_rule(p);
  return fault ? tk_expr_fail(&p->e, p->rule_at, "%s", fault) : true;
}

/* ---- the lines ---- */

/* Dates go to `days` (as days), where that is given, else they are times. */
static bool parse_list(parser *p, list *times, list *days) {
  do {
    const char *from = p->e.at;
    int64_t local;
    bool dated;
    if (!parse_time(p, &dated, &local)) return false;
    list *out = dated && days ? days : times;
    if (out->count == MOST_LISTED) return tk_expr_fail(&p->e, from, "more than %d times", MOST_LISTED);
    out->times[out->count++] = out == days ? tk_floor_div(local, TK_DAY_SECONDS) : local;
  } while (tk_expr_accept(&p->e, ','));
  return p->e.at == p->e.end || tk_expr_unexpected(&p->e);
}

static bool parse_start(parser *p) {
  bool dated;
  if (p->has_start) return tk_expr_fail(&p->e, p->e.at, "a second DTSTART");
  p->has_start = true;
  return parse_time(p, &dated, &p->start) && (p->e.at == p->e.end || tk_expr_unexpected(&p->e));
}

static bool accept_text(parser *p, const char *upper) {
  size_t size = strlen(upper);
  if ((size_t)(p->e.end - p->e.at) < size || strncasecmp(p->e.at, upper, size) != 0) return false;
  p->e.at += size;
  return true;
}

/* The kind of a value may be said; its form tells it anyhow. */
static bool parse_parameters(parser *p) {
  while (tk_expr_accept(&p->e, ';')) {
    const char *from = p->e.at;
    if (accept_text(p, "TZID=")) return tk_expr_fail(&p->e, from, "the zone belongs into the option timezone, not here");
    if (!accept_text(p, "VALUE=DATE-TIME") && !accept_text(p, "VALUE=DATE")) return tk_expr_unexpected(&p->e);
  }
  return tk_expr_accept(&p->e, ':') || tk_expr_unexpected(&p->e);
}

static bool parse_line(parser *p) {
  if (p->e.at == p->e.end) return true;
  if (accept_text(p, "RRULE:")) return parse_rule(p);
  p->e.part = "DTSTART";
  if (accept_text(p, "DTSTART")) return parse_parameters(p) && parse_start(p);
  p->e.part = "EXDATE";
  if (accept_text(p, "EXDATE")) return parse_parameters(p) && parse_list(p, &p->excluded, &p->excluded_days);
  p->e.part = "RDATE";
  if (accept_text(p, "RDATE")) return parse_parameters(p) && parse_list(p, &p->added, NULL);
  return parse_rule(p);
}

static bool parse_lines(parser *p) {
  const char *at = p->e.text.data, *end = at + p->e.text.size;
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at)), *line_end = newline ? newline : end;
    p->e.at = at;
    p->e.end = line_end > at && line_end[-1] == '\r' ? line_end - 1 : line_end;
    if (!parse_line(p)) return false;
    at = newline ? newline + 1 : end;
  }
  return p->rule_at || tk_expr_fail(&p->e, end, "a rule such as FREQ=DAILY is missing");
}

/* ---- what the rule leaves open is that of its start ---- */

static uint64_t ones(int count) { return (1ull << count) - 1; }

static void complete_times(parser *p, int second_of_day) {
  tk_daytimes *times = &p->rule->times;
  uint8_t frequency = p->rule->frequency;
  if (!times->hours) times->hours = frequency >= TK_HOURLY ? (uint32_t)ones(24) : 1u << second_of_day / 3600;
  if (!times->minutes) times->minutes = frequency >= TK_MINUTELY ? ones(60) : 1ull << second_of_day / 60 % 60;
  if (!times->seconds) times->seconds = frequency >= TK_SECONDLY ? ones(60) : 1ull << second_of_day % 60;
}

static void complete_days(parser *p, int64_t days) {
  tk_rrule *rule = p->rule;
  int64_t year;
  int month, day;
  tk_date_of_days(days, &year, &month, &day);
  bool by_day = has_part(p, BYDAY), by_month_day = has_part(p, BYMONTHDAY), by_year_day = has_part(p, BYYEARDAY);
  bool by_week = has_part(p, BYWEEKNO);
  if (by_day || by_month_day || by_year_day) return;
  if (rule->frequency == TK_WEEKLY || by_week) rule->weekdays = (uint8_t)(1u << tk_weekday(days));
  if (by_week || (rule->frequency != TK_YEARLY && rule->frequency != TK_MONTHLY)) return;
  if (rule->frequency == TK_YEARLY && !rule->months) rule->months = (uint16_t)(1u << month);
  rule->month_days.any = true;
  rule->month_days.ahead[0] = 1ull << day;
}

static int compare_times(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static const int64_t *keep_list(list *given, tk_arena *arena) {
  if (!given->count) return NULL;
  qsort(given->times, given->count, sizeof given->times[0], compare_times);
  int64_t *kept = TK_ARENA_ARRAY(arena, int64_t, given->count);
  memcpy(kept, given->times, given->count * sizeof kept[0]);
  return kept;
}

/* Does a time of the day that the rule allows come up at all, when the clock goes on by the interval? Days and steps meet at
 * all distances that the greatest common divisor divides. */
static bool times_meet_steps(const tk_rrule *rule) {
  int unit = rule->frequency == TK_HOURLY ? 3600 : rule->frequency == TK_MINUTELY ? 60 : 1;
  if (rule->frequency <= TK_DAILY) return true;
  int64_t divisor = (int64_t)rule->interval * unit;
  for (int64_t rest = TK_DAY_SECONDS; rest;) {
    int64_t next = divisor % rest;
    divisor = rest;
    rest = next;
  }
  int64_t start = tk_floor_mod(rule->start, TK_DAY_SECONDS) / unit * unit;
  for (int time = tk_daytimes_next(&rule->times, 0); time >= 0; time = tk_daytimes_next(&rule->times, time + 1))
    if ((time / unit * unit - start) % divisor == 0) return true;
  return false;
}

static bool reaches(const tk_rrule_set *set, int most) {
  for (int n = 1; n <= most && n <= 366; n++)
    if ((set->ahead[n / 64] | set->back[n / 64]) >> n % 64 & 1) return true;
  return false;
}

/* Is there a position of BYSETPOS in the largest set that a period can have? */
static bool positions_are_reached(const tk_rrule *rule) {
  static const int days[] = {366, 31, 7, 1, 1, 1, 1};
  int most = days[rule->frequency];
  if (rule->frequency <= TK_DAILY) most *= __builtin_popcount(rule->times.hours);
  if (rule->frequency <= TK_HOURLY) most *= __builtin_popcountll(rule->times.minutes);
  if (rule->frequency <= TK_MINUTELY) most *= __builtin_popcountll(rule->times.seconds);
  return !rule->positions.any || reaches(&rule->positions, most);
}

/* Where a search from `from` on may stop: dates come round after 400 years, but for those that an interval leaves out. */
static int64_t search_end(const tk_rrule *rule, int64_t from) {
  bool round = rule->frequency > TK_DAILY || rule->interval == 1;
  int64_t end = from + SEARCHED_SECONDS, last = TK_YEAR_9999_SECONDS + 1;
  return round && end < last ? end : last;
}

/* Turns COUNT into UNTIL; false when there is no time at all. */
static bool find_end(parser *p) {
  tk_rrule *rule = p->rule;
  int64_t last = rule->start - 1;
  for (uint32_t i = 0; i < (p->count ? p->count : 1); i++) {
    int64_t to = search_end(rule, last + 1), next = tk_rrule_next_local(rule, last + 1, to);
    if (next >= to) break;
    last = next;
  }
  if (p->count) rule->until = last;
  return last >= rule->start;
}

static bool parse(parser *p, int64_t starts_us, tk_arena *arena) {
  tk_rrule *rule = p->rule;
  if (p->e.text.size > LONGEST) return tk_expr_fail(&p->e, p->e.text.data + LONGEST, "more than %d characters", LONGEST);
  if (!parse_lines(p)) return false;
  rule->start = p->has_start ? p->start : tk_zone_local(p->zone, tk_floor_div(starts_us, US_PER_SECOND));
  complete_times(p, (int)tk_floor_mod(rule->start, TK_DAY_SECONDS));
  complete_days(p, tk_floor_div(rule->start, TK_DAY_SECONDS));
  if (has_part(p, UNTIL) && rule->until < rule->start)
    return tk_expr_fail(&p->e, p->until_at, "it never fires: it ends before it starts");
  if (!times_meet_steps(rule) || !positions_are_reached(rule) || !find_end(p))
    return tk_expr_fail(&p->e, p->rule_at, "it never fires: no time fits all its parts");
  rule->excluded_count = p->excluded.count;
  rule->excluded = keep_list(&p->excluded, arena);
  rule->excluded_day_count = p->excluded_days.count;
  rule->excluded_days = keep_list(&p->excluded_days, arena);
  rule->added_count = p->added.count;
  rule->added = keep_list(&p->added, arena);
  return true;
}

int tk_rrule_parse(tk_slice text, int64_t starts_us, const tk_zone *zone, tk_arena *arena, tk_rrule *out, tk_err *err) {
  memset(out, 0, sizeof *out);
  out->interval = 1;
  out->week_start = 1;
  out->until = INT64_MAX;
  parser *p = tk_arena_zalloc(arena, sizeof *p);
  p->e = tk_expr_of("recurrence rule", text, err);
  p->zone = zone;
  p->rule = out;
  return parse(p, starts_us, arena) ? 0 : TK_E_INVALID;
}
