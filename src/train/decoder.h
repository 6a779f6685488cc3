/* Generating for many requests at once with a key-value cache. A finished sequence gives its place to the next request
 * at once (continuous batching: Yu et al., Orca, 2022). The tokens and log-probabilities of a request depend on its
 * prompt, its number and the sampling alone: not on what else is in the batch, nor on threads, nor on the machine; and
 * the log-probabilities are those of the training forward bit for bit (numerics contract, rule 2). */
#ifndef YK_TRAIN_DECODER_H
#define YK_TRAIN_DECODER_H

#include "token/tokenizer.h"
#include "train/sampling.h"
#include "train/session.h"

typedef enum yk_finish {
    YK_FINISH_END,     /* the model ended it; the end token is the last of the answer */
    YK_FINISH_STOP,    /* a stop text came */
    YK_FINISH_LENGTH,  /* sampling.tokens were made */
    YK_FINISH_CONTEXT, /* the prompt, or what followed, filled the positions */
    YK_FINISH_EMIT     /* the caller wanted no more */
} yk_finish;

typedef struct yk_request {
    const int32_t *prompt; /* at least one id */
    int64_t length;
    uint64_t number; /* names its random numbers, with the seed */
    uint64_t drawn;  /* how many of them were drawn before */
    /* results; yk_request_free() */
    yk_ids answer;
    float *logp;  /* of each id of the answer, of the model without temperature and penalty */
    yk_buf text;  /* of the answer, without the end token and from no stop text on; NUL-terminated */
    yk_finish finish;
} yk_request;

void yk_request_free(yk_request *r); /* the results */

typedef struct yk_decoder yk_decoder;

/* For up to `slots` sequences at once of up to `positions` tokens each, prompts included. It uses the session's model,
 * with the weights that are in use when it runs, and its rows. */
yk_status yk_decoder_new(yk_decoder **d, yk_session *s, int64_t slots, int64_t positions, yk_error *err);
void yk_decoder_free(yk_decoder *d);

/* Gets text as it is decided; false ends the request. */
typedef bool (*yk_emit_fn)(void *context, const char *bytes, size_t n);

/* Answers n requests. `emit` (or NULL) gets the text of the answers as it comes; with several requests the pieces of
 * different answers alternate, so it is for n = 1. */
yk_status yk_decoder_run(yk_decoder *d, yk_request *r, size_t n, const yk_sampling *how, yk_emit_fn emit, void *context,
                         yk_error *err);

/* Answers n requests by the ranks of `comm`, which take them by turns; afterwards all ranks have all answers. */
yk_status yk_decoder_run_shared(yk_decoder *d, yk_comm *comm, yk_request *r, size_t n, const yk_sampling *how,
                                yk_error *err);

/* Sampling without limits that ends at the session's end token and never makes the mask token. */
yk_sampling yk_sampling_of(const yk_session *s);

/* Continues a text by how->tokens tokens; where the context is full it goes on with its second half. */
yk_status yk_generate(yk_session *s, const char *prompt, const yk_sampling *how, yk_emit_fn emit, void *context,
                      yk_error *err);

#endif
