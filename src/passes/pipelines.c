/* The order in which the built-in editors run. */
#include <truq/edit.h>

const tq_pipeline tq_pipeline_canonicalise = {
    .entry = { .name = "canonicalise", .brief = "one spelling for what exporters write in many" },
    .editors =
        (const char *const[]){ "remove-identity", "canonicalise-flatten", "canonicalise-reshapes",
                               "canonicalise-shapes", "fold-constants", "fuse-functions",
                               "decompose-attention", "canonicalise-activations", NULL },
};

const tq_pipeline tq_pipeline_fold = {
    .entry = { .name = "fold", .brief = "batch norms into the convolutions before them" },
    .editors = (const char *const[]){ "remove-identity", "fold-constants", "fold-batchnorm", NULL },
};

const tq_pipeline tq_pipeline_f2f = {
    .entry = { .name = "f2f", .brief = "float to fake-quantised" },
    .editors = (const char *const[]){ "halves-to-floats",         "remove-identity",
                                      "canonicalise-flatten",     "canonicalise-reshapes",
                                      "canonicalise-shapes",      "fold-constants",
                                      "fuse-functions",           "decompose-attention",
                                      "canonicalise-activations", "linear-bias-into-bn",
                                      "quantize-weights",         "quantize-slots",
                                      "quantize-activations",     "split-bias",
                                      "harmonise-adds",           "quantize-pools",
                                      "quantize-concats",         "quantize-inputs",
                                      "interpose-quantizers",     "share-grids",
                                      "fuse-activations",         NULL },
};

const tq_pipeline tq_pipeline_f2f_folded = {
    .entry = { .name = "f2f-folded",
               .brief = "float to fake-quantised, batch norms folded into convolutions first" },
    .editors = (const char *const[]){ "halves-to-floats",         "remove-identity",
                                      "canonicalise-flatten",     "canonicalise-reshapes",
                                      "canonicalise-shapes",      "fold-constants",
                                      "fuse-functions",           "decompose-attention",
                                      "canonicalise-activations", "fold-batchnorm",
                                      "quantize-weights",         "quantize-slots",
                                      "quantize-activations",     "split-bias",
                                      "harmonise-adds",           "quantize-pools",
                                      "quantize-concats",         "quantize-inputs",
                                      "interpose-quantizers",     "share-grids",
                                      "fuse-activations",         NULL },
};

const tq_pipeline tq_pipeline_f2t = {
    .entry = { .name = "f2t", .brief = "fake- to true-quantised" },
    .editors = (const char *const[]){ "remove-identity", "drop-last-softmax", "integerise",
                                      "clip-into-requant", "merge-requants", "prove", NULL },
    .stages = 1u << TQ_EDIT_CUSTOM,
};

const tq_pipeline tq_pipeline_pre_grad = {
    .entry = { .name = "pre-grad",
               .brief = "what is differentiated: each training graph before its gradients" },
    .editors =
        (const char *const[]){ "decompose-attention", "train-dropout", "train-batchnorm", NULL },
    .stages = 1u << TQ_EDIT_PRE_GRAD,
};

const tq_pipeline tq_pipeline_post_train = {
    .entry = { .name = "post-train", .brief = "the network when it was trained" },
    .editors = (const char *const[]){ NULL },
    .stages = 1u << TQ_EDIT_POST_TRAIN,
};

/* The graph mode: stopped after insert-observers the network can be calibrated; run again it goes
 * on from there. */
const tq_pipeline tq_pipeline_graph_mode = {
    .entry = { .name = "graph-mode",
               .brief = "observers, then QDQ pairs, then integers between them" },
    .editors = (const char *const[]){ "remove-identity", "fold-constants",
                                      "canonicalise-activations", "canonicalise-flatten",
                                      "fold-batchnorm", "insert-observers", "observers-to-qdq",
                                      "fuse-dq-op-q", "merge-requants", "prove", NULL },
};

const tq_pipeline tq_pipeline_lift = {
    .entry = { .name = "lift", .brief = "what others quantised becomes fake- or true-quantised" },
    .editors = (const char *const[]){ "separate-constants", "lift-integers", "lift-integer-layers",
                                      "lift-weights", "lift-qdq", "lift-transposed-weights", NULL },
};

/* An integer network of others, with the codes of its inputs stated. */
const tq_pipeline tq_pipeline_narrow = {
    .entry = { .name = "narrow", .brief = "an integer network of others becomes one of ours" },
    .editors = (const char *const[]){ "remove-identity", "fold-constants", "narrow-integers",
                                      "fold-constants", "merge-requants", "prove", NULL },
    .stages = 1u << TQ_EDIT_CUSTOM,
};
