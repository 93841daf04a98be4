/* What was observed is placed: Observer(x) becomes DequantizeLinear(QuantizeLinear(x)) with scale
 * and zero point as constants, one a channel for weights. A grid narrower than its dtype has a Clip
 * of the codes between them. Observers of a group have one grid, by the statistics of those that
 * observe. An observer that saw nothing stops this by name. A FakeQuantize that rounds as
 * QuantizeLinear does (a pair that was taken for one when the network was loaded) becomes a pair
 * again. */
#include "passes/graph_mode/observed.h"
#include "rewrite/rewrite.h"

#include <truq/fake.h>

#include <math.h>
#include <string.h>

typedef struct conversion {
    tq_graph *graph;
    tq_arena *arena;
} conversion;

/* Scales and zero points of one grid a channel. */
typedef struct placed_grid {
    int n, axis;
    tq_range range;
    tq_dtype dtype;
    float *scale;
    int64_t *zero_point;
} placed_grid;

/* ---- statistics ---- */

static bool same_group(const tq_node *a, const tq_node *b)
{
    const char *group = tq_attr_string(tq_node_attrs(a), "group");
    return a == b || (*group && tq_node_is(b, "Observer") &&
                      strcmp(group, tq_attr_string(tq_node_attrs(b), "group")) == 0);
}

static tq_status group_statistics(const conversion *c, const tq_node *observer, tq_statistics *out)
{
    tq_statistics_reset(out);
    for (const tq_node *node = tq_graph_first(c->graph); node; node = tq_node_next(node)) {
        tq_statistics own;
        if (same_group(observer, node) && tq_attr_int(tq_node_attrs(node), "observe") &&
            tq_observed_statistics(node, &own))
            tq_statistics_merge(out, &own);
    }
    return TQ_OK;
}

static void observe_channel(const tq_tensor *x, int axis, int64_t c, tq_statistics *out)
{
    const int64_t n_channels = axis < 0 ? 1 : x->type.dims[axis];
    const int64_t n_inner = axis < 0 ? tq_tensor_count(x) : tq_type_count_from(&x->type, axis + 1);
    const int64_t n_outer = axis < 0 ? 1 : tq_type_count_to(&x->type, axis);
    tq_statistics_reset(out);
    for (int64_t o = 0; o < n_outer; o++)
        tq_statistics_observe(out, n_inner,
                              (const float *)x->data + (o * n_channels + c) * n_inner);
}

/* ---- grids ---- */

static tq_status place_channel(const tq_node *observer, const tq_statistics *s, int64_t c,
                               placed_grid *out)
{
    tq_init init;
    double a, b;
    int32_t zero_point = 0;
    TQ_TRY(tq_init_parse(tq_attr_string(tq_node_attrs(observer), "kind"), &init));
    TQ_TRY(tq_init_range(&init, s, &a, &b));
    if (c == 0 && s->n > 0 && s->min >= 0 &&
        tq_attr_int(tq_node_attrs(observer), "unsigned_if_positive"))
        out->range.q_min = 0;
    if (out->range.free_offset)
        TQ_TRY(tq_grid_scale_free(&out->range, a, b, &out->scale[c], &zero_point));
    else
        TQ_TRY(tq_grid_scale_pinned(&out->range, a, b, &out->scale[c]));
    if (out->range.power_of_two)
        out->scale[c] = exp2f(rintf(log2f(out->scale[c])));
    out->zero_point[c] = zero_point;
    return TQ_OK;
}

static tq_dtype dtype_of(const tq_range *range)
{
    static const tq_dtype dtypes[] = { TQ_U4, TQ_I4, TQ_U8, TQ_I8, TQ_U16, TQ_I16 };
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (range->q_min >= tq_dtype_min(dtypes[i]) &&
            tq_range_q_max(range) <= tq_dtype_max(dtypes[i]))
            return dtypes[i];
    return TQ_NONE;
}

