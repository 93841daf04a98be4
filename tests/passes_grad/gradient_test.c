/* Every registered operator with a gradient against central differences
 *
 *   (loss(v + h) - loss(v - h)) / 2h,   loss = sum over outputs of mean((y - t)^2)
 *
 * in every element of every f32 constant of a small graph. A constant whose name begins with '_' is
 * not differentiated. Operators with a straight-through gradient have tests of their own. */
#include "check.h"

typedef struct sample {
    const char *op, *graph;
} sample;

#define X24 "const x: f32[2,3,2,2] = random(1) "
#define X4 "const x: f32[2,4] = {-0.9,-0.4,0.35,1.6,2.3,-1.7,0.8,-3.4} "

static const sample samples[] = {
    { "Abs", X4 "y = Abs(x)" },
    { "Add", "const a: f32[2,3,2] = random(1) const b: f32[3,1] = random(2) y = Add(a, b)" },
    { "AveragePool", X24 "y = AveragePool(x)[kernel_shape=[2,2],pads=[1,0,0,1]]" },
    { "AveragePool", X24 "y = AveragePool(x)[kernel_shape=[2,2],pads=[1,1,1,1],strides=[2,2],"
                         "count_include_pad=1]" },
    { "BatchNormTrain", "const x: f32[4,2,3] = random(1) const s: f32[2] = {0.7,-1.2} "
                        "const b: f32[2] = {0.1,0.4} const _m: f32[2] = 0.0 const _v: f32[2] = 1.0 "
                        "y,nm,nv,sm,si = BatchNormTrain(x,s,b,_m,_v) output y" },
    { "BatchNormalization",
      "const x: f32[3,2,2] = random(1) const s: f32[2] = {0.7,-1.2} const b: f32[2] = {0.1,0.4} "
      "const _m: f32[2] = {0.2,-0.1} const _v: f32[2] = {0.5,1.5} "
      "y = BatchNormalization(x,s,b,_m,_v)" },
    { "Cast", X4 "y = Cast(x)[to=1]" },
    { "CastLike", X4 "const _z: f32[1] = 0.0 y = CastLike(x, _z)" },
    { "Ceil", NULL },
    { "Celu", X4 "y = Celu(x)[alpha=0.7]" },
    { "Clip", X4 "const lo: f32[] = -1.0 const hi: f32[] = 1.2 y = Clip(x, lo, hi)" },
    { "Concat", "const a: f32[2,1,2] = random(1) const b: f32[2,3,2] = random(2) "
                "y = Concat(a, b)[axis=1]" },
    { "Conv", "const x: f32[2,2,4,3] = random(1) const w: f32[3,2,3,2] = random(2) "
              "const b: f32[3] = random(3) y = Conv(x,w,b)[pads=[1,0,1,1],strides=[2,1]]" },
    { "Conv", "const x: f32[2,4,5,3] = random(1) const w: f32[4,1,2,2] = random(2) "
              "y = Conv(x,w)[group=4,dilations=[2,1]]" },
    { "Conv", "const x: f32[2,2,6] = random(1) const w: f32[4,1,3] = random(2) "
              "y = Conv(x,w)[group=2,auto_pad=\"SAME_UPPER\",strides=[2]]" },
    { "ConvTranspose", "const x: f32[2,2,3,2] = random(1) const w: f32[2,3,3,2] = random(2) "
                       "const b: f32[3] = random(3) "
                       "y = ConvTranspose(x,w,b)[strides=[2,1],pads=[1,0,0,0]]" },
    { "Cos", X4 "y = Cos(x)" },
    { "CrossEntropy", "const x: f32[3,4] = random(1) const l: i64[3] = {0,3,1} "
                      "y = CrossEntropy(x, l)[label_smoothing=0.1]" },
    { "DepthToSpace", "const x: f32[1,8,2,1] = random(1) y = DepthToSpace(x)[blocksize=2]" },
    { "Div", "const a: f32[2,3] = random(1) const b: f32[3] = {0.8,-1.3,2.0} y = Div(a, b)" },
    { "Dropout", X4 "const r: f32[] = 0.4 const t: bool[] = 1 y = Dropout(x, r, t)" },
    { "Einsum", "const a: f32[2,3,2] = random(1) const b: f32[2,2,4] = random(2) "
                "y = Einsum(a, b)[equation=\"bij,bjk->bik\"]" },
    { "Einsum", "const a: f32[2,3] = random(1) const b: f32[2,3,4] = random(2) "
                "y = Einsum(a, b)[equation=\"ic,...cd\"]" },
    { "Einsum", "const a: f32[3,1,2] = random(1) const b: f32[2,3,4] = random(2) "
                "const c: f32[4] = random(3) "
                "y = Einsum(a, b, c)[equation=\"...i,i...,...->i\"]" },
    { "Einsum", "const a: f32[2,3] = random(1) y = Einsum(a)[equation=\"ij->j\"]" },
    { "Elu", X4 "y = Elu(x)" },
    { "Erf", X4 "y = Erf(x)" },
    { "Exp", X4 "y = Exp(x)" },
    { "Expand", "const x: f32[3,1] = random(1) const s: i64[3] = {2,3,2} y = Expand(x, s)" },
    { "FakeQuantize", NULL },
    { "Flatten", X24 "y = Flatten(x)[axis=2]" },
    { "Floor", NULL },
    { "Gather", "const x: f32[4,3] = random(1) const i: i64[3] = {1,3,1} y = Gather(x, i)" },
    { "Gelu", X4 "y = Gelu(x)" },
    { "Gelu", X4 "y = Gelu(x)[approximate=\"tanh\"]" },
    { "Gemm", "const a: f32[3,2] = random(1) const b: f32[3,4] = random(2) "
              "const c: f32[4] = random(3) y = Gemm(a,b,c)[transA=1,alpha=0.5,beta=2.0]" },
    { "Gemm", "const a: f32[2,3] = random(1) const b: f32[4,3] = random(2) "
              "y = Gemm(a,b)[transB=1]" },
    { "GlobalAveragePool", X24 "y = GlobalAveragePool(x)" },
    { "GlobalMaxPool", X24 "y = GlobalMaxPool(x)" },
    { "GroupNormalization",
      "const x: f32[2,4,3] = random(1) const s: f32[4] = {0.7,-1.2,0.4,1.1} "
      "const b: f32[4] = random(3) y = GroupNormalization(x,s,b)[num_groups=2]" },
    { "HardSigmoid", X4 "y = HardSigmoid(x)" },
    { "HardSwish", X4 "y = HardSwish(x)" },
    { "Identity", X4 "y = Identity(x)" },
    { "InstanceNormalization",
      "const x: f32[2,2,2,3] = random(1) const s: f32[2] = {0.7,-1.2} const b: f32[2] = random(3) "
      "y = InstanceNormalization(x,s,b)" },
    { "LayerNormalization",
      "const x: f32[3,4] = random(1) const s: f32[4] = random(2) const b: f32[4] = random(3) "
      "y = LayerNormalization(x,s,b)" },
    { "LayerNormalization", "const x: f32[2,3,2] = random(1) const s: f32[3,1] = random(2) "
                            "y = LayerNormalization(x,s)[axis=1,epsilon=0.1]" },
    { "LeakyRelu", X4 "y = LeakyRelu(x)[alpha=0.2]" },
    { "Log", "const x: f32[3] = {0.5,1.3,4.0} y = Log(x)" },
    { "LogSoftmax", X4 "y = LogSoftmax(x)" },
    { "MatMul", "const a: f32[2,3] = random(1) const b: f32[3,4] = random(2) y = MatMul(a, b)" },
    { "MatMul", "const a: f32[2,1,2,3] = random(1) const b: f32[2,3,2] = random(2) "
                "y = MatMul(a, b)" },
    { "MatMul", "const a: f32[2,2,3] = random(1) const b: f32[3,2] = random(2) y = MatMul(a, b)" },
    { "MatMul", "const a: f32[2,3] = random(1) const b: f32[2,3,2] = random(2) y = MatMul(a, b)" },
    { "MatMul", "const a: f32[3] = random(1) const b: f32[2,3,2] = random(2) y = MatMul(a, b)" },
    { "MatMul", "const a: f32[2,2,3] = random(1) const b: f32[3] = random(2) y = MatMul(a, b)" },
    { "Max", "const a: f32[2,3] = random(1) const b: f32[3] = random(2) y = Max(a, b)" },
    { "MaxPool", "const x: f32[1,2,3,3] = random(1) y = MaxPool(x)[kernel_shape=[2,2]]" },
    { "MaxPool", "const x: f32[2,1,4,4] = random(1) "
                 "y = MaxPool(x)[kernel_shape=[3,3],strides=[2,2],pads=[1,1,0,0]]" },
    { "Mean", "const a: f32[2,3] = random(1) const b: f32[3] = random(2) y = Mean(a, b)" },
    { "MeanSquaredError", "const a: f32[2,3] = random(1) const b: f32[2,3] = random(2) "
                          "y = MeanSquaredError(a, b)" },
    { "Min", "const a: f32[2,3] = random(1) const b: f32[3] = random(2) y = Min(a, b)" },
    { "Mish", X4 "y = Mish(x)" },
    { "Mul", "const a: f32[2,3,2] = random(1) const b: f32[3,1] = random(2) y = Mul(a, b)" },
    { "Neg", X4 "y = Neg(x)" },
    { "Observer", X4 "y = Observer(x)" },
    { "PRelu", X24 "const s: f32[3,1,1] = {0.1,0.3,-0.2} y = PRelu(x, s)" },
    { "Pad", X24 "const p: i64[8] = {0,0,1,0,0,1,0,2} y = Pad(x, p)" },
    { "Pow", "const a: f32[4] = {0.5,1.5,2.0,0.9} const _b: f32[] = 2.0 y = Pow(a, _b)" },
    { "Reciprocal", "const x: f32[3] = {0.5,-1.3,4.0} y = Reciprocal(x)" },
    { "RMSNormalization", "const x: f32[3,4] = random(1) const s: f32[4] = random(2) "
                          "y = RMSNormalization(x,s)" },
    { "ReduceMean", X24 "const a: i64[2] = {0,2} y = ReduceMean(x, a)" },
    { "ReduceMean", X24 "const a: i64[1] = {-1} y = ReduceMean(x, a)[keepdims=0]" },
    { "ReduceSum", X24 "const a: i64[2] = {1,3} y = ReduceSum(x, a)[keepdims=0]" },
    { "ReduceSum", X24 "y = ReduceSum(x)" },
    { "Relu", X4 "y = Relu(x)" },
    { "Reshape", X24 "const s: i64[2] = {4,-1} y = Reshape(x, s)" },
    { "Round", NULL },
    { "Selu", X4 "y = Selu(x)" },
    { "Sigmoid", X4 "y = Sigmoid(x)" },
    { "Sin", X4 "y = Sin(x)" },
    { "Slice", X24 "const s: i64[2] = {2,0} const e: i64[2] = {-9,2} const a: i64[2] = {1,3} "
                   "const t: i64[2] = {-1,1} y = Slice(x, s, e, a, t)" },
    { "Softmax", X24 "y = Softmax(x)[axis=1]" },
    { "Softplus", X4 "y = Softplus(x)" },
    { "SpaceToDepth", "const x: f32[1,2,4,2] = random(1) y = SpaceToDepth(x)[blocksize=2]" },
    { "Softsign", X4 "y = Softsign(x)" },
    { "Split", "const x: f32[2,5] = random(1) const s: i64[2] = {2,3} a,b = Split(x, s)[axis=1]" },
    { "Sqrt", "const x: f32[3] = {0.5,1.3,4.0} y = Sqrt(x)" },
    { "Squeeze", "const x: f32[2,1,3,1] = random(1) const a: i64[1] = {1} y = Squeeze(x, a)" },
    { "Sub", "const a: f32[3,1] = random(1) const b: f32[2,3,2] = random(2) y = Sub(a, b)" },
    { "Sum", "const a: f32[2,3] = random(1) const b: f32[3] = random(2) y = Sum(a, b, b)" },
    { "Swish", X4 "y = Swish(x)[alpha=1.5]" },
    { "Tanh", X4 "y = Tanh(x)" },
    { "ThresholdedRelu", X4 "y = ThresholdedRelu(x)[alpha=0.5]" },
    { "Tile", "const x: f32[2,3] = random(1) const r: i64[2] = {2,1} y = Tile(x, r)" },
    { "Transpose", X24 "y = Transpose(x)[perm=[1,3,0,2]]" },
    { "Unsqueeze", "const x: f32[2,3] = random(1) const a: i64[2] = {0,2} y = Unsqueeze(x, a)" },
    { "WeightRange", NULL },
    { "Where", "const c: bool[3] = {1,0,1} const a: f32[2,3] = random(1) const b: f32[3] = "
               "random(2) y = Where(c, a, b)" },
};

