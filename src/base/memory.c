/* Arenas: a chain of zeroed blocks, each cut from its front; nothing is given back before all is.
 * When the heap is exhausted the allocation jumps to the innermost tq_guard of its thread, so that
 * code which builds graphs needs no check after each allocation. Scratch hangs in a list of its
 * thread with the depth of the guard around it: whom the jump passes over cannot destroy it. */
#include "base/base.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };
_Static_assert(ALIGNMENT >= alignof(max_align_t), "an arena serves every type");

typedef struct block {
    struct block *next;
    size_t size, used; /* of bytes[] */
    alignas(ALIGNMENT) unsigned char bytes[];
} block;

struct tq_arena {
    block *current; /* the others hang behind it */
    size_t next_size;
    int depth; /* of the guard that destroys it; 0: none does */
    tq_arena *previous, *next;
};

typedef struct guard {
    struct guard *outer;
    int depth; /* the outermost has 1 */
    jmp_buf jump;
} guard;

static _Thread_local guard *innermost;
static _Thread_local tq_arena *scratch; /* the latest first */

/** What calls that were passed over had for scratch, inside a guard of this depth. */
static void destroy_scratch(int depth)
{
    for (tq_arena *arena = scratch, *next; arena; arena = next) {
        next = arena->next;
        if (arena->depth >= depth)
            tq_arena_destroy(arena);
    }
}

tq_status tq_guard(tq_status (*body)(void *context), void *context)
{
    guard here = { .outer = innermost, .depth = innermost ? innermost->depth + 1 : 1 };
    if (setjmp(here.jump)) {
        destroy_scratch(here.depth);
        innermost = here.outer;
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    }
    innermost = &here;
    const tq_status status = body(context);
    innermost = here.outer;
    return status;
}

void tq_memory_exhausted(void)
{
    if (innermost)
        longjmp(innermost->jump, 1);
    fputs("truq: out of memory\n", stderr);
    abort();
}

size_t tq_size_mul(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        tq_memory_exhausted();
    return product;
}

tq_arena *tq_arena_create(void)
{
    tq_arena *arena = tq_allocate(sizeof *arena);
    if (!arena)
        tq_memory_exhausted();
    arena->next_size = FIRST_BLOCK;
    return arena;
}

tq_arena *tq_scratch_create(void)
{
    tq_arena *arena = tq_arena_create();
    if (!innermost)
        return arena;
    arena->depth = innermost->depth;
    arena->next = scratch;
    if (scratch)
        scratch->previous = arena;
    scratch = arena;
    return arena;
}

/** From the list of scratch. */
static void take_out(const tq_arena *arena)
{
    if (arena->next)
        arena->next->previous = arena->previous;
    if (arena->previous)
        arena->previous->next = arena->next;
    else
        scratch = arena->next;
}

void tq_arena_destroy(tq_arena *arena)
{
    if (!arena)
        return;
    if (arena->depth > 0)
        take_out(arena);
    for (block *b = arena->current, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
}

static block *create_block(size_t size)
{
    if (size > SIZE_MAX - sizeof(block))
        tq_memory_exhausted();
    block *b = tq_allocate(sizeof *b + size);
    if (!b)
        tq_memory_exhausted();
    b->size = size;
    return b;
}

/** A large piece gets a block of its own behind the current one, which stays in use. */
static void *alloc_large(tq_arena *arena, size_t size)
{
    block *b = create_block(size);
    b->used = size;
    if (arena->current) {
        b->next = arena->current->next;
        arena->current->next = b;
    } else {
        arena->current = b;
    }
    return b->bytes;
}

void *tq_arena_alloc(tq_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        tq_memory_exhausted();
    const size_t padded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    block *b = arena->current;
    if (!b || b->size - b->used < padded) {
        if (padded > arena->next_size / 4)
            return alloc_large(arena, padded);
        b = create_block(arena->next_size);
        b->next = arena->current;
        arena->current = b;
        if (arena->next_size < LARGEST_BLOCK)
            arena->next_size *= 2;
    }
    void *piece = b->bytes + b->used;
    b->used += padded;
    return piece;
}

void *tq_arena_memdup(tq_arena *arena, const void *data, size_t size)
{
    if (!data)
        return NULL;
    void *copy = tq_arena_alloc(arena, size);
    return size ? memcpy(copy, data, size) : copy;
}

char *tq_arena_strdup(tq_arena *arena, const char *text)
{
    return text ? tq_arena_memdup(arena, text, strlen(text) + 1) : NULL;
}

char *tq_arena_strndup(tq_arena *arena, const char *text, size_t n)
{
    if (!text)
        return NULL;
    const size_t length = strnlen(text, n);
    char *copy = tq_arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *tq_arena_vprintf(tq_arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        tq_memory_exhausted();
    char *text = tq_arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

char *tq_arena_printf(tq_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = tq_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void *tq_arena_grow(tq_arena *arena, void *array, size_t n, size_t *capacity, size_t element)
{
    if (n < *capacity)
        return array;
    const size_t wanted = n < 4 ? 8 : tq_size_mul(n, 2);
    void *grown = tq_arena_alloc(arena, tq_size_mul(wanted, element));
    if (n)
        memcpy(grown, array, n * element);
    *capacity = wanted;
    return grown;
}