static tq_status place_grid(const conversion *c, const tq_node *observer, placed_grid *out)
{
    const tq_tensor *x = tq_value_tensor(tq_node_input(observer, 0));
    const int axis = (int)tq_attr_int(tq_node_attrs(observer), "axis");
    *out = (placed_grid){ .n = 1, .axis = -1, .range = tq_observed_range(observer) };
    if (x && axis >= 0 && axis < x->type.rank && x->type.dims[axis] <= INT32_MAX) {
        out->n = (int)x->type.dims[axis];
        out->axis = axis;
    }
    out->scale = TQ_NEW_N(c->arena, float, out->n);
    out->zero_point = TQ_NEW_N(c->arena, int64_t, out->n);
    for (int64_t i = 0; i < out->n; i++) {
        tq_statistics s;
        if (x)
            observe_channel(x, out->axis, i, &s);
        else
            TQ_TRY(group_statistics(c, observer, &s));
        TQ_TRY(place_channel(observer, &s, i, out));
    }
    out->dtype = dtype_of(&out->range);
    if (out->dtype == TQ_NONE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "codes %lld to %lld fit no dtype of QuantizeLinear",
                       (long long)out->range.q_min, (long long)tq_range_q_max(&out->range));
    return TQ_OK;
}

/* ---- nodes ---- */

