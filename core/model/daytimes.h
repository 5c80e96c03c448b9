/* Times of a day as sets of hours, minutes and seconds; bit n stands for n. Pure. */
#ifndef TK_MODEL_DAYTIMES_H
#define TK_MODEL_DAYTIMES_H
#include <stdint.h>

typedef struct tk_daytimes {
  uint64_t seconds, minutes;
  uint32_t hours;
} tk_daytimes;

#define TK_NO_BIT 64

/* The lowest bit from `from` on, or TK_NO_BIT. */
static inline int tk_next_bit(uint64_t bits, int from) {
  bits = from > 63 ? 0 : bits >> from << from;
  return bits ? __builtin_ctzll(bits) : TK_NO_BIT;
}

/* The first second of the day from second `from` on, or -1. No set is empty. */
int tk_daytimes_next(const tk_daytimes *times, int from);

#endif
