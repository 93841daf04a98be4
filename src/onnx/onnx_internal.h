/* What the files of this room share. Reading: bytes -> wire check -> protobuf-c -> drafts of nodes
 * -> upgrade to the newest form -> graph. Writing goes the other way, through downgrades. */
#ifndef TQ_ONNX_INTERNAL_H
#define TQ_ONNX_INTERNAL_H

#include "onnx/onnx.h"

#include <truq/op.h>

#include <onnx.pb-c.h>
#include <stdio.h>

enum {
    TQ_ONNX_MIN_OPSET = 7,
    TQ_ONNX_MAX_OPSET = 28,
    TQ_ONNX_MAX_WRITTEN = 24,
    TQ_ONNX_MAX_IR = 14
};
/** What exporters of integer networks write, with attributes of their own on ONNX's operators. */
enum { TQ_ONNX_DIALECT_OPSET = 10 };

/* ---- bytes ------------------------------------------------------------------------------- */

/** Walks a message in protobuf wire format without allocating. TQ_ERR_FORMAT, with the position, on
 *  lengths that do not fit, nesting or numbers of messages beyond reason, and NUL bytes in strings:
 *  what passes is safe to unpack. */
tq_status tq_wire_check(const ProtobufCMessageDescriptor *descriptor, const void *bytes,
                        size_t size);

/** A file being written beside its final place. */
typedef struct tq_file {
    FILE *stream;
    const char *path;    /* as the user wrote it, for messages */
    char *target, *temp; /* temp NULL: written in place (a device) */
} tq_file;

tq_status tq_file_open(const char *path, tq_file *out_file);
tq_status tq_file_put(tq_file *file, const void *bytes, size_t size);
/** Flushes and syncs; the file is complete but not in its place yet. */
tq_status tq_file_finish(tq_file *file);
/** Moves it to its place. */
tq_status tq_file_commit(tq_file *file);
/** Closes; removes what was not committed. Fine after any failure and after success. */
void tq_file_close(tq_file *file);

/* ---- names ------------------------------------------------------------------------------- */

/** A set of strings, each with a number; open addressing in an arena, keys borrowed. */
typedef struct tq_name_set {
    tq_arena *arena;
    size_t n, capacity;
    struct tq_name_entry {
        const char *name;
        int64_t item;
    } * slots;
} tq_name_set;

/** The number that `name` was added with, or -1. */
int64_t tq_name_set_find(const tq_name_set *set, const char *name);
/** False, and nothing changes, if it is there already. */
bool tq_name_set_add(tq_name_set *set, const char *name, int64_t item);

/* ---- dtypes and tensors ------------------------------------------------------------------- */

/** TQ_NONE if we have no such dtype. */
tq_dtype tq_dtype_from_onnx(int32_t data_type);
int32_t tq_dtype_to_onnx(tq_dtype dtype);
/** "FLOAT8E4M3FN", "data type 99", ... for messages. */
tq_text tq_onnx_dtype_text(int32_t data_type);
/** Bytes of `type` as ONNX stores it raw: 4-bit elements are packed in pairs. */
size_t tq_onnx_raw_size(const tq_type *type);
/** Packs the 4-bit elements of a tensor in pairs, the first in the low bits. */
void tq_onnx_pack4(const tq_tensor *tensor, uint8_t *out_bytes);

/** Fills type and raw_data of a message; the data is borrowed from the tensor. */
void tq_onnx_fill_tensor(tq_arena *arena, const tq_tensor *tensor, Onnx__TensorProto *proto);

/** A tensor from its message; `folder` NULL refuses external data. The caller resets it. */
tq_status tq_onnx_read_tensor(const Onnx__TensorProto *proto, const char *folder,
                              tq_tensor *out_tensor);
/** Reads proto's external bytes, `size` of them, from below `folder`; out_bytes NULL only checks
 * that they are there. */
tq_status tq_onnx_read_external(const Onnx__TensorProto *proto, const char *folder, void *out_bytes,
                                size_t size);

