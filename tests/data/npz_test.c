#include "fixture.h"

/* Made by numpy 2: np.savez_compressed(f, a=np.arange(6, dtype='<i4').reshape(2, 3),
 * t=np.asfortranarray(a)). */
/* clang-format off */
static const unsigned char compressed[] = {
    0x50, 0x4b, 0x03, 0x04, 0x2d, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x50, 0xb4,
    0x4d, 0x84, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0x00, 0x14, 0x00, 0x61, 0x2e,
    0x6e, 0x70, 0x79, 0x01, 0x00, 0x10, 0x00, 0x98, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x55,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9b, 0xec, 0x17, 0xea, 0x1b, 0x10, 0xc9, 0xc8, 0x50,
    0xc6, 0x50, 0xad, 0x9e, 0x92, 0x5a, 0x9c, 0x5c, 0xa4, 0x6e, 0xa5, 0xa0, 0x6e, 0x93, 0x69, 0xa2,
    0xae, 0xa3, 0xa0, 0x9e, 0x96, 0x5f, 0x54, 0x52, 0x94, 0x98, 0x17, 0x9f, 0x5f, 0x94, 0x92, 0x0a,
    0x12, 0x77, 0x4b, 0xcc, 0x29, 0x4e, 0x05, 0x8a, 0x17, 0x67, 0x24, 0x16, 0xa4, 0x02, 0xf9, 0x1a,
    0x46, 0x3a, 0x0a, 0xc6, 0x9a, 0x3a, 0x0a, 0xb5, 0x0a, 0x64, 0x03, 0x2e, 0x06, 0x20, 0x60, 0x04,
    0x62, 0x26, 0x20, 0x66, 0x06, 0x62, 0x16, 0x20, 0x66, 0x05, 0x62, 0x00, 0x50, 0x4b, 0x03, 0x04,
    0x2d, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0xca, 0x64, 0x74, 0xe2, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0x00, 0x14, 0x00, 0x74, 0x2e, 0x6e, 0x70, 0x79, 0x01,
    0x00, 0x10, 0x00, 0x98, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x54, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x9b, 0xec, 0x17, 0xea, 0x1b, 0x10, 0xc9, 0xc8, 0x50, 0xc6, 0x50, 0xad, 0x9e,
    0x92, 0x5a, 0x9c, 0x5c, 0xa4, 0x6e, 0xa5, 0xa0, 0x6e, 0x93, 0x69, 0xa2, 0xae, 0xa3, 0xa0, 0x9e,
    0x96, 0x5f, 0x54, 0x52, 0x94, 0x98, 0x17, 0x9f, 0x5f, 0x94, 0x92, 0x0a, 0x12, 0x0f, 0x29, 0x2a,
    0x4d, 0x05, 0x0a, 0x17, 0x67, 0x24, 0x16, 0xa4, 0x02, 0xb9, 0x1a, 0x46, 0x3a, 0x0a, 0xc6, 0x9a,
    0x3a, 0x0a, 0xb5, 0x0a, 0xe4, 0x03, 0x2e, 0x06, 0x20, 0x60, 0x06, 0x62, 0x46, 0x20, 0x66, 0x01,
    0x62, 0x26, 0x20, 0x66, 0x05, 0x62, 0x00, 0x50, 0x4b, 0x01, 0x02, 0x2d, 0x03, 0x2d, 0x00, 0x00,
    0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0x50, 0xb4, 0x4d, 0x84, 0x55, 0x00, 0x00, 0x00, 0x98,
    0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x2e, 0x6e, 0x70, 0x79, 0x50, 0x4b, 0x01, 0x02, 0x2d, 0x03,
    0x2d, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x21, 0x00, 0xca, 0x64, 0x74, 0xe2, 0x54, 0x00,
    0x00, 0x00, 0x98, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x80, 0x01, 0x8c, 0x00, 0x00, 0x00, 0x74, 0x2e, 0x6e, 0x70, 0x79, 0x50, 0x4b, 0x05,
    0x06, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x02, 0x00, 0x66, 0x00, 0x00, 0x00, 0x17, 0x01, 0x00,
    0x00, 0x00, 0x00,
};
/* clang-format on */

