/* Gradients as nodes of the same graph. */
#ifndef TRUQ_AUTODIFF_H
#define TRUQ_AUTODIFF_H

#include <truq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Appends nodes computing d loss / d value for each `wrt` (constants or inputs); grads[i] is NULL where nothing depends on it.
 *  TQ_ERR_UNSUPPORTED names an operator without gradient on the way. */
TQ_API tq_status tq_autodiff(tq_graph *graph, tq_value *loss, tq_value *const *wrt, int n, tq_value **out_grads);

#ifdef __cplusplus
}
#endif
#endif
