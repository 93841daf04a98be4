/* The layers of a description that have weights or windows: sized by what they read, their weights
 * drawn from a stream keyed by their names, as all of the zoo's. */
#include "describe_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <truq/random.h>

/* ---- parameters ---- */

static tq_status one_int(const tq_describer *d, const char *name, int64_t min, int64_t max,
                         int64_t *inout)
{
    const tq_zoo_param *p = tq_describe_param(d, name);
    if (!p)
        return TQ_OK;
    return p->n == 1 ? tq_describe_int(d, p, 0, min, max, inout)
                     : TQ_DESCRIBE_FAIL(d, p, "'%s' takes one number", name);
}

/* n numbers, or one for all. */
static tq_status some_ints(const tq_describer *d, const char *name, int n, int64_t min,
                           int64_t *inout)
{
    const tq_zoo_param *p = tq_describe_param(d, name);
    if (!p)
        return TQ_OK;
    if (p->n != n && p->n != 1)
        return TQ_DESCRIBE_FAIL(d, p, "'%s' takes one number or %d", name, n);
    for (int i = 0; i < n; i++)
        TQ_TRY(tq_describe_int(d, p, p->n == 1 ? 0 : i, min, 1 << 16, &inout[i]));
    return TQ_OK;
}

static bool is_listed(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static tq_status check_params(const tq_describer *d, const char *const *known)
{
    for (int i = 0; i < d->layer->n_params; i++) {
        const tq_zoo_param *p = &d->layer->params[i];
        if (!is_listed(p->name, known) && strcmp(p->name, "name") && strcmp(p->name, "from"))
            return TQ_DESCRIBE_FAIL(d, p, "%s has no '%.40s'", d->layer->op, p->name);
    }
    return TQ_OK;
}

/* ---- weights ---- */

typedef enum scheme { KAIMING, XAVIER, NORMAL, UNIFORM, CONSTANT } scheme;

/* How weights begin: "kaiming", "xavier", "normal:STD", "uniform:A", "constant:C". */
static tq_status read_init(const tq_describer *d, const tq_zoo_param *p, scheme *out, double *out_a)
{
    static const char *const names[] = { "kaiming", "xavier", "normal", "uniform", "constant" };
    const char *text = p->n == 1 ? p->texts[0] : "", *colon = strchr(text, ':');
    const size_t n = colon ? (size_t)(colon - text) : strlen(text);
    for (int i = 0; i < TQ_COUNT(names); i++) {
        if (strlen(names[i]) != n || strncmp(text, names[i], n) != 0 || (i >= NORMAL) != !!colon)
            continue;
        *out = (scheme)i;
        char *end = NULL;
        *out_a = colon ? strtod(colon + 1, &end) : 0.0;
        if (!colon || (end != colon + 1 && !*end && isfinite(*out_a)))
            return TQ_OK;
    }
    return TQ_DESCRIBE_FAIL(
        d, p, "init is '%.40s'; expected kaiming, xavier, normal:STD, uniform:A or constant:C",
        text);
}

static tq_status find_init(const tq_describer *d, scheme *out, double *out_a)
{
    const tq_zoo_param *p = tq_describe_param(d, "init");
    for (int i = 0; i < d->description->n_params && !p; i++)
        if (strcmp(d->description->params[i].name, "init") == 0)
            p = &d->description->params[i];
    *out = KAIMING;
    *out_a = 0.0;
    return p ? read_init(d, p, out, out_a) : TQ_OK;
}

static void fill(tq_tensor *tensor, scheme how, double a, double fan_in, double fan_out,
                 tq_random *random)
{
    const double std = how == KAIMING  ? sqrt(2.0 / fan_out)
                       : how == XAVIER ? sqrt(2.0 / (fan_in + fan_out))
                                       : a;
    float *w = tensor->data;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++)
        w[i] = how == CONSTANT  ? (float)a
               : how == UNIFORM ? (float)(a * (2.0 * tq_random_uniform(random) - 1.0))
                                : (float)(std * tq_random_normal(random));
}

