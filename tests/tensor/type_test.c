/* Shapes: text, sizes, broadcasting. */
#include "check.h"

#define SHAPE(...)                                                                                 \
    tq_type_make(TQ_F32, TQ_COUNT(((int64_t[]){ __VA_ARGS__ })), (int64_t[]){ __VA_ARGS__ })

static void check_text(tq_type type, const char *text)
{
    CHECK_STR(tq_type_text(&type).s, text);
}

TEST(types_have_a_text)
{
    check_text(SHAPE(TQ_DIM_ANY, 3, 32, 32), "f32[?,3,32,32]");
    check_text(tq_type_make(TQ_F32, 0, NULL), "f32[]");
    check_text(tq_type_make(TQ_I4, -1, NULL), "i4[...]");
}

TEST(a_text_that_is_too_long_is_cut)
{
    int64_t dims[8];
    for (int i = 0; i < 8; i++)
        dims[i] = INT64_MAX;
    const tq_type type = tq_type_make(TQ_BF16, 8, dims);
    CHECK_EQ(strlen(tq_type_text(&type).s), 127);
}

TEST(counts_multiply_dimensions)
{
    const tq_type type = SHAPE(2, 3, 4, 5), scalar = tq_type_make(TQ_I8, 0, NULL);
    CHECK_EQ(tq_type_count(&type), 120);
    CHECK_EQ(tq_type_count_from(&type, 2), 20);
    CHECK_EQ(tq_type_count_from(&type, 4), 1);
    CHECK_EQ(tq_type_count_to(&type, 2), 6);
    CHECK_EQ(tq_type_count(&scalar), 1);
}

TEST(an_unknown_dimension_makes_the_count_unknown)
{
    const tq_type type = SHAPE(TQ_DIM_ANY, 3), none = tq_type_make(TQ_F32, -1, NULL);
    CHECK_EQ(tq_type_count(&type), TQ_DIM_ANY);
    CHECK_EQ(tq_type_count_from(&type, 1), 3);
    CHECK(!tq_type_is_known(&type) && !tq_type_is_known(&none));
    size_t size;
    CHECK_FAILS(tq_type_size(&type, &size), TQ_ERR_SHAPE, "f32[?,3] is not known yet");
}

TEST(sizes_that_overflow_are_refused)
{
    size_t size;
    const tq_type wraps = SHAPE((int64_t)1 << 33, (int64_t)1 << 33),
                  huge = SHAPE((int64_t)1 << 44, 2);
    const tq_type fits = SHAPE((int64_t)1 << 44), empty = SHAPE(INT64_MAX, INT64_MAX, 0);
    CHECK_FAILS(tq_type_size(&wraps, &size), TQ_ERR_SHAPE, "too large");
    CHECK_FAILS(tq_type_size(&huge, &size), TQ_ERR_SHAPE, "too large");
    CHECK_OK(tq_type_size(&fits, &size));
    CHECK_EQ(size, (int64_t)1 << 46);
    CHECK_OK(tq_type_size(&empty, &size));
    CHECK_EQ(size, 0);
}

TEST(a_tensor_without_dtype_is_refused)
{
    size_t size;
    const tq_type type = tq_type_make(TQ_NONE, 0, NULL);
    CHECK_FAILS(tq_type_size(&type, &size), TQ_ERR_TYPE, "without a dtype");
}

static void check_broadcast(tq_type a, tq_type b, const char *text)
{
    tq_type out;
    CHECK_OK(tq_type_broadcast(&a, &b, &out));
    CHECK_STR(tq_type_text(&out).s, text);
    CHECK_OK(tq_type_broadcast(&b, &a, &out));
    CHECK_STR(tq_type_text(&out).s, text);
}

TEST(ones_stretch_and_missing_dimensions_are_ones)
{
    check_broadcast(SHAPE(2, 3, 4), SHAPE(3, 1), "f32[2,3,4]");
    check_broadcast(SHAPE(2, 1, 4), SHAPE(5, 1), "f32[2,5,4]");
    check_broadcast(SHAPE(2, 3), tq_type_make(TQ_F32, 0, NULL), "f32[2,3]");
    check_broadcast(SHAPE(1), SHAPE(0), "f32[0]");
}

TEST(an_unknown_dimension_fits_all)
{
    check_broadcast(SHAPE(TQ_DIM_ANY, 3), SHAPE(4, 3), "f32[4,3]");
    check_broadcast(SHAPE(TQ_DIM_ANY, 3), SHAPE(1, 3), "f32[?,3]");
    check_broadcast(SHAPE(TQ_DIM_ANY), SHAPE(TQ_DIM_ANY), "f32[?]");
    check_broadcast(SHAPE(2, 3), tq_type_make(TQ_F32, -1, NULL), "f32[...]");
}

TEST(shapes_that_do_not_fit_are_named)
{
    const tq_type a = SHAPE(2, 3), b = SHAPE(2, 4), c = SHAPE(0), d = SHAPE(2);
    tq_type out;
    CHECK_FAILS(tq_type_broadcast(&a, &b, &out), TQ_ERR_SHAPE, "f32[2,3] and f32[2,4]");
    CHECK_FAILS(tq_type_broadcast(&c, &d, &out), TQ_ERR_SHAPE, "dimensions 0 and 2");
}

TEST(equal_types_have_equal_dtype_and_dims)
{
    const tq_type a = SHAPE(2, 3), b = SHAPE(2, 3), c = SHAPE(2),
                  d = tq_type_make(TQ_I8, 2, a.dims);
    CHECK(tq_type_equal(&a, &b) && !tq_type_equal(&a, &c) && !tq_type_equal(&a, &d));
}
