/* What a backend's description says of one node: its row in the table of operators, zero points,
 * widths of requantisations, then the backend's own word. One walk over this table decides what f2t
 * may make, what check promises, what partition gives to the device and what export takes. */
#include <truq/backend.h>
#include <truq/op.h>

#include <string.h>

static const tq_op_limits *find_row(const tq_backend *backend, const char *op)
{
    for (const tq_op_limits *row = backend->ops; row->op; row++)
        if (strcmp(row->op, op) == 0)
            return row;
    return NULL;
}

/* ---- dtypes ---- */

static tq_status check_dtype(uint32_t allowed, const tq_value *value, const char *what)
{
    if (!allowed || !value || allowed >> tq_value_type(value)->dtype & 1u)
        return TQ_OK;
    const char *names = "";
    tq_text list = { "" };
    for (int dtype = 1; dtype < TQ_N_DTYPES; dtype++)
        if (allowed >> dtype & 1u && strlen(list.s) + 8 < sizeof list.s) {
            strcat(list.s, names);
            strcat(list.s, tq_dtype_name((tq_dtype)dtype));
            names = " or ";
        }
    return tq_fail(TQ_ERR_UNSUPPORTED, "its %s is %s, expected %s", what,
                   tq_dtype_name(tq_value_type(value)->dtype), list.s);
}

/** Nothing is computed in floating point. */
static tq_status check_integer(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const tq_dtype dtype = tq_value_type(tq_node_output(node, i))->dtype;
        if (tq_dtype_is_float(dtype))
            return tq_fail(TQ_ERR_UNSUPPORTED, "it makes %s", tq_dtype_name(dtype));
    }
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const tq_value *x = tq_node_input(node, i);
        if (x && !tq_value_is_const(x) && tq_dtype_is_float(tq_value_type(x)->dtype))
            return tq_fail(TQ_ERR_UNSUPPORTED, "it reads %s",
                           tq_dtype_name(tq_value_type(x)->dtype));
    }
    return TQ_OK;
}

/* ---- windows ---- */

static tq_status check_most(int64_t value, int64_t most, const char *what)
{
    return !most || value <= most ? TQ_OK
                                  : tq_fail(TQ_ERR_UNSUPPORTED, "%s %lld is beyond %lld", what,
                                            (long long)value, (long long)most);
}

/** The largest of a list attribute; `otherwise` where it is absent. */
static int64_t largest(const tq_attrs *attrs, const char *name, int64_t otherwise)
{
    int n;
    const int64_t *values = tq_attr_ints(attrs, name, &n);
    for (int i = 0; values && i < n; i++)
        otherwise = i == 0 || values[i] > otherwise ? values[i] : otherwise;
    return otherwise;
}

static int64_t kernel_of(const tq_node *node)
{
    int64_t kernel = largest(tq_node_attrs(node), "kernel_shape", 1);
    const tq_value *weight = tq_node_input(node, 1);
    const bool is_conv = tq_node_is(node, "ConvInteger") || tq_node_is(node, "Conv");
    for (int d = 2; is_conv && weight && d < tq_value_type(weight)->rank; d++)
        kernel = tq_value_type(weight)->dims[d] > kernel ? tq_value_type(weight)->dims[d] : kernel;
    return kernel;
}

static tq_status check_pads(const tq_op_limits *row, const tq_attrs *attrs)
{
    int n;
    const int64_t *pads = tq_attr_ints(attrs, "pads", &n);
    for (int i = 0; pads && i < n; i++) {
        if (row->no_pads && pads[i] != 0)
            return tq_fail(TQ_ERR_UNSUPPORTED, "it is padded");
        if (row->symmetric_pads && pads[i] != pads[(i + n / 2) % n])
            return tq_fail(TQ_ERR_UNSUPPORTED, "its padding is not symmetric");
    }
    return TQ_OK;
}

