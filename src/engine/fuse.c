/* Which nodes of a true-quantised graph one fused layer can stand for:
 *
 *   Requant(ConvInteger [+ bias])                    convolution
 *   Requant(MatMulInteger [+ bias]), or without      product, over a Flatten too
 *   Requant(Cast(a) + Cast(b)), Requant(a)           elementwise sum, a and b perhaps requantised
 *   Requant(GlobalSumPool)                           average
 *   MaxPool
 *
 * where nobody else reads what lies between. */
#include "engine/engine_internal.h"

#include <string.h>

/* ---- what values are ---------------------------------------------------------------------- */

static bool is_codes(const tq_value *value)
{
    const tq_type *type = tq_value_type(value);
    return (type->dtype == TQ_U8 || type->dtype == TQ_I8) && type->rank >= 2 && type->rank <= 4 &&
           tq_type_count(type) > 0;
}

static bool is_signed(const tq_value *value)
{
    return tq_value_type(value)->dtype == TQ_I8;
}

/** Read by one node only and no output. */
static bool is_inner(const tq_value *value)
{
    return tq_value_n_consumers(value) == 1 && !tq_value_is_output(value);
}

/** The node that makes `value` for one reader only, if it is of that operator. */
static const tq_node *inner_producer(const tq_value *value, const char *op)
{
    const tq_node *node = value && is_inner(value) ? tq_value_producer(value) : NULL;
    return node && tq_node_is(node, op) ? node : NULL;
}

static void claim(tq_fusion *f, const tq_node *node)
{
    TQ_ASSERT(f->n_members < TQ_COUNT(f->members));
    f->members[f->n_members++] = node;
}

/** A status that says "not this one" is no error. */
static tq_status settle(tq_status status, tq_fusion *f)
{
    if (status && tq_status_code(status) == TQ_ERR_UNSUPPORTED) {
        tq_status_drop(status);
        f->layer = NULL;
        return TQ_OK;
    }
    return status;
}

/* ---- convolutions and products --------------------------------------------------------------- */

/** A constant i32 that has one value for each of `channels` at axis 1 of `sum`, or at its last axis
 * where there are two. */
static bool is_bias(const tq_value *value, const tq_type *sum)
{
    const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
    if (!tensor || tensor->type.dtype != TQ_I32 || tq_tensor_count(tensor) != sum->dims[1])
        return false;
    for (int d = 0; d < tensor->type.rank; d++) {
        const int axis = d + sum->rank - tensor->type.rank;
        if (tensor->type.dims[d] != (axis == 1 ? sum->dims[1] : 1))
            return false;
    }
    return tensor->type.rank <= sum->rank && tensor->type.rank >= sum->rank - 1;
}

static bool all_zero(const tq_value *value)
{
    const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
    for (int64_t i = 0; tensor && i < tq_tensor_count(tensor); i++)
        if (tq_load_i64(tensor->data, tensor->type.dtype, i) != 0)
            return false;
    return !value || tensor;
}

/** Zero points and weight of both operators; false where no fused layer has them. */
static bool read_product(const tq_node *node, tq_conv_spec *spec)
{
    const tq_value *x_zero = tq_node_input(node, 2);
    const tq_tensor *w = tq_value_tensor(tq_node_input(node, 1));
    const tq_tensor *zero = x_zero ? tq_value_tensor(x_zero) : NULL;
    if (!is_codes(tq_node_input(node, 0)) || !w || w->type.dtype != TQ_I8 ||
        tq_tensor_count(w) == 0 || (x_zero && (!zero || tq_tensor_count(zero) != 1)) ||
        !all_zero(tq_node_input(node, 3)))
        return false;
    spec->x_signed = is_signed(tq_node_input(node, 0));
    spec->x_zero = zero ? tq_load_i64(zero->data, zero->type.dtype, 0) : 0;
    spec->w = w->data;
    return true;
}

static bool read_conv(const tq_node *node, tq_conv_spec *spec, tq_fusion *f)
{
    const tq_value *x = tq_node_input(node, 0), *w = tq_node_input(node, 1);
    const tq_type *type = tq_value_type(x), *kernel = tq_value_type(w);
    if (!read_product(node, spec) || type->rank < 3)
        return false;
    const tq_status status =
        tq_window_read(tq_node_attrs(node), type, kernel->dims + 2, &spec->window);
    tq_status_drop(status);
    if (status)
        return false;
    const int64_t kh = spec->window.kernel[1], kw = spec->window.kernel[2];
    spec->n = type->dims[0];
    spec->c = type->dims[1];
    spec->oc = kernel->dims[0];
    spec->groups = tq_attr_int(tq_node_attrs(node), "group");
    spec->w_oc = kernel->dims[1] * kh * kw;
    spec->w_c = kh * kw;
    spec->w_kh = kw;
    spec->w_kw = 1;
    f->in[0] = x;
    return true;
}

