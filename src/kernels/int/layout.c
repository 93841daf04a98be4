/* Layouts with channels innermost, and the layers that bring plain codes into one and back. */
#include "base/base.h"
#include "kernels/int/layer_internal.h"
#include "kernels/int/planes_internal.h"

#include <stdlib.h>
#include <string.h>

enum { READ_AHEAD = 256, ALIGNMENT = 64 };

tq_codes_layout tq_codes_layout_make(const tq_type *type, const tq_border *border)
{
    tq_codes_layout l = { .n = type->dims[0], .c = type->dims[1], .h = 1, .w = 1 };
    if (type->rank > 2)
        l.w = type->dims[type->rank - 1];
    if (type->rank > 3)
        l.h = type->dims[2];
    l.border = *border;
    l.is_signed = type->dtype == TQ_I8;
    l.pixel = l.c;
    l.row = (l.w + border->left + border->right) * l.pixel;
    l.image = (l.h + border->top + border->bottom) * l.row;
    l.size = ((size_t)(l.n * l.image) + READ_AHEAD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return l;
}

bool tq_codes_layout_fits(int64_t n, int64_t c, int64_t h, int64_t w, const tq_border *b)
{
    const double rows = (double)h + (double)b->top + (double)b->bottom;
    const double pixels = rows * ((double)w + (double)b->left + (double)b->right);
    return (double)n * (double)c * pixels < 0x1p40;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

tq_border tq_border_join(const tq_border *a, const tq_border *b)
{
    return (tq_border){ most(a->top, b->top), most(a->left, b->left), most(a->bottom, b->bottom),
                        most(a->right, b->right), b->fill };
}

bool tq_codes_layout_is_dense(const tq_codes_layout *l)
{
    const tq_border *b = &l->border;
    return b->top == 0 && b->left == 0 && b->bottom == 0 && b->right == 0;
}

void tq_codes_layout_fill(const tq_codes_layout *l, uint8_t *data, int64_t n, int64_t row)
{
    const tq_border *b = &l->border;
    if (tq_codes_layout_is_dense(l))
        return;
    uint8_t *image = data + n * l->image, *first = image + (row + b->top) * l->row;
    const size_t right = (size_t)(b->right * l->pixel), left = (size_t)(b->left * l->pixel);
    if (row == 0)
        memset(image, b->fill, (size_t)(b->top * l->row));
    memset(first, b->fill, left);
    memset(first + l->row - b->right * l->pixel, b->fill, right);
    if (row == l->h - 1)
        memset(first + l->row, b->fill, (size_t)(b->bottom * l->row));
}

void tq_layer_destroy(tq_layer *layer)
{
    if (layer)
        layer->kind->release(layer);
}

tq_status tq_layer_new(const tq_layer_kind *kind, int n_in, size_t size, void *out_layer)
{
    tq_layer *layer = tq_allocate(size);
    if (!layer)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a layer");
    layer->kind = kind;
    layer->n_in = n_in;
    *(tq_layer **)out_layer = layer;
    return TQ_OK;
}

static void place_nothing(tq_layer *layer)
{
    (void)layer;
}

static void release(tq_layer *layer)
{
    free(layer);
}

/** Rows of images are shared out. */
static int64_t count_pieces(const tq_codes_layout *l)
{
    enum { MOST_PIECES = 16 };
    return tq_clip_i64(l->n * l->h, 1, MOST_PIECES);
}

/* ---- plain codes to a layout -------------------------------------------------------------- */

typedef struct pack_layer {
    tq_layer base;
    const tq_planes_variant *variant;
} pack_layer;

typedef struct job {
    const tq_layer *layer;
    const uint8_t *x;
    uint8_t *y;
} job;

static void pack_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_codes_layout *l = &j->layer->out;
    int64_t first, end;
    tq_shard_range(l->n * l->h, count_pieces(l), i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const int64_t n = k / l->h, row = k % l->h;
        tq_codes_layout_fill(l, j->y, n, row);
        ((const pack_layer *)j->layer)
            ->variant->join(&(tq_planes_run){ .x = j->x + n * l->c * l->h * l->w + row * l->w,
                                              .plane = l->h * l->w,
                                              .y = tq_codes_layout_out(l, j->y, n, row),
                                              .n = l->w,
                                              .c = l->c,
                                              .flip = l->is_signed ? 0x80 : 0 });
    }
}

static void pack(const tq_layer *layer, const tq_layer_run *run)
{
    job j = { layer, run->in[0], run->out };
    tq_parallel_for(run->pool, count_pieces(&layer->out), pack_piece, &j);
}

static const tq_layer_kind pack_kind = {
    .brief = "to channels innermost", .place = place_nothing, .run = pack, .release = release
};

tq_status tq_layer_pack_create(tq_layer **out_layer)
{
    pack_layer *l = NULL;
    TQ_TRY(tq_layer_new(&pack_kind, 1, sizeof *l, &l));
    for (l->variant = tq_planes_variants;
         (l->variant->needs & tq_cpu_flags()) != l->variant->needs;)
        l->variant++;
    *out_layer = &l->base;
    return TQ_OK;
}

/* ---- and back ----------------------------------------------------------------------------- */

static void unpack_row(const tq_codes_layout *l, const uint8_t *x, uint8_t *y)
{
    const uint8_t flip = l->is_signed ? 0x80 : 0;
    for (int64_t c = 0; c < l->c; c++)
        for (int64_t k = 0; k < l->w; k++)
            y[c * l->h * l->w + k] = x[k * l->pixel + c] ^ flip;
}

static void unpack_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_codes_layout *l = &j->layer->in[0];
    int64_t first, end;
    tq_shard_range(l->n * l->h, count_pieces(l), i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const int64_t n = k / l->h, row = k % l->h;
        unpack_row(l, tq_codes_layout_in(l, j->x, n, row),
                   j->y + n * l->c * l->h * l->w + row * l->w);
    }
}

static void unpack(const tq_layer *layer, const tq_layer_run *run)
{
    job j = { layer, run->in[0], run->out };
    tq_parallel_for(run->pool, count_pieces(&layer->in[0]), unpack_piece, &j);
}

static const tq_layer_kind unpack_kind = {
    .brief = "to planes", .place = place_nothing, .run = unpack, .release = release
};

tq_status tq_layer_unpack_create(tq_layer **out_layer)
{
    TQ_TRY(tq_layer_new(&unpack_kind, 1, sizeof(tq_layer), out_layer));
    (*out_layer)->is_out_plain = true;
    return TQ_OK;
}

/* ---- one layout to another ------------------------------------------------------------------ */

static void move_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_codes_layout *from = &j->layer->in[0], *to = &j->layer->out;
    int64_t first, end;
    tq_shard_range(to->n * to->h, count_pieces(to), i, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const int64_t n = k / to->h, row = k % to->h;
        tq_codes_layout_fill(to, j->y, n, row);
        memcpy(tq_codes_layout_out(to, j->y, n, row), tq_codes_layout_in(from, j->x, n, row),
               (size_t)(to->w * to->pixel));
    }
}

static void move(const tq_layer *layer, const tq_layer_run *run)
{
    job j = { layer, run->in[0], run->out };
    tq_parallel_for(run->pool, count_pieces(&layer->out), move_piece, &j);
}

static const tq_layer_kind move_kind = {
    .brief = "to another border", .place = place_nothing, .run = move, .release = release
};

tq_status tq_layer_move_create(tq_layer **out_layer)
{
    return tq_layer_new(&move_kind, 1, sizeof(tq_layer), out_layer);
}