static tq_status check_window(const tq_op_limits *row, const tq_node *node)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    TQ_TRY(check_most(kernel_of(node), row->kernel_max, "kernel"));
    TQ_TRY(check_most(largest(attrs, "strides", 1), row->stride_max, "stride"));
    TQ_TRY(check_most(largest(attrs, "dilations", 1), row->dilation_max, "dilation"));
    TQ_TRY(check_pads(row, attrs));
    if (row->no_ceil && tq_attr_int(attrs, "ceil_mode"))
        return tq_fail(TQ_ERR_UNSUPPORTED, "it has ceil_mode");
    return TQ_OK;
}

/* ---- channels ---- */

static tq_status check_groups(tq_group_limit limit, int64_t groups, int64_t n_in, int64_t n_out)
{
    if (groups == 1 || limit == TQ_GROUPS_ANY)
        return TQ_OK;
    if (limit == TQ_GROUPS_DEPTHWISE && groups == n_in && groups == n_out)
        return TQ_OK;
    return tq_fail(TQ_ERR_UNSUPPORTED, "%lld groups; only %s", (long long)groups,
                   limit == TQ_GROUPS_ONE ? "1" : "1 or depthwise (groups = inputs = outputs)");
}

static tq_status check_channels(const tq_op_limits *row, const tq_node *node)
{
    const tq_value *weight = tq_node_input(node, 1);
    const tq_type *w = weight ? tq_value_type(weight) : NULL;
    int64_t n_in = 0, n_out = 0;
    if (w && w->rank >= 3 && (tq_node_is(node, "ConvInteger") || tq_node_is(node, "Conv"))) {
        const int64_t groups = tq_attr_int(tq_node_attrs(node), "group");
        n_in = w->dims[1] * groups;
        n_out = w->dims[0];
        TQ_TRY(check_groups(row->groups, groups, n_in, n_out));
    } else if (w && w->rank == 2 && tq_node_is(node, "MatMulInteger")) {
        n_in = w->dims[0];
        n_out = w->dims[1];
    }
    TQ_TRY(check_most(n_in, row->in_channels_max, "number of input channels"));
    return check_most(n_out, row->out_channels_max, "number of output channels");
}

/* ---- rows ---- */

static tq_status check_row(const tq_op_limits *row, const tq_node *node)
{
    const tq_value *x = tq_node_input(node, 0);
    TQ_TRY(check_dtype(row->dtypes, x, "input"));
    TQ_TRY(check_dtype(row->weight_dtypes, tq_node_input(node, 1), "weight"));
    if (row->constant_weight && !tq_node_is_const_from(node, 1))
        return tq_fail(TQ_ERR_UNSUPPORTED, "its weight is not a constant");
    if (row->rank && x && tq_value_type(x)->rank >= 0 && tq_value_type(x)->rank != row->rank)
        return tq_fail(TQ_ERR_UNSUPPORTED, "its input has rank %d, expected %d",
                       tq_value_type(x)->rank, row->rank);
    TQ_TRY(check_window(row, node));
    TQ_TRY(check_channels(row, node));
    const char *why = NULL;
    if (row->accepts && !row->accepts(node, &why))
        return tq_fail(TQ_ERR_UNSUPPORTED, "%s", why ? why : "the target refuses it");
    return TQ_OK;
}

/* ---- limits that hold for all operators ---- */

static tq_status check_zero_points(const tq_node *node)
{
    const bool has = tq_node_is(node, "ConvInteger") || tq_node_is(node, "MatMulInteger");
    for (int i = 2; has && i < 4; i++) {
        const tq_value *value = tq_node_input(node, i);
        const tq_tensor *zero = value ? tq_value_tensor(value) : NULL;
        if (value && !zero)
            return tq_fail(TQ_ERR_UNSUPPORTED, "its zero point is not a constant");
        for (int64_t k = 0; zero && k < tq_tensor_count(zero); k++)
            if (tq_load_i64(zero->data, zero->type.dtype, k) != 0)
                return tq_fail(TQ_ERR_UNSUPPORTED,
                               "it has a zero point; use symmetric or unsigned ranges");
    }
    return TQ_OK;
}

