/* ColorJitter(brightness, contrast, saturation, hue): in random order, each factor drawn uniformly
 * from [max(0, 1 - a), 1 + a] (hue: a shift from [-a, a] of the circle, a <= 1/2). A factor f
 * blends with black, with the mean grey, or with the grey image: d + f * (x - d), cut to 0..255;
 * hue turns the H byte of HSV. Source: torchvision.transforms.ColorJitter; Pillow,
 * src/libImaging/Blend.c and Convert.c, whose bytes it gives. */
#include "data/data_internal.h"

#include <math.h>

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, N_KINDS };

static uint8_t grey(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

static uint8_t clip8(float v)
{
    return (uint8_t)(v <= 0.0f ? 0.0f : v >= 255.0f ? 255.0f : v);
}

static uint8_t blend(uint8_t from, uint8_t to, float factor)
{
    return clip8((float)from + factor * (float)(to - from));
}

/** Mean of the grey image, rounded half up. */
static uint8_t mean_grey(const uint8_t *x, int64_t n_pixels, int64_t n_channels)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n_pixels; i++)
        sum += n_channels == 3 ? grey(x + 3 * i) : x[i];
    return (uint8_t)((double)sum / (double)n_pixels + 0.5);
}

static void rgb_to_hsv(const uint8_t *rgb, uint8_t *hsv)
{
    const uint8_t r = rgb[0], g = rgb[1], b = rgb[2];
    const uint8_t max = r > g ? (r > b ? r : b) : (g > b ? g : b),
                  min = r < g ? (r < b ? r : b) : (g < b ? g : b);
    hsv[0] = hsv[1] = 0;
    hsv[2] = max;
    if (min == max)
        return;
    const float range = (float)(max - min), s = range / (float)max;
    const float rc = (float)(max - r) / range, gc = (float)(max - g) / range,
                bc = (float)(max - b) / range;
    float h = r == max ? bc - gc : g == max ? (float)(2.0 + rc - bc) : (float)(4.0 + gc - rc);
    h = (float)fmod((h / 6.0 + 1.0), 1.0);
    hsv[0] = (uint8_t)tq_clip_i64((int64_t)(h * 255.0), 0, 255);
    hsv[1] = (uint8_t)tq_clip_i64((int64_t)(s * 255.0), 0, 255);
}

static void hsv_to_rgb(const uint8_t *hsv, uint8_t *rgb)
{
    const uint8_t h = hsv[0], s = hsv[1], v = hsv[2];
    rgb[0] = rgb[1] = rgb[2] = v;
    if (s == 0)
        return;
    const int i = (int)floor((float)h * 6.0 / 255.0);
    const float f = (float)((float)h * 6.0 / 255.0 - (float)i), fs = (float)((float)s / 255.0);
    const uint8_t p = clip8((float)round((float)v * (1.0 - fs)));
    const uint8_t q = clip8((float)round((float)v * (1.0 - fs * f)));
    const uint8_t t = clip8((float)round((float)v * (1.0 - fs * (1.0 - f))));
    const uint8_t sectors[6][3] = { { v, t, p }, { q, v, p }, { p, v, t },
                                    { p, q, v }, { t, p, v }, { v, p, q } };
    for (int c = 0; c < 3; c++)
        rgb[c] = sectors[i % 6][c];
}

static void turn_hue(uint8_t *x, int64_t n_pixels, double factor)
{
    const uint8_t shift = (uint8_t)(int)(factor * 255.0);
    for (int64_t i = 0; i < n_pixels; i++, x += 3) {
        uint8_t hsv[3];
        rgb_to_hsv(x, hsv);
        hsv[0] = (uint8_t)(hsv[0] + shift);
        hsv_to_rgb(hsv, x);
    }
}

static void change(int kind, double factor, uint8_t *x, int64_t n_pixels, int64_t n_channels)
{
    if (n_channels != 3 && (kind == SATURATION || kind == HUE))
        return; /* grey has neither */
    if (kind == HUE) {
        turn_hue(x, n_pixels, factor);
        return;
    }
    const uint8_t mean = kind == CONTRAST ? mean_grey(x, n_pixels, n_channels) : 0;
    for (int64_t i = 0; i < n_pixels; i++) {
        uint8_t *pixel = x + i * n_channels;
        const uint8_t from = kind == SATURATION ? grey(pixel) : mean;
        for (int64_t c = 0; c < n_channels; c++)
            pixel[c] = blend(from, pixel[c], (float)factor);
    }
}

static double draw(int kind, double a, tq_random *random)
{
    const double lo = kind == HUE ? -a : a < 1.0 ? 1.0 - a : 0.0, hi = kind == HUE ? a : 1.0 + a;
    return lo + (hi - lo) * tq_random_uniform(random);
}

static tq_status apply(const double *args, int n_args, int64_t height, int64_t width,
                       tq_random *random, tq_tensor *x)
{
    (void)height;
    (void)width;
    for (int i = 0; i < n_args; i++)
        if (!(args[i] >= 0 && args[i] <= (i == HUE ? 0.5 : 1e6)))
            n_args = 0;
    if (n_args < 1 || n_args > N_KINDS)
        return tq_fail(
            TQ_ERR_VALUE,
            "ColorJitter takes (brightness, ?contrast, ?saturation, ?hue), at least 0, hue at "
            "most 0.5");
    TQ_TRY(tq_image_require(x, "ColorJitter"));
    tq_tensor y;
    TQ_TRY(tq_tensor_copy(x, &y));
    int64_t order[N_KINDS] = { BRIGHTNESS, CONTRAST, SATURATION, HUE };
    tq_random_shuffle(random, order, N_KINDS);
    for (int i = 0; i < N_KINDS; i++) {
        const int kind = (int)order[i];
        if (kind < n_args && args[kind] > 0)
            change(kind, draw(kind, args[kind], random), y.data, y.type.dims[0] * y.type.dims[1],
                   y.type.dims[2]);
    }
    tq_tensor_reset(x);
    *x = y;
    return TQ_OK;
}

const tq_transform tq_transform_color_jitter = {
    .entry = { .name = "ColorJitter",
               .brief = "(brightness, ?contrast, ?saturation, ?hue)",
               .source = "torchvision, Pillow" },
    .apply = apply,
};
