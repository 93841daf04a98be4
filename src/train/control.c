/* The controllers of a training: found by name, given what they see, called in turn. */
#include "train/train_internal.h"

#include <math.h>

const char *tq_role_name(tq_role role)
{
    static const char *const names[] = { "weight", "bias", "norm", "slope", "bound" };
    return names[role];
}

tq_status tq_control_numbers(const tq_control *control, int n_min, int n_max, double *out,
                             int *out_n)
{
    return tq_call_numbers(control->args, n_min, n_max, out, out_n);
}

tq_status tq_controls_find(const tq_registry *registry, const char *const *texts, tq_arena *arena,
                           tq_controls *out_controls)
{
    int n = 0;
    while (texts && texts[n])
        n++;
    *out_controls = (tq_controls){ .items = TQ_NEW_N(arena, struct tq_steered, n) };
    for (; out_controls->n < n; out_controls->n++) {
        struct tq_steered *item = &out_controls->items[out_controls->n];
        const tq_entry *entry;
        item->text = texts[out_controls->n];
        TQ_TRY(tq_call_find(registry, TQ_KIND_CONTROLLER, item->text, &entry, &item->control.args));
        item->controller = (const tq_controller *)entry;
    }
    return TQ_OK;
}

static tq_status prepare(struct tq_steered *item, tq_arena *arena)
{
    tq_control *control = &item->control;
    if (!item->controller->prepare)
        return *control->args ? tq_fail(TQ_ERR_VALUE, "it takes no arguments") : TQ_OK;
    TQ_TRY(item->controller->prepare(control, &control->n_state));
    if (control->n_state < 0)
        return tq_fail(TQ_ERR_VALUE, "it asks for %d numbers of state", control->n_state);
    control->state = TQ_NEW_N(arena, double, control->n_state);
    return TQ_OK;
}

tq_status tq_controls_prepare(tq_controls *controls, const tq_control *shown, tq_arena *arena)
{
    for (int i = 0; i < controls->n; i++) {
        struct tq_steered *item = &controls->items[i];
        const char *args = item->control.args;
        item->control = *shown;
        item->control.args = args;
        TQ_TRY(tq_wrap(prepare(item, arena), "controller '%s'", item->text));
    }
    return TQ_OK;
}

static tq_status (*hook_of(const tq_controller *controller, tq_hook hook))(tq_control *control)
{
    switch (hook) {
    case TQ_HOOK_START:
        return controller->start;
    case TQ_HOOK_EPOCH_START:
        return controller->epoch_start;
    case TQ_HOOK_BEFORE_STEP:
        return controller->before_step;
    case TQ_HOOK_AFTER_STEP:
        return controller->after_step;
    case TQ_HOOK_EPOCH_END:
        break;
    }
    return controller->epoch_end;
}

tq_status tq_controls_call(tq_controls *controls, tq_hook hook, const tq_position *position,
                           double loss)
{
    for (int i = 0; i < controls->n; i++) {
        struct tq_steered *item = &controls->items[i];
        tq_status (*call)(tq_control *) = hook_of(item->controller, hook);
        if (!call)
            continue;
        item->control.epoch = position->epoch;
        item->control.step = position->step;
        item->control.loss = loss;
        item->control.freeze_norms = controls->freeze_norms;
        TQ_TRY(tq_wrap(call(&item->control), "controller '%s', step %lld", item->text,
                       (long long)position->step));
        controls->freeze_norms = item->control.freeze_norms;
    }
    return TQ_OK;
}

const char *tq_controls_text(const tq_controls *controls, tq_arena *arena)
{
    const char *text = "";
    for (int i = 0; i < controls->n; i++)
        text = tq_arena_printf(arena, "%s%s%s", text, i ? " " : "", controls->items[i].text);
    return text;
}
