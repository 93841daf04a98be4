/* What the files of this room share: growing text. */
#ifndef TQ_REPORT_REPORT_INTERNAL_H
#define TQ_REPORT_REPORT_INTERNAL_H

#include <truq/report.h>

/** Text that grows in an arena; s is always terminated once something was added. */
typedef struct tq_string {
    tq_arena *arena;
    char *s;
    size_t n, capacity;
} tq_string;

void tq_string_add(tq_string *string, const char *text, size_t n);
void tq_string_printf(tq_string *string, const char *format, ...) TQ_PRINTF(2, 3);

#endif
