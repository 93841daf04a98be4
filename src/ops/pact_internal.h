/* What QuantLib's integer operators (domain "PACTOps") share: exact division, checks. */
#ifndef TQ_OPS_PACT_INTERNAL_H
#define TQ_OPS_PACT_INTERNAL_H

#include "ops/ops.h"

typedef __int128 tq_wide;

/** floor(a / b), b > 0. */
static inline tq_wide tq_floor_div(tq_wide a, tq_wide b)
{
    const tq_wide q = a / b;
    return a % b < 0 ? q - 1 : q;
}

static inline int64_t tq_narrow(tq_wide v)
{
    return v < INT64_MIN ? INT64_MIN : v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/** x is a number type of rank 1 or more; the output is like x. */
static inline tq_status tq_pact_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPES_NUMERIC));
    if (t->in[0]->rank == 0)
        return tq_fail(TQ_ERR_SHAPE, "x is a scalar");
    return tq_op_infer_same(t);
}

/** n_levels: 2 .. 2^32. */
static inline tq_status tq_pact_check_levels(int64_t n)
{
    if (n < 2 || n > INT64_C(1) << 32)
        return tq_fail(TQ_ERR_VALUE, "n_levels is %lld; expected 2 to 2^32", (long long)n);
    return TQ_OK;
}

#endif
