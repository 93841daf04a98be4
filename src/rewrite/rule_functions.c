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

/* Functions of one value: what is not known of it is UNKNOWN. */
static tq_status of_value(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                          int n, tq_rule_item *out)
{
    (void)n;
    tq_value *value;
    TQ_TRY(value_of(scope, expr, args, &value));
    if (value)
        *out = expr->function->of_value(value, scope->arena);
    return TQ_OK;
}

#define FUNCTION(name)                                                                             \
    static tq_status name(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,     \
                          int n, tq_rule_item *out)

/* ---- of values ---- */

static const tq_rule_item unknown = { .kind = TQ_ITEM_UNKNOWN };

#define OF_VALUE(name) static tq_rule_item name(tq_value *value, tq_arena *arena)

static tq_rule_item dim_item(int64_t dim)
{
    return dim == TQ_DIM_ANY ? unknown : tq_rule_integer(dim);
}

static tq_rule_item list_of(int n, const tq_rule_item *items)
{
    return (tq_rule_item){ .kind = TQ_ITEM_LIST, .n = n, .items = items };
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
    *out = list_of(type->rank, items);
    return TQ_OK;
}

OF_VALUE(rank)
{
    (void)arena;
    const tq_type *type = tq_value_type(value);
    return type->rank >= 0 ? tq_rule_integer(type->rank) : unknown;
}

OF_VALUE(size)
{
    (void)arena;
    const tq_type *type = tq_value_type(value);
    return type->rank >= 0 ? dim_item(tq_type_count(type)) : unknown;
}

OF_VALUE(dtype)
{
    (void)arena;
    return tq_rule_text(tq_dtype_name(tq_value_type(value)->dtype));
}

OF_VALUE(consumers)
{
    (void)arena;
    return tq_rule_integer(tq_value_n_consumers(value));
}

OF_VALUE(is_const)
{
    (void)arena;
    return tq_rule_bool(tq_value_is_const(value));
}

OF_VALUE(is_input)
{
    (void)arena;
    return tq_rule_bool(tq_value_is_input(value));
}

OF_VALUE(is_output)
{
    (void)arena;
    return tq_rule_bool(tq_value_is_output(value));
}

OF_VALUE(name)
{
    (void)arena;
    return tq_rule_text(tq_value_name(value));
}

OF_VALUE(elements)
{
    const tq_tensor *tensor = tq_value_known(value);
    const int64_t count = tensor ? tq_tensor_count(tensor) : 0;
    if (!tensor || count > MAX_ELEMENTS)
        return unknown;
    const tq_dtype type = tensor->type.dtype;
    tq_rule_item *items = TQ_NEW_N(arena, tq_rule_item, count);
    for (int64_t i = 0; i < count; i++)
        items[i] = tq_dtype_is_float(type) ? tq_rule_number(tq_load_f64(tensor->data, type, i))
                                           : tq_rule_integer(tq_load_i64(tensor->data, type, i));
    return list_of((int)count, items);
}

/* ---- of grids: a number, or a list of one number a channel ---- */

OF_VALUE(scale)
{
    tq_value_grid grid;
    if (!tq_value_grid_find(value, arena, &grid))
        return unknown;
    if (grid.axis < 0)
        return tq_rule_number(grid.scale[0]);
    tq_rule_item *items = TQ_NEW_N(arena, tq_rule_item, grid.n);
    for (int i = 0; i < grid.n; i++)
        items[i] = tq_rule_number(grid.scale[i]);
    return list_of(grid.n, items);
}

OF_VALUE(zero_point)
{
    tq_value_grid grid;
    if (!tq_value_grid_find(value, arena, &grid))
        return unknown;
    if (grid.axis < 0)
        return tq_rule_integer(grid.zero_point[0]);
    tq_rule_item *items = TQ_NEW_N(arena, tq_rule_item, grid.n);
    for (int i = 0; i < grid.n; i++)
        items[i] = tq_rule_integer(grid.zero_point[i]);
    return list_of(grid.n, items);
}

OF_VALUE(q_min)
{
    tq_value_grid grid;
    return tq_value_grid_find(value, arena, &grid) ? tq_rule_integer(grid.q_min) : unknown;
}

OF_VALUE(q_max)
{
    tq_value_grid grid;
    return tq_value_grid_find(value, arena, &grid) ? tq_rule_integer(grid.q_max) : unknown;
}

OF_VALUE(grid_axis)
{
    tq_value_grid grid;
    return tq_value_grid_find(value, arena, &grid) && grid.axis >= 0 ? tq_rule_integer(grid.axis)
                                                                     : unknown;
}

/* ---- of numbers ---- */

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

