/* Weights between ONNX's layout and oneDNN's blocks, on the pool. A blocked layout cuts each axis
 * into blocks; the elements of one block of all axes lie together, in the order of a table that is
 * the same for all blocks. */
#include "base/base.h"
#include "kernels/f32/blocks_internal.h"
#include "kernels/f32/dnnl_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_AXES = 5, MAX_INNER = 1024 };

/** Blocks of squares of the registers' width are moved row by row, or transposed. */
typedef enum way { ANY, ROWS, TRANSPOSED } way;

struct tq_pack {
    int n_axes, n_inner;
    int64_t dims[MAX_AXES], plain_strides[MAX_AXES];
    int64_t n_blocks[MAX_AXES], block[MAX_AXES], strides[MAX_AXES];
    struct inner *inner;
    way way;
    bool is_half; /* the blocks are bf16 */
    int64_t row;  /* floats between rows of a square in ONNX's layout */
    const tq_blocks *blocks;
};

/** An element of a block. */
struct inner {
    int64_t plain; /* offset from the block's first element in ONNX's layout */
    int16_t index[MAX_AXES];
};

/** Where element `t` of a block lies on each axis: inner blocks count like digits, the last
 * fastest.
 */
static void find_inner(const tq_pack *p, const dnnl_blocking_desc_t *b, int t, struct inner *out)
{
    int64_t unit[MAX_AXES] = { 1, 1, 1, 1, 1 };
    for (int k = b->inner_nblks; k-- > 0; t /= (int)b->inner_blks[k]) {
        const int d = (int)b->inner_idxs[k];
        const int64_t step = t % b->inner_blks[k] * unit[d];
        out->index[d] = (int16_t)(out->index[d] + step);
        out->plain += step * p->plain_strides[d];
        unit[d] *= b->inner_blks[k];
    }
}

/** Is element (a, b) of every block, b fastest, at a * row + b (or b * row + a, transposed)? In
 * bf16 rows come in pairs: b counts from 0 for both, a's last bit fastest. */
static bool is_square(const tq_pack *p, int64_t row, bool is_transposed)
{
    const int width = p->blocks->block, pair = p->is_half ? 2 : 1;
    bool same = p->n_inner == width * width;
    for (int t = 0; same && t < p->n_inner; t++) {
        const int64_t a = t / (pair * width) * pair + t % pair, b = t / pair % width;
        same = p->inner[t].plain == (is_transposed ? b * row + a : a * row + b);
    }
    return same;
}

static void find_way(tq_pack *p)
{
    p->blocks = tq_blocks_best();
    if (!p->blocks || p->n_inner <= 2 * p->blocks->block)
        return;
    const int next_a = p->is_half ? 1 : p->blocks->block, next_b = p->is_half ? 2 : 1;
    const int64_t next = p->inner[next_b].plain, below = p->inner[next_a].plain;
    if (is_square(p, below, false)) {
        p->way = ROWS;
        p->row = below;
    } else if (is_square(p, next, true)) {
        p->way = TRANSPOSED;
        p->row = next;
    }
}

static bool fill(tq_pack *p, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *blocked)
{
    const dnnl_blocking_desc_t *b = &blocked->format_desc.blocking;
    p->n_axes = blocked->ndims;
    p->is_half = blocked->data_type == dnnl_bf16;
    p->n_inner = 1;
    for (int d = 0; d < p->n_axes; d++)
        p->block[d] = 1;
    for (int k = 0; k < b->inner_nblks; k++) {
        p->block[b->inner_idxs[k]] *= b->inner_blks[k];
        p->n_inner *= (int)b->inner_blks[k];
    }
    for (int d = 0; d < p->n_axes; d++) {
        p->dims[d] = plain->dims[d];
        p->plain_strides[d] = plain->format_desc.blocking.strides[d];
        p->n_blocks[d] = blocked->padded_dims[d] / p->block[d];
        p->strides[d] = b->strides[d];
    }
    p->inner = p->n_inner <= MAX_INNER ? tq_allocate((size_t)p->n_inner * sizeof *p->inner) : NULL;
    for (int t = 0; p->inner && t < p->n_inner; t++)
        find_inner(p, b, t, &p->inner[t]);
    if (p->inner)
        find_way(p);
    return p->inner;
}

tq_status tq_pack_create(const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *blocked,
                         tq_pack **out_pack)
{
    *out_pack = NULL;
    if (dnnl_memory_desc_equal(plain, blocked))
        return TQ_OK;
    if (blocked->format_kind != dnnl_blocked || blocked->ndims > MAX_AXES ||
        (blocked->data_type != dnnl_f32 && blocked->data_type != dnnl_bf16))
        return tq_fail(TQ_ERR_UNSUPPORTED, "onednn wants weights in a layout without blocks");
    tq_pack *p = tq_allocate(sizeof *p);
    if (!p || !fill(p, plain, blocked)) {
        free(p);
        return tq_fail(TQ_ERR_MEMORY, "no memory for the layout of a weight");
    }
    *out_pack = p;
    return TQ_OK;
}

