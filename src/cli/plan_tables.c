/* The result of `yoke plan`: one JSON object, printed or shown as tables. */
#include "cli/plan.h"

#include "base/log.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *needs_json(const char *key, json_t *value, const yk_needs *n)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", key, value, "weights", (json_int_t)n->weights,
                     "gradients", (json_int_t)n->gradients, "optimizer", (json_int_t)n->optimiser, "activations",
                     (json_int_t)n->activations, "packed", (json_int_t)n->packed, "scratch", (json_int_t)n->scratch,
                     "total", (json_int_t)n->total);
}

/* A row of memory with the step's seconds and bytes sent. */
static json_t *row_of(const char *key, json_t *value, const yk_option *o)
{
    json_t *row = needs_json(key, value, &o->needs);
    json_object_set_new(row, "checkpoint", json_integer((json_int_t)o->needs.checkpoint));
    json_object_set_new(row, "step_seconds", json_real(o->cost.seconds));
    json_object_set_new(row, "traffic_per_step", json_real(o->cost.sent));
    json_object_set_new(row, "fits", json_boolean(o->fits));
    return row;
}

static yk_status add_policies(const yk_plan *p, json_t *to, yk_error *err)
{
    yk_status st = YK_OK;
    yk_option o;
    for (const char *const *c = yk_recompute_policies; *c; c++) {
        yk_setting with = yk_setting_of(p->now.r);
        with.recompute = *c;
        YK_TRY(yk_option_price(&o, &p->now, &p->now.cluster, &with, p->now.r->lanes, err));
        json_array_append_new(to, row_of("recompute", json_string(*c), &o));
    }
done:
    return st;
}

static yk_status add_zeros(const yk_plan *p, json_t *to, yk_error *err)
{
    enum { ZEROS = 4 };
    yk_status st = YK_OK;
    yk_option o;
    for (int64_t zero = 0; zero < (p->now.r->pretrain_local_steps > 0 ? 1 : ZEROS); zero++) {
        yk_setting with = yk_setting_of(p->now.r);
        with.zero = zero;
        YK_TRY(yk_option_price(&o, &p->now, &p->now.cluster, &with, p->now.r->lanes, err));
        json_array_append_new(to, row_of("zero", json_integer(zero), &o));
    }
done:
    return st;
}

/* Ranks 1, 2, 4, ... lanes: first those of one node, then more nodes. */
static yk_status add_scaling(const yk_plan *p, json_t *to, yk_error *err)
{
    yk_status st = YK_OK;
    yk_option o;
    double alone = 0;
    const yk_setting with = yk_setting_of(p->now.r);
    for (int64_t ranks = 1; ranks <= p->now.r->lanes; ranks *= 2) {
        yk_cluster on = p->now.cluster;
        on.ranks = ranks < on.ranks ? ranks : on.ranks;
        on.nodes = ranks / on.ranks;
        YK_TRY(yk_option_price(&o, &p->now, &on, &with, p->now.r->lanes, err));
        if (ranks == 1) alone = o.cost.seconds;
        json_t *row = json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:b}", "ranks", (json_int_t)ranks, "nodes",
                                (json_int_t)on.nodes, "step_seconds", o.cost.seconds, "speedup", alone / o.cost.seconds,
                                "communication", (o.cost.node + o.cost.network) / o.cost.seconds, "traffic_per_step",
                                o.cost.sent, "memory_per_rank", (json_int_t)o.needs.total, "fits", o.fits);
        json_array_append_new(to, row);
    }
done:
    return st;
}

static json_t *advice_json(const yk_advice *a)
{
    return json_pack("{s:b, s:I, s:s, s:I, s:I, s:I, s:f, s:{s:s, s:s, s:s, s:s}}", "fits", a->best.fits, "zero",
                     (json_int_t)a->best.with.zero, "recompute", a->best.with.recompute, "micro_batch",
                     (json_int_t)a->best.with.micro, "lanes", (json_int_t)a->best.lanes, "memory_per_rank",
                     (json_int_t)a->best.needs.total, "step_seconds", a->best.cost.seconds, "reasons", "zero", a->zero,
                     "recompute", a->recompute, "micro_batch", a->micro, "lanes", a->lanes);
}

