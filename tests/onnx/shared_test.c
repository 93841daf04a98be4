/* Networks that others made: all are read, and come back the same from a file of ours. */
#include "check.h"

#include <dirent.h>

/** Written for the opset and read again, the same nodes and values. */
static void check_round_trip(const tq_graph *graph, int opset, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/m.onnx", check_folder());
    const tq_status status = tq_onnx_export(graph, path, opset);
    if (status && tq_status_code(status) == TQ_ERR_UNSUPPORTED && opset != 17) {
        tq_status_drop(status); /* older opsets lack forms */
        return;
    }
    CHECK_OK(status);
    tq_graph *back = NULL;
    CHECK_OK(tq_onnx_import(check_registry(), path, &back));
    CHECK_EQ(tq_graph_n_nodes(back), tq_graph_n_nodes(graph), "%s", name);
    char *before = tq_graph_print(graph, 0), *after = tq_graph_print(back, 0);
    if (opset == 17)
        CHECK_STR(after, before);
    free(before);
    free(after);
    tq_graph_destroy(back);
}

static void check_model(const char *path)
{
    tq_graph *graph = NULL;
    CHECK_OK(tq_onnx_import(check_registry(), path, &graph));
    CHECK_OK(tq_graph_verify(graph));
    static const int opsets[] = { 17, 10, 13, 21, 23 };
    for (int i = 0; i < TQ_COUNT(opsets); i++)
        check_round_trip(graph, opsets[i], path);
    tq_graph_destroy(graph);
}

/** Calls check_model for each FOLDER/NAME + SUFFIX that is there. */
static int check_all(const char *folder, const char *suffix)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s%s", folder, entry->d_name, suffix);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        fclose(file);
        check_model(path);
        n++;
    }
    closedir(dir);
    return n;
}

TEST(integer_networks_are_read_and_written)
{
    const char *folder = check_shared("golden");
    if (!folder)
        check_skip("no golden networks");
    CHECK_EQ(check_all(folder, "/model.onnx"), 28);
}

TEST(float_networks_are_read_and_written)
{
    const char *folder = check_shared("models");
    if (!folder)
        check_skip("no float networks");
    CHECK_EQ(check_all(folder, ""), 6);
}
