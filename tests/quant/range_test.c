/* Range specifications of QuantLib and their short forms. */
#include "check.h"

static void check_range(const char *text, int64_t q_min, int64_t n_levels, int step)
{
    tq_range range;
    CHECK_OK(tq_range_parse(text, &range));
    CHECK_EQ(range.q_min, q_min, "%s", text);
    CHECK_EQ(range.n_levels, n_levels, "%s", text);
    CHECK_EQ(range.step, step, "%s", text);
    CHECK_EQ(range.free_offset, 0, "%s", text);
}

TEST(every_spelling_of_quantlib_is_read)
{
    check_range("bitwidth:8,signed:true", -128, 256, 1);
    check_range("bitwidth:8,signed:false", 0, 256, 1);
    check_range("limpbitwidth:8,signed:true", -127, 255, 1);
    check_range("n_levels:255,offset:-127", -127, 255, 1);
    check_range(" n_levels: 255 , offset: -127 ", -127, 255, 1);
    check_range("offset:-10,bitwidth:4", -10, 16, 1);
    check_range("n_levels:7,signed:true", -3, 7, 1);
    check_range("(-1,0,1)", -1, 3, 1);
    check_range("(1, -1, 0)", -1, 3, 1);
    check_range("(-1,1)", -1, 2, 2);
    check_range("(5,6)", 5, 2, 1);
}

TEST(the_sign_range_alone_steps_by_two)
{
    check_range("binary", -1, 2, 2);
    check_range("ternary", -1, 3, 1);
}

TEST(short_forms_are_bits_with_a_sign)
{
    check_range("u8", 0, 256, 1);
    check_range("i8", -128, 256, 1);
    check_range("i4", -8, 16, 1);
    check_range("u7", 0, 128, 1);
    check_range("u32", 0, INT64_C(1) << 32, 1);
}

TEST(no_sign_and_no_offset_means_a_free_offset)
{
    tq_range range;
    CHECK_OK(tq_range_parse("bitwidth:8", &range));
    CHECK(range.free_offset);
    CHECK_EQ(range.n_levels, 256);
}

TEST(text_parses_back)
{
    static const char *const texts[] = {
        "u8",
        "i8",
        "i2",
        "binary",
        "ternary",
        "bitwidth:4",
        "n_levels:100",
        "u1",
        "n_levels:255,offset:-127",
        "n_levels:256,offset:-10",
        "n_levels:100,offset:0",
    };
    for (int i = 0; i < TQ_COUNT(texts); i++) {
        tq_range range, back;
        CHECK_OK(tq_range_parse(texts[i], &range));
        const tq_text text = tq_range_text(&range);
        CHECK_STR(text.s, texts[i]);
        CHECK_OK(tq_range_parse(text.s, &back));
        CHECK_EQ(back.q_min, range.q_min);
        CHECK_EQ(back.n_levels, range.n_levels);
    }
}

TEST(bad_ranges_say_why)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "bitwidth:8,n_levels:4", "exactly one of" },
        { "signed:true", "exactly one of" },
        { "bitwidth:8,signed:true,offset:0", "at most one of" },
        { "bitwidth:0", "1 to 32 bits" },
        { "bitwidth:99999999999999999999", "expected a number" },
        { "n_levels:1", "2 to 2^32 levels" },
        { "n_levels:4,offset:4294967296", "beyond 2^32" },
        { "bitwith:8", "unknown key" },
        { "bitwidth:8,signed:maybe", "true or false" },
        { "bitwidth:8,", "unknown key" },
        { "bitwidth:8 signed:true", "commas between" },
        { "(-1,1,3)", "consecutive" },
        { "(0,0)", "consecutive" },
        { "(1)", "2 to 2^32 levels" },
        { "(1,2", "')'" },
        { "()", "expected integers" },
        { "u99", "1 to 32 bits" },
        { "i8x", "u or i" },
        { "", "unknown key" },
        { "bitwidth", "expected a number" },
        { "signed", "true or false" },
        { "offset", "expected a number" },
    };
    for (int i = 0; i < TQ_COUNT(bad); i++) {
        tq_range range;
        CHECK_FAILS(tq_range_parse(bad[i].text, &range), TQ_ERR_VALUE, bad[i].why);
    }
}

TEST(bits_are_those_of_twos_complement)
{
    static const struct {
        const char *text;
        int bits;
    } table[] = { { "u8", 8 },     { "i8", 8 },         { "ternary", 2 },
                  { "binary", 2 }, { "u1", 1 },         { "n_levels:256,offset:-10", 9 },
                  { "u32", 32 },   { "bitwidth:8", 8 }, { "limpbitwidth:4,signed:true", 4 } };
    for (int i = 0; i < TQ_COUNT(table); i++) {
        tq_range range;
        CHECK_OK(tq_range_parse(table[i].text, &range));
        CHECK_EQ(tq_range_bits(&range), table[i].bits, "%s", table[i].text);
    }
}
