/* Einstein summation (ONNX Einsum-12, numpy.einsum): each letter names an axis, "..." the axes that
 * broadcast; letters that the output lacks are summed over.
 *
 *   y[out] = sum over the other letters of the product of all operands
 *
 * A letter twice in one operand takes its diagonal; without "->" the output has the letters that
 * occur once, in alphabetical order, behind the axes of "...". f32 and f64, summed in double.
 *
 * The gradient to an operand is an Einsum of dy and the other operands; what only that operand had
 * was summed over alone, so the gradient is the same all along it. */
#include "ops/arithmetic_internal.h"
#include "ops/strided_internal.h"

#include <ctype.h>
#include <string.h>

enum { MAX_OPERANDS = 8, MAX_LABELS = 52 + TQ_MAX_RANK, MAX_TERMS = 64 };

/* Labels: 0 .. 51 are letters (A-Z, a-z), 52 + k the k-th axis of "..." counted from its end. */
enum { ELLIPSIS = 52 };

typedef struct term {
    int n, labels[TQ_MAX_RANK];
} term;

typedef struct equation {
    int n_operands;
    term in[MAX_OPERANDS], out;
    int64_t size[MAX_LABELS]; /* 0: not used */
    int n_ellipsis;           /* axes of the widest "..." */
} equation;

static int label_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/** A term as written: letters, and ELLIPSIS where "..." stands; -1 at its end. */
static tq_status scan_term(const char **text, int *out_labels)
{
    int n = 0;
    const char *c = *text;
    bool dots = false;
    for (; *c && *c != ',' && strncmp(c, "->", 2) != 0; c++) {
        if (isspace((unsigned char)*c))
            continue;
        const bool ellipsis = strncmp(c, "...", 3) == 0;
        const int label = ellipsis ? ELLIPSIS : label_of(*c);
        if (label < 0 || (ellipsis && dots) || n == MAX_TERMS - 1)
            return tq_fail(TQ_ERR_VALUE, "equation is wrong at '%.8s'", c);
        dots = dots || ellipsis;
        c += ellipsis ? 2 : 0;
        out_labels[n++] = label;
    }
    out_labels[n] = -1;
    *text = c;
    return TQ_OK;
}

/** "..." takes the axes that the letters leave over. */
static tq_status expand(const int *scanned, int rank, term *out)
{
    int n_letters = 0;
    bool dots = false;
    for (int i = 0; scanned[i] >= 0; i++) {
        dots = dots || scanned[i] == ELLIPSIS;
        n_letters += scanned[i] != ELLIPSIS;
    }
    const int left = rank - n_letters;
    if (left < 0 || (left > 0 && !dots))
        return tq_fail(TQ_ERR_SHAPE, "a term of the equation has %d letters, its operand %d axes",
                       n_letters, rank);
    out->n = 0;
    for (int i = 0; scanned[i] >= 0; i++) {
        const int count = scanned[i] == ELLIPSIS ? left : 1;
        for (int k = 0; k < count; k++)
            out->labels[out->n++] = scanned[i] == ELLIPSIS ? ELLIPSIS + left - 1 - k : scanned[i];
    }
    return TQ_OK;
}

static tq_status note_size(equation *e, int label, int64_t dim)
{
    int64_t *size = &e->size[label];
    const bool broadcast = label >= ELLIPSIS || dim == 1 || *size == 1;
    if (*size == 0 || (*size == 1 && broadcast)) {
        *size = dim;
        return TQ_OK;
    }
    if (dim == *size || (dim == 1 && broadcast))
        return TQ_OK;
    if (*size == TQ_DIM_ANY || dim == TQ_DIM_ANY) {
        *size = tq_dim_known(*size, dim);
        return TQ_OK;
    }
    return tq_fail(TQ_ERR_SHAPE, "one letter of the equation stands for axes of %lld and %lld",
                   (long long)*size, (long long)dim);
}

