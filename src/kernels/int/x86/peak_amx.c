/* Independent products of full tiles. */
#include "kernels/int/peak_internal.h"

#include <immintrin.h>

void tq_probe_tiles_amx(int64_t n)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = 64;
        shapes.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    _tile_zero(4);
    _tile_zero(5);
    for (int64_t i = 0; i < n; i++) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_release();
}
