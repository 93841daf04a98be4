/* The proof table: for each node the bounds of its result, the widest number on the way there, and
 * which floats would carry it exactly. */
#include "report/report_internal.h"

#include <inttypes.h>

/** Smallest signed width that holds [lo, hi]. */
static int bits_of(int64_t lo, int64_t hi)
{
    int bits = 1;
    while (bits < 64 && (lo < -(INT64_C(1) << (bits - 1)) || hi > (INT64_C(1) << (bits - 1)) - 1))
        bits++;
    return bits;
}

static const char *range_text(tq_arena *arena, int64_t lo, int64_t hi)
{
    return tq_arena_printf(arena, "%" PRId64 " .. %" PRId64, lo, hi);
}

static const char *carrier(const tq_proof_row *row)
{
    return row->fp32_exact ? "fp32" : row->fp64_exact ? "fp64" : "-";
}

/** Ties of all nodes that were to be rounded otherwise. */
static int64_t count_ties(const tq_proof_row *rows, int n)
{
    int64_t n_ties = 0;
    for (int i = 0; i < n; i++)
        n_ties = tq_sat_add(n_ties, rows[i].n_ties);
    return n_ties;
}

static const char *proof_text(const tq_proof_row *rows, int n, bool proven, tq_arena *arena)
{
    static const char *const titles[] = { "node",          "operator",  "output",
                                          "widest inside", ">has bits", ">needs",
                                          "exact in",      "verdict",   ">ties" };
    const int64_t n_ties = count_ties(rows, n);
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles) - (n_ties == 0), titles);
    int n_bad = 0;
    for (int i = 0; i < n; i++) {
        const tq_proof_row *r = &rows[i];
        const bool inner = r->inner_bits > 0;
        n_bad += !r->fits;
        tq_table_add(
            table,
            (const char *[]){
                r->node, r->op, range_text(arena, r->lo, r->hi),
                inner ? range_text(arena, r->inner_lo, r->inner_hi) : NULL,
                inner ? tq_arena_printf(arena, "%d", r->inner_bits) : NULL,
                inner ? tq_arena_printf(arena, "%d", bits_of(r->inner_lo, r->inner_hi)) : NULL,
                carrier(r),
                r->fits      ? "fits"
                : r->problem ? r->problem
                             : "fails",
                r->rounding ? tq_arena_printf(arena, "%" PRId64, r->n_ties) : NULL });
    }
    tq_string out = { .arena = arena };
    tq_string_printf(&out, "%s\n", tq_table_print(table));
    if (proven)
        tq_string_printf(&out, "proven: nothing can overflow in %d node%s\n", n, n == 1 ? "" : "s");
    else
        tq_string_printf(&out, "not proven: %d of %d nodes fail\n", n_bad, n);
    for (int i = 0; i < n && n_ties > 0; i++)
        if (rows[i].n_ties > 0)
            tq_string_printf(&out,
                             "'%s' takes %" PRId64 " ties up that %s would take to other codes\n",
                             rows[i].node, rows[i].n_ties, rows[i].rounding);
    return out.s;
}

static const char *proof_json(const tq_proof_row *rows, int n, bool proven, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    tq_json_add_bool(json, "proven", proven);
    tq_json_open_array(json, "nodes");
    for (int i = 0; i < n; i++) {
        const tq_proof_row *r = &rows[i];
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "name", r->node);
        tq_json_add_text(json, "op", r->op);
        tq_json_add_integer(json, "lo", r->lo);
        tq_json_add_integer(json, "hi", r->hi);
        if (r->inner_bits > 0) {
            tq_json_add_integer(json, "inner_lo", r->inner_lo);
            tq_json_add_integer(json, "inner_hi", r->inner_hi);
            tq_json_add_integer(json, "inner_bits", r->inner_bits);
        }
        tq_json_add_bool(json, "fits", r->fits);
        tq_json_add_bool(json, "fp32_exact", r->fp32_exact);
        tq_json_add_bool(json, "fp64_exact", r->fp64_exact);
        if (r->rounding) {
            tq_json_add_text(json, "rounding", r->rounding);
            tq_json_add_integer(json, "ties", r->n_ties);
        }
        if (r->problem)
            tq_json_add_text(json, "problem", r->problem);
        tq_json_close(json);
    }
    return tq_json_print(json);
}

const char *tq_report_proof(const tq_proof_row *rows, int n, bool proven, bool json,
                            tq_arena *arena)
{
    return json ? proof_json(rows, n, proven, arena) : proof_text(rows, n, proven, arena);
}
