/* Who holds a lease: this process and others by their incarnations, and whether they live. */
#include "engine/parts.h"

static int run_name(tk_engine *e, void *argument, tk_err *err) {
  int code = tk_engine_join(e, err);
  if (!code) memcpy(argument, e->process.incarnation, sizeof e->process.incarnation);
  return code;
}

int tk_engine_incarnation(tk_engine *e, uint8_t out[16], tk_err *err) { return tk_engine_control(e, run_name, out, err); }

bool tk_engine_lives(tk_engine *e, const uint8_t incarnation[16]) { return tk_presence_alive(e->presence, incarnation); }
