#include "base/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* How many objects of a type there are, and how many of them the set touches. */
static void count(hwloc_topology_t topology, hwloc_obj_type_t type, hwloc_const_cpuset_t set, int *all, int *touched)
{
    *all = *touched = 0;
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(topology, type, o));) {
        if (hwloc_bitmap_iszero(o->cpuset)) continue; /* memory without processors */
        ++*all;
        *touched += hwloc_bitmap_intersects(o->cpuset, set);
    }
}

yk_status yk_machine_measure(yk_machine *m, yk_error *err)
{
    yk_status st = YK_OK;
    hwloc_topology_t topology = NULL;
    hwloc_cpuset_t set = hwloc_bitmap_alloc();
    *m = (yk_machine){0};
    if (!set || hwloc_topology_init(&topology) != 0) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (hwloc_topology_load(topology) != 0) YK_FAIL(YK_ERR_INTERNAL, "hwloc finds no processors");
    if (hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_THREAD) != 0)
        hwloc_bitmap_copy(set, hwloc_topology_get_allowed_cpuset(topology));
    count(topology, HWLOC_OBJ_PU, set, &m->processors, &m->allowed_processors);
    count(topology, HWLOC_OBJ_CORE, set, &m->cores, &m->allowed_cores);
    count(topology, HWLOC_OBJ_NUMANODE, set, &m->domains, &m->allowed_domains);
    if (m->cores == 0) { /* some virtual machines tell of processors alone */
        m->cores = m->processors;
        m->allowed_cores = m->allowed_processors;
    }
done:
    if (topology) hwloc_topology_destroy(topology);
    hwloc_bitmap_free(set);
    return st;
}

/* Numbers of statfs(2) and of the modules that are not part of Linux. */
static const struct {
    uint32_t number;
    bool shared;
    const char *name;
} kinds[] = {
    {0x0BD00BD0, true, "lustre"}, {0x47504653, true, "gpfs"}, {0x6969, true, "nfs"},
    {0x19830326, true, "beegfs"}, {0x00C36400, true, "ceph"}, {0xAAD7AAEA, true, "panfs"},
    {0x20030528, true, "orangefs"}, {0xFF534D42, true, "cifs"}, {0xFE534D42, true, "smb2"},
    {0x01021997, true, "9p"}, {0x5346414F, true, "afs"}, {0x65735546, false, "fuse"},
    {0xEF53, false, "ext4"}, {0x58465342, false, "xfs"}, {0x9123683E, false, "btrfs"},
    {0x2FC12FC1, false, "zfs"}, {0x01021994, false, "tmpfs"}, {0x858458F6, false, "ramfs"},
    {0x794C7630, false, "overlay"},
};

/* Cuts the path down to a folder that is there. */
static bool nearest_folder(char *path)
{
    struct stat info;
    while (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        char *slash = strrchr(path, '/');
        if (slash == path && path[1]) slash[1] = 0;
        else if (slash && slash != path) *slash = 0;
        else if (!slash && strcmp(path, ".") != 0) strcpy(path, ".");
        else return false;
    }
    return true;
}

static void try_file(yk_disk *d)
{
    char path[sizeof d->folder + 32];
    snprintf(path, sizeof path, "%s/.yoke-doctor-XXXXXX", d->folder);
    int fd = mkostemp(path, O_CLOEXEC);
    d->refused = fd < 0 ? errno : 0;
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) d->not_locked = errno;
    close(fd);
    unlink(path);
}

yk_status yk_disk_measure(yk_disk *d, const char *path, yk_error *err)
{
    struct statfs fs;
    *d = (yk_disk){.folder = "."};
    if (strlen(path) >= sizeof d->folder) return yk_fail(err, YK_ERR_IO, "the path has %zu characters", strlen(path));
    if (*path) strcpy(d->folder, path);
    if (!nearest_folder(d->folder) || statfs(d->folder, &fs) != 0)
        return yk_fail(err, YK_ERR_IO, "%s: cannot be looked at: %s", path, strerror(errno));
    d->free = (int64_t)fs.f_bavail * (int64_t)fs.f_bsize;
    snprintf(d->kind, sizeof d->kind, "0x%llx", (unsigned long long)fs.f_type);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].number == (uint32_t)fs.f_type) {
            snprintf(d->kind, sizeof d->kind, "%s", kinds[i].name);
            d->shared = kinds[i].shared;
        }
    try_file(d);
    return YK_OK;
}
