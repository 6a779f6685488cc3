/* Models of other programs: directories of Hugging Face's transformers. */
#ifndef YK_EXCHANGE_EXCHANGE_H
#define YK_EXCHANGE_EXCHANGE_H

#include "base/status.h"
#include "store/safetensors.h"

#include <stdint.h>

typedef struct yk_export_options {
    const char *checkpoint; /* NULL: the model that the run's last stage left */
    yk_safe_type type;
    int64_t shard_bytes;    /* of weights, the most of one file */
} yk_export_options;

/* Writes the model of a run as the directory `dir`, which appears whole or not at all. YK_ERR_CONFIG names the settings
 * for which no architecture of transformers computes the same. */
yk_status yk_hf_export(const char *run, const char *dir, const yk_export_options *o, yk_error *err);

typedef struct yk_import_options {
    const char *precision; /* of the recipe */
    int64_t seq;           /* pretrain.seq; 0: all positions, at most 2048 where they are not learnt */
} yk_import_options;

/* Makes a run directory of the model in `dir`, which appears whole or not at all: recipe.yaml, tokenizer, and
 * import/model.h5, with which stages begin. YK_ERR_INPUT names what is missing or not supported, by file and tensor. */
yk_status yk_hf_import(const char *dir, const char *run, const yk_import_options *o, yk_error *err);

#endif
