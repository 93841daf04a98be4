/* Networks from descriptions: layers in order, each reading the one before unless it says `from`.
 * Names resolve in the scope of a repetition, then in those around it. */
#include "describe_internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { MAX_LAYERS = 10000 };

/* ---- errors and parameters ---- */

tq_status tq_describe_at(const tq_describer *d, size_t line, size_t column, tq_status status)
{
    return tq_wrap(status, "%s:%zu:%zu", d->description->file, line, column);
}

const tq_zoo_param *tq_describe_param(const tq_describer *d, const char *name)
{
    for (int i = 0; i < d->layer->n_params; i++)
        if (strcmp(d->layer->params[i].name, name) == 0)
            return &d->layer->params[i];
    return NULL;
}

/* Item i as a whole number; "classes" is what the options or the file say. */
tq_status tq_describe_int(const tq_describer *d, const tq_zoo_param *p, int i, int64_t min,
                          int64_t max, int64_t *out)
{
    double v = p->numbers[i];
    if (strcmp(p->texts[i], "classes") == 0)
        v = (double)d->b.options->classes;
    if (!(v == floor(v)) || v < (double)min || v > (double)max)
        return TQ_DESCRIBE_FAIL(d, p, "'%s' is '%.40s'; expected a whole number from %lld to %lld",
                                p->name, p->texts[i], (long long)min, (long long)max);
    *out = (int64_t)v;
    return TQ_OK;
}

