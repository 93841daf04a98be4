/* Shapes: sizes that cannot overflow, text, and broadcasting as ONNX has it from numpy. */
#include <truq/tensor.h>

#include <stdarg.h>
#include <stdio.h>

static const int64_t largest_size = (int64_t)1 << 46; /* bytes */

tq_type tq_type_make(tq_dtype dtype, int rank, const int64_t *dims)
{
    TQ_ASSERT(rank >= -1 && rank <= TQ_MAX_RANK);
    tq_type type = { .dtype = dtype, .rank = rank };
    for (int i = 0; i < rank; i++)
        type.dims[i] = dims[i];
    return type;
}

/** Product of dims[from..to-1]; an overflow stops at INT64_MAX, which no tensor can have. */
static int64_t count_range(const tq_type *type, int from, int to)
{
    int64_t count = 1;
    bool is_empty = false;
    for (int i = from; i < to; i++) {
        if (type->dims[i] < 0)
            return TQ_DIM_ANY;
        is_empty |= type->dims[i] == 0;
        if (__builtin_mul_overflow(count, type->dims[i], &count))
            count = INT64_MAX;
    }
    return is_empty ? 0 : count;
}

int64_t tq_type_count(const tq_type *type)
{
    return tq_type_count_from(type, 0);
}

int64_t tq_type_count_from(const tq_type *type, int from)
{
    return type->rank < 0 ? TQ_DIM_ANY : count_range(type, from, type->rank);
}

int64_t tq_type_count_to(const tq_type *type, int to)
{
    return type->rank < 0 ? TQ_DIM_ANY : count_range(type, 0, to);
}

bool tq_type_is_known(const tq_type *type)
{
    return tq_type_count(type) != TQ_DIM_ANY;
}

bool tq_type_equal(const tq_type *a, const tq_type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

tq_status tq_type_size(const tq_type *type, size_t *out_size)
{
    const int64_t count = tq_type_count(type), element = (int64_t)tq_dtype_size(type->dtype);
    if (!element)
        return tq_fail(TQ_ERR_TYPE, "a tensor without a dtype has no size");
    if (count == TQ_DIM_ANY)
        return tq_fail(TQ_ERR_SHAPE, "the shape of %s is not known yet", tq_type_text(type).s);
    if (count > largest_size / element)
        return tq_fail(TQ_ERR_SHAPE, "a tensor %s is too large; at most 2^46 bytes are possible",
                       tq_type_text(type).s);
    *out_size = (size_t)(count * element);
    return TQ_OK;
}

/** Appends to text->s, cut at its end; returns the new length. */
static size_t append(tq_text *text, size_t length, const char *format, ...) TQ_PRINTF(3, 4);
static size_t append(tq_text *text, size_t length, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text->s + length, sizeof text->s - length, format, args);
    va_end(args);
    const size_t end = length + (n > 0 ? (size_t)n : 0);
    return end < sizeof text->s ? end : sizeof text->s - 1;
}

tq_text tq_type_text(const tq_type *type)
{
    tq_text text;
    size_t length = append(&text, 0, "%s[", tq_dtype_name(type->dtype));
    if (type->rank < 0)
        length = append(&text, length, "...");
    for (int i = 0; i < type->rank; i++) {
        const char *comma = i ? "," : "";
        if (type->dims[i] < 0)
            length = append(&text, length, "%s?", comma);
        else
            length = append(&text, length, "%s%lld", comma, (long long)type->dims[i]);
    }
    append(&text, length, "]");
    return text;
}

/** One dimension: equal, or 1 stretches; an unknown one fits all, and 1 against it stays unknown.
 */
static bool broadcast_dim(int64_t a, int64_t b, int64_t *out)
{
    if (a == b || b == 1)
        *out = a;
    else if (a == 1 || a < 0)
        *out = b;
    else if (b < 0)
        *out = a;
    else
        return false;
    return true;
}

tq_status tq_type_broadcast(const tq_type *a, const tq_type *b, tq_type *out)
{
    tq_type type = { .dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank };
    if (a->rank < 0 || b->rank < 0)
        type.rank = -1;
    for (int i = 0; i < type.rank; i++) {
        const int i_a = i - (type.rank - a->rank), i_b = i - (type.rank - b->rank);
        if (!broadcast_dim(i_a < 0 ? 1 : a->dims[i_a], i_b < 0 ? 1 : b->dims[i_b], &type.dims[i]))
            return tq_fail(TQ_ERR_SHAPE,
                           "shapes %s and %s do not broadcast: dimensions %lld and %lld",
                           tq_type_text(a).s, tq_type_text(b).s, (long long)a->dims[i_a],
                           (long long)b->dims[i_b]);
    }
    *out = type;
    return TQ_OK;
}
