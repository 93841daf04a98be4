/* Files from outside that lie: every one ends in one clear error, never a crash or a huge
 * allocation. */
#include "onnx/model.h"

#include <sys/stat.h>
#include <unistd.h>

static const int64_t n4[] = { -1, 4 };

static tq_status read_with_tensor(const message *t, const char *folder, tq_graph **out_graph)
{
    message g = graph_xy(2, n4);
    const message sum = node("Add", NULL, "x,b", "y");
    put(&g, 1, &sum);
    put(&g, 5, t);
    const message model = model_of(&g, 21);
    return tq_onnx_import_bytes(check_registry(), model.bytes, model.n, "test.onnx", folder,
                                out_graph);
}

static void check_tensor(const message *t, tq_code code, const char *text)
{
    tq_graph *graph;
    CHECK_FAILS(read_with_tensor(t, NULL, &graph), code, text);
}

TEST(raw_data_must_fill_the_shape)
{
    const message t = tensor_raw("b", FLOAT, 1, (int64_t[]){ 4 }, "1234567", 7);
    check_tensor(&t, TQ_ERR_FORMAT, "initialiser 'b': raw_data holds 7 bytes, f32[4] needs 16");
}

TEST(a_huge_shape_allocates_nothing)
{
    const message t = tensor_raw("b", FLOAT, 2, (int64_t[]){ 1 << 20, 1 << 20 }, "1234", 4);
    check_tensor(&t, TQ_ERR_FORMAT, "raw_data holds 4 bytes");
    const message u = tensor_raw("b", FLOAT, 2, (int64_t[]){ INT64_MAX, INT64_MAX }, "1234", 4);
    check_tensor(&u, TQ_ERR_SHAPE, "too large");
}

TEST(a_huge_graph_input_is_refused)
{
    message g = graph_xy(2, (int64_t[]){ -1, 4 });
    const message z = info("z", FLOAT, 2, (int64_t[]){ INT64_MAX, INT64_MAX });
    const message n = node("Relu", NULL, "x", "y");
    put(&g, 11, &z);
    put(&g, 1, &n);
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_SHAPE, "graph input 'z'");
}

TEST(a_negative_dimension_is_an_error)
{
    const message t = tensor_raw("b", FLOAT, 1, (int64_t[]){ -4 }, "", 0);
    check_tensor(&t, TQ_ERR_FORMAT, "dimension 0 is -4");
}

TEST(elements_in_two_places_are_an_error)
{
    message t = tensor_raw("b", FLOAT, 1, (int64_t[]){ 1 }, "1234", 4);
    put_bytes(&t, 4, "1234", 4);
    check_tensor(&t, TQ_ERR_FORMAT, "two places");
}

TEST(elements_in_the_wrong_field_are_an_error)
{
    message t = tensor("b", FLOAT, 1, (int64_t[]){ 1 });
    put_int(&t, 7, 3);
    check_tensor(&t, TQ_ERR_FORMAT, "not in float_data");
}

TEST(an_element_out_of_range_is_an_error)
{
    message t = tensor("b", INT8, 1, (int64_t[]){ 1 });
    put_int(&t, 5, 300);
    check_tensor(&t, TQ_ERR_FORMAT, "element 0 is 300, which i8 cannot hold");
}

TEST(typed_fields_are_read)
{
    message g = { 0 }, t = tensor("c", INT8, 1, (int64_t[]){ 3 });
    const message y = info("y", INT8, 1, (int64_t[]){ 3 }), n = node("Identity", NULL, "c", "y");
    for (int i = -1; i < 2; i++)
        put_int(&t, 5, i);
    put(&g, 5, &t);
    put(&g, 1, &n);
    put(&g, 12, &y);
    const message model = model_of(&g, 17);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    const int8_t *c = tq_value_tensor(tq_graph_find_value(graph, "c"))->data;
    CHECK(c[0] == -1 && c[1] == 0 && c[2] == 1);
    tq_graph_destroy(graph);
}

TEST(four_bit_elements_come_in_pairs_the_first_in_the_low_bits)
{
    message g = { 0 };
    const message y = info("y", INT4, 1, (int64_t[]){ 3 }), n = node("Identity", NULL, "c", "y");
    const message t = tensor_raw("c", INT4, 1, (int64_t[]){ 3 }, "\x8f\x07", 2);
    put(&g, 5, &t);
    put(&g, 1, &n);
    put(&g, 12, &y);
    const message model = model_of(&g, 21);
    tq_graph *graph = NULL;
    CHECK_OK(read_model(&model, &graph));
    const int8_t *c = tq_value_tensor(tq_graph_find_value(graph, "c"))->data;
    CHECK(c[0] == -1 && c[1] == -8 && c[2] == 7);
    tq_graph_destroy(graph);
}

/* ---- external data ---- */

static message external(const char *location, const char *offset, const char *length)
{
    message t = tensor("b", FLOAT, 1, (int64_t[]){ 4 });
    const char *const entries[][2] = { { "location", location },
                                       { "offset", offset },
                                       { "length", length } };
    for (int i = 0; i < 3; i++) {
        message entry = { 0 };
        put_text(&entry, 1, entries[i][0]);
        put_text(&entry, 2, entries[i][1]);
        put(&t, 13, &entry);
    }
    put_int(&t, 14, 1);
    return t;
}

