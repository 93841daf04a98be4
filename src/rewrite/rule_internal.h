/* Rules as trees: what the reader makes of the text, and what finder and applier walk. */
#ifndef TQ_RULE_INTERNAL_H
#define TQ_RULE_INTERNAL_H

#include <truq/op.h>
#include <truq/rule.h>

enum {
    TQ_RULE_MAX_TEXT = 64 << 10,
    TQ_RULE_MAX_RULES = 256,
    TQ_RULE_MAX_NODES = 64,
    TQ_RULE_MAX_NAMES = 256,
    TQ_RULE_MAX_ARGS = 32,
    TQ_RULE_MAX_DEPTH = 48,
    TQ_RULE_MAX_TRIES = 100000
};

typedef struct tq_place {
    int line, column;
} tq_place;

/* ---- tokens ---- */

typedef enum tq_token_kind {
    TQ_TOKEN_END,
    TQ_TOKEN_NAME,
    TQ_TOKEN_NUMBER,
    TQ_TOKEN_TEXT,
    TQ_TOKEN_SIGN
} tq_token_kind;

typedef struct tq_token {
    tq_token_kind kind;
    tq_place place;
    const char *text; /* name, content of a quoted text, or the sign itself: "=>" */
    const char *from; /* where it begins in what is read */
    double f;
    int64_t i;
    bool is_float;
} tq_token;

/* Cuts the text into tokens, the last one TQ_TOKEN_END. */
tq_status tq_rule_tokens(const char *text, const char *name, tq_arena *arena, tq_token **out);

/* "NAME: line L, column C: ...". */
tq_status tq_rule_fail(tq_code code, const char *name, tq_place at, const char *format, ...)
    TQ_PRINTF(4, 5);

/* ---- expressions ---- */

typedef enum tq_expr_kind {
    TQ_EXPR_NUMBER,
    TQ_EXPR_TEXT,
    TQ_EXPR_LIST,
    TQ_EXPR_NAME,     /* a value, or what a statement of the replacement made */
    TQ_EXPR_ATTR,     /* node.attribute */
    TQ_EXPR_UNARY,    /* "-", "not" */
    TQ_EXPR_BINARY,   /* arithmetic, comparison, "and", "or", "in", "??" */
    TQ_EXPR_FUNCTION, /* dims(x, 0) */
    TQ_EXPR_OPERATOR  /* Conv(x, w) [...], @y(x) */
} tq_expr_kind;

typedef struct tq_expr tq_expr;
typedef struct tq_rule_item tq_rule_item;

/* One attribute of an operator in the replacement; name NULL: all that node `node` has. */
typedef struct tq_expr_attr {
    tq_place place;
    const char *name;
    int node;
    const tq_expr *value;
} tq_expr_attr;

struct tq_expr {
    tq_expr_kind kind;
    tq_place place;
    const tq_token *token; /* NUMBER */
    const char *text;      /* TEXT, sign of UNARY and BINARY, name of FUNCTION and ATTR */
    int name;              /* NAME: index of the name */
    int node;              /* ATTR, "@y": index of the pattern's node */
    int n_args;
    const tq_expr **args; /* NULL entry: an absent input */
    const struct tq_rule_function *function;
    const tq_op *op; /* OPERATOR; NULL: that of `node` */
    bool rest;       /* OPERATOR "@y(x, ...)": further inputs of the node */
    int n_attrs;
    const tq_expr_attr *attrs;
};

typedef enum tq_item_kind {
    TQ_ITEM_UNKNOWN, /* absent, or not known of this network */
    TQ_ITEM_BOOL,
    TQ_ITEM_NUMBER,
    TQ_ITEM_TEXT,
    TQ_ITEM_LIST,
    TQ_ITEM_VALUE
} tq_item_kind;

/* What an expression is worth. */
struct tq_rule_item {
    tq_item_kind kind;
    bool truth, is_float;
    double f; /* of whole numbers too */
    int64_t i;
    const char *text;
    int n;
    const tq_rule_item *items;
    tq_value *value;
};

/* ---- rules ---- */

typedef enum tq_rule_input_kind {
    TQ_INPUT_ANY, /* "_" */
    TQ_INPUT_NAME,
    TQ_INPUT_NUMBER, /* a constant of one element with this value */
    TQ_INPUT_ABSENT
} tq_rule_input_kind;

typedef struct tq_rule_input {
    tq_rule_input_kind kind;
    int name;
    double number;
    bool optional;
} tq_rule_input;

/* What a captured value must be: bits. */
enum { TQ_NEEDS_CONST = 1, TQ_NEEDS_SCALAR = 2, TQ_NEEDS_INPUT = 4, TQ_NEEDS_DYNAMIC = 8 };

typedef struct tq_rule_name {
    const char *text; /* NULL: output of a nested call */
    tq_place place;
    unsigned needs;
    int node; /* whose output it is, else -1 */
} tq_rule_name;

/* "attribute SIGN value" on a node of the pattern. */
typedef struct tq_rule_attr {
    const tq_expr *condition;
    bool at_once; /* needs nothing but the node */
} tq_rule_attr;

typedef struct tq_rule_node {
    tq_place place;
    int n_ops; /* 0: any */
    const tq_op **ops;
    int n_inputs;
    tq_rule_input *inputs;
    bool rest; /* further inputs may be anything */
    int n_outputs;
    int *outputs; /* names */
    bool commutative, sole;
    int min, max; /* how often: 1, 1; "?" 0, 1; "*" 0, INT_MAX */
    int n_attrs;
    tq_rule_attr *attrs;
} tq_rule_node;

/* How the finder comes to a node: from a value it makes or from one it reads. */
typedef struct tq_rule_step {
    int node, name;
    bool forward;
} tq_rule_step;

