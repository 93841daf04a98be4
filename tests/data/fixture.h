/* Files for the tests of this room: written into the test's folder, or built in memory. */
#ifndef TRUQ_TESTS_DATA_FIXTURE_H
#define TRUQ_TESTS_DATA_FIXTURE_H

#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

/** "FOLDER/name" of the test's folder; four at a time. */
static inline const char *fixture_path(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", check_folder(), name);
    return path;
}

/** "kind:FOLDER/name". */
static inline const char *fixture_spec(const char *kind, const char *name)
{
    static char specs[4][512];
    static int turn;
    char *spec = specs[turn++ % 4];
    snprintf(spec, sizeof specs[0], "%s:%s/%s", kind, check_folder(), name);
    return spec;
}

/** Writes a file and the folders above it. */
static inline const char *fixture_write(const char *name, const void *bytes, size_t size)
{
    const char *path = fixture_path(name);
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = folder + strlen(check_folder()) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = 0;
        mkdir(folder, 0777);
    }
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static inline const char *fixture_text(const char *name, const char *text)
{
    return fixture_write(name, text, strlen(text));
}

/** A tar archive in memory. */
typedef struct fixture_tar {
    unsigned char bytes[1 << 16];
    size_t size;
} fixture_tar;

/** A member of any type ('0': file, 'L': GNU long name, 'x': pax header). */
static inline void fixture_add(fixture_tar *tar, char type, const char *name, const void *bytes,
                               size_t size)
{
    unsigned char *header = tar->bytes + tar->size;
    CHECK(tar->size + 1024 + size < sizeof tar->bytes);
    memset(header, 0, 512);
    snprintf((char *)header, 100, "%s", name);
    snprintf((char *)header + 124, 12, "%011zo", size);
    memcpy(header + 257, "ustar\00000", 8);
    header[156] = (unsigned char)type;
    memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
    memcpy(header + 512, bytes, size);
    tar->size += 512 + (size + 511) / 512 * 512;
}

/** Ends the archive and writes it. */
static inline void fixture_tar_write(fixture_tar *tar, const char *name)
{
    memset(tar->bytes + tar->size, 0, 1024);
    tar->size += 1024;
    fixture_write(name, tar->bytes, tar->size);
    *tar = (fixture_tar){ 0 };
}

/** An image with values that differ everywhere, u8 [h, w, c]. */
static inline tq_tensor fixture_image(int64_t n_h, int64_t n_w, int64_t n_c)
{
    const tq_type type = tq_type_make(TQ_U8, 3, (int64_t[]){ n_h, n_w, n_c });
    tq_tensor x;
    CHECK_OK(tq_tensor_init(&x, &type));
    uint8_t *to = x.data;
    for (int64_t h = 0; h < n_h; h++)
        for (int64_t w = 0; w < n_w; w++)
            for (int64_t c = 0; c < n_c; c++)
                *to++ = (uint8_t)(h * 7 + w * 13 + c * 31 + h * w * (c + 1) / 3);
    return x;
}

/** Checksum of a tensor's bytes. */
static inline uint32_t fixture_crc(const tq_tensor *x)
{
    return tq_crc32(0, x->data, (size_t)tq_tensor_count(x) * tq_dtype_size(x->type.dtype));
}

#endif
