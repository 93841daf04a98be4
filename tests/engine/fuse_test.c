/* Fused integer layers give exactly what the references of the nodes they stand for define: on
 * every level of the CPU, for any number of threads. */
#include "check.h"

#include <stdarg.h>

/* ---- writing networks ---------------------------------------------------------------------- */

/** "{a,b,...}": n numbers in [lo, hi]; good for the rest of the test. */
static const char *numbers(uint64_t seed, int n, int64_t lo, int64_t hi)
{
    static char texts[16][40000];
    static int next;
    char *text = texts[next++ % 16], *at = text;
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int i = 0; i < n; i++)
        at += sprintf(at, "%c%lld", i ? ',' : '{',
                      (long long)(lo + tq_random_below(&random, hi - lo + 1)));
    strcpy(at, "}");
    return text;
}

/** "const NAMEm: i32[c] = {..} const NAMEa: i64[c] = {..}": requantisation of sums about `reach`.
 */
static const char *requant(const char *name, int c, int shift, double reach)
{
    static char texts[8][90000];
    static int next;
    char *text = texts[next++ % 8];
    const double unit = ldexp(1.0, shift) * 100.0 / reach; /* sums of `reach` become 100 */
    sprintf(text, "const %sm: i32[%d] = %s const %sa: i64[%d] = %s ", name, c,
            numbers(7 + (uint64_t)shift, c, (int64_t)(unit / 2), (int64_t)(unit * 1.5)), name, c,
            numbers(8 + (uint64_t)shift, c, -(INT64_C(20) << shift), INT64_C(60) << shift));
    return text;
}

static tq_tensor random_codes(const tq_type *type, uint64_t seed)
{
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init(&tensor, type));
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int64_t i = 0; i < tq_type_count(type); i++)
        tq_store_i64(tensor.data, type->dtype, i,
                     tq_dtype_min(type->dtype) + tq_random_below(&random, 256));
    return tensor;
}

/* ---- holding layers to references ------------------------------------------------------------ */

typedef struct expectation {
    const tq_graph *graph;
    const tq_tensor *inputs;
    int n_inputs;
    const tq_engine *reference;
} expectation;

static tq_engine *plan(const expectation *e, const tq_engine_options *options)
{
    tq_type types[4];
    for (int i = 0; i < e->n_inputs; i++)
        types[i] = e->inputs[i].type;
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(e->graph, types, e->n_inputs, options, &engine));
    CHECK_OK(tq_engine_run(engine, e->inputs, e->n_inputs, 0));
    return engine;
}

static bool has_step(const tq_engine *engine, const char *kernel)
{
    for (int i = 0; i < tq_engine_n_steps(engine); i++)
        if (!strcmp(tq_engine_step(engine, i, NULL, NULL), kernel))
            return true;
    return false;
}

static void check_level(const expectation *e, const char *level, const char *kernel, int threads)
{
    tq_pool *pool;
    if (level)
        setenv("TRUQ_CPU", level, 1);
    else
        unsetenv("TRUQ_CPU");
    CHECK_OK(tq_pool_create(threads, &pool));
    tq_engine *engine = plan(e, &(tq_engine_options){ .pool = pool });
    CHECK_EQ(has_step(engine, kernel), 1, "no step '%s'", kernel);
    CHECK_OK(
        tq_engine_run(engine, e->inputs, e->n_inputs, 0)); /* memory of the first run is there */
    for (int i = 0; i < tq_graph_n_outputs(e->graph); i++)
        CHECK_EQ(tq_tensor_equal(tq_engine_output(engine, i), tq_engine_output(e->reference, i)), 1,
                 "output %d at level %s with %d threads", i, level ? level : "full", threads);
    tq_engine_destroy(engine);
    tq_pool_destroy(pool);
    unsetenv("TRUQ_CPU");
}

/** Some step is `kernel`, and all outputs are those of the references, which are not trivial. */
static void check_fused(const char *kernel, const char *format, ...)
{
    static char text[400000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tq_graph *graph = check_graph(text);
    tq_tensor inputs[4];
    const int n = tq_graph_n_inputs(graph);
    for (int i = 0; i < n; i++)
        inputs[i] = random_codes(tq_value_type(tq_graph_input(graph, i)), 50 + (uint64_t)i);
    expectation e = { graph, inputs, n, NULL };
    tq_engine *reference = plan(&e, &(tq_engine_options){ .reference_only = true });
    e.reference = reference;
    const tq_tensor *out = tq_engine_output(reference, 0);
    int64_t n_same = 0;
    for (int64_t i = 0; i < tq_tensor_count(out); i++)
        n_same += tq_load_i64(out->data, out->type.dtype, i) ==
                  tq_load_i64(out->data, out->type.dtype, 0);
    CHECK(n_same < tq_tensor_count(out));
    static const char *const levels[] = { "reference", "avx2", "avx512", NULL };
    for (int i = 0; i < 4; i++)
        for (int threads = 1; threads <= 3; threads++)
            check_level(&e, levels[i], kernel, threads);
    tq_engine_destroy(reference);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&inputs[i]);
    tq_graph_destroy(graph);
}

