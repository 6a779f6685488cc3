/* What stands for comm_mpi.c in a build without MPI. */
#include "comm/launcher.h"
#include "comm/world.h"

yk_status yk_world_open(yk_comm **c, yk_error *err)
{
    (void)c;
    if (yk_launched())
        return yk_fail(err, YK_ERR_USAGE, "was started by an MPI launcher, but this yoke was built without MPI: "
                       "configure it --with-mpi, or start one process");
    return yk_not_alone(err);
}
