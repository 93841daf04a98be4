/* truq find: where a pattern occurs in a network. */
#include "cli.h"

#include <truq/rule.h>

static void print_text(tq_arena *arena, const tq_rule_match *matches, int n)
{
    for (int i = 0; i < n; i++) {
        const tq_rule_match *m = &matches[i];
        const char *line = "";
        for (int k = 0; k < m->n_nodes; k++)
            line = tq_arena_printf(arena, "%s%s%s (%s)", line, k ? ", " : "",
                                   tq_node_name(m->nodes[k]), tq_node_op_name(m->nodes[k]));
        const char *values = "";
        for (int k = 0; k < m->n_captures; k++)
            values = tq_arena_printf(arena, "%s  %s = %s", values, m->names[k],
                                     m->values[k] ? tq_value_name(m->values[k]) : "-");
        tq_print("%s\n  %s\n", tq_text_clean(arena, line), tq_text_clean(arena, values));
    }
    tq_print("%d match%s\n", n, n == 1 ? "" : "es");
}

static void print_json(tq_arena *arena, const tq_rule_match *matches, int n)
{
    tq_json *json = tq_json_create(arena);
    tq_json_add_integer(json, "n", n);
    tq_json_open_array(json, "matches");
    for (int i = 0; i < n; i++) {
        const tq_rule_match *m = &matches[i];
        tq_json_open_object(json, NULL);
        tq_json_open_array(json, "nodes");
        for (int k = 0; k < m->n_nodes; k++) {
            tq_json_open_object(json, NULL);
            tq_json_add_text(json, "name", tq_node_name(m->nodes[k]));
            tq_json_add_text(json, "op", tq_node_op_name(m->nodes[k]));
            tq_json_close(json);
        }
        tq_json_close(json);
        tq_json_open_object(json, "values");
        for (int k = 0; k < m->n_captures; k++)
            tq_json_add_text(json, m->names[k], m->values[k] ? tq_value_name(m->values[k]) : NULL);
        tq_json_close(json);
        tq_json_close(json);
    }
    tq_print("%s", tq_json_print(json));
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *pattern = NULL, *dialect = NULL;
    bool json = false;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_REQUIRED('p', "pattern", "TEXT", &pattern,
                        "what stands before '=>' in a rule: 'y = Relu(Conv(x, w)) where rank(x) == "
                        "4'"),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const tq_rule *rule;
    tq_graph **graph;
    tq_rule_match *matches;
    int n;
    TQ_TRY(tq_rule_pattern_parse(cli->registry, pattern, "pattern", cli->arena, &rule));
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_rule_find(rule, *graph, cli->arena, &n, &matches));
    if (json)
        print_json(cli->arena, matches, n);
    else
        print_text(cli->arena, matches, n);
    return TQ_OK;
}

const tq_command tq_command_find = {
    .entry = { .name = "find", .brief = "where a pattern occurs in a network" },
    .details = "Matches come in order and share no node; docs/rules.md explains patterns.",
    .examples = { "find net.onnx --pattern 'y = BatchNormalization(Conv(x, ...) sole, ...)'",
                  "find net.onnx --pattern 'y = Conv(x, w) where y.group == dims(x, 1)' --json" },
    .run = run,
};
