/* Phases: networks that run shard by shard give what their nodes give one by one, the same bits for
 * any number of threads, and keep little in memory. */
#include "check.h"

#include <truq/autodiff.h>

#include <math.h>
#include <string.h>

enum { MOST_INPUTS = 4, MOST_WRT = 16 };

static tq_engine *plan(const tq_graph *graph, const tq_tensor *inputs,
                       const tq_engine_options *options)
{
    tq_type types[MOST_INPUTS];
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        types[i] = inputs[i].type;
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(graph, types, tq_graph_n_inputs(graph), options, &engine));
    return engine;
}

static int count_shard_steps(const tq_engine *engine)
{
    int n = 0;
    for (int i = 0; i < tq_engine_n_steps(engine); i++)
        n += !strcmp(tq_engine_step(engine, i, NULL, NULL), "shards");
    return n;
}

/** Largest distance of all elements, relative to the largest element; infinite where one is NaN. */
static double distance(const tq_tensor *a, const tq_tensor *b)
{
    double most = 0.0, scale = 1e-30;
    for (int64_t i = 0; i < tq_tensor_count(a); i++) {
        const double x = tq_load_f64(a->data, a->type.dtype, i);
        const double y = tq_load_f64(b->data, b->type.dtype, i);
        if (isnan(x) || isnan(y))
            return isnan(x) && isnan(y) ? most / scale : (double)INFINITY;
        most = fmax(most, fabs(x - y));
        scale = fmax(scale, fabs(y));
    }
    return most / scale;
}

/** Length of the difference, relative to the length of `b`. */
static double relative_error(const tq_tensor *a, const tq_tensor *b)
{
    double difference = 0.0, length = 1e-30;
    for (int64_t i = 0; i < tq_tensor_count(a); i++) {
        const double x = tq_load_f64(a->data, a->type.dtype, i);
        const double y = tq_load_f64(b->data, b->type.dtype, i);
        difference += (x - y) * (x - y);
        length += y * y;
    }
    return sqrt(difference / length);
}

/** Sums are f32 up to their last bits; in bf16 values are off by up to 2^-9 each, which what batch
 * norms subtract enlarges. */
static void check_close(const char *name, const tq_tensor *out, const tq_tensor *expected,
                        bool is_bf16)
{
    const double d = is_bf16 ? relative_error(out, expected) : distance(out, expected);
    if (!(d <= (is_bf16 ? 0.05 : 2e-6)))
        check_fail(__FILE__, __LINE__, "'%s' is off by %g", name, d);
    if (is_bf16 && d < 1e-5 && check_cpu_has(TQ_CPU_AVX512BF16, "avx512bf16"))
        check_fail(__FILE__, __LINE__, "'%s' was not made in bf16", name);
}

static void fill_inputs(const tq_graph *graph, tq_tensor *inputs)
{
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        const tq_type *type = tq_value_type(tq_graph_input(graph, i));
        if (type->dtype == TQ_F32) {
            inputs[i] = check_random_f32(type->rank, type->dims, 11 + (uint64_t)i, -1.0f, 1.0f);
            continue;
        }
        CHECK_OK(tq_tensor_init(&inputs[i], type));
        for (int64_t k = 0; k < tq_type_count(type); k++)
            tq_store_i64(inputs[i].data, type->dtype, k, k % 3);
    }
}