/* A parameter "LAYER.what": by the scheme where it has fans, else `constant`. */
static tq_status add_parameter(const tq_describer *d, const char *what, int rank,
                               const int64_t *dims, const double *fans, double constant,
                               tq_value **out)
{
    const char *full = tq_zoo_name(&d->b, "%s.%s", d->name, what);
    const tq_type type = tq_type_make(TQ_F32, rank, dims);
    scheme how;
    double a;
    tq_tensor tensor;
    tq_random random;
    TQ_TRY(find_init(d, &how, &a));
    if (!fans) {
        how = CONSTANT;
        a = constant;
    }
    if (tq_type_count(&type) > INT64_C(1) << 31)
        return TQ_DESCRIBE_FAIL(d, d->layer, "'%s' would have %lld elements", full,
                                (long long)tq_type_count(&type));
    TQ_TRY(tq_tensor_init(&tensor, &type));
    tq_random_init(&random, d->b.options->seed, tq_crc32(0, full, strlen(full)), 1);
    fill(&tensor, how, a, fans ? fans[0] : 1.0, fans ? fans[1] : 1.0, &random);
    const tq_status status = tq_graph_add_constant(d->b.graph, full, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* ---- operators ---- */

static tq_status need_rank(const tq_describer *d, const tq_value *x, int rank)
{
    const tq_type *type = tq_value_type(x);
    if (type->rank == rank && type->dims[1] > 0)
        return TQ_OK;
    return TQ_DESCRIBE_FAIL(d, d->layer, "layer '%s' (%s) reads %s; expected %d axes", d->name,
                            d->layer->op, tq_type_text(type).s, rank);
}

/* "same": the output has size / stride pixels, the odd pad at the end; else one, two or four
 * numbers. */
static tq_status read_pads(const tq_describer *d, const int64_t *size, const int64_t *kernel,
                           const int64_t *strides, const int64_t *dilations, int64_t *pads)
{
    const tq_zoo_param *p = tq_describe_param(d, "pads");
    memset(pads, 0, 4 * sizeof *pads);
    if (!p)
        return TQ_OK;
    if (p->n == 1 && strcmp(p->texts[0], "same") == 0) {
        for (int k = 0; k < 2; k++) {
            const int64_t n = (size[k] + strides[k] - 1) / strides[k];
            const int64_t all = (n - 1) * strides[k] + (kernel[k] - 1) * dilations[k] + 1 - size[k];
            pads[k] = all > 0 ? all / 2 : 0;
            pads[2 + k] = all > 0 ? all - all / 2 : 0;
        }
        return TQ_OK;
    }
    if (p->n != 1 && p->n != 2 && p->n != 4)
        return TQ_DESCRIBE_FAIL(
            d, p, "'pads' takes 'same', one number, two (vertical, horizontal) or four");
    for (int i = 0; i < 4; i++)
        TQ_TRY(tq_describe_int(d, p, i % p->n, 0, 1 << 16, &pads[i]));
    return TQ_OK;
}

static tq_status read_group(const tq_describer *d, int64_t channels, int64_t *out)
{
    const tq_zoo_param *p = tq_describe_param(d, "group");
    *out = 1;
    if (p && p->n == 1 && strcmp(p->texts[0], "depthwise") == 0)
        *out = channels;
    else
        TQ_TRY(one_int(d, "group", 1, TQ_DESCRIBE_MAX_WIDTH, out));
    if (channels % *out)
        return TQ_DESCRIBE_FAIL(d, d->layer, "group is %lld for %lld channels", (long long)*out,
                                (long long)channels);
    return TQ_OK;
}

static tq_status has_bias(const tq_describer *d, bool *out)
{
    const tq_zoo_param *p = tq_describe_param(d, "bias");
    *out = !p || strcmp(p->texts[0], "true") == 0;
    if (p && (p->n != 1 || (!*out && strcmp(p->texts[0], "false") != 0)))
        return TQ_DESCRIBE_FAIL(d, p, "'bias' is true or false");
    return TQ_OK;
}

static tq_status add_conv(const tq_describer *d, tq_value **x)
{
    static const char *const known[] = { "channels", "kernel_shape", "strides", "pads", "dilations",
                                         "group",    "bias",         "init",    NULL };
    int64_t kernel[] = { 1, 1 }, strides[] = { 1, 1 }, dilations[] = { 1, 1 }, pads[4], group;
    TQ_TRY(check_params(d, known));
    TQ_TRY(need_rank(d, *x, 4));
    const int64_t *in = tq_value_type(*x)->dims;
    int64_t channels = in[1];
    bool bias;
    TQ_TRY(read_group(d, in[1], &group));
    const bool depthwise = group == in[1] && group > 1 && !tq_describe_param(d, "channels");
    TQ_TRY(one_int(d, "channels", 1, TQ_DESCRIBE_MAX_WIDTH, &channels));
    if (!tq_describe_param(d, "channels") && !depthwise)
        return TQ_DESCRIBE_FAIL(d, d->layer, "layer '%s' (Conv) needs 'channels'", d->name);
    if (group == 1 && d->b.capacity != 1.0)
        channels = tq_zoo_scaled(&d->b, channels);
    if (channels % group)
        return TQ_DESCRIBE_FAIL(d, d->layer, "%lld channels cannot be in %lld groups",
                                (long long)channels, (long long)group);
    TQ_TRY(some_ints(d, "kernel_shape", 2, 1, kernel));
    TQ_TRY(some_ints(d, "strides", 2, 1, strides));
    TQ_TRY(some_ints(d, "dilations", 2, 1, dilations));
    TQ_TRY(read_pads(d, &in[2], kernel, strides, dilations, pads));
    TQ_TRY(has_bias(d, &bias));
    const int64_t dims[] = { channels, in[1] / group, kernel[0], kernel[1] };
    const double taps = (double)(kernel[0] * kernel[1]);
    const double fans[] = { taps * (double)dims[1], taps * (double)(channels / group) };
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_parameter(d, "weight", 4, dims, fans, 0, &inputs[1]));
    if (bias)
        TQ_TRY(add_parameter(d, "bias", 1, dims, NULL, 0, &inputs[2]));
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, kernel), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads), TQ_INTS("dilations", 2, dilations),
                              TQ_INT("group", group) };
    return tq_describe_emit(d, "Conv", inputs, bias ? 3 : 2, attrs, TQ_COUNT(attrs), x);
}

