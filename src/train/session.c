#include "train/session.h"

#include "base/file.h"
#include "base/rng.h"
#include "simd/fast.h"
#include "train/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MEASURED = 1024 };

yk_precision yk_precision_of(const yk_recipe *r)
{
    return strcmp(r->precision, "bf16") == 0 ? YK_BF16 : strcmp(r->precision, "fp16") == 0 ? YK_FP16 : YK_FP32;
}

const char *yk_contract_of(const yk_recipe *r)
{
    return strcmp(r->numerics, "fast") == 0 ? "fast" : "bits v1";
}

/* What a run multiplied with so far, else what is quicker for the largest weight of its blocks. */
static yk_status choose_product(yk_session *s, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = s->recipe;
    json_t *document = NULL;
    char *path = NULL, *folder = yk_path("%s/checkpoints", run_dir);
    int64_t rows = s->max_rows < ROWS_MEASURED ? s->max_rows : ROWS_MEASURED;
    if (!folder) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_checkpoint_latest(folder, &path, err));
    if (path) YK_TRY(yk_checkpoint_document(path, &document, err));
    s->openblas = path ? json_is_true(json_object_get(document, "openblas"))
                       : yk_openblas_is_quicker(s->k, &s->team, rows, r->model_ffn, r->model_width);
done:
    json_decref(document);
    free(folder);
    free(path);
    return st;
}

/* After the built-in table was picked, and memory found to be enough to measure in. */
static yk_status apply_profile(yk_session *s, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    if (strcmp(s->recipe->numerics, "fast") != 0 || s->k->precision != YK_FP32) goto done;
    YK_TRY(choose_product(s, run_dir, err));
    if (!s->openblas) goto done;
    yk_kernels_openblas(&s->fast, s->k, &s->team);
    s->k = &s->fast;
done:
    return st;
}

yk_status yk_session_open(yk_session *s, const yk_recipe *r, const char *run_dir, const yk_team *team,
                          const yk_session_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/tokenizer/tokenizer.json", run_dir);
    *s = (yk_session){.recipe = r, .team = *team, .max_rows = o->rows};
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_kernels_pick(&s->k, NULL, yk_precision_of(r), err));
    YK_TRY(yk_tokenizer_load(&s->tokenizer, path, err));
    YK_TRY(yk_context(err, yk_tokenizer_bound(s->tokenizer, r->tokenizer_begin, r->tokenizer_end, err), "%s", path));
    s->begin = yk_tokenizer_begin(s->tokenizer);
    s->end = yk_tokenizer_end(s->tokenizer);
    s->mask = yk_tokenizer_special(s->tokenizer, YK_TOKEN_MASK);
    s->plain = yk_tokenizer_pieces(s->tokenizer);
    yk_room room = yk_room_left("");
    if (o->training && !o->score) { /* asked by all ranks of a node before the first of them takes any */
        st = yk_needs_fit(r, yk_tokenizer_vocab(s->tokenizer), yk_ranks_of(o->comm), &room, s->k, team, err);
        YK_TRY(yk_comm_agree(o->comm, st, err));
    }
    YK_TRY(apply_profile(s, run_dir, err));
    yk_model_shape shape = yk_model_shape_of(r, yk_tokenizer_vocab(s->tokenizer));
    if (shape.vocab < yk_tokenizer_vocab(s->tokenizer))
        YK_FAIL(YK_ERR_CONFIG, "model.vocab is %lld, but %s has %d entries", (long long)shape.vocab, path,
                yk_tokenizer_vocab(s->tokenizer));
    shape.score = o->score;
    YK_TRY(yk_model_new(&s->model, &shape, o->rows, o->training, s->k, team, err));
    yk_model_initialise(s->model, (uint64_t)r->seed);
    YK_NEW(s->token, o->rows);
    YK_NEW(s->target, o->rows);
    YK_NEW(s->position, o->rows);
    YK_NEW(s->best, o->rows);
    YK_NEW(s->weight, o->rows);
    YK_NEW(s->loss, o->rows);
    YK_NEW(s->segment, o->rows);