static bool fits_bits(int64_t v, int bits)
{
    return bits <= 0 || bits >= 64 ||
           (v >= -((int64_t)1 << (bits - 1)) && v < (int64_t)1 << (bits - 1));
}

static bool is_f32(int64_t v)
{
    const int64_t most = INT64_C(1) << 62;
    return v <= most && v >= -most && (int64_t)(float)v == v;
}

static tq_status check_width(const tq_backend *backend, const tq_node *node, int input, int bits,
                             const char *what)
{
    const bool f32_exact = backend->requant.f32_exact;
    const tq_value *value = tq_node_input(node, input);
    const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
    for (int64_t i = 0; tensor && i < tq_tensor_count(tensor); i++) {
        const int64_t v = tq_load_i64(tensor->data, tensor->type.dtype, i);
        if (!fits_bits(v, bits))
            return tq_fail(TQ_ERR_UNSUPPORTED, "%s %lld takes more than %d bits", what,
                           (long long)v, bits);
        if (f32_exact && !is_f32(v))
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "%s %lld is no float32 number; convert with 'truq f2t --backend %s'",
                           what, (long long)v, backend->entry.name);
    }
    return TQ_OK;
}

static tq_status check_requant(const tq_backend *backend, const tq_node *node)
{
    const tq_requant_limits *limits = &backend->requant;
    if (!tq_node_is(node, "Requant"))
        return TQ_OK;
    const int64_t shift = tq_attr_int(tq_node_attrs(node), "shift");
    const int64_t n = tq_type_count(tq_value_type(tq_node_input(node, 1)));
    if (shift < limits->shift_min || (limits->shift_max && shift > limits->shift_max))
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "shift %lld is not in %d to %d; convert with 'truq f2t --backend %s'",
                       (long long)shift, limits->shift_min, limits->shift_max, backend->entry.name);
    if (limits->per_tensor && n != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "it has %lld multipliers; the target takes one",
                       (long long)n);
    TQ_TRY(check_width(backend, node, 1, limits->mul_bits, "multiplier"));
    return check_width(backend, node, 2, limits->add_bits, "addend");
}

/* Operators of ONNX on int64 are how others spell integer networks. */
static bool is_on_int64(const tq_node *node)
{
    const tq_value *x = tq_node_input(node, 0);
    return x && !tq_value_is_const(x) && tq_value_type(x)->dtype == TQ_I64 &&
           tq_node_has_flag(node, TQ_OP_LINEAR);
}

static tq_status refuse_operator(const tq_backend *backend, const tq_node *node)
{
    return tq_fail(TQ_ERR_UNSUPPORTED, "%s has no operator '%s'%s", backend->entry.name,
                   tq_node_op_name(node),
                   is_on_int64(node) ? " on i64; 'truq f2t --codes R' narrows integer networks of "
                                       "others"
                                     : "");
}

tq_status tq_backend_check_node(const tq_backend *backend, const tq_node *node)
{
    const tq_op_limits *row = backend->ops ? find_row(backend, tq_node_op_name(node)) : NULL;
    if (backend->ops && !row)
        return refuse_operator(backend, node);
    if (!backend->can_run || row)
        TQ_TRY(check_integer(node));
    if (row)
        TQ_TRY(check_row(row, node));
    if (!backend->zero_points)
        TQ_TRY(check_zero_points(node));
    TQ_TRY(check_requant(backend, node));
    const char *why = NULL;
    if (backend->can_run && !backend->can_run(node, &why))
        return tq_fail(TQ_ERR_UNSUPPORTED, "%s", why ? why : "the target refuses it");
    return TQ_OK;
}

tq_status tq_backend_check_graph(const tq_backend *backend, const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        TQ_TRY(tq_wrap(tq_backend_check_node(backend, node),
                       "backend '%s' cannot run node '%s' (%s)", backend->entry.name,
                       tq_node_name(node), tq_node_op_name(node)));
    return TQ_OK;
}
