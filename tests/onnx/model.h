/* ONNX messages written by hand, byte by byte in protobuf's wire format: tests can say what no
 * library would write. A message is a value; field numbers are those of onnx.proto. */
#ifndef TRUQ_TESTS_ONNX_MODEL_H
#define TRUQ_TESTS_ONNX_MODEL_H

#include "check.h"

typedef struct message {
    size_t n;
    uint8_t bytes[8000];
} message;

static inline void put_byte(message *m, uint8_t byte)
{
    CHECK(m->n < sizeof m->bytes);
    m->bytes[m->n++] = byte;
}

static inline void put_varint(message *m, uint64_t v)
{
    for (; v > 127; v >>= 7)
        put_byte(m, (uint8_t)(v | 128));
    put_byte(m, (uint8_t)v);
}

static inline void put_int(message *m, int field, int64_t v)
{
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, (uint64_t)v);
}

static inline void put_float(message *m, int field, float v)
{
    put_varint(m, (uint64_t)field << 3 | 5);
    uint8_t bytes[4];
    memcpy(bytes, &v, 4);
    for (int i = 0; i < 4; i++)
        put_byte(m, bytes[i]);
}

static inline void put_bytes(message *m, int field, const void *bytes, size_t n)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, n);
    for (size_t i = 0; i < n; i++)
        put_byte(m, ((const uint8_t *)bytes)[i]);
}

static inline void put_text(message *m, int field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static inline void put(message *m, int field, const message *inner)
{
    put_bytes(m, field, inner->bytes, inner->n);
}

/* ---- tensors and types ---- */

enum { FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, STRING = 8, DOUBLE = 11, INT4 = 22 };

/** A tensor without elements. */
static inline message tensor(const char *name, int data_type, int rank, const int64_t *dims)
{
    message m = { 0 };
    for (int i = 0; i < rank; i++)
        put_int(&m, 1, dims[i]);
    put_int(&m, 2, data_type);
    if (name)
        put_text(&m, 8, name);
    return m;
}

static inline message tensor_raw(const char *name, int data_type, int rank, const int64_t *dims,
                                 const void *bytes, size_t n)
{
    message m = tensor(name, data_type, rank, dims);
    put_bytes(&m, 9, bytes, n);
    return m;
}

static inline message tensor_i64(const char *name, int64_t n, const int64_t *values)
{
    return tensor_raw(name, INT64, 1, &n, values, (size_t)n * 8);
}

static inline message tensor_f32(const char *name, int64_t n, const float *values)
{
    return tensor_raw(name, FLOAT, 1, &n, values, (size_t)n * 4);
}

/** A ValueInfoProto; dim -1 is symbolic "N". */
static inline message info(const char *name, int data_type, int rank, const int64_t *dims)
{
    message shape = { 0 }, type = { 0 }, outer = { 0 }, m = { 0 };
    for (int i = 0; i < rank; i++) {
        message dim = { 0 };
        if (dims[i] == -1)
            put_text(&dim, 2, "N");
        else
            put_int(&dim, 1, dims[i]);
        put(&shape, 1, &dim);
    }
    put_int(&type, 1, data_type);
    put(&type, 2, &shape);
    put(&outer, 1, &type);
    put_text(&m, 1, name);
    put(&m, 2, &outer);
    return m;
}

/* ---- nodes ---- */

/** Names are separated by commas; "a,,b" leaves one out. */
static inline void put_names(message *m, int field, const char *names)
{
    for (const char *name = names; *names; name += strcspn(name, ",") + 1) {
        put_bytes(m, field, name, strcspn(name, ","));
        if (!name[strcspn(name, ",")])
            break;
    }
}

static inline message node(const char *op, const char *name, const char *inputs,
                           const char *outputs)
{
    message m = { 0 };
    put_names(&m, 1, inputs);
    put_names(&m, 2, outputs);
    if (name)
        put_text(&m, 3, name);
    put_text(&m, 4, op);
    return m;
}

static inline void attr_int(message *to, const char *name, int64_t v)
{
    message m = { 0 };
    put_text(&m, 1, name);
    put_int(&m, 3, v);
    put_int(&m, 20, 2);
    put(to, 5, &m);
}

static inline void attr_float(message *to, const char *name, float v)
{
    message m = { 0 };
    put_text(&m, 1, name);
    put_float(&m, 2, v);
    put_int(&m, 20, 1);
    put(to, 5, &m);
}

static inline void attr_text(message *to, const char *name, const char *text)
{
    message m = { 0 };
    put_text(&m, 1, name);
    put_text(&m, 4, text);
    put_int(&m, 20, 3);
    put(to, 5, &m);
}

static inline void attr_ints(message *to, const char *name, int n, const int64_t *values)
{
    message m = { 0 };
    put_text(&m, 1, name);
    for (int i = 0; i < n; i++)
        put_int(&m, 8, values[i]);
    put_int(&m, 20, 7);
    put(to, 5, &m);
}

static inline void attr_tensor(message *to, const char *name, const message *value)
{
    message m = { 0 };
    put_text(&m, 1, name);
    put(&m, 5, value);
    put_int(&m, 20, 4);
    put(to, 5, &m);
}

/* ---- models ---- */

/** A graph named "g" with input x f32[rank dims] and output y, to which nodes (field 1),
 * initialisers (5), inputs (11) and outputs (12) can be added. */
static inline message graph_xy(int rank, const int64_t *dims)
{
    message m = { 0 };
    const message x = info("x", FLOAT, rank, dims), y = info("y", FLOAT, rank, dims);
    put_text(&m, 2, "g");
    put(&m, 11, &x);
    put(&m, 12, &y);
    return m;
}

static inline message model_of(const message *graph, int64_t opset)
{
    message m = { 0 }, import = { 0 };
    put_int(&m, 1, 8);
    put(&m, 7, graph);
    put_text(&import, 1, "");
    put_int(&import, 2, opset);
    put(&m, 8, &import);
    return m;
}

static inline tq_status read_model(const message *model, tq_graph **out_graph)
{
    return tq_onnx_import_bytes(check_registry(), model->bytes, model->n, "test.onnx", NULL,
                                out_graph);
}

/** One node between x[dims] and y. */
static inline tq_status read_node(const message *n, int64_t opset, int rank, const int64_t *dims,
                                  tq_graph **out_graph)
{
    message graph = graph_xy(rank, dims);
    put(&graph, 1, n);
    const message model = model_of(&graph, opset);
    return read_model(&model, out_graph);
}

/** The text form of a graph is this; destroys the graph. */
static inline void check_text(tq_graph *graph, const char *expected)
{
    char *text = tq_graph_print(graph, -1);
    CHECK_STR(text, expected);
    free(text);
    tq_graph_destroy(graph);
}

#endif
