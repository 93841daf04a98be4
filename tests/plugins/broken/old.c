/* Built for another version of the interface: past the first two fields nothing is where it was. */
#include <truq/api.h>

extern TQ_API const struct {
    int64_t abi_version;
    const char *name;
    const void *rest[4];
} tq_plugin_main;

const __typeof__(tq_plugin_main) tq_plugin_main = {
    .abi_version = TQ_ABI_VERSION + 41,
    .name = "old",
    .rest = { (const void *)1, (const void *)2, (const void *)3, (const void *)4 },
};
