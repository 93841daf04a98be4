/* The table at the end of the road: what each stage of a network scores and costs. */
#include "report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *number(tq_arena *arena, const char *format, double value)
{
    char text[48];
    if (!isfinite(value))
        return "-";
    snprintf(text, sizeof text, format, value);
    return tq_arena_strdup(arena, text);
}

static double ms_per_image(const tq_road_stage *r)
{
    return r->result.images_per_s > 0.0 ? 1000.0 / r->result.images_per_s : (double)NAN;
}

static const char *stages_text(const tq_road_stage *rows, int n, tq_arena *arena)
{
    static const char *const titles[] = { "network",      ">top-1 %", ">top-5 %",  ">loss",
                                          ">agreement %", ">bytes",   ">ms/image", "file" };
    tq_table *table = tq_table_create(arena, TQ_COUNT(titles), titles);
    for (int i = 0; i < n; i++) {
        const tq_road_stage *r = &rows[i];
        tq_table_add(table, (const char *[]){ r->name, number(arena, "%.2f", r->result.top1),
                                              number(arena, "%.2f", r->result.top5),
                                              number(arena, "%.5g", r->result.loss),
                                              number(arena, "%.2f", r->agreement),
                                              tq_arena_printf(arena, "%" PRId64, r->bytes),
                                              number(arena, "%.3g", ms_per_image(r)), r->file });
    }
    return tq_table_print(table);
}

static const char *stages_json(const tq_road_stage *rows, int n, tq_arena *arena)
{
    tq_json *json = tq_json_create(arena);
    tq_json_open_array(json, "stages");
    for (int i = 0; i < n; i++) {
        const tq_road_stage *r = &rows[i];
        tq_json_open_object(json, NULL);
        tq_json_add_text(json, "name", r->name);
        tq_json_add_text(json, "file", r->file);
        tq_json_add_number(json, "top1", r->result.top1);
        tq_json_add_number(json, "top5", r->result.top5);
        tq_json_add_number(json, "loss", r->result.loss);
        tq_json_add_number(json, "agreement", r->agreement);
        tq_json_add_integer(json, "bytes", r->bytes);
        tq_json_add_number(json, "ms_per_image", ms_per_image(r));
        tq_json_close(json);
    }
    return tq_json_print(json);
}

const char *tq_report_stages(const tq_road_stage *rows, int n, bool json, tq_arena *arena)
{
    return json ? stages_json(rows, n, arena) : stages_text(rows, n, arena);
}
