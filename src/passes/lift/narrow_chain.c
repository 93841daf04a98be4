/* Requantisations in the dialects of integer networks:
 *
 *   QuantLib, DORY   Mul, Add, ShiftRight (Div by 2^n once), Clip
 *   NEMO             Mul, Add, Mul, ShiftRight, Clip
 *   Deeploy          RequantShift, which adds half a step itself
 *
 * Products and sums with constants are read from the shift back, and compose exactly:
 *
 *   m (k u) + a = (m k) u + a        m (u + l) + a = m u + (a + m l) */
#include "passes/lift/narrow.h"

#include "ops/ops.h"

#include <string.h>

const tq_tensor *tq_narrow_constant(const tq_node *node, int i)
{
    const tq_value *value = tq_node_n_inputs(node) > i ? tq_node_input(node, i) : NULL;
    return value ? tq_value_tensor(value) : NULL;
}

/* The axis of x along which the constant runs, -1 for one entry; -2: along several, or beyond x.
 * RequantShift takes what does not fit otherwise for channels. */
static int axis_of(const tq_type *x, const tq_type *v, bool may_be_channels)
{
    int at = -1;
    for (int d = 0; d < v->rank; d++) {
        if (v->dims[d] != 1 && at >= 0)
            return -2;
        at = v->dims[d] != 1 ? d : at;
    }
    if (at < 0)
        return -1;
    const int axis = x->rank - v->rank + at;
    const bool fits = axis >= 0 && tq_dim_fits(x->dims[axis], v->dims[at]);
    const bool channels = may_be_channels && x->rank > 1 && tq_dim_fits(x->dims[1], v->dims[at]) &&
                          (!fits || (x->rank == 3 && v->rank == 3 && at == 0));
    return channels ? 1 : fits ? axis : -2;
}

/* Makes room for entries along the constant's axis; false if they do not go together. */
static bool widen(tq_narrow_chain *c, const tq_type *v, bool may_be_channels, tq_arena *arena)
{
    const int axis = axis_of(tq_value_type(c->x), v, may_be_channels);
    if (axis == -1)
        return true;
    if (axis == -2 || (c->axis >= 0 && c->axis != axis))
        return false;
    const int64_t n = tq_type_count(v);
    if (c->axis >= 0)
        return n == c->n;
    int64_t *mul = TQ_NEW_N(arena, int64_t, n), *add = TQ_NEW_N(arena, int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        mul[i] = c->mul[0];
        add[i] = c->add[0];
    }
    c->axis = axis;
    c->n = n;
    c->mul = mul;
    c->add = add;
    return true;
}

static int64_t entry(const tq_tensor *v, int64_t i)
{
    return tq_load_i64(v->data, v->type.dtype, tq_tensor_count(v) == 1 ? 0 : i);
}

/* What goes into the clip is mul * (k u) + add. */
static bool take_product(tq_narrow_chain *c, const tq_tensor *k, bool channels, tq_arena *arena)
{
    bool fits = widen(c, &k->type, channels, arena);
    for (int64_t i = 0; fits && i < c->n; i++)
        fits = !__builtin_mul_overflow(c->mul[i], entry(k, i), &c->mul[i]);
    return fits;
}

/* What goes into the clip is mul * (u + l) + add. */
static bool take_sum(tq_narrow_chain *c, const tq_tensor *l, bool channels, tq_arena *arena)
{
    bool fits = widen(c, &l->type, channels, arena);
    for (int64_t i = 0; fits && i < c->n; i++) {
        int64_t more;
        fits = !__builtin_mul_overflow(c->mul[i], entry(l, i), &more) &&
               !__builtin_add_overflow(c->add[i], more, &c->add[i]);
    }
    return fits;
}

static void begin(tq_narrow_chain *c, tq_value *x, int64_t half, tq_arena *arena)
{
    c->x = x;
    c->axis = -1;
    c->n = 1;
    c->mul = TQ_NEW(arena, int64_t);
    c->add = TQ_NEW(arena, int64_t);
    c->mul[0] = 1;
    c->add[0] = half;
}

