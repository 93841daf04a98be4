/* Observer(x) -> x: a place in the network where values are watched. It changes nothing;
 * calibration leaves what was seen with the node (metadata "observed.n", ".min", ".max", ".mean",
 * ".m2": tq_statistics), and the attributes, those of FakeQuantize, say what grid will be placed by
 * it. Observers with the same `group` share one grid. */
#include "ops/integer_rules_internal.h"
#include "ops/ops.h"

#include <string.h>

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_FLOAT));
    return tq_op_infer_same(t);
}

static void reference(const tq_op_run *run)
{
    const tq_type *type = run->in_types[0];
    if (run->out[0] != run->in[0])
        memcpy(run->out[0], run->in[0], (size_t)tq_type_count(type) * tq_dtype_size(type->dtype));
}

static tq_status gradient(tq_grad *g)
{
    tq_grad_set(g, 0, tq_grad_of_output(g, 0));
    return TQ_OK;
}

const tq_op tq_op_observer = {
    .entry = { .name = "Observer", .brief = "x as it is; its statistics are collected here" },
    .domain = "truq",
    .flags = TQ_OP_MOVES | TQ_OP_ELEMENTWISE,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { { .name = "kind",
                 .kind = TQ_ATTR_STRING,
                 .s = "minmax" }, /* init: how a range follows */
               { .name = "name",
                 .kind = TQ_ATTR_STRING,
                 .s = "" }, /* of the value that is watched */
               { .name = "slot", .kind = TQ_ATTR_STRING, .s = "" },
               { .name = "group", .kind = TQ_ATTR_STRING, .s = "" },
               { .name = "q_min", .kind = TQ_ATTR_INT },
               { .name = "n_levels", .kind = TQ_ATTR_INT, .i = 256 },
               { .name = "axis", .kind = TQ_ATTR_INT, .i = -1 },
               { .name = "free_offset", .kind = TQ_ATTR_INT },
               { .name = "power_of_two", .kind = TQ_ATTR_INT },
               { .name = "observe", .kind = TQ_ATTR_INT, .i = 1 },
               { .name = "unsigned_if_positive", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_same,
};
