/* Phases: how a float network runs shard by shard of the batch.
 *
 * Nodes that treat data points alike (convolutions, normalisations, activations, quantisers, their
 * gradients) are cut into parts: some run on one shard after another, some sum over the batch. What
 * needs such a sum must wait for all shards; so parts are put into phases, and between phases the
 * shards meet. Within a phase one worker takes a shard through all parts before it takes the next:
 * what lies between parts stays in its cache, and never goes to memory if no later phase reads it.
 * Elementwise parts in a row run tile by tile, through buffers of a few kilobytes. An elementwise
 * result that a later phase reads again is not stored either if what it was made from is there: it
 * is made anew.
 *
 * All other nodes ("whole" ones) run between phases, on plain arrays. */
#ifndef TQ_ENGINE_PHASES_INTERNAL_H
#define TQ_ENGINE_PHASES_INTERNAL_H

#include "engine/engine_internal.h"

/* ---- planning ----------------------------------------------------------------------------------
 */

/** A node that runs shard by shard. */
typedef struct tq_unit {
    const tq_node *node;
    const tq_sharded *sharded;
    void *state;
    tq_ports ports;
    tq_op_run run;
    int *in, *out;              /* slots of inputs and outputs in the plain form */
    int phase_of[TQ_MAX_PARTS]; /* of each part */
    bool begins[TQ_MAX_PARTS];  /* a phase has it prepare already */
    int64_t macs;
    bool is_conversion; /* of no node: from one form to another */
} tq_unit;

/** A batch array: a value in one form. */
typedef struct tq_array {
    int value; /* its plain slot */
    tq_form form;
    size_t size;         /* bytes of a data point */
    int maker;           /* item; -1: a graph input, or made by a whole node or on all shards */
    int phase;           /* that makes it; of a whole node, or on all shards: the one after */
    int last_use;        /* last phase that reads it, copies apart */
    bool for_whole;      /* a whole node or the caller reads it */
    bool is_gathered;    /* with the rows of all ranks */
    bool for_batch;      /* in its own phase a part reads it on all shards */
    bool is_again;       /* memory is short: made again where it is read, though that costs */
    bool is_stored;      /* lies in memory between phases */
    int until;           /* not stored: the last phase that can make it again; -1: none */
    int level;           /* in such a phase: the first level where tiles have it */
    int cost;            /* not stored: tiles that make it again */
    bool is_out_of_tile; /* read by other than tiles of its own stage */
    int slot;            /* if stored */
    size_t offset;       /* else, of the worker's scratch, where out of tile */
    int n_readers;       /* in the phase that makes it */
    int first_stage, last_stage;
    int buffer; /* else, of the tile */
} tq_array;

/** One part at work in one phase. */
typedef struct tq_item {
    int unit, part, phase;
    bool is_copy; /* makes arrays again: does not sum */
    int level;    /* order within the phase */
    int stage;
    int *in, *out; /* arrays by number of input and output, -1 where that is none */
    int partial;   /* slot, -1: sums nothing */
} tq_item;

/** A list of items of one phase, in order. */
typedef struct tq_item_list {
    int *items, n;
    size_t capacity;
} tq_item_list;

typedef struct tq_phased_plan {
    tq_plan *plan;
    int64_t batch;
    int64_t shard_begin, shard_end, row_begin, n_rows; /* of this rank */
    int n_units, n_arrays, n_items, n_phases;
    size_t units_capacity, arrays_capacity, items_capacity;
    tq_unit *units;
    tq_array *arrays;
    tq_item *items;
    int *array_of[TQ_N_FORMS]; /* by plain slot; -1: not in that form */
    int *ready;                /* by plain slot: the first phase that can read it as a whole */
    int *class_of;             /* by plain slot: values that tiles join have one form */
    bool *is_blocked;          /* of a class */
    bool *depends;             /* by plain slot: on graph inputs */
    int n_whole;
    struct tq_whole {
        const tq_node *node;
        int after; /* phase; -1: before all */
        bool is_constant;
    } * whole;
    tq_item_list *phases;
} tq_phased_plan;

/** Units, forms, and the phase of each part. *out_plan is NULL where nothing is gained. */
tq_status tq_phased_plan_make(tq_plan *plan, tq_phased_plan **out_plan);
void tq_phased_plan_drop(tq_phased_plan *plan);
/** Marks arrays that parts on samples make again, until those that are stored take `limit` bytes at
 *  most; false: all that can be are marked. */
