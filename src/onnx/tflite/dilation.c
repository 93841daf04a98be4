/* A dilated convolution as TensorFlow writes it: pixels that are `block` apart become images of a
 * batch (SPACE_TO_BATCH_ND), which a convolution without gaps reads, and come back
 * (BATCH_TO_SPACE_ND). The three become one operator:
 *
 *   pads = paddings - crops, dilations = block */
#include "tflite.h"

enum { CONV_2D = 3, DEPTHWISE_CONV_2D = 4, BATCH_TO_SPACE_ND = 37, SPACE_TO_BATCH_ND = 38 };

/* The only operator that reads tensor `at`; NULL: there are several, none, or it is an output. */
static tq_tflite_operator *only_reader(const tq_tflite_model *m, int at)
{
    tq_tflite_operator *reader = NULL;
    for (int i = 0; i < m->n_outputs; i++)
        if (m->outputs[i] == at)
            return NULL;
    for (int i = 0; i < m->n_operators; i++)
        for (int k = 0; k < m->operators[i].n_inputs; k++) {
            if (m->operators[i].inputs[k] != at)
                continue;
            if (reader)
                return NULL;
            reader = &m->operators[i];
        }
    return reader;
}

/* n constant integers of input i. */
static bool read_ints(const tq_tflite_model *m, const tq_tflite_operator *op, int i, int n,
                      int64_t *out)
{
    const int at = i < op->n_inputs ? op->inputs[i] : -1;
    const tq_tflite_tensor *t = at < 0 ? NULL : &m->tensors[at];
    if (!t || !t->data || t->type.dtype != TQ_I32 || tq_type_count(&t->type) != n)
        return false;
    for (int k = 0; k < n; k++)
        out[k] = tq_load_i64(t->data, TQ_I32, k);
    return true;
}

static bool makes_one(const tq_tflite_operator *op)
{
    return op->n_inputs > 0 && op->inputs[0] >= 0 && op->n_outputs == 1 && op->outputs[0] >= 0;
}

/* Paddings and crops come as [axis][begin, end]. */
static bool find_spacing(const tq_tflite_model *m, const tq_tflite_operator *to,
                         const tq_tflite_operator *from, tq_tflite_spacing *out)
{
    int64_t paddings[4], crops[4], block[2];
    if (!read_ints(m, to, 1, 2, out->block) || !read_ints(m, to, 2, 4, paddings) ||
        !read_ints(m, from, 1, 2, block) || !read_ints(m, from, 2, 4, crops))
        return false;
    out->known = block[0] == out->block[0] && block[1] == out->block[1];
    for (int d = 0; d < 2; d++)
        for (int end = 0; end < 2; end++) {
            out->pads[2 * end + d] = paddings[2 * d + end] - crops[2 * d + end];
            out->known = out->known && out->block[d] > 0 && out->pads[2 * end + d] >= 0;
        }
    return out->known;
}

static void join(const tq_tflite_model *m, tq_tflite_operator *to)
{
    tq_tflite_operator *conv = makes_one(to) ? only_reader(m, to->outputs[0]) : NULL;
    if (!conv || (conv->code != CONV_2D && conv->code != DEPTHWISE_CONV_2D) || !makes_one(conv) ||
        conv->inputs[0] != to->outputs[0])
        return;
    tq_tflite_operator *from = only_reader(m, conv->outputs[0]);
    tq_tflite_spacing spacing = { 0 };
    if (!from || from->code != BATCH_TO_SPACE_ND || !makes_one(from) ||
        !find_spacing(m, to, from, &spacing))
        return;
    conv->spacing = spacing;
    conv->inputs[0] = to->inputs[0];
    conv->outputs = from->outputs;
    to->gone = from->gone = true;
}

void tq_tflite_join_dilations(const tq_tflite_model *model)
{
    for (int i = 0; i < model->n_operators; i++)
        if (model->operators[i].code == SPACE_TO_BATCH_ND)
            join(model, &model->operators[i]);
}
