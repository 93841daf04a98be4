/* truq export: the files a target's tools take, with a sample and its results. */
#include "cli.h"

#include <string.h>

static void print_line(void *context, const char *line)
{
    const tq_cli *cli = context;
    tq_print("%s\n", tq_text_clean(cli->arena, line));
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/** The first data point of an array, with a batch of 1: [C, H, W] or [N, C, H, W]. */
static tq_status first_of(const tq_tensor *array, const tq_type *wanted, tq_tensor *out)
{
    *out = *array; /* borrowed */
    out->buffer = NULL;
    if (out->type.rank == wanted->rank - 1) {
        memmove(out->type.dims + 1, out->type.dims, (size_t)out->type.rank * sizeof(int64_t));
        out->type.rank++;
    }
    if (out->type.rank == wanted->rank && out->type.rank > 0 && out->type.dims[0] > 0)
        out->type.dims[0] = 1;
    bool fits = out->type.rank == wanted->rank || wanted->rank < 0;
    for (int i = 1; fits && i < wanted->rank; i++)
        fits = wanted->dims[i] == TQ_DIM_ANY || wanted->dims[i] == out->type.dims[i];
    return fits && tq_type_count(&out->type) > 0
               ? TQ_OK
               : tq_fail(TQ_ERR_SHAPE, "the array is %s, the input is %s",
                         tq_type_text(&array->type).s, tq_type_text(wanted).s);
}

/** Integers are codes; floats are real values, put on the grid stored with the input if there is
 *  one, and otherwise must be codes too. */
static tq_status to_codes(const tq_graph *graph, int i, const tq_tensor *array, tq_tensor *out)
{
    const tq_value *input = tq_graph_input(graph, i);
    const tq_type *wanted = tq_value_type(input);
    tq_tensor first, real;
    double scale;
    TQ_TRY(first_of(array, wanted, &first));
    if (tq_dtype_is_float(first.type.dtype) && tq_value_meta_f64(input, "quant.scale", &scale)) {
        TQ_TRY(tq_tensor_cast(&first, TQ_F32, &real));
        const tq_status status = tq_feed(graph, i, &real, out);
        tq_tensor_reset(&real);
        return status;
    }
    TQ_TRY(tq_tensor_cast(&first, wanted->dtype, out));
    for (int64_t k = 0; k < tq_tensor_count(out); k++) {
        const double x = tq_load_f64(first.data, first.type.dtype, k);
        if (tq_load_f64(out->data, wanted->dtype, k) == x)
            continue;
        tq_tensor_reset(out);
        return tq_fail(TQ_ERR_TYPE, "element %lld is %.9g, no code of %s", (long long)k, x,
                       tq_dtype_name(wanted->dtype));
    }
    return TQ_OK;
}

static tq_status codes_from_npz(const tq_graph *graph, const char *path, tq_tensor *out)
{
    tq_npz npz;
    TQ_TRY(tq_npz_load(path, &npz));
    tq_status status = TQ_OK;
    for (int i = 0; i < tq_graph_n_inputs(graph) && !status; i++) {
        const char *name = tq_value_name(tq_graph_input(graph, i));
        const tq_tensor *array = tq_npz_find(&npz, name);
        if (!array && i < npz.n)
            array = &npz.tensors[i];
        status = array ? tq_wrap(to_codes(graph, i, array, &out[i]), "sample for input '%s'", name)
                       : tq_fail(TQ_ERR_NOT_FOUND, "no array for input '%s'", name);
    }
    tq_npz_reset(&npz);
    return tq_wrap(status, "'%s'", path);
}

static tq_status codes_from_image(tq_cli *cli, const tq_graph *graph, const char *path,
                                  const char *preset_name, tq_tensor *out)
{
    const char *name = preset_name ? preset_name : tq_graph_meta(graph, "preset");
    const tq_preset *preset;
    if (!name)
        return tq_fail(TQ_ERR_VALUE,
                       "how '%s' becomes an input is not known; say it with --preset "
                       "('truq list presets' shows all)",
                       path);
    TQ_TRY(tq_preset_load(cli->registry, name, cli->arena, &preset));
    tq_sample sample = { .label = -1, .is_image = true };
    TQ_TRY(tq_image_load(path, &sample.data));
    const tq_status status = tq_sample_codes(graph, preset, &sample, out);
    tq_tensor_reset(&sample.data);
    return tq_wrap(status, "sample '%s'", path);
}

static tq_status export(tq_cli *cli, const tq_graph *graph, const char *backend, const char *sample,
                        const char *preset, const char *out)
{
    const int n = tq_graph_n_inputs(graph);
    tq_tensor *codes = TQ_NEW_N(cli->arena, tq_tensor, n);
    tq_status status = TQ_OK;
    if (sample && (ends_with(sample, ".npz") || ends_with(sample, ".npy")))
        status = codes_from_npz(graph, sample, codes);
    else if (sample)
        status = codes_from_image(cli, graph, sample, preset, codes);
    if (!status)
        status = tq_export_run(graph, backend, sample ? codes : NULL, out, print_line, cli);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&codes[i]);
    return status;
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *backend = NULL, *sample = NULL, *preset = NULL, *out = NULL;
    const char *dialect = NULL;
    const tq_option options[] = {
        TQ_ARG("TQ.onnx", &model, "true-quantised network"),
        TQ_OPT_REQUIRED('b', "backend", "NAME", &backend, "target ('truq list backends')"),
        TQ_OPT_STRING('s', "sample", "FILE", &sample,
                      "an image or .npz to compute the expected results with; default: fixed "
                      "random codes"),
        TQ_OPT_PRESET(&preset),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_OUT(&out, "DIR", "folder to write into"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_BACKEND, backend, &entry));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    TQ_TRY(tq_cli_check_folder(cli, out));
    return tq_wrap(export(cli, *graph, backend, sample, preset, out), "cannot export '%s'", model);
}

const tq_command tq_command_export = {
    .entry = { .name = "export", .brief = "the files a target's tools take" },
    .details = "Arrays of a .npz sample: integers are codes, floats real values that are quantised "
               "first.",
    .examples = { "export true.onnx --backend dory --sample cat.jpg -o dory" },
    .run = run,
};
