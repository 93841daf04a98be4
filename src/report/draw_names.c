/* Graphviz orders subgraphs by an identifier that it makes of the address of their name: pictures
 * would differ from run to run. Here a name's identifier is its number in the order of first use
 * (even), and what has no name gets odd ones. */
#include "report/draw_internal.h"

#include <string.h>

typedef __typeof__(AgIdDisc.map(NULL, 0, NULL, NULL, 0)) map_result;
typedef __typeof__(AgIdDisc.alloc(NULL, 0, 0)) alloc_result;

static size_t slot_of(const tq_drawing_names *names, const char *text)
{
    size_t at = tq_crc32(0, text, strlen(text)) & names->mask;
    while (names->slots[at] && strcmp(names->names[names->slots[at] - 1], text) != 0)
        at = (at + 1) & names->mask;
    return at;
}

static void grow(tq_drawing_names *names)
{
    const size_t size = names->slots ? 2 * (names->mask + 1) : 256;
    names->slots = TQ_NEW_N(names->arena, int, size);
    names->mask = size - 1;
    for (int i = 0; i < names->n; i++)
        names->slots[slot_of(names, names->names[i])] = i + 1;
}

static void *open_names(Agraph_t *graph, Agdisc_t *disc)
{
    (void)graph;
    return disc; /* the first member of tq_drawing_names */
}

static map_result map_name(void *state, int kind, char *text, IDTYPE *id, int create)
{
    tq_drawing_names *names = state;
    (void)kind;
    if (!text) {
        *id = 2 * (IDTYPE)names->n_anonymous++ + 1;
        return 1;
    }
    if (!names->slots || 2 * (size_t)names->n >= names->mask)
        grow(names);
    const size_t at = slot_of(names, text);
    if (!names->slots[at] && !create)
        return 0;
    if (!names->slots[at]) {
        TQ_PUSH(names->arena, names->names, names->n, names->capacity,
                tq_arena_strdup(names->arena, text));
        names->slots[at] = names->n;
    }
    *id = 2 * (IDTYPE)names->slots[at];
    return 1;
}

static alloc_result take_id(void *state, int kind, IDTYPE id)
{
    (void)state, (void)kind, (void)id;
    return 0; /* identifiers are only made here */
}

static void free_id(void *state, int kind, IDTYPE id)
{
    (void)state, (void)kind, (void)id;
}

static char *print_id(void *state, int kind, IDTYPE id)
{
    tq_drawing_names *names = state;
    (void)kind;
    return id % 2 == 0 && id > 0 && id / 2 <= (IDTYPE)names->n ? names->names[id / 2 - 1] : NULL;
}

static void close_names(void *state)
{
    (void)state;
}

static void register_id(void *state, int kind, void *object)
{
    (void)state, (void)kind, (void)object;
}

void tq_drawing_names_init(tq_drawing_names *names, tq_arena *arena)
{
    static const Agiddisc_t id = { .open = open_names,
                                   .map = map_name,
                                   .alloc = take_id,
                                   .free = free_id,
                                   .print = print_id,
                                   .close = close_names,
                                   .idregister = register_id };
    *names = (tq_drawing_names){
        .disc = { .mem = &AgMemDisc, .id = (Agiddisc_t *)(uintptr_t)&id, .io = &AgIoDisc },
        .arena = arena
    };
}
