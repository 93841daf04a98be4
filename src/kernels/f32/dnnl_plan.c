/* One product of a convolution as a primitive of oneDNN, for one number of samples: forward, or one
 * of the two gradients. The caller's src and dst are plain or blocked; where the primitive likes
 * another layout, operands are brought there. */
#include "kernels/f32/dnnl_internal.h"

#include <string.h>

enum { SRC = TQ_CONV_SRC, WEIGHT = TQ_CONV_WEIGHT, DST = TQ_CONV_DST, ROLES = TQ_CONV_ROLES };

tq_status tq_dnnl_status(dnnl_status_t status, const char *doing)
{
    if (status == dnnl_success)
        return TQ_OK;
    return tq_fail(status == dnnl_out_of_memory ? TQ_ERR_MEMORY : TQ_ERR_UNSUPPORTED,
                   "onednn cannot %s (status %d)", doing, (int)status);
}

void tq_dnnl_limit_level(void)
{
    if (!(tq_cpu_flags() &
          TQ_CPU_AVX512F)) /* fails once it is in use, and need not be said twice */
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
}

/* ---- layouts ----------------------------------------------------------------------------- */

static dnnl_format_tag_t tag_of(tq_form form)
{
    if (form == TQ_FORM_PLAIN)
        return dnnl_nchw;
    return tq_block_size() == 16 ? dnnl_nChw16c : dnnl_nChw8c;
}

static dnnl_data_type_t type_of(tq_form form)
{
    return form == TQ_FORM_HALF ? dnnl_bf16 : dnnl_f32;
}

/** The plain weight is f32 always; what the primitive reads has the type of its other operands,
 * what it makes is f32. */
static dnnl_data_type_t weight_type(const tq_conv_options *options)
{
    return options->computes == TQ_CONV_WEIGHT ? dnnl_f32 : type_of(options->forms[SRC]);
}

static dnnl_status_t describe_outer(tq_dnnl_plan *plan, const tq_conv_shape *s,
                                    const tq_conv_options *options)
{
    const dnnl_dims_t src = { plan->n, s->ic, s->in[0], s->in[1] };
    const dnnl_dims_t dst = { plan->n, s->oc, s->out[0], s->out[1] };
    const dnnl_dims_t dense = { s->oc, s->ic, s->kernel[0], s->kernel[1] };
    const dnnl_dims_t grouped = { s->groups, s->oc / s->groups, s->ic / s->groups, s->kernel[0],
                                  s->kernel[1] };
    const bool g = s->groups > 1;
    tq_dnnl_operand *o = plan->operands;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(
        &o[SRC].outer, 4, src, type_of(options->forms[SRC]), tag_of(options->forms[SRC]));
    if (!status)
        status = dnnl_memory_desc_init_by_tag(&o[DST].outer, 4, dst, type_of(options->forms[DST]),
                                              tag_of(options->forms[DST]));
    if (!status)
        status = dnnl_memory_desc_init_by_tag(&o[WEIGHT].outer, g ? 5 : 4, g ? grouped : dense,
                                              dnnl_f32, g ? dnnl_goihw : dnnl_oihw);
    if (!status && options->has_bias)
        status =
            dnnl_memory_desc_init_by_tag(&plan->bias, 1, (dnnl_dims_t){ s->oc }, dnnl_f32, dnnl_a);
    for (int role = SRC; role <= DST; role += DST - SRC)
        o[role].stride = (int64_t)(dnnl_memory_desc_get_size(&o[role].outer) /
                                   tq_form_element(options->forms[role])) /
                         plan->n;
    return status;
}

/** The same dims in whatever layout the primitive prefers. */
static dnnl_memory_desc_t any_layout(const dnnl_memory_desc_t *md, dnnl_data_type_t type)
{
    dnnl_memory_desc_t any;
    if (dnnl_memory_desc_init_by_tag(&any, md->ndims, md->dims, type, dnnl_format_tag_any))
        memset(&any, 0, sizeof any);
    return any;
}

