/* What the base room offers to the rooms above it beyond the public headers. */
#ifndef TRUQ_BASE_BASE_H
#define TRUQ_BASE_BASE_H

#include <truq/memory.h>

/** `size` zeroed bytes from the heap or NULL; free() gives them back. All memory of arenas, errors,
 *  buffers, pools and registries comes from here: it has a file of its own, so that a test that
 *  defines it instead decides which allocation fails. */
void *tq_allocate(size_t size);

/** Unwinds to the innermost tq_guard of this thread; aborts where there is none. */
__attribute__((noreturn)) void tq_memory_exhausted(void);

#endif
