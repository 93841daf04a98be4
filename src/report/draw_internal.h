/* Names of what is drawn, numbered. */
#ifndef TQ_REPORT_DRAW_INTERNAL_H
#define TQ_REPORT_DRAW_INTERNAL_H

#include "report/report_internal.h"

#include <cgraph.h>

typedef struct tq_drawing_names {
    Agdisc_t disc; /* first: Graphviz hands it on */
    tq_arena *arena;
    int n, n_anonymous;
    size_t capacity, mask;
    char **names;
    int *slots; /* 1 + number of a name, by its digest */
} tq_drawing_names;

/* names->disc is what agopen takes; lives as long as the picture. */
void tq_drawing_names_init(tq_drawing_names *names, tq_arena *arena);

#endif
