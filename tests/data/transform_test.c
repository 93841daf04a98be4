/* Expected checksums were computed with Pillow, and with numpy in float32 as torchvision does. */
#include "fixture.h"

static tq_status apply(const char *name, int n_args, const double *args, tq_tensor *x)
{
    const tq_entry *entry = tq_registry_get(check_registry(), TQ_KIND_TRANSFORM, name);
    CHECK(entry);
    tq_random random;
    tq_random_init(&random, 1, 2, 3);
    return ((const tq_transform *)entry)->apply(args, n_args, 0, 0, &random, x);
}
#define APPLY(name, x, ...)                                                                        \
    apply(name, (int)(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double)),                         \
          (double[]){ __VA_ARGS__ }, x)

/** Checksum of the image after a preset, for a model of size x size. */
static uint32_t after_preset(const char *name, int64_t size, tq_type *out_type)
{
    tq_sample sample = { .is_image = true, .data = fixture_image(301, 400, 3) };
    tq_loader_options options = { .height = size, .width = size };
    options.preset = (const tq_preset *)tq_registry_get(check_registry(), TQ_KIND_PRESET, name);
    CHECK(options.preset);
    tq_random random;
    tq_random_init(&random, 0, 0, 0);
    tq_tensor out;
    CHECK_OK(tq_preset_apply(check_registry(), &options, &sample, &random, &out));
    const uint32_t crc = fixture_crc(&out);
    *out_type = out.type;
    tq_tensor_reset(&out);
    tq_tensor_reset(&sample.data);
    return crc;
}

TEST(resize_gives_the_bytes_of_pillow)
{
    static const struct {
        int64_t height, width, n_channels, out_height, out_width;
        uint32_t crc;
    } cases[] = {
        { 40, 60, 3, 24, 24, 0xc2193247 }, { 17, 13, 3, 32, 31, 0xa1aeb29e },
        { 100, 30, 3, 10, 9, 0xae916721 }, { 33, 50, 1, 33, 20, 0x954ab074 },
        { 9, 9, 3, 9, 30, 0xeed9e299 },    { 300, 200, 3, 7, 200, 0x8f1e650b },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        tq_tensor x = fixture_image(cases[i].height, cases[i].width, cases[i].n_channels);
        CHECK_OK(APPLY("Resize", &x, (double)cases[i].out_height, (double)cases[i].out_width));
        CHECK_EQ(x.type.dims[0], cases[i].out_height);
        CHECK_EQ(x.type.dims[1], cases[i].out_width);
        CHECK_EQ(fixture_crc(&x), cases[i].crc, "case %d", i);
        tq_tensor_reset(&x);
    }
}

TEST(resize_sets_the_short_side_and_rounds_the_long_one_down)
{
    tq_tensor x = fixture_image(40, 61, 3), y = fixture_image(61, 40, 3);
    CHECK_OK(APPLY("Resize", &x, 27));
    CHECK_OK(APPLY("Resize", &y, 27));
    CHECK_STR(tq_type_text(&x.type).s, "u8[27,41,3]");
    CHECK_STR(tq_type_text(&y.type).s, "u8[41,27,3]");
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
}

TEST(resize_leaves_an_image_that_fits)
{
    tq_tensor x = fixture_image(27, 41, 3);
    const void *before = x.data;
    CHECK_OK(APPLY("Resize", &x, 27));
    CHECK(x.data == before);
    tq_tensor_reset(&x);
}

TEST(center_crop_rounds_halves_to_even_and_pads_small_images)
{
    static const struct {
        int64_t side, size, first; /* the crop begins at this column; below 0: in the padding */
    } cases[] = {
        { 9, 4, 2 }, { 11, 4, 4 }, { 10, 4, 3 }, { 4, 7, -1 }, { 4, 8, -2 }, { 5, 5, 0 }
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        tq_tensor x = fixture_image(1, cases[i].side, 1),
                  whole = fixture_image(1, cases[i].side, 1);
        CHECK_OK(APPLY("CenterCrop", &x, 1, (double)cases[i].size));
        CHECK_EQ(x.type.dims[1], cases[i].size);
        for (int64_t w = 0; w < cases[i].size; w++) {
            const int64_t from = cases[i].first + w;
            const bool inside = from >= 0 && from < cases[i].side;
            CHECK_EQ(((uint8_t *)x.data)[w], inside ? ((uint8_t *)whole.data)[from] : 0,
                     "case %d, w %d", i, (int)w);
        }
        tq_tensor_reset(&x);
        tq_tensor_reset(&whole);
    }
}

