/* A model with all it takes to run it: kernels, tokenizer, and working memory for batches. */
#ifndef YK_TRAIN_SESSION_H
#define YK_TRAIN_SESSION_H

#include "comm/comm.h"
#include "config/recipe.h"
#include "data/sampler.h"
#include "model/model.h"
#include "store/checkpoint.h"
#include "token/tokenizer.h"

enum { YK_SESSION_ROW_BYTES = 6 * 4 + sizeof(yk_segment) }; /* that a row of the batch takes */
typedef struct yk_session {
    const yk_recipe *recipe;
    const yk_kernels *k; /* of the recipe's precision and profile: one of the built-in tables, or `fast` */
    yk_kernels fast;
    bool openblas; /* multiplies matrices */
    yk_team team;
    yk_tokenizer *tokenizer;
    int32_t begin, end;  /* ids: of documents */
    int32_t mask, plain; /* id of the mask (-1: none), and how many ordinary tokens there are */
    yk_model *model;
    int64_t max_rows;
    int64_t rows, segments; /* gathered for the next pass, in what follows: [max_rows] each */
    int32_t *token, *target, *position, *best;
    float *weight, *loss;
    yk_segment *segment;
} yk_session;

yk_precision yk_precision_of(const yk_recipe *r);

/* What a run's bits obey: the contract "bits v1", or "fast". */
const char *yk_contract_of(const yk_recipe *r);

typedef struct yk_session_options {
    int64_t rows;  /* the most of a pass */
    bool training; /* gradients too */
    bool score;    /* the model has a score head */
    yk_comm *comm; /* pretraining: the ranks that share it, all of which open their session now; NULL: this process */
} yk_session_options;

/* Loads <run_dir>/tokenizer/tokenizer.json and plans the model of the recipe. The weights are initialised from the
 * seed. For pretraining it is asked first whether there is memory enough. With `numerics: fast` whether OpenBLAS
 * multiplies is decided once a run: its newest checkpoint says so, else it is measured. */
yk_status yk_session_open(yk_session *s, const yk_recipe *r, const char *run_dir, const yk_team *team,
                          const yk_session_options *o, yk_error *err);
void yk_session_close(yk_session *s);

/* Replaces the weights that the model uses by those of a checkpoint; those of the score head only `with_score`. */
yk_status yk_session_load(yk_session *s, const char *checkpoint, bool with_score, yk_error *err);

/* Saves the weights that the model uses, without moments. */
yk_status yk_session_save(const yk_session *s, const char *checkpoint, bool with_score, json_t *document,
                          yk_error *err);

/* Gathering sequences for one pass. Rows of a sequence attend to each other alone. */
void yk_session_clear(yk_session *s);
yk_batch yk_session_batch(const yk_session *s);

/* Rows that a sequence of n ids takes in a pass. */
static inline int64_t yk_session_rows(int64_t n)
{
    return n + n % 2;
}

/* Appends a sequence: row i holds id[i] and predicts id[i + 1] with weight[i + 1] (NULL: 1); the last one predicts
 * nothing. An odd number of rows is followed by one of weight 0, because pairs of bf16 terms may not straddle sequences
 * (numerics contract, rule 3). Returns its first row, or -1 when it does not fit. */
int64_t yk_session_add(yk_session *s, const int32_t *id, const float *weight, int64_t n);

/* The parameters as tensors over `base` (weights or a moment), names prefixed. The names live
 * in `names`. */
yk_status yk_session_tensors(const yk_model *m, float *base, const char *prefix, yk_tensor *out, yk_buf *names,
                             yk_error *err);

/* Held-out loss of a shard: every document alone, in windows of `seq` tokens that advance by `stride`, each token
 * scored once with at least seq - stride tokens of context where there are so many. Stops after the document that
 * reaches max_tokens (0: none). Adds nats and bytes of text, the losses one by one in the order of the shard. The ranks
 * of `comm` take documents by turns, with the same bits. */
typedef struct yk_heldout {
    double nats, bytes, tokens;
} yk_heldout;
yk_status yk_evaluate_shard(yk_session *s, yk_comm *comm, const yk_shard *shard, int64_t stride, int64_t max_tokens,
                            yk_heldout *sum, yk_error *err);

/* Masked prediction on a shard at 15 %: how many were right, how many `common` (an id) would have got right. The ranks
 * of `comm` take passes by turns. */
typedef struct yk_masked {
    double targets, right, unigram_right;
} yk_masked;
void yk_evaluate_masked(yk_session *s, yk_comm *comm, const yk_shard *shard, int32_t common, int64_t max_tokens,
                        yk_masked *sum);

#endif
