/* Engines that share a batch: ranks as threads of this process give the bits of an engine alone. */
#include "check.h"

#include <truq/autodiff.h>

#include <pthread.h>
#include <string.h>

enum { MOST_RANKS = 4, BATCH = 11, N_SHARDS = 8, N_WRT = 5 };

/** Where ranks meet: each puts its array down, reads those of all, and takes its own up again. */
typedef struct table {
    pthread_barrier_t barrier;
    int n_ranks;
    void *data[MOST_RANKS];
    int64_t row_begin[MOST_RANKS + 1];
} table;

typedef struct rank {
    table *table;
    int index, n_in_flight, n_sums;
    tq_graph *graph;
    const tq_tensor *inputs;
    tq_engine *engine;
    tq_exchange exchange;
    tq_engine_options options;
} rank;

/** The tree over ranks whose shards are equal powers of two in number; all ranks add in it. */
static void add_up(const rank *r, void *data, int64_t n, bool is_f64)
{
    table *t = r->table;
    const size_t size = (size_t)n * (is_f64 ? sizeof(double) : sizeof(float));
    t->data[r->index] = data;
    pthread_barrier_wait(&t->barrier);
    char *all = malloc(size * (size_t)t->n_ranks);
    for (int i = 0; i < t->n_ranks; i++)
        memcpy(all + (size_t)i * size, t->data[i], size);
    if (is_f64)
        tq_tree_sum_f64((double *)(void *)all, t->n_ranks, n, n);
    else
        tq_tree_sum((float *)(void *)all, t->n_ranks, n, n);
    pthread_barrier_wait(&t->barrier);
    memcpy(data, all, size);
    free(all);
    pthread_barrier_wait(&t->barrier);
}

static tq_status sum_f64(void *context, double *data, int64_t n)
{
    add_up(context, data, n, true);
    return TQ_OK;
}

typedef struct sum {
    float *data;
    int64_t n;
} sum;

/** Nothing moves before `finish`: whoever reads the sum before that reads what is not there. */
static tq_status begin_sum_f32(void *context, float *data, int64_t n, void **out_work)
{
    rank *r = context;
    sum *s = malloc(sizeof *s);
    *s = (sum){ data, n };
    *out_work = s;
    r->n_in_flight++;
    r->n_sums++;
    return TQ_OK;
}

static tq_status finish(void *context, void *work)
{
    rank *r = context;
    sum *s = work;
    r->n_in_flight--;
    add_up(r, s->data, s->n, false);
    free(s);
    return TQ_OK;
}

static tq_status progress(void *context)
{
    (void)context;
    return TQ_OK;
}

static tq_status gather(void *context, void *rows, size_t row_size)
{
    const rank *r = context;
    table *t = r->table;
    t->data[r->index] = rows;
    pthread_barrier_wait(&t->barrier);
    for (int i = 0; i < t->n_ranks; i++)
        if (i != r->index) /* others write other rows of theirs */
            memcpy((char *)rows + (size_t)t->row_begin[i] * row_size,
                   (const char *)t->data[i] + (size_t)t->row_begin[i] * row_size,
                   (size_t)(t->row_begin[i + 1] - t->row_begin[i]) * row_size);
    pthread_barrier_wait(&t->barrier);
    return TQ_OK;
}

/** What other ranks have of an input is poison, unless the engine asks for it. */
static void spoil(const rank *r, const tq_tensor *input, int i, tq_tensor *out)
{
    CHECK_OK(tq_tensor_init_from(out, &input->type, input->data));
    if (tq_engine_needs_all_rows(r->engine, i))
        return;
    const size_t row =
        (size_t)tq_type_count_from(&input->type, 1) * tq_dtype_size(input->type.dtype);
    memset(out->data, 0xff, (size_t)r->table->row_begin[r->index] * row);
    memset((char *)out->data + (size_t)r->table->row_begin[r->index + 1] * row, 0xff,
           (size_t)(BATCH - r->table->row_begin[r->index + 1]) * row);
}

static void *run_rank(void *context)
{
    rank *r = context;
    const int n = tq_graph_n_inputs(r->graph);
    tq_type types[2];
    tq_tensor inputs[2];
    r->exchange = (tq_exchange){ .context = r,
                                 .shard_begin = r->index * N_SHARDS / r->table->n_ranks,
                                 .shard_end = (r->index + 1) * N_SHARDS / r->table->n_ranks,
                                 .sum_f64 = sum_f64,
                                 .begin_sum_f32 = begin_sum_f32,
                                 .finish = finish,
                                 .progress = progress,
                                 .gather = gather };
    for (int i = 0; i < n; i++)
        types[i] = r->inputs[i].type;
    CHECK_OK(tq_engine_create(r->graph, types, n, &r->options, &r->engine));
    for (int i = 0; i < n; i++)
        spoil(r, &r->inputs[i], i, &inputs[i]);
    for (int round = 0; round < 2; round++)
        CHECK_OK(tq_engine_run(r->engine, inputs, n, 5));
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&inputs[i]);
    return NULL;
}

