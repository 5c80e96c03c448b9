/* The one place that says which version this is. */
#ifndef TK_BASE_VERSION_H
#define TK_BASE_VERSION_H

#define TK_VERSION "0.1.0"

#endif
