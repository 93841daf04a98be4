/* truq load: weights by name from a file into a network. */
#include "cli.h"

#include <regex.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* ---- names ---- */

enum { MAX_GROUPS = 10, MAX_NAME = 4096 };

/** RE=TEXT: what the expression matches becomes the text, in which \1 to \9 are its groups. */
typedef struct rewriting {
    regex_t regex;
    const char *text;
} rewriting;

typedef struct rewritings {
    int n;
    rewriting items[TQ_LIST_MAX];
} rewritings;

static tq_status compile(tq_cli *cli, const char *map, rewriting *out)
{
    const char *equals = strrchr(map, '=');
    if (!equals || equals == map)
        return tq_fail(TQ_ERR_USAGE, "--map takes RE=TEXT such as '^module\\.=', not '%s'", map);
    const char *pattern = tq_arena_strndup(cli->arena, map, (size_t)(equals - map));
    const int code = regcomp(&out->regex, pattern, REG_EXTENDED);
    if (code) {
        char why[128];
        regerror(code, &out->regex, why, sizeof why);
        return tq_fail(TQ_ERR_USAGE, "--map '%s': '%s' is no regular expression: %s", map, pattern,
                       why);
    }
    out->text = equals + 1;
    return TQ_OK;
}

static tq_status compile_all(tq_cli *cli, const tq_list *list, rewritings *out)
{
    for (; out->n < list->n; out->n++)
        TQ_TRY(compile(cli, list->items[out->n], &out->items[out->n]));
    return TQ_OK;
}

static void free_all(rewritings *all)
{
    for (int i = 0; i < all->n; i++)
        regfree(&all->items[i].regex);
}

static void append(char *out, size_t *n, const char *text, size_t length)
{
    for (size_t i = 0; i < length && *n + 1 < MAX_NAME; i++)
        out[(*n)++] = text[i];
}

/** The name with the first match replaced. */
static const char *rewrite(tq_cli *cli, const rewriting *r, const char *name)
{
    regmatch_t groups[MAX_GROUPS];
    char out[MAX_NAME];
    size_t n = 0;
    if (regexec(&r->regex, name, MAX_GROUPS, groups, 0) != 0)
        return name;
    append(out, &n, name, (size_t)groups[0].rm_so);
    for (const char *p = r->text; *p; p++) {
        const int group = p[0] == '\\' && p[1] >= '0' && p[1] <= '9' ? p[1] - '0' : -1;
        if (group >= 0 && groups[group].rm_so >= 0)
            append(out, &n, name + groups[group].rm_so,
                   (size_t)(groups[group].rm_eo - groups[group].rm_so));
        else if (group < 0)
            append(out, &n, p, 1);
        p += group >= 0;
    }
    append(out, &n, name + groups[0].rm_eo, strlen(name + groups[0].rm_eo));
    return tq_arena_strndup(cli->arena, out, n);
}

/* ---- what wrappers put before all names ---- */

typedef struct weights {
    int n;
    const char **names;
    tq_tensor *tensors;
} weights;

/** How many names are constants of the network once `n` bytes that equal `prefix` are left off. */
static int count_known(const tq_graph *graph, const weights *w, const char *prefix, size_t n)
{
    int count = 0;
    for (int i = 0; i < w->n; i++) {
        const tq_value *value = strncmp(w->names[i], prefix, n) == 0
                                    ? tq_graph_find_value(graph, w->names[i] + n)
                                    : NULL;
        count += value && tq_value_is_const(value);
    }
    return count;
}

/** "module.", "model._orig_mod.": what DataParallel, Lightning and torch.compile put before each
 *  name. The beginning of the first name (up to MAX_WRAPPERS dots) with which most names are of the
 *  network; none unless that is more than without. */
static const char *find_prefix(tq_cli *cli, const tq_graph *graph, const weights *w)
{
    enum { MAX_WRAPPERS = 4 };
    const char *best = "";
    int most = count_known(graph, w, "", 0);
    for (int i = 0; i < w->n && i < 2; i++) { /* the first may be a counter beside the network */
        const char *dot = strchr(w->names[i], '.');
        for (int depth = 0; dot && depth < MAX_WRAPPERS; depth++, dot = strchr(dot + 1, '.')) {
            const size_t n = (size_t)(dot + 1 - w->names[i]);
            const int known = count_known(graph, w, w->names[i], n);
            if (known <= most)
                continue;
            most = known;
            best = tq_arena_strndup(cli->arena, w->names[i], n);
        }
    }
    return best;
}

/* ---- applying ---- */

static const char **make_names(tq_cli *cli, const tq_graph *graph, const weights *w,
                               const rewritings *maps)
{
    const char **names = TQ_NEW_N(cli->arena, const char *, w->n + 1);
    const char *prefix = maps->n ? "" : find_prefix(cli, graph, w);
    for (int i = 0; i < w->n; i++) {
        const bool has = strncmp(w->names[i], prefix, strlen(prefix)) == 0;
        names[i] = w->names[i] + (has ? strlen(prefix) : 0);
        for (int k = 0; k < maps->n; k++)
            names[i] = rewrite(cli, &maps->items[k], names[i]);
    }
    if (*prefix)
        tq_print("'%s' is left off the names\n", prefix);
    return names;
}

