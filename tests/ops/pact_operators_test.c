/* QuantLib's integer operators on small numbers; whole networks are in the golden tests. */
#include "evaluate.h"

/** Runs op on an i64 tensor: attributes that come as tensors are f32 scalars. */
static tq_tensor run_with(const char *op, const tq_tensor *const *inputs, int n,
                          const char *const *names, const float *numbers, int n_numbers,
                          const tq_attr *more, int n_more)
{
    tq_graph *g = tq_graph_create(check_registry());
    tq_value *values[4];
    tq_attr attrs[12];
    for (int i = 0; i < n; i++)
        CHECK_OK(tq_graph_add_constant(g, NULL, inputs[i], &values[i]));
    const tq_type scalar = tq_type_make(TQ_F32, 0, NULL);
    for (int i = 0; i < n_numbers; i++) {
        attrs[i] = (tq_attr){ .name = names[i], .kind = TQ_ATTR_TENSOR };
        CHECK_OK(tq_tensor_init_from(&attrs[i].tensor, &scalar, &numbers[i]));
    }
    for (int i = 0; i < n_more; i++)
        attrs[n_numbers + i] = more[i];
    tq_node *node;
    const tq_node_spec spec = {
        .op = op, .n_inputs = n, .inputs = values, .n_attrs = n_numbers + n_more, .attrs = attrs
    };
    CHECK_OK(tq_graph_add_node(g, &spec, &node));
    tq_tensor y;
    CHECK_OK(tq_node_evaluate(node, &y));
    for (int i = 0; i < n_numbers; i++)
        tq_tensor_reset(&attrs[i].tensor);
    tq_graph_destroy(g);
    return y;
}

static tq_tensor tensor_of(int rank, const int64_t *dims, const int64_t *values)
{
    const tq_type type = tq_type_make(TQ_I64, rank, dims);
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init_from(&tensor, &type, values));
    return tensor;
}

static void check_all(tq_tensor y, const int64_t *expected)
{
    for (int64_t i = 0; i < tq_tensor_count(&y); i++)
        CHECK_EQ(((const int64_t *)y.data)[i], expected[i], "(element %d)", (int)i);
    tq_tensor_reset(&y);
}

#define DIMS(...)                                                                                  \
    TQ_COUNT(((int64_t[]){ __VA_ARGS__ })), (int64_t[])                                            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define VALUES(...)                                                                                \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void check_requant_shift(tq_tensor mul, tq_tensor add, const int64_t *expected)
{
    tq_tensor x = tensor_of(DIMS(1, 2, 2), VALUES(3, -3, 100000, 5));
    const char *const names[] = { "div", "n_levels", "signed" };
    check_all(run_with("RequantShift", (const tq_tensor *[]){ &x, &mul, &add }, 3, names,
                       (const float[]){ 4.0f, 256.0f, 1.0f }, 3, NULL, 0),
              expected);
    tq_tensor_reset(&x);
    tq_tensor_reset(&mul);
    tq_tensor_reset(&add);
}

TEST(requant_shift_rounds_half_up_per_tensor_and_per_channel)
{
    check_requant_shift(tensor_of(0, NULL, VALUES(2)), tensor_of(0, NULL, VALUES(0)),
                        VALUES(2, -1, 127, 3));
    check_requant_shift(tensor_of(DIMS(2, 1), VALUES(2, 4)), tensor_of(DIMS(2, 1), VALUES(0, 8)),
                        VALUES(2, -1, 127, 7));
    check_requant_shift(tensor_of(DIMS(2, 1, 1), VALUES(2, 4)),
                        tensor_of(DIMS(2, 1, 1), VALUES(0, 8)), VALUES(2, -1, 127, 7));
}

TEST(i_softmax_of_equal_numbers_shares_the_levels)
{
    tq_tensor x = tensor_of(DIMS(1, 2), VALUES(-7, -7));
    const char *const names[] = { "coeffA", "coeffB", "coeffC", "log2", "n_levels" };
    check_all(run_with("iSoftmax", (const tq_tensor *[]){ &x }, 1, names,
                       (const float[]){ 1, 345, 62395, 255, 256 }, 5, NULL, 0),
              VALUES(127, 127));
    tq_tensor_reset(&x);
}

