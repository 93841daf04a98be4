/* Models, files and data the way every command opens them. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tq_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

/* ---- models ---- */

tq_graph **tq_cli_slot(tq_cli *cli)
{
    int i = 0;
    while (i < TQ_COUNT(cli->graphs) && cli->graphs[i])
        i++;
    TQ_ASSERT(i < TQ_COUNT(cli->graphs));
    return &cli->graphs[i];
}

tq_status tq_cli_load(tq_cli *cli, const char *path, const char *dialect, tq_graph ***out_slot)
{
    *out_slot = tq_cli_slot(cli);
    return tq_model_load(cli->registry, path, dialect, *out_slot);
}

tq_status tq_cli_save(tq_cli *cli, const tq_graph *graph, const char *path)
{
    (void)cli;
    TQ_TRY(tq_onnx_export(graph, path, 0));
    tq_print("wrote %s\n", path);
    return TQ_OK;
}

/* ---- outputs ---- */

/** The folder of a path, in the arena. */
static const char *folder_of(tq_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash          ? "."
           : slash == path ? "/"
                           : tq_arena_strndup(arena, path, (size_t)(slash - path));
}

/** Can a file be made in this folder? Asked by making one: permissions alone do not say. */
static tq_status probe(tq_arena *arena, const char *path, const char *folder)
{
    const char *temp = tq_arena_printf(arena, "%s/.truq-%ld.tmp", folder, (long)getpid());
    const int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tq_fail(TQ_ERR_IO, "cannot write '%s': folder '%s': %s", path, folder,
                       strerror(errno));
    close(fd);
    unlink(temp);
    return TQ_OK;
}

tq_status tq_cli_check_output(tq_cli *cli, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return tq_fail(TQ_ERR_IO, "cannot write '%s': it is a folder", path);
        if (!S_ISREG(info.st_mode))
            return TQ_OK; /* a device: written in place */
        if (access(path, W_OK) != 0)
            return tq_fail(TQ_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    }
    return probe(cli->arena, path, folder_of(cli->arena, path));
}

tq_status tq_cli_check_folder(tq_cli *cli, const char *path)
{
    struct stat info;
    const char *there = path; /* the nearest that exists */
    while (stat(there, &info) != 0 && errno == ENOENT && strcmp(there, ".") != 0)
        there = folder_of(cli->arena, there);
    return probe(cli->arena, path, there);
}

/* ---- data ---- */

static const tq_dataset *keep(tq_cli *cli, tq_dataset *dataset)
{
    int i = 0;
    while (i < TQ_COUNT(cli->datasets) && cli->datasets[i])
        i++;
    TQ_ASSERT(i < TQ_COUNT(cli->datasets));
    cli->datasets[i] = dataset;
    return dataset;
}

tq_status tq_cli_data(tq_cli *cli, const char *spec, const char *partition, tq_partition preferred,
                      const tq_dataset **out_dataset)
{
    tq_dataset *dataset;
    tq_partition asked;
    if (partition) {
        const tq_status status = tq_partition_parse(partition, &asked);
        if (status) {
            tq_status_drop(status);
            return tq_fail(TQ_ERR_USAGE, "--partition takes train, valid or test, not '%s'",
                           partition);
        }
        TQ_TRY(tq_dataset_open(cli->registry, spec, asked, &dataset));
    } else {
        TQ_TRY(tq_dataset_open_preferred(cli->registry, spec, preferred, &dataset));
    }
    *out_dataset = keep(cli, dataset);
    return TQ_OK;
}

tq_status tq_cli_held_out(tq_cli *cli, const char *spec, const tq_dataset **out_dataset)
{
    tq_dataset *all, *test;
    *out_dataset = NULL;
    TQ_TRY(tq_dataset_open(cli->registry, spec, TQ_PARTITION_ALL, &all));
    const int64_t n = all->n;
    tq_dataset_close(all);
    const tq_status status = tq_dataset_open(cli->registry, spec, TQ_PARTITION_TEST, &test);
    if (status && tq_status_code(status) == TQ_ERR_NOT_FOUND) {
        tq_status_drop(status);
        return TQ_OK;
    }
    TQ_TRY(status);
    if (test->n < n)
        *out_dataset = keep(cli, test);
    else
        tq_dataset_close(test); /* not divided: every part is the whole */
    return TQ_OK;
}

/* ---- presets ---- */

/** Arrays are taken as they are, and the built-in digits have a preset of their own; images say
 *  nothing about what a network wants. */
static tq_status implied_preset(const tq_dataset *data, const char **out_name)
{
    *out_name = NULL;
    if (strcmp(data->driver->entry.name, "digits") == 0) {
        *out_name = "digits";
        return TQ_OK;
    }
    tq_sample sample;
    TQ_TRY(tq_dataset_read(data, 0, &sample));
    tq_tensor_reset(&sample.data);
    if (!sample.is_image || strcmp(data->driver->entry.name, "npz") == 0)
        *out_name = "raw";
    return TQ_OK;
}

tq_status tq_cli_preset(tq_cli *cli, const char *asked, const tq_graph *graph,
                        const tq_graph *other, const tq_dataset *data, const tq_preset **out_preset,
                        const char **out_name)
{
    const char *name = asked, *known = asked;
    if (!name)
        name = known = tq_graph_meta(graph, "preset");
    if (!name && other)
        name = known = tq_graph_meta(other, "preset");
    if (!name)
        TQ_TRY(implied_preset(data, &name));
    if (!name)
        return tq_fail(TQ_ERR_VALUE,
                       "how the images of '%s' become inputs is not known; say it "
                       "with --preset ('truq list presets' shows all)",
                       data->spec);
    const tq_status status = tq_preset_load(cli->registry, name, cli->arena, out_preset);
    if (status && !asked && known)
        return tq_wrap(status,
                       "the model remembers preset '%s', another can be given with --preset", name);
    *out_name = tq_arena_strdup(cli->arena, name);
    return status;
}

tq_status tq_cli_half_up(const char *text, bool *out_half_up)
{
    *out_half_up = text != NULL;
    return !text || strcmp(text, "half-up") == 0
               ? TQ_OK
               : tq_fail(TQ_ERR_USAGE, "--rounding takes half-up, not '%s'", text);
}