tq_status tq_describe_emit(const tq_describer *d, const char *op, tq_value *const *inputs,
                           int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out)
{
    tq_node *node;
    const tq_status status = tq_graph_add_node(d->b.graph,
                                               &(tq_node_spec){ .op = op,
                                                                .name = d->name,
                                                                .n_inputs = n_inputs,
                                                                .inputs = inputs,
                                                                .n_attrs = n_attrs,
                                                                .attrs = attrs },
                                               &node);
    if (status)
        return tq_describe_at(d, d->layer->line, d->layer->column,
                              tq_wrap(status, "layer '%s' (%s)", d->name, op));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

/* ---- references ---- */

static tq_value *find_made(const tq_describer *d, const char *name)
{
    for (int i = d->n_made - 1; i >= 0; i--)
        if (strcmp(d->made[i].name, name) == 0)
            return d->made[i].value;
    return NULL;
}

/* "previous", "begin" (what the repetition read), a layer of this scope or of one around it, an
 * input. */
static tq_status resolve(const tq_describer *d, const tq_zoo_param *p, const char *name,
                         tq_value *begin, tq_value **out)
{
    *out = strcmp(name, "previous") == 0 ? d->previous : strcmp(name, "begin") == 0 ? begin : NULL;
    for (size_t n = strlen(d->scope); !*out; n--) {
        if (n == 0 || d->scope[n - 1] == '.')
            *out = find_made(d, tq_arena_printf(d->arena, "%.*s%s", (int)n, d->scope, name));
        if (n == 0)
            break;
    }
    return *out
               ? TQ_OK
               : TQ_DESCRIBE_FAIL(d, p, "no layer or input before this one is named '%.60s'", name);
}

static tq_status read_from(const tq_describer *d, tq_value *begin, tq_value **inputs, int *out_n)
{
    const tq_zoo_param *p = tq_describe_param(d, "from");
    *out_n = 1;
    inputs[0] = d->previous;
    if (!p)
        return TQ_OK;
    if (p->n < 1 || p->n > TQ_DESCRIBE_MAX_INPUTS)
        return TQ_DESCRIBE_FAIL(d, p, "'from' takes 1 to %d names", TQ_DESCRIBE_MAX_INPUTS);
    for (int i = 0; i < p->n; i++)
        TQ_TRY(resolve(d, p, p->texts[i], begin, &inputs[i]));
    *out_n = p->n;
    return TQ_OK;
}

/* ---- layers ---- */

/* "relu", "relu_2", ...: the operator and which of its kind it is in this list. */
static const char *default_name(const tq_describer *d, const tq_zoo_layer *layers)
{
    int n = 1;
    for (const tq_zoo_layer *before = layers; before != d->layer; before++)
        n += before->op && strcmp(before->op, d->layer->op) == 0;
    char *name = n == 1 ? tq_arena_strdup(d->arena, d->layer->op)
                        : tq_arena_printf(d->arena, "%s_%d", d->layer->op, n);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

static tq_status name_layer(tq_describer *d, const tq_zoo_layer *layers)
{
    const tq_zoo_param *p = tq_describe_param(d, "name");
    if (p && (p->n != 1 || !*p->texts[0]))
        return TQ_DESCRIBE_FAIL(d, p, "'name' takes one name");
    const char *name = p ? p->texts[0] : default_name(d, layers);
    d->name = tq_arena_printf(d->arena, "%s%s", d->scope, name);
    if (find_made(d, d->name))
        return tq_describe_at(
            d, d->layer->line, d->layer->column,
            tq_fail(TQ_ERR_VALUE, "a layer before this one is named '%s'", d->name));
    return TQ_OK;
}

static void keep(tq_describer *d, const char *name, tq_value *value)
{
    const tq_made item = { name, value };
    TQ_PUSH(d->arena, d->made, d->n_made, d->capacity, item);
    d->previous = value;
}

/* The layer, one of `layers`. */
static tq_status build_operator(tq_describer *d, const tq_zoo_layer *layers, tq_value *begin)
{
    tq_value *inputs[TQ_DESCRIBE_MAX_INPUTS], *y;
    int n;
    bool known = false;
    TQ_TRY(name_layer(d, layers));
    TQ_TRY(read_from(d, begin, inputs, &n));
    y = inputs[0];
    if (n == 1)
        TQ_TRY(tq_describe_layer(d, &y, &known));
    if (!known)
        TQ_TRY(tq_describe_any(d, inputs, n, &y));
    keep(d, d->name, y);
    return TQ_OK;
}

static tq_status build_layers(tq_describer *d, const tq_zoo_layer *layers, int n);

/* The layers again and again, in scopes "NAME.0.", "NAME.1."; one that does not repeat is "NAME.".
 */
static tq_status build_repeat(tq_describer *d, const tq_zoo_layer *layer)
{
    const char *scope = d->scope;
    const char *name =
        layer->name ? layer->name : tq_arena_printf(d->arena, "block_%d", d->n_layers);
    for (int64_t i = 0; i < layer->repeat; i++) {
        d->scope = layer->repeat == 1
                       ? tq_arena_printf(d->arena, "%s%s.", scope, name)
                       : tq_arena_printf(d->arena, "%s%s.%lld.", scope, name, (long long)i);
        TQ_TRY(build_layers(d, layer->layers, layer->n_layers));
    }
    d->scope = scope;
    return TQ_OK;
}

static tq_status build_layers(tq_describer *d, const tq_zoo_layer *layers, int n)
{
    tq_value *begin = d->previous;
    for (int i = 0; i < n; i++) {
        d->layer = &layers[i];
        if (++d->n_layers > MAX_LAYERS)
            return TQ_DESCRIBE_FAIL(d, d->layer, "the network has more than %d layers", MAX_LAYERS);
        TQ_TRY(layers[i].op ? build_operator(d, layers, begin) : build_repeat(d, &layers[i]));
    }
    return TQ_OK;
}

/* ---- the whole ---- */

static tq_status add_inputs(tq_describer *d)
{
    for (int i = 0; i < d->description->n_inputs; i++) {
        const tq_zoo_param *p = &d->description->inputs[i];
        tq_type type = { .dtype = TQ_F32, .rank = 1 + p->n, .dims = { TQ_DIM_ANY } };
        tq_value *value;
        if (p->n < 1 || p->n >= TQ_MAX_RANK)
            return TQ_DESCRIBE_FAIL(d, p, "input '%s' has %d sizes; expected 1 to %d", p->name,
                                    p->n, TQ_MAX_RANK - 1);
        for (int k = 0; k < p->n; k++)
            TQ_TRY(tq_describe_int(d, p, k, 1, 1 << 16, &type.dims[1 + k]));
        for (int k = 0; k < p->n && k < 3 && i == 0; k++)
            if (d->b.options->input[k])
                type.dims[1 + k] = d->b.options->input[k];
        TQ_TRY(tq_describe_at(d, p->line, p->column,
                              tq_graph_add_input(d->b.graph, p->name, &type, &value)));
        tq_value_set_meta(value, "dim.0", "N");
        keep(d, p->name, value);
    }
    if (d->n_made == 0)
        return tq_fail(TQ_ERR_VALUE, "%s: the network has no input", d->description->file);
    d->previous = d->made[0].value;
    return TQ_OK;
}

static tq_status add_outputs(tq_describer *d)
{
    const tq_zoo_param *p = NULL;
    for (int i = 0; i < d->description->n_params; i++)
        if (strcmp(d->description->params[i].name, "outputs") == 0)
            p = &d->description->params[i];
    for (int i = 0; i < (p ? p->n : 1); i++) {
        tq_value *y = d->previous;
        if (p)
            TQ_TRY(resolve(d, p, p->texts[i], d->previous, &y));
        if (tq_value_is_input(y))
            return tq_describe_at(d, p ? p->line : 1, p ? p->column : 1,
                                  tq_fail(TQ_ERR_VALUE, "an input is no output"));
        tq_graph_add_output(d->b.graph, y);
    }
    return TQ_OK;
}

static tq_status set_classes(tq_describer *d, tq_zoo_options *options)
{
    for (int i = 0; i < d->description->n_params && !options->classes; i++) {
        const tq_zoo_param *p = &d->description->params[i];
        if (strcmp(p->name, "classes") == 0)
            TQ_TRY(tq_describe_int(d, p, 0, 1, 1 << 20, &options->classes));
    }
    return TQ_OK;
}

typedef struct request {
    const tq_zoo_description *description;
    tq_zoo_options options;
    tq_graph *graph;
    tq_arena *arena;
} request;

static tq_status build(void *context)
{
    request *r = context;
    tq_describer d = { .description = r->description, .arena = r->arena, .scope = "" };
    d.b = (tq_builder){ .graph = r->graph,
                        .options = &r->options,
                        .epsilon = 1e-5,
                        .capacity = r->options.capacity > 0 ? r->options.capacity : 1.0 };
    TQ_TRY(set_classes(&d, &r->options));
    TQ_TRY(add_inputs(&d));
    TQ_TRY(build_layers(&d, r->description->layers, r->description->n_layers));
    return add_outputs(&d);
}

tq_status tq_zoo_build_description(const tq_registry *registry,
                                   const tq_zoo_description *description,
                                   const tq_zoo_options *options, tq_graph **out_graph)
{
    request r = { .description = description, .options = *options };
    r.graph = tq_graph_create(registry);
    r.arena = tq_arena_create();
    tq_graph_set_name(r.graph, description->name);
    tq_status status = tq_guard(build, &r);
    if (!status)
        tq_graph_sweep(r.graph);
    tq_arena_destroy(r.arena);
    if (status) {
        tq_graph_destroy(r.graph);
        return tq_wrap(status, "cannot build '%s'", description->name);
    }
    *out_graph = r.graph;
    return TQ_OK;
}
