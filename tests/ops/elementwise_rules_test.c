/* Integer rules of elementwise operators, Concat, Pad and FakeQuantize. Scales that are powers of
 * two make float arithmetic exact, so that fake- and true-quantised networks must agree in every
 * code; other scales may differ by one step. */
#include "check.h"

/* q = the input x on 256 signed codes from -lo; "l" and "h" are clip_lo and clip_hi. */
#define SIGNED(x, lo)                                                                              \
    "const " x "l: f32[1] = {-" lo "} const " x "h: f32[1] = {" lo "} "                            \
    "q" x " = FakeQuantize(" x "," x "l," x "h)[q_min=-128,n_levels=256] "
#define INPUTS "input a: f32[1,2,3] input b: f32[1,2,3] "
/* f = the input a on 256 codes with zero point 64 and scale 1/64. */
#define FREE                                                                                       \
    SIGNED("a", "4.0")                                                                             \
    "const fl: f32[1] = -1.0 const fh: f32[1] = 2.984375 "                                         \
    "f = FakeQuantize(qa,fl,fh)[q_min=0,n_levels=256,free_offset=1] "
/* z on codes -128 .. 127 */
#define OUT(lo)                                                                                    \
    "const yl: f32[1] = {-" lo "} const yh: f32[1] = {" lo "} "                                    \
    "z = FakeQuantize(y,yl,yh)[q_min=-128,n_levels=256] output z"

static tq_status convert(const char *text, bool force_half_up, tq_graph **out_graph)
{
    const tq_registry *registry = check_registry();
    const tq_true_options options = {
        .fixed_shift = -1,
        .force_half_up = force_half_up,
        .limits =
            ((const tq_backend *)tq_registry_get(registry, TQ_KIND_BACKEND, "generic"))->requant,
    };
    tq_arena *scratch = tq_arena_create();
    const tq_edit edit = { .registry = registry, .true_options = &options, .scratch = scratch };
    *out_graph = check_graph(text);
    const tq_status status = tq_pipeline_run(registry, "f2t", out_graph, &edit);
    tq_arena_destroy(scratch);
    return status;
}

static double number(const tq_value *value, const char *key)
{
    double v = 0.0;
    CHECK(tq_value_meta_f64(value, key, &v));
    return v;
}

/* Random codes of a true network's input, and the reals they stand for. */
static void sample(const tq_value *input, int seed, tq_tensor *codes, tq_tensor *reals)
{
    const tq_type *type = tq_value_type(input);
    tq_type real_type = *type;
    real_type.dtype = TQ_F32;
    CHECK_OK(tq_tensor_init(codes, type));
    CHECK_OK(tq_tensor_init(reals, &real_type));
    tq_random random;
    tq_random_init(&random, (uint64_t)seed, 0, 0);
    const int64_t lo = (int64_t)number(input, "quant.q_min"),
                  hi = (int64_t)number(input, "quant.q_max");
    for (int64_t i = 0; i < tq_tensor_count(codes); i++) {
        const int64_t q = lo + tq_random_below(&random, hi - lo + 1);
        tq_store_i64(codes->data, type->dtype, i, q);
        ((float *)reals->data)[i] =
            (float)(number(input, "quant.scale") * ((double)q - number(input, "quant.zero_point")));
    }
}

static tq_tensor run(const tq_graph *graph, const tq_tensor *inputs, int n)
{
    tq_engine *engine;
    tq_type types[4];
    for (int i = 0; i < n; i++)
        types[i] = inputs[i].type;
    CHECK_OK(tq_engine_create(graph, types, n, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, inputs, n, 0));
    tq_tensor copy;
    CHECK_OK(tq_tensor_copy(tq_engine_output(engine, 0), &copy));
    tq_engine_destroy(engine);
    return copy;
}

/* Largest distance between the two networks over many inputs, in steps of the output. */
static double distance(const tq_graph *fake, const tq_graph *graph)
{
    const int n = tq_graph_n_inputs(fake);
    const tq_value *output = tq_graph_output(graph, 0);
    double worst = 0.0;
    for (int seed = 0; seed < 60; seed++) {
        tq_tensor codes[4], reals[4];
        for (int i = 0; i < n; i++)
            sample(tq_graph_input(graph, i), seed * 4 + i, &codes[i], &reals[i]);
        tq_tensor expected = run(fake, reals, n), found = run(graph, codes, n);
        CHECK_EQ(tq_tensor_count(&expected), tq_tensor_count(&found));
        for (int64_t i = 0; i < tq_tensor_count(&found); i++) {
            const double q =
                tq_load_f64(found.data, found.type.dtype, i) - number(output, "quant.zero_point");
            const double want =
                (double)((const float *)expected.data)[i] / number(output, "quant.scale");
            worst = fmax(worst, fabs(q - want));
        }
        tq_tensor_reset(&expected);
        tq_tensor_reset(&found);
        for (int i = 0; i < n; i++) {
            tq_tensor_reset(&codes[i]);
            tq_tensor_reset(&reals[i]);
        }
    }
    return worst;
}

