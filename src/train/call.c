/* Names with arguments as users write them: "step:30,0.1", "freeze-bn:1". */
#include "train/train_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tq_status tq_call_find(const tq_registry *registry, tq_kind kind, const char *text,
                       const tq_entry **out_entry, const char **out_args)
{
    char name[64];
    const size_t n = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
    *out_args = text + n + (text[n] == ':');
    return tq_registry_find(registry, kind, name, out_entry);
}

tq_status tq_call_numbers(const char *args, int n_min, int n_max, double *out, int *out_n)
{
    int n = 0;
    for (const char *text = args; *text; n++) {
        char *end;
        const double number = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !isfinite(number))
            return tq_fail(TQ_ERR_VALUE, "'%s' is no number", text);
        if (n == n_max)
            return tq_fail(TQ_ERR_VALUE, "it has more than %d numbers", n_max);
        out[n] = number;
        text = *end ? end + 1 : end;
    }
    if (n < n_min)
        return tq_fail(TQ_ERR_VALUE, "it needs %s%d number%s", n_max > n_min ? "at least " : "",
                       n_min, n_min == 1 ? "" : "s");
    if (out_n)
        *out_n = n;
    return TQ_OK;
}
