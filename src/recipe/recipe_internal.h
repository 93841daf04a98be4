/* What the files of this room share: YAML files as checked trees. */
#ifndef TRUQ_RECIPE_RECIPE_INTERNAL_H
#define TRUQ_RECIPE_RECIPE_INTERNAL_H

#include <truq/data.h>
#include <truq/recipe.h>

typedef enum tq_yaml_kind { TQ_YAML_SCALAR, TQ_YAML_LIST, TQ_YAML_MAP } tq_yaml_kind;

/** A node of a YAML file. Lives in the arena it was read into. */
typedef struct tq_yaml {
    tq_yaml_kind kind;
    const char *file;
    size_t line, column; /* from 1 */
    const char *text;    /* scalar: its characters */
    bool quoted;         /* scalar: in quotes, so it is no null, number or bool */
    const char *placed;  /* scalar: of a block '|' the lines as they stand in the file, behind as
                            many  empty ones as are above them; else NULL */
    int n;               /* list, map: how many */
    const struct tq_yaml **items;
    const struct tq_yaml **keys; /* map: scalars */
} tq_yaml;

/** Does the name end in .yaml or .yml? */
bool tq_yaml_is_file(const char *name);

/** Reads a file of one document: at most 1 MiB, 16 levels deep and 10000 nodes, no anchors, no
 * aliases, no key twice. TQ_ERR_FORMAT with file:line:column otherwise. */
tq_status tq_yaml_load(const char *path, tq_arena *arena, const tq_yaml **out_root);

/** TQ_ERR_VALUE "file:line:column: ...". */
tq_status tq_yaml_fail(const tq_yaml *at, const char *format, ...) TQ_PRINTF(2, 3);
/** Puts "file:line:column: " before the message of `status`. */
tq_status tq_yaml_wrap(const tq_yaml *at, tq_status status);
/** A scalar's text fit for a message: short, and on one line. */
tq_text tq_yaml_shown(const tq_yaml *scalar);

/** Is it a map, all of whose keys are among `known` (NULL-terminated)? The error suggests the
 * nearest. */
tq_status tq_yaml_check_keys(const tq_yaml *map, const char *const *known);
/** The item at a key, or NULL. */
const tq_yaml *tq_yaml_get(const tq_yaml *map, const char *key);

/* Typed values at a key; *out stays as it is where the key is absent. */
tq_status tq_yaml_string(const tq_yaml *map, const char *key, const char **out);
tq_status tq_yaml_bool(const tq_yaml *map, const char *key, bool *out);
tq_status tq_yaml_int(const tq_yaml *map, const char *key, int min, int max, int *out);
tq_status tq_yaml_number(const tq_yaml *map, const char *key, double *out);
/** A list of strings (or one alone), NULL-terminated. */
tq_status tq_yaml_strings(const tq_yaml *map, const char *key, tq_arena *arena,
                          const char *const **out);
/** A scalar as a finite number. */
tq_status tq_yaml_to_number(const tq_yaml *scalar, double *out);
/** The entry of that kind named by the scalar, or an error that suggests one. */
tq_status tq_yaml_find_entry(const tq_yaml *scalar, const tq_registry *registry, tq_kind kind,
                             const tq_entry **out);

/** Builds a recipe from the tree of its file. */
tq_status tq_recipe_read(const tq_registry *registry, const tq_yaml *root, tq_arena *arena,
                         tq_recipe *out);
/** Adds the rules of the key `rewrites` to the recipe's editors. */
tq_status tq_recipe_read_rewrites(const tq_registry *registry, const tq_yaml *root, tq_arena *arena,
                                  tq_recipe *out);
/** A regular expression that compiles and cannot take unbounded time or memory. */
tq_status tq_recipe_check_regex(const tq_yaml *scalar);

#endif
