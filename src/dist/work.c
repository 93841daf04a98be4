/* Runs the moves of collective operations. Each part of an operation goes from group to group on
 * its own, whenever its messages have ended, so any number of operations can be in flight, and
 * waiting for one moves all of them on: none can hold up another. Each part has a tag of its own;
 * all ranks begin operations in the same order and so count the same tags. */
#include "dist/dist_internal.h"

#include <sched.h>
#include <stdlib.h>

typedef struct part {
    tq_ranks_work *work;
    tq_plan plan;
    int group, n_done, n_pending; /* moves: first of the group under way, done; its open messages */
    int tag;
} part;

struct tq_ranks_work {
    tq_ranks *ranks;
    tq_ranks_work *next;
    tq_job job;
    int n_running; /* parts */
    int n_messages;
    int64_t first_tag;
    size_t capacity; /* bytes of memory */
    char *scratch;
    _Alignas(64) char memory[]; /* parts, their moves, scratch */
};

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

static part *parts_of(tq_ranks_work *work)
{
    return (part *)(void *)work->memory;
}

/** The smallest spare work with `size` bytes of memory, else a new one; NULL: memory is out. */
static tq_ranks_work *take_work(tq_ranks *ranks, size_t size)
{
    tq_ranks_work **best = NULL;
    for (tq_ranks_work **at = &ranks->spare; *at; at = &(*at)->next)
        if ((*at)->capacity >= size && (!best || (*at)->capacity < (*best)->capacity))
            best = at;
    if (best) {
        tq_ranks_work *work = *best;
        *best = work->next;
        return work;
    }
    tq_ranks_work *work = tq_allocate(sizeof *work + size);
    if (work)
        work->capacity = size;
    return work;
}

static void spare_work(tq_ranks_work *work)
{
    work->next = work->ranks->spare;
    work->ranks->spare = work;
}

void tq_work_free_spare(tq_ranks *ranks)
{
    while (ranks->spare) {
        tq_ranks_work *work = ranks->spare;
        ranks->spare = work->next;
        free(work);
    }
}

/** A move of more bytes than a message may have is several messages. */
static int count_messages(const tq_ranks *ranks, const tq_move *move)
{
    return move->size == 0 ? 1 : (int)((move->size - 1) / ranks->wire.message_size) + 1;
}

static tq_status post_move(part *p, const tq_move *move)
{
    const tq_ranks *ranks = p->work->ranks;
    char *base = move->kind == TQ_MOVE_ADD ? p->work->scratch : p->work->job.data;
    size_t begin = 0;
    for (int left = count_messages(ranks, move); left > 0; left--) {
        const size_t size = left > 1 ? ranks->wire.message_size : move->size - begin;
        const tq_message message = { .is_send = move->kind == TQ_MOVE_SEND,
                                     .peer = move->peer,
                                     .tag = p->tag,
                                     .data = base + move->offset + begin,
                                     .size = size,
                                     .owner = p };
        TQ_TRY(ranks->wire.transport->post(ranks->wire.state, &message));
        p->n_pending++;
        begin += size;
    }
    return TQ_OK;
}

/** Posts the group that begins after the moves that are done; the part has ended if there is none.
 */
static tq_status post_group(part *p)
{
    p->group = p->n_done;
    if (p->group == p->plan.n_moves) {
        p->work->n_running--;
        return TQ_OK;
    }
    bool ends = false;
    while (!ends) {
        const tq_move *move = &p->plan.moves[p->n_done++];
        ends = move->ends_group;
        TQ_TRY(post_move(p, move));
    }
    return TQ_OK;
}

/** A message of the part's group has ended. */
static tq_status advance(part *p)
{
    if (--p->n_pending > 0)
        return TQ_OK;
    const tq_ranks_work *work = p->work;
    for (int i = p->group; i < p->n_done; i++) {
        const tq_move *move = &p->plan.moves[i];
        if (move->kind == TQ_MOVE_ADD)
            work->job.add(work->job.data + move->offset, work->scratch + move->offset, move->size);
    }
    return post_group(p);
}

/** Moves on what can be moved on; *out_moved: was there anything? */
static tq_status poll(tq_ranks *ranks, bool *out_moved)
{
    void *const *owners;
    int n = 0;
    TQ_TRY(ranks->wire.transport->poll(ranks->wire.state, &owners, &n));
    for (int i = 0; i < n; i++)
        TQ_TRY(advance(owners[i]));
    *out_moved = n > 0;
    return TQ_OK;
}

/** Leaves the core to others when nothing has come for a while: there may be more ranks than cores.
 */
