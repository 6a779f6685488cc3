/* The kinds of models that Hugging Face's transformers computes as Yoke does: which shapes they have, what they call
 * the settings of their config.json, and what they call tensors. Each table serves both directions. */
#ifndef YK_EXCHANGE_KINDS_H
#define YK_EXCHANGE_KINDS_H

#include "model/model.h"

/* What a shape has beyond a Llama of the plainest form. */
typedef enum yk_feature {
    YK_HAS_LAYERNORM = 1,
    YK_HAS_GELU = 2,
    YK_HAS_LEARNED_POSITIONS = 4,
    YK_HAS_BIAS = 8,
    YK_HAS_QKV_BIAS = 16, /* and no others */
    YK_HAS_QK_NORM = 32,
    YK_HAS_GROUPS = 64,       /* fewer key heads than query heads */
    YK_HAS_FREE_HEADS = 128,  /* whose sizes do not sum to the width */
    YK_HAS_ROPE_FACTOR = 256,
    YK_HAS_PATTERN = 512      /* layers that do not see all tokens */
} yk_feature;
enum { YK_FEATURES = 10 };

/* Which rows of our matrix are theirs. */
typedef enum yk_hf_part { YK_HF_WHOLE, YK_HF_QUERY, YK_HF_KEY, YK_HF_VALUE, YK_HF_GATE, YK_HF_UP } yk_hf_part;

/* Rows [*from, *from + *count) of a parameter of `rows`. */
void yk_hf_rows(yk_hf_part part, const yk_model_shape *s, int64_t rows, int64_t *from, int64_t *count);

/* Names without `.weight` and `.bias`; # stands for the layer. */
typedef struct yk_hf_name {
    const char *ours, *theirs;
    yk_hf_part part;
    bool turned; /* their matrix is [in,out], ours [out,in] */
} yk_hf_name;

/* A setting of config.json that becomes one of the shape's. */
typedef struct yk_hf_setting {
    const char *key;
    enum { YK_HF_INT, YK_HF_REAL, YK_HF_FLAG } type;
    size_t offset;    /* in yk_model_shape */
    double otherwise; /* where it is missing or null; NAN: it must be there */
} yk_hf_setting;

/* A setting that has to have one value for Yoke to compute the same. */
typedef struct yk_hf_fixed {
    const char *key, *value; /* value as JSON, which is written */
    const char *as_well;     /* another name of the same, or NULL */
} yk_hf_fixed;

typedef struct yk_hf_kind {
    const char *architecture, *model_type;
    unsigned must, may;           /* features */
    const yk_hf_name *names;      /* `ours` NULL at the end, as `key` of the others */
    const yk_hf_setting *settings;
    const yk_hf_fixed *fixed;
    const char *prefix;           /* of their names, which some files leave out; "" */
    const char *const *needless;  /* tensors that files may hold beside: masks, tables of angles; NULL at the end */
} yk_hf_kind;

extern const yk_hf_kind yk_hf_kinds[];
extern const size_t yk_hf_kind_count;

/* The first kind that has the shape. YK_ERR_CONFIG names the settings by which the nearest one does not. */
yk_status yk_hf_kind_of(const yk_model_shape *s, const yk_hf_kind **kind, yk_error *err);

/* Sets what all models of the kind have. */
void yk_hf_kind_apply(const yk_hf_kind *kind, yk_model_shape *s);

/* A tensor of theirs and where its numbers are in our flat arrays. */
typedef struct yk_hf_tensor {
    char name[96];
    int rank;
    int64_t shape[2]; /* theirs */
    int64_t offset, count;
    bool turned;
} yk_hf_tensor;

/* All tensors of a model, in the order of its parameters; free() them. The score head is left out. */
yk_status yk_hf_tensors(const yk_hf_kind *kind, const yk_model *m, yk_hf_tensor **tensor, size_t *n, yk_error *err);

/* Whether a name is the pattern with # a number. */
bool yk_hf_matches(const char *pattern, const char *name);

/* to[columns,rows] = from[rows,columns], turned over its diagonal. */
void yk_hf_turn(float *to, const float *from, int64_t rows, int64_t columns);

#endif
