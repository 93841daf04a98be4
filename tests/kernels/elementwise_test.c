/* Elementwise f32 kernels: the bits of the reference; every set of loops: the bits of the portable
 * one. */
#include "same.h"
#include "kernels/f32/loops_internal.h"

#include <math.h>
#include <string.h>

TEST(relu_and_clip)
{
    check_same("input x: f32[3,70001] y = Relu(x)", 0.0);
    check_same("input x: f32[1000] input dy: f32[1000] y = ReluGrad(x,dy)", 0.0);
    check_same("input x: f32[1000] const lo: f32[] = -0.5 const hi: f32[] = 0.25 y = Clip(x,lo,hi)",
               0.0);
    check_same("input x: f32[1000] const lo: f32[] = 0.5 const hi: f32[] = 0.25 y = Clip(x,lo,hi)",
               0.0);
    check_same("input x: f32[1000] const hi: f32[] = 0.25 y = Clip(x,,hi)", 0.0);
    check_same(
        "input x: f32[1000] const lo: f32[] = -0.5 const hi: f32[] = 0.25 input dy: f32[1000] "
        "y = ClipGrad(x,lo,hi,dy)",
        0.0);
}

TEST(arithmetic_of_one_shape)
{
    check_same("input a: f32[5,20001] input b: f32[5,20001] y = Add(a,b)", 0.0);
    check_same("input a: f32[77] input b: f32[77] y = Sub(a,b)", 0.0);
    check_same("input a: f32[77] input b: f32[77] y = Mul(a,b)", 0.0);
}

static void run_all(const tq_loops *l, int64_t n, const float *a, const float *b, float *y)
{
    const float p[4] = { 0.1f, 0.7f, -0.3f, 0.2f };
    double sums[2];
    l->relu(n, a, y);
    l->relu_grad(n, a, b, y + n);
    l->clip(n, a, -0.5f, 0.5f, y + 2 * n);
    l->clip_grad(n, a, b, -0.5f, 0.5f, y + 3 * n);
    l->affine(n, a, 0.1f, 0.7f, 0.3f, y + 4 * n);
    l->affine_grad(n, a, b, p, y + 5 * n);
    l->snap_half_up(n, a, 0.03f, -8.0f, 7.0f, y + 6 * n);
    l->scale(n, a, 0.3f, y + 7 * n);
    l->sums(n, a, b, sums);
    double beyond[2] = { 0.0, 0.0 }, step = 0.0;
    l->pass_inside(n, a, b, (const float[]){ -0.6f, 0.6f, -0.5f, 0.5f }, y + 8 * n, beyond);
    l->step_grad(n, a, b, 0.03f, -8.0f, 7.0f, y + 9 * n, &step);
    tq_statistics all, ends;
    tq_statistics_reset(&all);
    tq_statistics_reset(&ends);
    l->observe(n, a, false, &all);
    l->observe(n, a, true, &ends);
    const double tail[] = { sums[0],  sums[1],  l->sum(n, a), beyond[0], beyond[1],
                            step,     all.min,  all.max,      all.mean,  all.m2,
                            ends.min, ends.max, ends.mean };
    memcpy(y + 10 * n, tail, sizeof tail);
    uint8_t *codes = (uint8_t *)(y + 10 * n + 2 * TQ_COUNT(tail));
    float *reals = y + 11 * n + 2 * TQ_COUNT(tail);
    l->quantize(n, a, 0.007f, 12, -12.0f, 243.0f, codes);
    l->dequantize_u8(n, codes, 0.3f, 9, reals);
    l->dequantize_i8(n, (const int8_t *)codes, 0.3f, 9, reals + n);
}

TEST(every_set_of_loops_gives_the_same_bits)
{
    enum { MOST = 70 };
    tq_tensor a = check_random_f32(1, (int64_t[]){ MOST }, 1, -1.0f, 1.0f);
    tq_tensor b = check_random_f32(1, (int64_t[]){ MOST }, 2, -1.0f, 1.0f);
    for (int64_t n = 0; n <= MOST; n++) {
        float expected[13 * MOST + 64] = { 0 }, got[13 * MOST + 64] = { 0 };
        int last = 0;
        while (tq_loops_variants[last + 1])
            last++;
        run_all(tq_loops_variants[last], n, a.data, b.data, expected);
        for (int i = 0; i < last; i++) {
            if (!check_cpu_has(tq_loops_variants[i]->needs, tq_loops_variants[i]->name))
                continue;
            run_all(tq_loops_variants[i], n, a.data, b.data, got);
            CHECK_EQ(memcmp(expected, got, sizeof got), 0, "%s, n = %" PRId64,
                     tq_loops_variants[i]->name, n);
        }
    }
    tq_tensor_reset(&a);
    tq_tensor_reset(&b);
}

TEST(fake_quantize_has_the_bits_of_the_quantizer)
{
    check_same("input x: f32[3,5,7,9] const a: f32[1] = -0.7 const b: f32[1] = 0.6 "
               "y = FakeQuantize(x,a,b)[q_min=-8,n_levels=16]",
               0.0);
    check_same("input x: f32[6,5,7,9] const a: f32[6] = {-0.7,-0.1,-0.9,-0.3,-0.2,-1.0} "
               "const b: f32[6] = 0.5 y = FakeQuantize(x,a,b)[q_min=-127,n_levels=255,axis=0]",
               0.0);
    check_same("input x: f32[5000] const a: f32[1] = 0.01 const b: f32[1] = 5.0 "
               "y = FakeQuantize(x,a,b)[quantizer=\"fixed\",q_min=0,n_levels=256,free_offset=1]",
               0.0);
}

