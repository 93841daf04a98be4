/* Every operator that is registered: has inference and, but for those named here with the reason, a
 * reference; whatever its inference accepts its reference runs on, writing all of the outputs and
 * nothing beside them, the same each time. Inputs and attributes are random; arrays end at guard
 * pages. */
#include "check.h"

#include <sys/mman.h>

enum { N_TRIES = 3000, N_RUNS = 300, MAX_IN = 8, MAX_OUT = 8, MAX_ELEMENTS = 1 << 14 };

typedef struct attempt {
    tq_random random;
    const tq_op *op;
    tq_graph *graph;
    int n_inputs, n_outputs, n_attrs;
    tq_value *inputs[MAX_IN];
    tq_attr attrs[TQ_OP_MAX_ATTRS];
    int64_t ints[TQ_OP_MAX_ATTRS][8];
} attempt;

static int64_t pick(attempt *a, int64_t n)
{
    return tq_random_below(&a->random, n);
}

/* ---- inputs ---- */

static tq_dtype any_dtype(attempt *a)
{
    static const tq_dtype dtypes[] = { TQ_F32, TQ_F32, TQ_F32, TQ_F32, TQ_U8,
                                       TQ_I8,  TQ_I32, TQ_I32, TQ_I64, TQ_BOOL,
                                       TQ_F16, TQ_F64, TQ_U16, TQ_U32, TQ_I4 };
    return dtypes[pick(a, TQ_COUNT(dtypes))];
}

static tq_type any_type(attempt *a)
{
    tq_type type = { .dtype = any_dtype(a), .rank = (int)pick(a, 6) };
    for (int d = 0; d < type.rank; d++)
        type.dims[d] = pick(a, 12) ? 1 + pick(a, 5) : 0;
    return type;
}

#define TYPE(dtype_, ...)                                                                          \
    tq_type_make(dtype_, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),              \
                 (const int64_t[]){ __VA_ARGS__ })

static tq_type recurrent_type(attempt *a, tq_dtype dtype, int i)
{
    const int64_t n_gates = a->op->entry.name[0] == 'R' ? 1 : a->op->entry.name[0] == 'G' ? 3 : 4;
    const tq_type types[] = { TYPE(dtype, 3, 2, 9),
                              TYPE(dtype, 1, 3 * n_gates, 9),
                              TYPE(dtype, 1, 3 * n_gates, 3),
                              TYPE(dtype, 1, 6 * n_gates),
                              TYPE(TQ_I32, 2),
                              TYPE(dtype, 1, 2, 3),
                              TYPE(dtype, 1, 2, 3),
                              TYPE(dtype, 1, 9) };
    return types[i];
}

/* What operators usually read: plane by plane with vectors of channels, windows and kernels,
 * matrices, codes. */
static tq_type type_of_input(attempt *a, int kind, int i, const tq_type *first)
{
    const int64_t side = 4 + pick(a, 3);
    const tq_dtype dtype = first->dtype;
    switch (kind) {
    case 0: /* all alike */
        return *first;
    case 1: /* planes and channels */
        return i ? TYPE(dtype, 4) : TYPE(dtype, 2, 4, side, side);
    case 2: /* a convolution */
        return i == 0   ? TYPE(dtype, 2, 4, side, side)
               : i == 1 ? TYPE(dtype, 4, pick(a, 2) ? 4 : 2, 3, 3)
                        : TYPE(dtype, pick(a, 2) ? 4 : 2);
    case 3: /* matrices */
        return i == 0 ? TYPE(dtype, 3, 4) : i == 1 ? TYPE(dtype, 4, 5) : TYPE(dtype, 5);
    case 4: /* shapes, axes, pads, indices */
        return i ? tq_type_make(TQ_I64, (int)pick(a, 2), (const int64_t[]){ 1 + pick(a, 8) })
                 : *first;
    case 5: /* scalars */
        return i ? tq_type_make(dtype, (int)pick(a, 2), (const int64_t[]){ 1 }) : *first;
    case 6: /* logits, labels */
        return i == 0 ? TYPE(TQ_F32, 4, 5) : i == 1 ? TYPE(TQ_I64, 4) : TYPE(TQ_F32, 1);
    case 7: /* sums, multipliers, addends */
        return i == 0 ? TYPE(pick(a, 2) ? TQ_I32 : TQ_U8, 2, 4, 3)
                      : TYPE(i == 1 ? TQ_I32 : TQ_I64, pick(a, 2) ? 4 : 1);
    case 8: /* tables */
        return i == 0 ? TYPE(pick(a, 2) ? TQ_U8 : TQ_I8, 3, 4)
                      : TYPE(pick(a, 2) ? TQ_U8 : TQ_I32, 256);
    case 9: /* codes with zero points */
        return i < 2 ? (i == 0 ? TYPE(TQ_U8, 2, 4, side, side) : TYPE(TQ_I8, 4, 4, 3, 3))
                     : tq_type_make(i == 2 ? TQ_U8 : TQ_I8, (int)(i == 3 && pick(a, 2)),
                                    (const int64_t[]){ 4 });
    case 10: /* gradients: dy, x, w of a convolution, x and what came of it */
        return i == 2 || pick(a, 2) ? TYPE(TQ_F32, 2, 4, side, side) : TYPE(TQ_F32, 4, 4, 3, 3);
    case 11: /* a recurrent layer: sequences, weights, biases, lengths, states, peepholes */
        return recurrent_type(a, dtype, i);
    default: /* anything */
        return any_type(a);
    }
}

