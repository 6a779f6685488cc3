#include "run/run.h"

#include "align/align.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "config.h"
#include "data/shard.h"
#include "report/report.h"
#include "run/manifest.h"
#include "store/checkpoint.h"
#include "text/clean.h"
#include "text/documents.h"
#include "text/questions.h"
#include "train/made.h"
#include "train/session.h"
#include "train/train.h"
#include "tune/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a stage is: its inputs are the recipe's keys with these prefixes and the stages before it. */
typedef struct stage {
    const char *name;
    yk_stage_fn perform;
    const char *const *keys;
    const char *members[8]; /* of the summary, which the stage sets */
    char *(*output)(const char *dir, const char *domain, bool heldout); /* a file of each domain and split; or NULL */
    /* Of inputs outside the run directory; or NULL. */
    yk_status (*stamp)(const yk_recipe *r, char hex[33], yk_error *err);
    const char *model; /* in the run directory: the model it leaves, or the folder of its checkpoints; or NULL */
    const char *leaves; /* another file there that later stages need; or NULL */
} stage;

static const char *const clean_keys[] = {"seed", "corpus.", "clean.", NULL};
static const char *const tokenizer_keys[] = {"seed", "tokenizer.", NULL};
static const char *const questions_keys[] = {"seed", "corpus.", "questions.", NULL};
static const char *const tune_keys[] = {"seed", "lanes", "precision", "numerics", "corpus.", "model.", "pretrain.",
                                        "evaluate.stride", "tune.", "tuning.", NULL};
static const char *const pretrain_keys[] = {"seed", "lanes", "precision", "numerics", "corpus.", "model.", "pretrain.",
                                            NULL};
static const char *const propose_keys[] = {"questions.against", "questions.overlap_words", "propose.", "sft.heldout",
                                            "evaluate.tasks", NULL};
static const char *const sft_keys[] = {"sft.", NULL};
static const char *const distill_keys[] = {"distill.", NULL};
static const char *const reward_keys[] = {"reward.", NULL};
static const char *const ppo_keys[] = {"ppo.", NULL};
static const char *const grpo_keys[] = {"verify.", "grpo.", NULL};
static const char *const refine_keys[] = {"sft.", "verify.", "refine.", NULL};
static const char *const dpo_keys[] = {"dpo.", NULL};
static const char *const evaluate_keys[] = {"evaluate.", "verify.", NULL};

static const stage stages[] = {
    {"clean", yk_clean_stage, clean_keys, {"corpus"}, .output = yk_documents_path, .stamp = yk_corpus_stamp},
    {"tokenizer", yk_tokenizer_stage, tokenizer_keys, {"tokenizer"}, .output = yk_shard_path},
    {"questions", yk_questions_stage, questions_keys, {"questions"}, .stamp = yk_questions_stamp},
    {"tune", yk_tune_stage, tune_keys, {"tune"}, .output = NULL},
    {"pretrain", yk_pretrain_stage, pretrain_keys, {"pretrain", "model", "isa", "digest"}, .model = "checkpoints"},
    {"propose", yk_propose_stage, propose_keys, {"propose", "digest"}, .stamp = yk_questions_stamp},
    {"sft", yk_sft_stage, sft_keys, {"sft", "digest"}, .model = "sft/model.h5"},
    {"distill", yk_distill_stage, distill_keys, {"distill", "digest"}, .model = "distill/model.h5"},
    {"reward", yk_reward_stage, reward_keys, {"reward", "digest"}, .leaves = "reward/model.h5"},
    {"ppo", yk_ppo_stage, ppo_keys, {"ppo", "digest"}, .model = "ppo/model.h5"},
    {"dpo", yk_dpo_stage, dpo_keys, {"dpo", "digest"}, .model = "dpo/model.h5"},
    {"grpo", yk_grpo_stage, grpo_keys, {"grpo", "digest"}, .model = "grpo/model.h5"},
    {"refine", yk_refine_stage, refine_keys, {"refine", "digest"}, .model = "refine/model.h5"},
    {"evaluate", yk_evaluation_stage, evaluate_keys, {"masked", "baseline", "evaluate"}, .output = NULL},
};

typedef struct run {
    yk_job job;
    yk_team team;
    const char *name;
    json_t *state;  /* stages.json: {name: {key, seconds, summary}} */
    json_t *listed; /* summary.stages */
    char *state_path, *summary_path;
    char *model; /* of the stages so far */
    bool any_work;
} run;

static const stage *find_stage(const char *name)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (strcmp(stages[i].name, name) == 0) return &stages[i];
    return NULL;
}