TEST(fake_quantize_with_unobserved_parameters_is_nan)
{
    check_same("input x: f32[3,5] const a: f32[1] = nan const b: f32[1] = 0.6 "
               "y = FakeQuantize(x,a,b)[q_min=-8,n_levels=16]",
               0.0);
}

/** The quotient of the fast loops is the one of a division, whatever the scale: so no code differs.
 */
TEST(snapping_divides_as_division_does)
{
    enum { N = 4096 };
    const tq_loops *best = tq_loops_best();
    tq_random random;
    tq_random_init(&random, 5, 0, 0);
    for (int round = 0; round < 300; round++) {
        const float scale = ldexpf(1.0f + (float)tq_random_uniform(&random), round % 60 - 40);
        float x[N], y[N];
        for (int i = 0; i < N; i++) { /* near the ends of steps, where a wrong bit shows */
            const float level =
                (float)(tq_random_below(&random, 300) - 150) + (i % 2 ? 0.5f : 0.0f);
            x[i] = nextafterf(level * scale, i % 3 ? INFINITY : -INFINITY);
        }
        best->snap_half_up(N, x, scale, -128.0f, 127.0f, y);
        for (int i = 0; i < N; i++) {
            const float v = tq_clipf(x[i] / scale, -128.0f, 127.0f);
            CHECK(y[i] == scale * floorf(v) || y[i] == scale * (floorf(v) + 1.0f));
            CHECK_EQ(y[i] == scale * (float)floor((double)v + 0.5), 1, "x = %a, scale = %a",
                     (double)x[i], (double)scale);
        }
    }
}

TEST(far_off_and_not_a_number)
{
    const float x[] = { INFINITY, -INFINITY, NAN, 3e38f, -3e38f };
    for (int k = 0; tq_loops_variants[k]; k++) {
        float y[5];
        if (!check_cpu_has(tq_loops_variants[k]->needs, tq_loops_variants[k]->name))
            continue;
        tq_loops_variants[k]->snap_half_up(5, x, 0x1p-90f, -128.0f, 127.0f, y);
        CHECK(y[0] == 127 * 0x1p-90f && y[1] == -128 * 0x1p-90f && isnan(y[2]));
        CHECK(y[3] == 127 * 0x1p-90f && y[4] == -128 * 0x1p-90f);
        tq_statistics s;
        tq_statistics_reset(&s);
        tq_loops_variants[k]->observe(5, x, true, &s);
        CHECK_EQ(s.n_bad, 3);
        CHECK(s.n == 2 && s.max == (double)3e38f);
    }
}

/* Squares of floats that no float holds. */
TEST(huge_and_tiny_values_have_a_deviation)
{
    static const float sizes[] = { 1e-25f, 1e-18f, 1.0f, 1e18f, 1e25f, 1e37f };
    enum { N = 200 };
    float x[N];
    for (int s = 0; s < TQ_COUNT(sizes); s++) {
        for (int i = 0; i < N; i++)
            x[i] = (float)(i % 5 - 2) * sizes[s];
        for (int k = 0; tq_loops_variants[k]; k++) {
            tq_statistics seen;
            if (!check_cpu_has(tq_loops_variants[k]->needs, tq_loops_variants[k]->name))
                continue;
            tq_statistics_reset(&seen);
            tq_loops_variants[k]->observe(N, x, false, &seen);
            CHECK_NEAR(sqrt(seen.m2 / N) / (double)sizes[s], sqrt(2), 1e-5);
        }
    }
}

TEST(quantize_linear_has_the_bits_of_the_operator)
{
    check_same("input x: f32[3,20001] const s: f32[] = 0.004 const z: u8[] = 120 "
               "y = QuantizeLinear(x,s,z)",
               0.0);
    check_same(
        "input x: f32[2,3,70] const s: f32[3] = {0.5, 0.004, 0.0} const z: i8[3] = {0, 5, -128} "
        "y = QuantizeLinear(x,s,z) [axis=1]",
        0.0);
    check_same("input x: f32[40,3] const s: f32[3] = {0.25, 0.1, 1} y = QuantizeLinear(x,s)", 0.0);
    check_same("input x: u8[3,20001] const s: f32[] = 0.004 const z: u8[] = 120 "
               "y = DequantizeLinear(x,s,z)",
               0.0);
    check_same(
        "input x: i8[2,3,70] const s: f32[3] = {0.5, 0.004, 0.1} const z: i8[3] = {0, 5, -128} "
        "y = DequantizeLinear(x,s,z) [axis=1]",
        0.0);
}

/* Ties, what is beyond the codes, and what is no number. */
TEST(quantize_linear_on_hard_numbers)
{
    const float hard[] = {
        0.5f, 1.5f, 2.5f, -0.5f, 127.5f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN
    };
    const int8_t expected[] = { 0, 2, 2, 0, 127, 127, -128, 127, -128, 0 };
    tq_graph *graph = check_graph("input x: f32[10] const s: f32[] = 1 const z: i8[] = 0 "
                                  "y = QuantizeLinear(x,s,z)");
    const tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 10 });
    tq_tensor x;
    CHECK_OK(tq_tensor_init_from(&x, &type, hard));
    tq_tensor y = check_run(graph, &x);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(((const int8_t *)y.data)[i], expected[i], "(%g)", (double)hard[i]);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    tq_graph_destroy(graph);
}
