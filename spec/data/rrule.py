"""Writes rrule.txt, the reference of spec/lua/rrule_spec.lua, with python-dateutil (2.9.0): python3 spec/data/rrule.py > spec/data/rrule.txt

A line is: its use, where the rule starts, the rule, its local times, separated by tabs. Those for `zones` list all times of five
years (at most 200), the others the `first` eight. What dateutil is known to do differently from RFC 5545 is left
out: numbered and plain weekdays in one BYDAY, BYWEEKNO without BYDAY, BYSETPOS in a first week that is not whole.
"""
import datetime
import random
import signal

from dateutil.rrule import rrulestr

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
FORMAT = "%Y%m%dT%H%M%S"

# The examples of RFC 5545, section 3.8.5.3.
RFC = """
19970902T090000 FREQ=DAILY;COUNT=10
19970902T090000 FREQ=DAILY;UNTIL=19971224T000000
19970902T090000 FREQ=DAILY;INTERVAL=2
19970902T090000 FREQ=DAILY;INTERVAL=10;COUNT=5
19980101T090000 FREQ=YEARLY;UNTIL=20000131T140000;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA
19980101T090000 FREQ=DAILY;UNTIL=20000131T140000;BYMONTH=1
19970902T090000 FREQ=WEEKLY;COUNT=10
19970902T090000 FREQ=WEEKLY;INTERVAL=2;WKST=SU
19970902T090000 FREQ=WEEKLY;UNTIL=19971007T000000;WKST=SU;BYDAY=TU,TH
19970901T090000 FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000;WKST=SU;BYDAY=MO,WE,FR
19970902T090000 FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH
19970905T090000 FREQ=MONTHLY;COUNT=10;BYDAY=1FR
19970907T090000 FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU
19970922T090000 FREQ=MONTHLY;COUNT=6;BYDAY=-2MO
19970928T090000 FREQ=MONTHLY;BYMONTHDAY=-3
19970902T090000 FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15
19970930T090000 FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1
19970910T090000 FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15
19970902T090000 FREQ=MONTHLY;INTERVAL=2;BYDAY=TU
19970610T090000 FREQ=YEARLY;COUNT=10;BYMONTH=6,7
19970310T090000 FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3
19970101T090000 FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200
19970519T090000 FREQ=YEARLY;BYDAY=20MO
19970512T090000 FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO
19970313T090000 FREQ=YEARLY;BYMONTH=3;BYDAY=TH
19970605T090000 FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8
19970902T090000 FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13
19970913T090000 FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13
19961105T090000 FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8
19970904T090000 FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3
19970929T090000 FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2
19970902T090000 FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000
19970902T090000 FREQ=MINUTELY;INTERVAL=15;COUNT=6
19970902T090000 FREQ=MINUTELY;INTERVAL=90;COUNT=4
19970902T090000 FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40
19970902T090000 FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16
19970805T090000 FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO
19970805T090000 FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU
20070115T090000 FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5
"""

# Rules whose times fall where zones change, and plain ones.
ZONED = """
20240101T023000 FREQ=WEEKLY;BYDAY=SU
20240101T020000 FREQ=WEEKLY;BYDAY=SA,SU
20240101T003000 FREQ=WEEKLY;BYDAY=FR,SU
20240101T000000 FREQ=MONTHLY;BYDAY=-1SU,1SU,2SU,-1FR,1TH
20240101T013000 FREQ=MONTHLY;BYDAY=-1SU,1SU,-1TH
20240101T090000 FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1
20240131T170000 FREQ=MONTHLY
20240131T170000 FREQ=MONTHLY;BYMONTHDAY=-1
20240229T120000 FREQ=YEARLY
20240101T021500 FREQ=YEARLY;BYMONTH=3,4,10,11;BYDAY=SU
20240101T023000 FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU
20240101T010000 FREQ=YEARLY;BYMONTH=3,11;BYDAY=1SU,2SU
20240301T020000 FREQ=DAILY;BYMONTH=3,10;BYMONTHDAY=25,26,27,28,29,30,31;BYHOUR=1,2
20240101T010000 FREQ=MONTHLY;INTERVAL=2;BYDAY=SU
20240101T120000 FREQ=DAILY;INTERVAL=13
20240105T233000 FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,SU;WKST=SU
20240101T060000 FREQ=YEARLY;BYWEEKNO=1,13,43,53;BYDAY=MO,SU
20240101T030000 FREQ=YEARLY;BYYEARDAY=1,-1,60,90,300
20240330T200000 FREQ=HOURLY;UNTIL=20240401T000000
20241102T200000 FREQ=MINUTELY;INTERVAL=20;COUNT=60
20240406T120000 FREQ=HOURLY;INTERVAL=2;BYDAY=SA,SU;COUNT=40
20241026T230000 FREQ=MINUTELY;INTERVAL=7;COUNT=90
"""


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong()


