/* The system's time zone files (tzdata), read once each. The bytes are kept for the life of the process: names lead only to
 * files that exist, so what is kept is bounded. Thread: any; a lock of its own. */
#ifndef TK_BASE_TZFILE_H
#define TK_BASE_TZFILE_H
#include "base/buf.h"
#include "base/err.h"

/* The TZif bytes of an IANA zone ("Europe/Berlin") in $TZDIR, else /usr/share/zoneinfo; they are borrowed for ever. "UTC" is
 * empty and needs no file. TK_E_INVALID when there is no such zone, TK_E_UNSUPPORTED when the system has no zones at all,
 * TK_E_IO. What is in the bytes is not looked at beyond their magic: tk_zone_decode does. */
int tk_tzfile_read(tk_slice name, tk_slice *bytes, tk_err *err);

#endif
