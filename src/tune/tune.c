#include "tune/tune.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "comm/comm.h"
#include "config/range.h"
#include "data/sampler.h"
#include "train/train.h"
#include "tune/halving.h"
#include "tune/sampler.h"
#include "tune/trials.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETS_OF_TRIALS = 3, SETS_OF_WINNER = 4 };

typedef struct search {
    const yk_job *job;
    const yk_recipe *r;
    char *dir, *base; /* <run>/tune; the recipe that trials change, below it */
    yk_halving halving;
    yk_tpe tpe;
    yk_trials trials;
    int64_t *choices;
    double *at;      /* [trials][keys] coordinates */
    yk_buf *values;  /* [trials] a JSON object     */
    yk_seen *seen;   /* [trials] */
    int64_t steps;   /* spent in all trials */
} search;

/* --- values ------------------------------------------------------------------------------------ */

/* {"pretrain.lr":0.003,"pretrain.schedule":"wsd"}; coordinates become those of the values as they are written. */
static yk_status write_values(const search *s, int64_t trial, yk_error *err)
{
    yk_buf *out = &s->values[trial], value = {0};
    yk_status st = YK_OK;
    for (size_t k = 0; k < s->r->tuned; k++) {
        const yk_tuned *t = &s->r->tune[k];
        double *at = &s->at[(size_t)trial * s->r->tuned + k];
        yk_buf_clear(&value);
        yk_range_value(t, *at, &value);
        *at = yk_range_place(t, value.data);
        json_t *text = json_string(value.data);
        char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        json_decref(text);
        if (!quoted) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        yk_buf_printf(out, "%s\"%s\":%s", k ? "," : "{", t->key, yk_range_choices(t) ? quoted : value.data);
        free(quoted);
    }
    yk_buf_puts(out, "}");
done:
    yk_buf_free(&value);
    return st;
}

static yk_status propose(search *s, int64_t trial, yk_error *err)
{
    yk_status st = YK_OK;
    for (int64_t t = 0; t < trial; t++) {
        int64_t rung = yk_halving_reached(&s->halving, t);
        s->seen[t] = (yk_seen){&s->at[t * s->tpe.keys], rung, *yk_halving_score(&s->halving, t, rung)};
    }
    YK_TRY(yk_tpe_propose(&s->tpe, s->seen, trial, trial, &s->at[trial * s->tpe.keys], err));
    YK_TRY(write_values(s, trial, err));
done:
    return st;
}

/* The recipe with a trial's values and the given sets. */
static yk_status recipe_of(const search *s, int64_t trial, const char *const *given, size_t n, yk_recipe *r,
                           yk_error *err)
{
    yk_status st = YK_OK;
    size_t keys = s->r->tuned, count = 0;
    char **sets = NULL;
    yk_buf value = {0};
    YK_NEW(sets, keys + n);
    for (; count < keys; count++) {
        yk_buf_clear(&value);
        yk_range_value(&s->r->tune[count], s->at[(size_t)trial * keys + count], &value);
        sets[count] = yk_path("%s=%s", s->r->tune[count].key, value.data);
        if (!sets[count]) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    }
    for (; count < keys + n; count++)
        if (!(sets[count] = strdup(given[count - keys]))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_recipe_load(r, s->base, (const char *const *)sets, count, err));
done:
    for (size_t i = 0; i < count && sets; i++) free(sets[i]);
    free(sets);
    yk_buf_free(&value);
    return st;
}

/* --- a trial ------------------------------------------------------------------------------------- */

static char *trial_dir(const search *s, int64_t trial)
{
    return yk_path("%s/trial-%03lld", s->dir, (long long)trial);
}

/* A folder of the run, seen from a trial's: relative, so that the run can be moved. */
static yk_status link_folder(const char *dir, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    char *to = yk_path("../../%s", name), *path = yk_path("%s/%s", dir, name);
    if (!to || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (symlink(to, path) != 0 && errno != EEXIST) YK_FAIL(YK_ERR_IO, "%s: cannot link: %s", path, strerror(errno));
done:
    free(to);
    free(path);
    return st;
}

static yk_status make_folder(const char *dir, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_mkdirs(dir, err));
    YK_TRY(link_folder(dir, "tokenizer", err));
    YK_TRY(link_folder(dir, "data", err));
done:
    return st;
}

