/* Add of i32: two tensors of one shape, or a bias with one value for each channel (axis 1). Modulo
 * 2^32. */
#include <truq/op.h>

enum { PIECE = 16384 };

typedef struct job {
    const uint32_t *a, *b;
    uint32_t *y;
    int64_t n_planes, inner, channels, per_piece;
} job;

/** The shape of `b` aligned to the right of `a` is 1 everywhere but at axis 1. */
static bool is_per_channel(const tq_type *a, const tq_type *b)
{
    if (a->rank < 2 || b->rank > a->rank)
        return false;
    for (int d = 0; d < b->rank; d++) {
        const int axis = d + a->rank - b->rank;
        if (b->dims[d] != (axis == 1 ? a->dims[1] : 1))
            return false;
    }
    return b->rank >= a->rank - 1;
}

static bool accepts(const tq_op_run *run)
{
    const tq_type *a = run->in_types[0], *b = run->in_types[1];
    return a->dtype == TQ_I32 && b->dtype == TQ_I32 && tq_type_equal(a, run->out_types[0]) &&
           tq_type_count(a) > 0 && (tq_type_equal(a, b) || is_per_channel(a, b));
}

static void add_same(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t begin = i * PIECE, end = begin + PIECE < j->inner ? begin + PIECE : j->inner;
    for (int64_t k = begin; k < end; k++)
        j->y[k] = j->a[k] + j->b[k];
}

static void add_channel(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t end = (i + 1) * j->per_piece;
    for (int64_t p = i * j->per_piece; p < end && p < j->n_planes; p++) {
        const uint32_t bias = j->b[p % j->channels], *a = j->a + p * j->inner;
        uint32_t *y = j->y + p * j->inner;
        for (int64_t k = 0; k < j->inner; k++)
            y[k] = a[k] + bias;
    }
}

static void run(const tq_op_run *run_, void *state)
{
    (void)state;
    const tq_type *a = run_->in_types[0];
    job j = { .a = run_->in[0], .b = run_->in[1], .y = run_->out[0], .inner = tq_type_count(a) };
    if (tq_type_equal(a, run_->in_types[1])) {
        tq_parallel_for(run_->pool, (j.inner + PIECE - 1) / PIECE, add_same, &j);
        return;
    }
    j.channels = a->dims[1];
    j.inner = tq_type_count_from(a, 2);
    j.n_planes = tq_type_count_to(a, 2);
    j.per_piece = j.inner < PIECE ? PIECE / j.inner : 1;
    tq_parallel_for(run_->pool, (j.n_planes + j.per_piece - 1) / j.per_piece, add_channel, &j);
}

const tq_kernel tq_kernel_int_add = {
    .entry = { .name = "Add", .brief = "i32 planes" },
    .accepts = accepts,
    .run = run,
};