static tq_status add_gemm(const tq_describer *d, tq_value **x)
{
    static const char *const known[] = { "channels", "bias", "init", NULL };
    int64_t channels = 0;
    bool bias;
    TQ_TRY(check_params(d, known));
    TQ_TRY(need_rank(d, *x, 2));
    TQ_TRY(one_int(d, "channels", 1, TQ_DESCRIBE_MAX_WIDTH, &channels));
    if (!channels)
        return TQ_DESCRIBE_FAIL(d, d->layer, "layer '%s' (Gemm) needs 'channels'", d->name);
    TQ_TRY(has_bias(d, &bias));
    const int64_t dims[] = { channels, tq_zoo_channels(*x) };
    const double fans[] = { (double)dims[1], (double)dims[0] };
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_parameter(d, "weight", 2, dims, fans, 0, &inputs[1]));
    if (bias)
        TQ_TRY(add_parameter(d, "bias", 1, dims, NULL, 0, &inputs[2]));
    const tq_attr transposed = TQ_INT("transB", 1);
    return tq_describe_emit(d, "Gemm", inputs, bias ? 3 : 2, &transposed, 1, x);
}

static tq_status one_number(const tq_describer *d, const char *name, double *inout)
{
    const tq_zoo_param *p = tq_describe_param(d, name);
    if (p && (p->n != 1 || isnan(p->numbers[0])))
        return TQ_DESCRIBE_FAIL(d, p, "'%s' takes one number", name);
    if (p)
        *inout = p->numbers[0];
    return TQ_OK;
}

