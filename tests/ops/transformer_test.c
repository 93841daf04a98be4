/* Attention, rotary positions, named sums, and the normalisations beside batch norm. */
#include "evaluate.h"

#define QKV                                                                                        \
    "const q: f32[1,1,2,2] = {1,0,0,1} const k: f32[1,1,2,2] = {1,0,0,1} "                         \
    "const v: f32[1,1,2,2] = {1,2,3,4} "

TEST(attention_mixes_values_by_softmax)
{
    CHECK_VALUES(QKV "y = Attention(q, k, v)[scale=1.0]", 1.5378828, 2.5378828, 2.4621172,
                 3.4621172);
    CHECK_VALUES(QKV "y = Attention(q, k, v)[scale=1.0, softcap=0.5]", 1.7635535, 2.7635535,
                 2.2364466, 3.2364466);
}

TEST(a_query_sees_no_key_behind_it_when_causal)
{
    CHECK_VALUES(QKV "y = Attention(q, k, v)[scale=1.0, is_causal=1]", 1, 2, 2.4621172, 3.4621172);
    CHECK_VALUES(QKV "y = Attention(q, k, v)[scale=1.0, left_window_size=0, right_window_size=0]",
                 1, 2, 3, 4);
}

TEST(a_query_that_sees_no_key_gives_zero)
{
    CHECK_VALUES(QKV "const m: bool[2,2] = {1,0,0,0} y = Attention(q, k, v, m)[scale=1.0]", 1, 2, 0,
                 0);
    CHECK_VALUES(QKV "const m: f32[2,1] = {0,-inf} y = Attention(q, k, v, m)[scale=1.0]", 1.5378828,
                 2.5378828, 0, 0);
}

TEST(heads_may_come_last_and_share_keys)
{
    /* two heads of one element; both read the only head of K and V */
    CHECK_VALUES("const q: f32[1,1,2] = {1,-1} const k: f32[1,2,1] = {100,-100} "
                 "const v: f32[1,2,1] = {5,7} "
                 "y = Attention(q, k, v)[q_num_heads=2, kv_num_heads=1]",
                 5, 7);
    CHECK_REFUSED("const q: f32[1,1,3] = 0 const k: f32[1,2,1] = 0 const v: f32[1,2,1] = 0 "
                  "y = Attention(q, k, v)[q_num_heads=2, kv_num_heads=1]",
                  "q_num_heads");
}

TEST(attention_goes_on_from_the_past)
{
    const char *text = "const q: f32[1,1,1,1] = 1 const k: f32[1,1,1,1] = 50 "
                       "const v: f32[1,1,1,1] = 2 const pk: f32[1,1,1,1] = -50 "
                       "const pv: f32[1,1,1,1] = 9 "
                       "y,nk,nv = Attention(q, k, v, , pk, pv)";
    CHECK_OUTPUT(text, 0, 2);
    CHECK_OUTPUT(text, 1, -50, 50);
    CHECK_OUTPUT(text, 2, 9, 2);
}

TEST(pairs_are_rotated_by_their_position)
{
#define ROTATED                                                                                    \
    "const x: f32[1,1,1,4] = {1,2,3,4} const c: f32[1,1,2] = {0.6,0.8} "                           \
    "const s: f32[1,1,2] = {0.8,0.6} "
    CHECK_VALUES(ROTATED "y = RotaryEmbedding(x, c, s)", -1.8, -0.8, 2.6, 4.4);
    CHECK_VALUES(ROTATED "y = RotaryEmbedding(x, c, s)[interleaved=1]", -1, 2, 0, 5);
    CHECK_VALUES("const x: f32[1,2,2] = {1,0,1,0} const c: f32[3,1] = {1,0,-1} "
                 "const s: f32[3,1] = {0,1,0} const p: i64[1,2] = {1,2} "
                 "y = RotaryEmbedding(x, c, s, p)[num_heads=1]",
                 0, 1, -1, 0);
}

TEST(einsum_sums_over_what_the_output_lacks)
{
#define MATRICES "const a: f32[2,2] = {1,2,3,4} const b: f32[2,2] = {5,6,7,8} "
    CHECK_VALUES(MATRICES "y = Einsum(a, b)[equation=\"ij,jk->ik\"]", 19, 22, 43, 50);
    CHECK_VALUES(MATRICES "y = Einsum(a, b)[equation=\" ij , ij\"]", 70);
    CHECK_VALUES(MATRICES "y = Einsum(a)[equation=\"ji\"]", 1, 3, 2, 4);
    CHECK_VALUES(MATRICES "y = Einsum(a)[equation=\"ii->i\"]", 1, 4);
    CHECK_VALUES(MATRICES "y = Einsum(a, b)[equation=\"...i,...i->...\"]", 17, 53);
    CHECK_TYPE("input a: f32[?,3,4] input b: f32[4,5] y = Einsum(a, b)[equation=\"bij,jk->bik\"]",
               "f32[?,3,5]");
    CHECK_REFUSED(MATRICES "y = Einsum(a)[equation=\"ij,jk\"]", "operands");
    CHECK_REFUSED(MATRICES "y = Einsum(a)[equation=\"i->i\"]", "letters");
    CHECK_REFUSED(MATRICES "y = Einsum(a)[equation=\"ij->iij\"]", "twice");
    CHECK_REFUSED("const a: f32[2,3] = 0 y = Einsum(a, a)[equation=\"ij,jk->ik\"]", "axes of");
}

TEST(root_mean_square_normalisation_does_not_centre)
{
    CHECK_VALUES("const x: f32[1,2] = {3,4} const g: f32[2] = {1,2} "
                 "y = RMSNormalization(x, g)[epsilon=0.0]",
                 0.84852815, 2.2627418);
}

TEST(a_group_of_channels_has_one_mean)
{
    CHECK_VALUES("const x: f32[1,4,1] = {0,2,4,8} const g: f32[4] = {1,1,2,1} "
                 "const b: f32[4] = {0,0,0,1} "
                 "y = GroupNormalization(x, g, b)[num_groups=2, epsilon=0.0]",
                 -1, 1, -2, 2);
    CHECK_REFUSED("const x: f32[1,4,1] = 0 const g: f32[4] = 1 const b: f32[4] = 0 "
                  "y = GroupNormalization(x, g, b)[num_groups=3]",
                  "num_groups");
}

TEST(neighbouring_channels_damp_each_other)
{
    CHECK_VALUES("const x: f32[1,3,1] = {1,2,3} y = LRN(x)[size=3, alpha=3.0, beta=1.0]", 1.0 / 6,
                 2.0 / 15, 3.0 / 14);
}
