/* From one form of a value to another. */
#include "base/base.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>

typedef struct state {
    const tq_blocks *blocks;
    int64_t n_channels, plane, n_plain, n_blocked;
} state;

static void to_blocked(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block;
    for (int64_t i = 0; i < shard->n; i++)
        for (int64_t c = 0; c < s->n_channels; c += block)
            s->blocks->gather(s->plane, (int)tq_clip_i64(s->n_channels - c, 0, block), s->plane,
                              shard->in[0] + i * s->n_plain + c * s->plane,
                              shard->out[0] + i * s->n_blocked + c * s->plane);
}

static void to_plain(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const int64_t block = s->blocks->block;
    for (int64_t i = 0; i < shard->n; i++)
        for (int64_t c = 0; c < s->n_channels; c += block)
            s->blocks->scatter(s->plane, (int)tq_clip_i64(s->n_channels - c, 0, block), s->plane,
                               shard->in[0] + i * s->n_blocked + c * s->plane,
                               shard->out[0] + i * s->n_plain + c * s->plane);
}

static void to_half(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->to_half(t->n, t->in[0], (uint16_t *)(void *)t->out[0]);
}

static void from_half(const void *state_, const tq_tile *t)
{
    const state *s = state_;
    s->blocks->from_half(t->n, (const uint16_t *)(const void *)t->in[0], t->out[0]);
}

#define SAMPLES(sample_)                                                                           \
    {                                                                                              \
        .release = free, .n_parts = 1, .parts = { { .kind = TQ_PART_SAMPLE, .sample = sample_ } }  \
    }
#define TILES(tile_)                                                                               \
    {                                                                                              \
        .release = free, .n_parts = 1, .parts = {                                                  \
            { .kind = TQ_PART_TILE, .keeps_zero = true, .tile = tile_ }                            \
        }                                                                                          \
    }

static const struct converter {
    tq_form from, to;
    tq_sharded sharded;
} converters[] = {
    { TQ_FORM_PLAIN, TQ_FORM_BLOCKED, SAMPLES(to_blocked) },
    { TQ_FORM_BLOCKED, TQ_FORM_PLAIN, SAMPLES(to_plain) },
    { TQ_FORM_BLOCKED, TQ_FORM_HALF, TILES(to_half) },
    { TQ_FORM_HALF, TQ_FORM_BLOCKED, TILES(from_half) },
};

tq_status tq_convert_prepare(const tq_type *type, tq_form from, tq_form to, tq_ports *out_ports,
                             const tq_sharded **out_sharded, void **out_state)
{
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory to change a layout");
    *s = (state){ .blocks = tq_blocks_best(),
                  .n_channels = type->dims[1],
                  .plane = tq_type_count_from(type, 2),
                  .n_plain = tq_form_count(type, TQ_FORM_PLAIN),
                  .n_blocked = tq_form_count(type, TQ_FORM_BLOCKED) };
    *out_ports = (tq_ports){ .reads = { 1 }, .writes = { 1 }, .in = { from }, .out = { to } };
    int i = 0;
    while (converters[i].from != from || converters[i].to != to)
        i++;
    *out_sharded = &converters[i].sharded;
    *out_state = s;
    return TQ_OK;
}