static tq_status add_batchnorm(const tq_describer *d, tq_value **x)
{
    static const char *const known[] = { "epsilon", "momentum", NULL };
    static const struct {
        const char *what;
        double value;
    } parts[] = { { "weight", 1 }, { "bias", 0 }, { "running_mean", 0 }, { "running_var", 1 } };
    double epsilon = 1e-5, momentum = 0.9;
    TQ_TRY(check_params(d, known));
    TQ_TRY(one_number(d, "epsilon", &epsilon));
    TQ_TRY(one_number(d, "momentum", &momentum));
    if (tq_value_type(*x)->rank < 2)
        return need_rank(d, *x, 4);
    const int64_t n = tq_zoo_channels(*x);
    tq_value *inputs[5] = { *x };
    for (int i = 0; i < 4; i++)
        TQ_TRY(add_parameter(d, parts[i].what, 1, &n, NULL, parts[i].value, &inputs[1 + i]));
    const tq_attr attrs[] = { TQ_FLOAT("epsilon", (float)epsilon),
                              TQ_FLOAT("momentum", (float)momentum) };
    return tq_describe_emit(d, "BatchNormalization", inputs, 5, attrs, 2, x);
}

static tq_status add_pool(const tq_describer *d, tq_value **x)
{
    static const char *const known[] = { "kernel_shape", "strides", "pads", "count_include_pad",
                                         NULL };
    static const int64_t ones[] = { 1, 1 };
    int64_t kernel[2] = { 0 }, strides[2], pads[4], include = 0;
    TQ_TRY(check_params(d, known));
    TQ_TRY(need_rank(d, *x, 4));
    TQ_TRY(some_ints(d, "kernel_shape", 2, 1, kernel));
    if (!kernel[0])
        return TQ_DESCRIBE_FAIL(d, d->layer, "layer '%s' (%s) needs 'kernel_shape'", d->name,
                                d->layer->op);
    memcpy(strides, kernel, sizeof strides); /* windows side by side unless it says otherwise */
    TQ_TRY(some_ints(d, "strides", 2, 1, strides));
    TQ_TRY(read_pads(d, &tq_value_type(*x)->dims[2], kernel, strides, ones, pads));
    TQ_TRY(one_int(d, "count_include_pad", 0, 1, &include));
    const tq_attr attrs[] = { TQ_INTS("kernel_shape", 2, kernel), TQ_INTS("strides", 2, strides),
                              TQ_INTS("pads", 4, pads), TQ_INT("count_include_pad", include) };
    const bool average = strcmp(d->layer->op, "AveragePool") == 0;
    return tq_describe_emit(d, d->layer->op, x, 1, attrs, average ? 4 : 3, x);
}

static tq_status add_activation(const tq_describer *d, tq_value **x)
{
    static const char *const known[] = { NULL };
    TQ_TRY(check_params(d, known));
    tq_builder b = d->b;
    return tq_zoo_add_activation(&b, d->name, x);
}

tq_status tq_describe_layer(const tq_describer *d, tq_value **x, bool *out_known)
{
    static const struct {
        const char *op;
        tq_status (*add)(const tq_describer *d, tq_value **x);
    } known[] = { { "Activation", add_activation },
                  { "AveragePool", add_pool },
                  { "BatchNormalization", add_batchnorm },
                  { "Conv", add_conv },
                  { "Gemm", add_gemm },
                  { "MaxPool", add_pool } };
    *out_known = false;
    for (int i = 0; i < TQ_COUNT(known); i++)
        if (strcmp(d->layer->op, known[i].op) == 0) {
            *out_known = true;
            return known[i].add(d, x);
        }
    return TQ_OK;
}
