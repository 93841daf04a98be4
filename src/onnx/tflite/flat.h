/* FlatBuffers as bytes: what the reader of .tflite files sees of the format. A table begins with
 * the distance back to its vtable, which says where in the table each field lies; strings, vectors
 * and tables are reached by distances forward. Nothing is trusted: every read is checked against
 * the file. Source: flatbuffers.dev, "FlatBuffers Internals". */
#ifndef TQ_ONNX_TFLITE_FLAT_H
#define TQ_ONNX_TFLITE_FLAT_H

#include <truq/memory.h>

typedef struct tq_flat {
    const uint8_t *bytes;
    size_t size;
} tq_flat;

/* A table, checked: its vtable and its fields lie in the file. `file` NULL: it is not there. */
typedef struct tq_flat_table {
    const tq_flat *file;
    size_t at, size; /* position and bytes of the table */
    size_t vtable;   /* position */
    int n_fields;
} tq_flat_table;

/* A vector, checked: its elements lie in the file. */
typedef struct tq_flat_vector {
    const tq_flat *file;
    size_t at; /* position of element 0 */
    int64_t n;
    size_t element_size;
} tq_flat_vector;

/* The root table; TQ_ERR_FORMAT unless the file has that identifier at byte 4. */
tq_status tq_flat_root(const tq_flat *file, const char *identifier, tq_flat_table *out);

/* A scalar field of 1, 2, 4 or 8 bytes, sign-extended (4-byte floats: as bits); *inout stays what
 * it is if the field or the table is absent. */
tq_status tq_flat_int(const tq_flat_table *table, int field, size_t size, int64_t *inout);
tq_status tq_flat_float(const tq_flat_table *table, int field, float *inout);
/* A table in a field; absent: out->file is NULL. */
tq_status tq_flat_child(const tq_flat_table *table, int field, tq_flat_table *out);
/* A vector in a field; absent: n is 0. */
tq_status tq_flat_vector_of(const tq_flat_table *table, int field, size_t element_size,
                            tq_flat_vector *out);
/* Element i of a vector: a number (sign-extended), a float, a table. i is in range. */
int64_t tq_flat_int_at(const tq_flat_vector *vector, int64_t i);
float tq_flat_float_at(const tq_flat_vector *vector, int64_t i);
tq_status tq_flat_table_at(const tq_flat_vector *vector, int64_t i, tq_flat_table *out);
/* Text in a field, with whatever is no printable ASCII replaced by '_'; "" if absent. */
tq_status tq_flat_text(const tq_flat_table *table, int field, tq_arena *arena, const char **out);

#endif
