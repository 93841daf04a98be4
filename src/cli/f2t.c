/* truq f2t: a fake-quantised network becomes one of integers, proven not to overflow. */
#include "dump.h"
#include "rules.h"

#include <string.h>

typedef struct scales {
    int n;
    const char *names[TQ_LIST_MAX + 1];
    double values[TQ_LIST_MAX + 1];
} scales;

/** --input-scale S for all inputs, then each --input NAME:SCALE (a name may hold colons). */
static tq_status parse_scales(tq_cli *cli, double all, const tq_list *list, scales *out)
{
    if (all != 0.0) {
        if (all < 0.0)
            return tq_fail(TQ_ERR_USAGE, "--input-scale is %g; expected a positive number", all);
        out->names[out->n] = NULL;
        out->values[out->n++] = all;
    }
    for (int i = 0; i < list->n; i++) {
        const char *colon = strrchr(list->items[i], ':');
        double value;
        if (!colon || colon == list->items[i] || !tq_options_number(colon + 1, &value) ||
            !(value > 0.0))
            return tq_fail(TQ_ERR_USAGE, "--input takes NAME:SCALE such as input:0.0078, not '%s'",
                           list->items[i]);
        out->names[out->n] =
            tq_arena_strndup(cli->arena, list->items[i], (size_t)(colon - list->items[i]));
        out->values[out->n++] = value;
    }
    return TQ_OK;
}

typedef struct codes {
    int n;
    const char *names[TQ_LIST_MAX];
    tq_range ranges[TQ_LIST_MAX];
} codes;

/** "u8", "input:i8"; a range may hold colons itself ("bitwidth:4,signed:true"). */
static tq_status parse_codes(tq_cli *cli, const tq_list *list, codes *out)
{
    for (int i = 0; i < list->n; i++, out->n++) {
        const char *item = list->items[i], *colon = strchr(item, ':');
        tq_status status = tq_range_parse(item, &out->ranges[i]);
        out->names[i] = NULL;
        if (status && colon && colon > item) {
            tq_status_drop(status);
            out->names[i] = tq_arena_strndup(cli->arena, item, (size_t)(colon - item));
            status = tq_range_parse(colon + 1, &out->ranges[i]);
        }
        if (status) {
            tq_status_drop(status);
            return tq_fail(TQ_ERR_USAGE,
                           "--codes takes a range such as u8, i8 or input:u8, not '%s'", item);
        }
    }
    return TQ_OK;
}

static tq_status parse_shift(const char *text, int *out)
{
    int64_t shift = -1;
    if (strcmp(text, "auto") != 0 && (!tq_options_integer(text, &shift) || shift < 0 || shift > 62))
        return tq_fail(TQ_ERR_USAGE, "--shift takes auto or 0 to 62, not '%s'", text);
    *out = (int)shift;
    return TQ_OK;
}

/** Rules with an anchor or a stage join the conversion there; all else runs before it. */
static void place_editors(tq_cli *cli, int n, const tq_editor *const *editors, tq_f2t_options *f2t,
                          tq_edit *edit)
{
    const char **before = TQ_NEW_N(cli->arena, const char *, n);
    const tq_editor **inside = TQ_NEW_N(cli->arena, const tq_editor *, n);
    for (int i = 0; i < n; i++)
        if (editors[i]->rule && tq_editor_moment(cli->registry, editors[i]) >= TQ_EDIT_TRUE)
            inside[edit->n_more++] = editors[i];
        else
            before[f2t->n_editors++] = editors[i]->entry.name;
    f2t->editors = before;
    edit->more = inside;
}

/** What was said of the inputs. */
typedef struct given {
    scales s;
    codes c;
} given;

static tq_status take_inputs(tq_cli *cli, double scale, const tq_list *inputs,
                             const tq_list *ranges, given *g, tq_f2t_options *f2t)
{
    TQ_TRY(parse_scales(cli, scale, inputs, &g->s));
    TQ_TRY(parse_codes(cli, ranges, &g->c));
    f2t->n_input_scales = g->s.n;
    f2t->input_names = g->s.names;
    f2t->input_scales = g->s.values;
    f2t->n_codes = g->c.n;
    f2t->code_names = g->c.names;
    f2t->codes = g->c.ranges;
    return TQ_OK;
}

