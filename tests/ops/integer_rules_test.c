/* Integer rules of the operators: a fake-quantised network of a few nodes and what f2t makes of it
 * agree within one step of the output, for inputs on the grid. */
#include "check.h"

#define FAKE_X(dims)                                                                               \
    "input x: f32" dims " const xl: f32[1] = -2.0 const xh: f32[1] = 2.0 "                         \
    "q = FakeQuantize(x,xl,xh)[quantizer=\"pact\",q_min=-128,n_levels=256] "
#define FREE_X(dims)                                                                               \
    "input x: f32" dims " const xl: f32[1] = -0.5 const xh: f32[1] = 2.0 "                         \
    "q = FakeQuantize(x,xl,xh)[quantizer=\"pact\",q_min=0,n_levels=256,free_offset=1] "
/* weight [4, ...], one scale a channel */
#define FAKE_W(dims)                                                                               \
    "const w: f32" dims " = random(7) const wl: f32[4] = {-1,-0.9,-0.8,-1} "                       \
    "const wh: f32[4] = {1,0.9,0.8,1} "                                                            \
    "v = FakeQuantize(w,wl,wh)[quantizer=\"pact\",q_min=-127,n_levels=255,axis=0] "
#define FAKE_Y(high)                                                                               \
    "const yl: f32[1] = 0.0 const yh: f32[1] = {" high "} "                                        \
    "z = FakeQuantize(y,yl,yh)[quantizer=\"pact\",q_min=0,n_levels=256] "
#define SIGNED_Y(high)                                                                             \
    "const yl: f32[1] = {-" high "} const yh: f32[1] = {" high "} "                                \
    "z = FakeQuantize(y,yl,yh)[quantizer=\"pact\",q_min=-127,n_levels=255] "

static tq_graph *integerise(const tq_graph *fake)
{
    const tq_registry *registry = check_registry();
    const tq_backend *generic =
        (const tq_backend *)tq_registry_get(registry, TQ_KIND_BACKEND, "generic");
    const tq_true_options options = { .fixed_shift = -1, .limits = generic->requant };
    tq_arena *scratch = tq_arena_create();
    const tq_edit edit = { .registry = registry, .true_options = &options, .scratch = scratch };
    tq_graph *graph = tq_graph_clone(fake);
    CHECK_OK(tq_pipeline_run(registry, "f2t", &graph, &edit));
    CHECK_OK(tq_graph_verify(graph));
    tq_arena_destroy(scratch);
    return graph;
}

static double meta(const tq_value *value, const char *key)
{
    double number = 0;
    CHECK(tq_value_meta_f64(value, key, &number));
    return number;
}

/* Codes over the whole range, and the reals they stand for. */
static void make_inputs(const tq_value *input, const tq_type *float_type, tq_tensor *codes,
                        tq_tensor *reals)
{
    tq_type type = *float_type;
    type.dtype = tq_value_type(input)->dtype;
    CHECK_OK(tq_tensor_init(codes, &type));
    CHECK_OK(tq_tensor_init(reals, float_type));
    const int64_t lo = (int64_t)meta(input, "quant.q_min"),
                  hi = (int64_t)meta(input, "quant.q_max");
    tq_random random;
    tq_random_init(&random, 3, 0, 0);
    for (int64_t i = 0; i < tq_tensor_count(codes); i++) {
        const int64_t q = lo + tq_random_below(&random, hi - lo + 1);
        tq_store_i64(codes->data, type.dtype, i, q);
        ((float *)reals->data)[i] =
            (float)(meta(input, "quant.scale") * ((double)q - meta(input, "quant.zero_point")));
    }
}

/* Largest distance between the networks, in steps of the output. */
static double distance(const char *text, const char *wanted_op)
{
    tq_graph *fake = check_graph(text), *graph = integerise(fake);
    if (wanted_op)
        CHECK(check_count(graph, wanted_op) > 0);
    const tq_type type = *tq_value_type(tq_graph_input(fake, 0));
    tq_tensor codes, reals;
    make_inputs(tq_graph_input(graph, 0), &type, &codes, &reals);
    tq_tensor expected = check_run(fake, &reals), found = check_run(graph, &codes);
    const tq_value *output = tq_graph_output(graph, 0);
    const double scale = meta(output, "quant.scale"), zero = meta(output, "quant.zero_point");
    CHECK_EQ(tq_tensor_count(&expected), tq_tensor_count(&found));
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < tq_tensor_count(&found); i++) {
        const double real = (double)((const float *)expected.data)[i];
        const double q = tq_load_f64(found.data, found.type.dtype, i) - zero;
        worst = fmax(worst, fabs(q - real / scale));
        largest = fmax(largest, fabs(q));
    }
    CHECK(largest > 10); /* it computes something */
    tq_tensor *const tensors[] = { &codes, &reals, &expected, &found };
    for (int i = 0; i < TQ_COUNT(tensors); i++)
        tq_tensor_reset(tensors[i]);
    tq_graph_destroy(fake);
    tq_graph_destroy(graph);
    return worst;
}