/* A stage's key covers the key of the stage before it. */
static void stage_key(const yk_recipe *r, const stage *s, const char *before, char key[33])
{
    yk_buf text = {0};
    yk_buf_printf(&text, "%s %s\n", before, s->name);
    yk_recipe_canonical(r, s->keys, &text);
    yk_hash128_hex(text.data, text.len, key);
    yk_buf_free(&text);
}

static void list_stage(run *u, const char *name, double seconds, const char *status)
{
    json_array_append_new(u->listed, json_pack("{s:s, s:f, s:s}", "name", name, "seconds", seconds, "status", status));
}

/* What the stage put into the summary is kept with its state, for when it is skipped. */
static yk_status remember(run *u, const stage *s, const char *key, double seconds, yk_error *err)
{
    json_t *kept = json_object();
    for (const char *const *m = s->members; *m; m++)
        json_object_set(kept, *m, json_object_get(u->job.summary, *m));
    char stamp[33] = "";
    yk_error ignored;
    if (s->stamp) s->stamp(u->job.recipe, stamp, &ignored);
    json_object_set_new(u->state, s->name, json_pack("{s:s, s:s, s:f, s:O}", "key", key, "stamp", stamp, "seconds",
                                                     seconds, "summary", kept));
    json_decref(kept);
    return yk_json_write(u->state_path, u->state, err);
}

static bool is_there(const run *u, const char *file)
{
    char *path = file ? yk_path("%s/%s", u->job.dir, file) : NULL;
    const bool there = !file || (path && yk_exists(path));
    free(path);
    return there;
}

static bool outputs_exist(const run *u, const stage *s)
{
    bool all = true;
    for (size_t i = 0; s->output && i < 2 * u->job.recipe->corpora; i++) {
        char *path = s->output(u->job.dir, u->job.recipe->corpus[i / 2].domain, i % 2);
        all = all && path && yk_exists(path);
        free(path);
    }
    return all && is_there(u, s->model) && is_there(u, s->leaves);
}

/* Inputs that are gone since (moved to an archive, say) do not undo what was made from them. */
static bool inputs_changed(const run *u, const stage *s)
{
    char stamp[33];
    yk_error ignored;
    const char *had = json_string_value(json_object_get(json_object_get(u->state, s->name), "stamp"));
    return s->stamp && had && s->stamp(u->job.recipe, stamp, &ignored) == YK_OK && strcmp(had, stamp) != 0;
}

static bool is_done(const run *u, const stage *s, const char *key)
{
    const char *had = json_string_value(json_object_get(json_object_get(u->state, s->name), "key"));
    if (!had || strcmp(had, key) != 0 || !outputs_exist(u, s)) return false;
    if (!inputs_changed(u, s)) return true;
    yk_log("%-10s its input files have changed since", s->name);
    return false;
}

static yk_status perform(run *u, const stage *s, const char *key, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *had = json_object_get(u->state, s->name);
    char took[32];
    *finished = true;
    if (!u->any_work && is_done(u, s, key)) {
        json_object_update(u->job.summary, json_object_get(had, "summary"));
        list_stage(u, s->name, json_real_value(json_object_get(had, "seconds")), "done before");
        return YK_OK;
    }
    double began = yk_now();
    u->any_work = true;
    if (had) { /* what it made may be overwritten from here on */
        json_object_del(u->state, s->name);
        YK_TRY(yk_json_write(u->state_path, u->state, err));
    }
    YK_TRY(s->perform(&u->job, finished, err));
    yk_progress_end();
    double seconds = yk_now() - began;
    list_stage(u, s->name, seconds, *finished ? "done" : "stopped");
    yk_log("%-10s %s in %s", s->name, *finished ? "done" : "stopped", yk_human_seconds(seconds, took));
    if (*finished) YK_TRY(remember(u, s, key, seconds, err));
done:
    yk_progress_end();
    return yk_context(err, st, "stage %s", s->name);
}

/* The model that the stages so far have made. */
static yk_status note_model(run *u, const stage *s, yk_error *err)
{
    yk_status st = YK_OK;
    if (!s->model) goto done;
    free(u->model);
    u->job.model = NULL;
    u->model = yk_path("%s/%s", u->job.dir, s->model);
    if (!u->model) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!strstr(s->model, ".h5")) {
        char *newest = NULL;
        YK_TRY(yk_checkpoint_latest(u->model, &newest, err));
        free(u->model);
        u->model = newest;
    }
    u->job.model = u->model;
done:
    return st;
}

static yk_status perform_all(run *u, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    char key[33] = "";
    *finished = true;
    const yk_list *wanted = &u->job.recipe->stages;
    for (size_t i = 0; i < wanted->n && *finished; i++) {
        const stage *s = find_stage(wanted->item[i]);
        char before[33];
        memcpy(before, key, sizeof key);
        stage_key(u->job.recipe, s, before, key);
        YK_TRY(perform(u, s, key, finished, err));
        if (*finished) YK_TRY(note_model(u, s, err));
    }
done:
    return st;
}

