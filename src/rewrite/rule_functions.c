/* The functions of rules: what can be asked of values and nodes, and the few that build constants.
 */
#include "rewrite/rule_internal.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { MAX_ELEMENTS = 4096 };

static tq_status fail(const tq_rule_scope *scope, const tq_expr *expr, const char *what)
{
    return tq_rule_fail(TQ_ERR_VALUE, scope->found->rule->source, expr->place, "%s: %s", expr->text,
                        what);
}

/* The value of argument 0; NULL: unknown, or (with an error) none. */
static tq_status value_of(const tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                          tq_value **out)
{
    *out = args[0].kind == TQ_ITEM_VALUE ? args[0].value : NULL;
    return *out || args[0].kind == TQ_ITEM_UNKNOWN ? TQ_OK
                                                   : fail(scope, expr, "takes a value first");
}

/* The pattern's node that argument 0 names. */
static tq_status node_of(const tq_rule_scope *scope, const tq_expr *expr, int *out)
{
    const tq_expr *arg = expr->args[0];
    const tq_rule *rule = scope->found->rule;
    *out = arg && arg->kind == TQ_EXPR_NAME ? rule->names[arg->name].node : -1;
    return *out >= 0 ? TQ_OK : fail(scope, expr, "takes the name of a node of the pattern");
}

#define FUNCTION(name)                                                                             \
    static tq_status name(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,     \
                          int n, tq_rule_item *out)

/* ---- of values ---- */

static tq_rule_item dim_item(int64_t dim)
{
    return dim == TQ_DIM_ANY ? (tq_rule_item){ .kind = TQ_ITEM_UNKNOWN } : tq_rule_integer(dim);
}

FUNCTION(dims)
{
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    const tq_type *type = value ? tq_value_type(value) : NULL;
    if (!type || type->rank < 0)
        return TQ_OK;
    if (n == 2) {
        tq_rule_item axis;
        if (!tq_rule_as_number(&args[1], &axis) || axis.is_float)
            return args[1].kind == TQ_ITEM_UNKNOWN ? TQ_OK
                                                   : fail(scope, expr, "takes a whole axis");
        const int64_t i = axis.i < 0 ? axis.i + type->rank : axis.i;
        if (i >= 0 && i < type->rank)
            *out = dim_item(type->dims[i]);
        return TQ_OK;
    }
    tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, type->rank);
    for (int i = 0; i < type->rank; i++)
        items[i] = dim_item(type->dims[i]);
    *out = (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = type->rank, .items = items };
    return TQ_OK;
}

FUNCTION(rank)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value && tq_value_type(value)->rank >= 0)
        *out = tq_rule_integer(tq_value_type(value)->rank);
    return TQ_OK;
}

FUNCTION(size)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value && tq_value_type(value)->rank >= 0)
        *out = dim_item(tq_type_count(tq_value_type(value)));
    return TQ_OK;
}

FUNCTION(dtype)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_text(tq_dtype_name(tq_value_type(value)->dtype));
    return TQ_OK;
}

FUNCTION(elements)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    const tq_tensor *tensor = value ? tq_value_known(value) : NULL;
    const int64_t count = tensor ? tq_tensor_count(tensor) : 0;
    if (!tensor || count > MAX_ELEMENTS)
        return TQ_OK;
    const tq_dtype type = tensor->type.dtype;
    tq_rule_item *items = TQ_NEW_N(scope->arena, tq_rule_item, count);
    for (int64_t i = 0; i < count; i++)
        items[i] = tq_dtype_is_float(type) ? tq_rule_number(tq_load_f64(tensor->data, type, i))
                                           : tq_rule_integer(tq_load_i64(tensor->data, type, i));
    *out = (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = (int)count, .items = items };
    return TQ_OK;
}