static void check_refused(const char *text, const char *message)
{
    const tq_registry *registry = check_registry();
    const tq_true_options options = { .fixed_shift = -1 };
    const tq_edit edit = { .registry = registry, .true_options = &options };
    tq_graph *graph = check_graph(text);
    CHECK_FAILS(tq_pipeline_run(registry, "f2t", &graph, &edit), TQ_ERR_UNSUPPORTED, message);
    tq_graph_destroy(graph);
}

#define CHECK_ROAD(text, op) CHECK(distance((text), (op)) < 1.01)

TEST(conv_with_bias_and_batch_norm_becomes_conv_integer)
{
    CHECK_ROAD(
        FAKE_X("[1,3,6,6]") FAKE_W(
            "[4,3,3,3]") "const b: f32[4] = {0.3,-0.2,0.5,0} "
                         "const s: f32[4] = {0.5,-0.7,0.2,1} const m: f32[4] = {0.1,0.2,0,0} "
                         "const r: f32[4] = {1,2,0.5,1} c = Conv(q,v,b)[pads=[1,1,1,1]] "
                         "n = BatchNormalization(c,s,b,m,r) y = Relu(n) " FAKE_Y("4"),
        "ConvInteger");
}

TEST(padding_of_a_conv_is_the_zero_point)
{
    CHECK_ROAD(FREE_X("[1,3,6,6]")
                   FAKE_W("[4,3,3,3]") "y = Conv(q,v)[pads=[1,1,1,1]] " SIGNED_Y("4"),
               "ConvInteger");
}

TEST(depthwise_conv_becomes_integer)
{
    CHECK_ROAD(FAKE_X("[1,4,6,6]")
                   FAKE_W("[4,1,3,3]") "y = Conv(q,v)[group=4,strides=[2,2]] " SIGNED_Y("3"),
               "ConvInteger");
}

TEST(gemm_with_bias_becomes_matmul_integer)
{
    CHECK_ROAD(FREE_X("[2,9]")
                   FAKE_W("[4,9]") "const b: f32[4] = {0.3,-0.2,0.5,0} "
                                   "y = Gemm(q,v,b)[transB=1,alpha=0.5,beta=2.0] " SIGNED_Y("3"),
               "MatMulInteger");
}

TEST(two_activations_multiply)
{
    CHECK_ROAD(FREE_X("[2,3,4]") "const p: i64[3] = {2,0,1} t = Transpose(q)[perm=[0,2,1]] "
                                 "y = MatMul(q,t) " SIGNED_Y("9"),
               "MatMulInteger");
}

TEST(clips_go_into_the_requantisation)
{
    CHECK_ROAD(FAKE_X("[1,3,6,6]")
                   FAKE_W("[4,3,1,1]") "const lo: f32[] = 0.5 const hi: f32[] = 1.5 "
                                       "c = Conv(q,v) y = Clip(c,lo,hi) " FAKE_Y("2"),
               "Requant");
}

TEST(average_pools_become_sums)
{
    CHECK_ROAD(
        FREE_X("[1,3,6,6]") "y = AveragePool(q)[kernel_shape=[3,3],strides=[2,2]] " FAKE_Y("2"),
        "SumPool");
    CHECK_ROAD(FAKE_X("[1,3,5,5]") "y = GlobalAveragePool(q) " SIGNED_Y("0.7"), "GlobalSumPool");
}

TEST(windows_of_different_sizes_are_equalised)
{
    CHECK_ROAD(
        FREE_X("[1,3,5,5]") "y = AveragePool(q)[kernel_shape=[3,3],pads=[1,1,1,1]] " FAKE_Y("2"),
        "Mul");
    CHECK_ROAD(FAKE_X("[1,3,5,5]") "y = AveragePool(q)[kernel_shape=[3,3],pads=[1,1,1,1],"
                                   "count_include_pad=1] " SIGNED_Y("2"),
               "SumPool");
    check_refused(
        FAKE_X("[1,3,5,5]") FAKE_W(
            "[4,3,1,1]") "const b: f32[4] = {1,0,0,0} "
                         "c = Conv(q,v,b) y = AveragePool(c)[kernel_shape=[3,3],pads=[1,1,1,1],"
                         "count_include_pad=1] " FAKE_Y("2"),
        "count_include_pad");
}

TEST(a_head_behind_a_pool_works_on_wide_codes)
{
    CHECK_ROAD(FREE_X("[1,9,4,4]") FAKE_W("[4,9]") "g = GlobalAveragePool(q) f = Flatten(g) "
                                                   "y = Gemm(f,v)[transB=1] " SIGNED_Y("4"),
               "MatMul");
    CHECK_ROAD(FREE_X("[1,9,4,4]")
                   FAKE_W("[4,9,1,1]") "g = GlobalAveragePool(q) y = Conv(g,v) " SIGNED_Y("4"),
               "Conv");
}

