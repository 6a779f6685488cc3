/* Byte-level byte-pair encoding: train, encode, decode, tokenizer.json.
 *
 * Text is normalised and split into pieces as tokenizer.json says, each piece is bytes, and merges apply by rank
 * inside a piece (Sennrich, Haddow, Birch 2016; byte level as in GPT-2). A tokenizer trained here has NFC, the Qwen2
 * pattern, and as ids 256 bytes in the order of the code points that the GPT-2 byte alphabet gives them ('!' is 0),
 * merges by rank, special tokens last. */
#ifndef YK_TOKEN_TOKENIZER_H
#define YK_TOKEN_TOKENIZER_H

#include "base/mem.h"
#include "base/status.h"
#include "base/team.h"
#include "comm/comm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_tokenizer yk_tokenizer;

/* Special tokens of a tokenizer trained here, in id order. */
#define YK_TOKEN_END "<|endoftext|>" /* begins and ends a document, unless yk_tokenizer_bound() says others */
#define YK_TOKEN_MASK "<|mask|>"
#define YK_SPECIAL_TOKENS                                                                          \
    {YK_TOKEN_END, YK_TOKEN_MASK, "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<answer>", "</answer>"}
#define YK_SPECIAL_COUNT 8

typedef struct yk_ids {
    int32_t *id;
    size_t n, cap;
} yk_ids;
void yk_ids_free(yk_ids *ids);

/* Reads and writes the Hugging Face tokenizer.json (version 1.0, model BPE, ByteLevel), with settings and ids of its
 * own, which saving keeps. The file is hostile: errors name the path and what is wrong or unsupported. doc/formats.md
 * has what is supported. */
yk_status yk_tokenizer_load(yk_tokenizer **t, const char *path, yk_error *err);
yk_status yk_tokenizer_save(const yk_tokenizer *t, const char *path, yk_error *err);
void yk_tokenizer_free(yk_tokenizer *t);

/* Reads a tokenizer.json (`pattern` NULL) or a rank file of tiktoken, lines of a token in base64, a blank, and its
 * rank, which is its id; `pattern` is then gpt2, llama3 (also cl100k), qwen2, o200k, or a regular expression, and the
 * merges are all pairs of tokens whose bytes make a token, by its rank. special[i], a special token to add, is NAME or
 * NAME=ID; without ID it follows the highest id before it. */
yk_status yk_tokenizer_import(yk_tokenizer **t, const char *path, const char *pattern, const char *const *special,
                              size_t specials, yk_error *err);

int32_t yk_tokenizer_vocab(const yk_tokenizer *t); /* one more than the highest id */
int32_t yk_tokenizer_special(const yk_tokenizer *t, const char *token); /* id of an added token; -1: none */

/* The added tokens with which documents begin and end. YK_ERR_INPUT names the one that there is not. */
yk_status yk_tokenizer_bound(yk_tokenizer *t, const char *begin, const char *end, yk_error *err);
int32_t yk_tokenizer_begin(const yk_tokenizer *t); /* -1: none */
int32_t yk_tokenizer_end(const yk_tokenizer *t);
int32_t yk_tokenizer_pieces(const yk_tokenizer *t); /* one more than the highest id that is no added token's */

/* What other formats of tokenizers take over: ids 0 .. vocab - 1, ranks 0 .. merges - 1. */
typedef enum yk_token_kind {
    YK_KIND_NONE, /* no token has this id */
    YK_KIND_PIECE,
    YK_KIND_ADDED, /* found wherever it stands in a text */
    YK_KIND_SPECIAL
} yk_token_kind;
yk_token_kind yk_tokenizer_kind(const yk_tokenizer *t, int32_t id);
size_t yk_tokenizer_merges(const yk_tokenizer *t);
void yk_tokenizer_merge(const yk_tokenizer *t, size_t rank, int32_t pair[2]);

/* Sets `out` to the token in the byte alphabet, added tokens to their text. False: no token has this id. */
bool yk_tokenizer_text(const yk_tokenizer *t, int32_t id, yk_buf *out);

/* Whose split it is: gpt2, qwen2, llama3, o200k, smollm, deepseek-coder, deepseek-v3; NULL: another. */
const char *yk_tokenizer_split(const yk_tokenizer *t);

bool yk_tokenizer_ignores_merges(const yk_tokenizer *t); /* a piece that is a token is that token */

/* The text of an added token that is not found everywhere, or takes blanks beside it (lstrip, rstrip, single_word);
 * NULL: there is none. */
const char *yk_tokenizer_conditional(const yk_tokenizer *t);

/* An encoder: one thread's working memory (regular-expression state, a cache of pieces) over a tokenizer that
 * it keeps a pointer to. */
typedef struct yk_encoder yk_encoder;
yk_status yk_encoder_new(yk_encoder **e, const yk_tokenizer *t, yk_error *err);
void yk_encoder_free(yk_encoder *e);

/* Whether special tokens that stand in the text become their ids. At first they do not, and are plain text; added
 * tokens that are not special are always found. */
void yk_encoder_specials(yk_encoder *e, bool specials);

/* Appends the ids of n bytes of text. Stretches of valid UTF-8 are encoded like texts of their own; each byte outside
 * is the token of that byte. YK_ERR_INPUT when a split pattern tries too many ways on the text. */
yk_status yk_encode(yk_encoder *e, const char *text, size_t n, yk_ids *out, yk_error *err);

/* Appends the bytes of the ids (special tokens by their text). */
void yk_tokenizer_decode(const yk_tokenizer *t, const int32_t *ids, size_t n, yk_buf *out);

/* Training: documents are added one after another, then any number of vocabularies are learnt from the counts.
 * Counts are exact and ties go to the smaller pair of ids (as in Hugging Face's trainer), so the result is one
 * for any number of threads and ranks. Memory is bounded by the distinct pieces. */
typedef struct yk_bpe_trainer yk_bpe_trainer;
yk_status yk_bpe_trainer_new(yk_bpe_trainer **b, const yk_team *team, yk_error *err);
yk_status yk_bpe_trainer_add(yk_bpe_trainer *b, const char *text, size_t n, yk_error *err);
/* The ranks of `comm` have added documents of their own: afterwards each has the counts of all. */
yk_status yk_bpe_trainer_share(yk_bpe_trainer *b, yk_comm *comm, yk_error *err);
yk_status yk_bpe_trainer_learn(yk_bpe_trainer *b, int32_t vocab, yk_tokenizer **t, yk_error *err);
void yk_bpe_trainer_free(yk_bpe_trainer *b);

#endif