static void check_agrees(const char *file, int line, const char *text, double steps, const char *op,
                         int n_op)
{
    tq_graph *fake = check_graph(text), *graph;
    const tq_status status = convert(text, false, &graph);
    if (status)
        check_fail(file, line, "%s\n%s", text, tq_status_text(status));
    const double found = distance(fake, graph);
    if (found > steps)
        check_fail(file, line, "%s\ndiffers by %g steps\n%s", text, found,
                   tq_graph_print(graph, 16));
    if (op && check_count(graph, op) != n_op)
        check_fail(file, line, "%s\nhas %d %s, expected %d\n%s", text, check_count(graph, op), op,
                   n_op, tq_graph_print(graph, 16));
    tq_graph_destroy(fake);
    tq_graph_destroy(graph);
}
/* Both networks give the same codes, and the true one has n nodes `op`. */
#define CHECK_EXACT(text, op, n) check_agrees(__FILE__, __LINE__, (text), 1e-4, (op), (n))
#define CHECK_CLOSE(text, op, n) check_agrees(__FILE__, __LINE__, (text), 1.0 + 1e-4, (op), (n))

#define CHECK_NO_INTEGERS(text, message)                                                           \
    do {                                                                                           \
        tq_graph *graph_;                                                                          \
        CHECK_FAILS(convert((text), false, &graph_), TQ_ERR_UNSUPPORTED, (message));               \
        tq_graph_destroy(graph_);                                                                  \
    } while (0)

TEST(codes_of_one_scale_are_added_as_they_are)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Add(qa, qb) " OUT("4.0"), "Mul",
                0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Sub(qa, qb) " OUT("2.0"), "Mul",
                0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Sum(qa, qb, qa) " OUT("8.0"),
                "Add", 2);
}

TEST(codes_of_other_scales_get_multipliers)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "8.0") "y = Add(qa, qb) " OUT("8.0"), "Mul",
                1);
    CHECK_CLOSE(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.7") "y = Add(qa, qb) " OUT("4.1"), "Mul",
                2);
    CHECK_CLOSE(INPUTS SIGNED("a", "2.0") SIGNED("b", "0.017") "y = Sub(qa, qb) " OUT("2.0"),
                "Requant", 1);
}

TEST(scales_too_far_apart_are_refused)
{
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0")
                          SIGNED("b", "0.0000001") "y = Add(qa, qb) " OUT("2.0"),
                      "too far apart");
}

TEST(zero_points_add_up)
{
    CHECK_EXACT(INPUTS FREE SIGNED("b", "2.0") "y = Add(f, qb) " OUT("4.0"), "Mul", 0);
}

TEST(a_constant_goes_into_the_offset)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "const k: f32[2,1] = {0.25,-0.5} y = Add(qa, k) " OUT("4.0"),
                "Add", 0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "const k: f32[] = 0.75 y = Sub(k, qa) " OUT("4.0"),
                "Sub", 0);
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0") SIGNED(
                          "b", "2.0") "const k: f32[1,2,3] = random(1) y = Add(qa, k) " OUT("4.0"),
                      "one per channel");
}

TEST(a_constant_factor_goes_into_the_scale)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "const k: f32[2,1] = {0.5,-2} y = Mul(k, qa) " OUT("4.0"),
                "Mul", 0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "const k: f32[] = -4.0 y = Div(qa, k) " OUT("0.5"),
                "Requant", 1);
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Div(qa, qb) " OUT("0.5"),
                      "division");
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0")
                          SIGNED("b", "2.0") "const k: f32[] = 0.0 y = Mul(qa, k) " OUT("0.5"),
                      "factor 0");
}

TEST(bounds_move_with_factors_and_constants)
{
    CHECK_EXACT(INPUTS SIGNED("a", "8.0") SIGNED(
                    "b", "2.0") "const lo: f32[] = 0.0 const hi: f32[] = 6.0 c = Clip(qa, lo, hi) "
                                "const k: f32[] = -0.5 "
                                "m = Mul(c, k) const one: f32[] = 1.0 y = Add(m, one) " OUT("4.0"),
                "Requant", 1);
}

