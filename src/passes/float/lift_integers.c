/* Integer networks that others made arrive as floating-point ONNX whose numbers are integers. This
 * editor gives them integers to compute with (int64: exact for all of them), so that they run
 * bit-exactly where float32 would round. Dialects, found by what only they write: deeploy operators
 * of the PACTOps domain (RequantShift, iSoftmax, ...) quantlib  Mul, Add, Div by 2^n, Floor, Clip
 * with out_bits; Add with in1_*, in2_*, out_* attributes nemo      Mul, Div, Cast, Clip, where Div
 * by 2^n is a floor division and Cast changes nothing Div by 2^n becomes ShiftRight. Operators
 * without an integer form (a final Sigmoid) stay in float behind a Cast. The graph metadata
 * "dialect" = one of these names forces it, another turns all of this off. */
#include <truq/edit.h>
#include <truq/op.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- recognising ---- */

/* n where the divisor of a Div is the constant 2^n, n >= 0; else -1. */
static int log2_of_divisor(const tq_node *node)
{
    const tq_value *divisor = tq_node_is(node, "Div") ? tq_node_input(node, 1) : NULL;
    const tq_tensor *tensor = divisor ? tq_value_tensor(divisor) : NULL;
    if (!tensor || tq_tensor_count(tensor) != 1)
        return -1;
    int exponent;
    const double mantissa = frexp(tq_load_f64(tensor->data, tensor->type.dtype, 0), &exponent);
    return mantissa == 0.5 && exponent >= 1 && exponent <= 62 ? exponent - 1 : -1;
}

static const tq_node *only_consumer(const tq_node *node)
{
    const tq_value *y = tq_node_output(node, 0);
    return tq_value_n_consumers(y) == 1 && !tq_value_is_output(y) ? tq_value_consumer(y, 0) : NULL;
}

static bool is_floored_division(const tq_node *node)
{
    const tq_node *next = only_consumer(node);
    return log2_of_divisor(node) >= 0 && next && tq_node_is(next, "Floor");
}

static bool is_nemo_division(const tq_node *node)
{
    const tq_node *next = only_consumer(node);
    const tq_node *before = tq_value_producer(tq_node_input(node, 0));
    return log2_of_divisor(node) >= 0 && next && tq_node_is(next, "Cast") && before &&
           tq_node_is(before, "Mul");
}

static bool is_pact(const tq_node *node)
{
    const char *domain = tq_node_op(node)->domain;
    return domain && strcmp(domain, "PACTOps") == 0;
}

static bool is_quantlib_clip(const tq_node *node)
{
    return tq_node_is(node, "Clip") && tq_node_meta(node, "attr.out_bits");
}

static bool is_quantlib_add(const tq_node *node)
{
    return tq_node_is(node, "Add") && tq_node_meta(node, "attr.in1_mul");
}

static const char *dialect_of(const tq_graph *graph)
{
    static const char *const ours[] = { "deeploy", "quantlib", "nemo" };
    const char *said = tq_graph_meta(graph, "dialect"), *found = NULL;
    for (int i = 0; said && i < TQ_COUNT(ours); i++)
        found = strcmp(said, ours[i]) == 0 ? said : found;
    if (said)
        return found;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        if (is_pact(node))
            return "deeploy";
        if (is_quantlib_clip(node) || is_quantlib_add(node))
            return "quantlib";
        if (tq_node_is(node, "Div") && is_nemo_division(node))
            found = "nemo";
    }
    return found;
}

/* ---- constants ---- */

static bool is_integral(const tq_tensor *tensor)
{
    if (!tq_dtype_is_float(tensor->type.dtype))
        return true;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++) {
        const double v = tq_load_f64(tensor->data, tensor->type.dtype, i);
        if (!(fabs(v) < 9.0e15) || v != rint(v))
            return false;
    }
    return true;
}

/* Is input i data (and not a shape, an axis, an index)? */
static bool is_data(const tq_node *node, int i)
{
    if (tq_node_is(node, "Concat"))
        return true;
    if (tq_node_is(node, "Pad"))
        return i == 0 || i == 2;
    if (tq_node_has_flag(node, TQ_OP_MOVES) || tq_node_is(node, "ReduceSum"))
        return i == 0;
    return true;
}

/* A division that was of integers in the file truncates, as ONNX says. */
static bool divides_integers(const tq_node *node)
{
    return tq_node_is(node, "Div") &&
           tq_dtype_is_integer(tq_value_type(tq_node_output(node, 0))->dtype);
}