/* ---- Deeploy ---- */

static bool read_requant_shift(const tq_node *node, tq_arena *arena, tq_narrow_chain *out)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const int64_t n = tq_pact_number(attrs, "n_levels_out", tq_pact_number(attrs, "n_levels", 256));
    const int64_t div = tq_pact_number(attrs, "div", 0);
    const tq_tensor *mul = tq_narrow_constant(node, 1), *add = tq_narrow_constant(node, 2);
    if (div < 1 || (div & (div - 1)) != 0 || !mul || !add)
        return false;
    *out = (tq_narrow_chain){ .shift = __builtin_ctzll((uint64_t)div),
                              .q_min = tq_pact_number(attrs, "signed", 0) ? -(n / 2) : 0 };
    out->q_max = out->q_min + n - 1;
    begin(out, tq_node_input(node, 0), out->shift > 0 ? INT64_C(1) << (out->shift - 1) : 0, arena);
    return take_sum(out, add, true, arena) && take_product(out, mul, true, arena);
}

/* ---- QuantLib, NEMO ---- */

/* The producer of the value if it is of this operator and nobody else reads what it makes. */
static const tq_node *step_before(const tq_value *value, const char *op)
{
    const tq_node *node = tq_value_producer(value);
    return node && tq_node_is(node, op) && tq_value_n_consumers(value) == 1 &&
                   !tq_value_is_output(value)
               ? node
               : NULL;
}

/* The operand that is no constant becomes *x, the constant is returned; NULL: there is none. */
static const tq_tensor *split_operands(const tq_node *node, tq_value **x)
{
    for (int i = 0; i < 2; i++)
        if (tq_narrow_constant(node, i) && !tq_narrow_constant(node, 1 - i)) {
            *x = tq_node_input(node, 1 - i);
            return tq_narrow_constant(node, i);
        }
    return NULL;
}

/* One more step back; false: there is none that fits. */
static bool step_back(tq_narrow_chain *c, tq_arena *arena)
{
    const tq_node *add = step_before(c->x, "Add"), *mul = step_before(c->x, "Mul");
    const tq_node *node = add ? add : mul;
    tq_value *x = c->x;
    tq_narrow_chain tried = *c;
    const tq_tensor *v = node && c->n_inner < TQ_NARROW_MAX_INNER ? split_operands(node, &x) : NULL;
    if (!v)
        return false;
    tried.mul = tq_arena_memdup(arena, c->mul, (size_t)c->n * sizeof *c->mul);
    tried.add = tq_arena_memdup(arena, c->add, (size_t)c->n * sizeof *c->add);
    if (!(add ? take_sum(&tried, v, false, arena) : take_product(&tried, v, false, arena)))
        return false;
    tried.x = x;
    tried.inner[tried.n_inner++] = node;
    *c = tried;
    return true;
}

static bool read_clip(const tq_node *node, tq_arena *arena, tq_narrow_chain *out)
{
    const tq_tensor *lo = tq_narrow_constant(node, 1), *hi = tq_narrow_constant(node, 2);
    const tq_node *shift = step_before(tq_node_input(node, 0), "ShiftRight");
    if (!lo || !hi || tq_tensor_count(lo) != 1 || tq_tensor_count(hi) != 1 || !shift)
        return false;
    *out = (tq_narrow_chain){ .shift = tq_attr_int(tq_node_attrs(shift), "shift"),
                              .q_min = entry(lo, 0),
                              .q_max = entry(hi, 0),
                              .n_inner = 1,
                              .inner = { shift } };
    begin(out, tq_node_input(shift, 0), 0, arena);
    while (step_back(out, arena))
        continue;
    return out->q_min <= out->q_max;
}

bool tq_narrow_find_chain(const tq_node *end, tq_arena *arena, tq_narrow_chain *out)
{
    if (tq_node_is(end, "RequantShift"))
        return read_requant_shift(end, arena, out);
    return tq_node_is(end, "Clip") && read_clip(end, arena, out);
}