static void fill(attempt *a, tq_tensor *tensor)
{
    const bool hostile = pick(a, 8) == 0;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++) {
        if (tq_dtype_is_float(tensor->type.dtype))
            tq_store_f64(tensor->data, tensor->type.dtype, i,
                         hostile && pick(a, 4) == 0 ? (pick(a, 2) ? NAN : INFINITY)
                                                    : 2 * tq_random_uniform(&a->random) - 1);
        else
            tq_store_i64(tensor->data, tensor->type.dtype, i,
                         hostile ? (int64_t)tq_random_u64(&a->random) : pick(a, 5) - 1);
    }
}

static void make_inputs(attempt *a)
{
    int declared = 0, required = 0;
    bool variadic = false;
    for (; declared < TQ_OP_MAX_NAMES && a->op->inputs[declared]; declared++) {
        required = a->op->inputs[declared][0] == '?' ? required : declared + 1;
        variadic = variadic || strstr(a->op->inputs[declared], "...");
    }
    if (variadic)
        declared = MAX_IN;
    declared = declared < MAX_IN ? declared : MAX_IN;
    required = required < declared ? required : declared;
    a->n_inputs = required + (int)pick(a, declared - required + 1);
    tq_type first = any_type(a);
    const int kind = (int)pick(a, 13);
    for (int i = 0; i < a->n_inputs; i++) {
        if (i >= required && !variadic && pick(a, 4) == 0)
            continue;
        const tq_type type = type_of_input(a, kind, i, &first);
        tq_tensor tensor;
        CHECK_OK(tq_tensor_init(&tensor, &type));
        fill(a, &tensor);
        CHECK_OK(tq_graph_add_constant(a->graph, NULL, &tensor, &a->inputs[i]));
        tq_tensor_reset(&tensor);
    }
}

/* ---- attributes ---- */

static const char *any_string(attempt *a, const char *name)
{
    static const char *const words[][8] = {
        { "auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER" },
        { "mode", "constant", "reflect", "edge", "DCR", "CRD", "linear" },
        { "dtype", "u8", "i8", "i32", "i64" },
        { "rounding", "half-up", "half-even", "floor", "stochastic" },
        { "quantizer", "pact", "fixed", "lsq" },
        { "init", "minmax", "meanstd:3", "const:0,1" },
        { "direction", "LEFT", "RIGHT", "forward", "reverse" },
    };
    for (int i = 0; i < TQ_COUNT(words); i++)
        if (strcmp(words[i][0], name) == 0) {
            int n = 1;
            while (n < 8 && words[i][n])
                n++;
            return words[i][1 + pick(a, n - 1)];
        }
    return "none";
}

