/* What every stage of a run is given. */
#ifndef YK_CONFIG_JOB_H
#define YK_CONFIG_JOB_H

#include "base/log.h"
#include "base/status.h"
#include "base/team.h"
#include "config/recipe.h"

#include <jansson.h>
#include <signal.h>

typedef struct yk_job {
    const yk_recipe *recipe;
    const char *dir;                 /* the run directory; stages write below it                  */
    const yk_team *team;
    struct yk_comm *comm;            /* ranks that perform it together (comm/comm.h); NULL: this process alone  */
    const volatile sig_atomic_t *stop; /* not 0: end soon, with a checkpoint                      */
    double deadline;                 /* yk_now() at which to end with a checkpoint; 0: none       */
    const char *model;               /* checkpoint of the model that the stages before this one made; NULL: none */
    int64_t until;                   /* a trial: the step at which pretraining pauses and is scored; 0: it has an end */
    json_t *summary;                 /* summary.json in the making: a stage sets its own members  */
} yk_job;

static inline bool yk_job_stops(const yk_job *job)
{
    return *job->stop || (job->deadline > 0 && yk_now() > job->deadline);
}

/* A stage: does its work below job->dir, resuming what an earlier process left; *finished is false
 * when it ended early because of `stop` or `deadline`, with all it needs to go on saved. */
typedef yk_status (*yk_stage_fn)(const yk_job *job, bool *finished, yk_error *err);

#endif