/** Runs the graph node by node in f32, then in phases on 1, 2 and 3 threads. */
static void hold_together(tq_graph *graph, tq_engine_options options)
{
    tq_tensor inputs[MOST_INPUTS];
    fill_inputs(graph, inputs);
    const int n_inputs = tq_graph_n_inputs(graph);
    tq_engine *nodes =
        plan(graph, inputs, &(tq_engine_options){ .keep_all = true, .n_shards = options.n_shards });
    CHECK_OK(tq_engine_run(nodes, inputs, n_inputs, 3));
    CHECK_EQ(count_shard_steps(nodes), 0);
    tq_engine *first = NULL;
    tq_pool *pool = NULL; /* of the first engine */
    for (int threads = 1; threads <= 3 && check_cpu_has(TQ_CPU_AVX2 | TQ_CPU_FMA, "avx2");
         threads++) {
        CHECK_OK(tq_pool_create(threads, &options.pool));
        tq_engine *engine = plan(graph, inputs, &options);
        CHECK(count_shard_steps(engine) > 0);
        for (int round = 0; round < 2; round++) /* nothing is left over from a run */
            CHECK_OK(tq_engine_run(engine, inputs, n_inputs, 3));
        for (int i = 0; i < tq_graph_n_outputs(graph); i++) {
            const tq_tensor *out = tq_engine_output(engine, i);
            check_close(tq_value_name(tq_graph_output(graph, i)), out, tq_engine_output(nodes, i),
                        options.bf16);
            if (first && !tq_tensor_equal(out, tq_engine_output(first, i)))
                check_fail(__FILE__, __LINE__, "'%s' has other bits on %d threads",
                           tq_value_name(tq_graph_output(graph, i)), threads);
        }
        if (first) {
            tq_engine_destroy(engine);
            tq_pool_destroy(options.pool);
        } else {
            first = engine;
            pool = options.pool;
        }
    }
    tq_engine_destroy(first);
    tq_pool_destroy(pool);
    tq_engine_destroy(nodes);
    for (int i = 0; i < n_inputs; i++)
        tq_tensor_reset(&inputs[i]);
}

static void check_forward(const char *text, int n_shards)
{
    tq_graph *graph = check_graph(text);
    hold_together(graph, (tq_engine_options){ .n_shards = n_shards });
    tq_graph_destroy(graph);
}

/** `loss` is differentiated by constants named in `wrt`, blanks between them; gradients are
 * outputs. */
static void check_gradients_of(const char *text, const char *wrt, tq_engine_options options)
{
    tq_graph *graph = check_graph(text);
    tq_value *values[MOST_WRT], *grads[MOST_WRT];
    char names[256];
    int n = 0;
    snprintf(names, sizeof names, "%s", wrt);
    for (char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
        values[n] = tq_graph_find_value(graph, name);
        CHECK(values[n]);
        n++;
    }
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "loss"), values, n, grads));
    for (int i = 0; i < n; i++) {
        CHECK(grads[i]);
        tq_graph_add_output(graph, grads[i]);
    }
    options.constants_change = true;
    hold_together(graph, options);
    tq_graph_destroy(graph);
}

static void check_gradients(const char *text, const char *wrt, int n_shards)
{
    check_gradients_of(text, wrt, (tq_engine_options){ .n_shards = n_shards });
}

static void check_bf16_gradients(const char *text, const char *wrt, int n_shards)
{
    check_gradients_of(text, wrt, (tq_engine_options){ .n_shards = n_shards, .bf16 = true });
}

#define LOSS "t = GlobalAveragePool(y) f = Flatten(t) loss = CrossEntropy(f, l) output loss "
#define PACT "quantizer=\"pact\",n_levels=256"

TEST(a_convolution_of_images_of_few_channels)
{
    check_forward("input x: f32[5,3,9,8] const w: f32[20,3,3,3] = random(1) const b: f32[20] = "
                  "random(2) y = Conv(x,w,b)[pads=[1,1,1,1],strides=[2,2]]",
                  4);
}

TEST(convolutions_in_a_row_stay_blocked)
{
    check_forward("input x: f32[7,17,6,5] const w: f32[33,17,1,1] = random(1) "
                  "const v: f32[33,1,3,3] = random(2) const u: f32[18,33,3,3] = random(3) "
                  "a = Conv(x,w) b = Relu(a) c = Conv(b,v)[group=33,pads=[1,1,1,1]] d = Relu(c) "
                  "y = Conv(d,u)",
                  3);
}

