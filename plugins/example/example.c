/* The one symbol of a plug-in. */
#include "example.h"

#include <truq/plugin.h>

const tq_plugin tq_plugin_main = {
    .abi_version = TQ_ABI_VERSION,
    .name = "example",
    .ops = { &example_squared_relu, &example_squared_relu_grad },
    .editors = { &example_fuse_squared_relu },
    .quantizers = { &example_open },
    .observers = { &example_tight },
    .backends = { &example_npu4 },
    .controllers = { &example_warm_bounds },
    .zoo = { &example_squarenet },
    .commands = { &example_census },
};
