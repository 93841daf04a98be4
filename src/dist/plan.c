/* Who sends what to whom, so that additions associate as in tq_tree_sum. On each level of the tree
 * two children meet: spans of ranks, of which each has a holder of the child's sum. Who adds does
 * not matter, since a + b = b + a; that it is these two that are added does. Holders are opposite
 * each other: rank i of a child of a ranks meets rank i * b / a of the other child of b. With parts
 * rooted at all ranks in turn, as many bytes go each way over each link: with two ranks each sends
 * one half and receives the other, adds, and sends its half of the sum back. */
#include "dist/dist_internal.h"

static int span_length(tq_span span)
{
    return span.end - span.begin;
}

static bool span_has(tq_span span, int rank)
{
    return rank >= span.begin && rank < span.end;
}

/** The rank of span `to` opposite `rank` of span `from`. */
static int opposite(tq_span from, tq_span to, int rank)
{
    const int64_t offset = (int64_t)(rank - from.begin) * span_length(to) / span_length(from);
    return to.begin + (int)offset;
}

void tq_tree_path_init(tq_tree_path *path, int64_t n_shards, int n_ranks, int rank)
{
    *path = (tq_tree_path){ .rank = rank, .n_ranks = n_ranks };
    tq_span node = { 0, n_ranks };
    while (span_length(node) > 1) {
        const tq_tree_cut cut = tq_tree_split(n_shards, span_length(node));
        const tq_span left = { node.begin, node.begin + cut.n_left_ranks };
        const tq_span right = { left.end, node.end };
        const bool is_left = span_has(left, rank);
        path->levels[path->n_levels].own = is_left ? left : right;
        path->levels[path->n_levels++].other = is_left ? right : left;
        node = is_left ? left : right;
        n_shards = is_left ? cut.n_left_shards : n_shards - cut.n_left_shards;
    }
}

int tq_plan_most_rooted(const tq_tree_path *path)
{
    return 2 * path->n_levels + 2; /* once up and once down each, and the two messages with `up` */
}

int tq_plan_most_across(const tq_tree_path *path)
{
    return path->n_levels + path->n_ranks; /* one receive a level, one send to a rank at most */
}

static void add_move(tq_plan *plan, tq_move_kind kind, int peer, size_t offset, size_t size)
{
    plan->moves[plan->n_moves++] =
        (tq_move){ .kind = kind, .peer = peer, .offset = offset, .size = size };
}

static void end_group(tq_plan *plan)
{
    if (plan->n_moves > 0)
        plan->moves[plan->n_moves - 1].ends_group = true;
}

/** Whom this rank meets on the way from the leaves to `root`. */
typedef struct route {
    int up;     /* who takes over from this rank; -1: it is the root */
    int n_down; /* from whom it takes over, nearest to the root first */
    int down[TQ_MOST_LEVELS];
} route;

static route find_route(const tq_tree_path *path, int root)
{
    route found = { .up = -1 };
    int holder = root;
    for (int i = 0; i < path->n_levels; i++) {
        const tq_span own = path->levels[i].own, other = path->levels[i].other;
        if (span_has(own, holder)) {
            if (holder == path->rank)
                found.down[found.n_down++] = opposite(own, other, holder);
            continue;
        }
        const int mine = opposite(other, own, holder);
        if (mine == path->rank)
            found.up = holder;
        holder = mine;
    }
    return found;
}

static void plan_way_down(const route *way, size_t offset, size_t size, tq_plan *plan)
{
    if (way->up >= 0) {
        add_move(plan, TQ_MOVE_RECEIVE, way->up, offset, size);
        end_group(plan);
    }
    for (int i = 0; i < way->n_down; i++)
        add_move(plan, TQ_MOVE_SEND, way->down[i], offset, size);
    end_group(plan);
}

void tq_plan_sum(const tq_tree_path *path, int root, size_t offset, size_t size, tq_plan *plan)
{
    const route way = find_route(path, root);
    for (int i = way.n_down - 1; i >= 0; i--) {
        add_move(plan, TQ_MOVE_ADD, way.down[i], offset, size);
        end_group(plan);
    }
    if (way.up >= 0) {
        add_move(plan, TQ_MOVE_SEND, way.up, offset, size);
        end_group(plan);
    }
    plan_way_down(&way, offset, size, plan);
}

void tq_plan_broadcast(const tq_tree_path *path, int root, size_t offset, size_t size,
                       tq_plan *plan)
{
    const route way = find_route(path, root);
    plan_way_down(&way, offset, size, plan);
}

/** Sends to all ranks of the other child that are opposite this one. */
static void send_across(const tq_tree_path *path, int level, size_t offset, size_t size,
                        tq_plan *plan)
{
    const tq_span own = path->levels[level].own, other = path->levels[level].other;
    for (int peer = other.begin; peer < other.end; peer++)
        if (opposite(other, own, peer) == path->rank)
            add_move(plan, TQ_MOVE_SEND, peer, offset, size);
}

void tq_plan_exchange(const tq_tree_path *path, size_t offset, size_t size, tq_plan *plan)
{
    for (int i = path->n_levels - 1; i >= 0; i--) {
        const tq_span own = path->levels[i].own, other = path->levels[i].other;
        send_across(path, i, offset, size, plan);
        add_move(plan, TQ_MOVE_ADD, opposite(own, other, path->rank), offset, size);
        end_group(plan);
    }
}

void tq_plan_gather(const tq_tree_path *path, size_t row_size, const int64_t *row_begins,
                    tq_plan *plan)
{
    for (int i = path->n_levels - 1; i >= 0; i--) {
        const tq_span own = path->levels[i].own, other = path->levels[i].other;
        const size_t n_own = (size_t)(row_begins[own.end] - row_begins[own.begin]) * row_size;
        const size_t n_other = (size_t)(row_begins[other.end] - row_begins[other.begin]) * row_size;
        if (n_own > 0)
            send_across(path, i, (size_t)row_begins[own.begin] * row_size, n_own, plan);
        if (n_other > 0)
            add_move(plan, TQ_MOVE_RECEIVE, opposite(own, other, path->rank),
                     (size_t)row_begins[other.begin] * row_size, n_other);
        end_group(plan);
    }
}

/* Measured with 2 ranks of one machine: below SMALL one message in a row less outweighs the bytes
 * saved; parts of PART leave nothing to gain by overlap, and still fit the caches when they are
 * added. */
enum { SMALL = 64 << 10, SMALLEST_PART = 8 << 10, PART = 256 << 10, MOST_PARTS = 1024 };

static int at_most(size_t n, int most)
{
    return n < (size_t)most ? (int)n : most;
}

int tq_sum_n_parts(size_t size, int n_ranks)
{
    if (size <= SMALL)
        return 1;
    const int n = at_most(size / PART, MOST_PARTS);
    if (n >= n_ranks)
        return n / n_ranks * n_ranks; /* each rank is the root of as many */
    return at_most(size / SMALLEST_PART, n_ranks < MOST_PARTS ? n_ranks : MOST_PARTS);
}

int tq_broadcast_n_parts(size_t size)
{
    return size < PART ? 1 : at_most(size / PART, MOST_PARTS);
}