typedef struct tq_rule_statement {
    tq_place place;
    int n_targets;
    int *targets; /* names */
    const tq_expr *value;
} tq_rule_statement;

struct tq_rule {
    const char *source; /* stands before line and column in errors */
    const char *name;
    const char *text; /* "rule NAME { ... }", as it was read */
    const tq_registry *registry;
    int n_nodes, n_captures, n_names; /* the first n_captures names are the pattern's */
    tq_rule_node *nodes;
    tq_rule_name *names;
    tq_rule_step *steps; /* n_nodes */
    int n_conditions;
    const tq_expr **conditions;
    int n_statements;
    tq_rule_statement *statements;
};

/* Orders the steps of a pattern from its last node; fails where parts do not hang together. */
tq_status tq_rule_plan(tq_rule *rule, tq_arena *arena);

/* ---- matching ---- */

/* A match with all that the replacement can ask for. */
typedef struct tq_rule_found {
    const tq_rule *rule;
    tq_graph *graph;
    tq_node ***nodes; /* of pattern node k: count[k] of them */
    int *count;
    tq_value **values; /* of the captures; NULL: absent */
} tq_rule_found;

/* Does the pattern match with `last` as its last node? *out lives in `arena`; NULL where not. */
tq_status tq_rule_match_at(const tq_rule *rule, tq_graph *graph, tq_node *last, tq_arena *arena,
                           tq_rule_found **out);
/* Matches in order of their last nodes that share no node. */
tq_status tq_rule_find_all(const tq_rule *rule, tq_graph *graph, tq_arena *arena, int *out_n,
                           tq_rule_found ***out);
/* All nodes of a match. */
tq_rule_match tq_rule_report(const tq_rule_found *found, tq_arena *arena);

/* ---- evaluating ---- */

/* Constants that a round made from others: they take over the name of the one that they replace,
 * once it is gone. */
typedef struct tq_rule_heirs {
    int n;
    size_t capacity;
    tq_arena *arena;
    struct tq_rule_heir {
        tq_value *value;
        const char *name, *wanted;
    } * items;
} tq_rule_heirs;

/* Where names mean something. In a replacement (`before` set) arithmetic on values adds nodes. */
typedef struct tq_rule_scope {
    const tq_rule_found *found;
    tq_arena *arena;
    const tq_rule_item *items; /* what each name is */
    bool replaces;
    tq_node *before;    /* new nodes stand before this one */
    const char *prefix; /* of new names */
    int n_made;         /* nodes added */
    size_t made_capacity;
    tq_node **made;
    tq_rule_heirs *heirs;
} tq_rule_scope;

tq_status tq_rule_evaluate(tq_rule_scope *scope, const tq_expr *expr, tq_rule_item *out);
/* As above, for a condition: UNKNOWN is false. */
tq_status tq_rule_holds(tq_rule_scope *scope, const tq_expr *expr, bool *out);
tq_rule_item tq_rule_number(double f);
tq_rule_item tq_rule_integer(int64_t i);
tq_rule_item tq_rule_text(const char *text);
tq_rule_item tq_rule_bool(bool truth);
/* A number, also of a constant of one element; false: it is none. */
bool tq_rule_as_number(const tq_rule_item *item, tq_rule_item *out);

/* A function of expressions. */
typedef struct tq_rule_function {
    const char *name;
    int min_args, max_args;
    bool makes; /* adds nodes: only in replacements */
    tq_status (*run)(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                     tq_rule_item *out);
    tq_rule_item (*of_value)(tq_value *value, tq_arena *arena); /* for the run of many */
    double (*of_numbers)(const double *numbers, int n);
} tq_rule_function;
const tq_rule_function *tq_rule_function_find(const char *name);

/* Functions that add nodes, or take a number in their stead. */
tq_status tq_rule_unary(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                        tq_rule_item *out);
tq_status tq_rule_cast(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                       tq_rule_item *out);
tq_status tq_rule_along(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                        tq_rule_item *out);
tq_status tq_rule_full(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args, int n,
                       tq_rule_item *out);

/* The grid on which a value lies, where the network says: metadata, or the quantiser before it,
 * beyond operators that only move elements (where it has one scale). False: unknown. */
typedef struct tq_value_grid {
    int axis, n; /* scales and zero points: one, axis -1; or one for each index of the axis */
    const double *scale;
    const int64_t *zero_point;
    int64_t q_min, q_max;
} tq_value_grid;
bool tq_value_grid_find(const tq_value *value, tq_arena *arena, tq_value_grid *out);

/* ---- building ---- */

/* A node of operator `op`; folded to constants where it reads only constants. */
tq_status tq_rule_build(tq_rule_scope *scope, const tq_expr *expr, const tq_op *op,
                        const tq_rule_item *args, int n_args, const tq_attr *attrs, int n_attrs,
                        int n_outputs, tq_rule_item *out);
/* A list in arithmetic with a value: a constant of one axis and of the value's dtype. */
tq_status tq_rule_list_beside(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *value,
                              tq_rule_item *list);
/* An operator call of the text. */
tq_status tq_rule_call(tq_rule_scope *scope, const tq_expr *expr, int n_outputs, tq_rule_item *out);

/* Puts the replacement in the place of a match. */
tq_status tq_rule_apply(const tq_rule_found *found, tq_arena *arena, tq_rule_heirs *heirs);

/* ---- driving ---- */

/* Applies a rule wherever it matches until nothing matches. */
tq_status tq_rule_run(const tq_editor *editor, const tq_rule *rule, tq_graph *graph,
                      const tq_edit *edit, int *n_edits);
/* The same for the rules of an editor's text. */
tq_status tq_rule_run_text(const tq_editor *editor, tq_graph *graph, const tq_edit *edit,
                           int *n_edits);

#endif
