/* Checked reads of FlatBuffers. Positions are compared before anything is added to them, so that no
 * sum wraps. */
#include "flat.h"

#include <string.h>

static tq_status outside(const char *what, size_t at)
{
    return tq_fail(TQ_ERR_FORMAT, "damaged: %s at byte %zu does not lie in the file", what, at);
}

static bool fits(const tq_flat *file, size_t at, size_t size)
{
    return at <= file->size && size <= file->size - at;
}

/* `size` bytes at `at`, sign-extended; in the file. */
static int64_t load(const tq_flat *file, size_t at, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)file->bytes[at + i] << (8 * i);
    const int unused = 64 - 8 * (int)size;
    return (int64_t)(v << unused) >> unused;
}

static size_t load_u(const tq_flat *file, size_t at, size_t size)
{
    return (size_t)(load(file, at, size) & (size == 2 ? 0xffff : 0xffffffff));
}

static tq_status open_table(const tq_flat *file, size_t at, tq_flat_table *out)
{
    *out = (tq_flat_table){ .file = file, .at = at };
    if (!fits(file, at, 4))
        return outside("a table", at);
    const int64_t vtable = (int64_t)at - load(file, at, 4);
    if (vtable < 0 || !fits(file, (size_t)vtable, 4))
        return outside("the vtable of a table", at);
    out->vtable = (size_t)vtable;
    const size_t vtable_size = load_u(file, out->vtable, 2);
    out->size = load_u(file, out->vtable + 2, 2);
    if (vtable_size < 4 || !fits(file, out->vtable, vtable_size) || !fits(file, at, out->size))
        return outside("a table or its vtable", at);
    out->n_fields = (int)(vtable_size - 4) / 2;
    return TQ_OK;
}

/* Where a field of `size` bytes lies; 0: it is absent. */
static tq_status place_of(const tq_flat_table *table, int field, size_t size, size_t *out_at)
{
    *out_at = 0;
    if (!table->file || field >= table->n_fields)
        return TQ_OK;
    const size_t offset = load_u(table->file, table->vtable + 4 + 2 * (size_t)field, 2);
    if (offset == 0)
        return TQ_OK;
    if (offset < 4 || offset > table->size || size > table->size - offset)
        return outside("a field of the table", table->at);
    *out_at = table->at + offset;
    return TQ_OK;
}

/* What a field's distance points to; 0: it is absent. */
static tq_status target_of(const tq_flat_table *table, int field, size_t *out_at)
{
    size_t at;
    TQ_TRY(place_of(table, field, 4, &at));
    *out_at = 0;
    if (at == 0)
        return TQ_OK;
    const size_t distance = load_u(table->file, at, 4);
    if (distance == 0 || !fits(table->file, at, distance))
        return outside("what is pointed to", at);
    *out_at = at + distance;
    return TQ_OK;
}

tq_status tq_flat_root(const tq_flat *file, const char *identifier, tq_flat_table *out)
{
    if (file->size < 8 || memcmp(file->bytes + 4, identifier, 4) != 0)
        return tq_fail(TQ_ERR_FORMAT, "not a file of identifier %s", identifier);
    return open_table(file, load_u(file, 0, 4), out);
}

tq_status tq_flat_int(const tq_flat_table *table, int field, size_t size, int64_t *inout)
{
    size_t at;
    TQ_TRY(place_of(table, field, size, &at));
    if (at)
        *inout = load(table->file, at, size);
    return TQ_OK;
}

tq_status tq_flat_float(const tq_flat_table *table, int field, float *inout)
{
    size_t at;
    TQ_TRY(place_of(table, field, 4, &at));
    if (at) {
        const uint32_t bits = (uint32_t)load_u(table->file, at, 4);
        memcpy(inout, &bits, 4);
    }
    return TQ_OK;
}

tq_status tq_flat_child(const tq_flat_table *table, int field, tq_flat_table *out)
{
    size_t at;
    *out = (tq_flat_table){ 0 };
    TQ_TRY(target_of(table, field, &at));
    return at ? open_table(table->file, at, out) : TQ_OK;
}

tq_status tq_flat_vector_of(const tq_flat_table *table, int field, size_t element_size,
                            tq_flat_vector *out)
{
    size_t at;
    *out = (tq_flat_vector){ .file = table->file, .element_size = element_size };
    TQ_TRY(target_of(table, field, &at));
    if (at == 0)
        return TQ_OK;
    if (!fits(table->file, at, 4))
        return outside("a vector", at);
    const size_t n = load_u(table->file, at, 4);
    if (n > (table->file->size - at - 4) / element_size)
        return outside("the end of a vector", at);
    out->at = at + 4;
    out->n = (int64_t)n;
    return TQ_OK;
}

int64_t tq_flat_int_at(const tq_flat_vector *vector, int64_t i)
{
    return load(vector->file, vector->at + (size_t)i * vector->element_size, vector->element_size);
}

float tq_flat_float_at(const tq_flat_vector *vector, int64_t i)
{
    const uint32_t bits = (uint32_t)tq_flat_int_at(vector, i);
    float v;
    memcpy(&v, &bits, 4);
    return v;
}

tq_status tq_flat_table_at(const tq_flat_vector *vector, int64_t i, tq_flat_table *out)
{
    const size_t at = vector->at + (size_t)i * 4, distance = load_u(vector->file, at, 4);
    if (!fits(vector->file, at, distance))
        return outside("an element of a vector", at);
    return open_table(vector->file, at + distance, out);
}

tq_status tq_flat_text(const tq_flat_table *table, int field, tq_arena *arena, const char **out)
{
    tq_flat_vector bytes;
    TQ_TRY(tq_flat_vector_of(table, field, 1, &bytes));
    char *text = tq_arena_alloc(arena, (size_t)bytes.n + 1);
    for (int64_t i = 0; i < bytes.n; i++) {
        const char c = (char)bytes.file->bytes[bytes.at + (size_t)i];
        text[i] = c > ' ' && c <= '~' ? c : '_';
    }
    *out = text;
    return TQ_OK;
}
