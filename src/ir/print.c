/* The text form of a graph: readable, diffable, parsable (docs/text-form.md). */
#include "ir/ir_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct printer {
    FILE *out;
    int64_t max_elements;
} printer;

/* Words that begin a statement must be quoted as names. */
static bool is_bare(const char *name)
{
    static const char *const keywords[] = { "graph", "input", "const", "output", "meta" };
    const char *bare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./";
    for (int i = 0; i < TQ_COUNT(keywords); i++)
        if (strcmp(name, keywords[i]) == 0)
            return false;
    return *name && name[strspn(name, bare)] == '\0';
}

static void print_quoted(const printer *p, const char *text)
{
    fputc('"', p->out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(p->out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(p->out, "\\x%02x", *c);
        else
            fputc(*c, p->out);
    }
    fputc('"', p->out);
}

static void print_name(const printer *p, const char *name)
{
    if (is_bare(name))
        fputs(name, p->out);
    else
        print_quoted(p, name);
}

/* Shortest of the usual forms that reads back to the same float; always looks like a float. */
static void print_float(const printer *p, double v, int digits)
{
    char text[360];
    snprintf(text, sizeof text, "%.*g", digits, v);
    for (int n = 6; n < digits; n++) {
        char shorter[360];
        snprintf(shorter, sizeof shorter, "%.*g", n, v);
        const double back = strtod(shorter, NULL);
        if (digits == 9 ? (float)back == (float)v : back == v) {
            strcpy(text, shorter);
            break;
        }
    }
    fputs(text, p->out);
    if (isfinite(v) && !strpbrk(text, ".e"))
        fputs(".0", p->out);
}

static void print_element(const printer *p, const tq_tensor *tensor, int64_t i)
{
    const tq_dtype dtype = tensor->type.dtype;
    if (tq_dtype_is_float(dtype))
        print_float(p, tq_load_f64(tensor->data, dtype, i), dtype == TQ_F64 ? 17 : 9);
    else if (dtype == TQ_U64)
        fprintf(p->out, "%" PRIu64, ((const uint64_t *)tensor->data)[i]);
    else
        fprintf(p->out, "%" PRId64, tq_load_i64(tensor->data, dtype, i));
}

static void print_type(const printer *p, const tq_type *type)
{
    fputs(tq_dtype_name(type->dtype), p->out);
    if (type->rank < 0) {
        fputs("[...]", p->out);
        return;
    }
    fputc('[', p->out);
    for (int i = 0; i < type->rank; i++) {
        if (i)
            fputc(',', p->out);
        if (type->dims[i] == TQ_DIM_ANY)
            fputc('?', p->out);
        else
            fprintf(p->out, "%" PRId64, type->dims[i]);
    }
    fputc(']', p->out);
}

static void print_data(const printer *p, const tq_tensor *tensor)
{
    const int64_t n = tq_tensor_count(tensor);
    if (p->max_elements >= 0 && n > p->max_elements) {
        const size_t size = (size_t)n * tq_dtype_size(tensor->type.dtype);
        fprintf(p->out, "crc32:%08x", tq_crc32(0, tensor->data, size));
        return;
    }
    fputc('{', p->out);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            fputs(", ", p->out);
        print_element(p, tensor, i);
    }
    fputc('}', p->out);
}

static void print_attr(const printer *p, const tq_attr *attr)
{
    print_name(p, attr->name);
    fputc('=', p->out);
    const bool is_list =
        attr->kind == TQ_ATTR_INTS || attr->kind == TQ_ATTR_FLOATS || attr->kind == TQ_ATTR_STRINGS;
    if (is_list && attr->n == 0 && attr->kind != TQ_ATTR_INTS)
        fputs(attr->kind == TQ_ATTR_FLOATS ? "floats" : "strings", p->out);
    if (is_list)
        fputc('[', p->out);
    for (int i = 0; is_list && i < attr->n; i++) {
        if (i)
            fputc(',', p->out);
        if (attr->kind == TQ_ATTR_INTS)
            fprintf(p->out, "%" PRId64, attr->ints[i]);
        else if (attr->kind == TQ_ATTR_FLOATS)
            print_float(p, attr->floats[i], 9);
        else
            print_quoted(p, attr->strings[i]);
    }
    if (is_list)
        fputc(']', p->out);
    else if (attr->kind == TQ_ATTR_INT)
        fprintf(p->out, "%" PRId64, attr->i);
    else if (attr->kind == TQ_ATTR_FLOAT)
        print_float(p, attr->f, 9);
    else if (attr->kind == TQ_ATTR_STRING)
        print_quoted(p, attr->s ? attr->s : "");
    else if (attr->kind == TQ_ATTR_TENSOR) {
        print_type(p, &attr->tensor.type);
        fputc(' ', p->out);
        print_data(p, &attr->tensor);
    }
}