TEST(what_is_plain_and_what_is_blocked_meet)
{
    check_forward("input x: f32[6,19,4,4] const w: f32[24,19,1,1] = random(1) "
                  "const s: i64[2] = {6,-1} const g: f32[304,5] = random(2) "
                  "a = Conv(x,w) r = Reshape(x,s) m = MatMul(r,g) h = Transpose(a)[perm=[0,2,3,1]] "
                  "output a output m output h",
                  6);
}

TEST(activations_that_do_not_keep_zero_leave_no_trace_past_the_last_channel)
{
    check_forward("input x: f32[3,18,4,4] const w: f32[21,18,1,1] = random(1) "
                  "const v: f32[19,21,3,3] = random(2) const lo: f32[] = 0.5 const hi: f32[] = 1.0 "
                  "a = Conv(x,w) s = Sigmoid(a) c = Clip(s,lo,hi) y = Conv(c,v)",
                  2);
}

TEST(residuals_of_quantised_branches)
{
    check_forward(
        "input x: f32[4,16,6,6] const lo: f32[1] = -3 const hi: f32[1] = 3 const z: f32[1] = 0 "
        "const w: f32[16,16,3,3] = random(1) c = Conv(x,w)[pads=[1,1,1,1]] "
        "f = FakeQuantize(c,lo,hi)[" PACT ",q_min=-128] g = FakeQuantize(x,lo,hi)[" PACT
        ",q_min=-128] a = Add(f,g) b = Relu(a) y = FakeQuantize(b,z,hi)[" PACT ",q_min=0]",
        4);
}

TEST(pools_of_blocked_images)
{
    check_forward("input x: f32[5,16,9,7] const w: f32[20,16,1,1] = random(1) c = Conv(x,w) "
                  "p = MaxPool(c)[kernel_shape=[3,2],strides=[2,1],pads=[1,0,1,1]] "
                  "q = AveragePool(c)[kernel_shape=[2,2]] g = GlobalAveragePool(p) "
                  "output p output q output g",
                  5);
}

TEST(statistics_of_a_calibration)
{
    check_forward("input x: f32[9,3,8,8] const w: f32[21,3,3,3] = random(1) c = Conv(x,w) "
                  "r = Relu(c) s = Statistics(x) t = Statistics(c) u = Statistics(r) "
                  "output s output t output u",
                  4);
}

TEST(gradients_through_batch_norms)
{
    check_gradients(
        "input x: f32[9,3,8,8] input l: i64[9] const w: f32[18,3,3,3] = random(1) "
        "const v: f32[18,1,3,3] = random(2) const u: f32[20,18,1,1] = random(3) "
        "const k: f32[18] = {1,2,3,1,2,3,1,2,3,1,2,3,1,2,3,1,2,3} const b: f32[18] = 0.1 "
        "const m: f32[18] = 0.0 const r: f32[18] = 1.0 "
        "a = Conv(x,w)[pads=[1,1,1,1]] n, nm, nv, sm, si = BatchNormTrain(a,k,b,m,r) e = Relu(n) "
        "c = Conv(e,v)[group=18,strides=[2,2]] "
        "o, om, ov, pm, pi = BatchNormTrain(c,k,b,m,r) g = Relu(o) y = Conv(g,u) output nm output "
        "nv output om " LOSS,
        "w v u k b", 4);
}

TEST(gradients_of_frozen_batch_norms)
{
    check_gradients("input x: f32[5,17,6,6] input l: i64[5] const w: f32[18,17,3,3] = random(1) "
                    "const k: f32[18] = 0.7 const b: f32[18] = 0.1 const m: f32[18] = 0.2 "
                    "const r: f32[18] = 1.5 const lo: f32[] = 0 const hi: f32[] = 1 "
                    "a = Conv(x,w) n = BatchNormalization(a,k,b,m,r) y = Clip(n,lo,hi) " LOSS,
                    "w k b", 2);
}

