#include "base/file.h"
#include "base/log.h"
#include "base/watch.h"
#include "cli/cli.h"
#include "comm/comm.h"
#include "config/recipe.h"
#include "run/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SETS = 256, WATCHDOG_OF_RANKS = 600 /* seconds; who starts one process sees for himself that it hangs */ };

typedef struct options {
    const char *recipe, *dir, *set[MAX_SETS];
    size_t sets;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 0 && !o->recipe) o->recipe = text;
    else if (key == 'd') o->dir = text;
    else if (key == 's' && o->sets < MAX_SETS) o->set[o->sets++] = text;
    else return false;
    return true;
}

/* "conf/quickstart.yaml" -> "quickstart". */
static char *name_of(const char *recipe)
{
    const char *slash = strrchr(recipe, '/'), *base = slash ? slash + 1 : recipe, *dot = strrchr(base, '.');
    return strndup(base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

/* The ranks' watchdogs know each other by a number of this run. */
static yk_status start_watch(const yk_recipe *r, const char *dir, yk_comm *comm, yk_error *err)
{
    uint64_t run = (uint64_t)(yk_now() * 1e9) ^ (uint64_t)getpid() << 32;
    yk_comm_share(comm, &run, sizeof run);
    const yk_watch_options o = {.dir = dir, .rank = yk_comm_rank(comm), .ranks = yk_comm_size(comm), .run = run,
                                .seconds = r->watchdog >= 0 ? r->watchdog : comm ? WATCHDOG_OF_RANKS : 0};
    return yk_watch_open(&o, err);
}

static yk_status perform_with(yk_comm *comm, int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_recipe r = {0};
    char *name = NULL, *dir = NULL;
    YK_TRY(yk_parse(&yk_command_run, argc, argv, 1, take, &o, err));
    YK_TRY(yk_recipe_load(&r, o.recipe, o.set, o.sets, err));
    name = name_of(o.recipe);
    dir = o.dir ? strdup(o.dir) : r.run_dir[0] ? strdup(r.run_dir) : yk_path("runs/%s", name);
    if (!name || !dir) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(start_watch(&r, dir, comm, err));
    YK_TRY(yk_run(&r, name, dir, comm, &yk_stop_asked, err));
done:
    yk_recipe_free(&r);
    free(name);
    free(dir);
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_comm *comm;
    yk_status st = yk_comm_open(&comm, err);
    if (st != YK_OK) return st;
    if (!yk_comm_leads(comm)) yk_log_quiet();
    st = yk_comm_agree(comm, perform_with(comm, argc, argv, err), err);
    yk_comm_close(comm);
    yk_watch_close();
    return st;
}

static const struct argp_option option[] = {
    {"set", 's', "KEY=VALUE", 0, "override a key of the recipe; may be repeated", 0},
    {"run-dir", 'd', "DIR", 0, "the run directory (default: runs/<recipe's name>)", 0},
    {0},
};

const yk_command yk_command_run = {
    "run", "RECIPE.yaml", "perform a recipe; goes on where it was cut",
    "Performs the stages of a recipe in order: what is done is skipped, what was cut is resumed. SIGTERM, SIGINT and "
    "SIGUSR1 end it with a checkpoint. The last line is the digest of weights, optimiser and losses.\v"
    "Example:\n  yoke run conf/quickstart.yaml --set pretrain.steps=200 --run-dir /tmp/try",
    option, perform};
