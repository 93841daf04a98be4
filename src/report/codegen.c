/* A network as a C program: calls of the public API, in the order in which the graph was made, so
 * that what it builds prints as the original does. Constants come from a .safetensors file by name.
 */
#include <truq/report.h>

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct writer {
    FILE *out;
    const tq_graph *graph;
    int n_data; /* attribute tensors written so far */
} writer;

/* ---- literals ---- */

/** A C string literal; bytes that are no plain ASCII, and '?', as three octal digits. */
static void put_text(const writer *w, const char *text)
{
    fputc('"', w->out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(w->out, "\\%c", *c);
        else if (*c < 0x20 || *c > 0x7e || *c == '?')
            fprintf(w->out, "\\%03o", *c);
        else
            fputc(*c, w->out);
    }
    fputc('"', w->out);
}

static void put_integer(const writer *w, int64_t i)
{
    if (i == INT64_MIN)
        fputs("INT64_MIN", w->out);
    else if (i > INT32_MAX || i < -INT32_MAX)
        fprintf(w->out, "INT64_C(%" PRId64 ")", i);
    else
        fprintf(w->out, "%" PRId64, i);
}

static void put_float(const writer *w, float f)
{
    char text[64];
    if (isnan(f)) {
        fputs("NAN", w->out);
        return;
    }
    if (isinf(f)) {
        fputs(f < 0 ? "-INFINITY" : "INFINITY", w->out);
        return;
    }
    snprintf(text, sizeof text, "%.9g", (double)f);
    fprintf(w->out, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}

static void put_type(const writer *w, const tq_type *type)
{
    fputs("{ TQ_", w->out);
    for (const char *c = tq_dtype_name(type->dtype); *c; c++)
        fputc(toupper((unsigned char)*c), w->out);
    fprintf(w->out, ", %d, { ", type->rank);
    for (int i = 0; i < type->rank; i++) {
        fputs(i ? ", " : "", w->out);
        put_integer(w, type->dims[i]);
    }
    fputs(type->rank > 0 ? " } }" : "0 } }", w->out);
}

/* ---- values ---- */

/** v[i]: values by their place among all. */
static int index_of(const writer *w, const tq_value *value)
{
    for (int i = 0; i < tq_graph_n_values(w->graph); i++)
        if (tq_graph_value(w->graph, i) == value)
            return i;
    return -1;
}

static void put_value(const writer *w, const tq_value *value)
{
    if (value)
        fprintf(w->out, "v[%d]", index_of(w, value));
    else
        fputs("NULL", w->out);
}

/* ---- attributes ---- */

/** The bytes of an attribute's tensor live as long as the program: attributes borrow them. */
static void put_attr_data(writer *w, const tq_attr *attr)
{
    const tq_tensor *tensor = &attr->tensor;
    const size_t size = (size_t)tq_tensor_count(tensor) * tq_dtype_size(tensor->type.dtype);
    fprintf(w->out, "    static const _Alignas(16) uint8_t data%d[] = {", w->n_data++);
    for (size_t i = 0; i < size; i++)
        fprintf(w->out, "%s%d,", i % 20 ? " " : "\n        ", ((const uint8_t *)tensor->data)[i]);
    fprintf(w->out, "%s\n    };\n", size ? "" : " 0");
}

static void put_attr_list(const writer *w, const tq_attr *attr)
{
    static const char *const types[] = { [TQ_ATTR_INTS] = "const int64_t",
                                         [TQ_ATTR_FLOATS] = "const float",
                                         [TQ_ATTR_STRINGS] = "const char *const" };
    static const char *const fields[] = {
        [TQ_ATTR_INTS] = "ints", [TQ_ATTR_FLOATS] = "floats", [TQ_ATTR_STRINGS] = "strings"
    };
    fprintf(w->out, ".n = %d", attr->n);
    if (attr->n == 0)
        return;
    fprintf(w->out, ", .%s = (%s[]){ ", fields[attr->kind], types[attr->kind]);
    for (int i = 0; i < attr->n; i++) {
        fputs(i ? ", " : "", w->out);
        if (attr->kind == TQ_ATTR_INTS)
            put_integer(w, attr->ints[i]);
        else if (attr->kind == TQ_ATTR_FLOATS)
            put_float(w, attr->floats[i]);
        else
            put_text(w, attr->strings[i]);
    }
    fputs(" }", w->out);
}

static void put_attr(const writer *w, const tq_attr *attr, int data)
{
    static const char *const kinds[] = { "NONE", "INT",    "FLOAT",   "STRING",
                                         "INTS", "FLOATS", "STRINGS", "TENSOR" };
    fputs("{ .name = ", w->out);
    put_text(w, attr->name);
    fprintf(w->out, ", .kind = TQ_ATTR_%s, ", kinds[attr->kind]);
    if (attr->kind == TQ_ATTR_INT) {
        fputs(".i = ", w->out);
        put_integer(w, attr->i);
    } else if (attr->kind == TQ_ATTR_FLOAT) {
        fputs(".f = ", w->out);
        put_float(w, attr->f);
    } else if (attr->kind == TQ_ATTR_STRING) {
        fputs(".s = ", w->out);
        put_text(w, attr->s ? attr->s : "");
    } else if (attr->kind == TQ_ATTR_TENSOR) {
        fputs(".tensor = { .type = ", w->out);
        put_type(w, &attr->tensor.type);
        fprintf(w->out, ", .data = (void *)(uintptr_t)data%d }", data);
    } else {
        put_attr_list(w, attr);
    }
    fputs(" }", w->out);
}

static void put_attrs(writer *w, const tq_attrs *attrs)
{
    const int n = tq_attrs_count(attrs);
    int data = w->n_data;
    for (int i = 0; i < n; i++)
        if (tq_attrs_at(attrs, i)->kind == TQ_ATTR_TENSOR)
            put_attr_data(w, tq_attrs_at(attrs, i));
    if (n == 0)
        return;
    fputs("    const tq_attr attrs[] = {\n", w->out);
    for (int i = 0; i < n; i++) {
        const tq_attr *attr = tq_attrs_at(attrs, i);
        fputs("        ", w->out);
        put_attr(w, attr, data);
        data += attr->kind == TQ_ATTR_TENSOR;
        fputs(",\n", w->out);
    }
    fputs("    };\n", w->out);
}

/* ---- nodes: one function each ---- */

static void put_inputs(const writer *w, const tq_node *node)
{
    const int n = tq_node_n_inputs(node);
    if (n == 0)
        return;
    fputs("    tq_value *const inputs[] = { ", w->out);
    for (int i = 0; i < n; i++) {
        fputs(i ? ", " : "", w->out);
        put_value(w, tq_node_input(node, i));
    }
    fputs(" };\n", w->out);
}

static void put_outputs(const writer *w, const tq_node *node)
{
    fputs("    const char *const outputs[] = { ", w->out);
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        fputs(i ? ", " : "", w->out);
        put_text(w, tq_value_name(tq_node_output(node, i)));
    }
    fputs(" };\n", w->out);
}

