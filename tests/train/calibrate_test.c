/* Calibration and the training of fake-quantised networks. */
#include "fixture.h"

static tq_calibrate_options calibration(const tq_dataset *data)
{
    return (tq_calibrate_options){
        .registry = check_registry(), .data = data, .batch = 7, .n_threads = 1
    };
}

/** Largest and smallest element of a dataset's inputs. */
static void extremes(const tq_dataset *data, float *out_min, float *out_max)
{
    const tq_tensor *x;
    CHECK_OK(tq_dataset_array(data, "inputs", &x));
    *out_min = *out_max = *(const float *)x->data;
    for (int64_t i = 1; i < tq_tensor_count(x); i++) {
        const float v = ((const float *)x->data)[i];
        *out_min = v < *out_min ? v : *out_min;
        *out_max = v > *out_max ? v : *out_max;
    }
}

/** Input quantiser (signed unless positive), Relu quantiser (unsigned), weights that follow. */
#define FAKE                                                                                       \
    "input x: f32[?,1,4,4] const il: f32[1] = nan const ih: f32[1] = nan "                         \
    "const al: f32[1] = nan const ah: f32[1] = nan const w: f32[4,1,3,3] = random(1) "             \
    "const s: f32[4] = 1.0 const b: f32[4] = 0.0 const m: f32[4] = 0.0 const v: f32[4] = 1.0 "     \
    "const f: f32[3,64] = random(2) const g: f32[3] = 0.0 "                                        \
    "q = FakeQuantize(x,il,ih)[q_min=-128,n_levels=256,unsigned_if_positive=1] "                   \
    "wl,wh = WeightRange(w)[q_min=-128,n_levels=256,axis=0] "                                      \
    "wq = FakeQuantize(w,wl,wh)[q_min=-128,n_levels=256,axis=0] "                                  \
    "c = Conv(q,wq)[pads=[1,1,1,1]] n = BatchNormalization(c,s,b,m,v) r = Relu(n) "                \
    "a = FakeQuantize(r,al,ah)[q_min=0,n_levels=256] t = Flatten(a) "                              \
    "logits = Gemm(t,f,g)[transB=1] output logits"

TEST(minmax_covers_what_was_seen_and_nothing_else_changes)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph(FAKE);
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    float min, max;
    extremes(data, &min, &max);
    const double scale = fmax((double)min / -128.0, (double)max / 127.0);
    CHECK_NEAR((double)*constant(g, "il"), -128.0 * scale, 1e-5);
    CHECK_NEAR((double)*constant(g, "al"), 0.0, 0.0);
    CHECK(*constant(g, "ah") > 0.5f);
    CHECK(constant(g, "m")[0] == 0.0f && constant(g, "v")[0] == 1.0f);
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(g, "q")), "q_min"), -128);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(threads_do_not_change_a_calibration)
{
    tq_dataset *data = open_points(60);
    char *text[2];
    for (int i = 0; i < 2; i++) {
        tq_graph *g = check_graph(FAKE);
        tq_calibrate_options o = calibration(data);
        o.n_threads = i + 1;
        CHECK_OK(tq_calibrate(g, &o));
        text[i] = tq_graph_print(g, -1);
        tq_graph_destroy(g);
    }
    CHECK_STR(text[0], text[1]);
    free(text[0]);
    free(text[1]);
    tq_dataset_close(data);
}

TEST(quantisers_do_not_act_while_observed)
{
    /* were the first one to act, the second would see nothing beyond 0.1 */
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const l: f32[1] = nan const h: f32[1] = nan "
                              "const ll: f32[1] = nan const hh: f32[1] = nan r = Relu(x) "
                              "a = FakeQuantize(r,l,h)[n_levels=256,init=\"const:0,0.1\"] "
                              "y = FakeQuantize(a,ll,hh)[n_levels=256]");
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    float min, max;
    extremes(data, &min, &max);
    CHECK_NEAR((double)*constant(g, "h"), 0.1, 1e-6);
    CHECK_NEAR((double)*constant(g, "hh"), (double)max, 1e-5);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

#define PAIR(positive)                                                                             \
    "input x: f32[?,1,4,4] const k: f32[] = 3.0 const l: f32[1] = nan const h: f32[1] = nan "      \
    "n = " positive "(x) z = Mul(n, k) "                                                           \
    "a = FakeQuantize(n,l,h)[q_min=-128,n_levels=256,unsigned_if_positive=1,observe=0] "           \
    "b = FakeQuantize(z,l,h)[q_min=-128,n_levels=256,unsigned_if_positive=1] y = Add(a, b)"

TEST(shared_parameters_follow_those_that_observe)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph(PAIR("Relu"));
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    float min, max;
    extremes(data, &min, &max);
    CHECK_NEAR((double)*constant(g, "h"), 3.0 * (double)max, 1e-4);
    for (int i = 0; i < 2; i++) /* nothing negative: both turn unsigned */
        CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(g, i ? "a" : "b")), "q_min"), 0);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(placed_grids_that_do_not_observe_stay_where_they_are)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const l: f32[1] = -0.5 const h: f32[1] = 0.25 "
                              "const ll: f32[1] = nan const hh: f32[1] = nan "
                              "a = FakeQuantize(x,l,h)[q_min=-128,n_levels=256,observe=0] "
                              "y = FakeQuantize(a,ll,hh)[q_min=-128,n_levels=256]");
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    CHECK(*constant(g, "l") == -0.5f && *constant(g, "h") == 0.25f);
    CHECK(*constant(g, "hh") > 0.0f);
    *constant(g, "l") = NAN; /* nobody ever placed it */
    CHECK_FAILS(tq_calibrate(g, &o), TQ_ERR_STATE, "quantizer 'a': nothing was observed");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(signed_data_keeps_signed_codes)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph(PAIR("Identity"));
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(g, "a")), "q_min"), -128);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

