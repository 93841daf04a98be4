/* Errors: the one idiom of the project. NULL is success, anything else says what failed. */
#ifndef TRUQ_STATUS_H
#define TRUQ_STATUS_H

#include <truq/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What kind of failure; decides the exit status of the command line. */
typedef enum tq_code {
    TQ_ERR_MEMORY = 1,  /* no memory left */
    TQ_ERR_IO,          /* a file cannot be opened, read or written */
    TQ_ERR_FORMAT,      /* a file's content is not what it claims to be */
    TQ_ERR_VALUE,       /* an argument, attribute or setting has an impossible value */
    TQ_ERR_SHAPE,       /* shapes do not fit */
    TQ_ERR_TYPE,        /* dtypes do not fit */
    TQ_ERR_NOT_FOUND,   /* no such name */
    TQ_ERR_STATE,       /* asked at the wrong moment (never observed, not calibrated, ...) */
    TQ_ERR_CHECK,       /* a verification failed: broken graph, possible overflow, ... */
    TQ_ERR_UNSUPPORTED, /* operator, attribute value, dtype or opset not implemented: exit 3 */
    TQ_ERR_USAGE,       /* the command line is wrong: exit 2 */
} tq_code;

/** NULL on success, else an error the caller owns: hand it on, wrap it, or drop it. */
typedef struct tq_error *tq_status;

#define TQ_OK NULL

/** Starts an error. Messages: lower case, no full stop, names in quotes, the way out last. */
TQ_API tq_status tq_fail(tq_code code, const char *format, ...) TQ_PRINTF(2, 3);

/** Puts "what we were doing: " in front of the message of `status`; NULL stays NULL. */
TQ_API tq_status tq_wrap(tq_status status, const char *format, ...) TQ_PRINTF(2, 3);

/** Code and one-line message of an error; valid until it is dropped. `status` is not NULL. */
TQ_API tq_code tq_status_code(tq_status status);
TQ_API const char *tq_status_text(tq_status status);

/** Frees an error that was handled; NULL is fine. */
TQ_API void tq_status_drop(tq_status status);

/** Hands a failure on to the caller. */
#define TQ_TRY(call)                                                                              \
    do {                                                                                          \
        const tq_status tq_try_status = (call);                                                   \
        if (tq_try_status)                                                                        \
            return tq_try_status;                                                                 \
    } while (0)

/** Our own mistakes end here; never used for bad input. */
#define TQ_ASSERT(condition) ((condition) ? (void)0 : tq_assert_failed(#condition, __FILE__, __LINE__))
__attribute__((noreturn)) TQ_API void tq_assert_failed(const char *condition, const char *file, int line);

#ifdef __cplusplus
}
#endif
#endif
