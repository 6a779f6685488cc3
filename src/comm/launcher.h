/* What the environment says of the launcher and the queue. */
#ifndef YK_COMM_LAUNCHER_H
#define YK_COMM_LAUNCHER_H

#include "base/status.h"

#include <stdbool.h>

/* Whether mpirun, or srun with a process-management interface, started this process. */
bool yk_launched(void);

/* For a process that is alone: YK_ERR_USAGE with the right command when Slurm was asked for several tasks. */
yk_status yk_not_alone(yk_error *err);

#endif
