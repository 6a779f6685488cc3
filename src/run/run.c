#include "run/run.h"

#include "align/align.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/watch.h"
#include "comm/comm.h"
#include "comm/launcher.h"
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
    bool alone;         /* rank 0 performs it, and the others wait; else all do */
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
    {"questions", yk_questions_stage, questions_keys, {"questions"}, .stamp = yk_questions_stamp, .alone = true},
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

/* Rank 0's summary and what it says of the stage's end, for all. */
static yk_status share_outcome(run *u, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = u->job.comm;
    char *text = yk_comm_leads(comm) ? json_dumps(u->job.summary, JSON_COMPACT) : NULL;
    yk_comm_share(comm, finished, sizeof *finished);
    YK_TRY(yk_comm_share_text(comm, &text, err));
    json_t *summary = yk_comm_leads(comm) ? NULL : json_loads(text ? text : "", 0, NULL);
    if (summary) json_object_update_new(u->job.summary, summary);
done:
    free(text);
    return st;
}

static yk_status perform_by_ranks(run *u, const stage *s, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_job job = u->job;
    yk_comm *comm = job.comm;
    if (s->alone) job.comm = NULL;
    yk_watch_phase(s->name, -1);
    if (!s->alone || yk_comm_leads(comm)) st = yk_context(err, s->perform(&job, finished, err), "stage %s", s->name);
    YK_TRY(yk_comm_agree(comm, st, err));
    if (comm) YK_TRY(share_outcome(u, finished, err));
done:
    return st;
}

static yk_status forget(run *u, const stage *s, yk_error *err)
{
    json_object_del(u->state, s->name);
    return yk_json_write(u->state_path, u->state, err);
}

static yk_status perform(run *u, const stage *s, const char *key, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = u->job.comm;
    const json_t *had = json_object_get(u->state, s->name);
    char took[32];
    bool done_before = yk_comm_leads(comm) && !u->any_work && is_done(u, s, key);
    *finished = true;
    yk_comm_share(comm, &done_before, sizeof done_before);
    if (done_before) {
        json_object_update(u->job.summary, json_object_get(had, "summary"));
        list_stage(u, s->name, json_real_value(json_object_get(had, "seconds")), "done before");
        return comm ? share_outcome(u, finished, err) : YK_OK;
    }
    double began = yk_now();
    u->any_work = true;
    if (had) st = forget(u, s, err); /* what it made may be overwritten from here on */
    YK_TRY(yk_comm_agree(comm, st, err));
    YK_TRY(perform_by_ranks(u, s, finished, err));
    yk_progress_end();
    double seconds = yk_now() - began;
    list_stage(u, s->name, seconds, *finished ? "done" : "stopped");
    yk_log("%-10s %s in %s", s->name, *finished ? "done" : "stopped", yk_human_seconds(seconds, took));
    if (*finished && yk_comm_leads(comm)) st = remember(u, s, key, seconds, err);
    YK_TRY(yk_comm_agree(comm, st, err));
done:
    yk_progress_end();
    return st;
}

static yk_status find_model(const run *u, const stage *s, char **path, yk_error *err)
{
    yk_status st = YK_OK;
    char *model = yk_path("%s/%s", u->job.dir, s->model);
    if (!model) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (strstr(s->model, ".h5")) {
        *path = model;
        return YK_OK;
    }
    YK_TRY(yk_checkpoint_latest(model, path, err));
done:
    free(model);
    return st;
}

/* The model that the stages so far have made. */
static yk_status note_model(run *u, const stage *s, yk_error *err)
{
    yk_status st = YK_OK;
    if (!s->model) goto done;
    free(u->model);
    u->job.model = u->model = NULL;
    if (yk_comm_leads(u->job.comm)) st = find_model(u, s, &u->model, err);
    YK_TRY(yk_comm_agree(u->job.comm, st, err));
    YK_TRY(yk_comm_share_text(u->job.comm, &u->model, err));
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
    const int ranks = yk_comm_size(u->job.comm);
    yk_status st = yk_kernels_pick(&k, NULL, yk_precision_of(r), err);
    if (st != YK_OK) return st;
    yk_log("yoke %s    %s, %s, numerics %s (%s), threads %d", PACKAGE_VERSION, k->name, r->precision, r->numerics,
           yk_contract_of(r), u->team.threads);
    if (ranks > 1)
        yk_log("%d ranks, %d on this node, of %lld lanes; zero %lld", ranks, yk_comm_node(u->job.comm),
               (long long)r->lanes, (long long)r->zero);
    return YK_OK;
}