done:
    free(path);
    if (st != YK_OK) yk_session_close(s);
    return st;
}

void yk_session_close(yk_session *s)
{
    yk_model_free(s->model);
    yk_tokenizer_free(s->tokenizer);
    free(s->token);
    free(s->target);
    free(s->position);
    free(s->best);
    free(s->weight);
    free(s->loss);
    free(s->segment);
    *s = (yk_session){0};
}

yk_status yk_session_tensors(const yk_model *m, float *base, const char *prefix, yk_tensor *out, yk_buf *names,
                             yk_error *err)
{
    enum { NAME_ROOM = 128 };
    int count;
    const yk_param *p = yk_model_params(m, &count);
    yk_buf_reserve(names, (size_t)count * NAME_ROOM); /* no growth below: names stay where they are */
    if (names->len + (size_t)count * NAME_ROOM > names->cap) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    for (int i = 0; i < count; i++) {
        char *name = names->data + names->len;
        names->len += (size_t)snprintf(name, NAME_ROOM, "%s%s", prefix, p[i].name) + 1;
        out[i] = (yk_tensor){.name = name, .rank = p[i].rank, .shape = {p[i].shape[0], p[i].shape[1]},
                             .data = base + p[i].offset};
    }
    return YK_OK;
}

/* The tensors of the weights in use, the score head's last or not at all. */
static yk_status weights_of(const yk_session *s, bool with_score, yk_tensor **tensors, size_t *n, yk_buf *names,
                            yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    yk_model_params(s->model, &count);
    YK_NEW(*tensors, count);
    YK_TRY(yk_session_tensors(s->model, yk_model_weights(s->model), "", *tensors, names, err));
    *n = (size_t)count - (!with_score && yk_model_get_shape(s->model)->score);
done:
    return st;
}

yk_status yk_session_load(yk_session *s, const char *checkpoint, bool with_score, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf names = {0};
    yk_tensor *tensors = NULL;
    size_t n;
    json_t *document = NULL;
    YK_TRY(weights_of(s, with_score, &tensors, &n, &names, err));
    yk_model_weights_changed(s->model);
    YK_TRY(yk_checkpoint_load(checkpoint, tensors, n, &document, err));
done:
    json_decref(document);
    yk_buf_free(&names);
    free(tensors);
    return st;
}

yk_status yk_session_save(const yk_session *s, const char *checkpoint, bool with_score, json_t *document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf names = {0};
    yk_tensor *tensors = NULL;
    size_t n;
    YK_TRY(weights_of(s, with_score, &tensors, &n, &names, err));
    YK_TRY(yk_checkpoint_save(checkpoint, tensors, n, document, err));
done:
    yk_buf_free(&names);
    free(tensors);
    return st;
}

void yk_session_clear(yk_session *s)
{
    s->rows = s->segments = 0;
}

yk_batch yk_session_batch(const yk_session *s)
{
    return (yk_batch){.rows = s->rows, .token = s->token, .position = s->position, .target = s->target,
                      .weight = s->weight, .segment = s->segment, .segments = s->segments};
}

static void add_segment(yk_session *s, int64_t n)
{
    int32_t row = (int32_t)s->rows;
    s->segment[s->segments++] = (yk_segment){.query = row, .key = row, .count = (int32_t)n, .keys = (int32_t)n,
                                             .causal = 1};
    s->rows += n;
}

int64_t yk_session_add(yk_session *s, const int32_t *id, const float *weight, int64_t n)
{
    int64_t first = s->rows;
    if (n < 1 || first + yk_session_rows(n) > s->max_rows) return -1;
    for (int64_t i = 0; i < yk_session_rows(n); i++) {
        int64_t row = first + i;
        bool predicts = i + 1 < n;
        s->token[row] = i < n ? id[i] : s->end;
        s->target[row] = predicts ? id[i + 1] : s->end;
        s->position[row] = i < n ? (int32_t)i : 0;
        s->weight[row] = !predicts ? 0.0f : weight ? weight[i + 1] : 1.0f;
    }
    add_segment(s, n);
    if (yk_session_rows(n) > n) add_segment(s, 1);
    return first;
}