/* The elements of a list, or of a constant, as numbers; NULL with no error: unknown. */
static tq_status numbers_of(const tq_rule_scope *scope, const tq_expr *expr,
                            const tq_rule_item *args, int *out_n, double **out)
{
    *out = NULL;
    if (args[0].kind == TQ_ITEM_LIST) {
        double *numbers = TQ_NEW_N(scope->arena, double, args[0].n + 1);
        for (int i = 0; i < args[0].n; i++) {
            tq_rule_item number;
            if (!tq_rule_as_number(&args[0].items[i], &number))
                return args[0].items[i].kind == TQ_ITEM_UNKNOWN
                           ? TQ_OK
                           : fail(scope, expr, "the list holds something else than numbers");
            numbers[i] = number.f;
        }
        *out_n = args[0].n;
        *out = numbers;
        return TQ_OK;
    }
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    const tq_tensor *tensor = value ? tq_value_known(value) : NULL;
    const int64_t count = tensor ? tq_tensor_count(tensor) : 0;
    if (!tensor || count > INT_MAX)
        return TQ_OK;
    *out_n = (int)count;
    *out = TQ_NEW_N(scope->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        (*out)[i] = tq_load_f64(tensor->data, tensor->type.dtype, i);
    return TQ_OK;
}

/* Whole numbers stay whole. */
static tq_rule_item number_item(double v)
{
    return v == floor(v) && fabs(v) < 9e15 ? tq_rule_integer((int64_t)v) : tq_rule_number(v);
}

/* The smallest or the largest element of a list or constant, or of two numbers. */
static tq_status extremum(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                          int n, double sign, tq_rule_item *out)
{
    tq_rule_item a, b;
    if (n == 2) {
        if (args[0].kind == TQ_ITEM_UNKNOWN || args[1].kind == TQ_ITEM_UNKNOWN)
            return TQ_OK;
        if (!tq_rule_as_number(&args[0], &a) || !tq_rule_as_number(&args[1], &b))
            return fail(scope, expr, "takes two numbers, a list or a constant");
        *out = sign * a.f < sign * b.f ? a : b;
        return TQ_OK;
    }
    double *numbers;
    int count = 0;
    TQ_TRY(numbers_of(scope, expr, args, &count, &numbers));
    if (!numbers || count == 0)
        return TQ_OK;
    double best = numbers[0];
    for (int i = 1; i < count; i++)
        if (sign * numbers[i] < sign * best || isnan(numbers[i]))
            best = numbers[i];
    *out = number_item(best);
    return TQ_OK;
}

FUNCTION(min_of)
{
    return extremum(scope, expr, args, n, 1.0, out);
}

FUNCTION(max_of)
{
    return extremum(scope, expr, args, n, -1.0, out);
}

FUNCTION(sum_of)
{
    (void)n;
    double *numbers, sum = 0.0;
    int count = 0;
    TQ_TRY(numbers_of(scope, expr, args, &count, &numbers));
    for (int i = 0; i < count; i++)
        sum += numbers[i];
    if (numbers)
        *out = number_item(sum);
    return TQ_OK;
}

FUNCTION(product_of)
{
    (void)n;
    double *numbers, product = 1.0;
    int count = 0;
    TQ_TRY(numbers_of(scope, expr, args, &count, &numbers));
    for (int i = 0; i < count; i++)
        product *= numbers[i];
    if (numbers)
        *out = number_item(product);
    return TQ_OK;
}

FUNCTION(consumers)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_integer(tq_value_n_consumers(value));
    return TQ_OK;
}

FUNCTION(is_const)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_bool(tq_value_is_const(value));
    return TQ_OK;
}

FUNCTION(is_input)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_bool(tq_value_is_input(value));
    return TQ_OK;
}

FUNCTION(is_output)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_bool(tq_value_is_output(value));
    return TQ_OK;
}

FUNCTION(name)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = tq_rule_text(tq_value_name(value));
    return TQ_OK;
}

/* ---- of grids ---- */

static tq_status grid_of(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                         tq_value_grid *grid, bool *out_known)
{
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    *out_known = value && tq_value_grid_find(value, grid);
    return TQ_OK;
}

FUNCTION(scale)
{
    (void)n;
    bool known;
    tq_value_grid grid;
    TQ_TRY(grid_of(scope, expr, args, &grid, &known));
    if (known)
        *out = tq_rule_number(grid.scale);
    return TQ_OK;
}

FUNCTION(zero_point)
{
    (void)n;
    bool known;
    tq_value_grid grid;
    TQ_TRY(grid_of(scope, expr, args, &grid, &known));
    if (known)
        *out = tq_rule_integer(grid.zero_point);
    return TQ_OK;
}

