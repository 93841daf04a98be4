/* Door of the room of ranks: processes that train one network together, each on its run of the
 * shards of the batch. Their sums have the bits that one process would get, however many there are:
 * the tree of tq_tree_sum over the shards is cut among the ranks (tq_tree_share), and the rest of
 * it runs between them.
 *
 * Every function is called by all ranks, in the same order, by the thread that joined; exceptions
 * are tq_ranks_index, _count, _progress, _finish (any order), _give_way and _abort. With one rank
 * all return at once. After a failure of one that talks to other ranks only tq_ranks_abort is of
 * use. */
#ifndef TQ_DIST_DIST_H
#define TQ_DIST_DIST_H

#include "base/base.h"

#include <truq/ranks.h>
#include <truq/threads.h>

/** A sum that goes on while its owner computes. */
typedef struct tq_ranks_work tq_ranks_work;

/** Fixes the tree of the sums to that of n_shards parts, of which this rank sums those that
 *  tq_tree_share(n_shards, count, index) says. TQ_ERR_VALUE if there are more ranks than shards. No
 * sum is in flight. */
tq_status tq_ranks_set_shards(tq_ranks *ranks, int64_t n_shards);

/** data [n]: in, the sum over this rank's shards; out, on every rank, the bits of tq_tree_sum over
 * all shards. Returns when the sum is there: made for few values and low latency. */
tq_status tq_ranks_sum_f32(tq_ranks *ranks, float *data, int64_t n);
tq_status tq_ranks_sum_f64(tq_ranks *ranks, double *data, int64_t n);

/** The same in the background: data is the ranks' until tq_ranks_finish(*out_work). Any number may
 * be in flight, other calls may come in between. With one rank *out_work is NULL. */
tq_status tq_ranks_begin_sum_f32(tq_ranks *ranks, float *data, int64_t n, tq_ranks_work **out_work);
/** Moves on all that is in flight, as far as it goes without waiting; cheap enough to be called
 * between any two phases of work. */
tq_status tq_ranks_progress(tq_ranks *ranks);
/** Is the sum there, so that finish would not wait? NULL is. */
bool tq_ranks_work_is_done(const tq_ranks_work *work);
/** Waits for the sum and gives `work` back; NULL is fine. */
tq_status tq_ranks_finish(tq_ranks_work *work);

/** rows: all of them, in the order of the ranks, each row_size bytes; rank r has filled those from
 *  row_begins[r] up to row_begins[r + 1] (row_begins [count + 1], the same on all ranks; a rank may
 * have none). Out, on every rank: all rows. */
tq_status tq_ranks_gather_rows(tq_ranks *ranks, void *rows, size_t row_size,
                               const int64_t *row_begins);
/** TQ_ERR_STATE on all ranks, naming the first rank whose bytes differ from those of rank 0 (by
 * their number and a 64-bit checksum) and `what` they are: "recipe". */
tq_status tq_ranks_agree(tq_ranks *ranks, const char *what, const void *data, size_t size);

#endif