static tq_status implicit_output(equation *e)
{
    int count[MAX_LABELS] = { 0 };
    for (int i = 0; i < e->n_operands; i++)
        for (int d = 0; d < e->in[i].n; d++)
            count[e->in[i].labels[d]]++;
    for (int k = e->n_ellipsis - 1; k >= 0; k--)
        e->out.labels[e->out.n++] = ELLIPSIS + k;
    for (int label = 0; label < ELLIPSIS; label++)
        if (count[label] == 1) {
            if (e->out.n == TQ_MAX_RANK)
                return tq_fail(TQ_ERR_UNSUPPORTED, "the result has more than %d axes", TQ_MAX_RANK);
            e->out.labels[e->out.n++] = label;
        }
    return TQ_OK;
}

static tq_status explicit_output(equation *e, const char *text)
{
    int scanned[MAX_TERMS], n = 0;
    uint64_t seen = 0;
    TQ_TRY(scan_term(&text, scanned));
    for (int i = 0; scanned[i] >= 0; i++) {
        n += scanned[i] == ELLIPSIS ? e->n_ellipsis : 1;
        const bool known = scanned[i] == ELLIPSIS || e->size[scanned[i]] != 0;
        if (!known || seen >> scanned[i] & 1)
            return tq_fail(TQ_ERR_VALUE, "the output term names a letter twice or one that no "
                                         "operand has");
        seen |= UINT64_C(1) << scanned[i];
    }
    if (*text || n > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_VALUE, "the output term of the equation is wrong");
    return expand(scanned, n, &e->out);
}

static tq_status read_equation(const tq_attrs *attrs, const tq_type *const *in, int n, equation *e)
{
    const char *text = tq_attr_string(attrs, "equation");
    *e = (equation){ .n_operands = n };
    for (int i = 0; i < n; i++) {
        int scanned[MAX_TERMS];
        TQ_TRY(scan_term(&text, scanned));
        TQ_TRY(expand(scanned, in[i]->rank, &e->in[i]));
        for (int d = 0; d < e->in[i].n; d++) {
            const int label = e->in[i].labels[d];
            TQ_TRY(note_size(e, label, in[i]->dims[d]));
            if (label >= ELLIPSIS && label - ELLIPSIS >= e->n_ellipsis)
                e->n_ellipsis = label - ELLIPSIS + 1;
        }
        const bool last = i == n - 1;
        if ((*text == ',') == last || (last && *text && *text != '-'))
            return tq_fail(TQ_ERR_VALUE, "equation '%s' does not have %d operands",
                           tq_attr_string(attrs, "equation"), n);
        text += *text == ',';
    }
    return *text ? explicit_output(e, text + 2) : implicit_output(e);
}

static tq_status infer(tq_op_types *t)
{
    if (t->n_in < 1 || t->n_in > MAX_OPERANDS)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %d operands; 1 to %d are implemented", t->n_in,
                       MAX_OPERANDS);
    for (int i = 0; i < t->n_in; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, i ? TQ_DTYPE_BIT(t->in[0]->dtype) : TQ_DTYPES_REAL));
        TQ_TRY(tq_op_need_rank(t, i, 0, TQ_MAX_RANK));
        for (int d = 0; d < t->in[i]->rank; d++)
            if (t->in[i]->dims[d] == 0)
                return tq_fail(TQ_ERR_UNSUPPORTED,
                               "input %d is %s; empty operands are not "
                               "implemented",
                               i, tq_type_text(t->in[i]).s);
    }
    equation e;
    TQ_TRY(read_equation(t->attrs, t->in, t->n_in, &e));
    t->out[0] = (tq_type){ .dtype = t->in[0]->dtype, .rank = e.out.n };
    for (int d = 0; d < e.out.n; d++)
        t->out[0].dims[d] = e.size[e.out.labels[d]];
    return TQ_OK;
}

/** Loops: the labels of the output first, then the summed ones; a stride for each operand. */
typedef struct loops {
    int n_out, n;
    int64_t dims[MAX_LABELS];
    int64_t strides[MAX_OPERANDS][MAX_LABELS];
} loops;