/* Functions of all elements of a list or constant. */
static tq_status of_numbers(tq_rule_scope *scope, const tq_expr *expr, const tq_rule_item *args,
                            int n, tq_rule_item *out)
{
    (void)n;
    double *numbers;
    int count = 0;
    TQ_TRY(numbers_of(scope, expr, args, &count, &numbers));
    const double result = numbers ? expr->function->of_numbers(numbers, count) : (double)NAN;
    if (numbers && !(count == 0 && isnan(result)))
        *out = number_item(result);
    return TQ_OK;
}

/* NaN where there are none, or one is. */
static double smallest(const double *numbers, int n)
{
    double best = n ? numbers[0] : (double)NAN;
    for (int i = 1; i < n; i++)
        best = numbers[i] < best || isnan(numbers[i]) ? numbers[i] : best;
    return best;
}

static double largest(const double *numbers, int n)
{
    double best = n ? numbers[0] : (double)NAN;
    for (int i = 1; i < n; i++)
        best = numbers[i] > best || isnan(numbers[i]) ? numbers[i] : best;
    return best;
}

static double sum_of(const double *numbers, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += numbers[i];
    return sum;
}

static double product_of(const double *numbers, int n)
{
    double product = 1.0;
    for (int i = 0; i < n; i++)
        product *= numbers[i];
    return product;
}

/* Of two numbers, or of all elements. */
FUNCTION(extremum)
{
    tq_rule_item a, b;
    if (n == 1)
        return of_numbers(scope, expr, args, n, out);
    if (args[0].kind == TQ_ITEM_UNKNOWN || args[1].kind == TQ_ITEM_UNKNOWN)
        return TQ_OK;
    if (!tq_rule_as_number(&args[0], &a) || !tq_rule_as_number(&args[1], &b))
        return fail(scope, expr, "takes two numbers, a list or a constant");
    *out = expr->function->of_numbers((double[]){ a.f, b.f }, 2) == a.f ? a : b;
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

#define ONE_VALUE(function) .min_args = 1, .max_args = 1, .run = of_value, .of_value = function
#define NUMBERS(function) .min_args = 1, .max_args = 1, .run = of_numbers, .of_numbers = function
#define ONE_OR_TWO(function) .min_args = 1, .max_args = 2, .run = extremum, .of_numbers = function
#define ANY(n, function) .min_args = (n), .max_args = (n), .run = function

static const tq_rule_function functions[] = {
    { .name = "dims", .min_args = 1, .max_args = 2, .run = dims },
    { .name = "rank", ONE_VALUE(rank) },
    { .name = "size", ONE_VALUE(size) },
    { .name = "dtype", ONE_VALUE(dtype) },
    { .name = "elements", ONE_VALUE(elements) },
    { .name = "consumers", ONE_VALUE(consumers) },
    { .name = "is_const", ONE_VALUE(is_const) },
    { .name = "is_input", ONE_VALUE(is_input) },
    { .name = "is_output", ONE_VALUE(is_output) },
    { .name = "name", ONE_VALUE(name) },
    { .name = "scale", ONE_VALUE(scale) },
    { .name = "zero_point", ONE_VALUE(zero_point) },
    { .name = "q_min", ONE_VALUE(q_min) },
    { .name = "q_max", ONE_VALUE(q_max) },
    { .name = "grid_axis", ONE_VALUE(grid_axis) },
    { .name = "min", ONE_OR_TWO(smallest) },
    { .name = "max", ONE_OR_TWO(largest) },
    { .name = "sum", NUMBERS(sum_of) },
    { .name = "prod", NUMBERS(product_of) },
    { .name = "op", ANY(1, op) },
    { .name = "count", ANY(1, count) },
    { .name = "len", ANY(1, length) },
    { .name = "has", ANY(1, has) },
    { .name = "sqrt", ANY(1, tq_rule_unary) },
    { .name = "exp", ANY(1, tq_rule_unary) },
    { .name = "log", ANY(1, tq_rule_unary) },
    { .name = "abs", ANY(1, tq_rule_unary) },
    { .name = "floor", ANY(1, tq_rule_unary) },
    { .name = "ceil", ANY(1, tq_rule_unary) },
    { .name = "round", ANY(1, tq_rule_unary) },
    { .name = "cast", ANY(2, tq_rule_cast), .makes = true },
    { .name = "along", ANY(3, tq_rule_along), .makes = true },
    { .name = "full", .min_args = 2, .max_args = 3, .run = tq_rule_full, .makes = true },
};

const tq_rule_function *tq_rule_function_find(const char *text)
{
    for (int i = 0; i < TQ_COUNT(functions); i++)
        if (strcmp(functions[i].name, text) == 0)
            return &functions[i];
    return NULL;
}
