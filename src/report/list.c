/* What the registry holds. Of operators also what they lack: an operator without a gradient stops
 * training, one without an integer rule stops f2t, and this list says so beforehand. */
#include "report/report_internal.h"

#include <string.h>

/** Kernels of an operator, as "onednn, avx2"; NULL: none. */
static const char *kernels_of(const tq_registry *registry, const char *op, tq_arena *arena)
{
    tq_string text = { .arena = arena };
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_KERNEL); i++) {
        const tq_entry *entry = tq_registry_at(registry, TQ_KIND_KERNEL, i);
        if (strcmp(entry->name, op) == 0)
            tq_string_printf(&text, "%s%s", text.n ? ", " : "",
                             entry->brief ? entry->brief : "yes");
    }
    return text.s;
}

/** How it stands in a true-quantised network: by a rule, as an integer operator itself, or not. */
static const char *integer_form(const tq_op *op)
{
    return op->integerise ? "rule" : op->flags & TQ_OP_INTEGER ? "itself" : NULL;
}

/** The last column, who brought it: only where something of the kind came from a plug-in. */
static const char *from_title(const tq_registry *registry, tq_kind kind)
{
    for (int i = 0; i < tq_registry_count(registry, kind); i++)
        if (tq_registry_origin(registry, kind, tq_registry_at(registry, kind, i)->name))
            return "plug-in";
    return NULL;
}

static void add_op(tq_table *table, const tq_registry *registry, const tq_op *op, tq_arena *arena)
{
    const char *kernels = kernels_of(registry, op->entry.name, arena), *integer = integer_form(op);
    tq_table_add(table,
                 (const char *[]){ op->entry.name, op->domain ? op->domain : "onnx",
                                   op->reference ? "yes" : "-", op->gradient ? "yes" : "-",
                                   integer ? integer : "-", op->bounds ? "yes" : "-",
                                   kernels ? kernels : "-", op->entry.brief,
                                   tq_registry_origin(registry, TQ_KIND_OP, op->entry.name) });
}

static const char *ops_text(const tq_registry *registry, tq_arena *arena)
{
    const char *const titles[] = { "name",     "domain",  "reference",
                                   "gradient", "integer", "bounds",
                                   "kernels",  "brief",   from_title(registry, TQ_KIND_OP) };
    tq_table *table =
        tq_table_create(arena, TQ_COUNT(titles) - !titles[TQ_COUNT(titles) - 1], titles);
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_OP); i++)
        add_op(table, registry,
               (const tq_op *)(const void *)tq_registry_at(registry, TQ_KIND_OP, i), arena);
    return tq_table_print(table);
}

static const char *entries_text(const tq_registry *registry, tq_kind kind, tq_arena *arena)
{
    const char *const titles[] = { "name", "brief", "source", from_title(registry, kind) };
    tq_table *table =
        tq_table_create(arena, TQ_COUNT(titles) - !titles[TQ_COUNT(titles) - 1], titles);
    for (int i = 0; i < tq_registry_count(registry, kind); i++) {
        const tq_entry *e = tq_registry_at(registry, kind, i);
        tq_table_add(table, (const char *[]){ e->name, e->brief, e->source,
                                              tq_registry_origin(registry, kind, e->name) });
    }
    return tq_table_print(table);
}

static void add_op_json(tq_json *json, const tq_registry *registry, const tq_op *op,
                        tq_arena *arena)
{
    tq_json_add_text(json, "domain", op->domain ? op->domain : "");
    tq_json_add_bool(json, "reference", op->reference != NULL);
    tq_json_add_bool(json, "gradient", op->gradient != NULL);
    tq_json_add_text(json, "integer", integer_form(op));
    tq_json_add_bool(json, "bounds", op->bounds != NULL);
    tq_json_add_text(json, "kernels", kernels_of(registry, op->entry.name, arena));
}

static const char *list_json(const tq_registry *registry, tq_kind kind, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    tq_json_open_array(json, tq_kind_name(kind, true));
    for (int i = 0; i < tq_registry_count(registry, kind); i++) {
        const tq_entry *e = tq_registry_at(registry, kind, i);
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "name", e->name);
        tq_json_add_text(json, "brief", e->brief);
        tq_json_add_text(json, "source", e->source);
        tq_json_add_text(json, "plugin", tq_registry_origin(registry, kind, e->name));
        if (kind == TQ_KIND_OP)
            add_op_json(json, registry, (const tq_op *)(const void *)e, arena);
        tq_json_close(json);
    }
    return tq_json_print(json);
}

const char *tq_report_list(const tq_registry *registry, tq_kind kind, bool json, tq_arena *arena)
{
    if (json)
        return list_json(registry, kind, arena);
    return kind == TQ_KIND_OP ? ops_text(registry, arena) : entries_text(registry, kind, arena);
}