static void run_ranks(tq_graph *graph, const tq_tensor *inputs, int n_ranks,
                      const tq_engine *expected, tq_engine_options options)
{
    table t = { .n_ranks = n_ranks };
    rank ranks[MOST_RANKS];
    pthread_t threads[MOST_RANKS];
    pthread_barrier_init(&t.barrier, NULL, (unsigned)n_ranks);
    for (int i = 0; i < n_ranks; i++) {
        int64_t unused;
        tq_shard_range(BATCH, N_SHARDS, i * N_SHARDS / n_ranks, &t.row_begin[i], &unused);
        ranks[i] =
            (rank){ .table = &t, .index = i, .graph = graph, .inputs = inputs, .options = options };
        ranks[i].options.exchange = &ranks[i].exchange;
    }
    t.row_begin[n_ranks] = BATCH;
    for (int i = 0; i < n_ranks; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run_rank, &ranks[i]), 0);
    for (int i = 0; i < n_ranks; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(ranks[i].n_in_flight, 0);
        for (int k = 0; k < tq_graph_n_outputs(graph); k++)
            if (!tq_tensor_equal(tq_engine_output(ranks[i].engine, k),
                                 tq_engine_output(expected, k)))
                check_fail(__FILE__, __LINE__, "'%s' has other bits on rank %d of %d",
                           tq_value_name(tq_graph_output(graph, k)), i, n_ranks);
        CHECK(ranks[i].n_sums > 0 || !check_cpu_has(TQ_CPU_AVX2 | TQ_CPU_FMA, "avx2"));
        tq_engine_destroy(ranks[i].engine);
    }
    pthread_barrier_destroy(&t.barrier);
}

static void check_ranks(const char *text, const char *const *wrt, tq_engine_options options)
{
    tq_graph *graph = check_graph(text);
    tq_value *values[N_WRT], *grads[N_WRT];
    int n = 0;
    for (; n < N_WRT && wrt[n]; n++)
        CHECK((values[n] = tq_graph_find_value(graph, wrt[n])));
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "loss"), values, n, grads));
    for (int i = 0; i < n; i++)
        tq_graph_add_output(graph, grads[i]);
    const tq_type *type = tq_value_type(tq_graph_input(graph, 0));
    tq_tensor inputs[2] = { check_random_f32(type->rank, type->dims, 7, -1.0f, 1.0f) };
    const tq_type label = tq_type_make(TQ_I64, 1, (int64_t[]){ BATCH });
    CHECK_OK(tq_tensor_init(&inputs[1], &label));
    for (int i = 0; i < BATCH; i++)
        ((int64_t *)inputs[1].data)[i] = i % 3;
    tq_engine *alone;
    const tq_type types[2] = { inputs[0].type, label };
    options.n_shards = N_SHARDS;
    options.constants_change = true;
    CHECK_OK(tq_engine_create(graph, types, 2, &options, &alone));
    CHECK_OK(tq_engine_run(alone, inputs, 2, 5));
    for (int n_ranks = 1; n_ranks <= MOST_RANKS; n_ranks *= 2)
        run_ranks(graph, inputs, n_ranks, alone, options);
    tq_engine_destroy(alone);
    tq_tensor_reset(&inputs[0]);
    tq_tensor_reset(&inputs[1]);
    tq_graph_destroy(graph);
}

#define LOSS                                                                                       \
    "t = GlobalAveragePool(y) f = Flatten(t) loss = CrossEntropy(f, l) output loss output f "
#define NET                                                                                        \
    "input x: f32[11,3,12,12] input l: i64[11] const w: f32[32,3,3,3] = random(1) "                \
    "const v: f32[32,1,3,3] = random(2) const u: f32[40,32,1,1] = random(3) "                      \
    "const k: f32[32] = 0.7 const b: f32[32] = 0.1 const m: f32[32] = 0.2 const r: f32[32] = 1.5 " \
    "const lo: f32[1] = -0.7 const hi: f32[1] = 0.7 "                                              \
    "wq = FakeQuantize(w,lo,hi)[quantizer=\"pact\",n_levels=256,q_min=-128] "                      \
    "a = Conv(x,wq)[pads=[1,1,1,1]] n, nm, nv, sm, si = BatchNormTrain(a,k,b,m,r) e = Relu(n) "    \
    "c = Conv(e,v)[group=32] q = "                                                                 \
    "FakeQuantize(c,lo,hi)[quantizer=\"pact\",n_levels=256,q_min=-128] "                           \
    "y = Conv(q,u) output nm output nv "

static const char *const wrt[] = { "w", "v", "u", "k", "hi" };

TEST(ranks_share_a_training_step)
{
    check_ranks(NET LOSS, wrt, (tq_engine_options){ 0 });
}

TEST(ranks_share_a_training_step_in_little_memory)
{
    check_ranks(NET LOSS, wrt, (tq_engine_options){ .memory = 400000 });
}

/* The gradient of a large weight is summed over all shards of a rank at once, and the loss reads
 * the input as a whole. */
TEST(ranks_share_what_whole_nodes_read)
{
    check_ranks("input x: f32[11,16,3,3] input l: i64[11] const w: f32[48,16,3,3] = random(1) "
                "const p: f32[48,3] = random(2) const q: f32[16,3] = random(3) "
                "const axes: i64[2] = {2,3} "
                "c = Conv(x,w)[pads=[1,1,1,1]] g = GlobalAveragePool(c) h = Flatten(g) "
                "i = ReduceMean(x,axes)[keepdims=0] s = MatMul(h,p) j = MatMul(i,q) k = Add(s,j) "
                "loss = CrossEntropy(k,l) output loss",
                (const char *const[]){ "w", "p", "q", NULL }, (tq_engine_options){ 0 });
}

/* The head is shared too: nothing is gathered but what the caller reads, unless that is its own. */
TEST(ranks_share_the_head)
{
    static const char text[] =
        "input x: f32[11,16,3,3] input l: i64[11] const w: f32[48,16,3,3] = random(1) "
        "const p: f32[5,48] = random(2) const b: f32[5] = random(3) "
        "c = Conv(x,w)[pads=[1,1,1,1]] g = GlobalAveragePool(c) h = Flatten(g) "
        "y = Gemm(h,p,b)[transB=1] loss = CrossEntropy(y,l) output loss output y";
    check_ranks(text, (const char *const[]){ "w", "p", "b", NULL }, (tq_engine_options){ 0 });
}
