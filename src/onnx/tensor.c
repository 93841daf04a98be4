/* TensorProto to tensor: elements lie in raw_data (little-endian), in one of the typed fields, or
 * in a file of their own. Nothing is allocated before the bytes that must fill it were counted. */
#include "onnx/onnx_internal.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is copied as it is");

static bool is_4bit(tq_dtype dtype)
{
    return dtype == TQ_U4 || dtype == TQ_I4;
}

size_t tq_onnx_raw_size(const tq_type *type)
{
    const size_t n = (size_t)tq_type_count(type);
    return is_4bit(type->dtype) ? (n + 1) / 2 : n * tq_dtype_size(type->dtype);
}

void tq_onnx_pack4(const tq_tensor *tensor, uint8_t *out_bytes)
{
    const uint8_t *codes = tensor->data;
    const int64_t n = tq_tensor_count(tensor);
    for (int64_t i = 0; i < n; i += 2)
        out_bytes[i / 2] = (uint8_t)((codes[i] & 15) | (i + 1 < n ? (codes[i + 1] & 15) << 4 : 0));
}

static void store4(tq_tensor *tensor, int64_t i, unsigned nibble)
{
    const int code = tensor->type.dtype == TQ_I4 && nibble > 7 ? (int)nibble - 16 : (int)nibble;
    ((uint8_t *)tensor->data)[i] = (uint8_t)code;
}

static void unpack4(tq_tensor *tensor, const uint8_t *bytes)
{
    const int64_t n = tq_tensor_count(tensor);
    for (int64_t i = 0; i < n; i++)
        store4(tensor, i, (unsigned)bytes[i / 2] >> 4 * (i % 2) & 15);
}

/** Bytes from outside become the elements; bools become 0 or 1. */
static void fill_from_raw(tq_tensor *tensor, const uint8_t *bytes)
{
    if (is_4bit(tensor->type.dtype)) {
        unpack4(tensor, bytes);
        return;
    }
    const size_t size = tq_onnx_raw_size(&tensor->type);
    if (size)
        memcpy(tensor->data, bytes, size);
    for (size_t i = 0; tensor->type.dtype == TQ_BOOL && i < size; i++)
        ((uint8_t *)tensor->data)[i] = ((uint8_t *)tensor->data)[i] != 0;
}

static tq_status read_type(const Onnx__TensorProto *proto, tq_type *out_type)
{
    const tq_dtype dtype = tq_dtype_from_onnx(proto->data_type);
    if (!proto->data_type)
        return tq_fail(TQ_ERR_FORMAT, "has no data type");
    if (dtype == TQ_NONE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "data type %s is not supported",
                       tq_onnx_dtype_text(proto->data_type).s);
    if (proto->n_dims > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %zu dimensions, at most %d are supported",
                       proto->n_dims, TQ_MAX_RANK);
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] < 0)
            return tq_fail(TQ_ERR_FORMAT, "dimension %zu is %" PRId64, i, proto->dims[i]);
    *out_type = tq_type_make(dtype, (int)proto->n_dims, proto->dims);
    size_t size;
    return tq_type_size(out_type, &size);
}

/* ---- typed fields ---- */

static tq_status check_count(const char *field, size_t found, size_t expected)
{
    if (found == expected)
        return TQ_OK;
    return tq_fail(TQ_ERR_FORMAT, "%s holds %zu elements, the shape needs %zu", field, found,
                   expected);
}

static bool is_bits16(tq_dtype dtype)
{
    return dtype == TQ_F16 || dtype == TQ_BF16;
}

/** int32_data carries all small types: 16-bit floats as their bits, 4-bit integers in pairs. */
static tq_status fill_from_int32(const Onnx__TensorProto *proto, tq_tensor *tensor)
{
    const tq_dtype dtype = tensor->type.dtype;
    for (size_t i = 0; i < proto->n_int32_data; i++) {
        const int32_t v = proto->int32_data[i];
        if (is_4bit(dtype)) {
            store4(tensor, (int64_t)(2 * i), (unsigned)v & 15);
            if ((int64_t)(2 * i + 1) < tq_tensor_count(tensor))
                store4(tensor, (int64_t)(2 * i + 1), (unsigned)v >> 4 & 15);
        } else if (is_bits16(dtype)) {
            ((uint16_t *)tensor->data)[i] = (uint16_t)v;
        } else if (dtype == TQ_BOOL) {
            ((uint8_t *)tensor->data)[i] = v != 0;
        } else if (v < tq_dtype_min(dtype) || v > tq_dtype_max(dtype)) {
            return tq_fail(TQ_ERR_FORMAT, "element %zu is %d, which %s cannot hold", i, v,
                           tq_dtype_name(dtype));
        } else {
            tq_store_i64(tensor->data, dtype, (int64_t)i, v);
        }
    }
    return TQ_OK;
}

