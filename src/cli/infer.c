/* truq infer: arrays in, arrays out, for a network of any stage. Nothing is converted on the way:
 * inputs and outputs of a true network are codes. An array of another dtype is taken where every
 * element keeps its value. Where shapes depend on arrays (the target of a Reshape, the axes of a
 * sum), those arrays become constants before planning. */
#include "cli.h"

#include <math.h>
#include <string.h>

typedef struct inference {
    tq_cli *cli;
    tq_graph *graph;
    const tq_npz *npz;
    const char *const *tensors; /* inner values asked for, or NULL */
    bool all;
    int n_inputs;
    tq_tensor *inputs;
    tq_type *types;
    tq_pool *pool;
    tq_engine *engine;
    int n_out;
    size_t names_capacity, out_capacity;
    const char **names;
    tq_tensor *out;
} inference;

/* ---- inputs ---- */

static bool is_input_name(const tq_graph *graph, const char *name)
{
    const tq_value *value = tq_graph_find_value(graph, name);
    return value && tq_value_is_input(value);
}

/** The array of that name, else the k-th one, unless that one bears another input's name. */
static tq_status find_array(const inference *f, int k, const tq_tensor **out, const char **out_name)
{
    const char *name = tq_value_name(tq_graph_input(f->graph, k));
    *out = tq_npz_find(f->npz, name);
    *out_name = name;
    if (*out)
        return TQ_OK;
    if (k >= f->npz->n || is_input_name(f->graph, f->npz->names[k]))
        return tq_fail(TQ_ERR_NOT_FOUND,
                       "no array for input '%s' (%s); the file has %d array%s, the first is '%s'",
                       name, tq_type_text(tq_value_type(tq_graph_input(f->graph, k))).s, f->npz->n,
                       f->npz->n == 1 ? "" : "s", f->npz->n ? f->npz->names[0] : "");
    *out = &f->npz->tensors[k];
    *out_name = f->npz->names[k];
    return TQ_OK;
}

static bool shape_fits(const tq_type *array, const tq_type *wanted)
{
    if (wanted->rank < 0)
        return true;
    if (array->rank != wanted->rank)
        return false;
    for (int i = 0; i < wanted->rank; i++)
        if (wanted->dims[i] != TQ_DIM_ANY && wanted->dims[i] != array->dims[i])
            return false;
    return true;
}

/** Index of the first element that another dtype does not hold, -1 if it holds all. */
static int64_t first_lost(const tq_tensor *from, const tq_tensor *to)
{
    const bool whole = tq_dtype_is_integer(from->type.dtype) && tq_dtype_is_integer(to->type.dtype);
    for (int64_t i = 0; i < tq_tensor_count(from); i++) {
        const double x = tq_load_f64(from->data, from->type.dtype, i);
        const double y = tq_load_f64(to->data, to->type.dtype, i);
        const bool same = whole ? tq_load_i64(from->data, from->type.dtype, i) ==
                                      tq_load_i64(to->data, to->type.dtype, i)
                                : x == y || (isnan(x) && isnan(y));
        if (!same)
            return i;
    }
    return -1;
}

/** A lossless cast, or an error that names the element. */
static tq_status cast(const tq_tensor *array, tq_dtype dtype, tq_tensor *out)
{
    if (array->type.dtype == dtype) {
        *out = tq_tensor_share(array);
        return TQ_OK;
    }
    TQ_TRY(tq_tensor_cast(array, dtype, out));
    const int64_t lost = first_lost(array, out);
    if (lost < 0)
        return TQ_OK;
    tq_tensor_reset(out);
    return tq_fail(TQ_ERR_TYPE, "its %s do not all fit %s: element %lld is %.9g",
                   tq_dtype_name(array->type.dtype), tq_dtype_name(dtype), (long long)lost,
                   tq_load_f64(array->data, array->type.dtype, lost));
}

static tq_status take_input(inference *f, int k)
{
    const tq_tensor *array;
    const char *array_name;
    TQ_TRY(find_array(f, k, &array, &array_name));
    const tq_value *input = tq_graph_input(f->graph, k);
    const tq_type *wanted = tq_value_type(input);
    if (!shape_fits(&array->type, wanted))
        return tq_fail(TQ_ERR_SHAPE, "array '%s' is %s, input '%s' is %s", array_name,
                       tq_type_text(&array->type).s, tq_value_name(input), tq_type_text(wanted).s);
    const char *codes = tq_value_meta(input, "import.codes");
    if (codes && tq_dtype_is_float(wanted->dtype) &&
        strcmp(codes, tq_dtype_name(array->type.dtype)) == 0)
        return tq_fail(TQ_ERR_TYPE,
                       "array '%s' is %s: codes; imported, input '%s' takes the reals they stand "
                       "for, (code - zero point) * scale",
                       array_name, codes, tq_value_name(input));
    TQ_TRY(tq_wrap(cast(array, wanted->dtype, &f->inputs[k]), "array '%s' for input '%s'",
                   array_name, tq_value_name(input)));
    f->types[k] = f->inputs[k].type;
    return TQ_OK;
}

