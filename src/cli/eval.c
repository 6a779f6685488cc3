/* The command eval: held-out text, or tasks that the recipe does not name. */
#include "align/align.h"
#include "cli/cli.h"
#include "train/opened.h"
#include "train/made.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVALUATED_ROWS = 4096, MOST_TASKS = 256 };

typedef struct options {
    const char *run, *checkpoint, *chat;
    char *task[MOST_TASKS];
    size_t tasks;
    long threads;
    bool json;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    switch (key) {
    case 0:
        if (o->run) return false;
        o->run = text;
        return true;
    case 'c': o->checkpoint = text; return true;
    case 'C': o->chat = text; return strcmp(text, "yes") == 0 || strcmp(text, "no") == 0 || strcmp(text, "auto") == 0;
    case 't':
        if (o->tasks == MOST_TASKS) return false;
        o->task[o->tasks++] = (char *)(uintptr_t)text;
        return true;
    case 'T': o->threads = atol(text); return true;
    case 'j': o->json = true; return true;
    default: return false;
    }
}

static void print_json(const json_t *all)
{
    json_dumpf(all, stdout, JSON_INDENT(1));
    putchar('\n');
}

/* Held-out bits per byte, by the pretrained model. */
static yk_status heldout(const options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_opened x = {0};
    yk_domain *domains = NULL;
    json_t *by_domain = json_object(), *all = NULL;
    yk_heldout sum = {0};
    const yk_open_options with = {.run = o->run, .checkpoint = o->checkpoint, .pretrained = true, .threads = o->threads,
                                  .rows = EVALUATED_ROWS};
    YK_TRY(yk_open_run(&x, &with, err));
    if (x.r.corpora == 0) YK_FAIL(YK_ERR_INPUT, "%s/recipe.yaml names no corpus to evaluate on", o->run);
    YK_TRY(yk_domains_open(&domains, &x.r, o->run, err));
    for (size_t d = 0; d < x.r.corpora; d++) {
        yk_heldout one = {0};
        YK_TRY(yk_evaluate_shard(&x.s, NULL, &domains[d].heldout, x.r.evaluate_stride, 0, &one, err));
        double bpb = one.nats / M_LN2 / one.bytes;
        json_object_set_new(by_domain, domains[d].name, json_real(bpb));
        if (!o->json) printf("%-16s %.4f bits per byte\n", domains[d].name, bpb);
        sum.nats += one.nats;
        sum.bytes += one.bytes;
    }
    double bpb = sum.nats / M_LN2 / sum.bytes;
    all = json_pack("{s:f, s:O}", "heldout_bpb", bpb, "by_domain", by_domain);
    if (o->json) print_json(all);
    else printf("%-16s %.4f bits per byte\n", "all", bpb);
done:
    json_decref(all);
    json_decref(by_domain);
    yk_domains_close(domains, x.r.corpora);
    yk_opened_close(&x);
    return st;
}

static void print_tasks(json_t *all)
{
    static const char *const members[] = {"accuracy_norm", "accuracy_bytes", "accuracy_clean", "perplexity", "format",
                                          "pass_at_1", "pass_at_k"};
    const char *name;
    json_t *task;
    json_object_foreach (json_object_get(all, "tasks"), name, task) {
        printf("%-20s %6.4f +- %.4f of %lld", name, json_number_value(json_object_get(task, "accuracy")),
               json_number_value(json_object_get(task, "stderr")),
               (long long)json_number_value(json_object_get(task, "n")));
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            if (json_is_number(json_object_get(task, members[i])))
                printf("  %s %.4f", members[i], json_number_value(json_object_get(task, members[i])));
        putchar('\n');
    }
    json_object_foreach (json_object_get(all, "contamination"), name, task)
        if (json_number_value(json_object_get(task, "overlapping")) > 0)
            printf("%-20s %lld of %lld items overlap with training text\n", name,
                   (long long)json_number_value(json_object_get(task, "overlapping")),
                   (long long)json_number_value(json_object_get(task, "items")));
}

/* Tasks, by the model that the last stage left. */
static yk_status measure(const options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    yk_team team;
    char *model = NULL;
    json_t *all = NULL;
    YK_TRY(yk_run_recipe(&r, o->run, err));
    YK_TRY(yk_team_make(&team, (int)o->threads, err));
    if (!o->checkpoint) YK_TRY(yk_run_model(&r, o->run, &model, err));
    const yk_job job = {.recipe = &r, .dir = o->run, .team = &team, .stop = &yk_stop_asked,
                        .model = o->checkpoint ? o->checkpoint : model};
    const yk_list paths = {(char **)(uintptr_t)o->task, o->tasks};
    YK_TRY(yk_evaluate_tasks(&job, &paths, o->chat ? o->chat : r.evaluate_chat, &all, err));
    if (!all) printf("stopped\n");
    else if (o->json) print_json(all);
    else print_tasks(all);
done:
    json_decref(all);
    free(model);
    yk_recipe_free(&r);
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    options o = {0};
    yk_status st = yk_parse(&yk_command_eval, argc, argv, 1, take, &o, err);
    if (st != YK_OK) return st;
    return o.tasks ? measure(&o, err) : heldout(&o, err);
}

static const struct argp_option option[] = {
    {"task", 't', "FILE", 0, "measure this task, as a file of evaluate.tasks, instead; may be repeated", 0},
    {"chat", 'C', "WHEN", 0, "yes, no or auto: prompts by the chat template (default: evaluate.chat of the recipe)", 0},
    {"checkpoint", 'c', "FILE", 0, "instead of the run's best, or of the last stage's model for tasks", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

const yk_command yk_command_eval = {
    "eval", "RUN_DIR", "held-out bits per byte, or tasks, of a trained model",
    "Computes the held-out loss of every domain of a run, or measures tasks: JSON lines, or task files of "
    "lm-evaluation-harness.\v"
    "Example:\n  yoke eval runs/quickstart --json\n  yoke eval runs/quickstart --task arc_easy.yaml --task blimp.jsonl",
    option, perform};
