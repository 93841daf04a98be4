/* Errors: a code and one line of text in one heap block, or, when the heap has nothing left even
 * for that, one constant. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tq_error {
    tq_code code;
    char text[];
};

static const struct tq_error out_of_memory = { TQ_ERR_MEMORY, "out of memory" };

/* Names come from files: a control character in one must not break the line or move a cursor. */
static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

/** The formatted text followed by `tail`; NULL when memory is out. */
static struct tq_error *make_error(tq_code code, const char *tail, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return NULL;
    const size_t head_size = (size_t)length, tail_size = strlen(tail) + 1;
    struct tq_error *error = tq_allocate(sizeof *error + head_size + tail_size);
    if (!error)
        return NULL;
    error->code = code;
    vsnprintf(error->text, head_size + 1, format, args);
    memcpy(error->text + head_size, tail, tail_size);
    make_one_line(error->text);
    return error;
}

tq_status tq_fail(tq_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct tq_error *error = make_error(code, "", format, args);
    va_end(args);
    return error ? error : (tq_status)&out_of_memory;
}

/** "prefix: text of status" as a new error; NULL when memory is out. */
static struct tq_error *prefixed(tq_status status, const char *format, va_list args)
{
    const size_t size = strlen(status->text) + 3;
    char *tail = tq_allocate(size);
    if (!tail)
        return NULL;
    snprintf(tail, size, ": %s", status->text);
    struct tq_error *error = make_error(status->code, tail, format, args);
    free(tail);
    return error;
}

tq_status tq_wrap(tq_status status, const char *format, ...)
{
    if (!status)
        return TQ_OK;
    va_list args;
    va_start(args, format);
    struct tq_error *error = prefixed(status, format, args);
    va_end(args);
    if (!error)
        return status; /* better the bare message than none */
    tq_status_drop(status);
    return error;
}

tq_code tq_status_code(tq_status status)
{
    return status->code;
}

const char *tq_status_text(tq_status status)
{
    return status->text;
}

void tq_status_drop(tq_status status)
{
    if (status != &out_of_memory)
        free(status);
}

void tq_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "truq: internal error: %s does not hold (%s:%d)\n", condition, file, line);
    abort();
}