/** The images that x is a flattened form of, else x itself. */
static const tq_value *unflatten(const tq_value *x, tq_fusion *f)
{
    static const char *const names[] = { "Flatten", "Reshape", "Squeeze" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const tq_node *node = inner_producer(x, names[i]);
        const tq_value *from = node ? tq_node_input(node, 0) : NULL;
        if (from && is_codes(from) && tq_value_type(from)->rank >= 3 &&
            tq_value_type(from)->dims[0] == tq_value_type(x)->dims[0]) {
            claim(f, node);
            return from;
        }
    }
    return x;
}

static bool read_matmul(const tq_node *node, tq_conv_spec *spec, tq_fusion *f)
{
    const tq_value *x = tq_node_input(node, 0);
    const tq_type *kernel = tq_value_type(tq_node_input(node, 1));
    if (!read_product(node, spec) || tq_value_type(x)->rank != 2 || kernel->rank != 2)
        return false;
    f->in[0] = unflatten(x, f);
    const tq_type *type = tq_value_type(f->in[0]);
    const int64_t h = type->rank > 3 ? type->dims[2] : 1;
    const int64_t w = type->rank > 2 ? type->dims[type->rank - 1] : 1;
    spec->window = (tq_window){ .n_axes = 2,
                                .in = { 1, h, w },
                                .out = { 1, 1, 1 },
                                .kernel = { 1, h, w },
                                .stride = { 1, 1, 1 },
                                .dilation = { 1, 1, 1 } };
    spec->n = type->dims[0];
    spec->c = type->dims[1];
    spec->oc = kernel->dims[1];
    spec->groups = 1;
    spec->w_oc = 1;
    spec->w_c = h * w * spec->oc;
    spec->w_kh = w * spec->oc;
    spec->w_kw = spec->oc;
    return true;
}

/** The sums that `value` holds, with or without bias, and the layer for them. */
static tq_status match_product(const tq_value *value, const tq_requant_spec *requant, tq_fusion *f)
{
    tq_conv_spec spec = { .requant = requant };
    const tq_node *node = tq_value_producer(value);
    if (node && tq_node_is(node, "Add")) {
        const int side = is_bias(tq_node_input(node, 0), tq_value_type(value)) ? 0 : 1;
        const tq_value *bias = tq_node_input(node, side);
        if (!is_bias(bias, tq_value_type(value)) || !is_inner(tq_node_input(node, 1 - side)))
            return TQ_OK;
        spec.bias = tq_value_tensor(bias)->data;
        claim(f, node);
        node = tq_value_producer(tq_node_input(node, 1 - side));
    }
    if (!node)
        return TQ_OK;
    const bool is_conv = tq_node_is(node, "ConvInteger"),
               is_product = tq_node_is(node, "MatMulInteger");
    if ((!is_conv && !is_product) ||
        !(is_conv ? read_conv(node, &spec, f) : read_matmul(node, &spec, f)))
        return TQ_OK;
    if (is_conv && !requant)
        return TQ_OK;
    claim(f, node);
    if (spec.groups > 1) {
        TQ_TRY(settle(tq_layer_depthwise_create(&spec, &f->layer), f));
        if (f->layer)
            return TQ_OK;
    }
    return settle(tq_layer_conv_create(&spec, &f->layer), f);
}

/* ---- sums --------------------------------------------------------------------------------- */

static int64_t code_of(const tq_value *value, int held)
{
    return held - (is_signed(value) ? 128 : 0);
}

static bool is_one(const tq_requant_spec *spec)
{
    return tq_tensor_count(spec->multiplier) == 1 && tq_tensor_count(spec->addend) == 1;
}

/** What `codes`, read by one node only, contribute: themselves, or other codes requantised. */
static bool read_operand(const tq_value *codes, tq_sum_operand *operand, const tq_value **out_from,
                         tq_fusion *f)
{
    tq_requant_spec requant;
    const tq_node *node = inner_producer(codes, "Requant");
    const bool again = node && is_codes(tq_node_input(node, 0)) &&
                       tq_requant_spec_read(node, &requant) && is_one(&requant);
    *out_from = again ? tq_node_input(node, 0) : codes;
    if (again)
        claim(f, node);
    for (int i = 0; i < 256; i++) {
        const int64_t code = code_of(*out_from, i);
        operand->values[i] = (int32_t)(again ? tq_requant_spec_apply(&requant, code, 0) : code);
    }
    return is_codes(*out_from);
}

