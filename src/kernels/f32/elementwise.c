/* Relu, Clip and their gradients, and Add, Sub, Mul of operands of one shape. Bit for bit the
 * reference. */
#include "kernels/f32/loops_internal.h"

#include <math.h>

typedef struct job {
    const tq_loops *loops;
    const float *a, *b;
    float *y;
    float lo, hi;
} job;

typedef void (*range_piece)(void *context, int64_t begin, int64_t end);

static bool is_f32_as(const tq_op_run *run, int i)
{
    return i < run->n_in && run->in_types[i] && run->in_types[i]->dtype == TQ_F32 &&
           tq_type_equal(run->in_types[i], run->out_types[0]);
}

static bool accepts_unary(const tq_op_run *run)
{
    return is_f32_as(run, 0);
}
static bool accepts_binary(const tq_op_run *run)
{
    return is_f32_as(run, 0) && is_f32_as(run, 1);
}

static void run_pieces(const tq_op_run *run, job *j, range_piece piece)
{
    tq_for_range(run->pool, tq_type_count(run->out_types[0]), piece, j);
}

#define BINARY(name, loop)                                                                         \
    static void name##_piece(void *context, int64_t begin, int64_t end)                            \
    {                                                                                              \
        const job *j = context;                                                                    \
        j->loops->loop(end - begin, j->a + begin, j->b + begin, j->y + begin);                     \
    }                                                                                              \
    static void name##_run(const tq_op_run *run, void *state)                                      \
    {                                                                                              \
        job j = { .loops = state, .a = run->in[0], .b = run->in[1], .y = run->out[0] };            \
        run_pieces(run, &j, name##_piece);                                                         \
    }
BINARY(add, add)
BINARY(sub, sub)
BINARY(mul, mul)
BINARY(relu_grad, relu_grad)

static void relu_piece(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    j->loops->relu(end - begin, j->a + begin, j->y + begin);
}

static void relu_run(const tq_op_run *run, void *state)
{
    job j = { .loops = state, .a = run->in[0], .y = run->out[0] };
    run_pieces(run, &j, relu_piece);
}

/* ---- Clip(x, ?min, ?max), ClipGrad(x, ?min, ?max, dy) -------------------------------------- */

static float bound(const tq_op_run *run, int i, float otherwise)
{
    return i < run->n_in && run->in[i] ? *(const float *)run->in[i] : otherwise;
}

static void clip_piece(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    j->loops->clip(end - begin, j->a + begin, j->lo, j->hi, j->y + begin);
}

static void clip_run(const tq_op_run *run, void *state)
{
    job j = { .loops = state,
              .a = run->in[0],
              .y = run->out[0],
              .lo = bound(run, 1, -INFINITY),
              .hi = bound(run, 2, INFINITY) };
    run_pieces(run, &j, clip_piece);
}

static bool accepts_clip_grad(const tq_op_run *run)
{
    return is_f32_as(run, 0) && is_f32_as(run, 3);
}

static void clip_grad_piece(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    j->loops->clip_grad(end - begin, j->a + begin, j->b + begin, j->lo, j->hi, j->y + begin);
}

static void clip_grad_run(const tq_op_run *run, void *state)
{
    job j = { .loops = state,
              .a = run->in[0],
              .b = run->in[3],
              .y = run->out[0],
              .lo = bound(run, 1, -INFINITY),
              .hi = bound(run, 2, INFINITY) };
    run_pieces(run, &j, clip_grad_piece);
}

#define KERNEL(kernel, op, accepts_)                                                               \
    const tq_kernel tq_kernel_f32_##kernel = { .entry = { .name = op, .brief = "f32 loops" },      \
                                               .accepts = accepts_,                                \
                                               .prepare = tq_loops_prepare,                        \
                                               .run = kernel##_run };
KERNEL(add, "Add", accepts_binary)
KERNEL(sub, "Sub", accepts_binary)
KERNEL(mul, "Mul", accepts_binary)
KERNEL(relu, "Relu", accepts_unary)
KERNEL(relu_grad, "ReluGrad", accepts_binary)
KERNEL(clip, "Clip", accepts_unary)
KERNEL(clip_grad, "ClipGrad", accepts_clip_grad)
