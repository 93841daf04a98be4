/* YAML files into trees, by the events of libyaml. Only plain data: anchors, aliases and tags are
 * refused, and depth, nodes and bytes are bounded, so a small file cannot become a large tree. */
#include "recipe/recipe_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_BYTES = 1 << 20, MAX_DEPTH = 16, MAX_NODES = 10000 };

typedef struct reader {
    yaml_parser_t parser;
    tq_arena *arena;
    const char *file, *bytes;
    int n_nodes;
    int n_open; /* events of libyaml that are still alive */
    yaml_event_t open[MAX_DEPTH + 2];
} reader;

bool tq_yaml_is_file(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static tq_status fail_at(const reader *r, const yaml_mark_t *mark, const char *what)
{
    return tq_fail(TQ_ERR_FORMAT, "%s:%zu:%zu: %s", r->file, mark->line + 1, mark->column + 1,
                   what);
}

/** The next event, alive until close_event. */
static tq_status next_event(reader *r, const yaml_event_t **out_event)
{
    yaml_event_t *event = &r->open[r->n_open];
    if (!yaml_parser_parse(&r->parser, event))
        return fail_at(r, &r->parser.problem_mark,
                       r->parser.problem ? r->parser.problem : "not a YAML file");
    r->n_open++;
    *out_event = event;
    return TQ_OK;
}

static void close_event(reader *r)
{
    yaml_event_delete(&r->open[--r->n_open]);
}

/** What is refused in any node. */
static const char *refusal(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "aliases are not allowed";
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (event->data.scalar.length != strlen((const char *)event->data.scalar.value))
            return "text holds a zero byte";
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        return "expected a value";
    }
    return anchor ? "anchors are not allowed" : tag ? "tags are not allowed" : NULL;
}

static tq_status read_node(reader *r, const yaml_event_t *event, int depth, const tq_yaml **out);

static tq_status check_key(const reader *r, const tq_yaml *map, const tq_yaml *key)
{
    const yaml_mark_t mark = { .line = key->line - 1, .column = key->column - 1 };
    if (key->kind != TQ_YAML_SCALAR)
        return fail_at(r, &mark, "a key must be a plain word");
    if (map->n > 100)
        return fail_at(r, &mark, "more than 100 keys");
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key->text) == 0)
            return tq_fail(TQ_ERR_FORMAT, "%s:%zu:%zu: key '%s' is there twice", r->file, key->line,
                           key->column, tq_yaml_shown(key).s);
    return TQ_OK;
}

/** Reads the children of a list or map up to its end event. */
static tq_status read_children(reader *r, int depth, tq_yaml *node)
{
    size_t capacity = 0, key_capacity = 0;
    const tq_yaml *key = NULL;
    for (;;) {
        const yaml_event_t *event = NULL;
        TQ_TRY(next_event(r, &event));
        const bool end =
            event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
        const tq_yaml *child = NULL;
        if (!end)
            TQ_TRY(read_node(r, event, depth + 1, &child));
        close_event(r);
        if (end)
            return TQ_OK;
        if (node->kind == TQ_YAML_MAP && !key) {
            TQ_TRY(check_key(r, node, child));
            key = child;
            continue;
        }
        if (key) {
            int n = node->n;
            TQ_PUSH(r->arena, node->keys, n, key_capacity, key);
        }
        TQ_PUSH(r->arena, node->items, node->n, capacity, child);
        key = NULL;
    }
}

