/* Started by mpirun_test.sh: ranks that fail while others wait. argv[1]: one (rank 1 fails), all (for one
 * reason), lengths (each sums another number of values). Says what a command would. */
#include "dist/dist.h"

#include <stdio.h>
#include <string.h>

static tq_status fail(tq_ranks *ranks, const char *how)
{
    double x[64] = { 0 };
    const int rank = tq_ranks_index(ranks);
    if (strcmp(how, "lengths") == 0)
        return tq_ranks_sum_f64(ranks, x, 10 + rank);
    if (strcmp(how, "all") == 0 || rank == 1)
        return tq_fail(TQ_ERR_VALUE, "told to fail");
    return tq_ranks_sum_f64(ranks, x, 64);
}

int main(int argc, char **argv)
{
    tq_ranks *ranks = NULL;
    tq_status status = tq_ranks_join(&ranks);
    if (!status)
        status = fail(ranks, argc > 1 ? argv[1] : "all");
    if (!status) {
        tq_ranks_leave(ranks);
        return 0;
    }
    tq_ranks_give_way(ranks);
    fprintf(stderr, "truq: rank %d: %s\n", tq_ranks_index(ranks), tq_status_text(status));
    tq_ranks_abort(ranks, 3);
    return 3;
}