enum { MAX = 16 };

typedef struct trial {
    tq_graph *graph;
    tq_engine *engine;
    int n_outputs, n_wrt;
    tq_tensor targets[MAX];
    tq_value *wrt[MAX];
    float *data[MAX];
} trial;

/** Loss behind the graph, gradients as further outputs. */
static void differentiate(trial *t, const char *op)
{
    tq_value *loss = NULL, *grads[MAX];
    t->n_outputs = tq_graph_n_outputs(t->graph);
    for (int i = 0; i < t->n_outputs; i++) {
        tq_value *y = tq_graph_output(t->graph, i), *target, *part;
        const tq_type *type = tq_value_type(y);
        if (type->rank == 0) { /* a loss already */
            loss = y;
            continue;
        }
        t->targets[i] = check_random_f32(type->rank, type->dims, 50 + (uint64_t)i, -1.0f, 1.0f);
        CHECK_OK(tq_graph_add_constant(t->graph, "_target", &t->targets[i], &target));
        CHECK_OK(tq_graph_emit(t->graph, NULL, "MeanSquaredError", (tq_value *[]){ y, target }, 2,
                               NULL, 0, &part));
        if (loss)
            CHECK_OK(tq_graph_emit(t->graph, NULL, "Add", (tq_value *[]){ loss, part }, 2, NULL, 0,
                                   &loss));
        else
            loss = part;
    }
    CHECK_OK(tq_autodiff(t->graph, loss, t->wrt, t->n_wrt, grads));
    for (int i = 0; i < t->n_wrt; i++) {
        if (!grads[i])
            check_fail(__FILE__, __LINE__, "%s: no gradient to '%s'", op, tq_value_name(t->wrt[i]));
        CHECK(tq_type_equal(tq_value_type(grads[i]), tq_value_type(t->wrt[i])));
        tq_graph_add_output(t->graph, grads[i]);
    }
    CHECK_OK(tq_graph_verify(t->graph));
}

