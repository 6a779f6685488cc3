/* The machine that a process finds itself on, and where its files lie. */
#ifndef YK_BASE_MACHINE_H
#define YK_BASE_MACHINE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_machine {
    int processors, cores, domains; /* that the control groups of the process leave; NUMA domains */
    int allowed_processors, allowed_cores, allowed_domains; /* of them, that its affinity mask touches */
} yk_machine;

/* As hwloc finds it. YK_ERR_INTERNAL when it finds nothing. */
yk_status yk_machine_measure(yk_machine *m, yk_error *err);

typedef struct yk_disk {
    char folder[4096]; /* what was looked at: the path, or the nearest folder above it that exists */
    char kind[32];     /* of filesystem: "ext4", "nfs", "lustre"; in hexadecimal when it has no name here */
    bool shared;       /* between machines */
    int64_t free;      /* bytes for this user; quotas are not seen */
    int refused;       /* errno of making a file there; 0: it could be made */
    int not_locked;    /* errno of flock() on that file; 0: it could be locked */
} yk_disk;

/* Looks at the filesystem of a path, and makes a file there for a moment. YK_ERR_IO when no folder of it is there. */
yk_status yk_disk_measure(yk_disk *d, const char *path, yk_error *err);

#endif
