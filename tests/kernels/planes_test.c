/* Planes become pixels: every variant equals the definition and touches nothing else. */
#include "check.h"
#include "kernels/int/planes_internal.h"

TEST(every_join_of_planes_equals_the_definition)
{
    for (const tq_planes_variant *v = tq_planes_variants; v->name; v++)
        for (int64_t n = 0; n <= 100 && check_cpu_has(v->needs, v->name); n++)
            for (int64_t c = 1; c <= 5; c++) {
                const uint8_t *x = check_random_bytes((c - 1) * (n + 3) + n);
                uint8_t *y = check_random_bytes(n * c);
                v->join(&(tq_planes_run){ x, n + 3, y, n, c, n % 2 ? 0x80 : 0 });
                for (int64_t i = 0; i < n * c; i++)
                    CHECK_EQ(y[i], x[i % c * (n + 3) + i / c] ^ (n % 2 ? 0x80 : 0),
                             "%s: %d pixels of %d", v->name, (int)n, (int)c);
            }
}