static void run(const trial *t)
{
    CHECK_OK(tq_engine_run(t->engine, NULL, 0, 7));
}

/** The loss in double. */
static double loss_of(const trial *t)
{
    run(t);
    double loss = 0.0;
    for (int i = 0; i < t->n_outputs; i++) {
        const tq_tensor *y = tq_engine_output(t->engine, i);
        const int64_t n = tq_tensor_count(y);
        const float *target = t->targets[i].data;
        for (int64_t k = 0; k < n; k++) {
            const double v = (double)((const float *)y->data)[k];
            loss += target ? (v - (double)target[k]) * (v - (double)target[k]) / (double)n : v;
        }
    }
    return loss;
}

/** Number of elements that differ, each told in a line. */
static int compare(trial *t, const char *op)
{
    const double h = 4e-3;
    int n_wrong = 0;
    for (int i = 0; i < t->n_wrt; i++) {
        run(t);
        tq_tensor grad;
        CHECK_OK(tq_tensor_copy(tq_engine_output(t->engine, t->n_outputs + i), &grad));
        for (int64_t k = 0; k < tq_tensor_count(&grad); k++) {
            float *v = &t->data[i][k];
            const float old = *v;
            const float hi = old + (float)h, lo = old - (float)h;
            *v = hi;
            const double above = loss_of(t);
            *v = lo;
            const double below = loss_of(t);
            *v = old;
            const double expected = (above - below) / ((double)hi - (double)lo);
            const double found = (double)((const float *)grad.data)[k];
            if (fabs(found - expected) <= 2e-4 + 5e-3 * fabs(expected))
                continue;
            n_wrong++;
            fprintf(stderr, "%s: d loss / d %s[%d] is %.6g, expected %.6g\n", op,
                    tq_value_name(t->wrt[i]), (int)k, found, expected);
        }
        tq_tensor_reset(&grad);
    }
    return n_wrong;
}