/* mpirun binds a rank to one core unless it is told otherwise: then all its threads share that one. */
static void warn_of_binding(const run *u)
{
    const int ranks = yk_comm_size(u->job.comm), here = yk_comm_node(u->job.comm);
    yk_machine m;
    yk_error ignored;
    if (yk_machine_measure(&m, &ignored) != YK_OK) return;
    const int share = m.cores / here, allowed = m.allowed_processors;
    const int64_t threads = u->job.recipe->threads;
    if (allowed >= (threads ? threads : share)) return;
    yk_warn("rank 0 is bound to %d processor%s, for %lld threads; start the ranks as\n"
            "  mpirun -np %d --map-by ppr:%d:node:PE=%d yoke run ...", allowed, allowed > 1 ? "s" : "",
            (long long)(threads ? threads : share), ranks, here, share > 1 ? share : 1);
}

/* All ranks were given the same, and can share it. */
static yk_status check_ranks(const run *u, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = u->job.comm;
    const yk_recipe *r = u->job.recipe;
    const int ranks = yk_comm_size(comm);
    yk_buf text = {0};
    if (!comm) return YK_OK;
    yk_buf_printf(&text, "%s\n", u->job.dir);
    yk_recipe_print(r, &text);
    YK_TRY(yk_comm_same(comm, "the recipe or the run directory", text.data, text.len, err));
    if (r->lanes % ranks != 0) /* of a power of two: the ranks are one too */
        YK_FAIL(YK_ERR_CONFIG, "%d ranks cannot share %lld lanes: start a power of two of them, at most `lanes`, or "
                "raise `lanes`, which is the most ranks a run can ever use (and changes its result)", ranks,
                (long long)r->lanes);
done:
    yk_buf_free(&text);
    return st;
}

/* What rank 0 does before the stages. */
static yk_status begin(run *u, int *lock, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_mkdirs(u->job.dir, err));
    YK_TRY(yk_dir_lock(u->job.dir, lock, err));
    YK_TRY(announce(u, err));
    if (yk_launched()) warn_of_binding(u);
    YK_TRY(read_state(u, err));
    YK_TRY(write_recipe(u, true, err));
    YK_TRY(yk_run_imported(u->job.dir, &u->model, err));
    YK_TRY(yk_manifest_write(&u->job, err));
done:
    return st;
}

/* And after them. */
static yk_status end(run *u, bool finished, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(write_recipe(u, false, err));
    YK_TRY(conclude(u, finished, err));
done:
    return st;
}

yk_status yk_run(const yk_recipe *r, const char *name, const char *dir, yk_comm *comm,
                 const volatile sig_atomic_t *stop, yk_error *err)
{
    yk_status st = YK_OK;
    int lock = -1;
    bool finished;
    run u = {.job = {.recipe = r, .dir = dir, .comm = comm, .stop = stop}, .name = name};
    const bool leads = yk_comm_leads(comm);
    u.job.team = &u.team;
    u.job.deadline = r->max_hours > 0 ? yk_now() + 3600 * r->max_hours : 0;
    u.state_path = yk_path("%s/stages.json", dir);
    u.summary_path = yk_path("%s/summary.json", dir);
    u.listed = json_array();
    u.job.summary = json_object();
    if (!u.state_path || !u.summary_path || !u.listed || !u.job.summary) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(check_ranks(&u, err));
    YK_TRY(yk_team_make(&u.team, (int)r->threads, err));
    YK_TRY(yk_comm_agree(comm, leads ? begin(&u, &lock, err) : YK_OK, err));
    YK_TRY(yk_comm_share_text(comm, &u.model, err));
    u.job.model = u.model;
    YK_TRY(perform_all(&u, &finished, err));
    yk_watch_phase("report", -1);
    YK_TRY(yk_comm_agree(comm, leads ? end(&u, finished, err) : YK_OK, err));
done:
    st = yk_comm_agree(comm, st, err); /* ranks that failed where the others did not */
    json_decref(u.state);
    json_decref(u.listed);
    json_decref(u.job.summary);
    free(u.state_path);
    free(u.summary_path);
    free(u.model);
    yk_dir_unlock(lock);
    return st;
}
