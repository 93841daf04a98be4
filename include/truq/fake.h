/* FakeQuantize nodes read for what they say: the codes, the quantiser, the grids. */
#ifndef TRUQ_FAKE_H
#define TRUQ_FAKE_H

#include <truq/quant.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tq_attrs; /* <truq/graph.h> */
struct tq_node;

/** The codes that the attributes of a FakeQuantize (or WeightRange) name; not checked. */
TQ_API tq_range tq_fake_range(const struct tq_attrs *attrs);

/** The quantiser that a FakeQuantize names; TQ_ERR_NOT_FOUND names the node. */
TQ_API tq_status tq_fake_quantizer(const struct tq_node *node, const tq_quantizer **out_quantizer);

/** The grids of a FakeQuantize: one, or one for each index of its attribute `axis`. TQ_ERR_STATE where its parameters are no
 *  constants or were never observed, TQ_ERR_NOT_FOUND and TQ_ERR_VALUE where its attributes name no quantiser or no codes. */
TQ_API tq_status tq_fake_grids(const struct tq_node *node, tq_arena *arena, tq_grid **out_grids, int *out_n);

#ifdef __cplusplus
}
#endif
#endif
