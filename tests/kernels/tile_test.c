/* Every variant of the integer inner loops equals the definition, and reads nothing beyond its
 * arrays. */
#include "check.h"
#include "kernels/int/requant_internal.h"
#include "kernels/int/tile_internal.h"

#include <string.h>

enum { GROUPS = 3, ROWS = 15 };

static int64_t by_hand(const uint8_t *const rows[4], const int8_t *w, int column)
{
    int64_t sum = 0;
    for (int k = 0; k < 4; k++)
        sum += rows[k][column] * w[k];
    return sum;
}

TEST(every_tile_equals_the_definition)
{
    const int8_t *w = check_random_bytes(ROWS * GROUPS * 4);
    const uint8_t *rows[GROUPS][4];
    for (int i = 0; i < 4 * GROUPS; i++)
        rows[i / 4][i % 4] = check_random_bytes(TQ_TILE_COLUMNS);
    const int32_t *offset = check_random_bytes(ROWS * 4);
    for (const tq_tile_variant *v = tq_tile_variants; v->name; v++) {
        uint8_t panel[GROUPS * TQ_TILE_PANEL];
        int32_t out[ROWS * TQ_TILE_COLUMNS];
        if (!check_cpu_has(v->needs, v->name))
            continue;
        for (int g = 0; g < GROUPS; g++)
            v->pack(rows[g], panel + g * TQ_TILE_PANEL);
        for (int64_t n = 1; n <= ROWS; n++) {
            v->multiply(GROUPS, n, panel, w, GROUPS * 4, offset, out);
            for (int64_t i = 0; i < n * TQ_TILE_COLUMNS; i++) {
                int64_t sum = offset[i / 64];
                for (int g = 0; g < GROUPS; g++)
                    sum += by_hand(rows[g], w + i / 64 * GROUPS * 4 + g * 4, (int)(i % 64));
                CHECK_EQ(out[i], (int32_t)(uint32_t)(uint64_t)sum, "%s", v->name);
            }
        }
        for (int c = 0; c < TQ_TILE_COLUMNS; c++)
            CHECK_EQ(panel[v->place(c) * 4 + 2], rows[0][2][c], "%s", v->name);
    }
}

TEST(every_dot_equals_the_definition)
{
    for (const tq_tile_variant *v = tq_tile_variants; v->name; v++)
        for (int64_t n = 0; n <= 200 && check_cpu_has(v->needs, v->name); n++) { /* all tails */
            const uint8_t *a = check_random_bytes(n);
            const int8_t *w = check_random_bytes(n);
            int64_t sum = 0;
            for (int64_t k = 0; k < n; k++)
                sum += a[k] * w[k];
            CHECK_EQ(v->dot(n, a, w), sum, "%s, n = %" PRId64, v->name, n);
        }
}

TEST(every_requant_equals_the_definition)
{
    const tq_requant_row rows[] = { { 0x7fffffff, -12345, 0, 255, 31 },
                                    { INT64_C(1) << 40, INT64_C(1) << 50, -128, 127, 52 },
                                    { -3, 7, -8, 7, 0 },
                                    { INT64_MAX, INT64_MIN, -128, 127, 62 } };
    for (int64_t n = 0; n <= 40; n++) {
        const int32_t *x = check_random_bytes(n * 4);
        for (int r = 0; r < TQ_COUNT(rows); r++)
            for (const tq_requant_variant *v = tq_requant_variants; v->name; v++) {
                if (!check_cpu_has(v->needs, v->name))
                    continue;
                uint8_t *y = check_random_bytes(n);
                v->run(&rows[r], n, x, y);
                for (int64_t i = 0; i < n; i++) {
                    const uint64_t sum = (uint64_t)(int64_t)x[i] * (uint64_t)rows[r].multiplier +
                                         (uint64_t)rows[r].addend;
                    CHECK_EQ(y[i],
                             (uint8_t)tq_clip_i64((int64_t)sum >> rows[r].shift, rows[r].q_min,
                                                  rows[r].q_max),
                             "%s", v->name);
                }
            }
    }
}
