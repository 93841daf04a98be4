/* The .npy format: "\x93NUMPY", version, length, a Python dictionary as text, then the elements.
 * Source: numpy.lib.format, versions 1.0 to 3.0. Read: little-endian numbers and bool, C or Fortran
 * order. Nothing is allocated before the elements are known to be there. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 64 * 1024, PREFIX = 10 };

static const struct {
    char descr[4];
    tq_dtype dtype;
} dtypes[] = {
    { "<f4", TQ_F32 }, { "<f8", TQ_F64 },  { "<f2", TQ_F16 }, { "|u1", TQ_U8 },  { "|i1", TQ_I8 },
    { "<u2", TQ_U16 }, { "<i2", TQ_I16 },  { "<u4", TQ_U32 }, { "<i4", TQ_I32 }, { "<u8", TQ_U64 },
    { "<i8", TQ_I64 }, { "|b1", TQ_BOOL }, { "|u1", TQ_U4 },  { "|i1", TQ_I4 },
};

/** The text of the dictionary while it is read. */
typedef struct scan {
    const char *at, *end;
} scan;

static void skip_space(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t'))
        s->at++;
}

static bool take(scan *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/** A quoted string without escapes. */
static bool take_string(scan *s, const char **out_text, size_t *out_n)
{
    skip_space(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
        return false;
    const char quote = *s->at++;
    const char *close = memchr(s->at, quote, (size_t)(s->end - s->at));
    if (!close)
        return false;
    *out_text = s->at;
    *out_n = (size_t)(close - s->at);
    s->at = close + 1;
    return true;
}

static bool take_word(scan *s, const char *word)
{
    skip_space(s);
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

/** A tuple of counts, "(3, 4)", "(3,)", "()"; "3L" as Python 2 wrote is fine. */
static tq_status read_shape(scan *s, tq_type *type)
{
    if (!take(s, '('))
        return tq_fail(TQ_ERR_FORMAT, "broken header: 'shape' is not a tuple");
    type->rank = 0;
    while (!take(s, ')')) {
        int64_t dim = 0;
        const char *first = s->at;
        while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
            if (dim > (INT64_MAX - 9) / 10)
                return tq_fail(TQ_ERR_FORMAT, "broken header: a dimension is too large");
            dim = dim * 10 + (*s->at++ - '0');
        }
        if (s->at == first)
            return tq_fail(TQ_ERR_FORMAT, "broken header: 'shape' is not a tuple of counts");
        if (type->rank == TQ_MAX_RANK)
            return tq_fail(TQ_ERR_UNSUPPORTED, "more than %d dimensions", (int)TQ_MAX_RANK);
        type->dims[type->rank++] = dim;
        take(s, 'L');
        if (!take(s, ',') && (s->at == s->end || *s->at != ')'))
            return tq_fail(TQ_ERR_FORMAT, "broken header: 'shape' is not a tuple of counts");
        skip_space(s);
    }
    return TQ_OK;
}

static tq_status read_descr(scan *s, tq_type *type)
{
    const char *text;
    size_t n;
    if (!take_string(s, &text, &n))
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "structured dtypes are not supported; save plain arrays");
    for (int i = 0; i < TQ_COUNT(dtypes); i++) {
        const bool any_order = dtypes[i].descr[2] == '1' && n == 3 && text[0] != '>';
        if (n == 3 && memcmp(text + 1, dtypes[i].descr + 1, 2) == 0 &&
            (text[0] == dtypes[i].descr[0] || any_order)) {
            type->dtype = dtypes[i].dtype;
            return TQ_OK;
        }
    }
    return tq_fail(TQ_ERR_UNSUPPORTED,
                   "dtype '%.*s' is not supported; save as f2 f4 f8, i1..i8, u1..u8 or bool, "
                   "little-endian",
                   n > 20 ? 20 : (int)n, text);
}

/** { 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } in any order. */
static tq_status read_dictionary(scan *s, tq_type *type, bool *fortran)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    if (!take(s, '{'))
        return tq_fail(TQ_ERR_FORMAT, "broken header: no dictionary");
    while (!take(s, '}')) {
        const char *key;
        size_t n;
        if (!take_string(s, &key, &n) || !take(s, ':'))
            return tq_fail(TQ_ERR_FORMAT, "broken header: expected a key");
        if (n == 5 && memcmp(key, "descr", n) == 0) {
            TQ_TRY(read_descr(s, type));
            seen |= DESCR;
        } else if (n == 5 && memcmp(key, "shape", n) == 0) {
            skip_space(s);
            TQ_TRY(read_shape(s, type));
            seen |= SHAPE;
        } else if (n == 13 && memcmp(key, "fortran_order", n) == 0) {
            *fortran = take_word(s, "True");
            if (!*fortran && !take_word(s, "False"))
                return tq_fail(TQ_ERR_FORMAT,
                               "broken header: 'fortran_order' is neither True nor False");
            seen |= ORDER;
        } else {
            return tq_fail(TQ_ERR_FORMAT, "broken header: unknown key '%.*s'", n > 20 ? 20 : (int)n,
                           key);
        }
        take(s, ',');
    }
    if (seen != (DESCR | ORDER | SHAPE))
        return tq_fail(TQ_ERR_FORMAT,
                       "broken header: 'descr', 'fortran_order' or 'shape' is missing");
    return TQ_OK;
}