/** Past n lines, or at the end. */
static const char *skip_lines(const char *at, size_t n)
{
    for (; n > 0 && *at; n--) {
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return at;
}

/** The lines of a block '|', so placed that their numbers, and columns, are those of the file. */
static const char *placed_lines(const reader *r, const yaml_event_t *event)
{
    const size_t first = event->start_mark.line + 1;
    size_t n_lines = 1;
    for (size_t i = 0; i < event->data.scalar.length; i++)
        n_lines += event->data.scalar.value[i] == '\n';
    const char *from = skip_lines(r->bytes, first), *to = skip_lines(from, n_lines - 1);
    if (event->data.scalar.length &&
        event->data.scalar.value[event->data.scalar.length - 1] != '\n')
        to = skip_lines(to, 1);
    char *text = tq_arena_alloc(r->arena, first + (size_t)(to - from) + 1);
    memset(text, '\n', first);
    memcpy(text + first, from, (size_t)(to - from));
    return text;
}

static tq_status read_node(reader *r, const yaml_event_t *event, int depth, const tq_yaml **out)
{
    const char *why = refusal(event);
    if (depth >= MAX_DEPTH)
        why = "nested too deep (16 levels at most)";
    if (++r->n_nodes > MAX_NODES)
        why = "too many values (10000 at most)";
    if (why)
        return fail_at(r, &event->start_mark, why);
    tq_yaml *node = TQ_NEW(r->arena, tq_yaml);
    *out = node;
    node->file = r->file;
    node->line = event->start_mark.line + 1;
    node->column = event->start_mark.column + 1;
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = TQ_YAML_SCALAR;
        node->text = tq_arena_strdup(r->arena, (const char *)event->data.scalar.value);
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        if (event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE)
            node->placed = placed_lines(r, event);
        return TQ_OK;
    }
    node->kind = event->type == YAML_SEQUENCE_START_EVENT ? TQ_YAML_LIST : TQ_YAML_MAP;
    return read_children(r, depth, node);
}

/** Reads and drops one event that must be of this type. */
static tq_status expect(reader *r, yaml_event_type_t type, const char *otherwise)
{
    const yaml_event_t *event = NULL;
    TQ_TRY(next_event(r, &event));
    const bool right = event->type == type;
    const yaml_mark_t mark = event->start_mark;
    close_event(r);
    return right ? TQ_OK : fail_at(r, &mark, otherwise);
}

static tq_status read_document(reader *r, const tq_yaml **out_root)
{
    TQ_TRY(expect(r, YAML_STREAM_START_EVENT, "not a YAML file"));
    TQ_TRY(expect(r, YAML_DOCUMENT_START_EVENT, "the file is empty"));
    const yaml_event_t *event = NULL;
    TQ_TRY(next_event(r, &event));
    TQ_TRY(read_node(r, event, 0, out_root));
    close_event(r);
    TQ_TRY(expect(r, YAML_DOCUMENT_END_EVENT, "expected the end of the document"));
    return expect(r, YAML_STREAM_END_EVENT, "expected one document, found another");
}

static tq_status read_bytes(const char *path, tq_arena *arena, unsigned char **out,
                            size_t *out_size)
{
    *out = tq_arena_alloc(arena, MAX_BYTES + 1);
    FILE *file = fopen(path, "rb");
    if (!file)
        return tq_fail(TQ_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    *out_size = fread(*out, 1, MAX_BYTES + 1, file);
    const int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed)
        return tq_fail(TQ_ERR_IO, "cannot read '%s': %s", path, strerror(failed));
    if (*out_size > MAX_BYTES)
        return tq_fail(TQ_ERR_FORMAT, "'%s' is larger than 1 MiB", path);
    return TQ_OK;
}

/** What the guard below runs. */
typedef struct load {
    reader *reader;
    const tq_yaml **out_root;
} load;

static tq_status read_guarded(void *context)
{
    const load *l = context;
    return read_document(l->reader, l->out_root);
}

tq_status tq_yaml_load(const char *path, tq_arena *arena, const tq_yaml **out_root)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    TQ_TRY(read_bytes(path, arena, &bytes, &size));
    reader r = { .arena = arena, .file = tq_arena_strdup(arena, path), .bytes = (char *)bytes };
    if (!yaml_parser_initialize(&r.parser))
        return tq_fail(TQ_ERR_MEMORY, "no memory left to read '%s'", path);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, bytes, size);
    const tq_status status = tq_guard(read_guarded, &(load){ &r, out_root });
    while (r.n_open > 0)
        close_event(&r);
    yaml_parser_delete(&r.parser);
    return status;
}