static bool computes_in_integers(const tq_node *node)
{
    static const char *const names[] = { "Conv", "MatMul", "Gemm",      "Add",
                                         "Sub",  "Mul",    "Max",       "Min",
                                         "Clip", "Relu",   "ReduceSum", "Abs",
                                         "Neg",  "Pad",    "MaxPool",   "GlobalMaxPool" };
    bool listed = is_pact(node) || tq_node_has_flag(node, TQ_OP_MOVES) || divides_integers(node);
    for (int i = 0; i < TQ_COUNT(names); i++)
        listed = listed || tq_node_is(node, names[i]);
    for (int i = 0; listed && i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        if (!value || !is_data(node, i))
            continue;
        if (tq_value_is_const(value) ? !is_integral(tq_value_tensor(value))
                                     : tq_dtype_is_float(tq_value_type(value)->dtype))
            return false;
    }
    return listed;
}

static tq_status integer_constant(tq_graph *graph, const tq_value *value, tq_value **out)
{
    tq_tensor tensor;
    TQ_TRY(tq_tensor_cast(tq_value_tensor(value), TQ_I64, &tensor));
    const tq_status status = tq_graph_add_constant(graph, tq_value_name(value), &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status make_constants_integer(tq_node *node)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *value = tq_node_input(node, i);
        if (!value || !tq_value_is_const(value) || !is_data(node, i) ||
            tq_value_type(value)->dtype == TQ_I64)
            continue;
        TQ_TRY(integer_constant(tq_node_graph(node), value, &value));
        tq_node_set_input(node, i, value);
    }
    return TQ_OK;
}

/* ---- replacing ---- */

/* `value` takes the place and the name of the node's output. */
static void replace(tq_node *node, tq_value *value)
{
    tq_value *old = tq_node_output(node, 0);
    const char *name = tq_value_name(old), *node_name = tq_node_name(node);
    tq_value_redirect_consumers(old, value);
    tq_graph_remove_node(tq_node_graph(node), node);
    tq_value_set_name(value, name);
    tq_node_set_name(tq_value_producer(value), node_name);
}

static tq_status replace_by(tq_node *node, const char *op, const tq_attr *attrs, int n_attrs)
{
    tq_value *x = tq_node_input(node, 0), *y;
    TQ_TRY(tq_graph_emit(tq_node_graph(node), node, op, &x, 1, attrs, n_attrs, &y));
    replace(node, y);
    return TQ_OK;
}

static tq_status add_scalar(tq_graph *graph, int64_t v, tq_value **out)
{
    const tq_tensor tensor = { .type = { .dtype = TQ_I64, .rank = 0 }, .data = &v };
    tq_tensor own;
    TQ_TRY(tq_tensor_copy(&tensor, &own));
    const tq_status status = tq_graph_add_constant(graph, NULL, &own, out);
    tq_tensor_reset(&own);
    return status;
}

static tq_status emit_with_scalar(tq_node *before, const char *op, tq_value *x, int64_t v,
                                  tq_value **out)
{
    tq_value *scalar;
    TQ_TRY(add_scalar(tq_node_graph(before), v, &scalar));
    return tq_graph_emit(tq_node_graph(before), before, op, (tq_value *[]){ x, scalar }, 2, NULL, 0,
                         out);
}

static int64_t meta_int(const tq_node *node, const char *side, const char *what, int64_t otherwise)
{
    char key[64];
    snprintf(key, sizeof key, "attr.%s_%s", side, what);
    const char *text = tq_node_meta(node, key);
    return text ? (int64_t)strtod(text, NULL) : otherwise;
}

/* ((x * mul + add) >> shift) clipped to the levels, as one operand of QuantLib's addition has it.
 */