TEST(codes_of_16_bits_are_widened)
{
    CHECK_ROAD("input x: f32[1,3,6,6] const xl: f32[1] = -2.0 const xh: f32[1] = 2.0 "
               "q = FakeQuantize(x,xl,xh)[quantizer=\"pact\",q_min=-2048,n_levels=4096] " FAKE_W(
                   "[4,3,3,3]") "y = Conv(q,v)[pads=[1,1,1,1]] " SIGNED_Y("4"),
               "Cast");
    CHECK_ROAD("input x: f32[2,9] const xl: f32[1] = -2.0 const xh: f32[1] = 2.0 "
               "q = FakeQuantize(x,xl,xh)[quantizer=\"pact\",q_min=-2048,n_levels=4096] " FAKE_W(
                   "[4,9]") "y = Gemm(q,v)[transB=1] " SIGNED_Y("4"),
               "Cast");
}

TEST(a_transposed_operand_of_gemm_is_transposed_as_codes)
{
    CHECK_ROAD(FREE_X("[9,2]") FAKE_W("[4,9]") "y = Gemm(q,v)[transA=1,transB=1] " SIGNED_Y("4"),
               "Transpose");
    CHECK_ROAD("input x: f32[9,4] const xl: f32[1] = -2.0 const xh: f32[1] = 2.0 "
               "q = FakeQuantize(x,xl,xh)[quantizer=\"pact\",q_min=-2048,n_levels=4096] " FAKE_W(
                   "[4,9]") "y = Gemm(q,v)[transA=1,transB=1] " SIGNED_Y("4"),
               "Transpose");
}

TEST(means_over_axes_become_sums)
{
    CHECK_ROAD(
        FREE_X("[2,3,4,5]") "const a: i64[2] = {2,3} y = ReduceMean(q,a)[keepdims=0] " FAKE_Y("2"),
        "GlobalSumPool");
    CHECK_ROAD(FREE_X("[2,3,4,5]") "const a: i64[1] = {1} y = ReduceMean(q,a) " FAKE_Y("2"),
               "ReduceSum");
    CHECK_ROAD(FREE_X("[2,3,4,5]") "const a: i64[1] = {-1} y = ReduceSum(q,a) " SIGNED_Y("6"),
               "ReduceSum");
}

TEST(largest_elements_keep_their_codes)
{
    CHECK_ROAD(FREE_X("[1,3,6,6]") "y = MaxPool(q)[kernel_shape=[3,3],pads=[1,1,1,1]] " FAKE_Y("2"),
               "MaxPool");
    CHECK_ROAD(FREE_X("[1,3,6,6]") "const a: i64[1] = {2} y = ReduceMax(q,a) " FAKE_Y("2"),
               "ReduceMax");
}

TEST(functions_become_tables)
{
    CHECK_ROAD(FAKE_X("[3,50]") "y = LeakyRelu(q)[alpha=0.1] " SIGNED_Y("2"), "Lookup");
    CHECK_ROAD(FAKE_X("[3,50]") "y = Sigmoid(q) " FAKE_Y("1"), "Lookup");
    CHECK_ROAD(FAKE_X("[3,50]") "y = HardSwish(q) " SIGNED_Y("2"), "Lookup");
    CHECK_ROAD(FAKE_X("[3,50]") "const s: f32[1,1,1] = {0.25} y = PRelu(q,s) " SIGNED_Y("2"),
               "Lookup");
    CHECK_ROAD(FAKE_X("[3,4,50]") "const s: f32[4,1] = {0.25,-1,0,3} y = PRelu(q,s) " SIGNED_Y("2"),
               "Lookup");
}

TEST(negation_turns_the_scale)
{
    CHECK_ROAD(FREE_X("[3,50]") "y = Neg(q) " SIGNED_Y("2"), "Requant");
}

TEST(a_missing_fake_quantize_is_named)
{
    check_refused(
        FAKE_X("[1,3,6,6]") FAKE_W(
            "[4,3,1,1]") "const u: f32[4,4,1,1] = random(9) "
                         "const ul: f32[1] = -1.0 const uh: f32[1] = 1.0 "
                         "k = FakeQuantize(u,ul,uh)[quantizer=\"pact\",q_min=-127,n_levels=255] "
                         "c = Conv(q,v) r = Relu(c) y = Conv(r,k) " SIGNED_Y("4"),
        "put a FakeQuantize on it");
    check_refused(
        FAKE_X("[1,3,6,6]") "const u: f32[4,3,1,1] = random(9) y = Conv(q,u) " SIGNED_Y("4"),
        "'u' is not quantised");
}