TEST(ita_max_halves_with_every_step_of_the_logarithm)
{
    /* 256 (1 + 1/2 + 1/256): sum 385, inverse floor(65280 / 385) = 169; shifts 0, 1 (32 codes
     * below), 8 */
    tq_tensor x = tensor_of(DIMS(1, 3), VALUES(127, 95, -128));
    const char *const names[] = { "n_levels" };
    check_all(run_with("ITAMax", (const tq_tensor *[]){ &x }, 1, names, (const float[]){ 256 }, 1,
                       NULL, 0),
              VALUES(169, 84, 0));
    const tq_attr width = TQ_INT("group_width", 1);
    check_all(run_with("ITAPartialMax", (const tq_tensor *[]){ &x }, 1, names,
                       (const float[]){ 256 }, 1, &width, 1),
              VALUES(169, 84, 0));
    tq_tensor_reset(&x);
}

TEST(ita_partial_max_shifts_its_sum_when_the_maximum_grows)
{
    /* groups {95}, {127}: 256 >> 1 = 128, + 256 = 384; inverse 170 */
    tq_tensor x = tensor_of(DIMS(1, 2), VALUES(95, 127));
    const char *const names[] = { "n_levels" };
    const tq_attr width = TQ_INT("group_width", 1);
    check_all(run_with("ITAPartialMax", (const tq_tensor *[]){ &x }, 1, names,
                       (const float[]){ 256 }, 1, &width, 1),
              VALUES(85, 170));
    tq_tensor_reset(&x);
}

TEST(i_layer_norm_truncates_mean_and_quotient_and_floors_the_rest)
{
    /* mean trunc(-1/4) = 0, var floor(66/4) + 1 = 17, root 4 */
    tq_tensor x = tensor_of(DIMS(1, 4), VALUES(-5, -4, 3, 5)), w = tensor_of(DIMS(1), VALUES(6)),
              b = tensor_of(DIMS(4), VALUES(0, 0, 0, 1));
    const char *const names[] = { "D", "n_levels" };
    /* variance of (-5,-4,3,5): 25+16+9+25 = 75 / 4 = 18, + 1 = 19, root 4; -30/4 = -7, -24/4 = -6,
     * 18/4 = 4, 30/4 = 7 */
    check_all(run_with("iLayerNorm", (const tq_tensor *[]){ &x, &w, &b }, 3, names,
                       (const float[]){ 2, 256 }, 2, NULL, 0),
              VALUES(-4, -3, 2, 4));
    tq_tensor_reset(&x);
    tq_tensor_reset(&w);
    tq_tensor_reset(&b);
}

TEST(i_rms_norm_floors_once)
{
    tq_tensor x = tensor_of(DIMS(1, 4), VALUES(-5, -4, 3, 5)), w = tensor_of(DIMS(1), VALUES(6));
    const tq_attr attrs[] = { TQ_INT("D", 2) };
    check_all(run_with("iRMSNorm", (const tq_tensor *[]){ &x, &w }, 2, NULL, NULL, 0, attrs, 1),
              VALUES(-4, -3, 2, 3));
    tq_tensor_reset(&x);
    tq_tensor_reset(&w);
}

TEST(i_gelu_and_i_hardswish_follow_their_polynomials)
{
    CHECK_VALUES("const x: i32[3] = {-2,0,10} y = iGELU(x)[b=-5,one=30]", -2 * 4, 0, 10 * 30);
    CHECK_VALUES("const x: i32[3] = {-4,1,9} y = iHardswish(x)[three=3,six=6,one_over_six=2]", 0, 8,
                 108);
}

TEST(integer_means_and_quotients_round_half_up)
{
    CHECK_VALUES("const x: i64[2,2] = {1,2,-1,-2} y = IntegerMean(x)[axes=[1],keepdims=0]", 2, -1);
    CHECK_VALUES(
        "const x: i64[3] = {7,-7,5} const z: i64[] = 2 y = IntegerDiv(x, z)[Delta=1,eps=0,eta=1]",
        4, -3, 3);
    CHECK_VALUES(
        "const x: i64[1] = 5 const z: i64[1] = 0 y = IntegerDiv(x, z)[Delta=1,eps=0,eta=1]", 0);
    CHECK_VALUES("const x: i64[2] = {7,-7} y = TrueIntegerDiv(x)[y=4,Delta=2]", 4, -3);
}