def times_of(start, rule, most, until=None):
    signal.setitimer(signal.ITIMER_VIRTUAL, 1)
    times = []
    try:
        for time in rrulestr(rule, dtstart=start):
            if until and time > until:
                break
            if time.year > 2400:   # rules under a day are searched for 400 years
                return []
            times.append(time.strftime(FORMAT))
            if len(times) == most:
                break
    except (TooLong, ValueError, IndexError):   # never, or beyond what dateutil can do
        return []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return times


def numbers(rng, least, most, negative=False, count=3):
    sign = [1, -1] if negative else [1]
    return ",".join(str(rng.choice(sign) * rng.randint(least, most)) for _ in range(rng.randint(1, count)))


def weekdays(rng, frequency, weeks):
    nth = frequency in ("YEARLY", "MONTHLY") and not weeks and rng.random() < 0.6
    most = 5 if frequency == "MONTHLY" else 53
    days = [rng.choice(WEEKDAYS) for _ in range(rng.randint(1, 3))]
    return ",".join((numbers(rng, 1, most, True, 1) if nth else "") + day for day in days)


def random_rule(rng):
    frequency = rng.choice(["YEARLY", "YEARLY", "MONTHLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
    parts, weeks, week_start = [], False, "MO"
    if rng.random() < 0.5:
        parts.append("INTERVAL=%d" % rng.choice([2, 3, 4, 5, 7, 12, 13, 24, 45, 60, 90, 1000]))
    if rng.random() < 0.3:
        parts.append("BYMONTH=" + numbers(rng, 1, 12))
    if frequency == "YEARLY" and rng.random() < 0.25:
        parts.append("BYWEEKNO=" + numbers(rng, 1, 53, True))
        weeks = True
    if weeks or rng.random() < 0.4:
        parts.append("BYDAY=" + weekdays(rng, frequency, weeks))
    if frequency != "WEEKLY" and rng.random() < 0.3:
        parts.append("BYMONTHDAY=" + numbers(rng, 1, 31, True))
    if frequency in ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY") and rng.random() < 0.2:
        parts.append("BYYEARDAY=" + numbers(rng, 1, 366, True, 6))
    for name, most, chance in (("BYHOUR", 23, 0.3), ("BYMINUTE", 59, 0.3), ("BYSECOND", 59, 0.2)):
        if rng.random() < chance:
            parts.append(name + "=" + numbers(rng, 0, most))
    if rng.random() < 0.3:
        week_start = rng.choice(WEEKDAYS)
        parts.append("WKST=" + week_start)
    start = datetime.datetime(rng.choice([1999, 2000, 2020, 2023, 2024, 2026, 2100]), rng.randint(1, 12), rng.randint(1, 28),
                              rng.randint(0, 23), rng.randint(0, 59), rng.choice([0, 0, rng.randint(0, 59)]))
    if any(part.startswith("BY") for part in parts) and rng.random() < 0.3:
        parts.append("BYSETPOS=" + numbers(rng, 1, rng.choice([2, 5, 10]), True))
        if frequency == "WEEKLY":
            start -= datetime.timedelta(days=(start.weekday() - WEEKDAYS.index(week_start)) % 7)
        if frequency in ("HOURLY", "MINUTELY", "SECONDLY"):
            start = start.replace(minute=0, second=0)
    if rng.random() < 0.2:
        parts.append("COUNT=%d" % rng.randint(1, 15))
    elif rng.random() < 0.2:
        parts.append("UNTIL=" + (start + datetime.timedelta(days=rng.randint(0, 3000))).strftime(FORMAT))
    rng.shuffle(parts)
    return start, ";".join(["FREQ=" + frequency] + parts)


def main():
    signal.signal(signal.SIGVTALRM, too_long)
    rng = random.Random(5545)
    for line in ZONED.split("\n"):
        if line:
            start, rule = line.split(" ")
            times = times_of(datetime.datetime.strptime(start, FORMAT), rule, 200, datetime.datetime(2028, 12, 31))
            print("zones", start, rule, " ".join(times), sep="\t")
    for line in RFC.split("\n"):
        if line:
            start, rule = line.split(" ")
            print("first", start, rule, " ".join(times_of(datetime.datetime.strptime(start, FORMAT), rule, 8)), sep="\t")
    made = 0
    while made < 300:
        start, rule = random_rule(rng)
        times = times_of(start, rule, 8)
        if times:
            print("first", start.strftime(FORMAT), rule, " ".join(times), sep="\t")
            made += 1


main()