#define REQUANT_U8(x, name, shift)                                                                 \
    "Requant(" x "," name "m," name "a)[shift=" #shift ",q_min=0,q_max=255,dtype=\"u8\"]"
#define REQUANT_I8(x, name, shift)                                                                 \
    "Requant(" x "," name "m," name "a)[shift=" #shift ",q_min=-128,q_max=127,dtype=\"i8\"]"

static const char conv_name[] = "fused convolution",
                  depthwise_name[] = "fused depthwise convolution";

/* ---- convolutions ---------------------------------------------------------------------------- */

TEST(a_convolution_with_borders_bias_and_zero_point)
{
    check_fused(conv_name,
                "input x: u8[2,9,11,7] const w: i8[50,9,3,3] = random(1) const z: u8[] = 7 "
                "const b: i32[1,50,1,1] = %s %s c=ConvInteger(x,w,z)[pads=[1,1,1,1]] d=Add(c,b) "
                "y=" REQUANT_U8("d", "r", 36),
                numbers(3, 50, -9000, 9000), requant("r", 50, 36, 90000));
}

TEST(signed_codes_in_and_out)
{
    check_fused(conv_name,
                "input x: i8[1,5,13,9] const w: i8[70,5,3,3] = random(1) const z: i8[] = -100 "
                "%s c=ConvInteger(x,w,z)[strides=[2,2],pads=[0,1,2,1]] y=" REQUANT_I8("c", "r", 33),
                requant("r", 70, 33, 60000));
}

TEST(every_number_of_channels_left_over)
{
    for (int oc = 1; oc <= 129; oc += oc < 20 ? 5 : 21)
        check_fused(
            conv_name,
            "input x: u8[1,17,5,9] const w: i8[%d,17,1,1] = random(1) %s c=ConvInteger(x,w) "
            "y=" REQUANT_U8("c", "r", 35),
            oc, requant("r", oc, 35, 90000));
}

TEST(windows_of_many_steps_of_tiles)
{
    static const int channels[] = { 32, 50, 64, 100, 256 };
    for (int i = 0; i < TQ_COUNT(channels); i++) {
        check_fused(
            conv_name,
            "input x: i8[1,%d,6,19] const w: i8[70,%d,3,3] = random(1) const z: i8[] = 5 %s "
            "c=ConvInteger(x,w,z)[pads=[1,1,1,1]] y=" REQUANT_I8("c", "r", 36),
            channels[i], channels[i], requant("r", 70, 36, 400000));
        check_fused(conv_name,
                    "input x: u8[3,%d,5,7] const w: i8[33,%d,1,1] = random(1) %s "
                    "c=ConvInteger(x,w)[strides=[2,1]] y=" REQUANT_U8("c", "r", 36),
                    channels[i], channels[i], requant("r", 33, 36, 150000));
    }
}

TEST(weights_that_are_taken_slice_by_slice)
{
    check_fused(conv_name,
                "input x: u8[1,130,7,7] const w: i8[70,130,3,3] = random(1) %s "
                "c=ConvInteger(x,w)[pads=[1,1,1,1]] y=" REQUANT_U8("c", "r", 36),
                requant("r", 70, 36, 500000));
    check_fused(conv_name,
                "input x: i8[2,40,9,31] const w: i8[64,40,3,5] = random(1) %s "
                "c=ConvInteger(x,w)[pads=[1,2,1,2],dilations=[1,1]] y=" REQUANT_I8("c", "r", 36),
                requant("r", 64, 36, 500000));
    check_fused(conv_name,
                "input x: u8[1,70,6,6] const w: i8[64,70,3,3] = random(1) %s "
                "c=ConvInteger(x,w)[pads=[2,2,2,2],dilations=[2,2]] y=" REQUANT_U8("c", "r", 36),
                requant("r", 64, 36, 400000));
    check_fused(conv_name,
                "input x: u8[3,999] const w: i8[999,67] = random(1) y=MatMulInteger(x,w)");
}

