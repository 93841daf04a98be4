/* Predictions of one network: from a CSV that eval saved, or by evaluating it now. */
#include "predictions.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool tq_predictions_is_csv(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".csv") == 0;
}

/** One number of a line; *at moves behind it and behind `end`. */
static bool take_number(const char **at, char end, int64_t *out)
{
    char *after;
    if (!isdigit((unsigned char)**at) && **at != '-')
        return false;
    *out = strtoll(*at, &after, 10);
    if (after > *at && *after == '\r' && end == '\n')
        after++;
    if (*after != end && !(end == '\n' && *after == 0))
        return false;
    *at = *after ? after + 1 : after;
    return true;
}

static int by_id(const void *a, const void *b)
{
    const tq_prediction *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static tq_status parse(const char *text, tq_arena *arena, tq_predictions *out)
{
    static const char head[] = "id,label,prediction";
    size_t capacity = 0;
    const char *at = text + sizeof head - 1;
    if (strncmp(text, head, sizeof head - 1) != 0 || (*at != '\n' && *at != '\r'))
        return tq_fail(TQ_ERR_FORMAT, "its first line is not '%s'", head);
    at = strchr(at, '\n');
    at = at ? at + 1 : "";
    for (int line = 2; *at; line++) {
        tq_prediction p;
        if (!take_number(&at, ',', &p.id) || !take_number(&at, ',', &p.label) ||
            !take_number(&at, '\n', &p.prediction))
            return tq_fail(TQ_ERR_FORMAT, "line %d is not three whole numbers", line);
        TQ_PUSH(arena, out->items, out->n, capacity, p);
    }
    if (out->n == 0)
        return tq_fail(TQ_ERR_FORMAT, "it holds no predictions");
    qsort(out->items, (size_t)out->n, sizeof *out->items, by_id);
    for (int64_t i = 1; i < out->n; i++)
        if (out->items[i].id == out->items[i - 1].id)
            return tq_fail(TQ_ERR_FORMAT, "id %lld is there twice", (long long)out->items[i].id);
    return TQ_OK;
}

tq_status tq_predictions_load(const char *path, tq_arena *arena, tq_predictions *out)
{
    void *bytes;
    size_t size;
    *out = (tq_predictions){ .name = path, .loss = (double)NAN };
    TQ_TRY(tq_file_read(path, &bytes, &size));
    const tq_status status = parse(bytes, arena, out);
    free(bytes);
    return tq_wrap(status, "'%s'", path);
}

tq_status tq_predictions_make(const tq_graph *graph, const char *path,
                              const tq_eval_options *options, tq_arena *arena, tq_predictions *out)
{
    tq_eval_result r;
    TQ_TRY(tq_wrap(tq_evaluate(graph, options, &r), "'%s'", path));
    *out = (tq_predictions){ .name = path, .n = r.n, .loss = r.loss };
    out->items = TQ_NEW_N(arena, tq_prediction, r.n);
    for (int64_t i = 0; i < r.n; i++)
        out->items[i] = (tq_prediction){ i, r.labels[i], r.predictions[i] };
    free(r.predictions);
    free(r.labels);
    return TQ_OK;
}

double tq_predictions_top1(const tq_predictions *p)
{
    int64_t n_right = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->items[i].label < 0)
            return (double)NAN;
        n_right += p->items[i].label == p->items[i].prediction;
    }
    return p->n ? 100.0 * (double)n_right / (double)p->n : (double)NAN;
}