/* ---- shapes that depend on arrays ---- */

enum { MAX_SHAPE_ELEMENTS = 1024 };

static tq_status shapes_are_known(const inference *f, bool *out_known)
{
    tq_graph *copy = tq_graph_clone(f->graph);
    const tq_status status = tq_graph_infer_for(copy, f->types, f->n_inputs);
    *out_known = true;
    for (int i = 0; !status && i < tq_graph_n_values(copy); i++)
        *out_known = *out_known && tq_type_is_known(tq_value_type(tq_graph_value(copy, i)));
    tq_graph_destroy(copy);
    return status;
}

/** Input k becomes a constant that holds its array. */
static tq_status bind_input(inference *f, int k)
{
    tq_value *input = tq_graph_input(f->graph, k), *constant;
    const char *name = tq_arena_strdup(f->cli->arena, tq_value_name(input));
    TQ_TRY(tq_graph_add_constant(f->graph, NULL, &f->inputs[k], &constant));
    tq_value_redirect_consumers(input, constant);
    tq_graph_remove_input(f->graph, k);
    tq_value_set_name(constant, name);
    tq_tensor_reset(&f->inputs[k]);
    f->n_inputs--;
    for (int i = k; i < f->n_inputs; i++) {
        f->inputs[i] = f->inputs[i + 1];
        f->types[i] = f->types[i + 1];
    }
    f->inputs[f->n_inputs] = (tq_tensor){ 0 };
    return TQ_OK;
}

/** What can be a shape, an axis, a pad or a scale: short lists and single numbers. */
static tq_status bind_shapes(inference *f)
{
    bool known;
    TQ_TRY(shapes_are_known(f, &known));
    for (int k = f->n_inputs - 1; k >= 0 && !known; k--)
        if (f->types[k].rank <= 1 && tq_type_count(&f->types[k]) <= MAX_SHAPE_ELEMENTS)
            TQ_TRY(bind_input(f, k));
    return known ? TQ_OK : tq_graph_infer_for(f->graph, f->types, f->n_inputs);
}

/* ---- outputs ---- */

/** numpy has no 4-bit and no bfloat16 arrays: the next wider dtype holds them. */
static tq_dtype storable(tq_dtype dtype)
{
    return dtype == TQ_I4 ? TQ_I8 : dtype == TQ_U4 ? TQ_U8 : dtype == TQ_BF16 ? TQ_F32 : dtype;
}

static tq_status add_out(inference *f, const char *name, const tq_tensor *tensor)
{
    for (int i = 0; i < f->n_out; i++)
        if (strcmp(f->names[i], name) == 0)
            return TQ_OK;
    tq_tensor copy;
    const tq_dtype dtype = storable(tensor->type.dtype);
    if (dtype == tensor->type.dtype)
        TQ_TRY(tq_tensor_copy(tensor, &copy));
    else
        TQ_TRY(tq_tensor_cast(tensor, dtype, &copy));
    int n = f->n_out;
    TQ_PUSH(f->cli->arena, f->names, n, f->names_capacity, name);
    TQ_PUSH(f->cli->arena, f->out, f->n_out, f->out_capacity, copy);
    return TQ_OK;
}

static tq_status add_named(inference *f, const char *name)
{
    const tq_value *value = tq_graph_find_value(f->graph, name);
    if (!value)
        return tq_fail(TQ_ERR_NOT_FOUND,
                       "the network has no value '%s' ('truq show --edges' shows what there is)",
                       name);
    for (int i = 0; i < f->n_inputs; i++)
        if (tq_graph_input(f->graph, i) == value)
            return add_out(f, tq_value_name(value), &f->inputs[i]);
    const tq_tensor *tensor = tq_value_tensor(value);
    if (!tensor)
        tensor = tq_engine_value(f->engine, name);
    return tensor ? add_out(f, tq_value_name(value), tensor)
                  : tq_fail(TQ_ERR_NOT_FOUND, "value '%s' is not computed", name);
}

static tq_status collect(inference *f)
{
    for (int i = 0; i < tq_graph_n_outputs(f->graph); i++)
        TQ_TRY(add_out(f, tq_value_name(tq_graph_output(f->graph, i)),
                       tq_engine_output(f->engine, i)));
    for (int i = 0; f->tensors && !f->all && f->tensors[i]; i++)
        TQ_TRY(add_named(f, f->tensors[i]));
    for (const tq_node *node = tq_graph_first(f->graph); f->all && node; node = tq_node_next(node))
        for (int i = 0; i < tq_node_n_outputs(node); i++) {
            const tq_value *value = tq_node_output(node, i);
            const tq_tensor *tensor =
                value ? tq_engine_value(f->engine, tq_value_name(value)) : NULL;
            if (tensor)
                TQ_TRY(add_out(f, tq_value_name(value), tensor));
        }
    return TQ_OK;
}

