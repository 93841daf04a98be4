/* A machine with a stack and a memo, as Python's pickletools describes it (protocols 2 to 5). Each
 * opcode makes at most one value of bounded size, so memory is linear in the bytes read. */
#include "pickle_internal.h"

#include <string.h>

enum { MAX_TEXT = 1 << 20 };

typedef struct machine {
    tq_pickles *pickles;
    tq_arena *arena;
    const uint8_t *bytes;
    size_t at, size;
    const tq_pickle **stack;
    size_t n_stack, stack_capacity;
    const tq_pickle **memo;
    size_t memo_capacity, n_memo;
} machine;

static tq_status damaged(const machine *m, const char *what)
{
    return tq_fail(TQ_ERR_FORMAT, "damaged pickle: %s at byte %zu", what, m->at);
}

/* ---- reading ---- */

static tq_status take(machine *m, size_t n, const uint8_t **out)
{
    *out = NULL;
    if (n > m->size - m->at)
        return damaged(m, "it ends early");
    *out = m->bytes + m->at;
    m->at += n;
    return TQ_OK;
}

/* `n` bytes, the least first, as an unsigned number. */
static tq_status take_number(machine *m, size_t n, uint64_t *out)
{
    const uint8_t *bytes;
    *out = 0;
    TQ_TRY(take(m, n, &bytes));
    for (size_t i = 0; i < n; i++)
        *out |= (uint64_t)bytes[i] << (8 * i);
    return TQ_OK;
}

static tq_status take_text(machine *m, uint64_t n, const char **out)
{
    *out = NULL;
    const uint8_t *bytes;
    if (n > MAX_TEXT)
        return damaged(m, "a text of more than a million bytes");
    TQ_TRY(take(m, (size_t)n, &bytes));
    if (n && memchr(bytes, 0, (size_t)n))
        return damaged(m, "a text with a NUL");
    *out = tq_arena_strndup(m->arena, n ? (const char *)bytes : "", (size_t)n);
    return TQ_OK;
}

static tq_status take_line(machine *m, const char **out)
{
    *out = NULL;
    const uint8_t *bytes = m->bytes + m->at;
    const uint8_t *end = memchr(bytes, '\n', m->size - m->at);
    if (!end)
        return damaged(m, "a line that does not end");
    TQ_TRY(take_text(m, (uint64_t)(end - bytes), out));
    m->at++;
    return TQ_OK;
}

/* ---- stack and memo ---- */

static tq_pickle *make(machine *m, tq_pickle_kind kind)
{
    tq_pickle *value = TQ_NEW(m->arena, tq_pickle);
    value->kind = kind;
    return value;
}

static tq_pickle *push(machine *m, tq_pickle_kind kind)
{
    tq_pickle *value = make(m, kind);
    TQ_PUSH(m->arena, m->stack, m->n_stack, m->stack_capacity, value);
    return value;
}

static void push_value(machine *m, const tq_pickle *value)
{
    TQ_PUSH(m->arena, m->stack, m->n_stack, m->stack_capacity, value);
}

static tq_status pop(machine *m, const tq_pickle **out)
{
    *out = NULL;
    if (m->n_stack == 0 || m->stack[m->n_stack - 1]->kind == TQ_PICKLE_MARK)
        return damaged(m, "nothing to take from the stack");
    *out = m->stack[--m->n_stack];
    return TQ_OK;
}

/* The values above the last mark, which goes with them. */
static tq_status pop_marked(machine *m, size_t *out_n, const tq_pickle ***out_items)
{
    size_t i = m->n_stack;
    *out_n = 0;
    *out_items = NULL;
    while (i > 0 && m->stack[i - 1]->kind != TQ_PICKLE_MARK)
        i--;
    if (i == 0)
        return damaged(m, "no mark on the stack");
    *out_n = m->n_stack - i;
    *out_items = tq_arena_memdup(m->arena, &m->stack[i], *out_n * sizeof **out_items);
    m->n_stack = i - 1;
    return TQ_OK;
}

/* The container on top, to be filled: ours to write, since all of them are made here. */
static tq_status top_of(machine *m, tq_pickle_kind kind, tq_pickle **out)
{
    *out = NULL;
    if (m->n_stack == 0 || m->stack[m->n_stack - 1]->kind != kind)
        return damaged(m, "a container is missing on the stack");
    *out = (tq_pickle *)(uintptr_t)m->stack[m->n_stack - 1];
    return TQ_OK;
}