TEST(gradients_of_quantisers_and_residuals)
{
    check_gradients(
        "input x: f32[8,16,6,6] input l: i64[8] const w: f32[16,16,3,3] = random(1) "
        "const u: f32[16,16,1,1] = random(4) const c1: f32[16] = 0.1 "
        "const lo: f32[1] = -0.7 const hi: f32[1] = 0.7 const z: f32[1] = 0 const s: f32[1] = 0.02 "
        "q = FakeQuantize(x,lo,hi)[" PACT ",q_min=-128] a = Conv(q,w)[pads=[1,1,1,1]] "
        "d = Relu(a) e = FakeQuantize(d,z,hi)[" PACT ",q_min=0] h = Conv(e,u,c1) "
        "i = FakeQuantize(h,lo,hi)[" PACT ",q_min=-128] j = FakeQuantize(q,lo,hi)[" PACT
        ",q_min=-128] k = Add(i,j) y = "
        "FakeQuantize(k,s)[quantizer=\"lsq\",q_min=-8,n_levels=16] " LOSS,
        "w u c1 lo hi s", 8);
}

TEST(gradients_of_a_grid_with_a_free_zero_point)
{
    check_gradients("input x: f32[6,16,4,4] input l: i64[6] const w: f32[17,16,1,1] = random(1) "
                    "const lo: f32[1] = -0.3 const hi: f32[1] = 0.9 a = Conv(x,w) "
                    "y = FakeQuantize(a,lo,hi)[" PACT ",q_min=0,free_offset=1] " LOSS,
                    "w lo hi", 3);
}

/* A weight that is large beside the images: its gradient is summed over all shards at once. */
TEST(gradients_of_large_weights)
{
    check_gradients("input x: f32[7,35,5,4] input l: i64[7] const w: f32[50,35,3,3] = random(1) "
                    "const v: f32[70,50,1,1] = random(2) "
                    "a = Conv(x,w)[pads=[1,0,1,2],strides=[2,1],dilations=[1,2]] b = Relu(a) "
                    "y = Conv(b,v) " LOSS,
                    "w v", 7);
}

/* Rows of features, products with a weight that is laid out either way, and their gradients. */
TEST(gradients_of_heads)
{
    check_gradients("input x: f32[7,20,4,4] input l: i64[7] const w: f32[19,20,3,3] = random(1) "
                    "const u: f32[37,76] = random(2) const c: f32[37] = random(3) "
                    "const v: f32[37,5] = random(4) "
                    "a = Conv(x,w) b = Flatten(a) h = Gemm(b,u,c)[transB=1] r = Relu(h) "
                    "y = Gemm(r,v) loss = CrossEntropy(y,l)[label_smoothing=0.1] "
                    "output loss output y",
                    "w u c v", 4);
}

TEST(gradients_of_max_pools)
{
    check_gradients("input x: f32[6,16,9,9] input l: i64[6] const w: f32[16,16,3,3] = random(1) "
                    "const v: f32[16,16,1,1] = random(2) a = Conv(x,w) "
                    "p = MaxPool(a)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]] "
                    "y = Conv(p,v) " LOSS,
                    "w v", 6);
}

TEST(gradients_of_transposed_convolutions)
{
    check_gradients("input x: f32[4,16,5,5] input l: i64[4] const w: f32[16,18,3,3] = random(1) "
                    "y = ConvTranspose(x,w)[strides=[2,2],pads=[1,1,1,1]] " LOSS,
                    "w", 4);
}

/* A convolution whose blocks are full, one of few images beside its weight, one of few channels,
 * one with groups and strides: the last two stay f32. */
TEST(gradients_in_bf16)
{
    check_bf16_gradients(
        "input x: f32[9,3,16,16] input l: i64[9] const w: f32[48,3,3,3] = random(1) "
        "const v: f32[48,1,3,3] = random(2) const u: f32[48,48,1,1] = random(3) "
        "const o: f32[130,48,3,3] = random(4) const k: f32[48] = 0.7 const b: f32[48] = 0.1 "
        "const m: f32[48] = 0.2 const r: f32[48] = 1.5 "
        "a = Conv(x,w)[pads=[1,1,1,1]] c = Conv(a,u) "
        "n, nm, nv, sm, si = BatchNormTrain(c,k,b,m,r) j = Conv(n,v)[group=48] "
        "g = Conv(j,u) h = Add(g,j) i = MaxPool(h)[kernel_shape=[2,2],strides=[2,2]] "
        "y = Conv(i,o) " LOSS,
        "w v u o k b", 3);
    check_bf16_gradients("input x: f32[5,20,7,7] input l: i64[5] const w: f32[20,18,3,3] = "
                         "random(1) const v: f32[40,18,3,3] = random(2) "
                         "a = ConvTranspose(x,w)[strides=[2,2],pads=[1,1,1,1]] "
                         "y = Conv(a,v)[strides=[2,2],pads=[1,0,1,2]] " LOSS,
                         "w v", 5);
}

