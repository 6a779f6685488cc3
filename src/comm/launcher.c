#include "comm/launcher.h"

#include <stdlib.h>

bool yk_launched(void)
{
    static const char *const set_by[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"};
    for (size_t i = 0; i < sizeof set_by / sizeof *set_by; i++)
        if (getenv(set_by[i])) return true;
    return false;
}

yk_status yk_not_alone(yk_error *err)
{
    const char *text = getenv("SLURM_NTASKS");
    const long tasks = text ? strtol(text, NULL, 10) : 1;
    if (tasks <= 1 || getenv("OMPI_COMM_WORLD_SIZE")) return YK_OK; /* mpirun -np 1 was meant */
    return yk_fail(err, YK_ERR_USAGE,
                   "Slurm was asked for %ld tasks and this process stands alone; start it as\n"
                   "  export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; srun --mpi=pmix yoke run ...\n"
                   "or, for one process, as  srun --ntasks=1 yoke run ...", tasks);
}