/* ---- the run ---- */

static tq_status check_names(const inference *f)
{
    for (int i = 0; f->tensors && !f->all && f->tensors[i]; i++)
        if (!tq_graph_find_value(f->graph, f->tensors[i]))
            return tq_fail(
                TQ_ERR_NOT_FOUND,
                "the network has no value '%s' ('truq show --edges' shows what there is)",
                f->tensors[i]);
    return TQ_OK;
}

/** Another dtype is written only where inner values are asked for, never unasked. */
static tq_status check_storable(const inference *f)
{
    for (int i = 0; i < tq_graph_n_outputs(f->graph) && !f->tensors; i++) {
        const tq_value *value = tq_graph_output(f->graph, i);
        const tq_dtype dtype = tq_value_type(value)->dtype;
        if (storable(dtype) != dtype)
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "output '%s' is %s, which .npy files do not have; --tensors '%s' writes "
                           "it as %s",
                           tq_value_name(value), tq_dtype_name(dtype), tq_value_name(value),
                           tq_dtype_name(storable(dtype)));
    }
    return TQ_OK;
}

static tq_status infer(inference *f, int n_threads, const char *out)
{
    TQ_TRY(check_names(f));
    TQ_TRY(check_storable(f));
    f->n_inputs = tq_graph_n_inputs(f->graph);
    f->inputs = TQ_NEW_N(f->cli->arena, tq_tensor, f->n_inputs);
    f->types = TQ_NEW_N(f->cli->arena, tq_type, f->n_inputs);
    for (int k = 0; k < f->n_inputs; k++)
        TQ_TRY(take_input(f, k));
    TQ_TRY(bind_shapes(f));
    TQ_TRY(tq_pool_create(n_threads, &f->pool));
    const tq_engine_options options = { .pool = f->pool,
                                        .keep_all = f->tensors != NULL,
                                        .reference_only =
                                            strcmp(tq_cpu_level(), "reference") == 0 };
    TQ_TRY(tq_engine_create(f->graph, f->types, f->n_inputs, &options, &f->engine));
    TQ_TRY(tq_engine_run(f->engine, f->inputs, f->n_inputs, 0));
    TQ_TRY(collect(f));
    TQ_TRY(tq_npz_save(out, f->n_out, f->names, f->out));
    tq_print("wrote %s: %d array%s\n", out, f->n_out, f->n_out == 1 ? "" : "s");
    return TQ_OK;
}

static void finish(inference *f)
{
    tq_engine_destroy(f->engine);
    tq_pool_destroy(f->pool);
    for (int i = 0; i < f->n_out; i++)
        tq_tensor_reset(&f->out[i]);
    for (int i = 0; f->inputs && i < f->n_inputs; i++)
        tq_tensor_reset(&f->inputs[i]);
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *in = NULL, *out = NULL, *tensors = NULL, *dialect = NULL;
    int64_t n_threads = 0;
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "a network of any stage: .onnx, .tflite or text"),
        TQ_OPT_REQUIRED('i', "in", "IN.npz", &in,
                        "arrays named as the inputs, or the k-th for the k-th"),
        TQ_OPT_REQUIRED('o', "out", "OUT.npz", &out, "where to write the outputs"),
        TQ_OPT_STRING(0, "tensors", "A,B|all", &tensors, "inner values to write too"),
        TQ_OPT_THREADS(&n_threads),
        TQ_OPT_DIALECT(&dialect),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    inference f = { .cli = cli };
    if (tensors)
        TQ_TRY(tq_options_split(cli, "tensors", tensors, &f.tensors));
    f.all = tensors && strcmp(tensors, "all") == 0;
    TQ_TRY(tq_cli_check_output(cli, out));
    tq_graph **graph;
    TQ_TRY(tq_cli_load(cli, model, dialect, &graph));
    f.graph = *graph;
    tq_npz npz;
    TQ_TRY(tq_npz_load(in, &npz));
    f.npz = &npz;
    const tq_status status = infer(&f, (int)n_threads, out);
    finish(&f);
    tq_npz_reset(&npz);
    return status;
}

const tq_command tq_command_infer = {
    .entry = { .name = "infer", .brief = "runs a network of any stage on arrays" },
    .details = "Inputs and outputs of a true-quantised network are codes. TRUQ_CPU=reference runs "
               "the\nportable C that defines every result.",
    .examples = { "infer net.onnx --in x.npz --out y.npz",
                  "infer net.onnx --in x.npz --out all.npz --tensors all" },
    .run = run,
};
