#include "fixture.h"
#include "samples.h"

TEST(every_kind_of_file_gives_the_bytes_that_pillow_reads)
{
    for (int i = 0; i < TQ_COUNT(samples); i++) {
        const struct sample *s = &samples[i];
        tq_tensor image;
        CHECK_OK(tq_image_decode(s->bytes, s->size, s->name, &image));
        CHECK_EQ(image.type.dims[0], s->height, "%s", s->name);
        CHECK_EQ(image.type.dims[1], s->width, "%s", s->name);
        CHECK_EQ(image.type.dims[2], 3, "%s", s->name);
        CHECK_EQ(fixture_crc(&image), s->crc, "%s", s->name);
        tq_tensor_reset(&image);
    }
}

TEST(a_file_that_ends_early_is_an_error)
{
    for (int i = 0; i < TQ_COUNT(samples); i++)
        for (size_t n = 0; n + 16 < samples[i].size; n += 7) {
            tq_tensor image;
            const tq_status status = tq_image_decode(samples[i].bytes, n, "cut", &image);
            CHECK(status);
            CHECK(strstr(tq_status_text(status), "cannot read 'cut': "));
            tq_status_drop(status);
        }
}

TEST(damaged_files_never_do_more_than_fail)
{
    for (int i = 0; i < TQ_COUNT(samples); i++)
        for (size_t n = 0; n < samples[i].size; n++) {
            unsigned char bytes[1024];
            tq_tensor image;
            memcpy(bytes, samples[i].bytes, samples[i].size);
            bytes[n] ^= (unsigned char)(1 + n % 255);
            const tq_status status = tq_image_decode(bytes, samples[i].size, NULL, &image);
            if (status)
                tq_status_drop(status);
            else
                tq_tensor_reset(&image);
        }
}

TEST(what_is_no_image_is_named)
{
    tq_tensor image;
    CHECK_FAILS(tq_image_load(fixture_text("a.jpg", "hello, world"), &image), TQ_ERR_FORMAT,
                "a.jpg': not a JPEG or PNG file: it starts with 0x68 0x65");
    CHECK_FAILS(tq_image_load(fixture_text("a.jpg", ""), &image), TQ_ERR_FORMAT, "it has 0 bytes");
    CHECK_FAILS(tq_image_load(fixture_path("none.jpg"), &image), TQ_ERR_IO, "cannot open");
}

TEST(an_absurd_size_is_refused_before_memory_is_taken)
{
    unsigned char bytes[1024];
    memcpy(bytes, samples[0].bytes, samples[0].size);
    size_t sof = 0;
    while (bytes[sof] != 0xff || bytes[sof + 1] != 0xc0)
        sof++;
    memset(bytes + sof + 5, 0xff, 4);
    tq_tensor image;
    CHECK_FAILS(tq_image_decode(bytes, samples[0].size, "big.jpg", &image), TQ_ERR_FORMAT,
                "big.jpg': ");
}

TEST(real_images_give_the_bytes_that_pillow_reads)
{
    const char *path = check_shared("imagenet1k-sample/val.tar");
    if (!path)
        return;
    char spec[1100];
    snprintf(spec, sizeof spec, "tar:%s", path);
    tq_dataset *data;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &data));
    uint32_t crc = 0;
    for (int64_t i = 0; i < 40; i++) {
        tq_sample sample;
        CHECK_OK(tq_dataset_read(data, i, &sample));
        crc = tq_crc32(crc, sample.data.data, (size_t)tq_tensor_count(&sample.data));
        tq_tensor_reset(&sample.data);
    }
    CHECK_EQ(crc, 0xbe24da6c);
    tq_dataset_close(data);
}