static void add_loop(const equation *e, const tq_op_run *run, int label, loops *l)
{
    l->dims[l->n] = e->size[label];
    for (int i = 0; i < e->n_operands; i++) {
        int64_t strides[TQ_MAX_RANK], stride = 0;
        tq_type_strides(run->in_types[i], strides);
        for (int d = 0; d < e->in[i].n; d++)
            if (e->in[i].labels[d] == label && run->in_types[i]->dims[d] != 1)
                stride += strides[d];
        l->strides[i][l->n] = stride;
    }
    l->n++;
}

static void make_loops(const equation *e, const tq_op_run *run, loops *l)
{
    bool in_output[MAX_LABELS] = { false };
    for (int d = 0; d < e->out.n; d++) {
        in_output[e->out.labels[d]] = true;
        add_loop(e, run, e->out.labels[d], l);
    }
    l->n_out = l->n;
    for (int label = 0; label < MAX_LABELS; label++)
        if (e->size[label] != 0 && !in_output[label])
            add_loop(e, run, label, l);
}

typedef struct job {
    const tq_op_run *run;
    loops l;
} job;

static double sum_at(const job *j, const int64_t *base)
{
    const loops *l = &j->l;
    const int n_operands = j->run->n_in, n = l->n - l->n_out;
    const tq_dtype dtype = j->run->in_types[0]->dtype;
    int64_t index[MAX_LABELS] = { 0 };
    double sum = 0.0;
    do {
        double product = 1.0;
        for (int i = 0; i < n_operands; i++) {
            int64_t at = base[i];
            for (int k = 0; k < n; k++)
                at += index[k] * l->strides[i][l->n_out + k];
            product *= dtype == TQ_F32 ? (double)((const float *)j->run->in[i])[at]
                                       : ((const double *)j->run->in[i])[at];
        }
        sum += product;
    } while (tq_index_next(n, l->dims + l->n_out, index));
    return sum;
}

static void elements(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    const loops *l = &j->l;
    for (int64_t i = begin; i < end; i++) {
        int64_t base[MAX_OPERANDS] = { 0 }, rest = i;
        for (int d = l->n_out - 1; d >= 0; d--) {
            for (int k = 0; k < j->run->n_in; k++)
                base[k] += rest % l->dims[d] * l->strides[k][d];
            rest /= l->dims[d];
        }
        tq_store_f64(j->run->out[0], j->run->out_types[0]->dtype, i, sum_at(j, base));
    }
}

static void reference(const tq_op_run *run)
{
    equation e;
    job j = { .run = run };
    const tq_status status = read_equation(run->attrs, run->in_types, run->n_in, &e);
    TQ_ASSERT(!status);
    make_loops(&e, run, &j.l);
    tq_run_for(run, tq_type_count(run->out_types[0]), 256, elements, &j);
}

/* ---- gradient ------------------------------------------------------------------------------- */

static bool term_has(const term *t, int label)
{
    for (int d = 0; d < t->n; d++)
        if (t->labels[d] == label)
            return true;
    return false;
}

/** Is the label one of the output's, or of an operand's other than i? */
static bool is_elsewhere(const equation *e, int i, int label)
{
    bool found = term_has(&e->out, label);
    for (int k = 0; k < e->n_operands; k++)
        found = found || (k != i && term_has(&e->in[k], label));
    return found;
}

/** A letter for each label; the axes of "..." take letters that the equation leaves free. */
static tq_status name_labels(const equation *e, char letters[MAX_LABELS])
{
    int next = 0;
    for (int label = 0; label < MAX_LABELS; label++) {
        while (label >= ELLIPSIS && next < ELLIPSIS && e->size[next] != 0)
            next++;
        const int k = label < ELLIPSIS ? label : next++;
        if (k >= ELLIPSIS && e->size[label] != 0)
            return tq_fail(TQ_ERR_UNSUPPORTED, "all letters are taken");
        letters[label] = (char)(k < 26 ? 'A' + k : 'a' + k - 26);
    }
    return TQ_OK;
}

