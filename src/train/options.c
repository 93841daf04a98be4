/* What was asked of a training, before anything is opened. */
#include "train/train_internal.h"

#include <string.h>

static tq_status check_compute(const char *compute)
{
    if (!compute || !strcmp(compute, "f32"))
        return TQ_OK;
    if (strcmp(compute, "bf16") != 0)
        return tq_fail(TQ_ERR_VALUE, "unknown arithmetic '%s'; expected f32 or bf16", compute);
    if (!(tq_cpu_flags() & TQ_CPU_AVX512BF16))
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "this CPU has no AVX512-BF16, which bf16 needs; compute in f32");
    return TQ_OK;
}

/** More ranks than shards would all do the same. */
static tq_status check_ranks(const tq_train_options *o)
{
    const int n_ranks = tq_ranks_count(o->ranks);
    const int64_t n_shards = tq_clip_i64(o->batch, 1, o->n_shards > 0 ? o->n_shards : 16);
    if (n_ranks <= n_shards)
        return TQ_OK;
    return tq_fail(TQ_ERR_VALUE,
                   "%d ranks cannot share %lld shards; start fewer, or make --batch or --shards "
                   "larger",
                   n_ranks, (long long)n_shards);
}

tq_status tq_train_options_check(const tq_train_options *o)
{
    const char *bn = o->bn ? o->bn : "train";
    if (o->epochs < 1 || o->batch < 1)
        return tq_fail(TQ_ERR_VALUE, "epochs and batch must be at least 1");
    if (!(o->label_smoothing >= 0.0 && o->label_smoothing < 1.0))
        return tq_fail(TQ_ERR_VALUE, "label smoothing is %g; expected 0 to below 1",
                       o->label_smoothing);
    if (!(o->warmup_epochs >= 0.0 && o->warmup_epochs <= (double)o->epochs))
        return tq_fail(TQ_ERR_VALUE, "%g warm-up epochs in %lld epochs", o->warmup_epochs,
                       (long long)o->epochs);
    if (strcmp(bn, "train") && strcmp(bn, "freeze"))
        return tq_fail(TQ_ERR_VALUE, "unknown batch norm mode '%s'; expected train or freeze", bn);
    TQ_TRY(check_compute(o->compute));
    return check_ranks(o);
}

tq_optimizer_params tq_train_params(const tq_train_options *options, const tq_optimizer *optimizer)
{
    const tq_optimizer_params *d = &optimizer->defaults;
    tq_optimizer_params p = options->params;
    p.lr = p.lr > 0.0 ? p.lr : d->lr;
    p.beta1 = p.beta1 > 0.0 ? p.beta1 : d->beta1;
    p.beta2 = p.beta2 > 0.0 ? p.beta2 : d->beta2;
    p.epsilon = p.epsilon > 0.0 ? p.epsilon : d->epsilon;
    p.momentum = p.momentum >= 0.0 ? p.momentum : d->momentum;
    p.weight_decay = p.weight_decay >= 0.0 ? p.weight_decay : d->weight_decay;
    p.pact_decay = p.pact_decay >= 0.0 ? p.pact_decay : d->pact_decay;
    return p;
}