static int check_sample(const sample *s, bool reference_only)
{
    trial t = { .graph = check_graph(s->graph) };
    CHECK_EQ(check_count(t.graph, s->op), 1, "%s", s->op);
    for (int i = 0; i < tq_graph_n_values(t.graph); i++) {
        tq_value *value = tq_graph_value(t.graph, i);
        if (!tq_value_is_const(value) || tq_value_type(value)->dtype != TQ_F32 ||
            tq_value_name(value)[0] == '_' || !strcmp(tq_value_name(value), "lo") ||
            !strcmp(tq_value_name(value), "hi") || !strcmp(tq_value_name(value), "r"))
            continue;
        void *data;
        CHECK_OK(tq_value_own(value, &data));
        t.data[t.n_wrt] = data;
        t.wrt[t.n_wrt++] = value;
    }
    differentiate(&t, s->op);
    CHECK_OK(tq_engine_create(
        t.graph, NULL, 0,
        &(tq_engine_options){ .constants_change = true, .reference_only = reference_only },
        &t.engine));
    const int n_wrong = compare(&t, s->op);
    tq_engine_destroy(t.engine);
    tq_graph_destroy(t.graph);
    for (int i = 0; i < t.n_outputs; i++)
        tq_tensor_reset(&t.targets[i]);
    return n_wrong;
}

static int check_samples(bool reference_only)
{
    int n_wrong = 0;
    for (int i = 0; i < TQ_COUNT(samples); i++) {
        const tq_op *op =
            (const tq_op *)tq_registry_get(check_registry(), TQ_KIND_OP, samples[i].op);
        if (samples[i].graph && op && op->gradient)
            n_wrong += check_sample(&samples[i], reference_only);
    }
    return n_wrong;
}

TEST(gradients_of_references_are_central_differences)
{
    CHECK_EQ(check_samples(true), 0);
}

TEST(gradients_of_kernels_are_central_differences)
{
    CHECK_EQ(check_samples(false), 0);
}

TEST(every_operator_with_a_gradient_has_a_sample)
{
    const tq_registry *registry = check_registry();
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_OP); i++) {
        const tq_op *op = (const tq_op *)tq_registry_at(registry, TQ_KIND_OP, i);
        bool found = !op->gradient;
        for (int k = 0; k < TQ_COUNT(samples) && !found; k++)
            found = !strcmp(samples[k].op, op->entry.name);
        if (!found)
            check_fail(__FILE__, __LINE__, "operator %s has a gradient but no sample here",
                       op->entry.name);
    }
}
