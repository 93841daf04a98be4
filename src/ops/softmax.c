/* Softmax and its logarithm along one axis (ONNX Softmax-13, LogSoftmax-13), and their gradients:
 *
 *   y_i = e^(x_i - m) / s,   log y_i = x_i - m - log s,      m = max x,  s = sum_j e^(x_j - m)
 *   Softmax:     dx_i = y_i (dy_i - sum_j y_j dy_j)
 *   LogSoftmax:  dx_i = dy_i - e^(y_i) sum_j dy_j            (y the logarithm)
 *
 * f32, computed in double and rounded once. */
#include "ops/integer_rules_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { X };
enum { Y, DY }; /* of the gradients */

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 1, TQ_MAX_RANK));
    int axis;
    TQ_TRY(tq_op_axis(tq_attr_int(t->attrs, "axis"), t->in[X]->rank, &axis));
    return tq_op_infer_same(t);
}

static tq_status infer_grad(tq_op_types *t)
{
    TQ_TRY(tq_unary_infer_grad(t));
    return infer(t);
}

/* Rows along the axis: element j of row r is at tq_row(r) + j * step. */
typedef struct rows {
    int64_t n, length, step;
} rows;

static rows rows_of(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const int64_t given = tq_attr_int(run->attrs, "axis");
    const int axis = (int)(given < 0 ? given + x->rank : given);
    const int64_t step = tq_type_count_from(x, axis + 1);
    return (rows){ tq_type_count_to(x, axis) * step, x->dims[axis], step };
}

static int64_t row_at(const rows *r, int64_t row)
{
    return row / r->step * r->step * r->length + row % r->step;
}

/** m and s of a row. */
static void log_sum(const rows *r, const float *x, double *out_max, double *out_sum)
{
    double max = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < r->length; j++)
        max = (double)x[j * r->step] > max ? (double)x[j * r->step] : max;
    for (int64_t j = 0; j < r->length; j++)
        sum += exp((double)x[j * r->step] - max);
    *out_max = max;
    *out_sum = sum;
}

static void softmax_rows(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const rows r = rows_of(run);
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)run->in[X] + row_at(&r, row);
        float *y = (float *)run->out[0] + row_at(&r, row);
        double max, sum;
        log_sum(&r, x, &max, &sum);
        for (int64_t j = 0; j < r.length; j++)
            y[j * r.step] = (float)(exp((double)x[j * r.step] - max) / sum);
    }
}

static void log_softmax_rows(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const rows r = rows_of(run);
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)run->in[X] + row_at(&r, row);
        float *y = (float *)run->out[0] + row_at(&r, row);
        double max, sum;
        log_sum(&r, x, &max, &sum);
        const double shift = max + log(sum);
        for (int64_t j = 0; j < r.length; j++)
            y[j * r.step] = (float)((double)x[j * r.step] - shift);
    }
}

static void softmax_grad_rows(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const rows r = rows_of(run);
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row_at(&r, row);
        const float *y = (const float *)run->in[Y] + at, *dy = (const float *)run->in[DY] + at;
        float *dx = (float *)run->out[0] + at;
        double dot = 0.0;
        for (int64_t j = 0; j < r.length; j++)
            dot += (double)y[j * r.step] * (double)dy[j * r.step];
        for (int64_t j = 0; j < r.length; j++)
            dx[j * r.step] = (float)((double)y[j * r.step] * ((double)dy[j * r.step] - dot));
    }
}

static void log_softmax_grad_rows(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const rows r = rows_of(run);
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row_at(&r, row);
        const float *y = (const float *)run->in[Y] + at, *dy = (const float *)run->in[DY] + at;
        float *dx = (float *)run->out[0] + at;
        double sum = 0.0;
        for (int64_t j = 0; j < r.length; j++)
            sum += (double)dy[j * r.step];
        for (int64_t j = 0; j < r.length; j++)
            dx[j * r.step] = (float)((double)dy[j * r.step] - exp((double)y[j * r.step]) * sum);
    }
}

static void reference_softmax(const tq_op_run *run)
{
    tq_run_for(run, rows_of(run).n, 8, softmax_rows, (void *)run);
}
static void reference_log_softmax(const tq_op_run *run)
{
    tq_run_for(run, rows_of(run).n, 8, log_softmax_rows, (void *)run);
}
static void reference_softmax_grad(const tq_op_run *run)
{
    tq_run_for(run, rows_of(run).n, 8, softmax_grad_rows, (void *)run);
}
static void reference_log_softmax_grad(const tq_op_run *run)
{
    tq_run_for(run, rows_of(run).n, 8, log_softmax_grad_rows, (void *)run);
}

static tq_status gradient_softmax(tq_grad *g)
{
    return tq_grad_emit(g, X, "SoftmaxGrad", tq_grad_output(g, 0), tq_grad_of_output(g, 0));
}
static tq_status gradient_log_softmax(tq_grad *g)
{
    return tq_grad_emit(g, X, "LogSoftmaxGrad", tq_grad_output(g, 0), tq_grad_of_output(g, 0));
}

const tq_op tq_op_softmax = {
    .entry = { .name = "Softmax",
               .brief = "e^x over its sum along an axis",
               .source = "ONNX Softmax-13" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_INT("axis", -1) },
    .infer = infer,
    .reference = reference_softmax,
    .gradient = gradient_softmax,
    .integerise = tq_integerise_softmax,
};

const tq_op tq_op_log_softmax = {
    .entry = { .name = "LogSoftmax",
               .brief = "logarithm of Softmax",
               .source = "ONNX LogSoftmax-13" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_INT("axis", -1) },
    .infer = infer,
    .reference = reference_log_softmax,
    .gradient = gradient_log_softmax,
};

const tq_op tq_op_softmax_grad = {
    .entry = { .name = "SoftmaxGrad", .brief = "gradient of Softmax" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "y", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_INT("axis", -1) },
    .infer = infer_grad,
    .reference = reference_softmax_grad,
};

const tq_op tq_op_log_softmax_grad = {
    .entry = { .name = "LogSoftmaxGrad", .brief = "gradient of LogSoftmax" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "y", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_INT("axis", -1) },
    .infer = infer_grad,
    .reference = reference_log_softmax_grad,
};