/** Through a Cast to i32 that nobody else reads. */
static const tq_value *uncast(const tq_value *value, tq_fusion *f)
{
    const tq_node *cast = inner_producer(value, "Cast");
    if (!cast || !is_codes(tq_node_input(cast, 0)) || tq_value_type(value)->dtype != TQ_I32)
        return NULL;
    claim(f, cast);
    return tq_node_input(cast, 0);
}

static tq_status match_sum(const tq_value *value, const tq_requant_spec *requant, tq_fusion *f)
{
    tq_sum_spec spec = { .n_operands = 1, .requant = requant };
    const tq_value *codes[2] = { is_codes(value) ? value : uncast(value, f), NULL };
    const tq_node *add = codes[0] ? NULL : inner_producer(value, "Add");
    if (!is_one(requant) || (!codes[0] && !add))
        return TQ_OK;
    if (add) {
        const tq_value *a = tq_node_input(add, 0), *b = tq_node_input(add, 1);
        if (a == b || !tq_type_equal(tq_value_type(a), tq_value_type(b)))
            return TQ_OK;
        claim(f, add);
        codes[0] = uncast(a, f);
        codes[1] = uncast(b, f);
        spec.n_operands = 2;
    }
    for (int i = 0; i < spec.n_operands; i++)
        if (!codes[i] || !read_operand(codes[i], &spec.operands[i], &f->in[i], f))
            return TQ_OK;
    return settle(tq_layer_sum_create(&spec, &f->layer), f);
}

/* ---- pools -------------------------------------------------------------------------------- */

static tq_status match_average(const tq_node *pool, const tq_requant_spec *requant, tq_fusion *f)
{
    const tq_value *x = tq_node_input(pool, 0);
    if (!is_codes(x) || tq_value_type(x)->rank < 3)
        return TQ_OK;
    claim(f, pool);
    f->in[0] = x;
    return settle(tq_layer_global_sum_create(tq_value_type(x)->dims[1],
                                             tq_type_count_from(tq_value_type(x), 2), is_signed(x),
                                             requant, &f->layer),
                  f);
}

static tq_status match_max_pool(const tq_node *node, tq_fusion *f)
{
    tq_window window;
    const tq_value *x = tq_node_input(node, 0);
    if (!is_codes(x) || tq_value_type(x)->rank < 3 || tq_node_n_outputs(node) > 1)
        return TQ_OK;
    TQ_TRY(tq_window_read(tq_node_attrs(node), tq_value_type(x), NULL, &window));
    f->in[0] = x;
    return settle(tq_layer_max_pool_create(&window, &f->layer), f);
}

/* ---- the whole -------------------------------------------------------------------------- */

static tq_status match_requant(const tq_node *node, tq_fusion *f)
{
    tq_requant_spec requant;
    const tq_value *sums = tq_node_input(node, 0);
    if (!is_codes(tq_node_output(node, 0)) || !tq_requant_spec_read(node, &requant))
        return TQ_OK;
    const tq_node *pool = inner_producer(sums, "GlobalSumPool");
    if (pool)
        return match_average(pool, &requant, f);
    if (is_inner(sums) && !is_codes(sums))
        TQ_TRY(match_product(sums, &requant, f));
    if (f->layer)
        return TQ_OK;
    f->n_members = 1;
    return match_sum(sums, &requant, f);
}

/** Will the only reader of these sums match them itself? */
static bool is_for_reader(const tq_value *sums)
{
    const tq_node *reader = is_inner(sums) ? tq_value_consumer(sums, 0) : NULL;
    return reader && (tq_node_is(reader, "Requant") || tq_node_is(reader, "Add"));
}

tq_status tq_engine_match(const tq_node *node, tq_fusion *out)
{
    *out = (tq_fusion){ .members = { node }, .n_members = 1, .out = tq_node_output(node, 0) };
    if (tq_node_is(node, "Requant"))
        return match_requant(node, out);
    if (tq_node_is(node, "MaxPool"))
        return match_max_pool(node, out);
    const bool is_sum = tq_node_is(node, "Add") || tq_node_is(node, "MatMulInteger");
    if (is_sum && out->out && tq_value_type(out->out)->dtype == TQ_I32 &&
        tq_value_type(out->out)->rank == 2 && !is_for_reader(out->out)) {
        out->n_members = 0;
        return match_product(out->out, NULL, out);
    }
    return TQ_OK;
}