bool tq_phased_choose_again(tq_phased_plan *plan, size_t limit);
/** Decides what is stored; may be asked again when more is to be made again. */
void tq_phased_choose_stored(tq_phased_plan *plan);
/** Makes arrays again where they are read; lists the items of each phase in order. */
void tq_phased_plan_copy(tq_phased_plan *plan);
/** Adds all steps of the engine: phases and whole nodes. */
tq_status tq_phased_plan_add_steps(tq_phased_plan *plan);

int tq_phased_add_array(tq_phased_plan *p, int value, tq_form form, int maker, int phase);
int tq_phased_add_item(tq_phased_plan *p, int unit, int part, int phase);
static inline const tq_shard_part *tq_part_of(const tq_phased_plan *p, const tq_item *item)
{
    return &p->units[item->unit].sharded->parts[item->part];
}
/** Did a part on tiles make the array? */
static inline bool tq_is_of_tiles(const tq_phased_plan *p, int array)
{
    const int maker = p->arrays[array].maker;
    return maker >= 0 && tq_part_of(p, &p->items[maker])->kind == TQ_PART_TILE;
}
/** Can tiles of one loop have both forms? */
static inline bool tq_forms_agree(tq_form a, tq_form b)
{
    return (a == TQ_FORM_PLAIN) == (b == TQ_FORM_PLAIN);
}
const tq_type *tq_array_type(const tq_phased_plan *p, int array);

/* ---- running ------------------------------------------------------------------------------------
 */

/** Where an operand of a part lies. */
typedef enum tq_operand_place {
    TQ_OPERAND_NONE,
    TQ_OPERAND_SLOT,    /* an array of the whole batch */
    TQ_OPERAND_SCRATCH, /* of the worker: this shard */
    TQ_OPERAND_BUFFER   /* of the worker: this tile */
} tq_operand_place;

typedef struct tq_operand {
    tq_operand_place place;
    int slot;
    int64_t first;  /* SLOT: the data point that lies first */
    size_t offset;  /* SCRATCH, BUFFER */
    size_t stride;  /* bytes of a data point */
    size_t element; /* bytes */
} tq_operand;

/** One item, ready to run. */
typedef struct tq_work {
    const tq_shard_part *part;
    void *state;
    tq_op_run run;
    const int *in_slots, *out_slots; /* of run's arrays */
    tq_operand *in, *out;
    bool begins;    /* the first of its kind */
    bool is_masked; /* channels past the last are set to 0 */
    int partial;    /* slot; -1 */
    size_t partial_size;
    bool is_deferred; /* the sum goes on between ranks while phases run: it is finished later */
    size_t total;     /* then it lies there, in the engine's totals */
    double *seconds;  /* of what comes after the shards; NULL: not wanted */
} tq_work;

/** Items that run together: tiles of one shape, or one part on samples. */
typedef struct tq_phase_stage {
    int n_works;
    tq_work **works;
    bool is_tiles;
    int64_t n_blocks, n_pixels, tile_pixels, block; /* plain: one block, elements as pixels of 1 */
    int64_t n_channels;                             /* 0 in the plain form */
    const char *operators;
    const tq_node *node;
    int64_t macs;
    double *seconds; /* of each worker; NULL: not wanted */
} tq_phase_stage;

typedef struct tq_phase {
    int n_works, n_stages;
    tq_work *works;
    tq_phase_stage *stages;
    int64_t batch, n_shards, shard_begin, n_own; /* own: shards of this rank */
    size_t worker_size, buffers_offset;
    int n_gathered; /* arrays of which all ranks need all rows */
    struct tq_gathered {
        int slot;
        size_t row_size;
    } * gathered;
    int n_buckets; /* of the engine, that are full after this phase */
} tq_phase;

tq_status tq_phase_run(tq_engine *engine, tq_step *step);

/* ---- sums between ranks (exchange.c) -----------------------------------------------------------
 */

/** Sums of several works that travel together. */
typedef struct tq_bucket {
    size_t begin, end; /* bytes of the totals */
    int n_works;
    tq_work **works;
    void *work; /* in the background */
} tq_bucket;

/** Which sums travel together, and which steps wait for them. */
tq_status tq_exchange_plan(tq_engine *engine);
/** The works of a phase have summed this rank's shards: those that are f64 are finished, the others
 * begin when their bucket is full. */
tq_status tq_exchange_phase(tq_engine *engine, const tq_phase *phase);
/** Waits for the first n buckets. */
tq_status tq_exchange_finish(tq_engine *engine, int n_buckets);

#endif
