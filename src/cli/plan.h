/* What `yoke plan` shows. Private to src/cli. */
#ifndef YK_CLI_PLAN_H
#define YK_CLI_PLAN_H

#include "train/advice.h"

typedef struct yk_plan {
    yk_planning now;
    int64_t own_lanes;   /* of the recipe, before ranks needed more */
    const char *room_of; /* what bounds the memory of a node */
    bool measured;       /* peak or bandwidth are this machine's */
} yk_plan;

yk_status yk_plan_show(const yk_plan *p, bool json, yk_error *err);

#endif