/** Convolutions whose batch norms were folded into them on export need other weights than those of
 * the file that bear their names. */
static tq_status check_folded(const tq_graph *graph, int n, const char *const *names)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "BatchNormalization"))
            return TQ_OK;
    for (int i = 0; i < n; i++)
        if (ends_with(names[i], ".running_mean") && !tq_graph_find_value(graph, names[i]))
            return tq_fail(TQ_ERR_VALUE,
                           "it has batch norms ('%s'), the network has none: they were folded on "
                           "export; scripts/torch_to_onnx.py keeps them",
                           names[i]);
    return TQ_OK;
}

static tq_status apply(tq_cli *cli, tq_graph *graph, const weights *w, const rewritings *maps,
                       bool strict)
{
    const char **names = make_names(cli, graph, w, maps), *rest;
    int n = 0;
    TQ_TRY(check_folded(graph, w->n, names));
    if (strict)
        return tq_weights_apply(graph, w->n, names, w->tensors);
    TQ_TRY(tq_weights_apply_some(graph, w->n, names, w->tensors, cli->arena, &n, &rest));
    tq_print("%d of %d arrays went into the network%s\n", n, w->n,
             !rest && n < w->n ? ", all but counters of batches" : "");
    if (rest)
        tq_print("left: %s\n", rest);
    return TQ_OK;
}

static tq_status apply_arrays(tq_cli *cli, tq_graph *graph, const char *path,
                              const rewritings *maps, bool strict)
{
    tq_npz npz;
    TQ_TRY(ends_with(path, ".npz") ? tq_npz_load(path, &npz) : tq_torch_load(path, &npz));
    const tq_status status =
        apply(cli, graph, &(weights){ npz.n, npz.names, npz.tensors }, maps, strict);
    tq_npz_reset(&npz);
    return tq_wrap(status, "'%s'", path);
}

static tq_status apply_safetensors(tq_cli *cli, tq_graph *graph, const char *path,
                                   const rewritings *maps, bool strict)
{
    weights w = { 0 };
    TQ_TRY(tq_safetensors_load(path, cli->arena, &w.n, &w.names, &w.tensors));
    const tq_status status = apply(cli, graph, &w, maps, strict);
    for (int i = 0; i < w.n; i++)
        tq_tensor_reset(&w.tensors[i]);
    return tq_wrap(status, "'%s'", path);
}

static tq_status check_kind(const char *path)
{
    static const char *const known[] = { ".safetensors", ".npz", ".pth", ".pt", ".ckpt" };
    for (int i = 0; i < TQ_COUNT(known); i++)
        if (ends_with(path, known[i]))
            return TQ_OK;
    return tq_fail(TQ_ERR_USAGE,
                   "--weights takes a .safetensors, .npz, .pth, .pt or .ckpt file, not '%s'", path);
}

static tq_status run(tq_cli *cli)
{
    const char *model = NULL, *path = NULL, *out = NULL;
    bool strict = false;
    tq_list list = { 0 };
    const tq_option options[] = {
        TQ_ARG("MODEL", &model, "network that takes the weights"),
        TQ_OPT_REQUIRED('w', "weights", "FILE", &path,
                        ".safetensors, .npz, or .pth, .ckpt of "
                        "PyTorch"),
        TQ_OPT_LIST('m', "map", "RE=TEXT", &list,
                    "in names of the file, what matches becomes the text (\\1: a group)"),
        TQ_OPT_FLAG(0, "strict", &strict, "all names must fit; else nothing is written"),
        TQ_OPT_OUT(&out, "OUT.onnx", "where to write the network"),
        TQ_OPT_END,
    };
    TQ_TRY(tq_options_parse(cli, options));
    TQ_TRY(check_kind(path));
    TQ_TRY(tq_cli_check_output(cli, out));
    rewritings maps = { 0 };
    tq_graph **graph;
    tq_status status = compile_all(cli, &list, &maps);
    if (!status)
        status = tq_cli_load(cli, model, NULL, &graph);
    if (!status)
        status = ends_with(path, ".safetensors")
                     ? apply_safetensors(cli, *graph, path, &maps, strict)
                     : apply_arrays(cli, *graph, path, &maps, strict);
    free_all(&maps);
    TQ_TRY(status);
    return tq_cli_save(cli, *graph, out);
}

const tq_command tq_command_load = {
    .entry = { .name = "load", .brief = "weights by name from others' files" },
    .details =
        "Checkpoints of PyTorch are read without running anything that is in them: a state_dict, "
        "or "
        "one below\nstate_dict, model_state_dict or model. What wrappers put before all names "
        "(module., model.) is left off unless\n--map says how names change. Missing, extra and "
        "mis-shaped names are listed; what fits is loaded, with\n--strict only if all does. "
        "Weights without their names ('onnx::Conv_123') were folded on export:\n"
        "scripts/torch_to_onnx.py keeps names and batch norms.",
    .examples = { "load net.onnx --weights net.safetensors --strict -o net2.onnx",
                  "load net.onnx --weights net.ckpt --map '^encoder\\.=backbone.' -o net2.onnx" },
    .run = run,
};