static const char *make_folder(void)
{
    static char folder[1024];
    char path[1100];
    snprintf(folder, sizeof folder, "%s/models", check_folder());
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/w.bin", folder);
    CHECK_OK(tq_file_write(path, (float[]){ 0, 1, 2, 3, 4 }, 20));
    snprintf(path, sizeof path, "%s/secret", check_folder());
    CHECK_OK(tq_file_write(path, (float[]){ 0, 1, 2, 3, 4 }, 20));
    snprintf(path, sizeof path, "%s/link", folder);
    if (symlink("../secret", path) != 0)
        CHECK(access(path, F_OK) == 0);
    return folder;
}

TEST(external_data_is_read_from_the_folder_of_the_model)
{
    const message t = external("w.bin", "4", "16");
    tq_graph *graph = NULL;
    CHECK_OK(read_with_tensor(&t, make_folder(), &graph));
    CHECK_EQ(((const float *)tq_value_tensor(tq_graph_find_value(graph, "b"))->data)[0], 1);
    tq_graph_destroy(graph);
}

TEST(external_data_stays_in_the_folder_of_the_model)
{
    static const struct {
        const char *location, *offset, *length, *text;
    } cases[] = {
        { "../secret", "0", "16", "outside" },
        { "/etc/passwd", "0", "16", "outside" },
        { "a/../../secret", "0", "16", "outside" },
        { "link", "0", "16", "outside" },
        { "w.bin", "8", "16", "needed" },
        { "w.bin", "0", "12", "length" },
        { "w.bin", "-4", "16", "offset" },
        { "w.bin", "9223372036854775807", "16", "needed" },
        { ".", "0", "16", "outside" },
        { "", "0", "16", "location" },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        const message t = external(cases[i].location, cases[i].offset, cases[i].length);
        tq_graph *graph;
        CHECK_FAILS(read_with_tensor(&t, make_folder(), &graph), TQ_ERR_FORMAT, cases[i].text);
    }
}

TEST(external_data_that_is_missing_is_named)
{
    const message t = external("gone.bin", "0", "16");
    tq_graph *graph;
    CHECK_FAILS(read_with_tensor(&t, make_folder(), &graph), TQ_ERR_IO, "'gone.bin'");
}

/* ---- every small damage ---- */

static message small_model(void)
{
    message g = graph_xy(4, (int64_t[]){ -1, 2, 4, 4 }), clip = node("Clip", "c", "h", "y");
    message conv = node("Conv", "conv", "x,w,b", "h");
    const float w[4] = { 1, 2, 3, 4 };
    const message weight = tensor_raw("w", FLOAT, 4, (int64_t[]){ 2, 2, 1, 1 }, w, sizeof w);
    const message bias = tensor_f32("b", 2, w);
    attr_ints(&conv, "strides", 2, (int64_t[]){ 1, 1 });
    attr_float(&clip, "max", 6);
    put(&g, 1, &conv);
    put(&g, 1, &clip);
    put(&g, 5, &weight);
    put(&g, 5, &bias);
    message model = model_of(&g, 10), entry = { 0 };
    put_text(&entry, 1, "truq.node:conv:k");
    put_text(&entry, 2, "v");
    put(&model, 14, &entry);
    return model;
}

/** A clean error, or a graph that verifies. */
static void check_clean(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n + 1); /* exact bounds, so that a read past the end is seen */
    memcpy(copy, bytes, n);
    tq_graph *graph = NULL;
    const tq_status status = tq_onnx_import_bytes(check_registry(), copy, n, "m", NULL, &graph);
    free(copy);
    CHECK((status != NULL) != (graph != NULL));
    if (status)
        CHECK(!strchr(tq_status_text(status), '\n'));
    else
        CHECK_OK(tq_graph_verify(graph));
    tq_status_drop(status);
    tq_graph_destroy(graph);
}

TEST(every_truncation_ends_cleanly)
{
    const message model = small_model();
    for (size_t n = 0; n <= model.n; n++)
        check_clean(model.bytes, n);
}

TEST(every_single_changed_byte_ends_cleanly)
{
    message model = small_model();
    static const uint8_t masks[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff };
    for (size_t i = 0; i < model.n; i++)
        for (int k = 0; k < TQ_COUNT(masks); k++) {
            model.bytes[i] ^= masks[k];
            check_clean(model.bytes, model.n);
            model.bytes[i] ^= masks[k];
        }
}

TEST(random_damage_ends_cleanly)
{
    const message whole = small_model();
    tq_random random;
    tq_random_init(&random, 1, 2, 3);
    for (int i = 0; i < 3000; i++) {
        message model = whole;
        for (int k = 0; k < 1 + i % 8; k++)
            model.bytes[tq_random_u64(&random) % model.n] = (uint8_t)tq_random_u64(&random);
        check_clean(model.bytes, model.n);
    }
}

TEST(messages_nested_without_end_are_refused)
{
    enum { DEPTH = 300 };
    message inner = { 0 };
    for (int i = 0; i < DEPTH; i++) { /* node.attribute.g.node... */
        message graph = { 0 }, attr = { 0 }, n = { 0 };
        put(&graph, 1, &inner);
        put(&attr, 6, &graph);
        put(&n, 5, &attr);
        inner = n;
    }
    message g = graph_xy(2, n4);
    put(&g, 1, &inner);
    const message model = model_of(&g, 17);
    tq_graph *graph;
    CHECK_FAILS(read_model(&model, &graph), TQ_ERR_FORMAT, "nest");
}