TEST(random_crop_takes_every_window_of_the_padded_image)
{
    const tq_transform *t =
        (const tq_transform *)tq_registry_get(check_registry(), TQ_KIND_TRANSFORM, "RandomCrop");
    tq_random random;
    tq_random_init(&random, 5, 0, 0);
    bool zeros_left = false, zeros_right = false;
    for (int i = 0; i < 100; i++) {
        tq_tensor x = fixture_image(6, 6, 1);
        ((uint8_t *)x.data)[0] = 1; /* no zero inside */
        CHECK_OK(t->apply((double[]){ 6, 2 }, 2, 0, 0, &random, &x));
        CHECK_STR(tq_type_text(&x.type).s, "u8[6,6,1]");
        const uint8_t *row = (const uint8_t *)x.data + 3 * 6;
        zeros_left |= row[0] == 0 && row[1] == 0 && row[2] != 0;
        zeros_right |= row[5] == 0 && row[4] == 0 && row[3] != 0;
        tq_tensor_reset(&x);
    }
    CHECK(zeros_left && zeros_right);
    tq_tensor x = fixture_image(6, 6, 1);
    CHECK_FAILS(APPLY("RandomCrop", &x, 8), TQ_ERR_VALUE, "8 x 8 from an image of 6 x 6");
    tq_tensor_reset(&x);
}

TEST(a_flip_mirrors_and_happens_half_of_the_time)
{
    tq_tensor x = fixture_image(2, 3, 3), whole = fixture_image(2, 3, 3);
    CHECK_OK(APPLY("RandomHorizontalFlip", &x, 1));
    for (int h = 0; h < 2; h++)
        for (int w = 0; w < 3; w++)
            for (int c = 0; c < 3; c++)
                CHECK_EQ(((uint8_t *)x.data)[(h * 3 + w) * 3 + c],
                         ((uint8_t *)whole.data)[(h * 3 + 2 - w) * 3 + c]);
    const tq_transform *t = (const tq_transform *)tq_registry_get(
        check_registry(), TQ_KIND_TRANSFORM, "RandomHorizontalFlip");
    tq_random random;
    tq_random_init(&random, 5, 0, 0);
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        const void *before = x.data;
        CHECK_OK(t->apply(NULL, 0, 0, 0, &random, &x));
        n += x.data != before;
    }
    CHECK(n > 430 && n < 570);
    tq_tensor_reset(&x);
    tq_tensor_reset(&whole);
}

TEST(random_resized_crop_always_gives_its_size)
{
    const tq_transform *t = (const tq_transform *)tq_registry_get(
        check_registry(), TQ_KIND_TRANSFORM, "RandomResizedCrop");
    tq_random random;
    tq_random_init(&random, 5, 0, 0);
    static const int64_t sizes[][2] = { { 40, 50 }, { 1, 1 }, { 200, 3 }, { 3, 200 } };
    for (int i = 0; i < 40; i++) {
        tq_tensor x = fixture_image(sizes[i % 4][0], sizes[i % 4][1], 3);
        CHECK_OK(t->apply((double[]){ 24 }, 1, 0, 0, &random, &x));
        CHECK_STR(tq_type_text(&x.type).s, "u8[24,24,3]");
        tq_tensor_reset(&x);
    }
}

TEST(color_jitter_gives_the_bytes_of_pillow)
{
    /* The stream (1, 2, 3) gives contrast 0.858, saturation 0.603, brightness 1.095, hue -0.0755,
     * in this order. */
    tq_tensor x = fixture_image(20, 30, 3);
    CHECK_OK(APPLY("ColorJitter", &x, 0.4, 0.4, 0.4, 0.2));
    CHECK_EQ(fixture_crc(&x), 0x5faa98d8);
    tq_tensor_reset(&x);
}

TEST(images_are_never_changed_in_place)
{
    static const char *const names[] = {
        "Resize",      "CenterCrop", "RandomCrop", "RandomResizedCrop", "RandomHorizontalFlip",
        "ColorJitter", "ToTensor",   "ToFloat"
    };
    static const int n_args[] = { 1, 1, 1, 1, 1, 1, 0, 0 };
    tq_tensor whole = fixture_image(8, 8, 3);
    const uint32_t before = fixture_crc(&whole);
    for (int i = 0; i < TQ_COUNT(names); i++) {
        tq_tensor x = tq_tensor_share(&whole);
        CHECK_OK(apply(names[i], n_args[i], (double[]){ i < 4 ? 5 : 0.5 }, &x));
        tq_tensor_reset(&x);
    }
    CHECK_EQ(fixture_crc(&whole), before);
    tq_tensor_reset(&whole);
}