static tq_attr any_attr(attempt *a, const tq_attr *schema, int64_t *ints)
{
    tq_attr attr = *schema;
    const bool window = strstr(schema->name, "kernel") || strstr(schema->name, "stride") ||
                        strstr(schema->name, "dilation");
    switch (schema->kind) {
    case TQ_ATTR_INT:
        attr.i = pick(a, 4) ? pick(a, 5) - 1 : schema->i;
        if (strcmp(schema->name, "n_levels") == 0)
            attr.i = pick(a, 2) ? 256 : 2;
        if (strcmp(schema->name, "to") == 0)
            attr.i = 1 + pick(a, 14);
        break;
    case TQ_ATTR_FLOAT:
        attr.f = pick(a, 2) ? 0.5f : schema->f;
        break;
    case TQ_ATTR_STRING:
        attr.s = pick(a, 2) ? any_string(a, schema->name) : schema->s;
        break;
    case TQ_ATTR_INTS:
        attr.n =
            strcmp(schema->name, "pads") == 0 ? (int)(2 * (1 + pick(a, 2))) : (int)(1 + pick(a, 4));
        for (int i = 0; i < attr.n; i++)
            ints[i] = window                              ? 1 + pick(a, 3)
                      : strcmp(schema->name, "perm") == 0 ? (i + 1) % attr.n
                                                          : pick(a, 3);
        attr.ints = ints;
        break;
    case TQ_ATTR_TENSOR:
        CHECK_OK(tq_tensor_init(
            &attr.tensor, &(tq_type){ .dtype = TQ_F32, .rank = (int)pick(a, 2), .dims = { 1 } }));
        *(float *)attr.tensor.data = (float)((int64_t)1 << pick(a, 9));
        break;
    default:
        break;
    }
    return attr;
}

static void make_attrs(attempt *a)
{
    for (int i = 0; i < TQ_OP_MAX_ATTRS && a->op->attrs[i].name; i++) {
        const bool needed = a->op->required_attrs >> i & 1;
        if (!needed && pick(a, 3))
            continue;
        const tq_attr attr = any_attr(a, &a->op->attrs[i], a->ints[i]);
        if (attr.kind != TQ_ATTR_FLOATS && attr.kind != TQ_ATTR_STRINGS)
            a->attrs[a->n_attrs++] = attr;
    }
}

static void count_outputs(attempt *a)
{
    int declared = 0, required = 0;
    for (; declared < TQ_OP_MAX_NAMES && a->op->outputs[declared]; declared++) {
        required = a->op->outputs[declared][0] == '?' ? required : declared + 1;
        if (strstr(a->op->outputs[declared], "..."))
            declared = MAX_OUT - 1;
    }
    required = required > 1 ? required : 1;
    declared = declared < required ? required : declared < MAX_OUT ? declared : MAX_OUT;
    a->n_outputs = required + (int)pick(a, declared - required + 1);
}

/* ---- running ---- */

/* `size` bytes that end at a guard page; array k of 3 * 8. */
static void *bytes_of(int k, size_t size)
{
    static char *regions[24];
    const size_t page = 4096, room = (size_t)MAX_ELEMENTS * 8;
    CHECK(size <= room);
    if (!regions[k]) {
        regions[k] =
            mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(regions[k] != MAP_FAILED && mprotect(regions[k] + room, page, PROT_NONE) == 0);
    }
    return regions[k] + room - size;
}

/* Output bytes of one run, turn 1 or 2; before it the arrays hold another pattern each turn. */
static bool run_once(const tq_node *node, int turn, void **out, size_t *sizes)
{
    const void *in[MAX_IN] = { 0 };
    const tq_type *in_types[MAX_IN] = { 0 }, *out_types[MAX_OUT] = { 0 };
    bool in_const[MAX_IN] = { 0 };
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        if (!value)
            continue;
        const tq_tensor *tensor = tq_value_tensor(value);
        const size_t size = (size_t)tq_tensor_count(tensor) * tq_dtype_size(tensor->type.dtype);
        void *copy = bytes_of(i, size);
        memcpy(copy, tensor->data, size);
        in[i] = copy;
        in_types[i] = tq_value_type(value);
        in_const[i] = true;
    }
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        out_types[i] = tq_value_type(tq_node_output(node, i));
        if (!tq_type_is_known(out_types[i]) || tq_type_count(out_types[i]) > MAX_ELEMENTS)
            return false;
        sizes[i] = (size_t)tq_type_count(out_types[i]) * tq_dtype_size(out_types[i]->dtype);
        out[i] = bytes_of(8 * turn + i, sizes[i]);
        memset(out[i], turn == 1 ? 0xaa : 0x55, sizes[i]);
    }
    tq_node_op(node)->reference(&(tq_op_run){ .n_in = tq_node_n_inputs(node),
                                              .n_out = tq_node_n_outputs(node),
                                              .in = in,
                                              .out = out,
                                              .in_types = in_types,
                                              .out_types = out_types,
                                              .attrs = tq_node_attrs(node),
                                              .registry = check_registry(),
                                              .in_const = in_const,
                                              .n_shards = 3,
                                              .seed = 7 });
    return true;
}