/* Results of convolutions that the backward pass makes again have the bits that they had, also
 * where one is made of another that was not kept. */
TEST(gradients_where_memory_is_short)
{
    tq_graph *graph = check_graph(
        "input x: f32[8,16,12,12] input l: i64[8] const w: f32[16,16,3,3] = random(1) "
        "const v: f32[16,1,3,3] = random(2) const k: f32[16] = 0.7 const b: f32[16] = 0.1 "
        "const m: f32[16] = 0.2 const r: f32[16] = 1.5 const z: f32[1] = 0 const h: f32[1] = 2 "
        "a = Conv(x,w)[pads=[1,1,1,1]] n, nm, nv, sm, si = BatchNormTrain(a,k,b,m,r) "
        "c = Relu(n) d = Conv(c,v)[group=16,pads=[1,1,1,1]] "
        "o, om, ov, pm, pi = BatchNormTrain(d,k,b,m,r) "
        "e = FakeQuantize(o,z,h)[" PACT ",q_min=0] "
        "g = Conv(e,w)[pads=[1,1,1,1]] i = Add(g,c) j = MaxPool(i)[kernel_shape=[2,2]] "
        "p = Relu(j) y = Conv(p,w) " LOSS);
    tq_value *wrt[3] = { tq_graph_find_value(graph, "w"), tq_graph_find_value(graph, "v"),
                         tq_graph_find_value(graph, "h") };
    tq_value *grads[3];
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "loss"), wrt, 3, grads));
    for (int i = 0; i < 3; i++)
        tq_graph_add_output(graph, grads[i]);
    tq_tensor inputs[MOST_INPUTS];
    fill_inputs(graph, inputs);
    tq_engine_options options = { .n_shards = 4, .constants_change = true };
    tq_engine *all = plan(graph, inputs, &options);
    CHECK_OK(tq_engine_run(all, inputs, 2, 3));
    for (int percent = 90; percent >= 60; percent -= 10) {
        if (!check_cpu_has(TQ_CPU_AVX2 | TQ_CPU_FMA, "avx2"))
            break;
        options.memory = tq_engine_memory(all) * (size_t)percent / 100;
        tq_engine *some = plan(graph, inputs, &options);
        CHECK(tq_engine_memory(some) <= options.memory);
        CHECK_OK(tq_engine_run(some, inputs, 2, 3));
        for (int i = 0; i < tq_graph_n_outputs(graph); i++)
            CHECK(tq_tensor_equal(tq_engine_output(some, i), tq_engine_output(all, i)));
        tq_engine_destroy(some);
    }
    options.memory = 1000;
    tq_engine *none;
    const tq_type types[2] = { inputs[0].type, inputs[1].type };
    tq_status status = tq_engine_create(graph, types, 2, &options, &none);
    CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY);
    CHECK(strstr(tq_status_text(status), "make the batch smaller"));
    tq_status_drop(status);
    CHECK(!none);
    tq_engine_destroy(all);
    tq_tensor_reset(&inputs[0]);
    tq_tensor_reset(&inputs[1]);
    tq_graph_destroy(graph);
}

