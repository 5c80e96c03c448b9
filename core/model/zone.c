#include "model/zone.h"

#include "base/date.h"

#define TYPE_SIZE 6   /* offset (4), daylight saving or not, name */

typedef struct header {
  uint8_t version;
  uint32_t leap_count, time_count, type_count, name_size, standard_count, utc_count;
} header;

static bool read_header(tk_reader *r, header *out) {
  static const char magic[] = "TZif";
  for (int i = 0; i < 4; i++)
    if (tk_read_u8(r) != (uint8_t)magic[i]) return false;
  out->version = tk_read_u8(r);
  for (int i = 0; i < 15; i++) tk_read_u8(r);
  out->utc_count = tk_read_u32be(r);
  out->standard_count = tk_read_u32be(r);
  out->leap_count = tk_read_u32be(r);
  out->time_count = tk_read_u32be(r);
  out->type_count = tk_read_u32be(r);
  out->name_size = tk_read_u32be(r);
  return !r->bad;
}

/* The next `size` bytes; NULL when there are not so many. */
static const uint8_t *take(tk_reader *r, uint64_t size) {
  if (size > tk_reader_left(r)) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += size;
  return at;
}

static void skip_block(tk_reader *r, const header *h, uint32_t time_size) {
  take(r, (uint64_t)h->time_count * (time_size + 1) + (uint64_t)h->type_count * TYPE_SIZE + h->name_size +
              (uint64_t)h->leap_count * (time_size + 4) + h->standard_count + h->utc_count);
}

static int64_t time_at(const tk_zone *zone, uint32_t index) {
  const uint8_t *at = zone->times + (size_t)index * zone->time_size;
  return zone->time_size == 8 ? (int64_t)tk_get_u64be(at) : (int32_t)tk_get_u32be(at);
}

static int32_t offset_of_type(const tk_zone *zone, uint8_t type) {
  return (int32_t)tk_get_u32be(zone->offsets + (size_t)type * TYPE_SIZE);
}

/* What is wrong with a block that lies within the bytes; NULL: nothing. */
static const char *fault_of_block(const tk_zone *zone, const header *h) {
  if (h->leap_count) return "it counts leap seconds, as the zones in right/ do";
  if (h->type_count < 1 || h->type_count > 256) return "it has no local time";
  for (uint32_t i = 0; i < h->type_count; i++) {
    int32_t offset = offset_of_type(zone, (uint8_t)i);
    if (offset < -TK_ZONE_LARGEST_OFFSET || offset > TK_ZONE_LARGEST_OFFSET) return "an offset is more than 26 hours";
  }
  for (uint32_t i = 0; i < zone->time_count; i++) {
    if (zone->types[i] >= h->type_count) return "a change leads to a local time that is not there";
    if (i > 0 && time_at(zone, i) <= time_at(zone, i - 1)) return "its changes are not in order";
  }
  return NULL;
}

/* ---- the POSIX rule: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

typedef struct scan {
  const char *at, *end;
  bool bad;
} scan;

static bool scan_char(scan *s, char c) {
  if (s->bad || s->at == s->end || *s->at != c) return false;
  s->at++;
  return true;
}

static void scan_expect(scan *s, char c) {
  if (!scan_char(s, c)) s->bad = true;
}

static int scan_number(scan *s, int least, int most) {
  int value = 0;
  const char *from = s->at;
  while (!s->bad && s->at < s->end && *s->at >= '0' && *s->at <= '9' && s->at - from < 4) value = value * 10 + (*s->at++ - '0');
  if (s->at == from || value < least || value > most) s->bad = true;
  return s->bad ? least : value;
}

static void scan_name(scan *s) {
  bool quoted = scan_char(s, '<');
  const char *from = s->at;
  while (s->at < s->end) {
    char c = *s->at;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'))) break;
    s->at++;
  }
  if (s->at - from < 3) s->bad = true;
  if (quoted) scan_expect(s, '>');
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static int32_t scan_time(scan *s, int most_hours) {
  int sign = scan_char(s, '-') ? -1 : 1;
  if (sign > 0) scan_char(s, '+');
  int32_t seconds = scan_number(s, 0, most_hours) * 3600;
  if (scan_char(s, ':')) {
    seconds += scan_number(s, 0, 59) * 60;
    if (scan_char(s, ':')) seconds += scan_number(s, 0, 59);
  }
  return sign * seconds;
}

static tk_zone_change scan_change(scan *s) {
  tk_zone_change change = {.form = 'D', .time = 2 * 3600};
  if (scan_char(s, 'M')) {
    change.form = 'M';
    change.month = (uint8_t)scan_number(s, 1, 12);
    scan_expect(s, '.');
    change.week = (uint8_t)scan_number(s, 1, 5);
    scan_expect(s, '.');
    change.day = (uint16_t)scan_number(s, 0, 6);
  } else if (scan_char(s, 'J')) {
    change.form = 'J';
    change.day = (uint16_t)scan_number(s, 1, 365);
  } else {
    change.day = (uint16_t)scan_number(s, 0, 365);
  }
  if (scan_char(s, '/')) change.time = scan_time(s, 167);
  return change;
}

/* Offsets of POSIX count westward. */
static bool read_rule(tk_zone *zone, tk_slice text) {
  scan s = {text.data, text.data + text.size, false};
  scan_name(&s);
  zone->offset = -scan_time(&s, 24);
  zone->has_rule = true;
  if (s.bad || s.at == s.end) return !s.bad;
  zone->has_saving = true;
  scan_name(&s);
  zone->saving_offset = zone->offset + 3600;
  if (s.at < s.end && *s.at != ',') zone->saving_offset = -scan_time(&s, 24);
  scan_expect(&s, ',');
  zone->begin = scan_change(&s);
  scan_expect(&s, ',');
  zone->end = scan_change(&s);
  return !s.bad && s.at == s.end;
}

