/* The larger of two codes: every variant equals the definition and touches nothing else. */
#include "check.h"
#include "kernels/int/larger_internal.h"

#include <string.h>

TEST(every_maximum_equals_the_definition)
{
    for (const tq_larger_variant *v = tq_larger_variants; v->name; v++)
        for (int64_t c = 1; c <= 150 && check_cpu_has(v->needs, v->name); c += c < 70 ? 1 : 11) {
            const uint8_t *x = check_random_bytes(2 * (c + 5) + c);
            uint8_t *y = check_random_bytes(2 * (c + 3) + c), before[1000];
            memcpy(before, y, (size_t)(2 * (c + 3) + c));
            v->run(&(tq_larger_run){ x, y, c + 5, c + 3, 3, c });
            for (int64_t i = 0; i < 2 * (c + 3) + c; i++) {
                const int64_t pixel = i / (c + 3), at = i % (c + 3);
                const uint8_t other = at < c ? x[pixel * (c + 5) + at] : 0;
                CHECK_EQ(y[i], before[i] > other ? before[i] : other, "%s, %d bytes", v->name,
                         (int)c);
            }
        }
}