TEST(one_pixel_wide_to_one_row_of_many)
{
    for (int width = 1; width <= 40; width += 3)
        check_fused(conv_name,
                    "input x: u8[1,3,2,%d] const w: i8[20,3,2,1] = random(1) %s c=ConvInteger(x,w) "
                    "y=" REQUANT_U8("c", "r", 32),
                    width, requant("r", 20, 32, 30000));
}

TEST(groups_dilations_and_windows_that_reach_far)
{
    check_fused(conv_name,
                "input x: u8[2,12,15,14] const w: i8[24,3,3,2] = random(1) const z: u8[] = 255 %s "
                "c=ConvInteger(x,w,z)[group=4,dilations=[2,3],pads=[2,3,2,3],strides=[3,1]] "
                "y=" REQUANT_U8("c", "r", 34),
                requant("r", 24, 34, 60000));
    check_fused(conv_name,
                "input x: u8[1,3,20,20] const w: i8[8,3,7,7] = random(1) %s "
                "c=ConvInteger(x,w)[dilations=[1,2],pads=[3,6,3,6],strides=[2,2]] "
                "y=" REQUANT_U8("c", "r", 37),
                requant("r", 8, 37, 90000));
}

TEST(a_one_dimensional_convolution)
{
    check_fused(conv_name,
                "input x: i8[2,6,41] const w: i8[19,6,5] = random(1) %s "
                "c=ConvInteger(x,w)[strides=[2],pads=[2,2]] y=" REQUANT_I8("c", "r", 34),
                requant("r", 19, 34, 60000));
}

TEST(a_small_shift_is_made_large)
{
    check_fused(conv_name,
                "input x: u8[1,8,6,6] const w: i8[8,8,1,1] = random(1) %s c=ConvInteger(x,w) "
                "y=Requant(c,rm,ra)[shift=12,q_min=3,q_max=201,dtype=\"u8\"]",
                requant("r", 8, 12, 20000));
}

TEST(one_multiplier_for_all_and_negative_ones)
{
    check_fused(conv_name,
                "input x: u8[1,8,6,6] const w: i8[8,8,1,1] = random(1) const m: i32[1] = {-400000} "
                "const a: i64[1] = {5000000} c=ConvInteger(x,w) "
                "y=Requant(c,m,a)[shift=26,q_min=-128,q_max=127,dtype=\"i8\"]");
}

TEST(a_chain_keeps_its_codes_in_place)
{
    check_fused(conv_name,
                "input x: i8[2,3,19,19] const w0: i8[24,3,3,3] = random(1) "
                "const w1: i8[24,1,3,3] = random(2) const w2: i8[40,24,1,1] = random(3) "
                "const w3: i8[10,40,3,3] = random(4) %s%s%s%s "
                "c0=ConvInteger(x,w0)[pads=[1,1,1,1],strides=[2,2]] q0=" REQUANT_U8("c0", "p", 36) " c1=ConvInteger(q0,w1)[pads=[1,1,1,1],group=24] q1=" REQUANT_U8(
                    "c1", "q",
                    34) " c2=ConvInteger(q1,w2) q2=" REQUANT_U8("c2", "r",
                                                                37) " c3=ConvInteger(q2,w3)["
                                                                    "pads=[1,1,1,1]] "
                                                                    "y=" REQUANT_U8("c3", "s",
                                                                                    38) " outp"
                                                                                        "ut y "
                                                                                        "outpu"
                                                                                        "t q1",
                requant("p", 24, 36, 30000), requant("q", 24, 34, 20000),
                requant("r", 40, 37, 60000), requant("s", 10, 38, 200000));
}

/* ---- depthwise ------------------------------------------------------------------------------ */

TEST(depthwise_by_rows_of_bytes)
{
    static const int channels[] = { 4, 5, 24, 33, 64, 96, 130 };
    for (int i = 0; i < TQ_COUNT(channels); i++)
        check_fused(depthwise_name,
                    "input x: u8[2,%d,9,7] const w: i8[%d,1,3,3] = random(1) const z: u8[] = 9 %s "
                    "c=ConvInteger(x,w,z)[group=%d,pads=[1,1,1,1]] y=" REQUANT_U8("c", "r", 34),
                    channels[i], channels[i], requant("r", channels[i], 34, 40000), channels[i]);
}

