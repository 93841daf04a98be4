/* The list of all operators that run shard by shard, and what they share. */
#include "kernels/f32/sharded/sharded_internal.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define TQ_SHARDED(name) extern const tq_sharded tq_sharded_##name;
#include "kernels/f32/sharded/sharded.def"
#undef TQ_SHARDED

#define TQ_SHARDED(name) &tq_sharded_##name,
static const tq_sharded *const all[] = {
#include "kernels/f32/sharded/sharded.def"
};
#undef TQ_SHARDED

static bool serves(const tq_sharded *s, const tq_op *op)
{
    return !s->op || !strcmp(s->op, op->entry.name);
}

static tq_ports ports_of(const tq_sharded *s)
{
    tq_ports ports = { 0 };
    for (int i = 0; i < s->n_parts; i++) {
        ports.reads[i] = s->parts[i].reads;
        ports.writes[i] = s->parts[i].writes;
    }
    return ports;
}

tq_status tq_sharded_prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *out_ports,
                             const tq_sharded **out_sharded, void **out_state)
{
    *out_sharded = NULL;
    *out_state = NULL;
    if (shapes->n_in > TQ_OP_MAX_NAMES || shapes->n_out > TQ_OP_MAX_NAMES || tq_block_size() == 0)
        return TQ_OK;
    for (int i = 0; i < TQ_COUNT(all); i++) {
        if (!serves(all[i], op) || !all[i]->accepts(op, shapes))
            continue;
        *out_ports = ports_of(all[i]);
        const tq_status status = all[i]->prepare(op, shapes, out_ports, out_state);
        if (!status)
            *out_sharded = all[i];
        if (!status || tq_status_code(status) != TQ_ERR_UNSUPPORTED)
            return status;
        tq_status_drop(status);
    }
    return TQ_OK;
}

/* ---- factors and sums ---------------------------------------------------------------------- */

static int64_t padded(int64_t n_channels)
{
    const int64_t block = tq_block_size();
    return (n_channels + block - 1) / block * block;
}

tq_status tq_factors_init(tq_factors *factors, int64_t n_channels, int n_rows)
{
    factors->n_channels = n_channels;
    factors->n_padded = padded(n_channels);
    factors->rows = tq_allocate((size_t)(n_rows * factors->n_padded) * sizeof(float));
    return factors->rows ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "no memory for factors of channels");
}

bool tq_is_batch(const tq_op_run *run, int i)
{
    const tq_type *type = i < run->n_in ? run->in_types[i] : NULL;
    return type && type->dtype == TQ_F32 && type->rank >= 2 && tq_type_count(type) > 0;
}

size_t tq_sums_size(int64_t n_channels, int n)
{
    return (size_t)(padded(n_channels) * n) * sizeof(double);
}