static tq_status print_summary(tq_cli *cli, const tq_graph *graph)
{
    tq_proof_row *rows;
    int n, bits = 0;
    bool proven;
    TQ_TRY(tq_proof_run(graph, cli->arena, &rows, &n, &proven));
    for (int i = 0; i < n; i++)
        while (bits < 63 &&
               (rows[i].inner_lo < -(INT64_C(1) << bits) || rows[i].inner_hi >= INT64_C(1) << bits))
            bits++;
    tq_print("%d integer node%s for backend %s, %s; the widest number inside takes %d bit%s\n", n,
             n == 1 ? "" : "s", tq_graph_meta(graph, "backend"),
             proven ? "proven not to overflow" : "not proven", bits + 1, bits ? "s" : "");
    return TQ_OK;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *out = NULL, *shift = "auto", *rounding = NULL;
    double input_scale = 0.0;
    const char *dialect = NULL;
    tq_list inputs = { 0 }, editors = { 0 }, ranges = { 0 };
    tq_dump dump = { .cli = cli };
    tq_edit edit = { 0 };
    tq_f2t_options f2t = { .backend = "generic" };
    given g = { 0 };
    const tq_option options[] = {
        TQ_ARG("FQ.onnx", &model,
               "calibrated or trained fake-quantised network, or an integer network of others"),
        TQ_OPT_STRING(0, "backend", "NAME", &f2t.backend, "target ('truq list backends')"),
        TQ_OPT_LIST('i', "input", "NAME:SCALE", &inputs, "scale of an input"),
        TQ_OPT_NUMBER(0, "input-scale", "S", &input_scale,
                      "scale of all inputs; 0: their quantisers' or what the model remembers"),
        TQ_OPT_LIST(0, "codes", "[NAME:]R", &ranges,
                    "codes at an input of an integer network of others: u8, i8, ..."),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_STRING(0, "shift", "auto|K", &shift,
                      "of requantisations: as large as the proof allows, or K everywhere; 24 is "
                      "QuantLib's arithmetic"),
        TQ_OPT_LIST(
            0, "editor", "NAME", &editors,
            "run this editor or file of rules (FILE.rule) too, before the conversion; rules "
            "with an anchor or a stage there"),
        TQ_OPT_FLAG(0, "partial", &f2t.partial,
                    "what has no integer form, or is assigned to the cpu, stays float; reals that "
                    "enter take ties to the even code"),
        TQ_OPT_ROUNDING(&rounding),
        TQ_OPT_STRING(0, "dump-after", "EDITOR", &edit.dump_after,
                      "print the network after this editor, or after all"),
        TQ_OPT_STRING(0, "stop-after", "EDITOR", &edit.stop_after,
                      "run no editor after this one, nor those of the backend"),
        TQ_OPT_STRING(0, "dump-failed", "FILE", &dump.failed_path,
                      "where to write the network as it was before an editor that failed"),
        TQ_OPT_FLAG(0, "log", &dump.log, "print each edit"),
        TQ_OPT_OUT(&out, "TQ.onnx", "where to write the integer network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    TQ_TRY(take_inputs(cli, input_scale, &inputs, &ranges, &g, &f2t));
    TQ_TRY(parse_shift(shift, &f2t.shift));
    TQ_TRY(tq_cli_half_up(rounding, &f2t.force_half_up));
    int n_editors;
    const tq_editor *const *found;
    TQ_TRY(tq_cli_editors(cli, &editors, false, &n_editors, &found));
    place_editors(cli, n_editors, found, &f2t, &edit);
    TQ_TRY(tq_dump_prepare(&dump, &edit));
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_wrap(tq_dump_finish(&dump, tq_f2t_run(graph, &f2t, &edit)), "'%s'", model));
    if (!edit.stop_after)
        TQ_TRY(print_summary(cli, *graph));
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_f2t = {
    .entry = { .name = "f2t", .brief = "fake- to true-quantised: integers only, proven" },
    .details =
        "Networks that QuantLib, NEMO, DORY or Deeploy wrote are integers already, on int64: with "
        "--codes, which says\nwhat their inputs hold, they get the types and operators of ours, "
        "the "
        "proof and the exporters.",
    .examples = { "f2t fake.onnx -o true.onnx", "f2t deeploy/network.onnx --codes i8 -o true.onnx",
                  "f2t fake.onnx --backend dory --input input:0.0206 -o true.onnx" },
    .run = run,
};
