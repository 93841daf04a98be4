/* host PLUG-IN OPERATOR: says who brought the operator. */
#include <truq/truq.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    tq_registry *registry = tq_registry_create();
    tq_status status = tq_builtin_register(registry);
    if (!status)
        status = tq_plugin_load(registry, argv[1]);
    const char *origin = tq_registry_origin(registry, TQ_KIND_OP, argv[2]);
    printf("%s\n", status ? tq_status_text(status) : origin ? origin : "truq");
    const int failed = status != NULL;
    tq_status_drop(status);
    tq_registry_destroy(registry);
    return failed;
}