TEST(depthwise_by_pixels)
{
    static const int channels[] = { 4, 24, 70, 128 };
    for (int i = 0; i < TQ_COUNT(channels); i++)
        check_fused(depthwise_name,
                    "input x: i8[1,%d,10,11] const w: i8[%d,1,5,5] = random(1) %s "
                    "c=ConvInteger(x,w)[group=%d,pads=[2,2,2,2],strides=[2,2]] "
                    "y=" REQUANT_I8("c", "r", 35),
                    channels[i], channels[i], requant("r", channels[i], 35, 50000), channels[i]);
}

/* ---- products, sums, pools ------------------------------------------------------------------- */

TEST(a_product_leaves_plain_sums)
{
    check_fused(conv_name,
                "input x: u8[3,67] const w: i8[67,90] = random(1) const b: i32[90] = random(2) "
                "c=MatMulInteger(x,w) y=Add(c,b)");
    check_fused(conv_name, "input x: i8[1,3] const w: i8[3,5] = random(1) y=MatMulInteger(x,w)");
}

TEST(a_flatten_is_folded_into_the_weight)
{
    check_fused(conv_name,
                "input x: u8[2,5,4,3] const w: i8[60,17] = random(1) %s f=Flatten(x) "
                "c=MatMulInteger(f,w) y=" REQUANT_U8("c", "r", 35),
                requant("r", 17, 35, 60000));
}

TEST(a_residual_sum)
{
    check_fused(
        "fused sum by tables",
        "input a: u8[2,7,5,6] input b: i8[2,7,5,6] const m: i32[1] = {700000} "
        "const h: i64[1] = {524288} const n: i32[1] = {-900000} const k: i32[1] = {1500000} "
        "p=Requant(a,m,h)[shift=20,q_min=-128,q_max=127,dtype=\"i8\"] "
        "q=Requant(b,n,h)[shift=20,q_min=-128,q_max=127,dtype=\"i8\"] "
        "u=Cast(p)[to=6] v=Cast(q)[to=6] s=Add(u,v) "
        "y=Requant(s,k,h)[shift=20,q_min=0,q_max=255,dtype=\"u8\"]");
}

TEST(a_residual_sum_of_codes_as_they_are)
{
    check_fused("fused sum by tables",
                "input a: i8[1,64,5,6] input b: i8[1,64,5,6] const h: i64[1] = {524288} "
                "const k: i32[1] = {524288} u=Cast(a)[to=6] v=Cast(b)[to=6] s=Add(u,v) "
                "y=Requant(s,k,h)[shift=20,q_min=-128,q_max=127,dtype=\"i8\"]");
}

TEST(a_block_of_a_residual_network)
{
    check_fused(
        "fused sum by tables",
        "input x: u8[2,16,8,8] const w0: i8[16,16,3,3] = random(1) "
        "const w1: i8[16,16,3,3] = random(2) %s%s const m: i32[1] = {500000} "
        "const h: i64[1] = {524288} const k: i32[1] = {1000000} "
        "c0=ConvInteger(x,w0)[pads=[1,1,1,1]] q0=" REQUANT_U8(
            "c0", "p",
            36) " c1=ConvInteger(q0,w1)[pads=[1,1,1,1]] q1=" REQUANT_I8("c1", "q",
                                                                        37) " p=Requant(x,m,h)["
                                                                            "shift=20,q_min=-128,q_"
                                                                            "max=127,dtype=\"i8\"] "
                                                                            "u=Cast(p)[to=6] "
                                                                            "v=Cast(q1)[to=6] "
                                                                            "s=Add(u,v) "
                                                                            "y=Requant(s,k,h)["
                                                                            "shift=20,q_min=0,q_"
                                                                            "max=255,dtype=\"u8\"]",
        requant("p", 16, 36, 90000), requant("q", 16, 37, 100000));
}

TEST(codes_requantised_alone)
{
    check_fused("fused sum by tables",
                "input a: i8[2,7,5,6] const m: i64[1] = {700000} const h: i64[1] = {524288} "
                "y=Requant(a,m,h)[shift=20,q_min=-100,q_max=90,dtype=\"i8\"]");
}

TEST(pools)
{
    check_fused(
        "fused maximum",
        "input x: i8[2,19,9,8] y=MaxPool(x)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1]]");
    check_fused("fused maximum",
                "input x: u8[1,64,9,8] y=MaxPool(x)[kernel_shape=[2,3],ceil_mode=1,strides=[2,2]]");
    check_fused("fused sum of images",
                "input x: i8[2,70,5,7] %s s=GlobalSumPool(x) y=" REQUANT_I8("s", "r", 36),
                requant("r", 70, 36, 2000));
}

