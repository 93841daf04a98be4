/* What the files of this room share: growing text, filters of nodes, networks run batch by batch.
 */
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

/** A node and all that feeds it, or that it feeds. `name`: of a node, or of a value that one makes.
 */
typedef struct tq_reach tq_reach;
tq_status tq_reach_find(const tq_graph *graph, const char *name, bool upstream, tq_arena *arena,
                        tq_reach **out);
bool tq_reach_has(const tq_reach *reach, const tq_node *node);

/** One or two networks of one input, run on the same data with every value kept. The caller sets
 *  the first three; tq_runs_reset frees the rest. */
typedef struct tq_runs {
    int n;
    const tq_graph *graphs[2];
    const tq_compare_options *options;
    tq_pool *pool;
    tq_loader *loader;
    tq_engine *engines[2];
    tq_type types[2];
    tq_tensor inputs[2];
} tq_runs;
/** Runs all batches, with look(context) behind each. */
tq_status tq_runs_all(tq_runs *runs, const char *phase, tq_status (*look)(void *context),
                      void *context);
/** A value of the batch that ran; NULL: a kernel that fuses did not make it. */
const tq_tensor *tq_runs_value(const tq_runs *runs, int which, const tq_value *value);
void tq_runs_reset(tq_runs *runs);

#endif
