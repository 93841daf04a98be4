/* Ranks: processes that a launcher (mpirun, srun ...) starts together to train one network. */
#ifndef TRUQ_RANKS_H
#define TRUQ_RANKS_H

#include <truq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tq_ranks tq_ranks;

/** How many processes a launcher started together with this one, by its environment: 1 if none did, 0 if several but it does not say
 *  how many. */
TQ_API int tq_ranks_launched(void);
/** Meets the other ranks, or is alone when no launcher's environment says that there are others: that costs nothing, while MPI takes
 *  a fraction of a second to start. The caller leaves. Fails with TQ_ERR_UNSUPPORTED if there are others and the library was built
 *  without MPI, TQ_ERR_IO if MPI fails, TQ_ERR_STATE if the ranks were left before. */
TQ_API tq_status tq_ranks_join(tq_ranks **out_ranks);
/** Waits for the others to leave. NULL is fine. */
TQ_API void tq_ranks_leave(tq_ranks *ranks);
/** This rank, 0 .. count - 1; NULL is alone. */
TQ_API int tq_ranks_index(const tq_ranks *ranks);
TQ_API int tq_ranks_count(const tq_ranks *ranks);
/** data [size bytes]: those of rank 0 on every rank. All ranks call it. */
TQ_API tq_status tq_ranks_broadcast(tq_ranks *ranks, void *data, size_t size);
/** The link between neighbouring ranks, the slowest of them, as time = alpha + beta * bytes. */
typedef struct tq_ranks_link {
    double alpha_s;         /* seconds a message takes to start */
    double beta_s_per_byte; /* seconds each byte adds */
    double misfit;          /* the largest |fitted - measured| / measured */
} tq_ranks_link;
/** Sends messages of 0 B to 4 MiB to and fro between neighbours, takes the best time of each size and fits the line by least squares
 *  of the relative errors. The same numbers on all ranks; alone: zeros. All ranks call it. */
TQ_API tq_status tq_ranks_measure(tq_ranks *ranks, tq_ranks_link *out_link);
/** Called by a rank that failed, before it says so: ranks above 0 wait a moment, since a failure that all share is told by rank 0
 *  alone, whose abort ends them meanwhile. */
TQ_API void tq_ranks_give_way(const tq_ranks *ranks);
/** Ends all ranks, this one too, without waiting for any; the launcher returns exit_status. With one rank or NULL it returns, and the
 *  caller exits. */
TQ_API void tq_ranks_abort(tq_ranks *ranks, int exit_status);

#ifdef __cplusplus
}
#endif
#endif