static tq_status add_constant(const conversion *c, const char *name, tq_dtype dtype, int rank,
                              int n, const int64_t *codes, const float *reals, tq_value **out)
{
    const tq_type type = tq_type_make(dtype, rank, (int64_t[]){ n });
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    for (int i = 0; i < n; i++) {
        if (reals)
            ((float *)tensor.data)[i] = reals[i];
        else
            tq_store_i64(tensor.data, dtype, i, codes[i]);
    }
    const tq_status status = tq_graph_add_constant(c->graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

/* Nodes are named after what was observed; a quantiser that was a pair has the name of its first.
 */
static const char *name_of(const conversion *c, const tq_node *node, const char *suffix)
{
    if (tq_node_is(node, "FakeQuantize"))
        return strcmp(suffix, "q") == 0
                   ? tq_node_name(node)
                   : tq_arena_printf(c->arena, "%s.%s", tq_node_name(node), suffix);
    const char *name = tq_attr_string(tq_node_attrs(node), "name");
    return tq_arena_printf(c->arena, "%s.%s", *name ? name : "observed", suffix);
}

static tq_status add_node(const conversion *c, tq_node *before, const char *suffix, const char *op,
                          tq_value *const *inputs, const tq_attr *attr, tq_value **out)
{
    tq_node *node;
    TQ_TRY(tq_graph_add_node(c->graph,
                             &(tq_node_spec){ .op = op,
                                              .name = name_of(c, before, suffix),
                                              .inputs = inputs,
                                              .n_inputs = 3,
                                              .attrs = attr,
                                              .n_attrs = attr != NULL,
                                              .before = before },
                             &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status clip_codes(const conversion *c, tq_node *observer, const placed_grid *grid,
                            tq_value **codes)
{
    const int64_t q_min = grid->range.q_min, q_max = tq_range_q_max(&grid->range);
    const char *name = tq_node_name(observer);
    tq_value *inputs[3] = { *codes };
    if (q_min == tq_dtype_min(grid->dtype) && q_max == tq_dtype_max(grid->dtype))
        return TQ_OK;
    TQ_TRY(add_constant(c, tq_arena_printf(c->arena, "%s.q_min", name), grid->dtype, 0, 1, &q_min,
                        NULL, &inputs[1]));
    TQ_TRY(add_constant(c, tq_arena_printf(c->arena, "%s.q_max", name), grid->dtype, 0, 1, &q_max,
                        NULL, &inputs[2]));
    return add_node(c, observer, "clip", "Clip", inputs, NULL, codes);
}

static tq_status add_pair(const conversion *c, tq_node *node, const placed_grid *grid)
{
    const int rank = grid->n > 1;
    const char *name = tq_node_name(node);
    tq_value *inputs[3] = { tq_node_input(node, 0) }, *codes, *y;
    TQ_TRY(add_constant(c, tq_arena_printf(c->arena, "%s.scale", name), TQ_F32, rank, grid->n, NULL,
                        grid->scale, &inputs[1]));
    TQ_TRY(add_constant(c, tq_arena_printf(c->arena, "%s.zero_point", name), grid->dtype, rank,
                        grid->n, grid->zero_point, NULL, &inputs[2]));
    const tq_attr axis = TQ_INT("axis", grid->axis);
    TQ_TRY(add_node(c, node, "q", "QuantizeLinear", inputs, rank ? &axis : NULL, &codes));
    tq_node *quantize = tq_value_producer(codes);
    TQ_TRY(clip_codes(c, node, grid, &codes));
    inputs[0] = codes;
    TQ_TRY(add_node(c, node, "dq", "DequantizeLinear", inputs, rank ? &axis : NULL, &y));
    tq_value_redirect_consumers(tq_node_output(node, 0), y);
    if (tq_node_is(node, "FakeQuantize")) {
        tq_graph_remove_node(c->graph, node);
        tq_node_set_name(quantize, name);
    }
    return TQ_OK;
}

static tq_status replace_observer(const conversion *c, tq_node *observer)
{
    placed_grid grid;
    TQ_TRY(place_grid(c, observer, &grid));
    return add_pair(c, observer, &grid);
}

/* ---- quantisers ---- */

/* The grid of a quantiser whose bits are those of a pair; false: it is none. */
static bool pair_grid(const conversion *c, const tq_node *node, placed_grid *out)
{
    tq_grid *grids;
    int n;
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_status status = tq_fake_grids(node, c->arena, &grids, &n);
    const bool known = !status && grids[0].rounding == TQ_ROUND_HALF_EVEN && grids[0].step == 1;
    tq_status_drop(status);
    if (!known)
        return false;
    *out = (placed_grid){ .n = n,
                          .axis = n > 1 ? (int)tq_attr_int(attrs, "axis") : -1,
                          .range = tq_fake_range(attrs),
                          .scale = TQ_NEW_N(c->arena, float, n),
                          .zero_point = TQ_NEW_N(c->arena, int64_t, n) };
    out->dtype = dtype_of(&out->range);
    bool fits = out->dtype != TQ_NONE;
    for (int i = 0; i < n; i++) {
        out->scale[i] = grids[i].scale;
        out->zero_point[i] = grids[i].zero_point;
        fits = fits && grids[i].zero_point >= tq_dtype_min(out->dtype) &&
               grids[i].zero_point <= tq_dtype_max(out->dtype);
    }
    return fits;
}

static tq_status replace_quantizer(const conversion *c, tq_node *node)
{
    placed_grid grid;
    return pair_grid(c, node, &grid) ? add_pair(c, node, &grid) : TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    conversion c = { .graph = graph, .arena = tq_scratch_create() };
    tq_status status = TQ_OK;
    int n = 0;
    for (tq_node *node = tq_graph_first(graph); node && !status; node = tq_node_next(node))
        if (tq_node_is(node, "Observer")) {
            status = tq_wrap(replace_observer(&c, node), "observer '%s'", tq_node_name(node));
            n++;
        }
    for (tq_node *node = tq_graph_first(graph), *next; n && node && !status; node = next) {
        next = tq_node_next(node);
        if (tq_node_is(node, "FakeQuantize"))
            status = replace_quantizer(&c, node);
    }
    if (n && !status) {
        tq_graph_sweep(graph);
        tq_graph_set_meta(graph, "graph-mode", "qdq");
        tq_graph_set_meta(graph, "dialect", "onnx"); /* the pairs are to be taken as they stand */
        tq_edit_log(edit, "%d observers became QuantizeLinear and DequantizeLinear", n);
    }
    tq_arena_destroy(c.arena);
    return status;
}

const tq_editor tq_editor_observers_to_qdq = {
    .entry = { .name = "observers-to-qdq",
               .brief = "observers become QuantizeLinear and DequantizeLinear" },
    .stage = TQ_EDIT_FAKE,
    .after = "insert-observers",
    .by_name = true,
    .run = run,
};