/** A .npy file: version 1.0, this dictionary, these elements. */
static const char *write_npy(const char *dictionary, const void *elements, size_t size)
{
    unsigned char bytes[1024] = "\x93NUMPY\x01";
    const size_t n = strlen(dictionary);
    bytes[8] = (unsigned char)n;
    bytes[9] = (unsigned char)(n >> 8);
    memcpy(bytes + 10, dictionary, n);
    memcpy(bytes + 10 + n, elements, size);
    return fixture_write("x.npy", bytes, 10 + n + size);
}

static tq_status load(const char *path)
{
    tq_npz npz;
    const tq_status status = tq_npz_load(path, &npz);
    if (!status)
        tq_npz_reset(&npz);
    return status;
}

TEST(every_dtype_survives_saving)
{
    static const tq_dtype dtypes[] = { TQ_F32, TQ_F64, TQ_F16, TQ_U8,  TQ_I8,  TQ_U16,
                                       TQ_I16, TQ_U32, TQ_I32, TQ_U64, TQ_I64, TQ_BOOL };
    for (int i = 0; i < TQ_COUNT(dtypes); i++) {
        const tq_type type = tq_type_make(dtypes[i], 2, (int64_t[]){ 2, 3 });
        tq_tensor x;
        CHECK_OK(tq_tensor_init(&x, &type));
        for (int k = 0; k < 6; k++)
            tq_store_i64(x.data, dtypes[i], k, k % 2);
        const char *const name = "some/layer.weight";
        CHECK_OK(tq_npz_save(fixture_path("all.npz"), 1, &name, &x));
        tq_npz npz;
        CHECK_OK(tq_npz_load(fixture_path("all.npz"), &npz));
        CHECK_STR(npz.names[0], name);
        CHECK(tq_tensor_equal(&npz.tensors[0], &x));
        tq_npz_reset(&npz);
        tq_tensor_reset(&x);
    }
}

TEST(scalars_and_empty_arrays_survive_saving)
{
    const tq_type types[] = { tq_type_make(TQ_F32, 0, NULL),
                              tq_type_make(TQ_I64, 2, (int64_t[]){ 0, 3 }) };
    const char *const names[] = { "scalar", "empty" };
    tq_tensor x[2];
    for (int i = 0; i < 2; i++)
        CHECK_OK(tq_tensor_init(&x[i], &types[i]));
    CHECK_OK(tq_npz_save(fixture_path("s.npz"), 2, names, x));
    tq_npz npz;
    CHECK_OK(tq_npz_load(fixture_path("s.npz"), &npz));
    for (int i = 0; i < 2; i++)
        CHECK(tq_type_equal(&tq_npz_find(&npz, names[i])->type, &types[i]));
    tq_npz_reset(&npz);
    for (int i = 0; i < 2; i++)
        tq_tensor_reset(&x[i]);
}

TEST(the_same_content_gives_the_same_bytes)
{
    tq_tensor x = check_random_f32(2, (int64_t[]){ 5, 7 }, 1, -1, 1);
    const char *const name = "x", *const files[] = { "one.npz", "two.npz" };
    unsigned char bytes[2][1024] = { 0 };
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(tq_npz_save(fixture_path(files[i]), 1, &name, &x));
        FILE *file = fopen(fixture_path(files[i]), "rb");
        CHECK(file);
        n[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        fclose(file);
    }
    CHECK_EQ(n[0], n[1]);
    CHECK(memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0);
    CHECK(memcmp(bytes[0] + 10, "\0\0\x21", 4) == 0); /* 1 January 1980, midnight */
    tq_tensor_reset(&x);
}

TEST(an_archive_that_cannot_be_written_leaves_nothing)
{
    tq_tensor x = check_random_f32(1, (int64_t[]){ 3 }, 1, -1, 1);
    const char *const name = "x";
    CHECK_FAILS(tq_npz_save(fixture_path("no/such/x.npz"), 1, &name, &x), TQ_ERR_IO,
                "cannot write '");
    CHECK(access(fixture_path("no"), F_OK) != 0);
    tq_tensor_reset(&x);
}

