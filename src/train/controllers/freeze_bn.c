/* "freeze-bn:EPOCHS": from then on batch norms use and keep their running statistics; their scales
 * and biases go on learning. Statistics of single batches make the ranges behind them noisy, which
 * hurts most where steps are small: at the end. EPOCHS may be a fraction. MQBench's `freeze_step`;
 * Graffitist freezes after one epoch. A network without batch norms has nothing to freeze. */
#include "train/train_internal.h"

#include <math.h>

static tq_status read_epochs(const tq_control *c, double *out)
{
    TQ_TRY(tq_control_numbers(c, 1, 1, out, NULL));
    return *out >= 0.0 ? TQ_OK
                       : tq_fail(TQ_ERR_VALUE, "%g epochs; expected EPOCHS of 0 or more", *out);
}

static tq_status prepare(const tq_control *c, int *out_n_state)
{
    (void)out_n_state;
    double epochs;
    return read_epochs(c, &epochs);
}

static tq_status before_step(tq_control *c)
{
    double epochs;
    TQ_TRY(read_epochs(c, &epochs));
    if ((double)c->step >= epochs * (double)c->steps_per_epoch)
        c->freeze_norms = true;
    return TQ_OK;
}

const tq_controller tq_controller_freeze_bn = {
    .entry = { .name = "freeze-bn",
               .brief = "'freeze-bn:EPOCHS': batch norms keep their statistics from then on",
               .source = "arXiv:2111.03759" },
    .prepare = prepare,
    .before_step = before_step,
};
