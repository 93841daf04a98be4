/* The protobuf wire format, checked before protobuf-c sees it: a message is a row of fields, each a
 * varint key (number * 8 + kind) and a body: varint (kind 0), 8 bytes (1), length and bytes (2),
 * 4 bytes (5). protobuf-c recurses as deep as a file nests, takes a string's NUL as its end and
 * allocates a struct for two bytes of input; so depth, NULs and numbers are bounded here.
 * Source: protobuf.dev/programming-guides/encoding. */
#include "onnx/onnx_internal.h"

#include <string.h>

enum { MAX_DEPTH = 32, MAX_MESSAGES = 1 << 22, MAX_MESSAGE_FIELDS = 64 };

typedef struct wire {
    const uint8_t *start, *at, *end;
    int depth;
    int64_t *n_messages;
} wire;

static tq_status damaged(const wire *w, const char *what)
{
    return tq_fail(TQ_ERR_FORMAT, "not an ONNX model, damaged or cut off: %s at byte %zu", what,
                   (size_t)(w->at - w->start));
}

static bool read_varint(wire *w, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 70 && w->at < w->end; shift += 7) {
        const uint8_t byte = *w->at++;
        *out |= shift < 64 ? (uint64_t)(byte & 127) << shift : 0;
        if (byte < 128)
            return true;
    }
    return false;
}

static tq_status check_message(wire *w, const ProtobufCMessageDescriptor *descriptor);

static tq_status check_submessage(wire *w, const ProtobufCFieldDescriptor *field, size_t size)
{
    wire inner = *w;
    inner.end = w->at + size;
    inner.depth = w->depth + 1;
    if (inner.depth > MAX_DEPTH)
        return tq_fail(TQ_ERR_FORMAT, "messages nest more than %d deep at byte %zu", MAX_DEPTH,
                       (size_t)(w->at - w->start));
    if (++*w->n_messages > MAX_MESSAGES)
        return tq_fail(TQ_ERR_FORMAT, "more than %d messages in one file", MAX_MESSAGES);
    return check_message(&inner, field->descriptor);
}

/** The body of a field of kind 2, w->at at its first byte. */
static tq_status check_bytes(wire *w, const ProtobufCFieldDescriptor *field, size_t size)
{
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
        TQ_TRY(check_submessage(w, field, size));
    if (field && field->type == PROTOBUF_C_TYPE_STRING && memchr(w->at, 0, size))
        return tq_fail(TQ_ERR_FORMAT, "the text of field '%s' at byte %zu holds a NUL", field->name,
                       (size_t)(w->at - w->start));
    w->at += size;
    return TQ_OK;
}

static tq_status check_field(wire *w, const ProtobufCFieldDescriptor *field, unsigned kind)
{
    static const uint8_t fixed_size[8] = { [1] = 8, [5] = 4 };
    uint64_t number;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && kind != 2)
        return damaged(w, "a message of the wrong kind");
    switch (kind) {
    case 0:
        return read_varint(w, &number) ? TQ_OK : damaged(w, "a number without end");
    case 1:
    case 5:
        if ((size_t)(w->end - w->at) < fixed_size[kind])
            return damaged(w, "a number without end");
        w->at += fixed_size[kind];
        return TQ_OK;
    case 2:
        if (!read_varint(w, &number))
            return damaged(w, "a length without end");
        if (number > (uint64_t)(w->end - w->at))
            return tq_fail(TQ_ERR_FORMAT,
                           "not an ONNX model, damaged or cut off: field '%s' at byte %zu claims "
                           "%llu bytes, %zu are left",
                           field ? field->name : "(unknown)", (size_t)(w->at - w->start),
                           (unsigned long long)number, (size_t)(w->end - w->at));
        return check_bytes(w, field, (size_t)number);
    default:
        return damaged(w, "an unknown kind of field");
    }
}

static bool is_single_message(const ProtobufCFieldDescriptor *field)
{
    return field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
           field->label != PROTOBUF_C_LABEL_REPEATED;
}

static tq_status check_message(wire *w, const ProtobufCMessageDescriptor *descriptor)
{
    uint64_t seen = 0; /* a message given twice would be merged: no writer does that */
    while (w->at < w->end) {
        uint64_t key;
        if (!read_varint(w, &key))
            return damaged(w, "a key without end");
        if (key >> 3 == 0 || key >> 3 > (1u << 29) - 1)
            return damaged(w, "an impossible field number");
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(key >> 3));
        if (is_single_message(field)) {
            const uint64_t bit = 1ull << (field->id % MAX_MESSAGE_FIELDS);
            if (seen & bit)
                return tq_fail(TQ_ERR_FORMAT, "field '%s' at byte %zu is given twice", field->name,
                               (size_t)(w->at - w->start));
            seen |= bit;
        }
        TQ_TRY(check_field(w, field, (unsigned)(key & 7)));
    }
    return TQ_OK;
}

tq_status tq_wire_check(const ProtobufCMessageDescriptor *descriptor, const void *bytes,
                        size_t size)
{
    int64_t n_messages = 0;
    wire w = { .start = bytes, .at = bytes, .n_messages = &n_messages };
    w.end = w.at + size;
    return check_message(&w, descriptor);
}
