/* WeightRange: channels, or pieces of a tensor of one range, on all threads. */
#include "kernels/f32/loops_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { W, MAX_PIECES = 64, PIECE = 16384, SMALL_PIECE = 4096 };

typedef struct job {
    const tq_loops *loops;
    const tq_op_run *run;
    tq_fake fake;
    tq_init init;
    int64_t n, n_pieces; /* of the tensor, or of its channels */
    tq_statistics parts[MAX_PIECES];
} job;

static bool accepts(const tq_op_run *run)
{
    tq_fake fake;
    tq_init init;
    tq_status status = tq_fake_read(run->attrs, run->registry, &fake);
    if (!status)
        status = tq_init_find(run->registry, tq_attr_string(run->attrs, "init"), &init);
    tq_status_drop(status);
    return !status && run->in_types[W]->dtype == TQ_F32 && tq_type_count(run->in_types[W]) > 0;
}

static void store(const job *j, int64_t c, const tq_statistics *s)
{
    const tq_fake *f = &j->fake;
    float params[TQ_QUANTIZER_MAX_PARAMS];
    double a, b;
    tq_status status = tq_init_range(&j->init, s, &a, &b);
    if (!status)
        status = f->quantizer->init(&f->range, a, b, params);
    for (int k = 0; k < j->run->n_out; k++)
        if (j->run->out[k])
            ((float *)j->run->out[k])[c] = status ? NAN : params[k];
    tq_status_drop(status);
}

static void observe(const job *j, int64_t n, const float *x, tq_statistics *into)
{
    j->loops->observe(n, x, tq_init_is_extremes(&j->init), into);
}

static void channel(const job *j, int64_t c)
{
    const tq_fake *f = &j->fake;
    tq_statistics s;
    tq_statistics_reset(&s);
    for (int64_t o = 0; o < f->n_outer; o++)
        observe(j, f->n_inner, (const float *)j->run->in[W] + (o * f->n_channels + c) * f->n_inner,
                &s);
    store(j, c, &s);
}

static void channels(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    int64_t begin, end;
    tq_shard_range(j->fake.n_channels, j->n_pieces, i, &begin, &end);
    for (int64_t c = begin; c < end; c++)
        channel(j, c);
}

static void piece(void *context, int64_t i, int worker)
{
    (void)worker;
    job *j = context;
    int64_t begin, end;
    tq_shard_range(j->n, j->n_pieces, i, &begin, &end);
    tq_statistics_reset(&j->parts[i]);
    observe(j, end - begin, (const float *)j->run->in[W] + begin, &j->parts[i]);
}

static void run(const tq_op_run *run_, void *state)
{
    job j = { .loops = state, .run = run_, .n = tq_type_count(run_->in_types[W]) };
    tq_status_drop(tq_fake_read(run_->attrs, run_->registry, &j.fake));
    tq_status_drop(tq_init_find(run_->registry, tq_attr_string(run_->attrs, "init"), &j.init));
    tq_fake_layout(run_->attrs, run_->in_types[W], &j.fake);
    if (j.fake.n_channels > 1) {
        j.n_pieces = tq_clip_i64(j.n / SMALL_PIECE, 1, j.fake.n_channels);
        tq_parallel_for(run_->pool, j.n_pieces, channels, &j);
        return;
    }
    j.n_pieces = tq_clip_i64(j.n / PIECE, 1, MAX_PIECES);
    tq_parallel_for(run_->pool, j.n_pieces, piece, &j);
    for (int64_t i = 1; i < j.n_pieces; i++)
        tq_statistics_merge(&j.parts[0], &j.parts[i]);
    store(&j, 0, &j.parts[0]);
}

const tq_kernel tq_kernel_f32_weight_range = {
    .entry = { .name = "WeightRange", .brief = "f32 loops" },
    .accepts = accepts,
    .prepare = tq_loops_prepare,
    .run = run,
};
