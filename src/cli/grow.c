/* The command grow. */
#include "cli/cli.h"
#include "train/grow.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_SETS = 128 };

typedef struct options {
    const char *place[2], *set[MOST_SETS];
    int places;
    yk_grow_options with;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 0 && o->places < 2) o->place[o->places++] = text;
    else if (key == 's' && o->with.sets < MOST_SETS) o->set[o->with.sets++] = text;
    else if (key == 'c') o->with.checkpoint = text;
    else if (key == 'T') o->with.threads = atol(text);
    else return false;
    return true;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    double worst;
    o.with.set = o.set;
    YK_TRY(yk_parse(&yk_command_grow, argc, argv, 2, take, &o, err));
    YK_TRY(yk_run_grow(o.place[0], o.place[1], &o.with, &worst, err));
    printf("largest difference of a logit: %.2g\n", worst);
done:
    return st;
}

static const struct argp_option option[] = {
    {"set", 's', "KEY=VALUE", 0, "what the larger model's recipe has instead; may be repeated", 0},
    {"checkpoint", 'c', "FILE", 0, "of pretraining, instead of the newest", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {0},
};

const yk_command yk_command_grow = {
    "grow", "RUN_DIR NEW_RUN_DIR", "a larger model that computes the same, to train on",
    "Makes a run whose model has more layers, width, heads or inner units than that of RUN_DIR and computes the same "
    "function; pretraining in it begins with these weights and the optimiser's moments.\v"
    "Example:\n  yoke grow runs/small runs/large --set model.layers=6 --set model.width=256 --set model.ffn=704\n"
    "  yoke run runs/large/recipe.yaml --set pretrain.steps=2000",
    option, perform};