/* The rule stands between two newlines behind the last block; nothing between them: there is none. */
static const char *read_footer(tk_reader *r, tk_zone *zone) {
  if (tk_read_u8(r) != '\n') return "its end is missing";
  const uint8_t *from = r->at, *end = memchr(from, '\n', tk_reader_left(r));
  if (!end) return "its end is missing";
  if (end == from) return NULL;
  return read_rule(zone, tk_slice_of(from, (size_t)(end - from))) ? NULL : "its rule for later years cannot be read";
}

int tk_zone_decode(tk_slice bytes, tk_zone *out, tk_err *err) {
  memset(out, 0, sizeof *out);
  if (bytes.size == 0) return 0;
  tk_zone zone = {.time_size = 4};
  tk_reader r = tk_reader_of(bytes);
  header h;
  const char *fault = "it is no TZif file";
  if (!read_header(&r, &h)) goto out;
  if (h.version) {   /* the first block has times of 32 bits; the same again, and more, comes behind it */
    zone.time_size = 8;
    skip_block(&r, &h, 4);
    if (!read_header(&r, &h)) goto out;
  }
  zone.time_count = h.time_count;
  zone.times = take(&r, (uint64_t)h.time_count * zone.time_size);
  zone.types = take(&r, h.time_count);
  zone.offsets = take(&r, (uint64_t)h.type_count * TYPE_SIZE);
  take(&r, h.name_size + (uint64_t)h.leap_count * (zone.time_size + 4) + h.standard_count + h.utc_count);
  fault = r.bad ? "it ends too early" : fault_of_block(&zone, &h);
  if (!fault && h.version) fault = read_footer(&r, &zone);
  if (!fault) *out = zone;
out:
  return fault ? tk_err_set(err, TK_E_INVALID, "the file of the time zone cannot be used: %s", fault) : 0;
}

/* ---- spans ---- */

/* When the change happens in `year`; local, before the change. */
static int64_t change_in_year(const tk_zone_change *change, int64_t year) {
  int64_t days;
  if (change->form == 'M') {
    int64_t first = tk_date_to_days(year, change->month, 1);
    int day = (change->day - tk_weekday(first) + 7) % 7 + (change->week - 1) * 7;
    if (day >= tk_days_in_month(year, change->month)) day -= 7;
    days = first + day;
  } else {
    days = tk_date_to_days(year, 1, 1) + change->day;
    if (change->form == 'J') days -= tk_days_in_year(year) == 365 || change->day < 60;
  }
  return days * TK_DAY_SECONDS + change->time;
}

/* The changes of these years around the one of a time hold the last one before it and the first one after it, though a rule's
 * time may lead a week into the next year. */
enum { YEARS_AROUND = 5, CHANGES_AROUND = 2 * YEARS_AROUND };
typedef struct rule_change {
  int64_t at;
  int32_t offset;
} rule_change;

/* Sorted by time; of two at the same time the later year's comes last: so saving that begins when it ended never ends. */
static void list_changes(const tk_zone *zone, int64_t year, rule_change list[CHANGES_AROUND]) {
  for (int i = 0; i < CHANGES_AROUND; i++) {
    int64_t of_year = year - YEARS_AROUND / 2 + i / 2;
    rule_change change = {change_in_year(&zone->begin, of_year) - zone->offset, zone->saving_offset};
    if (i % 2) change = (rule_change){change_in_year(&zone->end, of_year) - zone->saving_offset, zone->offset};
    int place = i;
    for (; place > 0 && list[place - 1].at > change.at; place--) list[place] = list[place - 1];
    list[place] = change;
  }
}

static tk_zone_span span_by_rule(const tk_zone *zone, int64_t utc) {
  tk_zone_span span = {INT64_MIN, INT64_MAX, zone->offset};
  if (!zone->has_saving) return span;
  int64_t year;
  int month, day;
  tk_date_of_days(tk_floor_div(utc + zone->offset, TK_DAY_SECONDS), &year, &month, &day);
  rule_change list[CHANGES_AROUND];
  list_changes(zone, year, list);
  int next = 0;
  while (next < CHANGES_AROUND && list[next].at <= utc) next++;
  TK_ASSERT(next > 0 && next < CHANGES_AROUND);
  return (tk_zone_span){list[next - 1].at, list[next].at, list[next - 1].offset};
}

