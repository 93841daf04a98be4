/* Is this process one of several? Launchers say so in the environment; asking MPI instead would
 * take a fraction of a second, which a process on its own should not pay. */
#include "dist/dist_internal.h"

#include <limits.h>
#include <stdlib.h>

/** The positive integer that a variable holds; 0: it is not set or holds something else. */
static int read_count(const char *name)
{
    const char *text = getenv(name);
    char *end;
    const long value = text ? strtol(text, &end, 10) : 0;
    return text && end != text && !*end && value > 0 && value < INT_MAX ? (int)value : 0;
}

/** Processes of this node only: two or more are several, one may have company elsewhere. */
static bool is_several_here(void)
{
    return read_count("MPI_LOCALNRANKS") > 1;
}

int tq_ranks_launched(void)
{
    static const char *const sizes[] = {
        "OMPI_COMM_WORLD_SIZE", /* Open MPI's mpirun */
        "PMI_SIZE",             /* MPICH, Intel MPI, Slurm's pmi2 */
        "MV2_COMM_WORLD_SIZE",  /* MVAPICH */
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (read_count(sizes[i]))
            return read_count(sizes[i]);
    if (!getenv("PMIX_RANK")) /* without one, Slurm's sizes are those of the job around us */
        return is_several_here() ? 0 : 1;
    const int n_step = read_count("SLURM_STEP_NUM_TASKS");
    return n_step ? n_step : read_count("SLURM_NTASKS");
}
