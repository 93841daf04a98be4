/* Where the ends [a, b] of a grid's real range come from: a constant, the extremes, or
 * mean -/+ n_std standard deviations (QuantLib's QHParamsInitStrategy). */
#include "quant/quant_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tq_observer *const observers[] = {
    [TQ_INIT_CONST] = &tq_observer_const,
    [TQ_INIT_MINMAX] = &tq_observer_minmax,
    [TQ_INIT_MEANSTD] = &tq_observer_meanstd,
};

/** Reads up to `n` finite numbers with commas between them; returns how many, -1 if malformed. */
static int read_numbers(const char *p, int n, double *out)
{
    for (int i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(p, &end);
        if (end == p || !isfinite(out[i]))
            return -1;
        while (isspace((unsigned char)*end))
            end++;
        if (!*end)
            return i + 1;
        if (*end != ',')
            return -1;
        p = end + 1;
    }
    return -1;
}

static tq_status parse_arguments(const char *text, const char *arguments, tq_init *init)
{
    double v[2];
    const int n = read_numbers(arguments, 2, v);
    if (init->kind == TQ_INIT_CONST && n == 2 && v[0] < v[1]) {
        init->a = v[0];
        init->b = v[1];
        return TQ_OK;
    }
    if (init->kind == TQ_INIT_MEANSTD && n == 1 && v[0] > 0.0) {
        init->n_std = v[0];
        return TQ_OK;
    }
    return tq_fail(TQ_ERR_VALUE,
                   "init '%.60s': expected const:A,B with A < B, or meanstd:N with N > 0", text);
}

tq_status tq_init_parse(const char *text, tq_init *out_init)
{
    const size_t n = strcspn(text, ":");
    for (int k = 0; k < TQ_COUNT(observers); k++) {
        const char *name = observers[k]->entry.name;
        if (strlen(name) != n || strncmp(name, text, n) != 0)
            continue;
        tq_init init = { .kind = (tq_init_kind)k, .a = -1.0, .b = 1.0, .n_std = 3.0 };
        if (text[n])
            TQ_TRY(parse_arguments(text, text + n + 1, &init));
        *out_init = init;
        return TQ_OK;
    }
    return tq_fail(TQ_ERR_VALUE,
                   "unknown init '%.60s'; expected minmax, const, const:A,B, meanstd or meanstd:N",
                   text);
}

/** NAME[:A[,B]] of an observer that somebody registered. */
static tq_status read_observer(const tq_observer *observer, const char *text, size_t n_name,
                               tq_init *out_init)
{
    tq_init init = {
        .kind = TQ_INIT_OBSERVER, .a = (double)NAN, .b = (double)NAN, .observer = observer
    };
    double v[2];
    const int n = text[n_name] ? read_numbers(text + n_name + 1, 2, v) : 0;
    if (n < 0)
        return tq_fail(TQ_ERR_VALUE, "init '%.60s': expected %.40s, %.40s:A or %.40s:A,B", text,
                       observer->entry.name, observer->entry.name, observer->entry.name);
    if (n > 0)
        init.a = v[0];
    if (n > 1)
        init.b = v[1];
    *out_init = init;
    return TQ_OK;
}

tq_status tq_init_find(const tq_registry *registry, const char *text, tq_init *out_init)
{
    const size_t n = strcspn(text, ":");
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_OBSERVER); i++) {
        const tq_observer *observer =
            (const tq_observer *)(const void *)tq_registry_at(registry, TQ_KIND_OBSERVER, i);
        bool ours = false;
        for (int k = 0; k < TQ_COUNT(observers); k++)
            ours = ours || observer == observers[k];
        if (!ours && strlen(observer->entry.name) == n &&
            strncmp(observer->entry.name, text, n) == 0)
            return read_observer(observer, text, n, out_init);
    }
    return tq_init_parse(text, out_init);
}

tq_text tq_init_text(const tq_init *init)
{
    tq_text text;
    switch (init->kind) {
    case TQ_INIT_CONST:
        snprintf(text.s, sizeof text.s, "const:%.17g,%.17g", init->a, init->b);
        break;
    case TQ_INIT_MEANSTD:
        snprintf(text.s, sizeof text.s, "meanstd:%.17g", init->n_std);
        break;
    case TQ_INIT_MINMAX:
        snprintf(text.s, sizeof text.s, "minmax");
        break;
    case TQ_INIT_OBSERVER:
        snprintf(text.s, sizeof text.s, "%.60s", init->observer->entry.name);
        if (!isnan(init->a))
            snprintf(text.s + strlen(text.s), 32, ":%.17g", init->a);
        if (!isnan(init->b))
            snprintf(text.s + strlen(text.s), 32, ",%.17g", init->b);
        break;
    }
    return text;
}

static const tq_observer *observer_of(const tq_init *init)
{
    return init->kind == TQ_INIT_OBSERVER ? init->observer : observers[init->kind];
}

tq_status tq_init_range(const tq_init *init, const tq_statistics *s, double *out_a, double *out_b)
{
    return observer_of(init)->range(s, init, out_a, out_b);
}

bool tq_init_is_extremes(const tq_init *init)
{
    return observer_of(init)->extremes_only;
}

tq_status tq_statistics_need(const tq_statistics *s)
{
    if (s->n_bad > 0)
        return tq_fail(TQ_ERR_VALUE, "%lld of %lld observed elements are NaN or infinite",
                       (long long)s->n_bad, (long long)(s->n + s->n_bad));
    if (s->n == 0)
        return tq_fail(TQ_ERR_STATE, "nothing was observed; run 'truq calibrate' first");
    return TQ_OK;
}