static tq_status put(machine *m, uint64_t at)
{
    if (m->n_stack == 0 || at > m->size)
        return damaged(m, "a memo of nothing, or out of range");
    if (at >= m->memo_capacity) {
        const size_t wider = 2 * (size_t)at + 64;
        const tq_pickle **memo = TQ_NEW_N(m->arena, const tq_pickle *, wider);
        if (m->memo_capacity)
            memcpy(memo, m->memo, m->memo_capacity * sizeof *memo);
        m->memo = memo;
        m->memo_capacity = wider;
    }
    m->memo[at] = m->stack[m->n_stack - 1];
    m->n_memo++;
    return TQ_OK;
}

static tq_status get(machine *m, uint64_t at)
{
    if (at >= m->memo_capacity || !m->memo[at])
        return damaged(m, "a memo that was never made");
    push_value(m, m->memo[at]);
    return TQ_OK;
}

/* ---- containers ---- */

/* What goes into a container whose content nobody needs is dropped. */
static bool is_opaque(const machine *m)
{
    return m->n_stack > 0 && m->stack[m->n_stack - 1]->kind == TQ_PICKLE_OPAQUE;
}

static void append(machine *m, tq_pickle *list, const tq_pickle *item)
{
    TQ_PUSH(m->arena, list->items, list->n, list->capacity, item);
}

/* Pairs of a dictionary lie one behind the other; n counts pairs. */
static tq_status set_items(machine *m, size_t n, const tq_pickle **items)
{
    tq_pickle *dict;
    if (is_opaque(m))
        return TQ_OK;
    TQ_TRY(top_of(m, TQ_PICKLE_DICT, &dict));
    if (n % 2)
        return damaged(m, "a key without a value");
    size_t count = 2 * dict->n;
    for (size_t i = 0; i < n; i++)
        TQ_PUSH(m->arena, dict->items, count, dict->capacity, items[i]);
    dict->n = count / 2;
    return TQ_OK;
}

static tq_status append_all(machine *m)
{
    size_t n;
    const tq_pickle **items;
    tq_pickle *list;
    TQ_TRY(pop_marked(m, &n, &items));
    if (is_opaque(m))
        return TQ_OK;
    TQ_TRY(top_of(m, TQ_PICKLE_SEQUENCE, &list));
    for (size_t i = 0; i < n; i++)
        append(m, list, items[i]);
    return TQ_OK;
}

static tq_status set_marked(machine *m)
{
    size_t n;
    const tq_pickle **items;
    TQ_TRY(pop_marked(m, &n, &items));
    return set_items(m, n, items);
}

static tq_status set_one(machine *m)
{
    const tq_pickle *pair[2];
    TQ_TRY(pop(m, &pair[1]));
    TQ_TRY(pop(m, &pair[0]));
    return set_items(m, 2, pair);
}

static tq_status append_one(machine *m)
{
    const tq_pickle *item;
    tq_pickle *list;
    TQ_TRY(pop(m, &item));
    if (is_opaque(m))
        return TQ_OK;
    TQ_TRY(top_of(m, TQ_PICKLE_SEQUENCE, &list));
    append(m, list, item);
    return TQ_OK;
}

/* A tuple of the n topmost values. */
static tq_status tuple(machine *m, size_t n)
{
    const tq_pickle *items[3] = { 0 };
    for (size_t i = n; i > 0; i--)
        TQ_TRY(pop(m, &items[i - 1]));
    tq_pickle *value = push(m, TQ_PICKLE_SEQUENCE);
    for (size_t i = 0; i < n; i++)
        append(m, value, items[i]);
    return TQ_OK;
}

static tq_status marked_tuple(machine *m)
{
    size_t n;
    const tq_pickle **items;
    TQ_TRY(pop_marked(m, &n, &items));
    tq_pickle *value = push(m, TQ_PICKLE_SEQUENCE);
    value->n = value->capacity = n;
    value->items = items;
    return TQ_OK;
}

/* ---- names and what they stand for ---- */

