#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

enum { PATH_ROOM = 4096 }; /* of lines, too */

/* A name in a list with commas. */
static bool lists(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = names; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == 0)) return true;
    return false;
}

/* <mount><group>, then one folder less, and so on. */
static void walk_up(const char *mount, char *group, bool v2, yk_cgroup_fn each, void *context)
{
    char folder[2 * PATH_ROOM];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        each(context, folder, v2);
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = 0;
    }
}

/* Lines "0::/group" (v2) or "7:cpu,memory:/group" (v1). */
void yk_cgroup_each(const char *root, const char *controller, yk_cgroup_fn each, void *context)
{
    char line[PATH_ROOM], mount[PATH_ROOM];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        const bool v2 = names[1] == 0;
        if (!v2 && !lists(names + 1, controller)) continue;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/", v2 ? "" : controller);
        walk_up(mount, group, v2, each, context);
    }
    if (f) fclose(f);
}

/* Up to `most` numbers at the beginning of a file; "max" is none. */
static int read_numbers(const char *folder, const char *name, int most, double n[])
{
    char path[2 * PATH_ROOM + 32];
    int found = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    while (f && found < most && fscanf(f, "%lf", &n[found]) == 1) found++;
    if (f) fclose(f);
    return found;
}

static void lower(void *context, const char *folder, bool v2)
{
    double *least = context, n[2]; /* microseconds of a period */
    int found = read_numbers(folder, v2 ? "cpu.max" : "cpu.cfs_quota_us", v2 ? 2 : 1, n);
    if (!v2) found += read_numbers(folder, "cpu.cfs_period_us", 1, n + 1);
    if (found == 2 && n[0] > 0 && n[1] > 0 && (*least == 0 || n[0] / n[1] < *least)) *least = n[0] / n[1];
}

double yk_cgroup_processors(const char *root)
{
    double least = 0;
    yk_cgroup_each(root, "cpu", lower, &least);
    return least;
}