TEST(deflated_archives_and_fortran_order_are_read)
{
    tq_npz npz;
    CHECK_OK(tq_npz_load(fixture_write("c.npz", compressed, sizeof compressed), &npz));
    CHECK_EQ(npz.n, 2);
    const tq_tensor *a = tq_npz_find(&npz, "a"), *t = tq_npz_find(&npz, "t");
    CHECK(tq_tensor_equal(a, t));
    for (int i = 0; i < 6; i++)
        CHECK_EQ(((int32_t *)t->data)[i], i);
    tq_npz_reset(&npz);
}

TEST(a_truncated_archive_is_a_clean_error)
{
    for (size_t n = 0; n < sizeof compressed; n += 3) {
        const tq_status status = load(fixture_write("cut.npz", compressed, n));
        CHECK(status);
        tq_status_drop(status);
    }
}

TEST(flipped_bytes_never_do_more_than_fail)
{
    unsigned char bytes[sizeof compressed];
    for (size_t i = 0; i < sizeof compressed; i++) {
        memcpy(bytes, compressed, sizeof bytes);
        bytes[i] ^= 0xff;
        tq_status_drop(load(fixture_write("flip.npz", bytes, sizeof bytes)));
    }
}

TEST(old_header_forms_are_read)
{
    const float x[2] = { 1, 2 };
    CHECK_OK(load(write_npy("{'shape': (2L,), \"descr\": '<f4', 'fortran_order': False}", x, 8)));
    CHECK_OK(load(write_npy("{'descr': '<u1', 'fortran_order': True, 'shape': (8,), }  \n", x, 8)));
}

TEST(hostile_headers_give_one_clear_line)
{
    static const struct {
        const char *dictionary;
        tq_code code;
        const char *says;
    } cases[] = {
        { "", TQ_ERR_FORMAT, "no dictionary" },
        { "{'descr': '<f4', 'fortran_order': False}", TQ_ERR_FORMAT, "is missing" },
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", TQ_ERR_UNSUPPORTED,
          "'>f4' is not supported" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", TQ_ERR_UNSUPPORTED, "'|O'" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", TQ_ERR_UNSUPPORTED,
          "structured" },
        { "{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}", TQ_ERR_FORMAT,
          "neither True nor False" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", TQ_ERR_FORMAT,
          "tuple of counts" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", TQ_ERR_FORMAT,
          "tuple of counts" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,", TQ_ERR_FORMAT,
          "tuple of counts" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", TQ_ERR_FORMAT,
          "needs 12 bytes, 8 are there" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
          TQ_ERR_SHAPE, "" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
          TQ_ERR_FORMAT, "too large" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
          TQ_ERR_UNSUPPORTED, "dimensions" },
        { "{'descr': '<f4, 'fortran_order': False}", TQ_ERR_UNSUPPORTED, "not supported" },
        { "{'desc': '<f4'}", TQ_ERR_FORMAT, "unknown key 'desc'" },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++)
        CHECK_FAILS(load(write_npy(cases[i].dictionary, "12345678", 8)), cases[i].code,
                    cases[i].says);
    CHECK_FAILS(load(fixture_text("x.npy", "no array")), TQ_ERR_FORMAT, "truncated");
    CHECK_FAILS(load(fixture_text("x.npy", "no array at all")), TQ_ERR_FORMAT, "not a .npy array");
    CHECK_FAILS(load(fixture_path("none.npz")), TQ_ERR_IO, "cannot open");
}

TEST(real_archives_are_read)
{
    const char *path = check_shared("tiny/kws.npz");
    if (!path)
        return;
    tq_npz npz;
    CHECK_OK(tq_npz_load(path, &npz));
    CHECK_STR(tq_type_text(&tq_npz_find(&npz, "inputs")->type).s, "f32[500,1,49,10]");
    CHECK_STR(tq_type_text(&tq_npz_find(&npz, "labels")->type).s, "i64[500]");
    tq_npz_reset(&npz);
}
