/* A model as a GGUF file, which llama.cpp and what is built on it load: weights, tokenizer, chat template. */
#ifndef YK_EXCHANGE_GGUF_H
#define YK_EXCHANGE_GGUF_H

#include "store/gguf.h"
#include "train/session.h"

/* "f32", "f16", "bf16", "q8_0"; false: no such type. */
bool yk_gguf_type_of(const char *text, yk_gguf_type *type);

/* Writes the weights that the session's model uses, without a score head. `name` becomes general.name.
 *
 * Architecture: llama, with qkv_bias qwen2, with qk_norm qwen3; gpt2 of layernorm, gelu and learned positions. Matrices
 * are of `type`; vectors and learned positions stay F32, and where a row is no whole number of blocks of Q8_0 the
 * matrix is F16. A chat template goes with the model when the recipe has a stage that learns from conversations.
 *
 * YK_ERR_CONFIG: no architecture of llama.cpp is this model, or no pre-tokeniser of it splits as the tokenizer does;
 * the message names the key. YK_ERR_NUMERIC: a weight is not finite, or too large for the type. */
yk_status yk_gguf_write_model(const yk_session *s, const char *name, const char *path, yk_gguf_type type,
                              yk_error *err);

/* The same of a run: of `checkpoint`, or (NULL) of the model that its last stage left. */
yk_status yk_gguf_export(const char *run, const char *path, const char *checkpoint, yk_gguf_type type, yk_error *err);

#endif