static bool check_runs(const tq_node *node)
{
    void *a[MAX_OUT], *b[MAX_OUT];
    size_t sizes[MAX_OUT];
    if (!run_once(node, 1, a, sizes) || !run_once(node, 2, b, sizes))
        return false;
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        if (memcmp(a[i], b[i], sizes[i]) != 0) {
            char *text = tq_graph_print(tq_node_graph(node), 16);
            CHECK_EQ(0, 1, "(output %d of %s is not written everywhere: %s)", i,
                     tq_node_op_name(node), text);
        }
    return true;
}

/* True if inference accepted it and it ran. */
static bool try_once(const tq_op *op, uint64_t number)
{
    attempt a = { .op = op, .graph = tq_graph_create(check_registry()) };
    tq_random_init(&a.random, number, 77, 0);
    make_inputs(&a);
    make_attrs(&a);
    count_outputs(&a);
    tq_node *node;
    const tq_status status =
        tq_graph_add_node(a.graph,
                          &(tq_node_spec){ .op = op->entry.name,
                                           .domain = op->domain ? op->domain : "",
                                           .n_inputs = a.n_inputs,
                                           .inputs = a.inputs,
                                           .n_outputs = a.n_outputs,
                                           .n_attrs = a.n_attrs,
                                           .attrs = a.attrs },
                          &node);
    const bool ran = !status && op->reference && check_runs(node);
    tq_status_drop(status);
    tq_graph_destroy(a.graph);
    for (int i = 0; i < a.n_attrs; i++)
        if (a.attrs[i].kind == TQ_ATTR_TENSOR)
            tq_tensor_reset(&a.attrs[i].tensor);
    return ran;
}

static const tq_op *op_at(int i)
{
    return (const tq_op *)(const void *)tq_registry_at(check_registry(), TQ_KIND_OP, i);
}

TEST(every_operator_infers)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_OP); i++)
        CHECK_EQ(op_at(i)->infer != NULL, true, "(%s)", op_at(i)->entry.name);
}

TEST(every_operator_runs)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_OP); i++)
        CHECK_EQ(op_at(i)->reference != NULL, true, "(%s)", op_at(i)->entry.name);
}

TEST(what_may_stand_in_a_true_network_has_bounds_or_moves)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_OP); i++) {
        const tq_op *op = op_at(i);
        if (op->flags & TQ_OP_LINEAR && op->flags & TQ_OP_INTEGER)
            CHECK_EQ(op->bounds != NULL, true, "(%s)", op->entry.name);
    }
}

/* Made by autodiff from types that fit; files that hold them are refused. */
static bool is_made(const tq_op *op)
{
    return op->flags & TQ_OP_GRADIENT;
}

/* Inputs that fit each other in too many ways for chance; tests/ops runs them. */
static bool is_too_rare(const tq_op *op)
{
    static const char *const names[] = { "RotaryEmbedding" };
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (strcmp(op->entry.name, names[i]) == 0)
            return true;
    return false;
}

TEST(whatever_inference_accepts_the_reference_runs_on)
{
    for (int i = 0; i < tq_registry_count(check_registry(), TQ_KIND_OP); i++) {
        if (is_made(op_at(i)))
            continue;
        int n_ran = 0;
        for (uint64_t k = 0; k < N_TRIES && n_ran < N_RUNS; k++)
            n_ran += try_once(op_at(i), (uint64_t)i * N_TRIES + k);
        CHECK_EQ(n_ran > 0 || is_too_rare(op_at(i)), true, "(%s never ran)", op_at(i)->entry.name);
    }
}

TEST(a_file_that_holds_a_gradient_is_refused)
{
    tq_graph *graph = check_graph("input x: f32[4]\n y = ReluGrad(x, x)"), *back;
    char path[300];
    snprintf(path, sizeof path, "%s/gradient.onnx", check_folder());
    CHECK_OK(tq_onnx_export(graph, path, 0));
    CHECK_FAILS(tq_onnx_import(check_registry(), path, &back), TQ_ERR_UNSUPPORTED,
                "operator 'ReluGrad' of domain 'truq' is not supported");
    tq_graph_destroy(graph);
}
