/* Attention taken apart: the same results, with gradients. */
#include "edits.h"

static void check_same(const char *text)
{
    tq_graph *before = check_graph(text), *after = check_graph(text);
    CHECK_OK(tq_editor_run(edits_find("decompose-attention"), after));
    CHECK_OK(tq_graph_verify(after));
    CHECK_EQ(check_count(after, "Attention"), 0, "(%s)", text);
    CHECK_EQ(check_count(after, "Softmax"), 1);
    CHECK_NEAR(edits_difference(before, after), 0, 1e-5);
    tq_graph_destroy(before);
    tq_graph_destroy(after);
}

#define HEADS_FIRST "input q: f32[?,2,3,4] input k: f32[?,2,5,4] input v: f32[?,2,5,6] "
#define HEADS_LAST "input q: f32[?,3,8] input k: f32[?,5,8] input v: f32[?,5,12] "

TEST(attention_becomes_products_and_a_softmax)
{
    edits_check("decompose-attention",
                "input q: f32[?,1,3,4] input k: f32[?,1,5,4] input v: f32[?,1,5,6] "
                "y = Attention(q, k, v)",
                "input q: f32[?,1,3,4] input k: f32[?,1,5,4] input v: f32[?,1,5,6]\n"
                "const y.scale: f32[] = 0.5\n"
                "y.k_t = Transpose(k) [perm=[0,1,3,2]]\n"
                "y.scaled = Mul(q, y.scale)\n"
                "y.scores = MatMul(y.scaled, y.k_t)\n"
                "y.softmax = Softmax(y.scores) [axis=-1]\n"
                "y = MatMul(y.softmax, v) \"y.mixed\"",
                1e-6);
}

TEST(heads_scales_and_masks_keep_what_is_computed)
{
    check_same(HEADS_FIRST "y = Attention(q, k, v) [scale=0.3]");
    check_same(HEADS_FIRST "y = Attention(q, k, v) [is_causal=1]");
    check_same(HEADS_LAST "y = Attention(q, k, v) [q_num_heads=2, kv_num_heads=2]");
    check_same(HEADS_LAST "const m: f32[3,5] = random(4) "
                          "y = Attention(q, k, v, m) [q_num_heads=2, kv_num_heads=2]");
    check_same(HEADS_FIRST "const m: bool[3,5] = {1,0,0,1,0, 0,0,0,0,1, 1,1,1,1,1} "
                           "y = Attention(q, k, v, m)");
}

TEST(what_products_cannot_say_stays)
{
    edits_check_none("decompose-attention",
                     "input q: f32[?,4,3,4] input k: f32[?,2,5,4] input v: f32[?,2,5,6] "
                     "y = Attention(q, k, v)");
    edits_check_none("decompose-attention", HEADS_FIRST "y = Attention(q, k, v) [softcap=2.0]");
    edits_check_none("decompose-attention",
                     HEADS_FIRST "y = Attention(q, k, v) [left_window_size=1]");
    edits_check_none("decompose-attention", HEADS_FIRST "const m: bool[3,5] = "
                                                        "{1,0,0,1,0, 0,0,0,0,0, 1,1,1,1,1} "
                                                        "y = Attention(q, k, v, m)");
    edits_check_none("decompose-attention",
                     HEADS_FIRST "y, nk, nv, s = Attention(q, k, v) output y output s");
}