tk_zone_span tk_zone_span_at(const tk_zone *zone, int64_t utc) {
  uint32_t low = 0, high = zone->time_count;   /* the number of changes up to `utc` lies in [low, high] */
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (time_at(zone, middle) <= utc) low = middle + 1;
    else high = middle;
  }
  if (low == zone->time_count && zone->has_rule) {
    tk_zone_span span = span_by_rule(zone, utc);
    int64_t last_change = low > 0 ? time_at(zone, low - 1) : INT64_MIN;
    if (span.from < last_change) span.from = last_change;
    return span;
  }
  if (!zone->offsets) return (tk_zone_span){INT64_MIN, INT64_MAX, 0};
  return (tk_zone_span){low > 0 ? time_at(zone, low - 1) : INT64_MIN, low < zone->time_count ? time_at(zone, low) : INT64_MAX,
                        offset_of_type(zone, low > 0 ? zone->types[low - 1] : 0)};
}

/* ---- local times ---- */

static bool shows(const tk_zone_span *span, int64_t local) {
  return local - span->offset >= span->from && local - span->offset < span->to;
}

/* The span before `span` in which the clock has shown `local`, the nearest one. */
static bool shown_before(const tk_zone *zone, tk_zone_span span, int64_t local, tk_zone_span *found) {
  while (span.from > local - TK_ZONE_LARGEST_OFFSET && span.from != INT64_MIN) {
    span = tk_zone_span_at(zone, span.from - 1);
    *found = span;
    if (shows(&span, local)) return true;
  }
  return false;
}

static bool shown_after(const tk_zone *zone, tk_zone_span span, int64_t local, tk_zone_span *found) {
  while (span.to <= local + TK_ZONE_LARGEST_OFFSET && span.to != INT64_MAX) {
    span = tk_zone_span_at(zone, span.to);
    *found = span;
    if (shows(&span, local)) return true;
  }
  return false;
}

tk_zone_instants tk_zone_instants_of(const tk_zone *zone, int64_t local) {
  tk_zone_instants found = {0, 0, 0};
  tk_zone_span span = tk_zone_span_at(zone, local - TK_ZONE_LARGEST_OFFSET);
  int64_t gap_end = span.from;
  for (;;) {
    if (shows(&span, local)) {
      found.last = local - span.offset;
      if (!found.count++) found.first = found.last;
    }
    if (span.to > local + TK_ZONE_LARGEST_OFFSET) break;
    tk_zone_span next = tk_zone_span_at(zone, span.to);
    if (local >= span.to + span.offset && local < span.to + next.offset) gap_end = span.to;
    span = next;
  }
  if (!found.count) found.first = found.last = gap_end;
  return found;
}

/* ---- occurrences ---- */

typedef struct search {
  const tk_zone *zone;
  tk_dst dst;
  tk_next_local *next_local;
  const void *rule;
} search;

/* Does the rule have a time in the gap at the beginning of `span` that no clock ever shows? */
static bool gap_has_time(const search *s, tk_zone_span span) {
  tk_zone_span before = tk_zone_span_at(s->zone, span.from - 1), other;
  int64_t local = span.from + before.offset, end = span.from + span.offset;
  for (; (local = s->next_local(s->rule, local, end)) < end; local++)
    if (!shown_before(s->zone, span, local, &other) && !shown_after(s->zone, span, local, &other)) return true;
  return false;
}

/* The rule's first instant in [from, to) of `span`, or TK_ZONE_NEVER. */
static int64_t next_in_span(const search *s, tk_zone_span span, int64_t from, int64_t to) {
  int64_t local = from + span.offset, end = to + span.offset;
  for (;;) {
    local = s->next_local(s->rule, local, end);
    if (local >= end) return TK_ZONE_NEVER;
    tk_zone_span other;
    bool again = (s->dst.overlap == TK_OVERLAP_FIRST && shown_before(s->zone, span, local, &other)) ||
                 (s->dst.overlap == TK_OVERLAP_LAST && shown_after(s->zone, span, local, &other));
    if (!again) return local - span.offset;
    local = other.to == INT64_MAX ? end : other.to + other.offset;   /* all up to there are repeated as well */
  }
}

int64_t tk_zone_next(const tk_zone *zone, tk_dst dst, tk_next_local *next_local, const void *rule, int64_t from, int64_t to) {
  search s = {zone, dst, next_local, rule};
  if (from < TK_YEAR_0000_SECONDS) from = TK_YEAR_0000_SECONDS;
  if (to > TK_YEAR_9999_SECONDS + 1) to = TK_YEAR_9999_SECONDS + 1;
  while (from < to) {
    tk_zone_span span = tk_zone_span_at(zone, from);
    if (dst.gap == TK_GAP_SHIFT && span.from == from && gap_has_time(&s, span)) return from;
    int64_t end = span.to < to ? span.to : to;
    int64_t found = next_in_span(&s, span, from, end);
    if (found != TK_ZONE_NEVER) return found;
    from = end;
  }
  return TK_ZONE_NEVER;
}
