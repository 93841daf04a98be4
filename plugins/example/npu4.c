/* npu4: an imagined accelerator whose multipliers take weights of 4 bits. A node with wider ones is
 * refused and stays on the CPU. The exporter writes two files:
 *
 *   NAME.txt   a line "weights BYTES" and then one a node: operator, name, type of its output
 *   NAME.bin   the weights of all convolutions and products in that order, two codes a byte, low
 * half first, each node starting on a byte of its own */
#include "example.h"

#include <truq/road.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool multiplies(const tq_node *node)
{
    return tq_node_is(node, "ConvInteger") || tq_node_is(node, "MatMulInteger");
}

static bool fits_4_bits(const tq_tensor *w)
{
    for (int64_t i = 0; w && i < tq_tensor_count(w); i++) {
        const int64_t q = tq_load_i64(w->data, w->type.dtype, i);
        if (q < -8 || q > 7)
            return false;
    }
    return w != NULL;
}

static bool can_run(const tq_node *node, const char **why)
{
    const bool fits = !multiplies(node) || fits_4_bits(tq_value_tensor(tq_node_input(node, 1)));
    if (!fits && why)
        *why = "its weights are not constants of 4 bits";
    return fits && !tq_dtype_is_float(tq_value_type(tq_node_output(node, 0))->dtype);
}

/** Two codes a byte; returns how many bytes. */
static int64_t write_weights(FILE *file, const tq_tensor *w)
{
    const int64_t n = tq_tensor_count(w);
    for (int64_t i = 0; i < n; i += 2) {
        const int64_t lo = tq_load_i64(w->data, w->type.dtype, i);
        const int64_t hi = i + 1 < n ? tq_load_i64(w->data, w->type.dtype, i + 1) : 0;
        fputc((int)((lo & 15) | (hi & 15) << 4), file);
    }
    return (n + 1) / 2;
}

static void write_all(const tq_graph *graph, FILE *text, FILE *weights)
{
    int64_t n_bytes = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (multiplies(node))
            n_bytes += write_weights(weights, tq_value_tensor(tq_node_input(node, 1)));
    fprintf(text, "weights %lld\n", (long long)n_bytes);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        fprintf(text, "%s %s %s\n", tq_node_op_name(node), tq_node_name(node),
                tq_type_text(tq_value_type(tq_node_output(node, 0))).s);
}

/** Both files under other names first: what is half-written never has the right one. */
static tq_status write_files(const tq_graph *graph, const char *const *temporary,
                             const char *const *path)
{
    FILE *files[2] = { fopen(temporary[0], "wb"), fopen(temporary[1], "wb") };
    bool ok = files[0] && files[1];
    if (ok)
        write_all(graph, files[0], files[1]);
    for (int i = 0; i < 2; i++)
        if (files[i])
            ok = !ferror(files[i]) & (fclose(files[i]) == 0) & ok;
    for (int i = 0; i < 2 && ok; i++)
        ok = rename(temporary[i], path[i]) == 0;
    const int error = errno;
    for (int i = 0; i < 2 && !ok; i++)
        remove(temporary[i]);
    return ok ? TQ_OK : tq_fail(TQ_ERR_IO, "cannot write '%s': %s", path[0], strerror(error));
}

static tq_status export_files(const tq_graph *graph, const tq_export_request *request)
{
    static const char *const suffixes[] = { "txt", "bin" };
    const char *temporary[2], *path[2];
    tq_arena *arena = tq_arena_create();
    for (int i = 0; i < 2; i++) {
        path[i] = tq_arena_printf(arena, "%s/%s.%s", request->folder, request->name, suffixes[i]);
        temporary[i] = tq_arena_printf(arena, "%s.part", path[i]);
    }
    tq_status status = tq_folder_create(request->folder);
    if (!status)
        status = write_files(graph, temporary, path);
    for (int i = 0; i < 2 && !status && request->log; i++)
        request->log(request->context, tq_arena_printf(arena, "wrote %s", path[i]));
    tq_arena_destroy(arena);
    return status;
}

const tq_backend example_npu4 = {
    .entry = { .name = "npu4", .brief = "example 4-bit accelerator" },
    .can_run = can_run,
    .editors = { "merge-requants" },
    .requant = { .mul_bits = 16,
                 .add_bits = 64,
                 .product_bits = 64,
                 .shift_max = 40,
                 .fixed_shift = -1 },
    .weight_bits = 4,
    .activation_bits = 8,
    .export_files = export_files,
};
