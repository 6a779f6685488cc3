#include "base/room.h"

#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 }; /* of lines, too */

/* The first number in a line that begins with `name`; -1 when there is none. */
static int64_t number_in(const char *path, const char *name)
{
    char line[PATH_ROOM];
    long long n = -1;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) {
            if (sscanf(line + strlen(name), "%lld", &n) != 1) n = -1;
            break;
        }
    if (f) fclose(f);
    return n;
}

static void lower(yk_room *room, int64_t bytes, bool own, const char *of)
{
    if (bytes < 0) bytes = 0;
    if (bytes < room->bytes) *room = (yk_room){bytes, own, of};
}

typedef struct groups_room {
    yk_room *room;
    int64_t resident;
} groups_room;

static void lower_by_group(void *context, const char *folder, bool v2)
{
    const groups_room *g = context;
    char path[2 * PATH_ROOM + 32];
    snprintf(path, sizeof path, "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
    const int64_t limit = number_in(path, "");
    if (limit >= 0) lower(g->room, limit - g->resident, false, "memory limit of the control group");
}

yk_room yk_room_left(const char *root)
{
    char path[PATH_ROOM];
    long long pages[2] = {0, 0}; /* address space, resident */
    struct rlimit space;
    yk_room room = {INT64_MAX, false, "no limit is known"};
    snprintf(path, sizeof path, "%s/proc/self/statm", root);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lld %lld", &pages[0], &pages[1]) != 2) pages[0] = pages[1] = 0;
    if (f) fclose(f);
    int64_t page = sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    int64_t available = number_in(path, "MemAvailable:");
    if (available >= 0) lower(&room, available * 1024, false, "free memory of this machine");
    yk_cgroup_each(root, "memory", lower_by_group, &(groups_room){&room, pages[1] * page});
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        lower(&room, (int64_t)space.rlim_cur - pages[0] * page, true, "limit of the address space, ulimit -v");
    return room;
}