void tq_pack_destroy(tq_pack *pack)
{
    if (pack)
        free(pack->inner);
    free(pack);
}

/* ---- running ---------------------------------------------------------------------------------
 */

typedef struct job {
    const tq_pack *p;
    const float *from;
    float *to;
    uint16_t *half; /* instead of `to` */
    bool is_back;
} job;

/** Does element t of the block that begins at `first` exist? */
static bool exists(const tq_pack *p, const int64_t *first, int t)
{
    bool inside = true;
    for (int d = 0; d < p->n_axes; d++)
        inside &= first[d] + p->inner[t].index[d] < p->dims[d];
    return inside;
}

static void move_whole(const job *j, int64_t plain, int64_t blocked)
{
    const tq_pack *p = j->p;
    const float *from = j->from + (j->is_back ? blocked : plain);
    float *to = j->to + (j->is_back ? plain : blocked);
    const int width = p->blocks ? p->blocks->block : 0;
    const int64_t from_row = j->is_back ? width : p->row, to_row = j->is_back ? p->row : width;
    if (p->way == TRANSPOSED)
        p->blocks->transpose(from, from_row, to, to_row);
    else if (p->way == ROWS)
        for (int i = 0; i < width; i++)
            memcpy(to + i * to_row, from + i * from_row, (size_t)width * sizeof(float));
    else if (j->is_back)
        for (int t = 0; t < p->n_inner; t++)
            to[p->inner[t].plain] = from[t];
    else
        for (int t = 0; t < p->n_inner; t++)
            to[t] = from[p->inner[t].plain];
}

/** The elements of one block that exist. */
static void move_some(const job *j, const int64_t *first, int64_t plain, int64_t blocked)
{
    const tq_pack *p = j->p;
    for (int t = 0; t < p->n_inner; t++) {
        const bool is_there = exists(p, first, t);
        if (!j->is_back)
            j->to[blocked + t] = is_there ? j->from[plain + p->inner[t].plain] : 0.0f;
        else if (is_there)
            j->to[plain + p->inner[t].plain] = j->from[blocked + t];
    }
}

/** A block of bf16. */
static void round_block(const job *j, const int64_t *first, bool is_whole, int64_t plain,
                        uint16_t *half)
{
    const tq_pack *p = j->p;
    const int width = p->blocks->block;
    float block[MAX_INNER];
    const job here = { .p = p, .from = j->from, .to = block };
    if (is_whole && p->way == ROWS) {
        p->blocks->pair_rows(j->from + plain, p->row, half);
    } else if (is_whole && p->way == TRANSPOSED) {
        p->blocks->transpose(j->from + plain, p->row, block, width);
        p->blocks->pair_rows(block, width, half);
    } else {
        move_some(&here, first, plain, 0);
        p->blocks->to_half(p->n_inner, block, half);
    }
}

static void move_block(const job *j, const int64_t *at)
{
    const tq_pack *p = j->p;
    int64_t first[MAX_AXES], plain = 0, blocked = 0;
    bool is_whole = true;
    for (int d = 0; d < p->n_axes; d++) {
        first[d] = at[d] * p->block[d];
        plain += first[d] * p->plain_strides[d];
        blocked += at[d] * p->strides[d];
        is_whole &= first[d] + p->block[d] <= p->dims[d];
    }
    if (j->half)
        round_block(j, first, is_whole, plain, j->half + blocked);
    else if (is_whole)
        move_whole(j, plain, blocked);
    else
        move_some(j, first, plain, blocked);
}

/** All blocks with the same place on the first two axes. */
static void move_piece(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_pack *p = j->p;
    int64_t at[MAX_AXES] = { piece / p->n_blocks[1], piece % p->n_blocks[1] };
    int d;
    do {
        move_block(j, at);
        for (d = p->n_axes - 1; d > 1 && ++at[d] == p->n_blocks[d]; d--)
            at[d] = 0;
    } while (d > 1);
}

void tq_pack_run(const tq_pack *pack, tq_pool *pool, const float *plain, void *blocked)
{
    job j = { .p = pack, .from = plain };
    if (pack->is_half)
        j.half = blocked;
    else
        j.to = blocked;
    tq_parallel_for(pool, pack->n_blocks[0] * pack->n_blocks[1], move_piece, &j);
}

void tq_unpack_run(const tq_pack *pack, tq_pool *pool, const float *blocked, float *plain)
{
    job j = { .p = pack, .from = blocked, .to = plain, .is_back = true };
    tq_parallel_for(pool, pack->n_blocks[0] * pack->n_blocks[1], move_piece, &j);
}