/* ---- drafts: a node on its way between file and graph -------------------------------------- */

/** A constant that became an attribute, so that its name can come back. */
typedef struct tq_dropped_input {
    const char *attr, *value;
    struct tq_dropped_input *next;
} tq_dropped_input;

/** A node that may still change its form: what upgrades and downgrades edit. */
typedef struct tq_draft {
    tq_arena *arena;
    tq_graph *graph;                /* being read; NULL when writing */
    struct tq_onnx_reader *reader;  /* NULL when writing */
    const char *op, *domain, *name; /* domain "" is ONNX's */
    int opset;                      /* of the domain, of the file */
    int n_inputs, n_outputs;
    tq_value **inputs; /* room for TQ_DRAFT_SPARE more; NULL: absent */
    const char **outputs;
    int n_attrs;
    size_t attrs_capacity;
    tq_attr *attrs;
    struct tq_dropped_input *dropped; /* by downgrades */
    bool done;                        /* a rule has added the node itself */
} tq_draft;
enum { TQ_DRAFT_SPARE = 8 };

tq_attr *tq_draft_find(const tq_draft *draft, const char *name); /* or NULL */
void tq_draft_remove(tq_draft *draft, const char *name);
void tq_draft_set(tq_draft *draft, tq_attr attr);       /* borrowed; replaces */
tq_value *tq_draft_input(const tq_draft *draft, int i); /* or NULL */
void tq_draft_set_input(tq_draft *draft, int i, tq_value *value);

/** A row applies to `op` in opsets first..last. */
typedef struct tq_draft_rule {
    const char *op;
    int first, last;
    tq_status (*apply)(tq_draft *draft);
} tq_draft_rule;
tq_status tq_draft_apply(tq_draft *draft, const tq_draft_rule *rules, int n);

/** One of the nodes that an operator without a descriptor of its own falls into. */
typedef struct tq_part {
    const char *op, *domain; /* domain NULL: ONNX */
    const char *suffix;      /* of the node's and value's name; "": the draft's own names */
    int n_inputs;
    tq_value *inputs[8];
    int n_attrs;
    const tq_attr *attrs;
} tq_part;
/** Adds it; a suffix of "" makes the draft's output 0 and says that the draft is done. */
tq_status tq_draft_add_part(tq_draft *draft, const tq_part *part, tq_value **out_value);
/** A constant "NAME.suffix" of the draft; copies. */
tq_status tq_draft_add_constant(tq_draft *draft, const char *suffix, const tq_tensor *tensor,
                                tq_value **out_value);
/** Attributes of the draft by name, or what is said otherwise; TQ_ERR_FORMAT if of another kind. */
tq_status tq_draft_int(const tq_draft *draft, const char *name, int64_t *inout);
tq_status tq_draft_string(const tq_draft *draft, const char *name, const char **inout);

/** The 16-bit float dtype of an operand where the graph refused the draft for it though ONNX allows
 *  it, else TQ_NONE. */
tq_dtype tq_onnx_half_of(const tq_draft *draft, tq_status refusal);
/** Operands of 16-bit floats pass a Cast to f32; the draft's outputs get other names. *out_names:
 * the old ones. */
tq_status tq_onnx_widen(tq_draft *draft, const char *const **out_names);
/** Results of the draft, which is a node now, are rounded to `dtype` and bear `names`. */
tq_status tq_onnx_narrow(tq_draft *draft, tq_dtype dtype, const char *const *names);

/** Brings a draft of opset draft->opset to the newest form / down from it. */
tq_status tq_onnx_upgrade(tq_draft *draft);
/** The same for ONNX's QLinear operators, com.microsoft and QONNX. */
tq_status tq_onnx_upgrade_qoperator(tq_draft *draft);
tq_status tq_onnx_upgrade_qonnx(tq_draft *draft);
tq_status tq_onnx_downgrade(tq_draft *draft);

/* ---- history: which operator, attribute and dtype came with which opset --------------------- */