static tq_status source_read(tq_npy_source *source, void *bytes, size_t n)
{
    if (n > source->left)
        return tq_fail(TQ_ERR_FORMAT, "truncated: %llu bytes are left, expected %zu",
                       (unsigned long long)source->left, n);
    TQ_TRY(source->read(source->context, bytes, n));
    source->left -= n;
    return TQ_OK;
}

static tq_status read_header(tq_npy_source *source, tq_type *type, bool *fortran)
{
    unsigned char prefix[12];
    TQ_TRY(source_read(source, prefix, PREFIX));
    if (memcmp(prefix, "\x93NUMPY", 6) != 0)
        return tq_fail(TQ_ERR_FORMAT, "not a .npy array");
    if (prefix[6] < 1 || prefix[6] > 3)
        return tq_fail(TQ_ERR_UNSUPPORTED, ".npy version %d.%d is not supported", prefix[6],
                       prefix[7]);
    size_t length = (size_t)prefix[8] | (size_t)prefix[9] << 8;
    if (prefix[6] > 1) {
        TQ_TRY(source_read(source, prefix + PREFIX, 2));
        length |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
    }
    if (length > HEADER_LIMIT || length > source->left)
        return tq_fail(TQ_ERR_FORMAT, "broken header: it claims %zu bytes", length);
    char *text = tq_allocate(length + 1);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    tq_status status = source_read(source, text, length);
    if (!status)
        status = read_dictionary(&(scan){ text, text + length }, type, fortran);
    free(text);
    return status;
}

/** Replaces Fortran order (first index fastest) by C order (last index fastest). */
static tq_status reorder(tq_tensor *tensor)
{
    tq_tensor c;
    TQ_TRY(tq_tensor_init(&c, &tensor->type));
    const size_t size = tq_dtype_size(c.type.dtype);
    const int64_t n = tq_tensor_count(&c);
    int64_t index[TQ_MAX_RANK] = { 0 };
    for (int64_t i = 0; i < n; i++) {
        int64_t from = 0;
        for (int d = c.type.rank - 1; d >= 0; d--)
            from = from * c.type.dims[d] + index[d];
        memcpy((char *)c.data + (size_t)i * size, (char *)tensor->data + (size_t)from * size, size);
        for (int d = c.type.rank - 1; d >= 0 && ++index[d] == c.type.dims[d]; d--)
            index[d] = 0;
    }
    tq_tensor_reset(tensor);
    *tensor = c;
    return TQ_OK;
}

/** A byte of a bool array that is neither 0 nor 1 would be a third truth value. */
static void normalise_bool(tq_tensor *tensor)
{
    unsigned char *bytes = tensor->data;
    for (int64_t i = 0, n = tq_tensor_count(tensor); i < n; i++)
        bytes[i] = bytes[i] != 0;
}

tq_status tq_npy_read(tq_npy_source *source, tq_tensor *out_tensor)
{
    tq_type type = { 0 };
    bool fortran = false;
    size_t size;
    TQ_TRY(read_header(source, &type, &fortran));
    TQ_TRY(tq_type_size(&type, &size));
    if (size != source->left)
        return tq_fail(TQ_ERR_FORMAT, "%s needs %zu bytes, %llu are there", tq_type_text(&type).s,
                       size, (unsigned long long)source->left);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    tq_status status = source_read(source, tensor.data, size);
    if (!status && fortran && type.rank > 1)
        status = reorder(&tensor);
    if (status) {
        tq_tensor_reset(&tensor);
        return status;
    }
    if (type.dtype == TQ_BOOL)
        normalise_bool(&tensor);
    *out_tensor = tensor;
    return TQ_OK;
}

tq_status tq_npy_header(const tq_type *type, char *out_header, size_t *out_length)
{
    const char *descr = NULL;
    for (int i = 0; i < TQ_COUNT(dtypes) && !descr; i++)
        if (dtypes[i].dtype == type->dtype)
            descr = dtypes[i].descr;
    if (!descr)
        return tq_fail(TQ_ERR_UNSUPPORTED, "numpy has no dtype for %s", tq_dtype_name(type->dtype));
    char *text = out_header + PREFIX;
    int n = snprintf(text, TQ_NPY_HEADER_MAX - PREFIX,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int d = 0; d < type->rank; d++)
        n += snprintf(text + n, (size_t)(TQ_NPY_HEADER_MAX - PREFIX - n), "%lld%s",
                      (long long)type->dims[d],
                      d + 1 < type->rank ? ", "
                      : type->rank == 1  ? ","
                                         : "");
    n += snprintf(text + n, (size_t)(TQ_NPY_HEADER_MAX - PREFIX - n), "), }");
    const size_t total = ((size_t)n + PREFIX + 1 + 63) / 64 * 64;
    memset(text + n, ' ', total - PREFIX - (size_t)n);
    out_header[total - 1] = '\n';
    memcpy(out_header, "\x93NUMPY\x01\x00", 8);
    out_header[8] = (char)((total - PREFIX) & 0xff);
    out_header[9] = (char)((total - PREFIX) >> 8);
    *out_length = total;
    return TQ_OK;
}
