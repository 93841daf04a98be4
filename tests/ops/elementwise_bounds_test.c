/* Bounds of elementwise integer operators and requantisations. */
#include "check.h"

static void check_last(const char *file, int line, const char *text, bool proven, int64_t lo,
                       int64_t hi)
{
    tq_graph *graph = check_graph(text);
    tq_arena *arena = tq_arena_create();
    tq_proof_row *rows;
    int n;
    bool found;
    CHECK_OK(tq_proof_run(graph, arena, &rows, &n, &found));
    if (rows[n - 1].lo != lo || rows[n - 1].hi != hi || found != proven)
        check_fail(file, line,
                   "%s\nis in [%" PRId64 ", %" PRId64 "]%s, expected [%" PRId64 ", %" PRId64 "]",
                   text, rows[n - 1].lo, rows[n - 1].hi, found ? " (proven)" : "", lo, hi);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}
#define CHECK_PROVEN(text, lo, hi) check_last(__FILE__, __LINE__, (text), true, (lo), (hi))
#define CHECK_OVERFLOWS(text, lo, hi) check_last(__FILE__, __LINE__, (text), false, (lo), (hi))

TEST(sums_and_products_of_codes)
{
    CHECK_PROVEN("input a: u8[2] input b: i8[2] c = Cast(a)[to=6] d = Cast(b)[to=6] y = Add(c, d)",
                 -128, 382);
    CHECK_PROVEN("input a: u8[2] input b: i8[2] c = Cast(a)[to=6] d = Cast(b)[to=6] y = Sub(c, d)",
                 -127, 383);
    CHECK_PROVEN("input a: u8[2] input b: i8[2] c = Cast(a)[to=6] d = Cast(b)[to=6] y = Mul(c, d)",
                 -32640, 32385);
    CHECK_PROVEN("input a: u8[2] const k: u8[2] = {3,200} y = Max(a, k)", 3, 255);
}

TEST(a_sum_that_wraps_is_not_proven)
{
    CHECK_OVERFLOWS("input a: u8[2] input b: u8[2] y = Add(a, b)", 0, 510);
}

TEST(requant_uses_its_real_multipliers)
{
    CHECK_PROVEN("input x: i8[1,2] const m: i32[2] = {1,-2} const a: i64[1] = 4 "
                 "y = Requant(x, m, a)[shift=3,q_min=-128,q_max=127,dtype=\"i8\"]",
                 -32, 32);
    CHECK_PROVEN("input x: i8[1,2] const m: i32[2] = {1,-2} const a: i64[1] = 4 "
                 "y = Requant(x, m, a)[shift=3,q_min=0,q_max=10]",
                 0, 10);
}

TEST(a_requant_that_leaves_64_bits_is_not_proven)
{
    CHECK_OVERFLOWS("input x: i32[1,2] const m: i64[1] = 4294967297 const a: i64[1] = 4 "
                    "y = Requant(x, m, a)[shift=3,q_min=0,q_max=10]",
                    0, 10);
}

TEST(shifts_and_clipping_moves)
{
    CHECK_PROVEN("input x: i8[2] y = ShiftRight(x)[shift=4]", -8, 7);
    CHECK_PROVEN("input x: u8[2] const p: i64[2] = 1 y = Pad(x, p)", 0, 255);
    CHECK_PROVEN("input a: u8[2] const b: u8[1] = 7 y = Concat(a, b)[axis=0]", 0, 255);
    CHECK_PROVEN("input x: i8[1,9] y = ArgMax(x)[axis=1]", 0, 8);
}

TEST(activations_of_quantlib)
{
    CHECK_PROVEN("input x: i8[2] c = Cast(x)[to=7] y = iHardswish(c)[three=3,six=6,one_over_six=2]",
                 -1536, 1524);
    CHECK_PROVEN("input x: i8[2] c = Cast(x)[to=7] y = iGELU(c)[b=-5,one=30]", -3840, 3810);
}
