/* Brings one operator that is fine, and one whose name is taken. */
#include <truq/op.h>
#include <truq/plugin.h>

static const tq_op fine = {
    .entry = { .name = "Fine" }, .inputs = { "x" }, .outputs = { "y" }, .infer = tq_op_infer_same
};
static const tq_op taken = {
    .entry = { .name = "Relu" }, .inputs = { "x" }, .outputs = { "y" }, .infer = tq_op_infer_same
};

const tq_plugin tq_plugin_main = { .abi_version = TQ_ABI_VERSION,
                                   .name = "clash",
                                   .ops = { &fine, &taken } };
