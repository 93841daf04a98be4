/* truq zoo: a well-known network with initial weights. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

/** "3x32x32", or "640" for networks that take vectors. */
static tq_status parse_input(const char *text, tq_arena *arena, int64_t *out)
{
    char *copy = tq_arena_strdup(arena, text);
    int n = 0;
    for (char *part = copy; part; n++) {
        char *end = strpbrk(part, "xX");
        if (end)
            *end++ = 0;
        if (n == 3 || !tq_options_integer(part, &out[n]) || out[n] < 1 || out[n] > 65535)
            return tq_fail(TQ_ERR_USAGE, "--input takes CxHxW such as 3x32x32, not '%s'", text);
        part = end;
    }
    return n != 2 ? TQ_OK
                  : tq_fail(TQ_ERR_USAGE, "--input takes CxHxW such as 3x32x32, not '%s'", text);
}

static void print_summary(const tq_graph *graph)
{
    int64_t n_parameters = 0, n_macs = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        n_parameters += tq_node_n_parameters(node);
        n_macs += tq_node_macs(node);
    }
    const int n = tq_graph_n_nodes(graph);
    tq_print("%d node%s, %" PRId64 " parameters, %" PRId64 " MACs\n", n, n == 1 ? "" : "s",
             n_parameters, n_macs);
}

static tq_status build_from(tq_cli *cli, const char *path, const tq_zoo_options *options,
                            tq_graph **out_graph)
{
    const tq_zoo_description *description;
    TQ_TRY(tq_zoo_read_description(path, cli->arena, &description));
    return tq_zoo_build_description(cli->registry, description, options, out_graph);
}

static tq_status run(tq_cli *cli)
{
    const char *name = NULL, *from = NULL, *out = NULL, *input = NULL;
    int64_t classes = 0, seed = 0;
    tq_zoo_options zoo = { .capacity = 1.0, .activation = "relu" };
    const tq_option options[] = {
        TQ_ARG_MAYBE("NAME", &name, "mobilenet_v1, resnet8, ... ('truq list zoo' shows all)"),
        TQ_OPT_STRING('f', "from", "FILE.yaml", &from, "build what this file describes instead"),
        TQ_OPT_NUMBER('c', "capacity", "C", &zoo.capacity, "width multiplier"),
        TQ_OPT_STRING('a', "activation", "A", &zoo.activation, "relu or relu6"),
        TQ_OPT_INT('n', "classes", "N", &classes, 0, 1000000, "outputs; 0: the network's own"),
        TQ_OPT_STRING('i', "input", "CxHxW", &input, "size of the input; default: the network's"),
        TQ_OPT_INT('s', "seed", "S", &seed, 0, INT64_MAX, "of the initial weights"),
        TQ_OPT_OUT(&out, "M.onnx", "where to write the network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    if (!name == !from)
        return tq_fail(TQ_ERR_USAGE, "zoo takes the name of a network, or a description with "
                                     "--from; 'truq zoo --help' explains");
    if (input)
        TQ_TRY(parse_input(input, cli->arena, zoo.input));
    if (!(zoo.capacity > 0.0 && zoo.capacity <= 64.0))
        return tq_fail(TQ_ERR_USAGE, "--capacity is %g; expected more than 0, at most 64",
                       zoo.capacity);
    if (strcmp(zoo.activation, "relu") != 0 && strcmp(zoo.activation, "relu6") != 0)
        return tq_fail(TQ_ERR_USAGE, "--activation takes relu or relu6, not '%s'", zoo.activation);
    zoo.classes = classes;
    zoo.seed = (uint64_t)seed;
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph = tq_cli_slot(cli);
    TQ_TRY(from ? build_from(cli, from, &zoo, graph)
                : tq_zoo_build(cli->registry, name, &zoo, graph));
    print_summary(*graph);
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_zoo = {
    .entry = { .name = "zoo", .brief = "a well-known network with initial weights" },
    .details = "A description is a YAML file of layers with ONNX's parameters: docs/zoo.md.",
    .examples = { "zoo resnet8 -o resnet8.onnx", "zoo --from net.yaml --classes 10 -o net.onnx",
                  "zoo mobilenet_v1 --capacity 0.75 --activation "
                  "relu6 --input 3x224x224 -o m.onnx" },
    .run = run,
};
