/* The transport of a library that was built without MPI: there is none, and one rank needs none. */
#include "dist/dist_internal.h"

tq_status tq_wire_join(tq_wire *out_wire)
{
    (void)out_wire;
    return tq_fail(TQ_ERR_UNSUPPORTED,
                   "the environment says that this is one of several processes, but truq was built "
                   "without MPI; start one process, or install libopenmpi-dev and build again");
}
