#include "align/teacher.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "train/made.h"

#include <stdlib.h>
#include <string.h>

static yk_status hash_tokenizer(const char *dir, char hex[65], yk_error *err)
{
    char *path = yk_path("%s/tokenizer/tokenizer.json", dir);
    yk_status st = path ? yk_sha256_file(path, hex, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(path);
    return st;
}

static yk_status same_tokenizer(const char *dir, const yk_course *c, yk_error *err)
{
    yk_status st = YK_OK;
    char theirs[65], ours[65];
    YK_TRY(hash_tokenizer(dir, theirs, err));
    YK_TRY(hash_tokenizer(c->job->dir, ours, err));
    if (strcmp(theirs, ours) != 0)
        YK_FAIL(YK_ERR_INPUT, "%s/tokenizer/tokenizer.json is not that of %s; train both on the same corpus with the "
                "same `clean` and `tokenizer`", dir, c->job->dir);
done:
    return st;
}

/* The recipe of the run, with the numerics of this one: its bits must not depend on how the teacher was made. */
static yk_status take_recipe(yk_teacher *t, const char *dir, const yk_course *c, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_run_recipe(&t->recipe, dir, err));
    char *numerics = strdup(c->r->numerics);
    if (!numerics) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    free(t->recipe.numerics);
    t->recipe.numerics = numerics;
done:
    return st;
}

yk_status yk_teacher_open(yk_teacher *t, const char *dir, yk_course *c, yk_error *err)
{
    yk_status st = YK_OK;
    *t = (yk_teacher){0};
    if (!*dir) YK_FAIL(YK_ERR_CONFIG, "distill.teacher names no run directory to learn from");
    YK_TRY(take_recipe(t, dir, c, err));
    YK_TRY(same_tokenizer(dir, c, err));
    YK_TRY(yk_run_model(&t->recipe, dir, &t->path, err));
    if (c->context > t->recipe.pretrain_seq) c->context = t->recipe.pretrain_seq;
    const int64_t rows = c->s.max_rows, part = rows < YK_LOGIT_ROWS ? rows : YK_LOGIT_ROWS;
    YK_TRY(yk_session_open(&t->s, &t->recipe, dir, c->job->team, &(yk_session_options){.rows = rows}, err));
    int64_t vocab = yk_model_get_shape(t->s.model)->vocab, ours = yk_model_get_shape(c->s.model)->vocab;
    if (vocab != ours)
        YK_FAIL(YK_ERR_CONFIG, "%s: has %lld rows of the embedding, the student %lld; model.vocab must be the same",
                dir, (long long)vocab, (long long)ours);
    YK_TRY(yk_session_load(&t->s, t->path, false, err));
    YK_TRY(yk_model_pack(t->s.model, false, err));
    YK_NEW(t->logits, part * vocab);
    yk_log("distill    the teacher is %s, %.3g parameters; the student has %.3g", t->path,
           (double)yk_model_parameters(t->s.model), (double)yk_model_parameters(c->s.model));
done:
    return yk_context(err, st, "the teacher");
}

void yk_teacher_close(yk_teacher *t)
{
    yk_session_close(&t->s);
    yk_recipe_free(&t->recipe);
    free(t->path);
    free(t->logits);
    *t = (yk_teacher){0};
}

static const float *logits(void *context, const yk_batch *batch, int64_t first, int64_t rows)
{
    yk_teacher *t = context;
    if (first == 0) yk_model_forward(t->s.model, batch);
    yk_model_logits(t->s.model, batch, first, rows, t->logits);
    return t->logits;
}

yk_teaching yk_teacher_teaching(yk_teacher *t, double mix, double temperature)
{
    return (yk_teaching){.logits = logits, .context = t, .mix = (float)mix, .temperature = (float)temperature};
}
