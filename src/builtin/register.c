/* The composition root: the .def lists name all that is built in, one line a thing. */
#include <truq/truq.h>

/* First the declarations, ... */
#define TQ_OP(name) extern const tq_op tq_op_##name;
#include "builtin/ops.def"
#undef TQ_OP
#define TQ_KERNEL(name) extern const tq_kernel tq_kernel_##name;
#include "builtin/kernels.def"
#undef TQ_KERNEL
#define TQ_EDITOR(name) extern const tq_editor tq_editor_##name;
#include "builtin/editors.def"
#undef TQ_EDITOR
#define TQ_PIPELINE(name) extern const tq_pipeline tq_pipeline_##name;
#include "builtin/pipelines.def"
#undef TQ_PIPELINE
#define TQ_QUANTIZER(name) extern const tq_quantizer tq_quantizer_##name;
#include "builtin/quantizers.def"
#undef TQ_QUANTIZER
#define TQ_OBSERVER(name) extern const tq_observer tq_observer_##name;
#include "builtin/observers.def"
#undef TQ_OBSERVER
#define TQ_BACKEND(name) extern const tq_backend tq_backend_##name;
#include "builtin/backends.def"
#undef TQ_BACKEND
#define TQ_DATASET(name) extern const tq_dataset_driver tq_dataset_##name;
#include "builtin/datasets.def"
#undef TQ_DATASET
#define TQ_TRANSFORM(name) extern const tq_transform tq_transform_##name;
#include "builtin/transforms.def"
#undef TQ_TRANSFORM
#define TQ_PRESET(name) extern const tq_preset tq_preset_##name;
#include "builtin/presets.def"
#undef TQ_PRESET
#define TQ_RECIPE(name) extern const tq_recipe tq_recipe_##name;
#include "builtin/recipes.def"
#undef TQ_RECIPE
#define TQ_OPTIMIZER(name) extern const tq_optimizer tq_optimizer_##name;
#include "builtin/optimizers.def"
#undef TQ_OPTIMIZER
#define TQ_SCHEDULE(name) extern const tq_schedule tq_schedule_##name;
#include "builtin/schedules.def"
#undef TQ_SCHEDULE
#define TQ_CONTROLLER(name) extern const tq_controller tq_controller_##name;
#include "builtin/controllers.def"
#undef TQ_CONTROLLER
#define TQ_LOSS(name) extern const tq_loss tq_loss_##name;
#include "builtin/losses.def"
#undef TQ_LOSS
#define TQ_ZOO(name) extern const tq_zoo tq_zoo_##name;
#include "builtin/zoo.def"
#undef TQ_ZOO

/* ... then the table. */
static const struct {
    tq_kind kind;
    const tq_entry *entry;
} builtin[] = {
#define TQ_OP(name) { TQ_KIND_OP, &tq_op_##name.entry },
#include "builtin/ops.def"
#define TQ_KERNEL(name) { TQ_KIND_KERNEL, &tq_kernel_##name.entry },
#include "builtin/kernels.def"
#define TQ_EDITOR(name) { TQ_KIND_EDITOR, &tq_editor_##name.entry },
#include "builtin/editors.def"
#define TQ_PIPELINE(name) { TQ_KIND_PIPELINE, &tq_pipeline_##name.entry },
#include "builtin/pipelines.def"
#define TQ_QUANTIZER(name) { TQ_KIND_QUANTIZER, &tq_quantizer_##name.entry },
#include "builtin/quantizers.def"
#define TQ_OBSERVER(name) { TQ_KIND_OBSERVER, &tq_observer_##name.entry },
#include "builtin/observers.def"
#define TQ_BACKEND(name) { TQ_KIND_BACKEND, &tq_backend_##name.entry },
#include "builtin/backends.def"
#define TQ_DATASET(name) { TQ_KIND_DATASET, &tq_dataset_##name.entry },
#include "builtin/datasets.def"
#define TQ_TRANSFORM(name) { TQ_KIND_TRANSFORM, &tq_transform_##name.entry },
#include "builtin/transforms.def"
#define TQ_PRESET(name) { TQ_KIND_PRESET, &tq_preset_##name.entry },
#include "builtin/presets.def"
#define TQ_RECIPE(name) { TQ_KIND_RECIPE, &tq_recipe_##name.entry },
#include "builtin/recipes.def"
#define TQ_OPTIMIZER(name) { TQ_KIND_OPTIMIZER, &tq_optimizer_##name.entry },
#include "builtin/optimizers.def"
#define TQ_SCHEDULE(name) { TQ_KIND_SCHEDULE, &tq_schedule_##name.entry },
#include "builtin/schedules.def"
#define TQ_CONTROLLER(name) { TQ_KIND_CONTROLLER, &tq_controller_##name.entry },
#include "builtin/controllers.def"
#define TQ_LOSS(name) { TQ_KIND_LOSS, &tq_loss_##name.entry },
#include "builtin/losses.def"
#define TQ_ZOO(name) { TQ_KIND_ZOO, &tq_zoo_##name.entry },
#include "builtin/zoo.def"
    { TQ_N_KINDS, NULL },
};

tq_status tq_builtin_register(tq_registry *registry)
{
    for (int i = 0; builtin[i].entry; i++)
        TQ_TRY(tq_registry_add(registry, builtin[i].kind, builtin[i].entry));
    return TQ_OK;
}
