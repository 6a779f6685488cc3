/* How well a vocabulary fits: bytes a token by domain and language, against what the embedding costs. */
#ifndef YK_DATA_MEASURE_H
#define YK_DATA_MEASURE_H

#include "base/status.h"
#include "base/team.h"
#include "config/recipe.h"
#include "token/tokenizer.h"

#include <jansson.h>

/* Adds the training documents of a run's clean stage, or a sample of tokenizer.sample_bytes of them, chosen by
 * hash; *bytes is how much text was added. The ranks of `comm` take documents by turns. */
yk_status yk_count_documents(const yk_recipe *r, const char *run_dir, yk_bpe_trainer *trainer, yk_comm *comm,
                             double *bytes, yk_error *err);

/* Encodes the held-out documents and sets `by_domain` and `by_language`, {name: bytes a token}, in `into`. */
yk_status yk_measure_tokenizer(const yk_recipe *r, const char *run_dir, const yk_tokenizer *t, json_t *into,
                               yk_error *err);

/* Trains the vocabularies that the recipe's tokenizer.tune names on the same counts and writes
 * <run_dir>/tokenizer/tune.json: a list of {vocab, bytes_per_token, by_domain, by_language (held-out text),
 * embedding_parameters, embedding_share (of the recipe's model with that vocabulary), flops_per_byte (of training:
 * six for each multiplying parameter, over bytes a token)}. *list gets the same. */
yk_status yk_tokenizer_tune(const yk_recipe *r, const char *run_dir, const yk_team *team, json_t **list, yk_error *err);

#endif
