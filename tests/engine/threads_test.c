/* A whole training step, fake quantisers included, gives the same bits for any number of threads.
 */
#include "check.h"

#include <truq/autodiff.h>

static const char *const network =
    "input x: f32[21,3,8,8] input labels: i64[21] const w1: f32[8,3,3,3] = random(1) "
    "p0, p1 = WeightRange(w1)[q_min=-127,n_levels=255,axis=0] "
    "wq = FakeQuantize(w1,p0,p1)[q_min=-127,n_levels=255,axis=0] "
    "c = Conv(x,wq)[pads=[1,1,1,1],strides=[2,2]] "
    "const s: f32[8] = 1.0 const b: f32[8] = 0.1 const m: f32[8] = 0.0 const v: f32[8] = 1.0 "
    "n, nm, nv, sm, si = BatchNormTrain(c,s,b,m,v) r = Relu(n) "
    "const lo: f32[1] = 0.0 const hi: f32[1] = 1.5 q = FakeQuantize(r,lo,hi)[q_min=0,n_levels=256] "
    "const w2: f32[8,1,3,3] = random(2) d = Conv(q,w2)[group=8,pads=[1,1,1,1]] a = Add(d,q) "
    "k = MaxPool(a)[kernel_shape=[2,2],strides=[2,2]] f = Flatten(k) "
    "const w3: f32[5,32] = random(3) const b3: f32[5] = random(4) y = Gemm(f,w3,b3)[transB=1] "
    "loss = CrossEntropy(y,labels) output loss output nm output nv";

static tq_graph *training_graph(void)
{
    static const char *const names[] = { "w1", "s", "b", "hi", "w2", "w3", "b3" };
    tq_value *wrt[TQ_COUNT(names)], *grads[TQ_COUNT(names)];
    tq_graph *graph = check_graph(network);
    for (int i = 0; i < TQ_COUNT(names); i++)
        wrt[i] = tq_graph_find_value(graph, names[i]);
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "loss"), wrt, TQ_COUNT(names), grads));
    for (int i = 0; i < TQ_COUNT(names); i++)
        tq_graph_add_output(graph, grads[i]);
    return graph;
}

/** CRC of all outputs. */
static uint32_t run(const tq_graph *graph, int threads)
{
    const tq_type types[] = { *tq_value_type(tq_graph_input(graph, 0)),
                              *tq_value_type(tq_graph_input(graph, 1)) };
    int64_t labels[21];
    for (int i = 0; i < 21; i++)
        labels[i] = i % 5;
    const tq_tensor inputs[] = { check_random_f32(4, types[0].dims, 9, -1.0f, 1.0f),
                                 { .type = types[1], .data = labels } };
    tq_pool *pool;
    tq_engine *engine;
    CHECK_OK(tq_pool_create(threads, &pool));
    CHECK_OK(tq_engine_create(
        graph, types, 2, &(tq_engine_options){ .pool = pool, .constants_change = true }, &engine));
    CHECK_OK(tq_engine_run(engine, inputs, 2, 3));
    uint32_t crc = 0;
    for (int i = 0; i < tq_graph_n_outputs(graph); i++) {
        const tq_tensor *out = tq_engine_output(engine, i);
        crc = tq_crc32(crc, out->data, (size_t)tq_tensor_count(out) * sizeof(float));
    }
    tq_engine_destroy(engine);
    tq_pool_destroy(pool);
    tq_tensor_reset((tq_tensor *)&inputs[0]);
    return crc;
}

TEST(a_training_step_has_the_same_bits_for_any_number_of_threads)
{
    tq_graph *graph = training_graph();
    const uint32_t crc = run(graph, 1);
    for (int threads = 2; threads <= 5; threads++)
        CHECK_EQ(run(graph, threads), crc, "%d threads", threads);
    tq_graph_destroy(graph);
}
