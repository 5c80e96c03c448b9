/* Delays between attempts (INTERFACE section 10, Delays). Pure: the random source is an argument. */
#ifndef TK_MODEL_RETRY_H
#define TK_MODEL_RETRY_H
#include "base/clock.h"
#include "model/graph.h"

extern const tk_retry tk_retry_default;   /* limit 3, exponential, base 1, factor 2, cap 300, full jitter, lost_limit 10 */

/* Seconds before the attempt after the n-th failure (n >= 1). `previous`: the last delay in seconds (decorrelated; 0 at first).
 * A custom policy falls back to tk_retry_default's delays. */
double tk_retry_delay(const tk_retry *retry, uint32_t n, double previous, tk_rng *rng);

#endif
