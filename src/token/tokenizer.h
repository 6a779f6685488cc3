/* Byte-level byte-pair encoding: train, encode, decode, tokenizer.json.
 *
 * Text is split by the Qwen2 pattern (PCRE2), each piece is bytes, and merges apply by rank inside a
 * piece (Sennrich, Haddow, Birch 2016; byte level as in GPT-2). Ids: 256 bytes in the order of the code
 * points that the GPT-2 byte alphabet gives them ('!' is 0), merges by rank, special tokens last. */
#ifndef YK_TOKEN_TOKENIZER_H
#define YK_TOKEN_TOKENIZER_H

#include "base/mem.h"
#include "base/status.h"
#include "base/team.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_tokenizer yk_tokenizer;

/* Special tokens of a tokenizer trained here, in id order. */
#define YK_TOKEN_END "<|endoftext|>" /* begins and ends a document */
#define YK_TOKEN_MASK "<|mask|>"
#define YK_SPECIAL_TOKENS                                                                          \
    {YK_TOKEN_END, YK_TOKEN_MASK, "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<answer>", "</answer>"}
#define YK_SPECIAL_COUNT 8

typedef struct yk_ids {
    int32_t *id;
    size_t n, cap;
} yk_ids;
void yk_ids_free(yk_ids *ids);

/* Reads and writes the Hugging Face tokenizer.json (version 1.0, model BPE, ByteLevel). The file is
 * hostile: errors name the path and what is wrong or unsupported. */
yk_status yk_tokenizer_load(yk_tokenizer **t, const char *path, yk_error *err);
yk_status yk_tokenizer_save(const yk_tokenizer *t, const char *path, yk_error *err);
void yk_tokenizer_free(yk_tokenizer *t);

int32_t yk_tokenizer_vocab(const yk_tokenizer *t);
int32_t yk_tokenizer_special(const yk_tokenizer *t, const char *token); /* -1: none */

/* What other formats of tokenizers take over: ids 0 .. vocab - 1, ranks 0 .. merges - 1. */
bool yk_tokenizer_is_special(const yk_tokenizer *t, int32_t id);
void yk_tokenizer_text(const yk_tokenizer *t, int32_t id, yk_buf *out); /* in the byte alphabet; of special tokens their own */
size_t yk_tokenizer_merges(const yk_tokenizer *t);
void yk_tokenizer_merge(const yk_tokenizer *t, size_t rank, int32_t pair[2]);
const char *yk_tokenizer_split(const yk_tokenizer *t); /* whose split pattern: qwen2, gpt2; NULL: another */

/* An encoder: one thread's working memory (regular-expression state, a cache of pieces) over a tokenizer that
 * it keeps a pointer to. */
typedef struct yk_encoder yk_encoder;
yk_status yk_encoder_new(yk_encoder **e, const yk_tokenizer *t, yk_error *err);
void yk_encoder_free(yk_encoder *e);

/* Appends the ids of n bytes of text, brought to normalisation form C first where tokenizer.json asks for it. Special
 * tokens in the text are treated as plain text. Text that is not valid UTF-8 is taken as it is, and each byte
 * outside is a piece of its own. */
yk_status yk_encode(yk_encoder *e, const char *text, size_t n, yk_ids *out, yk_error *err);

/* Appends the bytes of the ids (special tokens by their text). */
void yk_tokenizer_decode(const yk_tokenizer *t, const int32_t *ids, size_t n, yk_buf *out);

/* Training: documents are added one after another, then any number of vocabularies are learnt from the counts.
 * Counts are exact and ties go to the smaller pair of ids (as in Hugging Face's trainer), so the result is one
 * for any number of threads. Memory is bounded by the distinct pieces. */
typedef struct yk_bpe_trainer yk_bpe_trainer;
yk_status yk_bpe_trainer_new(yk_bpe_trainer **b, const yk_team *team, yk_error *err);
yk_status yk_bpe_trainer_add(yk_bpe_trainer *b, const char *text, size_t n, yk_error *err);
yk_status yk_bpe_trainer_learn(yk_bpe_trainer *b, int32_t vocab, yk_tokenizer **t, yk_error *err);
void yk_bpe_trainer_free(yk_bpe_trainer *b);

#endif