static tq_status wait_for(tq_ranks_work *work)
{
    enum { N_SPINS = 1000 };
    for (int n_idle = 0; work->n_running > 0; n_idle++) {
        bool has_moved;
        TQ_TRY(poll(work->ranks, &has_moved));
        if (has_moved)
            n_idle = 0;
        else if (n_idle > N_SPINS)
            sched_yield();
    }
    return TQ_OK;
}

/** Lays out parts, moves and scratch in the memory of `work` and writes the moves. */
static void plan_parts(tq_ranks_work *work)
{
    const tq_job *job = &work->job;
    part *parts = parts_of(work);
    tq_move *moves = (tq_move *)(void *)(work->memory + round_up(sizeof *parts * job->n_parts));
    work->scratch = (char *)moves + round_up(sizeof *moves * job->n_parts * job->n_most_moves);
    work->n_messages = 0;
    for (int i = 0; i < job->n_parts; i++) {
        parts[i] = (part){ .work = work, .plan.moves = moves + (size_t)i * job->n_most_moves };
        job->plan(work->ranks, job, i, &parts[i].plan);
        TQ_ASSERT(parts[i].plan.n_moves <= job->n_most_moves);
        for (int k = 0; k < parts[i].plan.n_moves; k++)
            work->n_messages += count_messages(work->ranks, &parts[i].plan.moves[k]);
    }
}

/** Gives each part the next tag. Tags come round: whoever is in flight since the last time is
 * waited for. */
static tq_status take_tags(tq_ranks_work *work)
{
    tq_ranks *ranks = work->ranks;
    const int n = work->job.n_parts, n_tags = ranks->wire.n_tags;
    TQ_ASSERT(n <= n_tags);
    for (tq_ranks_work *old = ranks->in_flight; old; old = old->next)
        if (ranks->next_tag + n - old->first_tag > n_tags)
            TQ_TRY(wait_for(old));
    work->first_tag = ranks->next_tag;
    for (int i = 0; i < n; i++)
        parts_of(work)[i].tag = (int)(ranks->next_tag++ % n_tags);
    return TQ_OK;
}

static void append_in_flight(tq_ranks_work *work)
{
    tq_ranks_work **at = &work->ranks->in_flight;
    while (*at)
        at = &(*at)->next;
    work->next = NULL;
    *at = work;
    work->ranks->n_messages += work->n_messages;
}

static void remove_in_flight(tq_ranks_work *work)
{
    tq_ranks_work **at = &work->ranks->in_flight;
    while (*at != work)
        at = &(*at)->next;
    *at = work->next;
    work->ranks->n_messages -= work->n_messages;
}

/** Plans the job and makes room for its messages. */
static tq_status prepare(tq_ranks *ranks, const tq_job *job, tq_ranks_work **out_work)
{
    const size_t n_parts = (size_t)job->n_parts;
    tq_ranks_work *work =
        take_work(ranks, round_up(sizeof(part) * n_parts) +
                             round_up(sizeof(tq_move) * n_parts * (size_t)job->n_most_moves) +
                             job->scratch_size);
    if (!work)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    work->ranks = ranks;
    work->job = *job;
    plan_parts(work);
    const tq_wire *wire = &ranks->wire;
    tq_status status = wire->transport->reserve(wire->state, ranks->n_messages + work->n_messages);
    if (!status)
        status = take_tags(work);
    if (status)
        spare_work(work);
    else
        *out_work = work;
    return status;
}

tq_status tq_work_begin(tq_ranks *ranks, const tq_job *job, tq_ranks_work **out_work)
{
    tq_ranks_work *work = NULL;
    TQ_TRY(prepare(ranks, job, &work));
    append_in_flight(work);
    work->n_running = job->n_parts;
    for (int i = 0; i < job->n_parts; i++)
        TQ_TRY(post_group(&parts_of(work)[i]));
    *out_work = work;
    return TQ_OK;
}

tq_status tq_work_run(tq_ranks *ranks, const tq_job *job)
{
    tq_ranks_work *work = NULL;
    TQ_TRY(tq_work_begin(ranks, job, &work));
    return tq_ranks_finish(work);
}

tq_status tq_ranks_progress(tq_ranks *ranks)
{
    bool has_moved = ranks && ranks->in_flight;
    while (has_moved)
        TQ_TRY(poll(ranks, &has_moved));
    return TQ_OK;
}

bool tq_ranks_work_is_done(const tq_ranks_work *work)
{
    return !work || work->n_running == 0;
}

tq_status tq_ranks_finish(tq_ranks_work *work)
{
    if (!work)
        return TQ_OK;
    TQ_TRY(wait_for(work));
    remove_in_flight(work);
    spare_work(work);
    return TQ_OK;
}