TEST(a_quantiser_that_was_never_observed_makes_NaN)
{
    tq_graph *graph = check_graph("input x: f32[2,16,4,4] const w: f32[16,16,1,1] = random(1) "
                                  "const lo: f32[1] = nan const hi: f32[1] = 1 a = Conv(x,w) "
                                  "y = FakeQuantize(a,lo,hi)[" PACT ",q_min=-128]");
    tq_tensor x;
    fill_inputs(graph, &x);
    tq_engine *engine = plan(graph, &x, NULL);
    CHECK_OK(tq_engine_run(engine, &x, 1, 1));
    CHECK(isnan(((const float *)tq_engine_output(engine, 0)->data)[0]));
    tq_engine_destroy(engine);
    tq_tensor_reset(&x);
    tq_graph_destroy(graph);
}

/* Without sums over the batch nothing has to wait: one phase, and nothing between input and output
 * lies in memory but what a worker needs for one shard. */
TEST(a_forward_pass_is_one_phase)
{
    tq_graph *graph = check_graph(
        "input x: f32[64,16,16,16] const w: f32[16,16,3,3] = random(1) "
        "a = Conv(x,w)[pads=[1,1,1,1]] b = Relu(a) c = Conv(b,w)[pads=[1,1,1,1]] d = Relu(c) "
        "e = Conv(d,w)[pads=[1,1,1,1]] f = Relu(e) y = GlobalAveragePool(f)");
    tq_tensor x;
    fill_inputs(graph, &x);
    tq_engine *engine = plan(graph, &x, NULL);
    if (check_cpu_has(TQ_CPU_AVX2 | TQ_CPU_FMA, "avx2")) {
        CHECK_EQ(tq_engine_n_steps(engine), 1);
        CHECK(tq_engine_memory(engine) < 4096);
    }
    tq_engine_destroy(engine);
    tq_tensor_reset(&x);
    tq_graph_destroy(graph);
}

/** Parts of all stages of a training step through `depth` residual branches. */
static int count_parts(int depth)
{
    char text[16384] = "input x: f32[8,16,6,6] input l: i64[8] const w: f32[16,16,1,1] = random(1) "
                       "const k: f32[16] = 0.7 const b: f32[16] = 0.1 const m: f32[16] = 0.2 "
                       "const r: f32[16] = 1.5 h0 = Relu(x) ";
    size_t used = strlen(text);
    for (int i = 1; i <= depth; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "a%d = Conv(h%d,w) n%d, m%d, v%d, s%d, i%d = "
                                 "BatchNormTrain(a%d,k,b,m,r) h%d = Add(n%d,h%d) ",
                                 i, i - 1, i, i, i, i, i, i, i, i, i - 1);
    snprintf(text + used, sizeof text - used, "y = Relu(h%d) " LOSS, depth);
    tq_graph *graph = check_graph(text);
    tq_value *w = tq_graph_find_value(graph, "w"), *grad;
    CHECK_OK(tq_autodiff(graph, tq_graph_find_value(graph, "loss"), &w, 1, &grad));
    tq_graph_add_output(graph, grad);
    tq_tensor inputs[MOST_INPUTS];
    fill_inputs(graph, inputs);
    tq_engine *engine =
        plan(graph, inputs,
             &(tq_engine_options){ .n_shards = 4, .constants_change = true, .profile = true });
    int n = 0;
    for (int step = 0; step < tq_engine_n_steps(engine); step++)
        for (int s = 0; s < tq_engine_n_stages(engine, step); s++) {
            const char *node;
            double seconds;
            int64_t macs;
            const char *parts = tq_engine_stage(engine, step, s, &node, &seconds, &macs);
            for (n++; *parts; parts++)
                n += *parts == ' ';
        }
    tq_engine_destroy(engine);
    tq_tensor_reset(&inputs[0]);
    tq_tensor_reset(&inputs[1]);
    tq_graph_destroy(graph);
    return n;
}

/* What is made again is not made from the first branch on each time. */
TEST(a_chain_of_residual_branches_costs_in_proportion_to_its_length)
{
    if (check_cpu_has(TQ_CPU_AVX2 | TQ_CPU_FMA, "avx2"))
        CHECK(2 * count_parts(20) > count_parts(40) - 20);
}
