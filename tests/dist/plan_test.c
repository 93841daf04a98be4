/* The moves of all ranks, played in one process: what each rank ends with. */
#include "check.h"
#include "dist/dist_internal.h"

enum { MOST_RANKS = 20, N_VALUES = 3, SIZE = N_VALUES * sizeof(float) };

/** One rank: its data and how far it is. */
typedef struct player {
    tq_tree_path path;
    tq_plan plan;
    tq_move moves[4 * MOST_RANKS];
    float data[MOST_RANKS * N_VALUES];
    int next;
    bool has_sent[4 * MOST_RANKS];
} player;

/** The message under way from one rank to another. */
typedef struct letter {
    bool is_there;
    size_t size;
    float data[MOST_RANKS * N_VALUES];
} letter;

static player players[MOST_RANKS];
static letter letters[MOST_RANKS][MOST_RANKS]; /* [from][to] */

/** Plays one move if it can go on: a send at once, the others when the letter is there. */
static bool play_move(player *p, const tq_move *move)
{
    const int rank = p->path.rank;
    letter *mail = move->kind == TQ_MOVE_SEND ? &letters[rank][move->peer] : &letters[move->peer][rank];
    char *here = (char *)p->data + move->offset;
    if (mail->is_there != (move->kind != TQ_MOVE_SEND))
        return false;
    mail->is_there = !mail->is_there;
    if (move->kind == TQ_MOVE_SEND) {
        mail->size = move->size;
        memcpy(mail->data, here, move->size);
        return true;
    }
    CHECK_EQ(mail->size, move->size);
    for (size_t i = 0; i < move->size / sizeof(float); i++) {
        float *to = (float *)(void *)here + i;
        *to = move->kind == TQ_MOVE_ADD ? *to + mail->data[i] : mail->data[i];
    }
    return true;
}

/** Plays the group under way: its sends first, all of the same state of the data, then the rest. */
static bool play_group(player *p)
{
    bool has_moved = false;
    int end = p->next;
    while (!p->plan.moves[end++].ends_group)
        ;
    for (int i = p->next; i < end; i++)
        if (p->moves[i].kind == TQ_MOVE_SEND && !p->has_sent[i] && play_move(p, &p->moves[i]))
            has_moved = p->has_sent[i] = true;
    for (int i = p->next; i < end; i++)
        if (p->moves[i].kind == TQ_MOVE_SEND && !p->has_sent[i])
            return has_moved;
    for (int i = p->next; i < end; i++)
        if (p->moves[i].kind != TQ_MOVE_SEND && !play_move(p, &p->moves[i]))
            return has_moved;
    p->next = end;
    return true;
}

/** Plays until no rank can go on; then all must have ended and no letter be left. */
static void play(int n_ranks)
{
    for (bool has_moved = true; has_moved;) {
        has_moved = false;
        for (int i = 0; i < n_ranks; i++)
            if (players[i].next < players[i].plan.n_moves)
                has_moved |= play_group(&players[i]);
    }
    for (int i = 0; i < n_ranks; i++) {
        CHECK_EQ(players[i].next, players[i].plan.n_moves, "rank %d of %d is stuck", i, n_ranks);
        for (int k = 0; k < n_ranks; k++)
            CHECK(!letters[i][k].is_there);
    }
}

static void seat(int64_t n_shards, int n_ranks)
{
    for (int i = 0; i < n_ranks; i++) {
        memset(&players[i], 0, sizeof players[i]);
        tq_tree_path_init(&players[i].path, n_shards, n_ranks, i);
        players[i].plan.moves = players[i].moves;
        CHECK(tq_plan_most_rooted(&players[i].path) <= 4 * MOST_RANKS);
        CHECK(tq_plan_most_across(&players[i].path) <= 4 * MOST_RANKS);
    }
}

/** Fills in the sums of all ranks' runs of random shards; returns the sum over all shards. */
static const float *deal_shards(int64_t n_shards, int n_ranks, uint64_t seed)
{
    static float whole[40 * N_VALUES];
    float run[40 * N_VALUES];
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int i = 0; i < n_shards * N_VALUES; i++)
        whole[i] = (float)(tq_random_normal(&random) * exp(6 * tq_random_normal(&random)));
    for (int rank = 0; rank < n_ranks; rank++) {
        int64_t begin, end;
        tq_tree_share(n_shards, n_ranks, rank, &begin, &end);
        memcpy(run, whole + begin * N_VALUES, (size_t)(end - begin) * SIZE);
        tq_tree_sum(run, end - begin, N_VALUES, N_VALUES);
        memcpy(players[rank].data, run, SIZE);
    }
    tq_tree_sum(whole, n_shards, N_VALUES, N_VALUES);
    return whole;
}

