/* What the files of this room share: growing text. */
#ifndef TQ_REPORT_REPORT_INTERNAL_H
#define TQ_REPORT_REPORT_INTERNAL_H

#include <truq/report.h>

/** Text that grows in an arena; s is always terminated once something was added. */
typedef struct tq_string {
    tq_arena *arena;
    char *s;
    size_t n, capacity;
} tq_string;

void tq_string_add(tq_string *string, const char *text, size_t n);
void tq_string_printf(tq_string *string, const char *format, ...) TQ_PRINTF(2, 3);

/** Which nodes are meant by "type:Conv and not name:^stage1". */
typedef struct tq_node_filter tq_node_filter;
tq_status tq_node_filter_parse(const tq_registry *registry, const char *text, tq_arena *arena,
                               tq_node_filter **out);
void tq_node_filter_reset(tq_node_filter *filter); /* NULL is fine */
bool tq_node_filter_accepts(const tq_node_filter *filter, const tq_node *node);
/** An operator's name, or Relu6; TQ_ERR_NOT_FOUND else. */
tq_status tq_node_type_check(const tq_registry *registry, const char *type);

/** A node and all that feeds it, or that it feeds. `name`: of a node, or of a value that one makes. */
typedef struct tq_reach tq_reach;
tq_status tq_reach_find(const tq_graph *graph, const char *name, bool upstream, tq_arena *arena,
                        tq_reach **out);
bool tq_reach_has(const tq_reach *reach, const tq_node *node);

#endif
