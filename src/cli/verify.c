/* truq verify: integers only, and nothing can overflow. */
#include "cli.h"

#include <string.h>

/** The first node that has no place in a true-quantised network. */
static tq_status check_integers(const tq_graph *graph)
{
    const char *stage = tq_graph_meta(graph, "stage");
    const char *hint = stage && strcmp(stage, "partial") == 0
                           ? "'truq partition' makes files of its integer parts"
                           : "'truq f2t' makes one";
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        const tq_dtype dtype = tq_value_type(tq_node_output(node, 0))->dtype;
        if (tq_node_is(node, "Div") || tq_dtype_is_float(dtype))
            return tq_fail(TQ_ERR_CHECK,
                           "not a true-quantised network: node '%s' is a %s of %s; %s",
                           tq_node_name(node), tq_node_op_name(node), tq_dtype_name(dtype), hint);
    }
    return tq_graph_verify(graph);
}

/** Inputs of integer networks of others say nothing of what they hold. */
static tq_status check_inputs(const tq_graph *graph)
{
    int64_t bound;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++) {
        const tq_value *input = tq_graph_input(graph, i);
        if (tq_value_type(input)->dtype == TQ_I64 &&
            !tq_value_meta_i64(input, "quant.q_max", &bound))
            return tq_fail(
                TQ_ERR_CHECK,
                "the codes of input '%s' are not known, so that nothing is proven; 'truq "
                "f2t --codes u8' (or i8) states them",
                tq_value_name(input));
    }
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *dialect = NULL;
    bool json = false;
    const tq_option options[] = {
        TQ_ARG("TQ.onnx", &model, "true-quantised network"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(check_integers(*graph));
    tq_proof_row *rows;
    int n;
    bool proven;
    TQ_TRY(tq_proof_run(*graph, cli->arena, &rows, &n, &proven));
    tq_print("%s", tq_report_proof(rows, n, proven, json, cli->arena));
    if (!proven)
        TQ_TRY(check_inputs(*graph));
    for (int i = 0; i < n && !proven; i++)
        if (!rows[i].fits)
            return tq_fail(TQ_ERR_CHECK, "node '%s' (%s) may overflow: %s", rows[i].node,
                           rows[i].op, rows[i].problem ? rows[i].problem : "it does not fit");
    return proven ? TQ_OK : tq_fail(TQ_ERR_CHECK, "the network is not proven");
}

const tq_command tq_command_verify = {
    .entry = { .name = "verify", .brief = "the proof that an integer network cannot overflow" },
    .details = "Bounds by interval analysis with the real weights. 'exact in' names the narrowest "
               "float that\nwould carry every number inside exactly.",
    .examples = { "verify true.onnx" },
    .run = run,
};