/** All ranks hold the bits of the whole sum after the plan that `root` says; -1: exchange. */
static void check_sum(int64_t n_shards, int n_ranks, int root)
{
    seat(n_shards, n_ranks);
    const float *whole = deal_shards(n_shards, n_ranks, (uint64_t)(n_shards * 100 + n_ranks));
    for (int i = 0; i < n_ranks; i++) {
        const tq_tree_path *path = &players[i].path;
        if (root < 0)
            tq_plan_exchange(path, 0, SIZE, &players[i].plan);
        else
            tq_plan_sum(path, root, 0, SIZE, &players[i].plan);
        CHECK(players[i].plan.n_moves <= (root < 0 ? tq_plan_most_across(path) : tq_plan_most_rooted(path)));
    }
    play(n_ranks);
    for (int i = 0; i < n_ranks; i++)
        CHECK_EQ(memcmp(players[i].data, whole, SIZE), 0, "rank %d of %d, %d shards, root %d", i, n_ranks,
                 (int)n_shards, root);
}

TEST(a_sum_over_any_root_has_the_bits_of_the_tree)
{
    for (int n_shards = 1; n_shards <= 20; n_shards++)
        for (int n_ranks = 1; n_ranks <= n_shards; n_ranks++)
            for (int root = 0; root < n_ranks; root++)
                check_sum(n_shards, n_ranks, root);
}

TEST(an_exchange_has_the_bits_of_the_tree)
{
    for (int n_shards = 1; n_shards <= 20; n_shards++)
        for (int n_ranks = 1; n_ranks <= n_shards; n_ranks++)
            check_sum(n_shards, n_ranks, -1);
}

TEST(a_gather_fills_in_the_rows_of_all)
{
    for (int n_ranks = 1; n_ranks <= MOST_RANKS; n_ranks++) {
        int64_t begins[MOST_RANKS + 1] = { 0 };
        for (int i = 0; i < n_ranks; i++)
            begins[i + 1] = begins[i] + i * 7 % 3; /* 0, 1, 2, 0, ... rows */
        seat(n_ranks, n_ranks);
        for (int i = 0; i < n_ranks; i++) {
            for (int64_t k = begins[i] * N_VALUES; k < begins[i + 1] * N_VALUES; k++)
                players[i].data[k] = (float)(k + 1);
            tq_plan_gather(&players[i].path, SIZE, begins, &players[i].plan);
        }
        play(n_ranks);
        for (int i = 0; i < n_ranks; i++)
            for (int k = 0; k < begins[n_ranks] * N_VALUES; k++)
                CHECK_EQ(players[i].data[k], k + 1, "rank %d of %d", i, n_ranks);
    }
}

TEST(a_broadcast_reaches_all_with_one_message_each)
{
    for (int n_ranks = 1; n_ranks <= MOST_RANKS; n_ranks++) {
        int n_received = 0;
        seat(MOST_RANKS + 3, n_ranks);
        players[0].data[1] = 5;
        for (int i = 0; i < n_ranks; i++)
            tq_plan_broadcast(&players[i].path, 0, 0, SIZE, &players[i].plan);
        play(n_ranks);
        for (int i = 0; i < n_ranks; i++) {
            CHECK_EQ(players[i].data[1], 5, "rank %d of %d", i, n_ranks);
            for (int k = 0; k < players[i].plan.n_moves; k++)
                n_received += players[i].moves[k].kind == TQ_MOVE_RECEIVE;
        }
        CHECK_EQ(n_received, n_ranks - 1);
    }
}

TEST(two_ranks_send_as_much_as_they_receive)
{
    const int n_parts = tq_sum_n_parts(10 << 20, 2);
    CHECK_EQ(n_parts % 2, 0);
    seat(16, 2);
    int n_adds = 0;
    for (int part = 0; part < n_parts; part++) {
        players[0].plan.n_moves = 0;
        tq_plan_sum(&players[0].path, part * 2 / n_parts, 0, SIZE, &players[0].plan);
        CHECK_EQ(players[0].plan.n_moves, 2);
        n_adds += players[0].moves[0].kind == TQ_MOVE_ADD;
    }
    CHECK_EQ(n_adds, n_parts / 2);
}

TEST(small_sums_are_exchanged_and_large_ones_cut)
{
    CHECK_EQ(tq_sum_n_parts(1536 * sizeof(double), 2), 1);
    CHECK_EQ(tq_sum_n_parts(100 << 10, 2), 2);
    CHECK_EQ(tq_sum_n_parts(100 << 10, 1024), 12);
    CHECK_EQ(tq_sum_n_parts((size_t)1 << 40, 3), 1023);
    CHECK_EQ(tq_sum_n_parts((size_t)1 << 40, 100000), 1024);
    CHECK_EQ(tq_broadcast_n_parts(1), 1);
    CHECK_EQ(tq_broadcast_n_parts(1 << 20), 4);
}