TEST(two_codes_multiply_without_their_zero_points)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "4.0") "y = Mul(qa, qb) " OUT("8.0"), "Mul",
                1);
    CHECK_EXACT(INPUTS FREE SIGNED("b", "2.0") "y = Mul(f, qb) " OUT("8.0"), "Sub", 1);
}

TEST(constant_extremes_are_bounds_and_codes_are_compared)
{
    CHECK_EXACT(INPUTS SIGNED("a", "8.0")
                    SIGNED("b", "2.0") "const k: f32[] = 6.0 y = Min(qa, k) " OUT("8.0"),
                "Min", 0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Max(qa, qb) " OUT("2.0"), "Max",
                1);
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0") SIGNED("b", "4.0") "y = Max(qa, qb) " OUT("2.0"),
                      "equal scale");
}

TEST(concat_joins_codes_or_brings_them_onto_the_next_grid)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "y = Concat(qa, qb)[axis=1] " OUT("2.0"),
                "Requant", 0);
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "4.0") "y = Concat(qa, qb)[axis=1] " OUT("4.0"),
                "Requant", 1);
    CHECK_CLOSE(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.7") "y = Concat(qa, qb)[axis=1] " OUT("3.1"),
                "Requant", 2);
}

TEST(padding_writes_the_zero_point)
{
    CHECK_EXACT(
        INPUTS FREE SIGNED("b", "2.0") "const p: i64[6] = {0,0,1,0,0,2} y = Pad(f, p) " OUT("4.0"),
        "Pad", 1);
    CHECK_NO_INTEGERS(INPUTS SIGNED("a", "2.0")
                          SIGNED("b", "2.0") "const p: i64[6] = 1 const v: f32[] = 0.013 "
                                             "y = Pad(qa, p, v) " OUT("4.0"),
                      "no code");
}

TEST(moves_keep_their_codes)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "t = Transpose(qa)[perm=[0,2,1]] i = Identity(t) d = "
                                       "Dropout(i) y = Flatten(d) " OUT("4.0"),
                "Requant", 1);
}

TEST(a_grid_that_is_there_already_costs_nothing)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0") SIGNED("b", "2.0") "y = Flatten(qa) " OUT("2.0"),
                "Requant", 0);
}

TEST(a_bound_clips_at_the_code_the_grid_rounds_it_to)
{
    CHECK_EXACT(
        INPUTS SIGNED("a", "8.0") SIGNED(
            "b", "2.0") "const lo: f32[] = 0.0 const hi: f32[] = 5.9 "
                        "y = Clip(qa, lo, hi) const yl: f32[1] = 0.0 const yh: f32[1] = 15.9375 "
                        "z = FakeQuantize(y,yl,yh)[q_min=0,n_levels=256] output z",
        "Requant", 1);
}

TEST(a_quantised_constant_becomes_codes)
{
    CHECK_EXACT(INPUTS SIGNED("a", "2.0")
                    SIGNED("b", "2.0") "const k: f32[1,2,3] = random(4) "
                                       "const kl: f32[1] = -1.0 const kh: f32[1] = 1.0 qk = "
                                       "FakeQuantize(k,kl,kh)[q_min=-128,n_levels=256] "
                                       "y = Mul(qa, qk) " OUT("2.0"),
                "Mul", 1);
}

TEST(half_even_on_activations_needs_leave)
{
    const char *text = INPUTS SIGNED("a", "2.0") SIGNED(
        "b",
        "2.0") "y = Add(qa, qb) const yl: f32[1] = {-4.0} const yh: f32[1] = {4.0} "
               "z = FakeQuantize(y,yl,yh)[q_min=-128,n_levels=256,rounding=\"half-even\"] output z";
    CHECK_NO_INTEGERS(text, "--rounding half-up");
    tq_graph *graph;
    CHECK_OK(convert(text, true, &graph));
    tq_graph_destroy(graph);
}

TEST(a_quantiser_that_was_never_observed_says_so)
{
    tq_graph *graph;
    const tq_status status = convert(
        INPUTS SIGNED("a", "2.0") SIGNED(
            "b",
            "2.0") "y = Add(qa, qb) const n: f32[1] = {nan} z = FakeQuantize(y,n,n)[n_levels=256] "
                   "output z",
        false, &graph);
    CHECK_FAILS(status, TQ_ERR_STATE, "never observed");
    tq_graph_destroy(graph);
}
