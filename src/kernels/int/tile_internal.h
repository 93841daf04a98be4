/* Products of u8 columns with i8 rows, 64 columns at a time: the core of every integer layer.
 * Arithmetic is modulo 2^32, so every variant and every order gives the same bits. */
#ifndef TQ_KERNELS_INT_TILE_INTERNAL_H
#define TQ_KERNELS_INT_TILE_INTERNAL_H

#include <truq/op.h>

enum { TQ_TILE_COLUMNS = 64, TQ_TILE_GROUP = 4, TQ_TILE_PANEL = TQ_TILE_COLUMNS * TQ_TILE_GROUP };

typedef struct tq_tile_variant {
    const char *name;
    unsigned needs;
    /** One group of a panel: byte j of column i is rows[j][i]. The order of columns inside the 256
     * bytes is the variant's own. */
    void (*pack)(const uint8_t *const rows[TQ_TILE_GROUP], uint8_t *group);
    /** Where the four bytes of a column go, counted in columns. */
    int (*place)(int column);
    /** out[r][i] = offset[r] + sum over k < 4 n_groups of panel(k, i) * w[r * w_stride + k]. */
    void (*multiply)(int64_t n_groups, int64_t n_rows, const uint8_t *panel, const int8_t *w,
                     int64_t w_stride, const int32_t *offset, int32_t *out);
    /** Sum of a[k] * w[k], reading nothing beyond n. */
    int32_t (*dot)(int64_t n, const uint8_t *a, const int8_t *w);
} tq_tile_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_tile_variant tq_tile_variants[];
const tq_tile_variant *tq_tile_best(void);

/* Variants in files of their own. */
void tq_tile_pack_portable(const uint8_t *const rows[TQ_TILE_GROUP], uint8_t *group);
void tq_tile_pack_avx512vnni(const uint8_t *const rows[TQ_TILE_GROUP], uint8_t *group);
int tq_tile_place_avx512vnni(int column);
void tq_tile_multiply_avx512vnni(int64_t n_groups, int64_t n_rows, const uint8_t *panel,
                                 const int8_t *w, int64_t w_stride, const int32_t *offset,
                                 int32_t *out);
int32_t tq_tile_dot_avx512vnni(int64_t n, const uint8_t *a, const int8_t *w);
void tq_tile_multiply_avx2(int64_t n_groups, int64_t n_rows, const uint8_t *panel, const int8_t *w,
                           int64_t w_stride, const int32_t *offset, int32_t *out);
int32_t tq_tile_dot_avx2(int64_t n, const uint8_t *a, const int8_t *w);

#endif