static tq_status requantize_side(tq_node *node, const char *side, tq_value *x, tq_value **out)
{
    tq_graph *graph = tq_node_graph(node);
    *out = x;
    if (meta_int(node, side, "rq", 0) == 0)
        return TQ_OK;
    const int64_t n_levels = meta_int(node, side, "n_levels", 256);
    const int64_t lo = meta_int(node, side, "signed", 0) ? -(n_levels / 2) : 0;
    TQ_TRY(emit_with_scalar(node, "Mul", *out, meta_int(node, side, "mul", 1), out));
    TQ_TRY(emit_with_scalar(node, "Add", *out, meta_int(node, side, "add", 0), out));
    const tq_attr shift = TQ_INT("shift", meta_int(node, side, "shift", 0));
    TQ_TRY(tq_graph_emit(graph, node, "ShiftRight", out, 1, &shift, 1, out));
    tq_value *min, *max;
    TQ_TRY(add_scalar(graph, lo, &min));
    TQ_TRY(add_scalar(graph, lo + n_levels - 1, &max));
    return tq_graph_emit(graph, node, "Clip", (tq_value *[]){ *out, min, max }, 3, NULL, 0, out);
}

static tq_status replace_add(tq_node *node)
{
    tq_value *a, *b, *sum;
    TQ_TRY(requantize_side(node, "in1", tq_node_input(node, 0), &a));
    TQ_TRY(requantize_side(node, "in2", tq_node_input(node, 1), &b));
    TQ_TRY(
        tq_graph_emit(tq_node_graph(node), node, "Add", (tq_value *[]){ a, b }, 2, NULL, 0, &sum));
    TQ_TRY(requantize_side(node, "out", sum, &sum));
    replace(node, sum);
    return TQ_OK;
}

/* ---- average pools ----
 *
 * DORY computes trunc(sum * mul / elements); with mul a multiple of the elements of the window that
 * is sum * (mul / elements), without a division. */

/* Elements of the window; 0: not known, or some of them are padding. */
static int64_t window_elements(const tq_node *node)
{
    const tq_type *x = tq_value_type(tq_node_input(node, 0));
    int n_kernel = 0, n_pads = 0;
    const int64_t *kernel = tq_attr_ints(tq_node_attrs(node), "kernel_shape", &n_kernel);
    const int64_t *pads = tq_attr_ints(tq_node_attrs(node), "pads", &n_pads);
    if (tq_node_is(node, "GlobalAveragePool")) {
        kernel = &x->dims[2];
        n_kernel = x->rank - 2;
    }
    int64_t elements = n_kernel > 0 && !tq_attr_int(tq_node_attrs(node), "ceil_mode");
    for (int i = 0; i < n_kernel; i++)
        elements *= kernel[i] > 0 && kernel[i] < 1 << 15 ? kernel[i] : 0;
    for (int i = 0; pads && i < n_pads; i++)
        elements *= pads[i] == 0;
    return elements;
}

/* The product behind the pool whose constant is a multiple of the window; NULL: there is none. */
static tq_node *product_behind(const tq_node *node, int *out_constant)
{
    const int64_t elements = window_elements(node);
    tq_node *mul = elements > 0 ? (tq_node *)(uintptr_t)only_consumer(node) : NULL;
    if (!mul || !tq_node_is(mul, "Mul"))
        return NULL;
    *out_constant = tq_value_is_const(tq_node_input(mul, 0)) ? 0 : 1;
    const tq_tensor *k = tq_value_tensor(tq_node_input(mul, *out_constant));
    if (!k || !is_integral(k))
        return NULL;
    for (int64_t i = 0; i < tq_tensor_count(k); i++)
        if (tq_load_i64(k->data, k->type.dtype, i) % elements != 0)
            return NULL;
    return mul;
}

static bool is_dory_average(const tq_node *node)
{
    int constant;
    return (tq_node_is(node, "AveragePool") || tq_node_is(node, "GlobalAveragePool")) &&
           product_behind(node, &constant) != NULL;
}

static tq_status divide_constant(tq_node *mul, int i, int64_t by)
{
    tq_tensor divided;
    tq_value *constant;
    TQ_TRY(tq_tensor_cast(tq_value_tensor(tq_node_input(mul, i)), TQ_I64, &divided));
    for (int64_t k = 0; k < tq_tensor_count(&divided); k++)
        ((int64_t *)divided.data)[k] /= by;
    const tq_status status = tq_graph_add_constant(tq_node_graph(mul), NULL, &divided, &constant);
    tq_tensor_reset(&divided);
    TQ_TRY(status);
    tq_node_set_input(mul, i, constant);
    return TQ_OK;
}