static char *write_term(char *at, const term *t, const char *letters)
{
    for (int d = 0; d < t->n; d++)
        *at++ = letters[t->labels[d]];
    return at;
}

/** dy times the other operands, summed over what operand i lacks; without what only it has. */
static tq_status sum_others(tq_grad *g, const equation *e, int i, tq_value **out)
{
    char letters[MAX_LABELS], text[(MAX_OPERANDS + 1) * (TQ_MAX_RANK + 2) + 1];
    tq_value *inputs[MAX_OPERANDS] = { tq_grad_of_output(g, 0) };
    int n_inputs = 1;
    term target = { 0 };
    TQ_TRY(name_labels(e, letters));
    char *at = write_term(text, &e->out, letters);
    for (int k = 0; k < e->n_operands; k++) {
        if (k == i)
            continue;
        *at++ = ',';
        at = write_term(at, &e->in[k], letters);
        inputs[n_inputs++] = tq_grad_input(g, k);
    }
    for (int d = 0; d < e->in[i].n; d++)
        if (is_elsewhere(e, i, e->in[i].labels[d]))
            target.labels[target.n++] = e->in[i].labels[d];
    *at++ = '-';
    *at++ = '>';
    *write_term(at, &target, letters) = '\0';
    const tq_attr attr = TQ_STRING("equation", text);
    tq_node *node;
    TQ_TRY(tq_grad_node(
        g,
        &(tq_node_spec){
            .op = "Einsum", .inputs = inputs, .n_inputs = n_inputs, .attrs = &attr, .n_attrs = 1 },
        &node));
    *out = tq_node_output(node, 0);
    return TQ_OK;
}

static tq_status set_operand(tq_grad *g, const equation *e, int i)
{
    const term *t = &e->in[i];
    for (int d = 0; d < t->n; d++)
        for (int k = 0; k < d; k++)
            if (t->labels[k] == t->labels[d])
                return tq_fail(TQ_ERR_UNSUPPORTED, "a diagonal has no gradient");
    int64_t alone[TQ_MAX_RANK];
    int n_alone = 0;
    for (int d = 0; d < t->n; d++)
        if (!is_elsewhere(e, i, t->labels[d]))
            alone[n_alone++] = d;
    tq_value *value, *axes, *shape, *x = tq_grad_input(g, i);
    TQ_TRY(sum_others(g, e, i, &value));
    if (n_alone > 0) {
        TQ_TRY(tq_grad_ints(g, n_alone, alone, &axes));
        TQ_TRY(tq_grad_make(g, "Unsqueeze", 2, (tq_value *const[]){ value, axes }, &value));
        TQ_TRY(tq_grad_make(g, "Shape", 1, &x, &shape));
        TQ_TRY(tq_grad_make(g, "Expand", 2, (tq_value *const[]){ value, shape }, &value));
    }
    return tq_grad_set_unbroadcast(g, i, value);
}

static tq_status gradient(tq_grad *g)
{
    const tq_type *types[MAX_OPERANDS] = { NULL };
    const int n = tq_node_n_inputs(tq_grad_of(g));
    for (int i = 0; i < n; i++)
        types[i] = tq_value_type(tq_grad_input(g, i));
    equation e;
    TQ_TRY(read_equation(tq_grad_attrs(g), types, n, &e));
    for (int i = 0; i < n; i++)
        if (tq_grad_wants(g, i))
            TQ_TRY(set_operand(g, &e, i));
    return TQ_OK;
}

const tq_op tq_op_einsum = {
    .entry = { .name = "Einsum",
               .brief = "sum of products over named axes",
               .source = "ONNX Einsum-12" },
    .inputs = { "inputs..." },
    .outputs = { "output" },
    .attrs = { { .name = "equation", .kind = TQ_ATTR_STRING } },
    .required_attrs = 1,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
};
