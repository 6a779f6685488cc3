/* Control groups of Linux, versions 1 and 2. */
#ifndef YK_BASE_CGROUP_H
#define YK_BASE_CGROUP_H

#include <stdbool.h>

/* Calls `each` for the groups of this process that a controller ("memory", "cpu") may bound, and for those above them.
 * `folder` holds the controller's files, those of version 2 or of version 1. `root` comes before /proc and /sys: "" but
 * in tests. */
typedef void (*yk_cgroup_fn)(void *context, const char *folder, bool v2);
void yk_cgroup_each(const char *root, const char *controller, yk_cgroup_fn each, void *context);

/* So many processors' time the groups give, at least; 0: no bound (v2: cpu.max, v1: cpu.cfs_quota_us). */
double yk_cgroup_processors(const char *root);

#endif