/* What others quantised has grids and observes nothing. */
TEST(grids_that_observe_nothing_and_are_placed_stay)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph(
        "input x: f32[?,1,4,4] const s: f32[] = 0.25 const z: f32[] = 3 const n: f32[1] = nan "
        "q = FakeQuantize(x,s,z)[quantizer=\"fixed\",q_min=0,n_levels=256,observe=0,free_offset=1] "
        "r = Relu(q) y = FakeQuantize(r,n,n)[q_min=0,n_levels=256]");
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    CHECK_NEAR((double)*constant(g, "s"), 0.25, 0);
    CHECK_NEAR((double)*constant(g, "z"), 3, 0);
    CHECK(*constant(g, "n") > 0.5f);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(constant_grids_need_no_data)
{
    tq_graph *g = check_graph("input x: f32[?,4] const l: f32[1] = nan const h: f32[1] = nan "
                              "y = FakeQuantize(x,l,h)[n_levels=256,init=\"const:0,6\"]");
    tq_calibrate_options o = calibration(NULL);
    CHECK_OK(tq_calibrate(g, &o));
    CHECK_NEAR((double)*constant(g, "h"), 6.0, 1e-6);
    tq_graph_destroy(g);
}

TEST(grids_placed_by_data_need_some)
{
    tq_graph *g = check_graph(FAKE);
    tq_calibrate_options o = calibration(NULL);
    CHECK_FAILS(tq_calibrate(g, &o), TQ_ERR_STATE, "quantizer 'q'");
    tq_graph_destroy(g);
}

TEST(a_value_that_is_no_number_is_named)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const l: f32[1] = nan const h: f32[1] = nan "
                              "bad = Sqrt(x) y = FakeQuantize(bad,l,h)[n_levels=256]");
    tq_calibrate_options o = calibration(data);
    CHECK_FAILS(tq_calibrate(g, &o), TQ_ERR_VALUE, "'bad' has");
    CHECK(isnan(*constant(g, "h")));
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(a_float_network_has_nothing_to_calibrate)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph(CLASSIFIER);
    tq_calibrate_options o = calibration(data);
    CHECK_FAILS(tq_calibrate(g, &o), TQ_ERR_STATE, "truq f2f");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(quantisers_that_saw_nothing_stop_training_and_evaluation)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph(FAKE);
    tq_train_options o = training(data, NULL);
    tq_train_result r;
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_STATE, "quantizer 'q' was never observed");
    const tq_eval_options e = { .registry = check_registry(), .data = data };
    tq_eval_result result;
    CHECK_FAILS(tq_evaluate(g, &e, &result), TQ_ERR_STATE, "quantizer 'q' was never observed");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

/* ---- training ------------------------------------------------------------------------------- */

static tq_graph *calibrated(const tq_dataset *data)
{
    tq_graph *g = check_graph(FAKE);
    tq_calibrate_options o = calibration(data);
    CHECK_OK(tq_calibrate(g, &o));
    return g;
}

TEST(a_fake_quantised_network_trains_with_its_bounds)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = calibrated(data);
    const float before = *constant(g, "ah");
    tq_train_options o = training(data, NULL);
    o.optimizer = "pactsgd";
    o.params.pact_decay = -1.0;
    o.epochs = 6;
    tq_train_result r;
    CHECK_OK(tq_train(g, &o, &r));
    CHECK(r.train_top1 > 80.0);
    CHECK(*constant(g, "ah") != before);
    CHECK(*constant(g, "al") == 0.0f);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(bounds_never_decay_with_the_weights)
{
    /* logits do not depend on `dead`'s bound but through clipping that never happens: its gradient
     * is 0, so weight_decay alone could move it */
    tq_dataset *data = open_points(24);
    for (int pact = 0; pact < 2; pact++) {
        tq_graph *g = check_graph(
            "input x: f32[?,1,4,4] const l: f32[1] = 0.0 const h: f32[1] = 50.0 r = Relu(x) "
            "a = FakeQuantize(r,l,h)[n_levels=256] const f: f32[16,3] = random(1) t = Flatten(a) "
            "y = MatMul(t, f)");
        tq_train_options o = training(data, NULL);
        o.max_steps = 1;
        o.params = (tq_optimizer_params){ .lr = 0.1,
                                          .weight_decay = 0.5,
                                          .pact_decay = pact ? 0.01 : 0.0 };
        tq_train_result r;
        CHECK_OK(tq_train(g, &o, &r));
        CHECK_NEAR((double)*constant(g, "h"), pact ? 50.0 * (1.0 - 0.1 * 0.01) : 50.0, 1e-4);
        tq_graph_destroy(g);
    }
    tq_dataset_close(data);
}

TEST(fake_quantised_training_repeats_on_two_threads)
{
    tq_dataset *data = open_points(61);
    char *text[2];
    for (int i = 0; i < 2; i++) {
        tq_graph *g = calibrated(data);
        tq_train_options o = training(data, NULL);
        o.n_threads = i + 1;
        o.optimizer = "pactadam";
        tq_train_result r;
        CHECK_OK(tq_train(g, &o, &r));
        text[i] = tq_graph_print(g, -1);
        tq_graph_destroy(g);
    }
    CHECK_STR(text[0], text[1]);
    free(text[0]);
    free(text[1]);
    tq_dataset_close(data);
}
