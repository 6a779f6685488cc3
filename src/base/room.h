/* How much memory this process may still take. */
#ifndef YK_BASE_ROOM_H
#define YK_BASE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_room {
    int64_t bytes;  /* INT64_MAX when nothing is known */
    bool own;       /* sets it for this process alone; else it shares with others of its machine or job */
    const char *of; /* what sets the bound: "free memory of this machine", ... */
} yk_room;

/* The least of what the machine has free (MemAvailable), what the control groups of the process and those above allow
 * (v2: memory.max, v1: memory.limit_in_bytes) less its resident memory, and what RLIMIT_AS (`ulimit -v`) allows less
 * its address space. `root` comes before /proc and /sys: "" but in tests. */
yk_room yk_room_left(const char *root);

#endif
