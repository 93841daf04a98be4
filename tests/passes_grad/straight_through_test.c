/* FakeQuantize has no derivative: its gradient is the quantiser's formula. */
#include "check.h"

/** y, dx, dp0, dp1 of a FakeQuantize of 6 elements under loss = mean((y - t)^2), t = 0. */
static void run(const char *fake, float *y, float *dx, float *dp0, float *dp1)
{
    char text[600];
    snprintf(text, sizeof text,
             "const x: f32[6] = {-1.5,-0.3,0.2,0.9,1.0,2.0} const l: f32[1] = -1.0 "
             "const h: f32[1] = 1.0 const t: f32[6] = 0.0 y = FakeQuantize(x,l,h)[%s] "
             "loss = MeanSquaredError(y, t) output y",
             fake);
    tq_graph *g = check_graph(text);
    tq_value *wrt[3], *grads[3];
    const char *const names[] = { "x", "l", "h" };
    for (int i = 0; i < 3; i++)
        wrt[i] = tq_graph_find_value(g, names[i]);
    CHECK_OK(tq_autodiff(g, tq_graph_find_value(g, "loss"), wrt, 3, grads));
    for (int i = 0; i < 3; i++)
        tq_graph_add_output(g, grads[i]);
    tq_engine *engine;
    CHECK_OK(tq_engine_create(g, NULL, 0, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, NULL, 0, 0));
    memcpy(y, tq_engine_output(engine, 0)->data, 6 * sizeof *y);
    memcpy(dx, tq_engine_output(engine, 1)->data, 6 * sizeof *dx);
    *dp0 = *(const float *)tq_engine_output(engine, 2)->data;
    *dp1 = *(const float *)tq_engine_output(engine, 3)->data;
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
}

TEST(pact_passes_inside_and_gives_the_rest_to_its_bound)
{
    float y[6], dx[6], dl, dh;
    run("q_min=0,n_levels=256", y, dx, &dl, &dh);
    const bool inside[] = { false, false, true, true, false, false };
    for (int i = 0; i < 6; i++)
        if (i != 4) /* on the bound: either side is right */
            CHECK_NEAR((double)dx[i], inside[i] ? (double)y[i] / 3.0 : 0.0, 1e-6);
    CHECK_NEAR((double)dh, 2.0 / 3.0, 1e-6);
}

TEST(a_range_that_follows_the_weights_passes_no_gradient)
{
    tq_graph *g = check_graph("const w: f32[2,3] = random(1) const t: f32[2,3] = random(2) "
                              "l,h = WeightRange(w)[q_min=-128,n_levels=256,axis=0] "
                              "y = FakeQuantize(w,l,h)[q_min=-128,n_levels=256,axis=0] "
                              "loss = MeanSquaredError(y, t)");
    tq_value *wrt = tq_graph_find_value(g, "w"), *grad;
    CHECK_OK(tq_autodiff(g, tq_graph_find_value(g, "loss"), &wrt, 1, &grad));
    CHECK(grad && tq_node_is(tq_value_producer(grad), "FakeQuantizeGrad"));
    tq_graph_destroy(g);
}