static json_t *cluster_json(const yk_plan *p)
{
    const yk_cluster *c = &p->now.cluster;
    return json_pack("{s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:b}", "nodes", (json_int_t)c->nodes,
                     "ranks_per_node", (json_int_t)c->ranks, "threads", p->now.team.threads, "peak_gflops",
                     c->flops / 1e9, "bandwidth_gbs", c->memory / 1e9, "node_bandwidth_gbs", c->shared / 1e9,
                     "net_bytes_per_s", c->network, "latency_seconds", c->latency, "memory", (json_int_t)p->now.room,
                     "pace", c->pace, "measured", p->measured);
}

static yk_status own_json(const yk_plan *p, json_t *to, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    yk_option o;
    const yk_recipe *r = p->now.r;
    const yk_setting with = yk_setting_of(r);
    const yk_model_shape shape = yk_model_shape_of(r, p->now.vocab);
    const double tokens = (double)(r->pretrain_batch * r->pretrain_seq);
    YK_TRY(yk_option_price(&o, &p->now, &p->now.cluster, &with, r->lanes, err));
    YK_TRY(yk_model_outline(&m, &shape, 1, true, p->now.k, &p->now.team, err));
    const yk_cost *c = &o.cost;
    json_object_update_new(
        to, json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:b, s:{s:f, s:f, s:f, s:f}, s:{s:s, s:I, s:I, s:I}}",
                      "parameters", (json_int_t)yk_model_parameters(m), "memory_per_rank", (json_int_t)o.needs.total,
                      "step_seconds", c->seconds, "traffic_per_step", c->sent, "flops_per_step",
                      yk_model_flops_per_token(m, r->pretrain_seq) * tokens, "tokens_per_s", tokens / c->seconds,
                      "fits", o.fits, "seconds", "passes", c->passes, "update", c->update, "node", c->node, "network",
                      c->network, "setting", "recompute", with.recompute, "micro_batch", (json_int_t)with.micro, "zero",
                      (json_int_t)with.zero, "lanes", (json_int_t)r->lanes));
    json_object_set_new(to, "attention_pairs", json_real(yk_model_density(&shape, r->pretrain_seq)));
done:
    yk_model_free(m);
    return st;
}

static double real(const json_t *x, const char *key)
{
    return json_number_value(json_object_get(x, key));
}

static const char *too_large(const json_t *row)
{
    return json_is_true(json_object_get(row, "fits")) ? "" : "  too large";
}

static void print_memory(const char *key, const json_t *rows)
{
    static const char *const column[] = {"weights", "gradients", "optimizer", "activations", "packed", "scratch",
                                         "total"};
    size_t i;
    const json_t *row;
    char text[32];
    printf("\n%-10s", key);
    for (size_t c = 0; c < sizeof column / sizeof *column; c++) printf(" %11s", column[c]);
    printf(" %10s %10s\n", "sends", "step");
    json_array_foreach(rows, i, row) {
        const json_t *name = json_object_get(row, key);
        if (json_is_string(name)) printf("%-10s", json_string_value(name));
        else printf("%-10lld", (long long)json_integer_value(name));
        for (size_t c = 0; c < sizeof column / sizeof *column; c++)
            printf(" %11s", yk_human_bytes(real(row, column[c]), text));
        printf(" %10s", yk_human_bytes(real(row, "traffic_per_step"), text));
        printf(" %8.3g s%s\n", real(row, "step_seconds"), too_large(row));
    }
}

static void print_scaling(const json_t *rows)
{
    size_t i;
    const json_t *row;
    char text[32];
    printf("\n%6s %6s %12s %9s %14s %14s\n", "ranks", "nodes", "step", "speed-up", "communication", "memory a rank");
    json_array_foreach(rows, i, row)
        printf("%6.0f %6.0f %10.4g s %9.2f %12.1f %% %14s%s\n", real(row, "ranks"), real(row, "nodes"),
               real(row, "step_seconds"), real(row, "speedup"), 100 * real(row, "communication"),
               yk_human_bytes(real(row, "memory_per_rank"), text),
               too_large(row));
}

