/* What every public header needs: visibility, and checking of printf-like formats. */
#ifndef TRUQ_API_H
#define TRUQ_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TQ_API __attribute__((visibility("default")))
#define TQ_PRINTF(string_index, first) __attribute__((__format__(__printf__, string_index, first)))

/** Version of the plug-in interface; a plug-in built against another one is refused by name. */
#define TQ_ABI_VERSION 2

#define TQ_VERSION "0.1.0"

/** Number of elements of a true array (not of a pointer). */
#define TQ_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#endif