static tq_status replace_average(tq_node *node)
{
    tq_graph *graph = tq_node_graph(node);
    const bool global = tq_node_is(node, "GlobalAveragePool");
    tq_value *x = tq_node_input(node, 0);
    int constant, n_kept = 0;
    tq_node *mul = product_behind(node, &constant);
    tq_attr kept[2];
    static const char *const names[] = { "kernel_shape", "strides" };
    for (int i = 0; i < TQ_COUNT(names) && !global; i++) {
        const tq_attr *attr = tq_attrs_find(tq_node_attrs(node), names[i]);
        if (attr)
            kept[n_kept++] = *attr;
    }
    TQ_TRY(divide_constant(mul, constant, window_elements(node)));
    TQ_TRY(tq_graph_emit(graph, node, "Cast", &x, 1, &TQ_INT("to", 6), 1, &x));
    TQ_TRY(
        tq_graph_emit(graph, node, global ? "GlobalSumPool" : "SumPool", &x, 1, kept, n_kept, &x));
    TQ_TRY(tq_graph_emit(graph, node, "Cast", &x, 1, &TQ_INT("to", 7), 1, &x));
    replace(node, x);
    return TQ_OK;
}

/* ---- walking ---- */

static bool reads_integers(const tq_node *node)
{
    const tq_value *x = tq_node_input(node, 0);
    return x && !tq_value_is_const(x) && tq_dtype_is_integer(tq_value_type(x)->dtype);
}

static bool only_names_integers(const tq_node *node)
{
    return tq_node_is(node, "Cast") || tq_node_is(node, "Floor") || tq_node_is(node, "Ceil") ||
           tq_node_is(node, "Round") || tq_node_is(node, "Identity");
}

/* A float operator reads its integer inputs through Cast. */
static tq_status cast_inputs(tq_node *node)
{
    tq_graph *graph = tq_node_graph(node);
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        tq_value *value = tq_node_input(node, i);
        if (!value || !is_data(node, i) || tq_value_is_const(value) ||
            tq_value_type(value)->dtype != TQ_I64)
            continue;
        TQ_TRY(tq_graph_emit(graph, node, "Cast", &value, 1, (tq_attr[]){ TQ_INT("to", 1) }, 1,
                             &value));
        tq_node_set_input(node, i, value);
    }
    return tq_node_infer(node);
}

static tq_status lift_node(tq_node *node)
{
    if (is_quantlib_add(node))
        return replace_add(node);
    if (reads_integers(node) && is_dory_average(node))
        return replace_average(node);
    if (reads_integers(node) && (is_floored_division(node) || is_nemo_division(node)))
        return replace_by(node, "ShiftRight", (tq_attr[]){ TQ_INT("shift", log2_of_divisor(node)) },
                          1);
    if (reads_integers(node) && only_names_integers(node))
        return replace_by(node, "Identity", NULL, 0);
    if (tq_node_is(node, "Shape") || tq_node_is(node, "Size"))
        return tq_node_infer(node);
    if (!computes_in_integers(node))
        return cast_inputs(node);
    TQ_TRY(make_constants_integer(node));
    return tq_node_infer(node);
}

static bool is_all_integer(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        if (tq_node_is(node, "Div"))
            return false;
        for (int i = 0; i < tq_node_n_inputs(node); i++)
            if (tq_node_input(node, i) &&
                tq_dtype_is_float(tq_value_type(tq_node_input(node, i))->dtype))
                return false;
    }
    return true;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    (void)edit;
    const char *dialect = dialect_of(graph);
    if (!dialect || tq_graph_stage(graph) == TQ_STAGE_TRUE)
        return TQ_OK;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        tq_type type = *tq_value_type(tq_graph_input(graph, i));
        type.dtype = TQ_I64;
        tq_value_set_type(tq_graph_input(graph, i), &type);
    }
    for (tq_node *node = tq_graph_first(graph), *next; node; node = next) {
        next = tq_node_next(node);
        const char *name = tq_node_name(node), *op = tq_node_op_name(node);
        TQ_TRY(tq_wrap(lift_node(node), "node '%s' (%s)", name, op));
    }
    tq_graph_sweep(graph);
    tq_graph_set_meta(graph, "dialect", dialect);
    tq_graph_set_meta(graph, "stage", is_all_integer(graph) ? "true" : "partial");
    return TQ_OK;
}

const tq_editor tq_editor_lift_integers = {
    .entry = { .name = "lift-integers",
               .brief =
                   "integer networks spelt in floats (QuantLib, NEMO, Deeploy) become integer" },
    .stage = TQ_EDIT_CANONICALISE,
    .changes_interface = true,
    .by_name = true,
    .run = run,
};