static void print_advice(const json_t *a)
{
    static const char *const key[] = {"zero", "recompute", "micro_batch", "lanes"};
    char text[32];
    if (!json_is_true(json_object_get(a, "fits"))) {
        printf("\nNothing fits into the memory of a node; least is taken, %s a rank, by\n",
               yk_human_bytes(real(a, "memory_per_rank"), text));
    } else {
        printf("\nRecommended, %.3g s a step and %s a rank:\n", real(a, "step_seconds"),
               yk_human_bytes(real(a, "memory_per_rank"), text));
    }
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        const json_t *value = json_object_get(a, key[i]);
        char setting[64];
        if (json_is_string(value)) snprintf(setting, sizeof setting, "%s: %s", key[i], json_string_value(value));
        else snprintf(setting, sizeof setting, "%s%s: %lld", strcmp(key[i], "micro_batch") == 0 ? "pretrain." : "",
                      key[i], (long long)json_integer_value(value));
        printf("  %-28s %s\n", setting, json_string_value(json_object_get(json_object_get(a, "reasons"), key[i])));
    }
}

static void print_cluster(const yk_plan *p, const json_t *x)
{
    const yk_recipe *r = p->now.r;
    const yk_cluster *c = &p->now.cluster;
    const json_t *s = json_object_get(x, "seconds");
    char text[32], room[32];
    printf("%lld layers of width %lld, vocabulary %lld, %.2fM parameters; micro-batches of %lld x %lld tokens; %s, "
           "%s\n", (long long)r->model_layers, (long long)r->model_width, (long long)p->now.vocab, real(x, "parameters") / 1e6,
           (long long)yk_setting_of(r).micro, (long long)r->pretrain_seq, p->now.k->name, r->precision);
    if (real(x, "attention_pairs") < 1)
        printf("attention: %s, %.1f %% of the pairs of tokens\n", r->model_attention, 100 * real(x, "attention_pairs"));
    printf("%lld node%s of %lld rank%s of %d thread%s: %.0f GFLOP/s and %.1f GB/s a rank%s%s; %s a node (%s)",
           (long long)c->nodes, c->nodes > 1 ? "s" : "", (long long)c->ranks, c->ranks > 1 ? "s" : "",
           p->now.team.threads, p->now.team.threads > 1 ? "s" : "", c->flops / 1e9, c->memory / 1e9,
           p->measured ? ", measured here" : "", c->pace != 1 ? ", with a part of the model" : "",
           p->now.room == INT64_MAX ? "unbounded memory" : yk_human_bytes((double)p->now.room, room), p->room_of);
    if (c->nodes > 1)
        printf("; network %.3g Gb/s, %.3g us", c->network / 125e6, c->latency * 1e6);
    printf("\n%lld lanes%s, zero %lld, recompute %s: %.4g s a step, %.0f tokens/s, %.3g TFLOP; a rank takes %s and "
           "sends ",
           (long long)r->lanes, r->lanes > p->own_lanes ? " (the recipe has too few for so many ranks)" : "",
           (long long)r->zero, r->recompute, real(x, "step_seconds"), real(x, "tokens_per_s"),
           real(x, "flops_per_step") / 1e12, yk_human_bytes(real(x, "memory_per_rank"), text));
    printf("%s a step\nOf a step: passes %.1f %%, update %.1f %%, exchange in the node %.1f %%, network %.1f %%\n",
           yk_human_bytes(real(x, "traffic_per_step"), text), 100 * real(s, "passes") / real(x, "step_seconds"),
           100 * real(s, "update") / real(x, "step_seconds"), 100 * real(s, "node") / real(x, "step_seconds"),
           100 * real(s, "network") / real(x, "step_seconds"));
}

yk_status yk_plan_show(const yk_plan *p, bool json, yk_error *err)
{
    yk_status st = YK_OK;
    yk_advice a;
    json_t *x = json_object(), *policies = json_array(), *zeros = json_array(), *scaling = json_array();
    YK_TRY(own_json(p, x, err));
    YK_TRY(add_policies(p, policies, err));
    YK_TRY(add_zeros(p, zeros, err));
    YK_TRY(add_scaling(p, scaling, err));
    YK_TRY(yk_advise(&a, &p->now, err));
    json_object_update_new(x, json_pack("{s:o, s:O, s:O, s:O, s:o}", "cluster", cluster_json(p), "policies", policies,
                                        "zero", zeros, "scaling", scaling, "recommend", advice_json(&a)));
    if (json) {
        json_dumpf(x, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        print_cluster(p, x);
        print_memory("recompute", policies);
        print_memory("zero", zeros);
        print_scaling(scaling);
        print_advice(json_object_get(x, "recommend"));
    }
done:
    json_decref(x);
    json_decref(policies);
    json_decref(zeros);
    json_decref(scaling);
    return st;
}