static void any_layouts(const tq_dnnl_plan *plan, const tq_conv_options *options,
                        dnnl_memory_desc_t md[ROLES])
{
    for (int role = 0; role < ROLES; role++)
        md[role] =
            any_layout(&plan->operands[role].outer,
                       role == WEIGHT ? weight_type(options) : type_of(options->forms[role]));
}

/* ---- primitives --------------------------------------------------------------------------- */

static dnnl_status_t describe_conv(const tq_dnnl_plan *plan, const tq_conv_shape *s,
                                   tq_conv_role computes, bool has_bias,
                                   const dnnl_memory_desc_t md[ROLES],
                                   dnnl_convolution_desc_t *out_desc)
{
    const dnnl_dims_t stride = { s->stride[0], s->stride[1] };
    const dnnl_dims_t dilation = { s->dilation[0] - 1, s->dilation[1] - 1 };
    const dnnl_dims_t begin = { s->pad_begin[0], s->pad_begin[1] };
    const dnnl_dims_t end = { s->pad_end[0], s->pad_end[1] };
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    if (computes == TQ_CONV_SRC)
        return dnnl_dilated_convolution_backward_data_desc_init(
            out_desc, alg, &md[SRC], &md[WEIGHT], &md[DST], stride, dilation, begin, end);
    if (computes == TQ_CONV_WEIGHT)
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out_desc, alg, &md[SRC], &md[WEIGHT], NULL, &md[DST], stride, dilation, begin, end);
    return dnnl_dilated_convolution_forward_desc_init(
        out_desc, dnnl_forward_training, alg, &md[SRC], &md[WEIGHT], has_bias ? &plan->bias : NULL,
        &md[DST], stride, dilation, begin, end);
}

