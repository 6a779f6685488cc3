/* What a recipe will take, before it runs. */
#include "base/log.h"
#include "cli/cli.h"
#include "train/memory.h"
#include "train/session.h"
#include "train/train.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct options {
    const char *recipe, *set[256];
    size_t sets;
    bool json;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 0 && !o->recipe) o->recipe = text;
    else if (key == 's' && o->sets < 256) o->set[o->sets++] = text;
    else if (key == 'j') o->json = true;
    else return false;
    return true;
}

/* The share of the pairs of query and key that the patterns of the layers keep. */
static double pairs_of(const yk_recipe *r)
{
    const yk_model_shape shape = yk_model_shape_of(r, r->tokenizer_vocab);
    return yk_model_density(&shape, r->pretrain_seq);
}

/* One policy of `recompute` as a row of bytes. */
static yk_status plan_policy(const yk_recipe *r, const char *policy, const yk_kernels *k, const yk_team *team,
                             json_t *rows, yk_error *err)
{
    yk_needs n;
    yk_status st = yk_needs_of(&n, r, r->tokenizer_vocab, policy, yk_micro_batch(r), k, team, err);
    if (st != YK_OK) return st;
    json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "recompute", policy,
                                          "weights", (json_int_t)n.weights, "gradients", (json_int_t)n.gradients, "optimizer",
                                          (json_int_t)n.optimiser, "activations", (json_int_t)n.activations, "packed",
                                          (json_int_t)n.packed, "scratch", (json_int_t)n.scratch, "total",
                                          (json_int_t)n.total, "attention_pairs", pairs_of(r)));
    return YK_OK;
}

static void print_rows(const yk_recipe *r, const yk_kernels *k, const json_t *rows)
{
    static const char *const column[] = {"weights", "gradients", "optimizer", "activations", "packed", "scratch",
                                         "total"};
    size_t i;
    const json_t *row;
    char text[32];
    printf("%lld layers of width %lld, vocabulary %lld; micro-batches of %lld x %lld tokens; %s, %s\n"
           "attention: %s, %.1f%% of the pairs of tokens\n\n%-10s",
           (long long)r->model_layers, (long long)r->model_width, (long long)r->tokenizer_vocab,
           (long long)yk_micro_batch(r), (long long)r->pretrain_seq, k->name, r->precision, r->model_attention,
           100 * pairs_of(r), "recompute");
    for (size_t c = 0; c < sizeof column / sizeof *column; c++) printf(" %12s", column[c]);
    putchar('\n');
    json_array_foreach(rows, i, row) {
        printf("%-10s", json_string_value(json_object_get(row, "recompute")));
        for (size_t c = 0; c < sizeof column / sizeof *column; c++)
            printf(" %12s", yk_human_bytes(json_number_value(json_object_get(row, column[c])), text));
        putchar('\n');
    }
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_recipe r = {0};
    yk_team team;
    const yk_kernels *k;
    json_t *rows = json_array();
    YK_TRY(yk_parse(&yk_command_plan, argc, argv, 1, take, &o, err));
    YK_TRY(yk_recipe_load(&r, o.recipe, o.set, o.sets, err));
    YK_TRY(yk_team_make(&team, (int)r.threads, err));
    YK_TRY(yk_kernels_pick(&k, NULL, yk_precision_of(&r), err));
    for (const char *const *p = yk_recompute_policies; *p; p++) YK_TRY(plan_policy(&r, *p, k, &team, rows, err));
    if (o.json) {
        json_dumpf(rows, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        print_rows(&r, k, rows);
    }
done:
    json_decref(rows);
    yk_recipe_free(&r);
    return st;
}

static const struct argp_option option[] = {
    {"set", 's', "KEY=VALUE", 0, "override a key of the recipe; may be repeated", 0},
    {"json", 'j', NULL, 0, "print JSON, in bytes", 0},
    {0},
};

const yk_command yk_command_plan = {
    "plan", "RECIPE.yaml", "the memory that pretraining will take",
    "Shows the memory that pretraining will take, for each policy of the key `recompute`, without running anything.\v"
    "Example:\n  yoke plan conf/quickstart.yaml --set size=100M",
    option, perform};
