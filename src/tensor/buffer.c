/* Reference-counted bytes: one heap block holds the header and, from the next multiple of 64 on,
 * the data. */
#include "base/base.h"
#include <truq/tensor.h>

#include <stdatomic.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

struct tq_buffer {
    atomic_size_t n_owners;
    size_t size;
    void *data;
};

/* Statistics of the process, read by the memory report alone. */
static atomic_size_t live, peak;

tq_status tq_buffer_create(size_t size, tq_buffer **out_buffer)
{
    const size_t extra = sizeof(tq_buffer) + ALIGNMENT - 1;
    tq_buffer *buffer = size > SIZE_MAX - extra ? NULL : tq_allocate(size + extra);
    if (!buffer)
        return tq_fail(TQ_ERR_MEMORY, "out of memory: no %zu bytes for a tensor", size);
    const uintptr_t first = (uintptr_t)(buffer + 1);
    buffer->data = (unsigned char *)(buffer + 1) + (ALIGNMENT - first % ALIGNMENT) % ALIGNMENT;
    buffer->size = size;
    atomic_init(&buffer->n_owners, 1);
    const size_t now = atomic_fetch_add(&live, size) + size;
    size_t most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now))
        continue;
    *out_buffer = buffer;
    return TQ_OK;
}

tq_buffer *tq_buffer_retain(tq_buffer *buffer)
{
    if (buffer)
        atomic_fetch_add_explicit(&buffer->n_owners, 1, memory_order_relaxed);
    return buffer;
}

void tq_buffer_release(tq_buffer *buffer)
{
    if (!buffer || atomic_fetch_sub(&buffer->n_owners, 1) != 1)
        return;
    atomic_fetch_sub(&live, buffer->size);
    free(buffer);
}

bool tq_buffer_is_shared(const tq_buffer *buffer)
{
    return atomic_load(&buffer->n_owners) > 1;
}

void *tq_buffer_data(tq_buffer *buffer)
{
    return buffer->data;
}

size_t tq_buffer_size(const tq_buffer *buffer)
{
    return buffer->size;
}

size_t tq_buffer_live(void)
{
    return atomic_load(&live);
}

size_t tq_buffer_peak(void)
{
    return atomic_load(&peak);
}