static tq_status push_global(machine *m, const char *module, const char *name)
{
    tq_pickle value = { .kind = TQ_PICKLE_GLOBAL };
    if (!tq_pickle_find_name(module, name, &value.i, &value.dtype))
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "it asks for '%.100s.%.100s', which no dictionary of tensors needs; save "
                       "the state_dict alone",
                       module, name);
    *push(m, TQ_PICKLE_GLOBAL) = value;
    return TQ_OK;
}

static tq_status global(machine *m)
{
    const char *module, *name;
    TQ_TRY(take_line(m, &module));
    TQ_TRY(take_line(m, &name));
    return push_global(m, module, name);
}

static tq_status stack_global(machine *m)
{
    const tq_pickle *module, *name;
    TQ_TRY(pop(m, &name));
    TQ_TRY(pop(m, &module));
    if (module->kind != TQ_PICKLE_TEXT || name->kind != TQ_PICKLE_TEXT)
        return damaged(m, "a name that is no text");
    return push_global(m, module->text, name->text);
}

/* ("storage", class, key, device, number of elements), and before PyTorch 1.6 a view: none. */
static tq_status persistent(machine *m)
{
    const tq_pickle *id;
    TQ_TRY(pop(m, &id));
    if (id->kind != TQ_PICKLE_SEQUENCE || id->n < 5 || id->n > 6 ||
        (id->n == 6 && id->items[5]->kind != TQ_PICKLE_NONE) ||
        id->items[0]->kind != TQ_PICKLE_TEXT || strcmp(id->items[0]->text, "storage") != 0 ||
        id->items[1]->kind != TQ_PICKLE_GLOBAL || id->items[1]->i != TQ_PICKLE_STORAGE_CLASS ||
        id->items[2]->kind != TQ_PICKLE_TEXT || id->items[4]->kind != TQ_PICKLE_INT ||
        id->items[4]->i < 0)
        return damaged(m, "something else than a storage is kept outside");
    tq_pickle *storage = push(m, TQ_PICKLE_STORAGE);
    storage->dtype = id->items[1]->dtype;
    storage->text = id->items[2]->text;
    storage->i = id->items[4]->i;
    TQ_PUSH(m->arena, m->pickles->storages, m->pickles->n_storages, m->pickles->capacity, storage);
    return TQ_OK;
}

static tq_status read_ints(const machine *m, const tq_pickle *sequence, int64_t *out, int *out_n)
{
    if (sequence->kind != TQ_PICKLE_SEQUENCE)
        return damaged(m, "a shape that is no tuple");
    if (sequence->n > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "a tensor has %zu dimensions, at most %d are supported",
                       sequence->n, TQ_MAX_RANK);
    *out_n = (int)sequence->n;
    for (size_t i = 0; i < sequence->n; i++) {
        if (sequence->items[i]->kind != TQ_PICKLE_INT || sequence->items[i]->i < 0)
            return damaged(m, "a shape or stride that is no number above 0");
        out[i] = sequence->items[i]->i;
    }
    return TQ_OK;
}

/* (storage, offset, shape, strides, ...). */
static tq_status rebuild_tensor(machine *m, const tq_pickle *args)
{
    int n_strides = 0;
    if (args->n < 4 || args->items[0]->kind != TQ_PICKLE_STORAGE ||
        args->items[1]->kind != TQ_PICKLE_INT || args->items[1]->i < 0)
        return damaged(m, "a tensor without storage or offset");
    tq_pickle *tensor = push(m, TQ_PICKLE_TENSOR);
    tensor->storage = args->items[0];
    tensor->offset = args->items[1]->i;
    TQ_TRY(read_ints(m, args->items[2], tensor->dims, &tensor->rank));
    TQ_TRY(read_ints(m, args->items[3], tensor->strides, &n_strides));
    return n_strides == tensor->rank ? TQ_OK : damaged(m, "as many strides as dimensions are not");
}

