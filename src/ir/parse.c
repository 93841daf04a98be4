/* Reads the text form of a graph (docs/text-form.md). Recursive descent over one cursor; every
 * error carries line and column. For tests and rules there are short forms: statements need no
 * braces, `output` may be left out (then values nobody reads are the outputs), constants may be
 * `= 0.5` (all elements) or `= random(SEED)` (uniform in [-1, 1)). */
#include "ir/ir_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <truq/random.h>

typedef struct parser {
    const char *text, *at;
    tq_graph *graph;
    tq_arena *scratch;
} parser;

__attribute__((format(printf, 2, 3))) static tq_status error_at(const parser *p, const char *format,
                                                                ...)
{
    int line = 1, column = 1;
    for (const char *c = p->text; c < p->at; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    va_list args;
    va_start(args, format);
    const char *what = tq_arena_vprintf(p->scratch, format, args);
    va_end(args);
    return tq_fail(TQ_ERR_FORMAT, "line %d, column %d: %s", line, column, what);
}

/* Another room's error, with line and column. */
static tq_status tell(const parser *p, tq_status status)
{
    if (!status)
        return TQ_OK;
    const tq_status told = error_at(p, "%s", tq_status_text(status));
    tq_status_drop(status);
    return told;
}

static void skip_space(parser *p)
{
    for (;;) {
        p->at += strspn(p->at, " \t\r\n;");
        if (*p->at != '#')
            return;
        p->at += strcspn(p->at, "\n");
    }
}

static bool take(parser *p, const char *token)
{
    skip_space(p);
    const size_t n = strlen(token);
    if (strncmp(p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static tq_status expect(parser *p, const char *token)
{
    if (take(p, token))
        return TQ_OK;
    return error_at(p, "expected '%s'", token);
}

static bool is_bare_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '/';
}

/* A keyword, only if a whole word. */
static bool take_word(parser *p, const char *word)
{
    skip_space(p);
    const size_t n = strlen(word);
    if (strncmp(p->at, word, n) != 0 || is_bare_char(p->at[n]) || p->at[n] == '=')
        return false;
    p->at += n;
    return true;
}

static tq_status parse_quoted(parser *p, const char **out)
{
    TQ_TRY(expect(p, "\""));
    char *text = tq_arena_alloc(p->scratch, strcspn(p->at, "\n") + 1);
    size_t n = 0;
    for (; *p->at != '"'; p->at++) {
        if (!*p->at || *p->at == '\n')
            return error_at(p, "a quoted text does not end");
        if (*p->at == '\\') {
            p->at++;
            unsigned code;
            if (*p->at == 'x' && isxdigit((unsigned char)p->at[1]) &&
                isxdigit((unsigned char)p->at[2])) {
                const char hex[3] = { p->at[1], p->at[2], 0 };
                code = (unsigned)strtoul(hex, NULL, 16);
                p->at += 2;
            } else if (*p->at == '"' || *p->at == '\\')
                code = (unsigned char)*p->at;
            else
                return error_at(p, "unknown escape");
            text[n++] = (char)code;
            continue;
        }
        text[n++] = *p->at;
    }
    p->at++;
    *out = text;
    return TQ_OK;
}

static tq_status parse_name(parser *p, const char **out)
{
    skip_space(p);
    if (*p->at == '"')
        return parse_quoted(p, out);
    const char *start = p->at;
    while (is_bare_char(*p->at))
        p->at++;
    if (p->at == start)
        return error_at(p, "expected a name");
    *out = tq_arena_strndup(p->scratch, start, (size_t)(p->at - start));
    return TQ_OK;
}

/* ---- numbers, types, data ---- */

static tq_status parse_number(parser *p, double *out_f, int64_t *out_i, bool *out_is_float)
{
    skip_space(p);
    char *end_f, *end_i;
    errno = 0;
    *out_i = strtoll(p->at, &end_i, 10);
    const bool overflow = errno == ERANGE;
    *out_f = strtod(p->at, &end_f);
    if (end_f == p->at)
        return error_at(p, "expected a number");
    *out_is_float = end_f > end_i || overflow;
    p->at = end_f;
    return TQ_OK;
}

static tq_status parse_int(parser *p, int64_t *out)
{
    double f;
    bool is_float;
    TQ_TRY(parse_number(p, &f, out, &is_float));
    return is_float ? error_at(p, "expected an integer") : TQ_OK;
}

static tq_status parse_type(parser *p, tq_type *out)
{
    skip_space(p);
    const size_t n = strcspn(p->at, "[ \t\r\n;");
    const char *name = tq_arena_strndup(p->scratch, p->at, n);
    const tq_dtype dtype = tq_dtype_parse(name);
    if (dtype == TQ_NONE)
        return error_at(p, "unknown dtype '%s'", name);
    p->at += n;
    *out = (tq_type){ .dtype = dtype, .rank = -1 };
    TQ_TRY(expect(p, "["));
    if (take(p, "...]"))
        return TQ_OK;
    out->rank = 0;
    while (!take(p, "]")) {
        if (out->rank == TQ_MAX_RANK)
            return error_at(p, "more than %d dimensions", TQ_MAX_RANK);
        int64_t *dim = &out->dims[out->rank++];
        if (take(p, "?"))
            *dim = TQ_DIM_ANY;
        else {
            TQ_TRY(parse_int(p, dim));
            if (*dim < 0)
                return error_at(p, "a dimension is negative");
        }
        take(p, ",");
    }
    return TQ_OK;
}

static void store(tq_tensor *tensor, int64_t i, double f, int64_t integer, bool is_float)
{
    if (is_float || tq_dtype_is_float(tensor->type.dtype))
        tq_store_f64(tensor->data, tensor->type.dtype, i, f);
    else
        tq_store_i64(tensor->data, tensor->type.dtype, i, integer);
}

/* The upper half of u64 fits no int64. */
static bool take_large(parser *p, tq_tensor *tensor, int64_t i)
{
    char *end;
    skip_space(p);
    if (tensor->type.dtype != TQ_U64 || !isdigit((unsigned char)*p->at))
        return false;
    errno = 0;
    const uint64_t v = strtoull(p->at, &end, 10);
    if (errno == ERANGE || is_bare_char(*end))
        return false;
    ((uint64_t *)tensor->data)[i] = v;
    p->at = end;
    return true;
}

static tq_status parse_element(parser *p, tq_tensor *tensor, int64_t i)
{
    double f;
    int64_t integer;
    bool is_float;
    if (take_large(p, tensor, i))
        return TQ_OK;
    TQ_TRY(parse_number(p, &f, &integer, &is_float));
    store(tensor, i, f, integer, is_float);
    return TQ_OK;
}

static tq_status parse_list(parser *p, tq_tensor *tensor)
{
    const int64_t n = tq_tensor_count(tensor);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            TQ_TRY(expect(p, ","));
        TQ_TRY(parse_element(p, tensor, i));
    }
    if (!take(p, "}"))
        return error_at(p, "expected '}' after %" PRId64 " elements", n);
    return TQ_OK;
}

static tq_status parse_random(parser *p, tq_tensor *tensor)
{
    int64_t seed;
    TQ_TRY(expect(p, "("));
    TQ_TRY(parse_int(p, &seed));
    TQ_TRY(expect(p, ")"));
    tq_random random;
    tq_random_init(&random, (uint64_t)seed, 0, 0);
    const double reach = tq_dtype_is_float(tensor->type.dtype) ? 1.0 : 100.0;
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++)
        tq_store_f64(tensor->data, tensor->type.dtype, i,
                     (2 * tq_random_uniform(&random) - 1) * reach);
    return TQ_OK;
}

static tq_status parse_data(parser *p, tq_tensor *tensor)
{
    if (take(p, "{"))
        return parse_list(p, tensor);
    if (take_word(p, "random"))
        return parse_random(p, tensor);
    if (take(p, "crc32:")) { /* elided: zeros */
        p->at += strspn(p->at, "0123456789abcdef");
        return TQ_OK;
    }
    double f;
    int64_t integer;
    bool is_float;
    TQ_TRY(parse_number(p, &f, &integer, &is_float));
    for (int64_t i = 0; i < tq_tensor_count(tensor); i++)
        store(tensor, i, f, integer, is_float);
    return TQ_OK;
}

static tq_status parse_tensor(parser *p, const tq_type *type, tq_tensor *out)
{
    if (!tq_type_is_known(type))
        return error_at(p, "a constant's shape must be known");
    TQ_TRY(tell(p, tq_tensor_init(out, type)));
    const tq_status status = parse_data(p, out);
    if (status)
        tq_tensor_reset(out);
    return status;
}

/* ---- attributes ---- */

static tq_status parse_attr_list(parser *p, tq_attr *attr)
{
    size_t n_ints = 0, n_floats = 0, n_strings = 0;
    int64_t *ints = NULL;
    float *floats = NULL;
    const char **strings = NULL;
    bool any_float = attr->kind == TQ_ATTR_FLOATS;
    int n = 0;
    while (!take(p, "]")) {
        const bool is_text = *p->at == '"';
        if ((n || attr->kind) && is_text != (attr->kind == TQ_ATTR_STRINGS))
            return error_at(p, "a list holds texts or numbers, not both");
        if (is_text) {
            const char *text;
            TQ_TRY(parse_quoted(p, &text));
            int k = n;
            TQ_PUSH(p->scratch, strings, k, n_strings, text);
            attr->kind = TQ_ATTR_STRINGS;
            n++;
        } else {
            double f;
            int64_t i;
            bool is_float;
            TQ_TRY(parse_number(p, &f, &i, &is_float));
            any_float = any_float || is_float;
            int k = n, m = n;
            TQ_PUSH(p->scratch, ints, k, n_ints, i);
            TQ_PUSH(p->scratch, floats, m, n_floats, (float)f);
            n++;
        }
        take(p, ",");
    }
    if (attr->kind != TQ_ATTR_STRINGS)
        attr->kind = any_float ? TQ_ATTR_FLOATS : TQ_ATTR_INTS;
    attr->n = n;
    attr->ints = ints;
    attr->floats = floats;
    attr->strings = strings;
    return TQ_OK;
}

static bool starts_type(const parser *p)
{
    const size_t n = strcspn(p->at, "[,] \t\r\n;");
    char name[8] = { 0 };
    if (n == 0 || n >= sizeof name || p->at[n] != '[')
        return false;
    memcpy(name, p->at, n);
    return tq_dtype_parse(name) != TQ_NONE;
}

static tq_status parse_attr(parser *p, tq_attr *attr)
{
    TQ_TRY(parse_name(p, &attr->name));
    TQ_TRY(expect(p, "="));
    skip_space(p);
    if (take(p, "floats["))
        attr->kind = TQ_ATTR_FLOATS;
    else if (take(p, "strings["))
        attr->kind = TQ_ATTR_STRINGS;
    if (attr->kind || take(p, "["))
        return parse_attr_list(p, attr);
    if (*p->at == '"') {
        attr->kind = TQ_ATTR_STRING;
        return parse_quoted(p, &attr->s);
    }
    if (starts_type(p)) {
        tq_type type;
        attr->kind = TQ_ATTR_TENSOR;
        TQ_TRY(parse_type(p, &type));
        return parse_tensor(p, &type, &attr->tensor);
    }
    double f;
    bool is_float;
    TQ_TRY(parse_number(p, &f, &attr->i, &is_float));
    attr->kind = is_float ? TQ_ATTR_FLOAT : TQ_ATTR_INT;
    attr->f = (float)f;
    return TQ_OK;
}

/* An integer written for a float attribute is meant as a float. */
static void adapt_attr(const parser *p, const char *op_name, tq_attr *attr)
{
    const tq_op *op =
        (const tq_op *)(const void *)tq_registry_get(p->graph->registry, TQ_KIND_OP, op_name);
    for (int i = 0; op && attr->name && i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (strcmp(op->attrs[i].name, attr->name) == 0) {
            if (attr->kind == TQ_ATTR_INT && op->attrs[i].kind == TQ_ATTR_FLOAT)
                attr->kind = TQ_ATTR_FLOAT;
            if (attr->kind == TQ_ATTR_INTS && op->attrs[i].kind == TQ_ATTR_FLOATS)
                attr->kind = TQ_ATTR_FLOATS;
        }
}

/* ---- statements ---- */

static tq_status parse_value(parser *p, tq_value **out)
{
    const char *name;
    TQ_TRY(parse_name(p, &name));
    *out = tq_names_find(&p->graph->value_names, name);
    return *out ? TQ_OK : error_at(p, "no value is named '%s' here", name);
}

static tq_status parse_inputs(parser *p, tq_node_spec *spec)
{
    tq_value **inputs = NULL;
    size_t capacity = 0;
    TQ_TRY(expect(p, "("));
    for (bool more = !take(p, ")"); more;) {
        tq_value *value = NULL;
        skip_space(p);
        if (*p->at != ',' && *p->at != ')')
            TQ_TRY(parse_value(p, &value));
        TQ_PUSH(p->scratch, inputs, spec->n_inputs, capacity, value);
        more = take(p, ",");
        if (!more)
            TQ_TRY(expect(p, ")"));
    }
    spec->inputs = inputs;
    return TQ_OK;
}

static tq_status parse_attrs(parser *p, tq_node_spec *spec, tq_attr **out_attrs)
{
    size_t capacity = 0;
    while (!take(p, "]")) {
        tq_attr attr = { 0 };
        const tq_status status = parse_attr(p, &attr);
        adapt_attr(p, spec->op, &attr);
        TQ_PUSH(p->scratch, *out_attrs, spec->n_attrs, capacity, attr);
        TQ_TRY(status);
        take(p, ",");
    }
    return TQ_OK;
}

/* A name of the node's own stands on the same line; behind `;` or a new line the next statement
 * begins. */
static tq_status parse_own_name(parser *p, const char **name)
{
    const size_t n_blanks = strspn(p->at, " \t");
    if (p->at[n_blanks] != '"')
        return TQ_OK;
    TQ_TRY(parse_quoted(p, name));
    if (tq_names_find(&p->graph->node_names, *name))
        return error_at(p, "a node is named '%s' already", *name);
    return TQ_OK;
}

static tq_status parse_call(parser *p, tq_node_spec *spec, tq_attr **out_attrs)
{
    TQ_TRY(parse_name(p, &spec->op));
    TQ_TRY(parse_inputs(p, spec));
    const char *behind = p->at;
    if (take(p, "["))
        TQ_TRY(parse_attrs(p, spec, out_attrs));
    else
        p->at = behind;
    spec->attrs = *out_attrs;
    spec->name = spec->output_names[0];
    TQ_TRY(parse_own_name(p, &spec->name));
    return tell(p, tq_graph_add_node(p->graph, spec, NULL));
}

static tq_status check_free(const parser *p, const char *name)
{
    if (tq_names_find(&p->graph->value_names, name))
        return error_at(p, "a value is named '%s' already", name);
    return TQ_OK;
}

static tq_status parse_node(parser *p)
{
    const char **names = NULL;
    size_t capacity = 0;
    tq_node_spec spec = { 0 };
    do {
        const char *name;
        TQ_TRY(parse_name(p, &name));
        TQ_TRY(check_free(p, name));
        for (int i = 0; i < spec.n_outputs; i++)
            if (strcmp(names[i], name) == 0)
                return error_at(p, "two outputs are named '%s'", name);
        TQ_PUSH(p->scratch, names, spec.n_outputs, capacity, name);
    } while (take(p, ","));
    TQ_TRY(expect(p, "="));
    spec.output_names = names;
    tq_attr *attrs = NULL;
    const tq_status status = parse_call(p, &spec, &attrs);
    for (int i = 0; i < spec.n_attrs; i++)
        tq_tensor_reset(&attrs[i].tensor);
    return status;
}

static tq_status parse_declaration(parser *p, bool is_const)
{
    const char *name;
    tq_type type;
    TQ_TRY(parse_name(p, &name));
    TQ_TRY(check_free(p, name));
    TQ_TRY(expect(p, ":"));
    TQ_TRY(parse_type(p, &type));
    if (!is_const)
        return tq_graph_add_input(p->graph, name, &type, NULL);
    TQ_TRY(expect(p, "="));
    tq_tensor tensor = { 0 };
    TQ_TRY(parse_tensor(p, &type, &tensor));
    tq_value *value;
    const tq_status status = tq_graph_add_constant(p->graph, name, &tensor, &value);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status parse_meta(parser *p)
{
    tq_node *node = NULL;
    tq_value *value = NULL;
    if (take_word(p, "node")) {
        const char *name;
        TQ_TRY(parse_name(p, &name));
        node = tq_graph_find_node(p->graph, name);
        if (!node)
            return error_at(p, "no node is named '%s'", name);
    } else if (take_word(p, "value"))
        TQ_TRY(parse_value(p, &value));
    const char *key, *text;
    TQ_TRY(parse_quoted(p, &key));
    TQ_TRY(expect(p, "="));
    TQ_TRY(parse_quoted(p, &text));
    if (node)
        tq_node_set_meta(node, key, text);
    else if (value)
        tq_value_set_meta(value, key, text);
    else
        tq_graph_set_meta(p->graph, key, text);
    return TQ_OK;
}

static tq_status parse_statement(parser *p)
{
    if (take_word(p, "input"))
        return parse_declaration(p, false);
    if (take_word(p, "const"))
        return parse_declaration(p, true);
    if (take_word(p, "meta"))
        return parse_meta(p);
    if (take_word(p, "output")) {
        tq_value *value;
        TQ_TRY(parse_value(p, &value));
        tq_graph_add_output(p->graph, value);
        return TQ_OK;
    }
    return parse_node(p);
}

static void add_unread_outputs(tq_graph *graph)
{
    for (int i = 0; i < graph->values.n; i++) {
        tq_value *value = graph->values.items[i];
        if (value->producer && value->n_consumers == 0)
            tq_graph_add_output(graph, value);
    }
}

static tq_status parse_graph(parser *p)
{
    const bool braces = take_word(p, "graph");
    if (braces) {
        const char *name;
        TQ_TRY(parse_quoted(p, &name));
        tq_graph_set_name(p->graph, name);
        TQ_TRY(expect(p, "{"));
    }
    for (skip_space(p); *p->at && *p->at != '}'; skip_space(p))
        TQ_TRY(parse_statement(p));
    if (braces)
        TQ_TRY(expect(p, "}"));
    skip_space(p);
    if (*p->at)
        return error_at(p, "text after the graph");
    if (p->graph->outputs.n == 0)
        add_unread_outputs(p->graph);
    return TQ_OK;
}

tq_status tq_graph_parse(const tq_registry *registry, const char *text, tq_graph **out_graph)
{
    parser p = {
        .text = text, .at = text, .graph = tq_graph_create(registry), .scratch = tq_scratch_create()
    };
    const tq_status status = parse_graph(&p);
    tq_arena_destroy(p.scratch);
    if (status) {
        tq_graph_destroy(p.graph);
        return status;
    }
    *out_graph = p.graph;
    return TQ_OK;
}
