/* Cuts text into the pieces that merges stay inside: the pre-tokenisers of tokenizer.json, one after another, each
 * cutting every piece of the one before. Private to src/token. */
#ifndef YK_TOKEN_SPLIT_H
#define YK_TOKEN_SPLIT_H

#include "token/pattern.h"

/* Of Qwen2, GPT-2 (ByteLevel's own), Llama 3 (which is cl100k's) and o200k. */
extern const char yk_pattern_qwen2[], yk_pattern_gpt2[], yk_pattern_llama3[], yk_pattern_o200k[];

/* What becomes of matches: each a piece; dropped; joined to the rest before or behind; matches in a row one piece. */
typedef enum yk_behaviour {
    YK_ISOLATED,
    YK_REMOVED,
    YK_MERGED_WITH_PREVIOUS,
    YK_MERGED_WITH_NEXT,
    YK_CONTIGUOUS
} yk_behaviour;

typedef struct yk_stage {
    yk_pattern *pattern; /* NULL: a blank is put before a piece that does not begin with one */
    char *text;          /* of the pattern, unless it is literal */
    yk_behaviour behaviour;
    bool invert; /* what does not match counts as the match */
} yk_stage;

enum { YK_STAGES = 16 };

typedef struct yk_stages {
    yk_stage stage[YK_STAGES];
    int n;
    uint8_t *kinds; /* of unicode.h */
} yk_stages;

/* Adds a stage; `pattern` as for yk_pattern_new, NULL for the blank. */
yk_status yk_stages_add(yk_stages *s, const char *pattern, bool literal, yk_behaviour behaviour, bool invert,
                        yk_error *err);
void yk_stages_free(yk_stages *s);

/* Whose split it is; see yk_tokenizer_split. */
const char *yk_stages_name(const yk_stages *s);

typedef yk_status (*yk_piece_fn)(void *context, const char *piece, size_t n, yk_error *err);

/* One thread's working memory over stages that it keeps a pointer to. */
typedef struct yk_splitter {
    const yk_stages *stages;
    yk_matcher matcher;
    yk_buf with_blank, composed;
} yk_splitter;
void yk_splitter_free(yk_splitter *s);

/* Calls `each` with the pieces of valid UTF-8 in order. The pieces are valid during the call only. YK_ERR_INPUT when
 * a pattern would take more than some thousand steps a byte. */
yk_status yk_split(yk_splitter *s, const char *text, size_t n, yk_piece_fn each, void *context, yk_error *err);

#endif