/* An ordered dictionary of nothing, or of a list of pairs. */
static tq_status ordered_dict(machine *m, const tq_pickle *args)
{
    push(m, TQ_PICKLE_DICT);
    if (args->n == 0)
        return TQ_OK;
    const tq_pickle *pairs = args->items[0];
    if (args->n != 1 || pairs->kind != TQ_PICKLE_SEQUENCE)
        return damaged(m, "a dictionary of something else than pairs");
    for (size_t i = 0; i < pairs->n; i++) {
        if (pairs->items[i]->kind != TQ_PICKLE_SEQUENCE || pairs->items[i]->n != 2)
            return damaged(m, "a dictionary of something else than pairs");
        TQ_TRY(set_items(m, 2, pairs->items[i]->items));
    }
    return TQ_OK;
}

/* A "call": the name says which value takes its place. */
static tq_status reduce(machine *m)
{
    const tq_pickle *args, *function;
    TQ_TRY(pop(m, &args));
    TQ_TRY(pop(m, &function));
    if (function->kind != TQ_PICKLE_GLOBAL || args->kind != TQ_PICKLE_SEQUENCE)
        return damaged(m, "a call of something that has no name");
    switch (function->i) {
    case TQ_PICKLE_ORDERED_DICT:
        return ordered_dict(m, args);
    case TQ_PICKLE_REBUILD_TENSOR:
        return rebuild_tensor(m, args);
    case TQ_PICKLE_REBUILD_PARAMETER:
        if (args->n < 1 || args->items[0]->kind != TQ_PICKLE_TENSOR)
            return damaged(m, "a parameter without a tensor");
        push_value(m, args->items[0]);
        return TQ_OK;
    case TQ_PICKLE_SIZE:
        push_value(m, args->n == 1 ? args->items[0] : args);
        return TQ_OK;
    case TQ_PICKLE_HARMLESS:
        push(m, TQ_PICKLE_OPAQUE);
        return TQ_OK;
    default:
        return damaged(m, "a call of a class of storages");
    }
}

/* class.__new__(class, *args): of a dictionary a dictionary. */
static tq_status new_object(machine *m)
{
    const tq_pickle *args, *class;
    TQ_TRY(pop(m, &args));
    TQ_TRY(pop(m, &class));
    if (class->kind != TQ_PICKLE_GLOBAL ||
        (class->i != TQ_PICKLE_HARMLESS && class->i != TQ_PICKLE_ORDERED_DICT))
        return damaged(m, "an object of something else than a class");
    push(m, class->i == TQ_PICKLE_HARMLESS ? TQ_PICKLE_OPAQUE : TQ_PICKLE_DICT);
    return TQ_OK;
}

/* Attributes of a dictionary (PyTorch's _metadata) mean nothing here. */
static tq_status build(machine *m)
{
    const tq_pickle *state;
    tq_pickle *dict;
    TQ_TRY(pop(m, &state));
    return is_opaque(m) ? TQ_OK : top_of(m, TQ_PICKLE_DICT, &dict);
}

/* ---- numbers ---- */

/* Bytes that stand for nothing we need. */
static tq_status opaque_bytes(machine *m, uint64_t n)
{
    const uint8_t *bytes;
    if (n > m->size)
        return damaged(m, "it ends early");
    TQ_TRY(take(m, (size_t)n, &bytes));
    push(m, TQ_PICKLE_OPAQUE);
    return TQ_OK;
}

static tq_status bytes_of(machine *m, size_t n_length)
{
    uint64_t n;
    TQ_TRY(take_number(m, n_length, &n));
    return opaque_bytes(m, n);
}

static void push_int(machine *m, int64_t v)
{
    push(m, TQ_PICKLE_INT)->i = v;
}

/* Two's complement of n bytes; longer numbers than 64 bits (seeds) have no place in shapes. */
static tq_status long_int(machine *m)
{
    uint64_t n, v = 0;
    TQ_TRY(take_number(m, 1, &n));
    if (n > 8)
        return opaque_bytes(m, n);
    TQ_TRY(take_number(m, (size_t)n, &v));
    const int unused = 64 - 8 * (int)n;
    push_int(m, n ? (int64_t)(v << unused) >> unused : 0);
    return TQ_OK;
}

static tq_status big_endian_float(machine *m)
{
    const uint8_t *bytes;
    uint64_t bits = 0;
    TQ_TRY(take(m, 8, &bytes));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&push(m, TQ_PICKLE_FLOAT)->f, &bits, sizeof bits);
    return TQ_OK;
}