static yk_status read_state(run *u, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    json_error_t why;
    if (yk_exists(u->state_path)) {
        YK_TRY(yk_file_read(u->state_path, &text, err));
        u->state = json_loadb(text.data, text.len, 0, &why);
        if (!json_is_object(u->state)) {
            yk_warn("%s:%d: damaged (%s); every stage is looked at anew", u->state_path, why.line, why.text);
            json_decref(u->state);
            u->state = NULL;
        }
    }
    if (!u->state) u->state = json_object();
done:
    yk_buf_free(&text);
    return st;
}

/* At the start only where there is none: a recipe that turns out not to fit the directory must not replace the one
 * that its checkpoints were made with. */
static yk_status write_recipe(const run *u, bool at_start, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    char *path = yk_path("%s/recipe.yaml", u->job.dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (at_start && yk_exists(path)) goto done;
    yk_recipe_print(u->job.recipe, &text);
    YK_TRY(yk_file_write(path, text.data, text.len, err));
done:
    yk_buf_free(&text);
    free(path);
    return st;
}

static yk_status conclude(run *u, bool finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf table = {0};
    const char *digest = json_string_value(json_object_get(u->job.summary, "digest"));
    json_object_set(u->job.summary, "stages", u->listed);
    json_object_set_new(u->job.summary, "name", json_string(u->name));
    json_object_set_new(u->job.summary, "precision", json_string(u->job.recipe->precision));
    json_object_set_new(u->job.summary, "numerics", json_string(yk_contract_of(u->job.recipe)));
    json_object_set_new(u->job.summary, "threads", json_integer(u->team.threads));
    if (u->any_work) {
        YK_TRY(yk_json_write(u->summary_path, u->job.summary, err));
        YK_TRY(yk_report_write(u->job.dir, err));
    } else {
        yk_log("all stages are done; nothing to do");
    }
    yk_report_table(u->job.summary, &table);
    fflush(stderr);
    printf("%s", table.data ? table.data : "");
    printf("report %s/report.html\n", u->job.dir);
    if (!finished) printf("stopped; the same command goes on from here\n");
    if (digest && strcmp(u->job.recipe->numerics, "fast") == 0)
        yk_log("numerics: fast; the digest can be compared with no other machine's, nor with a run of numerics: exact");
    if (digest) printf("digest %s\n", digest);
    fflush(stdout);
done:
    yk_buf_free(&table);
    return st;
}

static yk_status announce(const run *u, yk_error *err)
{
    const yk_kernels *k;
    const yk_recipe *r = u->job.recipe;
    yk_status st = yk_kernels_pick(&k, NULL, yk_precision_of(r), err);
    if (st == YK_OK)
        yk_log("yoke %s    %s, %s, numerics %s (%s), threads %d", PACKAGE_VERSION, k->name, r->precision, r->numerics,
               yk_contract_of(r), u->team.threads);
    return st;
}

yk_status yk_run(const yk_recipe *r, const char *name, const char *dir, const volatile sig_atomic_t *stop,
                 yk_error *err)
{
    yk_status st = YK_OK;
    int lock = -1;
    bool finished;
    run u = {.job = {.recipe = r, .dir = dir, .stop = stop}, .name = name};
    u.job.team = &u.team;
    u.job.deadline = r->max_hours > 0 ? yk_now() + 3600 * r->max_hours : 0;
    u.state_path = yk_path("%s/stages.json", dir);
    u.summary_path = yk_path("%s/summary.json", dir);
    u.listed = json_array();
    u.job.summary = json_object();
    if (!u.state_path || !u.summary_path || !u.listed || !u.job.summary) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_mkdirs(dir, err));
    YK_TRY(yk_dir_lock(dir, &lock, err));
    YK_TRY(yk_team_make(&u.team, (int)r->threads, err));
    YK_TRY(announce(&u, err));
    YK_TRY(read_state(&u, err));
    YK_TRY(write_recipe(&u, true, err));
    YK_TRY(yk_run_imported(dir, &u.model, err));
    u.job.model = u.model;
    YK_TRY(yk_manifest_write(&u.job, err));
    YK_TRY(perform_all(&u, &finished, err));
    YK_TRY(write_recipe(&u, false, err));
    YK_TRY(conclude(&u, finished, err));
done:
    json_decref(u.state);
    json_decref(u.listed);
    json_decref(u.job.summary);
    free(u.state_path);
    free(u.summary_path);
    free(u.model);
    yk_dir_unlock(lock);
    return st;
}