static void put_spec(const writer *w, const tq_node *node)
{
    const int n_inputs = tq_node_n_inputs(node), n_attrs = tq_attrs_count(tq_node_attrs(node));
    const char *domain = tq_node_op(node)->domain;
    fputs("    const tq_node_spec spec = {\n        .op = ", w->out);
    put_text(w, tq_node_op_name(node));
    fputs(", .domain = ", w->out);
    put_text(w, domain ? domain : "");
    fputs(", .name = ", w->out);
    put_text(w, tq_node_name(node));
    if (n_inputs)
        fprintf(w->out, ",\n        .n_inputs = %d, .inputs = inputs", n_inputs);
    fprintf(w->out, ",\n        .n_outputs = %d, .output_names = outputs", tq_node_n_outputs(node));
    if (n_attrs)
        fprintf(w->out, ",\n        .n_attrs = %d, .attrs = attrs", n_attrs);
    fputs("\n    };\n", w->out);
}

static void put_node(writer *w, const tq_node *node, int k)
{
    const char *key, *text;
    fprintf(w->out,
            "static tq_status add_node_%d(tq_graph *graph, tq_value **v)\n{\n    tq_node *node;\n",
            k);
    put_inputs(w, node);
    put_outputs(w, node);
    put_attrs(w, tq_node_attrs(node));
    put_spec(w, node);
    fputs("    TQ_TRY(tq_graph_add_node(graph, &spec, &node));\n", w->out);
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        fprintf(w->out, "    v[%d] = tq_node_output(node, %d);\n",
                index_of(w, tq_node_output(node, i)), i);
    for (int i = 0; tq_node_meta_at(node, i, &key, &text); i++) {
        fputs("    tq_node_set_meta(node, ", w->out);
        put_text(w, key);
        fputs(", ", w->out);
        put_text(w, text);
        fputs(");\n", w->out);
    }
    fputs("    return TQ_OK;\n}\n\n", w->out);
}

/* ---- the whole ---- */

static const char head[] =
    "/* Builds a network by calls of the public API; its constants come from a file. */\n"
    "#include <truq/truq.h>\n\n#include <math.h>\n#include <string.h>\n\n"
    "typedef struct weights {\n    int n;\n    const char **names;\n    tq_tensor *tensors;\n} "
    "weights;\n\n"
    "static tq_status add_constant(tq_graph *graph, const weights *w, const char *name, "
    "tq_value **out)\n{\n"
    "    for (int i = 0; i < w->n; i++)\n"
    "        if (strcmp(w->names[i], name) == 0)\n"
    "            return tq_graph_add_constant(graph, name, &w->tensors[i], out);\n"
    "    return tq_fail(TQ_ERR_NOT_FOUND, \"the weights have no array '%s'\", name);\n}\n\n";

