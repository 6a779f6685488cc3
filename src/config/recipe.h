/* The recipe: one struct made from recipe.def, read from YAML, overridden by --set, hashed. */
#ifndef YK_CONFIG_RECIPE_H
#define YK_CONFIG_RECIPE_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_list {
    char **item;
    size_t n;
} yk_list;

/* The C types of the rows' kinds. */
#define YK_TYPE_INT int64_t
#define YK_TYPE_REAL double
#define YK_TYPE_FLAG bool
#define YK_TYPE_TEXT char *
#define YK_TYPE_PICK char *
#define YK_TYPE_LIST yk_list

/* One entry of `corpus:`. */
typedef struct yk_corpus {
#define ROWS "config/corpus.def"
#define ROW(group, name, kind, ...) YK_TYPE_##kind name;
#include "config/recipe_rows.h"
    struct yk_origin *origin; /* private: where each value came from */
} yk_corpus;

/* One entry of `tune:`. */
typedef struct yk_tuned {
#define ROWS "config/tune.def"
#define ROW(group, name, kind, ...) YK_TYPE_##kind name;
#include "config/recipe_rows.h"
    struct yk_origin *origin;
} yk_tuned;

typedef struct yk_recipe {
#define YK_FIELD_top(name) name
#define YK_FIELD_clean(name) clean_##name
#define YK_FIELD_tokenizer(name) tokenizer_##name
#define YK_FIELD_questions(name) questions_##name
#define YK_FIELD_model(name) model_##name
#define YK_FIELD_pretrain(name) pretrain_##name
#define YK_FIELD_propose(name) propose_##name
#define YK_FIELD_sft(name) sft_##name
#define YK_FIELD_distill(name) distill_##name
#define YK_FIELD_reward(name) reward_##name
#define YK_FIELD_ppo(name) ppo_##name
#define YK_FIELD_verify(name) verify_##name
#define YK_FIELD_grpo(name) grpo_##name
#define YK_FIELD_refine(name) refine_##name
#define YK_FIELD_dpo(name) dpo_##name
#define YK_FIELD_evaluate(name) evaluate_##name
#define YK_FIELD_tuning(name) tuning_##name
#define ROW(group, name, kind, ...) YK_TYPE_##kind YK_FIELD_##group(name);
#include "config/recipe_rows.h"
    yk_corpus *corpus;
    size_t corpora;
    yk_tuned *tune;
    size_t tuned;
    struct yk_origin *origin; /* private: where each value came from */
} yk_recipe;

/* Reads `path` (NULL: defaults only), applies `sets` ("key.sub=value", "corpus.0.weight=2") in order,
 * checks bounds and the rules that span keys, and derives what `size` and zeros leave open, so that
 * afterwards no model.* or pretrain.* key is 0 that the program would have to guess (except
 * pretrain.micro_batch, pretrain.checkpoint_every and threads). pretrain.tokens then equals steps x
 * batch x seq; of the two the one set last (--set over the file) decides, else the steps. On failure
 * *r is freed. Errors: YK_ERR_CONFIG with "file:line:column: ..." and, for an unknown key, "did you
 * mean `...`?"; duplicates name both places. --set errors name the option's text. */
yk_status yk_recipe_load(yk_recipe *r, const char *path, const char *const *sets, size_t nsets,
                         yk_error *err);
void yk_recipe_free(yk_recipe *r);

/* YAML that loads to the same recipe; every line ends in a comment with where its value came from
 * ("default", "conf/x.yaml:12", "--set", "size"). Appended to `out`. */
void yk_recipe_print(const yk_recipe *r, yk_buf *out);

/* The same of the values that were given alone: loaded with other --set options, what follows from them is derived
 * anew. */
void yk_recipe_print_given(const yk_recipe *r, yk_buf *out);

bool yk_recipe_has_stage(const yk_recipe *r, const char *stage);

/* "group.key = value" lines in table order for every key whose dotted path begins with one of the
 * NULL-terminated `prefixes` ("model.", "seed", "corpus."), values canonical: what a stage hashes to
 * know whether its inputs changed. What decides where, how fast or how far, never what is computed,
 * is left out even when a prefix names it: threads, run_dir, max_hours, stages, size (what follows
 * from it is listed), pretrain.micro_batch, pretrain.checkpoint_every, pretrain.keep. */
void yk_recipe_canonical(const yk_recipe *r, const char *const *prefixes, yk_buf *out);

/* The reference of all keys. Plain text for `yoke config --keys`, Markdown for doc/, roff for the
 * man page. */
typedef enum yk_doc_style { YK_DOC_TEXT, YK_DOC_MARKDOWN, YK_DOC_ROFF } yk_doc_style;
void yk_recipe_reference(yk_doc_style style, yk_buf *out);

#endif
