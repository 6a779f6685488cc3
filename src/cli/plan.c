/* What a recipe will take, before it runs: memory, and time on a cluster that is described. The options and what is
 * measured are here, the result in plan_tables.c. */
#include "cli/plan.h"

#include "base/log.h"
#include "cli/cli.h"
#include "config/schema.h"
#include "train/measure.h"
#include "train/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER = 32, MOST_RANKS = 65536 };
static const double PEAK_SECONDS = 0.1, NATIVE = 1.9; /* NATIVE: peak of bf16 to that of fp32 where it has a product */

typedef struct options {
    const char *recipe, *set[256], *nodes, *ranks, *threads, *net, *latency, *peak, *bandwidth, *memory;
    size_t sets;
    bool json, measure;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    switch (key) {
    case 's':
        if (o->sets == sizeof o->set / sizeof *o->set) return false;
        o->set[o->sets++] = text;
        break;
    case 'j': o->json = true; break;
    case 'M': o->measure = true; break;
    case 'N': o->nodes = text; break;
    case 'R': o->ranks = text; break;
    case 'T': o->threads = text; break;
    case 'n': o->net = text; break;
    case 'l': o->latency = text; break;
    case 'p': o->peak = text; break;
    case 'b': o->bandwidth = text; break;
    case 'm': o->memory = text; break;
    default:
        if (key != 0 || o->recipe) return false;
        o->recipe = text;
    }
    return true;
}

typedef struct unit {
    const char *name;
    double factor;
} unit;
static const unit of_net[] = {{"kb", 125},   {"Mb", 125e3},   {"Gb", 125e6},   {"Tb", 125e9},   {"kbit", 125},
                              {"Mbit", 125e3}, {"Gbit", 125e6}, {"Tbit", 125e9}, {"MB", 1e6},   {"GB", 1e9}, {0}};
