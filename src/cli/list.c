/* truq list: what there is. */
#include "cli.h"

#include <string.h>

/** All kinds but commands, as "ops, editors, ...". */
static const char *kinds_text(tq_arena *arena)
{
    const char *text = "";
    for (int kind = 0; kind < TQ_N_KINDS; kind++)
        if (kind != TQ_KIND_COMMAND)
            text = tq_arena_printf(arena, "%s%s%s", text, *text ? ", " : "",
                                   tq_kind_name((tq_kind)kind, true));
    return text;
}

static tq_status run(tq_cli *cli)
{
    const char *name = NULL;
    bool json = false;
    const tq_option options[] = {
        TQ_ARG("KIND", &name, kinds_text(cli->arena)),
        TQ_OPT_JSON(&json),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    for (int kind = 0; kind < TQ_N_KINDS; kind++)
        if (kind != TQ_KIND_COMMAND && strcmp(name, tq_kind_name((tq_kind)kind, true)) == 0) {
            tq_print("%s", tq_report_list(cli->registry, (tq_kind)kind, json, cli->arena));
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_USAGE, "there are no '%s' to list; there are %s", name,
                   kinds_text(cli->arena));
}

const tq_command tq_command_list = {
    .entry = { .name = "list", .brief = "what there is: ops, recipes, presets, backends, ..." },
    .examples = { "list ops", "list recipes --json" },
    .run = run,
};