static yk_status remove_checkpoints(const char *dir, yk_error *err)
{
    yk_status st = YK_OK;
    char *folder = yk_path("%s/checkpoints", dir), *path = NULL;
    DIR *d = folder ? opendir(folder) : NULL;
    if (!folder) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        free(path);
        if (!(path = yk_path("%s/%s", folder, e->d_name))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (unlink(path) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
    }
    if (d && rmdir(folder) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot remove: %s", folder, strerror(errno));
done:
    if (d) closedir(d);
    free(folder);
    free(path);
    return st;
}

/* Trains to the end of the rung, from the trial's checkpoint if there is one. */
static yk_status train_to(const search *s, int64_t trial, const char *dir, int64_t until, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    char *steps = yk_path("pretrain.steps=%lld", (long long)s->r->pretrain_steps);
    yk_job job = *s->job;
    job.summary = json_copy(s->job->summary);
    if (!steps || !job.summary) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    const char *const sets[SETS_OF_TRIALS] = {steps, "pretrain.prompts=", "pretrain.keep=1"};
    YK_TRY(recipe_of(s, trial, sets, SETS_OF_TRIALS, &r, err));
    if (yk_comm_leads(job.comm)) st = make_folder(dir, err);
    YK_TRY(yk_comm_agree(job.comm, st, err));
    job.recipe = &r;
    job.dir = dir;
    job.until = until;
    YK_TRY(yk_pretrain_stage(&job, finished, err));
done:
    yk_recipe_free(&r);
    json_decref(job.summary);
    free(steps);
    return st;
}

/* What rank 0 finds in the trial's metrics, for all. */
static yk_status find_score(const search *s, const char *dir, yk_result *x, bool *scored, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = s->job->comm;
    if (yk_comm_leads(comm)) st = yk_trials_score(dir, x->step, &x->score, scored, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    yk_comm_share(comm, &x->score, sizeof x->score);
    yk_comm_share(comm, scored, sizeof *scored);
done:
    return st;
}

/* A trial whose checkpoint stands at the step, but whose score is lost, is trained anew. */
static yk_status train(search *s, yk_result *x, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const bool leads = yk_comm_leads(s->job->comm);
    bool scored = false;
    char *dir = trial_dir(s, x->trial);
    double began = yk_now();
    if (!dir) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    for (int attempt = 0; attempt < 2 && !scored; attempt++) {
        if (attempt && leads) st = remove_checkpoints(dir, err);
        YK_TRY(yk_comm_agree(s->job->comm, st, err));
        st = train_to(s, x->trial, dir, x->step, finished, err);
        if (st == YK_ERR_NUMERIC) {
            yk_log("tune       trial %lld diverged", (long long)x->trial);
            x->score = INFINITY;
            *finished = scored = true;
            st = YK_OK;
        }
        if (st != YK_OK || !*finished) goto done;
        if (!scored) YK_TRY(find_score(s, dir, x, &scored, err));
    }
    if (!scored) YK_FAIL(YK_ERR_INTERNAL, "%s: has no evaluation at step %lld", dir, (long long)x->step);
    x->seconds = yk_now() - began;
    if (leads) st = yk_trials_add(&s->trials, x, err);
    YK_TRY(yk_comm_agree(s->job->comm, st, err));
done:
    free(dir);
    return yk_context(err, st, "trial %lld", (long long)x->trial);
}

/* --- the search ---------------------------------------------------------------------------------- */

/* Of trials that no result to come can promote; when the search is over, of all but the best. */
static yk_status drop_checkpoints(const search *s, bool over, yk_error *err)
{
    yk_status st = YK_OK;
    char *dir = NULL;
    int64_t best = yk_halving_best(&s->halving);
    for (int64_t t = 0; t < yk_halving_begun(&s->halving); t++) {
        if (over ? t == best : !yk_halving_dropped(&s->halving, t)) continue;
        free(dir);
        if (!(dir = trial_dir(s, t))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        YK_TRY(remove_checkpoints(dir, err));
    }
done:
    free(dir);
    return st;
}

/* By rank 0. */
static yk_status drop(const search *s, bool over, yk_error *err)
{
    yk_comm *comm = s->job->comm;
    return yk_comm_agree(comm, yk_comm_leads(comm) ? drop_checkpoints(s, over, err) : YK_OK, err);
}

static yk_status take_result(search *s, const yk_result *x, bool recorded, yk_error *err)
{
    int64_t from = x->rung ? yk_halving_step(&s->halving, s->r->pretrain_steps, x->rung - 1) : 0;
    *yk_halving_score(&s->halving, x->trial, x->rung) = x->score;
    s->steps += x->step - from;
    if (!recorded)
        yk_log("tune       trial %lld of %lld, %s: %.3f bits per byte at step %lld of %lld", (long long)x->trial,
               (long long)s->halving.trials, x->values, x->score, (long long)x->step, (long long)s->r->pretrain_steps);
    return recorded ? YK_OK : drop(s, false, err);
}

static yk_status go_through(search *s, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_result x = {0};
    *finished = true;
    while (yk_halving_next(&s->halving, &x.trial, &x.rung)) {
        x.step = yk_halving_step(&s->halving, s->r->pretrain_steps, x.rung);
        if (x.rung == 0) YK_TRY(yk_comm_agree(s->job->comm, propose(s, x.trial, err), err));
        x.values = s->values[x.trial].data;
        bool recorded = yk_trials_find(&s->trials, &x);
        if (!recorded) {
            *finished = !yk_comm_any(s->job->comm, yk_job_stops(s->job));
            if (*finished) YK_TRY(train(s, &x, finished, err));
            if (!*finished) goto done;
        }
        YK_TRY(take_result(s, &x, recorded, err));
    }
    YK_TRY(drop(s, true, err));
done:
    return st;
}

/* The stages of the winner's recipe: those of this one, with pretraining instead of the search. */
static char *stages_of_winner(const yk_recipe *r)
{
    yk_buf out = {0};
    bool trains = false;
    for (size_t i = 0; i < r->stages.n; i++) trains = trains || strcmp(r->stages.item[i], "pretrain") == 0;
    yk_buf_puts(&out, "stages=[");
    for (size_t i = 0, n = 0; i < r->stages.n; i++) {
        bool tune = strcmp(r->stages.item[i], "tune") == 0;
        if (tune && trains) continue;
        yk_buf_printf(&out, "%s%s", n++ ? ", " : "", tune ? "pretrain" : r->stages.item[i]);
    }
    yk_buf_puts(&out, "]");
    return out.data;
}

static yk_status write_best(const search *s, int64_t best, double score, yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    yk_buf text = {0};
    char *path = yk_path("%s/best.yaml", s->dir), *stages = stages_of_winner(s->r);
    char *steps = yk_path("pretrain.steps=%lld", (long long)s->r->pretrain_steps);
    if (!path || !steps) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    const char *const sets[SETS_OF_WINNER] = {steps, stages, "tune=", "run_dir="};
    YK_TRY(recipe_of(s, best, sets, SETS_OF_WINNER, &r, err));
    yk_buf_printf(&text, "# Trial %lld of a search: %.4f held-out bits per byte after %lld steps.\n",
                  (long long)best, score, (long long)s->r->pretrain_steps);
    yk_recipe_print(&r, &text);
    YK_TRY(yk_file_write(path, text.data, text.len, err));
    yk_log("tune       the best of %lld trials is %s (%.3f bits per byte); its recipe is %s",
           (long long)yk_halving_begun(&s->halving), s->values[best].data, score, path);
done:
    yk_recipe_free(&r);
    yk_buf_free(&text);
    free(path);
    free(stages);
    free(steps);
    return st;
}

static yk_status conclude(const search *s, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t best = yk_halving_best(&s->halving);
    if (best < 0) YK_FAIL(YK_ERR_NUMERIC, "all trials diverged; lower the ranges of `tune:`");
    double score = *yk_halving_score(&s->halving, best, s->halving.rungs - 1);
    if (yk_comm_leads(s->job->comm)) st = write_best(s, best, score, err);
    YK_TRY(yk_comm_agree(s->job->comm, st, err));
    json_t *tune = json_pack("{s:I, s:I, s:f, s:o, s:I, s:f}", "trials",
                             (json_int_t)yk_halving_begun(&s->halving), "steps", (json_int_t)s->steps, "runs",
                             (double)s->steps / (double)s->r->pretrain_steps, "best",
                             json_loads(s->values[best].data, 0, NULL), "trial", (json_int_t)best, "score", score);
    if (!tune) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    json_object_set_new(s->job->summary, "tune", tune);
done:
    return st;
}

/* Over the recipe's keys and the shards that a score depends on. What is searched, and how far, is not among them: the
 * values of a trial are compared themselves. */
static yk_status search_hash(const search *s, char hex[33], yk_error *err)
{
    static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "corpus.", "model.", "pretrain.",
                                       "evaluate.stride", NULL};
    yk_status st = YK_OK;
    yk_domain *domains = NULL;
    yk_buf text = {0};
    yk_recipe_canonical(s->r, keys, &text);
    YK_TRY(yk_domains_open(&domains, s->r, s->job->dir, err));
    for (size_t i = 0; i < s->r->corpora; i++)
        yk_buf_printf(&text, "%s %llx %llx\n", domains[i].name, (unsigned long long)domains[i].train.hash,
                      (unsigned long long)domains[i].heldout.hash);
    yk_hash128_hex(text.data, text.len, hex);
done:
    yk_domains_close(domains, s->r->corpora);
    yk_buf_free(&text);
    return st;
}

static yk_status write_base(const search *s, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf given = {0};
    YK_TRY(yk_mkdirs(s->dir, err));
    yk_recipe_print_given(s->r, &given);
    YK_TRY(yk_file_write(s->base, given.data, given.len, err));
done:
    yk_buf_free(&given);
    return st;
}

static yk_status begin(search *s, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = s->r;
    yk_comm *comm = s->job->comm;
    const bool leads = yk_comm_leads(comm);
    char hash[33], *path = NULL;
    s->dir = yk_path("%s/tune", s->job->dir);
    s->base = yk_path("%s/tune/base.yaml", s->job->dir);
    path = yk_path("%s/tune/trials.jsonl", s->job->dir);
    if (!s->dir || !s->base || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_halving_new(&s->halving, r->tuning_trials, r->tuning_rungs, r->tuning_factor, err));
    YK_NEW(s->choices, r->tuned);
    YK_NEW(s->at, (size_t)r->tuning_trials * r->tuned);
    YK_NEW(s->values, r->tuning_trials);
    YK_NEW(s->seen, r->tuning_trials);
    for (size_t k = 0; k < r->tuned; k++) s->choices[k] = yk_range_choices(&r->tune[k]);
    s->tpe = (yk_tpe){.seed = (uint64_t)r->seed, .startup = r->tuning_startup, .good_share = r->tuning_good_share,
                      .candidates = r->tuning_candidates, .keys = (int64_t)r->tuned, .choices = s->choices};
    if (leads) st = write_base(s, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    YK_TRY(search_hash(s, hash, err));
    if (leads) st = yk_trials_open(&s->trials, path, hash, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    if (!leads) st = yk_trials_open(&s->trials, path, hash, err); /* which rank 0 has repaired */
    YK_TRY(yk_comm_agree(comm, st, err));
done:
    free(path);
    return st;
}

yk_status yk_tune_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    search s = {.job = job, .r = job->recipe};
    *finished = false;
    YK_TRY(begin(&s, err));
    YK_TRY(go_through(&s, finished, err));
    if (*finished) YK_TRY(conclude(&s, err));
done:
    yk_trials_close(&s.trials);
    yk_halving_free(&s.halving);
    for (int64_t t = 0; s.values && t < job->recipe->tuning_trials; t++) yk_buf_free(&s.values[t]);
    free(s.values);
    free(s.seen);
    free(s.at);
    free(s.choices);
    free(s.base);
    free(s.dir);
    return st;
}
