#include "model/daytimes.h"

int tk_daytimes_next(const tk_daytimes *times, int from) {
  int hour = from / 3600, minute = from / 60 % 60, second = tk_next_bit(times->seconds, from % 60);
  if (second == TK_NO_BIT) second = tk_next_bit(times->seconds, 0), minute++;
  if (tk_next_bit(times->minutes, minute) != minute) {
    minute = tk_next_bit(times->minutes, minute);
    second = tk_next_bit(times->seconds, 0);
    if (minute == TK_NO_BIT) minute = tk_next_bit(times->minutes, 0), hour++;
  }
  if (tk_next_bit(times->hours, hour) != hour) {
    hour = tk_next_bit(times->hours, hour);
    minute = tk_next_bit(times->minutes, 0);
    second = tk_next_bit(times->seconds, 0);
  }
  return hour == TK_NO_BIT ? -1 : hour * 3600 + minute * 60 + second;
}