typedef struct field {
    const char *name;
    size_t n;         /* elements in the message */
    const void *data; /* NULL: int32_data, which needs conversion */
} field;

/** The typed field in which ONNX puts that dtype. */
static field field_of(const Onnx__TensorProto *proto, tq_dtype dtype)
{
    switch (dtype) {
    case TQ_F32:
        return (field){ "float_data", proto->n_float_data, proto->float_data };
    case TQ_F64:
        return (field){ "double_data", proto->n_double_data, proto->double_data };
    case TQ_I64:
        return (field){ "int64_data", proto->n_int64_data, proto->int64_data };
    case TQ_U64:
    case TQ_U32:
        return (field){ "uint64_data", proto->n_uint64_data, proto->uint64_data };
    default:
        return (field){ "int32_data", proto->n_int32_data, NULL };
    }
}

static tq_status fill_from_field(const Onnx__TensorProto *proto, const field *f, tq_tensor *tensor)
{
    const tq_dtype dtype = tensor->type.dtype;
    if (strcmp(f->name, "int32_data") == 0)
        return fill_from_int32(proto, tensor);
    for (size_t i = 0; dtype == TQ_U32 && i < f->n; i++) {
        if (proto->uint64_data[i] > UINT32_MAX)
            return tq_fail(TQ_ERR_FORMAT, "element %zu does not fit u32", i);
        ((uint32_t *)tensor->data)[i] = (uint32_t)proto->uint64_data[i];
    }
    if (dtype != TQ_U32 && f->n)
        memcpy(tensor->data, f->data, f->n * tq_dtype_size(dtype));
    return TQ_OK;
}

static size_t n_typed_elements(const Onnx__TensorProto *proto)
{
    return proto->n_float_data + proto->n_int32_data + proto->n_int64_data + proto->n_double_data +
           proto->n_uint64_data + proto->n_string_data;
}

/** Exactly one place holds the elements, and all of them. */
static tq_status check_places(const Onnx__TensorProto *proto, const tq_type *type, const field *f)
{
    const size_t typed = n_typed_elements(proto), raw_size = tq_onnx_raw_size(type);
    const bool external = proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (proto->segment)
        return tq_fail(TQ_ERR_UNSUPPORTED, "tensors in segments are not supported");
    if (proto->has_raw_data + external + (typed > 0) > 1)
        return tq_fail(TQ_ERR_FORMAT, "its elements are given in two places");
    if (external)
        return TQ_OK;
    if (proto->has_raw_data && proto->raw_data.len != raw_size)
        return tq_fail(TQ_ERR_FORMAT, "raw_data holds %zu bytes, %s needs %zu", proto->raw_data.len,
                       tq_type_text(type).s, raw_size);
    if (proto->has_raw_data)
        return TQ_OK;
    if (typed != f->n)
        return tq_fail(TQ_ERR_FORMAT, "its elements are not in %s", f->name);
    return check_count(f->name, f->n,
                       is_4bit(type->dtype) ? raw_size : (size_t)tq_type_count(type));
}

static tq_status fill_from_file(const Onnx__TensorProto *proto, const char *folder,
                                tq_tensor *tensor)
{
    const size_t size = tq_onnx_raw_size(&tensor->type);
    if (!is_4bit(tensor->type.dtype) && tensor->type.dtype != TQ_BOOL)
        return tq_onnx_read_external(proto, folder, tensor->data, size);
    tq_tensor bytes;
    TQ_TRY(tq_tensor_init(&bytes, &(tq_type){ TQ_U8, 1, { (int64_t)size } }));
    const tq_status status = tq_onnx_read_external(proto, folder, bytes.data, size);
    if (!status)
        fill_from_raw(tensor, bytes.data);
    tq_tensor_reset(&bytes);
    return status;
}

tq_status tq_onnx_read_tensor(const Onnx__TensorProto *proto, const char *folder,
                              tq_tensor *out_tensor)
{
    tq_type type;
    TQ_TRY(read_type(proto, &type));
    const field f = field_of(proto, type.dtype);
    TQ_TRY(check_places(proto, &type, &f));
    const bool external = proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (external) /* the file is checked before its size is allocated */
        TQ_TRY(tq_onnx_read_external(proto, folder, NULL, tq_onnx_raw_size(&type)));
    TQ_TRY(tq_tensor_init(out_tensor, &type));
    tq_status status = TQ_OK;
    if (external)
        status = fill_from_file(proto, folder, out_tensor);
    else if (proto->has_raw_data)
        fill_from_raw(out_tensor, proto->raw_data.data);
    else
        status = fill_from_field(proto, &f, out_tensor);
    if (status)
        tq_tensor_reset(out_tensor);
    return status;
}
