#include "train/grow.h"

#include "base/file.h"
#include "base/log.h"
#include "config/schema.h"
#include "model/grow.h"
#include "token/tokenizer.h"
#include "train/made.h"
#include "train/random_batch.h"
#include "train/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS = 3, SMALL = 0, LARGE = 1 };
static const char *const prefixes[ARRAYS] = {"", "optimizer.m.", "optimizer.v."}; /* in order of yk_grown */

typedef struct grower {
    const char *from;
    const yk_grow_options *o;
    yk_team team;
    const yk_kernels *k;
    yk_recipe r[2];
    yk_model *model[2];
    float *array[2][ARRAYS]; /* weights and moments of both */
    json_t *document;        /* of the small model's checkpoint */
} grower;

static yk_status tensors_of(const grower *x, int which, yk_tensor **out, size_t *n, yk_buf names[ARRAYS], yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    yk_model_params(x->model[which], &count);
    *n = ARRAYS * (size_t)count;
    YK_NEW(*out, *n);
    for (int a = 0; a < ARRAYS; a++)
        YK_TRY(yk_session_tensors(x->model[which], x->array[which][a], prefixes[a], *out + a * count, &names[a], err));
done:
    return st;
}

static yk_status transfer(grower *x, int which, const char *path, json_t *document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tensor *tensor = NULL;
    yk_buf names[ARRAYS] = {0};
    size_t n;
    YK_TRY(tensors_of(x, which, &tensor, &n, names, err));
    if (which == SMALL) YK_TRY(yk_checkpoint_load(path, tensor, n, &x->document, err));
    else YK_TRY(yk_checkpoint_save(path, tensor, n, document, err));
done:
    for (int a = 0; a < ARRAYS; a++) yk_buf_free(&names[a]);
    free(tensor);
    return st;
}

static yk_status load_recipes(grower *x, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/recipe.yaml", x->from);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_recipe_load(&x->r[SMALL], path, NULL, 0, err));
    YK_TRY(yk_recipe_load(&x->r[LARGE], path, x->o->set, x->o->sets, err));
done:
    free(path);
    return st;
}

static yk_status make_models(grower *x, int64_t vocab, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model_shape shape[2];
    for (int i = 0; i < 2; i++) shape[i] = yk_model_shape_of(&x->r[i], vocab);
    YK_TRY(yk_grow_check(&shape[SMALL], &shape[LARGE], err));
    YK_TRY(yk_kernels_pick(&x->k, NULL, YK_FP32, err));
    for (int i = 0; i < 2; i++) {
        YK_TRY(yk_model_new(&x->model[i], &shape[i], x->r[i].pretrain_seq, false, x->k, &x->team, err));
        x->array[i][0] = yk_model_weights(x->model[i]);
        for (int a = 1; a < ARRAYS; a++) YK_NEW(x->array[i][a], yk_model_floats(x->model[i]));
    }
    yk_model_initialise(x->model[LARGE], (uint64_t)x->r[LARGE].seed);
done:
    return st;
}

/* The largest difference of a logit, over a sequence of random tokens. */
static yk_status compare(grower *x, int64_t vocab, double *worst, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t rows = x->r[SMALL].pretrain_seq < YK_LOGIT_ROWS ? x->r[SMALL].pretrain_seq : YK_LOGIT_ROWS;
    const int64_t V = yk_model_get_shape(x->model[SMALL])->vocab;
    yk_random_batch tokens = {0};
    float *logits[2] = {NULL, NULL};
    YK_TRY(yk_random_batch_new(&tokens, (uint64_t)x->r[SMALL].seed, vocab, 1, rows, err));
    for (int i = 0; i < 2; i++) {
        YK_NEW(logits[i], rows * V);
        yk_model_forward(x->model[i], &tokens.batch);
        yk_model_logits(x->model[i], &tokens.batch, 0, rows, logits[i]);
    }
    *worst = 0;
    for (int64_t i = 0; i < rows * V; i++) *worst = fmax(*worst, fabs((double)logits[0][i] - (double)logits[1][i]));
done:
    yk_random_batch_free(&tokens);
    for (int i = 0; i < 2; i++) free(logits[i]);
    return st;
}