/** Gradients want the forward primitive as a hint. */
static dnnl_status_t create_desc(const tq_dnnl_plan *plan, dnnl_engine_t engine,
                                 dnnl_primitive_attr_t attr, const tq_conv_shape *shape,
                                 const tq_conv_options *options, const dnnl_memory_desc_t md[ROLES],
                                 dnnl_primitive_desc_t *out_desc)
{
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = dnnl_success;
    if (options->computes != TQ_CONV_DST) {
        status = describe_conv(plan, shape, TQ_CONV_DST, false, md, &desc);
        if (!status)
            status = dnnl_primitive_desc_create(&hint, &desc, attr, engine, NULL);
    }
    if (!status)
        status = describe_conv(plan, shape, options->computes, options->has_bias, md, &desc);
    if (!status)
        status = dnnl_primitive_desc_create(out_desc, &desc, attr, engine, hint);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static const dnnl_memory_desc_t *query(const_dnnl_primitive_desc_t desc, tq_conv_role computes,
                                       int role)
{
    static const dnnl_query_t value[ROLES] = { dnnl_query_src_md, dnnl_query_weights_md,
                                               dnnl_query_dst_md };
    static const dnnl_query_t gradient[ROLES] = { dnnl_query_diff_src_md,
                                                  dnnl_query_diff_weights_md,
                                                  dnnl_query_diff_dst_md };
    const bool is_gradient = computes != TQ_CONV_DST && (role == (int)computes || role == DST);
    return dnnl_primitive_desc_query_md(desc, is_gradient ? gradient[role] : value[role], 0);
}

static dnnl_status_t create_reorder(tq_dnnl_plan *plan, dnnl_engine_t engine,
                                    dnnl_primitive_attr_t attr, tq_dnnl_operand *o, bool is_output)
{
    dnnl_primitive_desc_t desc = NULL;
    if (dnnl_memory_desc_equal(&o->outer, &o->inner))
        return dnnl_success;
    const dnnl_memory_desc_t *from = is_output ? &o->inner : &o->outer;
    const dnnl_memory_desc_t *to = is_output ? &o->outer : &o->inner;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, attr);
    if (!status) {
        const size_t size = dnnl_memory_desc_get_size(
            dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
        plan->scratchpad_size = size > plan->scratchpad_size ? size : plan->scratchpad_size;
        status = dnnl_primitive_create(&o->reorder, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    return status;
}

static dnnl_status_t create_parts(tq_dnnl_plan *plan, dnnl_engine_t engine,
                                  dnnl_primitive_attr_t attr, const tq_conv_options *options,
                                  dnnl_primitive_desc_t desc)
{
    dnnl_status_t status = dnnl_success;
    for (int role = 0; role < ROLES && !status; role++) {
        tq_dnnl_operand *o = &plan->operands[role];
        o->inner = *query(desc, options->computes, role);
        o->inner_size = dnnl_memory_desc_get_size(&o->inner);
        if (role != WEIGHT)
            status = create_reorder(plan, engine, attr, o, role == (int)options->computes);
    }
    if (status)
        return status;
    plan->scratchpad = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const size_t size = dnnl_memory_desc_get_size(&plan->scratchpad);
    plan->scratchpad_size = size > plan->scratchpad_size ? size : plan->scratchpad_size;
    return dnnl_primitive_create(&plan->conv, desc);
}

tq_status tq_dnnl_plan_init(tq_dnnl_plan *plan, dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                            const tq_conv_shape *shape, const tq_conv_options *options, int64_t n,
                            const dnnl_memory_desc_t *weight)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t md[ROLES];
    *plan = (tq_dnnl_plan){ .n = n };
    TQ_TRY(tq_dnnl_status(describe_outer(plan, shape, options), "describe a tensor"));
    any_layouts(plan, options, md);
    if (weight)
        md[WEIGHT] = *weight;
    dnnl_status_t status = create_desc(plan, engine, attr, shape, options, md, &desc);
    if (!status)
        status = create_parts(plan, engine, attr, options, desc);
    dnnl_primitive_desc_destroy(desc);
    return tq_dnnl_status(status, "make a convolution of this shape");
}

void tq_dnnl_plan_reset(tq_dnnl_plan *plan)
{
    for (int role = 0; role < ROLES; role++)
        dnnl_primitive_destroy(plan->operands[role].reorder);
    dnnl_primitive_destroy(plan->conv);
    *plan = (tq_dnnl_plan){ 0 };
}

/* ---- preferences ---------------------------------------------------------------------------- */

static dnnl_status_t ask(dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                         const tq_conv_shape *shape, tq_conv_role computes, bool is_half,
                         tq_form *out_forms)
{
    tq_dnnl_plan plan = { .n = 1 };
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t md[ROLES];
    const tq_form form = is_half ? TQ_FORM_HALF : TQ_FORM_PLAIN;
    const tq_conv_options options = { .computes = computes, .forms = { form, form, form } };
    dnnl_status_t status = describe_outer(&plan, shape, &options);
    if (!status)
        any_layouts(&plan, &options, md);
    if (!status)
        status = create_desc(&plan, engine, attr, shape, &options, md, &desc);
    for (int role = SRC; role <= DST && !status; role += DST - SRC) {
        const dnnl_memory_desc_t *liked = query(desc, computes, role);
        const bool is_as_asked = dnnl_memory_desc_equal(liked, &plan.operands[role].outer);
        out_forms[role] = is_as_asked ? form : TQ_FORM_BLOCKED;
        status = is_half && !is_as_asked ? dnnl_unimplemented : dnnl_success;
    }
    dnnl_primitive_desc_destroy(desc);
    return status;
}

tq_status tq_dnnl_prefer(const tq_conv_shape *shape, tq_conv_role computes, bool is_half,
                         tq_form out_forms[TQ_CONV_ROLES])
{
    dnnl_engine_t engine = NULL;
    dnnl_primitive_attr_t attr = NULL;
    tq_dnnl_limit_level();
    const int threads = tq_dnnl_single_thread();
    dnnl_status_t status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (!status)
        status = dnnl_primitive_attr_create(&attr);
    if (!status)
        status = ask(engine, attr, shape, computes, is_half, out_forms);
    dnnl_primitive_attr_destroy(attr);
    dnnl_engine_destroy(engine);
    tq_dnnl_restore_threads(threads);
    return tq_dnnl_status(status, "make a convolution of this shape");
}