static void put_ports(const writer *w)
{
    const char *key, *text;
    fputs("    tq_graph_set_name(graph, ", w->out);
    put_text(w, tq_graph_name(w->graph));
    fputs(");\n", w->out);
    for (int i = 0; tq_graph_meta_at(w->graph, i, &key, &text); i++) {
        fputs("    tq_graph_set_meta(graph, ", w->out);
        put_text(w, key);
        fputs(", ", w->out);
        put_text(w, text);
        fputs(");\n", w->out);
    }
    for (int i = 0; i < tq_graph_n_inputs(w->graph); i++) {
        const tq_value *value = tq_graph_input(w->graph, i);
        fputs("    TQ_TRY(tq_graph_add_input(graph, ", w->out);
        put_text(w, tq_value_name(value));
        fputs(", &(tq_type)", w->out);
        put_type(w, tq_value_type(value));
        fprintf(w->out, ", &v[%d]));\n", index_of(w, value));
    }
}

static void put_constants(const writer *w)
{
    bool any = false;
    for (int i = 0; i < tq_graph_n_values(w->graph); i++) {
        if (!tq_value_is_const(tq_graph_value(w->graph, i)))
            continue;
        any = true;
        fputs("    TQ_TRY(add_constant(graph, w, ", w->out);
        put_text(w, tq_value_name(tq_graph_value(w->graph, i)));
        fprintf(w->out, ", &v[%d]));\n", i);
    }
    if (!any)
        fputs("    (void)w, (void)add_constant;\n", w->out);
}

static void put_value_metas(const writer *w)
{
    const char *key, *text;
    for (int i = 0; i < tq_graph_n_values(w->graph); i++)
        for (int k = 0; tq_value_meta_at(tq_graph_value(w->graph, i), k, &key, &text); k++) {
            fprintf(w->out, "    tq_value_set_meta(v[%d], ", i);
            put_text(w, key);
            fputs(", ", w->out);
            put_text(w, text);
            fputs(");\n", w->out);
        }
}

static void put_fill(const writer *w)
{
    const int n = tq_graph_n_values(w->graph);
    fputs("static tq_status fill(tq_graph *graph, const weights *w)\n{\n", w->out);
    fprintf(w->out, "    tq_value *v[%d] = { NULL };\n", n ? n : 1);
    put_ports(w);
    put_constants(w);
    for (int k = 0; k < tq_graph_n_nodes(w->graph); k++)
        fprintf(w->out, "    TQ_TRY(add_node_%d(graph, v));\n", k);
    for (int i = 0; i < tq_graph_n_outputs(w->graph); i++)
        fprintf(w->out, "    tq_graph_add_output(graph, v[%d]);\n",
                index_of(w, tq_graph_output(w->graph, i)));
    put_value_metas(w);
    fputs("    return TQ_OK;\n}\n\n", w->out);
}

static const char tail[] =
    "    tq_arena *arena = tq_arena_create();\n"
    "    weights w = { 0 };\n"
    "    tq_graph *graph = tq_graph_create(registry);\n"
    "    tq_status status = tq_safetensors_load(weights_path, arena, &w.n, &w.names, &w.tensors);\n"
    "    if (!status)\n        status = fill(graph, &w);\n"
    "    for (int i = 0; i < w.n; i++)\n        tq_tensor_reset(&w.tensors[i]);\n"
    "    tq_arena_destroy(arena);\n"
    "    if (status)\n        tq_graph_destroy(graph);\n    else\n        *out_graph = graph;\n"
    "    return status;\n}\n";

static void write_all(writer *w, const char *function)
{
    fputs(head, w->out);
    int k = 0;
    for (const tq_node *node = tq_graph_first(w->graph); node; node = tq_node_next(node))
        put_node(w, node, k++);
    put_fill(w);
    for (int i = 0; i < 2; i++) /* declared, then defined */
        fprintf(w->out,
                "tq_status %s(const tq_registry *registry, const char *weights_path,\n"
                "    tq_graph **out_graph)%s",
                function, i ? "\n{\n" : ";\n");
    fputs(tail, w->out);
}

static bool is_identifier(const char *name)
{
    const size_t n =
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && !name[n] && !isdigit((unsigned char)*name);
}

tq_status tq_report_c(const tq_graph *graph, const char *function, tq_arena *arena,
                      const char **out_text)
{
    if (!is_identifier(function))
        return tq_fail(TQ_ERR_VALUE, "'%s' is no name for a C function", function);
    char *text = NULL;
    size_t size = 0;
    writer w = { .out = open_memstream(&text, &size), .graph = graph };
    if (!w.out)
        return tq_fail(TQ_ERR_MEMORY, "no memory left for the text");
    write_all(&w, function);
    if (fclose(w.out) != 0) {
        free(text);
        return tq_fail(TQ_ERR_MEMORY, "no memory left for the text");
    }
    *out_text = tq_arena_strdup(arena, text);
    free(text);
    return TQ_OK;
}