static yk_status write_recipe(grower *x, const yk_outdir *out, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    char *path = yk_path("%s/recipe.yaml", out->aside), *tokenizer = yk_path("%s/tokenizer/tokenizer.json", out->path);
    char *run_dir = yk_path("%s", out->path);
    if (!path || !tokenizer || !run_dir) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    free(x->r[LARGE].run_dir);
    x->r[LARGE].run_dir = run_dir, run_dir = NULL;
    free(x->r[LARGE].tokenizer_path);
    x->r[LARGE].tokenizer_path = tokenizer, tokenizer = NULL;
    yk_recipe_print(&x->r[LARGE], &text);
    YK_TRY(yk_file_write(path, text.data, text.len, err));
done:
    yk_buf_free(&text);
    free(path);
    free(tokenizer);
    free(run_dir);
    return st;
}

static yk_status write_run(grower *x, yk_outdir *out, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *document = json_pack("{s:s, s:I, s:f}", "kind", "grow", "applied",
                                 json_integer_value(json_object_get(x->document, "applied")), "flops",
                                 json_number_value(json_object_get(x->document, "flops")));
    char *tokenizer = yk_path("%s/tokenizer/tokenizer.json", x->from), *model = yk_path("%s/import/model.h5", out->aside);
    char *folder[2] = {yk_path("%s/tokenizer", out->aside), yk_path("%s/import", out->aside)};
    char *to = yk_path("%s/tokenizer/tokenizer.json", out->aside);
    if (!document || !tokenizer || !model || !folder[0] || !folder[1] || !to) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    for (int i = 0; i < 2; i++) YK_TRY(yk_mkdirs(folder[i], err));
    YK_TRY(yk_file_copy(tokenizer, to, err));
    YK_TRY(transfer(x, LARGE, model, document, err));
    YK_TRY(write_recipe(x, out, err));
    YK_TRY(yk_outdir_commit(out, err));
done:
    json_decref(document);
    free(tokenizer);
    free(model);
    free(to);
    for (int i = 0; i < 2; i++) free(folder[i]);
    return st;
}

static yk_status vocab_of(const grower *x, int64_t *vocab, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    char *path = yk_path("%s/tokenizer/tokenizer.json", x->from);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_tokenizer_load(&t, path, err));
    *vocab = yk_tokenizer_vocab(t);
done:
    yk_tokenizer_free(t);
    free(path);
    return st;
}

yk_status yk_run_grow(const char *from, const char *to, const yk_grow_options *o, double *worst, yk_error *err)
{
    yk_status st = YK_OK;
    yk_outdir out = {0};
    grower x = {.from = from, .o = o};
    int64_t vocab = 0;
    char *path = NULL;
    YK_TRY(load_recipes(&x, err));
    if (o->checkpoint) path = yk_path("%s", o->checkpoint);
    else YK_TRY(yk_run_newest(from, &path, err));
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(vocab_of(&x, &vocab, err));
    YK_TRY(yk_team_make(&x.team, (int)o->threads, err));
    YK_TRY(make_models(&x, vocab, err));
    YK_TRY(transfer(&x, SMALL, path, NULL, err));
    yk_model_weights_changed(x.model[SMALL]);
    for (int a = 0; a < ARRAYS; a++)
        yk_grow(x.model[SMALL], x.model[LARGE], (yk_grown)a, x.array[SMALL][a], x.array[LARGE][a]);
    yk_model_weights_changed(x.model[LARGE]);
    YK_TRY(compare(&x, vocab, worst, err));
    YK_TRY(yk_outdir_open(&out, to, err));
    YK_TRY(write_run(&x, &out, err));
    yk_log("grow       %s: %.3g parameters from %.3g of %s", to, (double)yk_model_parameters(x.model[LARGE]),
           (double)yk_model_parameters(x.model[SMALL]), path);
done:
    yk_outdir_abandon(&out);
    json_decref(x.document);
    for (int i = 0; i < 2; i++) {
        for (int a = 1; a < ARRAYS; a++) free(x.array[i][a]);
        yk_model_free(x.model[i]);
        yk_recipe_free(&x.r[i]);
    }
    free(path);
    return st;
}
