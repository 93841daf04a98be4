/* truq load: weights by name from a file into a network. */
#include "cli.h"

#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static tq_status apply_npz(tq_graph *graph, const char *path)
{
    tq_npz npz;
    TQ_TRY(tq_npz_load(path, &npz));
    const tq_status status = tq_weights_apply(graph, npz.n, npz.names, npz.tensors);
    tq_npz_reset(&npz);
    return tq_wrap(status, "'%s'", path);
}

static tq_status apply_safetensors(tq_graph *graph, const char *path, tq_arena *arena)
{
    int n = 0;
    const char **names;
    tq_tensor *tensors;
    TQ_TRY(tq_safetensors_load(path, arena, &n, &names, &tensors));
    const tq_status status = tq_weights_apply(graph, n, names, tensors);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&tensors[i]);
    return tq_wrap(status, "'%s'", path);
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *weights = NULL, *out = NULL;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "network that takes the weights"),
        TQ_OPT_REQUIRED('w', "weights", "FILE", &weights, ".safetensors or .npz"),
        TQ_OPT_OUT(&out, "OUT.onnx", "where to write the network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const bool npz = ends_with(weights, ".npz");
    if (!npz && !ends_with(weights, ".safetensors"))
        return tq_fail(TQ_ERR_USAGE, "--weights takes a .safetensors or .npz file, not '%s'",
                       weights);
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, NULL, &graph));
    TQ_TRY(npz ? apply_npz(*graph, weights) : apply_safetensors(*graph, weights, cli->arena));
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_load = {
    .entry = { .name = "load", .brief = "weights by name from .safetensors or .npz" },
    .details = "Missing, extra and mis-shaped names are all listed; nothing is written then.",
    .examples = { "load net.onnx --weights net.safetensors -o net2.onnx" },
    .run = run,
};
