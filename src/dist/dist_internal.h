/* What the files of the room of ranks share. A collective operation is cut into parts; a part is a
 * list of moves (messages to send, to receive, to receive and add) in groups: the messages of a
 * group travel together, and the next group starts when all have arrived. plan.c writes the moves,
 * work.c runs them over a transport, mpi.c is that transport. */
#ifndef TQ_DIST_DIST_INTERNAL_H
#define TQ_DIST_DIST_INTERNAL_H

#include "dist/dist.h"

/* ---- plan.c: pure functions of the tree and this rank -------------------------------------------
 */

/** Neighbouring ranks that share one node of the tree. */
typedef struct tq_span {
    int begin, end;
} tq_span;

/** The nodes from the root of the tree down to one rank: on each level the child that holds the
 * rank and the other one. */
enum { TQ_MOST_LEVELS = 64 };
typedef struct tq_tree_path {
    int rank, n_ranks, n_levels;
    struct {
        tq_span own, other;
    } levels[TQ_MOST_LEVELS];
} tq_tree_path;
void tq_tree_path_init(tq_tree_path *path, int64_t n_shards, int n_ranks, int rank);

typedef enum tq_move_kind { TQ_MOVE_SEND, TQ_MOVE_RECEIVE, TQ_MOVE_ADD } tq_move_kind;
typedef struct tq_move {
    tq_move_kind kind;
    bool ends_group;
    int peer;
    size_t offset, size; /* of the bytes, in the data of the operation */
} tq_move;
typedef struct tq_plan {
    tq_move *moves;
    int n_moves;
} tq_plan;
/** Room for the moves of a plan with a root (sum, broadcast) and of one across (exchange, gather).
 */
int tq_plan_most_rooted(const tq_tree_path *path);
int tq_plan_most_across(const tq_tree_path *path);

/** Adds all ranks' `size` bytes at `offset` along the tree: up to `root`, then the sum back down. A
 * rank sends each byte up once and gets it back once. */
void tq_plan_sum(const tq_tree_path *path, int root, size_t offset, size_t size, tq_plan *plan);
/** The same without a root: on every level both children send each other all they have, so that no
 * way back is needed. Half the messages in a row, more bytes. */
void tq_plan_exchange(const tq_tree_path *path, size_t offset, size_t size, tq_plan *plan);
void tq_plan_gather(const tq_tree_path *path, size_t row_size, const int64_t *row_begins,
                    tq_plan *plan);
void tq_plan_broadcast(const tq_tree_path *path, int root, size_t offset, size_t size,
                       tq_plan *plan);

/** How many parts a sum of `size` bytes is cut into; 1: it is exchanged. */
int tq_sum_n_parts(size_t size, int n_ranks);
/** How many parts a broadcast of `size` bytes is cut into, so that a rank passes on what it has
 * while it receives more. */
int tq_broadcast_n_parts(size_t size);

/* ---- the transport: mpi.c, or alone.c, which never gets far enough to have one
 * ---------------------- */

typedef struct tq_message {
    bool is_send;
    int peer, tag;
    void *data; /* a send only reads it */
    size_t size;
    void *owner;
} tq_message;

/** Messages between two ranks with one tag arrive in the order they were posted. */
typedef struct tq_transport {
    /** Makes room for n messages in flight. */
    tq_status (*reserve)(void *wire, int n);
    tq_status (*post)(void *wire, const tq_message *message);
    /** The owners of messages that ended since the last call, in any order; borrowed until the
     * next. */
    tq_status (*poll)(void *wire, void *const **out_owners, int *out_n);
    void (*leave)(void *wire);
    void (*abort)(int exit_status);
} tq_transport;

typedef struct tq_wire {
    const tq_transport *transport;
    void *state;
    int index, n_ranks;
    int n_tags;          /* tags are 0 .. n_tags - 1 */
    size_t message_size; /* no message is larger */
} tq_wire;
tq_status tq_wire_join(tq_wire *out_wire);

/* ---- work.c -----------------------------------------------------------------------------------
 */

struct tq_ranks {
    tq_wire wire; /* without a transport: alone */
    tq_tree_path path;
    int64_t next_tag;
    int n_messages;                   /* of the work in flight: room for them is reserved */
    tq_ranks_work *in_flight, *spare; /* in flight: oldest first; spare: for the next */
};

/** What one collective operation does. */
typedef struct tq_job {
    char *data;
    size_t size, scratch_size;                            /* scratch: size if a move adds, else 0 */
    void (*add)(void *to, const void *from, size_t size); /* for moves that add */
    int n_parts, n_most_moves;                            /* most: in one part */
    void (*plan)(const tq_ranks *ranks, const struct tq_job *job, int part, tq_plan *plan);
    const void *context; /* for plan */
} tq_job;
tq_status tq_work_begin(tq_ranks *ranks, const tq_job *job, tq_ranks_work **out_work);
/** Begins and finishes. */
tq_status tq_work_run(tq_ranks *ranks, const tq_job *job);
void tq_work_free_spare(tq_ranks *ranks);

#endif
