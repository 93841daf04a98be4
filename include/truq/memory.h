/* Arenas: memory that lives and dies together. */
#ifndef TRUQ_MEMORY_H
#define TRUQ_MEMORY_H

#include <truq/status.h>
#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_arena tq_arena;

/** An empty arena; the caller destroys it (NULL is fine). */
TQ_API tq_arena *tq_arena_create(void);
TQ_API void tq_arena_destroy(tq_arena *arena);

/** An arena for the call at hand, which destroys it before it returns, in the same thread; when memory runs out in between,
 *  the tq_guard around the call does. */
TQ_API tq_arena *tq_scratch_create(void);

/** `size` zeroed bytes, aligned for any type. Never NULL: exhaustion unwinds to tq_guard. */
TQ_API void *tq_arena_alloc(tq_arena *arena, size_t size);

/** Copies into the arena; NULL gives NULL. */
TQ_API char *tq_arena_strdup(tq_arena *arena, const char *text);
TQ_API char *tq_arena_strndup(tq_arena *arena, const char *text, size_t n);
TQ_API void *tq_arena_memdup(tq_arena *arena, const void *data, size_t size);
TQ_API char *tq_arena_printf(tq_arena *arena, const char *format, ...) TQ_PRINTF(2, 3);
TQ_API char *tq_arena_vprintf(tq_arena *arena, const char *format, va_list args);

#define TQ_NEW(arena, type) ((type *)tq_arena_alloc((arena), sizeof(type)))
#define TQ_NEW_N(arena, type, n) ((type *)tq_arena_alloc((arena), tq_size_mul((size_t)(n), sizeof(type))))

/** a * b; an overflow is treated as memory exhaustion. */
TQ_API size_t tq_size_mul(size_t a, size_t b);

/** Grows an arena array by doubling: returns room for at least n + 1 elements. */
TQ_API void *tq_arena_grow(tq_arena *arena, void *array, size_t n, size_t *capacity, size_t element);
#define TQ_PUSH(arena, array, n, capacity, item)                                                  \
    ((array) = tq_arena_grow((arena), (array), (size_t)(n), &(capacity), sizeof *(array)),        \
     (array)[(n)++] = (item))

/** Runs body(context); when an arena under it cannot grow, returns TQ_ERR_MEMORY instead of
 *  aborting. Guards nest. Whoever calls owns what body had created before. */
TQ_API tq_status tq_guard(tq_status (*body)(void *context), void *context);

#ifdef __cplusplus
}
#endif
#endif