TEST(readers_with_different_paddings_and_fillings)
{
    check_fused(
        "to another border",
        "input x: u8[1,8,9,9] const w0: i8[8,8,3,3] = random(1) const w1: i8[8,8,5,5] = random(2) "
        "const i: i8[8,8,1,1] = random(3) const z: u8[] = 40 %s%s%s "
        "ci=ConvInteger(x,i) q=" REQUANT_U8(
            "ci", "p", 34) " c0=ConvInteger(q,w0)[pads=[1,1,1,1]] "
                           "y0=" REQUANT_U8("c0", "q", 36) " c1=ConvInteger(q,w1,z)["
                                                           "pads=[2,2,2,2]] "
                                                           "y1=" REQUANT_U8("c1", "r", 37) " outp"
                                                                                           "ut "
                                                                                           "y0 "
                                                                                           "outpu"
                                                                                           "t y1",
        requant("p", 8, 34, 20000), requant("q", 8, 36, 90000), requant("r", 8, 37, 90000));
}

/* ---- what stays as it is --------------------------------------------------------------------- */

static int count_steps(const char *text, const tq_engine_options *options, const char *kernel)
{
    tq_graph *graph = check_graph(text);
    const tq_type type = *tq_value_type(tq_graph_input(graph, 0));
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(graph, &type, 1, options, &engine));
    int n = 0;
    for (int i = 0; i < tq_engine_n_steps(engine); i++)
        n += !strcmp(tq_engine_step(engine, i, NULL, NULL), kernel);
    tq_engine_destroy(engine);
    tq_graph_destroy(graph);
    return n;
}

static const char small[] =
    "input x: u8[1,4,6,6] const w: i8[8,4,1,1] = random(1) const m: i32[1] = {400000} "
    "const a: i64[1] = {5} c=ConvInteger(x,w) "
    "y=Requant(c,m,a)[shift=30,q_min=0,q_max=255,dtype=\"u8\"]";

TEST(values_that_are_kept_are_not_fused_away)
{
    CHECK_EQ(count_steps(small, NULL, conv_name), 1);
    CHECK_EQ(count_steps(small, &(tq_engine_options){ .keep_all = true }, conv_name), 0);
    CHECK_EQ(count_steps(small, &(tq_engine_options){ .constants_change = true }, conv_name), 0);
    CHECK_EQ(count_steps(small, &(tq_engine_options){ .reference_only = true }, conv_name), 0);
}

TEST(sums_that_others_read_are_not_fused_away)
{
    char text[1000];
    snprintf(text, sizeof text, "%s output c output y", small);
    CHECK_EQ(count_steps(text, NULL, conv_name), 0);
}

TEST(a_requantisation_that_needs_all_64_bits_is_left_to_the_kernels)
{
    CHECK_EQ(
        count_steps("input x: u8[1,4,6,6] const w: i8[8,4,1,1] = random(1) "
                    "const m: i64[1] = {9007199254740993} const a: i64[1] = {5} "
                    "c=ConvInteger(x,w) y=Requant(c,m,a)[shift=60,q_min=0,q_max=255,dtype=\"u8\"]",
                    NULL, conv_name),
        0);
}

TEST(absurd_padding_is_not_held_as_a_border)
{
    const char *text = "input x: u8[1,4,6,6] const w: i8[8,4,1,1] = random(1) "
                       "const m: i32[1] = {400000} const a: i64[1] = {5} "
                       "c=ConvInteger(x,w)[pads=[1048576,1048576,1048576,1048576],"
                       "strides=[2000000,2000000]] "
                       "y=Requant(c,m,a)[shift=30,q_min=0,q_max=255,dtype=\"u8\"]";
    tq_graph *graph = check_graph(text);
    const tq_type type = *tq_value_type(tq_graph_input(graph, 0));
    tq_engine *engine = NULL;
    const tq_status status = tq_engine_create(graph, &type, 1, &(tq_engine_options){ 0 }, &engine);
    for (int i = 0; engine && i < tq_engine_n_steps(engine); i++)
        CHECK(strcmp(tq_engine_step(engine, i, NULL, NULL), conv_name) != 0);
    tq_status_drop(status); /* memory may run out for the kernel that takes it */
    tq_engine_destroy(engine);
    tq_graph_destroy(graph);
}