/** The opset in which ONNX got the operator; 0 if it is none of ONNX's (or not known here). */
int tq_onnx_op_since(const char *op);
/** TQ_ERR_UNSUPPORTED if `op` of that opset does not take the dtype as its first input. */
tq_status tq_onnx_check_dtype(const char *op, int opset, tq_dtype dtype);
/** When ONNX got that attribute of `op`; 0 if ONNX has no such attribute. */
int tq_onnx_attr_since(const char *op, const char *attr);
/** Leaving the attribute out changes nothing: it has its default value or concerns others' dtypes.
 */
bool tq_onnx_attr_is_harmless(const char *op, const tq_attr *attr);

/* ---- metadata ------------------------------------------------------------------------------ */

/** One entry of metadata_props to the graph, node or value it speaks of. */
tq_status tq_onnx_read_meta(tq_graph *graph, const char *key, const char *text);
/** Key of the entry that keeps the name of a constant of which a node made an attribute. */
const char *tq_onnx_constant_key(tq_arena *arena, const char *node, const char *attr);
/** Attributes that ONNX does not know travel as node metadata "attr.NAME" ("1", "0.5", "\"text\"").
 */
const char *tq_attr_to_text(tq_arena *arena, const tq_attr *attr);
tq_attr tq_attr_from_text(tq_arena *arena, const char *name, const char *text);

/* ---- reading and writing -------------------------------------------------------------------- */

/** State of one import. */
typedef struct tq_onnx_reader {
    tq_arena *arena; /* lives as long as the import */
    tq_graph *graph;
    const Onnx__ModelProto *model;
    const char *folder;
    tq_name_set domains;     /* opset of each domain */
    tq_name_set value_names; /* all names the file uses for values */
    tq_name_set node_names;  /* and for nodes */
    tq_name_set made;        /* outputs of nodes: position of the node that makes them */
    tq_name_set props;       /* keys of metadata_props: position of the last of that key */
    struct tq_held_tensor *held;
} tq_onnx_reader;

/** An empty tensor that is reset when the import ends, however it ends. */
tq_tensor *tq_reader_hold(tq_onnx_reader *reader);
/** The text that metadata_props has for a key, or NULL. */
const char *tq_reader_find_prop(const tq_onnx_reader *reader, const char *key);
/** A value or node name that the file does not use, and that nobody gets again. */
const char *tq_reader_fresh_value(tq_onnx_reader *reader, const char *wanted);
const char *tq_reader_fresh_node(tq_onnx_reader *reader, const char *wanted);
tq_status tq_reader_add_constant(tq_onnx_reader *reader, const char *name, const tq_tensor *tensor,
                                 tq_value **out_value);
tq_status tq_reader_add_node(tq_onnx_reader *reader, const Onnx__NodeProto *proto, int position);

/** A model being put together as protobuf-c structs, all in the arena. */
typedef struct tq_onnx_writer {
    tq_arena *arena;
    const tq_graph *graph;
    int opset;
    size_t inline_limit;   /* constants of more bytes in all go to a file of their own */
    const char *data_name; /* that file's name in the model, NULL: none is needed */
    int n_nodes;
    Onnx__NodeProto *nodes;
    tq_name_set used;    /* values that the written nodes still read */
    tq_name_set domains; /* custom domains in use, in order of appearance */
    const char **domain_names;
    int n_domains;
    size_t domains_capacity;
    size_t n_props, props_capacity; /* metadata_props of the model */
    Onnx__StringStringEntryProto **props;
    Onnx__ModelProto model;
} tq_onnx_writer;

/** Adds an entry to the model's metadata_props. */
void tq_writer_put_prop(tq_onnx_writer *writer, const char *key, const char *text);
/** All metadata of the graph as such entries, in a fixed order. */
void tq_writer_add_metadata(tq_onnx_writer *writer);
/** Fills writer->nodes, used and domains: every node in the form of writer->opset. */
tq_status tq_writer_add_nodes(tq_onnx_writer *writer);
/** Can the node be written in this opset? */
bool tq_onnx_has_form(const tq_graph *graph, const tq_node *node, int opset);

#endif
