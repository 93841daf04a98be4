/* The reader of rules: one cursor over tokens, recursive descent, bounded in depth. */
#ifndef TQ_RULE_PARSE_INTERNAL_H
#define TQ_RULE_PARSE_INTERNAL_H

#include "rewrite/rule_internal.h"

typedef struct tq_rule_parser {
    const tq_token *at;
    const char *source;
    const tq_registry *registry;
    tq_arena *arena;
    int depth;
    bool in_replacement;
    int n_nodes; /* of the rule being read */
    tq_rule_node *nodes;
    int n_names;
    tq_rule_name *names;
} tq_rule_parser;

/* An error at the token that stands next. */
tq_status tq_rule_error(const tq_rule_parser *p, const char *format, ...) TQ_PRINTF(2, 3);
/* Is this sign or word next? */
bool tq_rule_sees(const tq_rule_parser *p, const char *token);
bool tq_rule_take(tq_rule_parser *p, const char *token);
tq_status tq_rule_expect(tq_rule_parser *p, const char *token);
tq_status tq_rule_deepen(tq_rule_parser *p);
tq_status tq_rule_name_token(tq_rule_parser *p, const char **out);

/* The index of a name, -1 if there is none. */
int tq_rule_find_name(const tq_rule_parser *p, const char *text);
/* A name that stands for a node of the pattern: that of one of its outputs. */
tq_status tq_rule_node_name(tq_rule_parser *p, int *out_node);
tq_status tq_rule_op_name(tq_rule_parser *p, const tq_op **out);
/* Does one of the operators have that attribute? None at all: any may. */
tq_status tq_rule_check_attr(const tq_rule_parser *p, const tq_op *const *ops, int n_ops,
                             const tq_token *name);

tq_status tq_rule_expr(tq_rule_parser *p, const tq_expr **out);
/* "group = 1", "alpha < 0.5", "axis in [1, -1]" between the brackets of a pattern's node. */
tq_status tq_rule_attr_condition(tq_rule_parser *p, int node, tq_rule_attr *out);
/* The statements before "=>": nodes, names and conditions. */
tq_status tq_rule_read_pattern(tq_rule_parser *p, tq_rule *rule);

#endif
