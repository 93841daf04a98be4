/* Rules: editors written as text. A pattern, conditions, and what takes its place (docs/rules.md). */
#ifndef TRUQ_RULE_H
#define TRUQ_RULE_H

#include <truq/edit.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Reads the rules of a text as editors, in order; `name` stands before line and column in errors, which are TQ_ERR_FORMAT
 *  for the grammar, TQ_ERR_NOT_FOUND for unknown operators and attributes. Editors live in `arena`; operators come from
 *  `registry`. At most 64 KiB, 256 rules of 64 nodes. */
TQ_API tq_status tq_rules_parse(const tq_registry *registry, const char *text, const char *name, tq_arena *arena, int *out_n,
                                const tq_editor *const **out_editors);

/** A rule as it was read: "rule NAME { ... }". */
TQ_API const char *tq_rule_source(const tq_rule *rule);

/** A pattern (with conditions) alone, for finding: what stands before "=>" in a rule. */
TQ_API tq_status tq_rule_pattern_parse(const tq_registry *registry, const char *text, const char *name, tq_arena *arena,
                                       const tq_rule **out_rule);

/** Where a rule's pattern was found. */
typedef struct tq_rule_match {
    int n_nodes;
    tq_node **nodes;                /* in the order of the pattern; of repeated parts all, of absent ones none */
    int n_captures;
    const char *const *names;       /* names of values in the pattern */
    tq_value **values;              /* NULL: an optional one that is absent */
} tq_rule_match;

/** All matches in the order of their last node, non-overlapping; they live in `scratch`. TQ_ERR_CHECK where a pattern needs
 *  more than 100000 tries at one node. */
TQ_API tq_status tq_rule_find(const tq_rule *rule, tq_graph *graph, tq_arena *scratch, int *out_n,
                              tq_rule_match **out_matches);

#ifdef __cplusplus
}
#endif
#endif