static tq_status text(machine *m, size_t n_length)
{
    uint64_t n;
    const char *value;
    TQ_TRY(take_number(m, n_length, &n));
    if (n <= m->size - m->at && n && memchr(m->bytes + m->at, 0, (size_t)n))
        return opaque_bytes(m, n); /* protocol 2 spells bytes as text */
    TQ_TRY(take_text(m, n, &value));
    push(m, TQ_PICKLE_TEXT)->text = value;
    return TQ_OK;
}

static tq_status boolean(machine *m, bool v)
{
    push(m, TQ_PICKLE_BOOL)->i = v;
    return TQ_OK;
}

static tq_status empty(machine *m, tq_pickle_kind kind)
{
    push(m, kind);
    return TQ_OK;
}

static tq_status unsigned_int(machine *m, size_t n)
{
    uint64_t v;
    TQ_TRY(take_number(m, n, &v));
    push_int(m, n == 4 ? (int32_t)(uint32_t)v : (int64_t)v);
    return TQ_OK;
}

/* put and get with an index of n bytes. */
static tq_status memo(machine *m, size_t n, tq_status (*act)(machine *, uint64_t))
{
    uint64_t at;
    TQ_TRY(take_number(m, n, &at));
    return act(m, at);
}

static tq_status skip(machine *m, size_t n)
{
    const uint8_t *bytes;
    return take(m, n, &bytes);
}

static tq_status step(machine *m, uint8_t opcode)
{
    switch (opcode) {
    case 0x80:
        return skip(m, 1); /* PROTO */
    case 0x95:
        return skip(m, 8); /* FRAME */
    case '(':
        return empty(m, TQ_PICKLE_MARK);
    case 'N':
        return empty(m, TQ_PICKLE_NONE);
    case '}':
        return empty(m, TQ_PICKLE_DICT);
    case ']':
    case ')':
        return empty(m, TQ_PICKLE_SEQUENCE);
    case 0x88:
        return boolean(m, true);
    case 0x89:
        return boolean(m, false);
    case 'K':
        return unsigned_int(m, 1);
    case 'M':
        return unsigned_int(m, 2);
    case 'J':
        return unsigned_int(m, 4);
    case 0x8a:
        return long_int(m);
    case 'G':
        return big_endian_float(m);
    case 0x8c:
    case 'U':
        return text(m, 1);
    case 'X':
    case 'T':
        return text(m, 4);
    case 'C':
        return bytes_of(m, 1);
    case 'B':
        return bytes_of(m, 4);
    case 0x8f:
        return empty(m, TQ_PICKLE_OPAQUE); /* EMPTY_SET */
    case 0x90:
        return append_all(m); /* ADDITEMS */
    case 't':
        return marked_tuple(m);
    case 0x85:
        return tuple(m, 1);
    case 0x86:
        return tuple(m, 2);
    case 0x87:
        return tuple(m, 3);
    case 'a':
        return append_one(m);
    case 'e':
        return append_all(m);
    case 's':
        return set_one(m);
    case 'u':
        return set_marked(m);
    case 'q':
        return memo(m, 1, put);
    case 'r':
        return memo(m, 4, put);
    case 0x94:
        return put(m, m->n_memo); /* MEMOIZE */
    case 'h':
        return memo(m, 1, get);
    case 'j':
        return memo(m, 4, get);
    case 'c':
        return global(m);
    case 0x93:
        return stack_global(m);
    case 'Q':
        return persistent(m);
    case 'R':
        return reduce(m);
    case 0x81:
        return new_object(m);
    case 'b':
        return build(m);
    default:
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "pickle opcode 0x%02x at byte %zu, which no dictionary of tensors needs",
                       opcode, m->at - 1);
    }
}

tq_status tq_pickle_read(tq_pickles *pickles, const tq_pickle **out_value)
{
    machine m = { .pickles = pickles,
                  .arena = pickles->arena,
                  .bytes = pickles->bytes,
                  .at = pickles->at,
                  .size = pickles->size };
    for (;;) {
        const uint8_t *opcode;
        TQ_TRY(take(&m, 1, &opcode));
        if (*opcode == '.') {
            pickles->at = m.at;
            return pop(&m, out_value);
        }
        TQ_TRY(step(&m, *opcode));
    }
}