static void print_node(const printer *p, const tq_node *node)
{
    fputs("  ", p->out);
    for (int i = 0; i < node->n_outputs; i++) {
        fputs(i ? ", " : "", p->out);
        print_name(p, node->outputs[i]->name);
    }
    fprintf(p->out, " = %s(", node->op->entry.name);
    for (int i = 0; i < node->n_inputs; i++) {
        fputs(i ? ", " : "", p->out);
        if (node->inputs[i])
            print_name(p, node->inputs[i]->name);
    }
    fputc(')', p->out);
    if (node->attrs.n) {
        fputs(" [", p->out);
        for (int i = 0; i < node->attrs.n; i++) {
            fputs(i ? ", " : "", p->out);
            print_attr(p, &node->attrs.items[i]);
        }
        fputc(']', p->out);
    }
    if (strcmp(node->name, node->outputs[0]->name) != 0) {
        fputc(' ', p->out);
        print_quoted(p, node->name);
    }
    fputs(";\n", p->out);
}

static void print_metas(const printer *p, const char *what, const char *name, const tq_metas *metas)
{
    for (int i = 0; i < metas->n; i++) {
        fprintf(p->out, "  meta%s ", what);
        if (name) {
            print_name(p, name);
            fputc(' ', p->out);
        }
        print_quoted(p, metas->items[i].key);
        fputs(" = ", p->out);
        print_quoted(p, metas->items[i].text);
        fputs(";\n", p->out);
    }
}

/* In the order in which parsing makes the values. */
static void print_value_metas(const printer *p, const tq_graph *graph)
{
    for (int i = 0; i < graph->inputs.n; i++)
        print_metas(p, " value", graph->inputs.items[i]->name, &graph->inputs.items[i]->metas);
    for (int i = 0; i < graph->values.n; i++)
        if (graph->values.items[i]->is_const)
            print_metas(p, " value", graph->values.items[i]->name, &graph->values.items[i]->metas);
    for (const tq_node *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->n_outputs; i++)
            print_metas(p, " value", node->outputs[i]->name, &node->outputs[i]->metas);
}

static void print_graph(const printer *p, const tq_graph *graph)
{
    fputs("graph ", p->out);
    print_quoted(p, graph->name);
    fputs(" {\n", p->out);
    print_metas(p, "", NULL, &graph->metas);
    for (int i = 0; i < graph->inputs.n; i++) {
        fputs("  input ", p->out);
        print_name(p, graph->inputs.items[i]->name);
        fputs(": ", p->out);
        print_type(p, &graph->inputs.items[i]->type);
        fputs(";\n", p->out);
    }
    for (int i = 0; i < graph->values.n; i++) {
        const tq_value *value = graph->values.items[i];
        if (!value->is_const)
            continue;
        fputs("  const ", p->out);
        print_name(p, value->name);
        fputs(": ", p->out);
        print_type(p, &value->type);
        fputs(" = ", p->out);
        print_data(p, &value->tensor);
        fputs(";\n", p->out);
    }
    for (const tq_node *node = graph->first; node; node = node->next)
        print_node(p, node);
    for (int i = 0; i < graph->outputs.n; i++) {
        fputs("  output ", p->out);
        print_name(p, graph->outputs.items[i]->name);
        fputs(";\n", p->out);
    }
    for (const tq_node *node = graph->first; node; node = node->next)
        print_metas(p, " node", node->name, &node->metas);
    print_value_metas(p, graph);
    fputs("}\n", p->out);
}

char *tq_graph_print(const tq_graph *graph, int64_t max_elements)
{
    char *text = NULL;
    size_t size = 0;
    const printer p = { open_memstream(&text, &size), max_elements };
    if (!p.out)
        return NULL;
    print_graph(&p, graph);
    if (fclose(p.out) == 0)
        return text;
    free(text);
    return NULL;
}