FUNCTION(q_min)
{
    (void)n;
    bool known;
    tq_value_grid grid;
    TQ_TRY(grid_of(scope, expr, args, &grid, &known));
    if (known)
        *out = tq_rule_integer(grid.q_min);
    return TQ_OK;
}

FUNCTION(q_max)
{
    (void)n;
    bool known;
    tq_value_grid grid;
    TQ_TRY(grid_of(scope, expr, args, &grid, &known));
    if (known)
        *out = tq_rule_integer(grid.q_max);
    return TQ_OK;
}

/* ---- of nodes, lists, anything ---- */

FUNCTION(op)
{
    (void)args, (void)n;
    int node;
    TQ_TRY(node_of(scope, expr, &node));
    if (scope->found->count[node])
        *out = tq_rule_text(tq_node_op_name(scope->found->nodes[node][0]));
    return TQ_OK;
}

FUNCTION(count)
{
    (void)args, (void)n;
    int node;
    TQ_TRY(node_of(scope, expr, &node));
    *out = tq_rule_integer(scope->found->count[node]);
    return TQ_OK;
}

FUNCTION(length)
{
    (void)n;
    if (args[0].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    if (args[0].kind != TQ_ITEM_LIST)
        return fail(scope, expr, "takes a list");
    *out = tq_rule_integer(args[0].n);
    return TQ_OK;
}

FUNCTION(has)
{
    (void)scope, (void)expr, (void)n;
    *out = tq_rule_bool(args[0].kind != TQ_ITEM_UNKNOWN);
    return TQ_OK;
}

static const tq_rule_function functions[] = {
    { .name = "dims", .min_args = 1, .max_args = 2, .run = dims },
    { .name = "rank", .min_args = 1, .max_args = 1, .run = rank },
    { .name = "size", .min_args = 1, .max_args = 1, .run = size },
    { .name = "dtype", .min_args = 1, .max_args = 1, .run = dtype },
    { .name = "elements", .min_args = 1, .max_args = 1, .run = elements },
    { .name = "min", .min_args = 1, .max_args = 2, .run = min_of },
    { .name = "max", .min_args = 1, .max_args = 2, .run = max_of },
    { .name = "sum", .min_args = 1, .max_args = 1, .run = sum_of },
    { .name = "prod", .min_args = 1, .max_args = 1, .run = product_of },
    { .name = "consumers", .min_args = 1, .max_args = 1, .run = consumers },
    { .name = "is_const", .min_args = 1, .max_args = 1, .run = is_const },
    { .name = "is_input", .min_args = 1, .max_args = 1, .run = is_input },
    { .name = "is_output", .min_args = 1, .max_args = 1, .run = is_output },
    { .name = "name", .min_args = 1, .max_args = 1, .run = name },
    { .name = "scale", .min_args = 1, .max_args = 1, .run = scale },
    { .name = "zero_point", .min_args = 1, .max_args = 1, .run = zero_point },
    { .name = "q_min", .min_args = 1, .max_args = 1, .run = q_min },
    { .name = "q_max", .min_args = 1, .max_args = 1, .run = q_max },
    { .name = "op", .min_args = 1, .max_args = 1, .run = op },
    { .name = "count", .min_args = 1, .max_args = 1, .run = count },
    { .name = "len", .min_args = 1, .max_args = 1, .run = length },
    { .name = "has", .min_args = 1, .max_args = 1, .run = has },
    { .name = "sqrt", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "exp", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "log", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "abs", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "floor", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "ceil", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "round", .min_args = 1, .max_args = 1, .run = tq_rule_unary },
    { .name = "cast", .min_args = 2, .max_args = 2, .makes = true, .run = tq_rule_cast },
    { .name = "along", .min_args = 3, .max_args = 3, .makes = true, .run = tq_rule_along },
    { .name = "full", .min_args = 2, .max_args = 3, .makes = true, .run = tq_rule_full },
};

const tq_rule_function *tq_rule_function_find(const char *text)
{
    for (int i = 0; i < TQ_COUNT(functions); i++)
        if (strcmp(functions[i].name, text) == 0)
            return &functions[i];
    return NULL;
}
