/* A type together with its data. */
#include <truq/tensor.h>

#include <string.h>
#include <zlib.h>

tq_status tq_tensor_init(tq_tensor *tensor, const tq_type *type)
{
    size_t size;
    tq_buffer *buffer;
    *tensor = (tq_tensor){ 0 };
    TQ_TRY(tq_type_size(type, &size));
    TQ_TRY(tq_buffer_create(size, &buffer));
    *tensor = (tq_tensor){ .type = *type, .buffer = buffer, .data = tq_buffer_data(buffer) };
    return TQ_OK;
}

/** Bytes of a tensor that exists. */
static size_t size_of(const tq_tensor *tensor)
{
    return (size_t)tq_tensor_count(tensor) * tq_dtype_size(tensor->type.dtype);
}

tq_status tq_tensor_init_from(tq_tensor *tensor, const tq_type *type, const void *data)
{
    TQ_TRY(tq_tensor_init(tensor, type));
    if (size_of(tensor))
        memcpy(tensor->data, data, size_of(tensor));
    return TQ_OK;
}

void tq_tensor_reset(tq_tensor *tensor)
{
    tq_buffer_release(tensor->buffer);
    *tensor = (tq_tensor){ 0 };
}

tq_tensor tq_tensor_share(const tq_tensor *tensor)
{
    tq_buffer_retain(tensor->buffer);
    return *tensor;
}

tq_status tq_tensor_copy(const tq_tensor *tensor, tq_tensor *out_copy)
{
    const tq_tensor from = *tensor;
    return tq_tensor_init_from(out_copy, &from.type, from.data);
}

bool tq_tensor_equal(const tq_tensor *a, const tq_tensor *b)
{
    if (!tq_type_equal(&a->type, &b->type))
        return false;
    const size_t size = size_of(a);
    return size == 0 || memcmp(a->data, b->data, size) == 0;
}

uint32_t tq_crc32(uint32_t crc, const void *data, size_t size)
{
    return size ? (uint32_t)crc32_z(crc, data, size) : crc;
}