TEST(presets_give_what_numpy_computes)
{
    tq_type type;
    CHECK_EQ(after_preset("imagenet", 224, &type), 0x767866b5);
    CHECK_STR(tq_type_text(&type).s, "f32[3,224,224]");
    CHECK_EQ(after_preset("imagenet", 0, &type), 0x767866b5);
    CHECK_EQ(after_preset("efficientnet_lite", 224, &type), 0xca76d32b);
    CHECK_EQ(after_preset("vww", 0, &type), 0x0bad084f);
    CHECK_STR(tq_type_text(&type).s, "f32[3,96,96]");
    after_preset("vww", 32, &type);
    CHECK_STR(tq_type_text(&type).s, "f32[3,32,32]");
    after_preset("imagenet", 192, &type);
    CHECK_STR(tq_type_text(&type).s, "f32[3,192,192]");
    after_preset("raw", 192, &type);
    CHECK_STR(tq_type_text(&type).s, "f32[3,301,400]");
}

TEST(a_model_larger_than_the_resized_image_is_refused)
{
    tq_sample sample = { .is_image = true, .data = fixture_image(30, 30, 3) };
    tq_loader_options options = { .height = 257, .width = 257 };
    options.preset =
        (const tq_preset *)tq_registry_get(check_registry(), TQ_KIND_PRESET, "imagenet");
    tq_tensor out;
    CHECK_FAILS(tq_preset_apply(check_registry(), &options, &sample, NULL, &out), TQ_ERR_VALUE,
                "image size 257 is above 256");
    options.training = true;
    CHECK_FAILS(tq_preset_apply(check_registry(), &options, &sample, NULL, &out), TQ_ERR_VALUE,
                "above 256");
    tq_tensor_reset(&sample.data);
}

TEST(arrays_pass_raw_and_are_refused_by_image_transforms)
{
    const tq_type type = tq_type_make(
        TQ_U8, 3, (int64_t[]){ 4, 4, 3 }); /* an array, though it looks like an image */
    tq_sample sample = { .label = -1 };
    CHECK_OK(tq_tensor_init(&sample.data, &type));
    tq_tensor out;
    CHECK_OK(tq_preset_apply(check_registry(), &(tq_loader_options){ 0 }, &sample, NULL, &out));
    CHECK_STR(tq_type_text(&out.type).s, "f32[4,4,3]");
    tq_tensor_reset(&out);
    tq_loader_options options = { 0 };
    options.preset = (const tq_preset *)tq_registry_get(check_registry(), TQ_KIND_PRESET, "vww");
    CHECK_FAILS(tq_preset_apply(check_registry(), &options, &sample, NULL, &out), TQ_ERR_TYPE,
                "preset 'vww': Resize needs an image");
    tq_tensor_reset(&sample.data);
}

TEST(integerise_rounds_as_asked_and_clips)
{
    const tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 5 });
    static const float values[] = { -0.01f, 0.26f, 0.74f, 1000.0f, -1000.0f };
    tq_tensor x, y;
    CHECK_OK(tq_tensor_init_from(&x, &type, values));
    CHECK_OK(tq_tensor_init_from(&y, &type, values));
    CHECK_OK(APPLY("Integerise", &x, 0.5));
    CHECK_OK(APPLY("Integerise", &y, 0.5, 1, 0, 255));
    static const float floors[] = { -1, 0, 1, 127, -128 }, rounds[] = { 0, 1, 1, 255, 0 };
    for (int i = 0; i < 5; i++) {
        CHECK_NEAR(((float *)x.data)[i], floors[i], 0);
        CHECK_NEAR(((float *)y.data)[i], rounds[i], 0);
    }
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
}

TEST(wrong_arguments_are_named)
{
    tq_tensor x = fixture_image(4, 4, 3);
    CHECK_FAILS(APPLY("Resize", &x, 0), TQ_ERR_VALUE, "Resize takes");
    CHECK_FAILS(APPLY("Resize", &x, 1e300), TQ_ERR_VALUE, "Resize takes");
    CHECK_FAILS(APPLY("Resize", &x, (double)NAN), TQ_ERR_VALUE, "Resize takes");
    CHECK_FAILS(APPLY("CenterCrop", &x, -3), TQ_ERR_VALUE, "CenterCrop takes");
    CHECK_FAILS(APPLY("ColorJitter", &x, 0, 0, 0, 0.6), TQ_ERR_VALUE, "ColorJitter takes");
    CHECK_FAILS(APPLY("Integerise", &x, 0), TQ_ERR_VALUE, "Integerise takes");
    CHECK_FAILS(APPLY("Scale", &x, 2), TQ_ERR_TYPE, "put ToTensor or ToFloat before it");
    tq_tensor_reset(&x);
}
