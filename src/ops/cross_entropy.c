/* Mean cross-entropy of classes with label smoothing, and its gradient.
 *
 *   p[n]  = softmax(logits[n]),  t[n][c] = (1 - e) * (c == labels[n]) + e / C
 *   loss  = 1/N sum_n sum_c -t[n][c] * log p[n][c]
 *   d loss / d logits[n][c] = (p[n][c] - t[n][c]) / N * dloss
 *
 *   logits  [N, C]  f32
 *   labels  [N]     i64, each in 0 .. C-1 (any other gives a loss of NaN and no gradient)
 *
 * Summed in double over a fixed number of shards and a fixed tree. Source of the smoothing:
 * Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7. */
#include "ops/ops.h"

#include <math.h>

enum { LOGITS, LABELS, DLOSS };
enum { MAX_SHARDS = 64 };

static tq_status check(const tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, LOGITS, 1 << TQ_F32));
    TQ_TRY(tq_op_need_rank(t, LOGITS, 2, 2));
    TQ_TRY(tq_op_need_dtype(t, LABELS, 1 << TQ_I64));
    TQ_TRY(tq_op_need_rank(t, LABELS, 1, 1));
    if (!tq_dim_fits(t->in[LOGITS]->dims[0], t->in[LABELS]->dims[0]))
        return tq_fail(TQ_ERR_SHAPE, "logits are %s, labels are %s; expected [N, C] and [N]",
                       tq_type_text(t->in[LOGITS]).s, tq_type_text(t->in[LABELS]).s);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(check(t));
    t->out[0] = tq_type_make(TQ_F32, 0, NULL);
    return TQ_OK;
}

/** log sum exp of a row, without overflow. */
static double log_sum_exp(const float *row, int64_t n_classes)
{
    double max = row[0], sum = 0.0;
    for (int64_t c = 1; c < n_classes; c++)
        max = row[c] > max ? (double)row[c] : max;
    for (int64_t c = 0; c < n_classes; c++)
        sum += exp((double)row[c] - max);
    return max + log(sum);
}

double tq_cross_entropy_row(const float *row, int64_t n_classes, int64_t label, double smoothing)
{
    if (label < 0 || label >= n_classes)
        return (double)NAN;
    const double log_sum = log_sum_exp(row, n_classes);
    double mean = 0.0;
    for (int64_t c = 0; smoothing > 0.0 && c < n_classes; c++)
        mean += (log_sum - (double)row[c]) / (double)n_classes;
    return (1.0 - smoothing) * (log_sum - (double)row[label]) + smoothing * mean;
}

static void reference(const tq_op_run *run)
{
    const float *logits = run->in[LOGITS];
    const int64_t *labels = run->in[LABELS];
    const int64_t n = run->in_types[LOGITS]->dims[0], n_classes = run->in_types[LOGITS]->dims[1];
    const double smoothing = (double)tq_attr_float(run->attrs, "label_smoothing");
    const int64_t n_shards = tq_clip_i64(run->n_shards, 1, MAX_SHARDS);
    double parts[MAX_SHARDS] = { 0.0 };
    for (int64_t s = 0; s < n_shards; s++) {
        int64_t begin, end;
        tq_shard_range(n, n_shards, s, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            parts[s] +=
                tq_cross_entropy_row(logits + i * n_classes, n_classes, labels[i], smoothing);
    }
    tq_tree_sum_f64(parts, n_shards, 1, 1);
    *(float *)run->out[0] = (float)(parts[0] / (double)n);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, LOGITS, "CrossEntropyGrad", tq_grad_input(g, LOGITS),
                        tq_grad_input(g, LABELS), tq_grad_of_output(g, 0));
}

static tq_status infer_gradient(tq_op_types *t)
{
    TQ_TRY(check(t));
    TQ_TRY(tq_op_need_dtype(t, DLOSS, 1 << TQ_F32));
    TQ_TRY(tq_op_need_rank(t, DLOSS, 0, 0));
    t->out[0] = *t->in[LOGITS];
    return TQ_OK;
}

void tq_cross_entropy_row_grad(const float *row, int64_t n_classes, int64_t label, double smoothing,
                               double factor, float *dlogits)
{
    const bool valid = label >= 0 && label < n_classes;
    const double log_sum = valid ? log_sum_exp(row, n_classes) : 0.0;
    for (int64_t c = 0; c < n_classes; c++) {
        const double target = (c == label ? 1.0 - smoothing : 0.0) + smoothing / (double)n_classes;
        dlogits[c] = valid ? (float)(factor * (exp((double)row[c] - log_sum) - target)) : 0.0f;
    }
}

static void reference_gradient(const tq_op_run *run)
{
    const int64_t n = run->in_types[LOGITS]->dims[0], n_classes = run->in_types[LOGITS]->dims[1];
    const double smoothing = (double)tq_attr_float(run->attrs, "label_smoothing");
    const double factor = (double)*(const float *)run->in[DLOSS] / (double)n;
    for (int64_t i = 0; i < n; i++)
        tq_cross_entropy_row_grad((const float *)run->in[LOGITS] + i * n_classes, n_classes,
                                  ((const int64_t *)run->in[LABELS])[i], smoothing, factor,
                                  (float *)run->out[0] + i * n_classes);
}

const tq_op tq_op_cross_entropy = {
    .entry = { .name = "CrossEntropy",
               .brief = "mean cross-entropy of classes with label smoothing",
               .source = "arXiv:1512.00567" },
    .domain = "truq",
    .inputs = { "logits", "labels" },
    .outputs = { "loss" },
    .attrs = { { .name = "label_smoothing", .kind = TQ_ATTR_FLOAT, .f = 0.0f } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};

const tq_op tq_op_cross_entropy_grad = {
    .entry = { .name = "CrossEntropyGrad", .brief = "gradient of CrossEntropy" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "logits", "labels", "dloss" },
    .outputs = { "dlogits" },
    .attrs = { { .name = "label_smoothing", .kind = TQ_ATTR_FLOAT, .f = 0.0f } },
    .infer = infer_gradient,
    .reference = reference_gradient,
};
