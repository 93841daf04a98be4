/* Bounds of integer operators with their real weights, and what the proof says of them. */
#include "check.h"

typedef struct proof {
    tq_arena *arena;
    tq_proof_row row;
    bool proven;
} proof;

/* The proof row of the last node. */
static proof prove(const char *text)
{
    tq_graph *graph = check_graph(text);
    proof p = { .arena = tq_arena_create() };
    tq_proof_row *rows;
    int n;
    CHECK_OK(tq_proof_run(graph, p.arena, &rows, &n, &p.proven));
    p.row = rows[n - 1];
    tq_graph_destroy(graph);
    return p;
}

static void check_bounds(const char *file, int line, const char *text, int64_t lo, int64_t hi)
{
    proof p = prove(text);
    if (p.row.lo != lo || p.row.hi != hi)
        check_fail(file, line,
                   "%s\nis in [%" PRId64 ", %" PRId64 "], expected [%" PRId64 ", %" PRId64 "]",
                   text, p.row.lo, p.row.hi, lo, hi);
    tq_arena_destroy(p.arena);
}
#define CHECK_BOUNDS(text, lo, hi) check_bounds(__FILE__, __LINE__, (text), (lo), (hi))

TEST(sums_of_products_take_the_real_weights)
{
    CHECK_BOUNDS("input x: u8[1,3,4,4] const w: i8[2,3,1,1] = {1,-2,3,-4,0,0} y = ConvInteger(x,w)",
                 -1020, 1020);
    CHECK_BOUNDS("input x: u8[1,3] const w: i8[3,2] = {1,-4,-2,0,3,0} y = MatMulInteger(x,w)",
                 -1020, 1020);
}

TEST(zero_points_shift_the_bounds)
{
    CHECK_BOUNDS("input x: u8[1,1,4,4] const w: i8[1,1,1,1] = {2} const z: u8[] = 100 "
                 "y = ConvInteger(x,w,z)",
                 -200, 310);
    CHECK_BOUNDS("input x: u8[1,1,4,4] const w: u8[1,1,1,1] = {2} const z: u8[] = 0 "
                 "const zw: u8[1] = {5} y = ConvInteger(x,w,z,zw)",
                 -765, 0);
}

TEST(padding_joins_zero_to_every_product)
{
    CHECK_BOUNDS("input x: u8[1,1,4] const w: i8[1,1,2] = {2,3} const z: u8[] = 255 "
                 "y = ConvInteger(x,w,z)",
                 -1275, 0);
    CHECK_BOUNDS("input x: i8[1,1,4] const w: i8[1,1,1] = {1} const lo: i8[] = 3 "
                 "c = Clip(x,lo) y = ConvInteger(c,w)[pads=[1,1]]",
                 0, 127);
}

TEST(an_accumulator_that_may_overflow_is_found)
{
    proof p = prove("input x: i32[1,2] const w: i32[2,1] = {1,-1} y = MatMul(x,w)");
    CHECK(!p.row.fits && !p.proven);
    CHECK(strstr(p.row.problem, "beyond 32 bits"));
    tq_arena_destroy(p.arena);
}

TEST(partial_sums_count_too)
{
    /* the whole sum is small, its parts are not */
    proof p = prove("input x: i32[1,2] const lo: i32[] = 2147483647 c = Clip(x,lo) "
                    "const w: i32[2,1] = {2,-2} y = MatMul(c,w)");
    CHECK_EQ(p.row.hi, 0);
    CHECK(!p.row.fits);
    tq_arena_destroy(p.arena);
}

TEST(pools_sum_as_many_as_they_see)
{
    CHECK_BOUNDS("input x: u8[1,1,4,4] y = SumPool(x)[kernel_shape=[3,3],pads=[1,1,1,1]]", 0, 2295);
    CHECK_BOUNDS("input x: i8[1,1,4,4] const lo: i8[] = 1 c = Clip(x,lo) "
                 "y = SumPool(c)[kernel_shape=[3,3],pads=[1,1,1,1]]",
                 4, 1143);
    CHECK_BOUNDS("input x: i8[1,1,4,4] y = GlobalSumPool(x)", -2048, 2032);
    CHECK_BOUNDS("input x: i8[1,1,4,4] y = MaxPool(x)[kernel_shape=[2,2]]", -128, 127);
}

TEST(elementwise_bounds)
{
    CHECK_BOUNDS("input x: i8[4] y = Relu(x)", 0, 127);
    CHECK_BOUNDS("input x: i8[4] y = Neg(x)", -127, 127);
    CHECK_BOUNDS("input x: i8[4] y = Abs(x)", 0, 127);
    CHECK_BOUNDS("input x: i8[4] y = Sign(x)", -1, 1);
    CHECK_BOUNDS("input x: i8[4] const lo: i8[] = -3 const hi: i8[] = 9 y = Clip(x,lo,hi)", -3, 9);
}

TEST(bias_and_factors_of_an_integer_gemm)
{
    CHECK_BOUNDS(
        "input x: i32[1,1] const lo: i32[] = -10 const hi: i32[] = 20 c = Clip(x,lo,hi) "
        "const w: i32[1,1] = {3} const b: i32[1] = {5} y = Gemm(c,w,b)[alpha=-2.0,beta=3.0]",
        -105, 75);
}