static const unit of_time[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {0}};
static const unit of_memory[] = {{"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
                                 {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}, {0}};
static const unit of_giga[] = {{"", 1e9}, {0}};

/* A number above 0 and one of the units; `form` shows one. NULL leaves *value as it is. */
static yk_status quantity(const char *text, const char *option, const unit *units, const char *form, double *value,
                          yk_error *err)
{
    char number[NUMBER];
    double x;
    if (!text) return YK_OK;
    const size_t n = strspn(text, "0123456789.");
    if (n > 0 && n < sizeof number) {
        const size_t all = strlen(text), end = all > n + 2 && strcmp(text + all - 2, "/s") == 0 ? all - 2 : all;
        snprintf(number, sizeof number, "%.*s", (int)n, text);
        for (; units->name; units++)
            if (strlen(units->name) == end - n && strncmp(text + n, units->name, end - n) == 0 &&
                yk_parse_real(number, &x) && x > 0) {
                *value = x * units->factor;
                return YK_OK;
            }
    }
    return yk_fail(err, YK_ERR_USAGE, "--%s %s: expected a number and a unit, as in %s", option, text, form);
}

static yk_status count(const char *text, const char *option, int64_t *value, yk_error *err)
{
    if (!text || (yk_parse_int(text, value) && *value >= 1 && *value <= MOST_RANKS)) return YK_OK;
    return yk_fail(err, YK_ERR_USAGE, "--%s %s: expected a number from 1 to %d", option, text, MOST_RANKS);
}

/* Ranks share lanes: more than the recipe has is what it would have to be given. */
static yk_status check_ranks(yk_plan *p, yk_recipe *r, yk_error *err)
{
    const int64_t ranks = p->now.cluster.nodes * p->now.cluster.ranks;
    if (ranks > MOST_RANKS || (ranks & (ranks - 1)) != 0)
        return yk_fail(err, YK_ERR_USAGE, "%lld nodes of %lld ranks: %lld ranks, which must be a power of two",
                       (long long)p->now.cluster.nodes, (long long)p->now.cluster.ranks, (long long)ranks);
    p->own_lanes = r->lanes;
    if (r->lanes < ranks) r->lanes = ranks;
    if (r->pretrain_batch % r->lanes != 0)
        return yk_fail(err, YK_ERR_USAGE, "%lld ranks need as many lanes, which must divide pretrain.batch, now %lld: "
                       "--set pretrain.batch=N", (long long)r->lanes, (long long)r->pretrain_batch);
    return YK_OK;
}

/* Of a rank, on as many of this machine's threads as it has; more threads than are here count in proportion. */
static yk_status measure_rates(yk_plan *p, const options *o, const yk_team *here, yk_error *err)
{
    yk_status st = YK_OK;
    yk_cluster *c = &p->now.cluster;
    const yk_kernels *k = p->now.k;
    yk_team rank = p->now.team;
    if (rank.threads > here->threads) rank.threads = here->threads;
    const double more = (double)p->now.team.threads / rank.threads;
    if (!o->peak) c->flops = more * k->peak_flops(&rank, PEAK_SECONDS);
    if (!o->bandwidth) {
        YK_TRY(yk_measure_memory(k, &rank, &c->memory, err));
        c->memory *= more;
        c->shared = c->memory;
        if (rank.threads < here->threads) YK_TRY(yk_measure_memory(k, here, &c->shared, err));
    }
    p->measured = !o->peak || !o->bandwidth;
    c->plain = c->flops / (k->precision == YK_BF16 && strstr(k->name, "bf16") ? NATIVE : 1);
done:
    return st;
}

static yk_status describe(yk_plan *p, yk_recipe *r, const options *o, const yk_team *here, yk_error *err)
{
    yk_status st = YK_OK;
    yk_cluster *c = &p->now.cluster;
    const yk_room room = yk_room_left("");
    int64_t threads;
    double bytes = (double)room.bytes;
    *c = (yk_cluster){.nodes = 1, .ranks = 1, .network = 1.25e9, .latency = 20e-6, .pace = 1};
    YK_TRY(count(o->nodes, "nodes", &c->nodes, err));
    YK_TRY(count(o->ranks, "ranks-per-node", &c->ranks, err));
    threads = here->threads / c->ranks > 1 ? here->threads / c->ranks : 1;
    YK_TRY(count(o->threads, "threads", &threads, err));
    YK_TRY(quantity(o->net, "net", of_net, "10Gb or 1GB", &c->network, err));
    YK_TRY(quantity(o->latency, "latency", of_time, "20us", &c->latency, err));
    YK_TRY(quantity(o->peak, "peak", of_giga, "250 (GFLOP/s of a rank)", &c->flops, err));
    YK_TRY(quantity(o->bandwidth, "bandwidth", of_giga, "30 (GB/s of a rank)", &c->memory, err));
    YK_TRY(quantity(o->memory, "memory", of_memory, "64G or 64GiB", &bytes, err));
    c->shared = c->memory * (double)c->ranks;
    p->now.room = bytes < 0x1p62 ? (int64_t)bytes : INT64_MAX;
    p->room_of = o->memory ? "--memory" : room.of;
    p->now.team = *here;
    p->now.team.threads = (int)threads;
    YK_TRY(check_ranks(p, r, err));
    YK_TRY(measure_rates(p, o, here, err));
done:
    return st;
}

/* What a pass takes here over what the formulas say. */
static yk_status measure_pace(yk_plan *p, const yk_recipe *r, const yk_team *here, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    double seconds;
    const yk_setting with = yk_setting_of(r);
    const yk_model_shape shape = yk_model_shape_of(r, p->now.vocab);
    if (p->now.team.threads > here->threads)
        YK_FAIL(YK_ERR_USAGE, "--measure: a rank of %d threads cannot be measured here, where there are %d",
                p->now.team.threads, here->threads);
    YK_TRY(yk_measure_pass(r, p->now.vocab, with.micro, p->now.k, &p->now.team, &seconds, err));
    YK_TRY(yk_model_outline(&m, &shape, with.micro * r->pretrain_seq, true, p->now.k, &p->now.team, err));
    yk_load one = yk_load_of(m, r, &with, 1);
    one.tokens = one.rows;
    one.lanes = 1;
    one.passes = 1;
    yk_cluster alone = p->now.cluster;
    alone.nodes = alone.ranks = 1;
    p->now.cluster.pace = seconds / yk_cost_of(&alone, &one).passes;
done:
    yk_model_free(m);
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_recipe r = {0};
    yk_team here;
    yk_plan p = {.now = {.r = &r, .outer = 1}};
    YK_TRY(yk_parse(&yk_command_plan, argc, argv, 1, take, &o, err));
    YK_TRY(yk_recipe_load(&r, o.recipe, o.set, o.sets, err));
    YK_TRY(yk_team_make(&here, (int)r.threads, err));
    YK_TRY(yk_kernels_pick(&p.now.k, NULL, yk_precision_of(&r), err));
    p.now.vocab = r.tokenizer_vocab;
    if (r.pretrain_local_steps > 0) p.now.outer = r.pretrain_local_steps;
    YK_TRY(describe(&p, &r, &o, &here, err));
    if (o.measure) YK_TRY(measure_pace(&p, &r, &here, err));
    YK_TRY(yk_plan_show(&p, o.json, err));
done:
    yk_recipe_free(&r);
    return st;
}

static const struct argp_option option[] = {
    {"set", 's', "KEY=VALUE", 0, "override a key of the recipe; may be repeated", 0},
    {"nodes", 'N', "N", 0, "nodes of the cluster (1)", 0},
    {"ranks-per-node", 'R', "N", 0, "ranks of a node (1)", 0},
    {"threads", 'T', "N", 0, "threads of a rank (this machine's, shared by the ranks of a node)", 0},
    {"memory", 'm', "BYTES", 0, "memory of a node, as 64G (what is free here)", 0},
    {"net", 'n', "RATE", 0, "what a node sends a second: 10Gb bits, 1GB bytes (10Gb)", 0},
    {"latency", 'l', "TIME", 0, "of a message between nodes, as 20us (20us)", 0},
    {"peak", 'p', "GFLOPS", 0, "of a rank in the recipe's precision, as `yoke bench peak` shows (measured here, 0.1 s)", 0},
    {"bandwidth", 'b', "GBS", 0, "of a rank updating memory, as `yoke bench peak` shows (measured here, 0.2 s)", 0},
    {"measure", 'M', NULL, 0, "run a part of the model here for some seconds: its share of the peak", 0},
    {"json", 'j', NULL, 0, "print JSON: bytes, seconds", 0},
    {0},
};

const yk_command yk_command_plan = {
    "plan", "RECIPE.yaml", "the memory and time that pretraining will take, also on several nodes",
    "Shows the memory that pretraining will take, for each policy of the key `recompute` and each `zero`, and from a "
    "model of costs the time of a step and how it grows with ranks; recommends settings. Nothing of the recipe is run. "
    "The cluster may be another than this machine: doc/cluster.md says how it is described and what is assumed.\v"
    "Examples:\n  yoke plan conf/quickstart.yaml --set size=100M\n"
    "  yoke plan mine.yaml --nodes 4 --ranks-per-node 2 --threads 16 --net 10Gb --peak 2000 --memory 64G",
    option, perform};
