#include "exchange/gguf.h"

#include "align/chat.h"
#include "base/log.h"
#include "exchange/kinds.h"
#include "train/made.h"
#include "train/opened.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Codes of token types and of general.file_type, as llama.cpp has them. */
enum { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4, TOKEN_UNUSED = 5 };

static const struct {
    const char *name;
    yk_gguf_type type;
    uint32_t file;
} types[] = {{"f32", YK_GGUF_F32, 0}, {"f16", YK_GGUF_F16, 1}, {"q8_0", YK_GGUF_Q8_0, 7}, {"bf16", YK_GGUF_BF16, 32}};
enum { TYPES = sizeof types / sizeof *types };

bool yk_gguf_type_of(const char *text, yk_gguf_type *type)
{
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, text) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

static uint32_t file_type(yk_gguf_type type)
{
    int i = 0;
    while (types[i].type != type) i++;
    return types[i].file;
}

/* What llama.cpp makes of a model of this shape. */
typedef struct architecture {
    const char *name;
    bool interleaved; /* rope turns numbers 2 i and 2 i + 1 of a head: rows of queries and keys change places */
    bool fused;       /* one matrix for queries, keys and values; biases everywhere */
    const char *epsilon;
} architecture;

static const architecture llama = {"llama", true, false, "attention.layer_norm_rms_epsilon"};
static const architecture qwen2 = {"qwen2", false, false, "attention.layer_norm_rms_epsilon"};
static const architecture qwen3 = {"qwen3", false, false, "attention.layer_norm_rms_epsilon"};
static const architecture gpt2 = {"gpt2", false, true, "attention.layer_norm_epsilon"};

static yk_status choose(const yk_model_shape *s, const architecture **a, yk_error *err)
{
    const char *key = NULL;
    const bool free_heads = s->heads * s->head_size != s->width;
    *a = s->layernorm ? &gpt2 : s->qk_norm ? &qwen3 : s->qkv_bias ? &qwen2 : &llama;
    if (s->pattern.window || s->pattern.blocks)
        return yk_fail(err, YK_ERR_CONFIG, "a model whose model.attention is not full is not exported: no file that "
                       "llama.cpp reads would compute the same");
    if (s->layernorm) {
        if (!s->gelu) key = "model.mlp: swiglu";
        else if (!s->learned_positions) key = "model.position: rope";
        else if (s->qk_norm) key = "model.qk_norm: true";
        else if (free_heads) key = "a model.head_size that is not width / heads";
    } else if (s->gelu) {
        key = "model.mlp: gelu";
    } else if (s->learned_positions) {
        key = "model.position: learned";
    } else if (s->qk_norm && (s->bias || s->qkv_bias)) {
        key = s->bias ? "model.bias: true beside model.qk_norm" : "model.qkv_bias: true beside model.qk_norm";
    } else if (*a == &qwen2 && free_heads) {
        key = "model.qkv_bias: true and a model.head_size that is not width / heads";
    } else if (s->rope_factor > 1 && *a != &llama) {
        key = s->qk_norm ? "model.qk_norm: true and model.rope_factor above 1"
                         : "model.qkv_bias: true and model.rope_factor above 1";
    }
    if (!key) return YK_OK;
    return yk_fail(err, YK_ERR_CONFIG, "no architecture of llama.cpp has model.norm: %s with %s; export to hf instead, "
                   "or train with other keys", s->layernorm ? "layernorm" : "rmsnorm", key);
}

typedef struct row_of_names {
    const char *ours, *theirs;
    yk_hf_part part;
} row_of_names;

/* Between "model.layers.<n>." or the beginning and ".weight" or ".bias". */
static const row_of_names common[] = {
    {"model.embed_tokens", "token_embd", YK_HF_WHOLE}, {"model.embed_positions", "position_embd", YK_HF_WHOLE},
    {"model.norm", "output_norm", YK_HF_WHOLE},        {"lm_head", "output", YK_HF_WHOLE},
    {"input_layernorm", "attn_norm", YK_HF_WHOLE},     {"self_attn.q_norm", "attn_q_norm", YK_HF_WHOLE},
    {"self_attn.k_norm", "attn_k_norm", YK_HF_WHOLE},  {"self_attn.o_proj", "attn_output", YK_HF_WHOLE},
    {"mlp.gate_up_proj", "ffn_gate", YK_HF_GATE},      {"mlp.gate_up_proj", "ffn_up", YK_HF_UP},
    {"mlp.up_proj", "ffn_up", YK_HF_WHOLE},            {"mlp.down_proj", "ffn_down", YK_HF_WHOLE},
    {"post_attention_layernorm", "ffn_norm", YK_HF_WHOLE},
};
static const row_of_names apart[] = {
    {"self_attn.qkv_proj", "attn_q", YK_HF_QUERY}, {"self_attn.qkv_proj", "attn_k", YK_HF_KEY},
    {"self_attn.qkv_proj", "attn_v", YK_HF_VALUE}};
static const row_of_names fused[] = {{"self_attn.qkv_proj", "attn_qkv", YK_HF_WHOLE}};

/* A tensor of the file. */
typedef struct piece {
    char name[YK_GGUF_MAX_NAME + 1];
    const float *source; /* NULL: zeros */
    int64_t rows, columns; /* columns 0: a vector */
    int64_t head; /* rows of a head that is interleaved; 0: are not */
    yk_gguf_type type;
} piece;

typedef struct pieces {
    const yk_session *s;
    const yk_model_shape *shape;
    const architecture *a;
    yk_gguf_type type;
    float *slowing; /* of rope, by pair of numbers */
    piece *piece;
    size_t n, room;
} pieces;

static yk_gguf_type type_of(const pieces *all, const char *name, int64_t columns)
{
    if (columns == 0 || strncmp(name, "position_embd.", 14) == 0) return YK_GGUF_F32;
    return columns % yk_gguf_layout_of(all->type)->block == 0 ? all->type : YK_GGUF_F16;
}

/* One tensor of a parameter whose name ends in `what` ("weight", "bias"), in a layer or (-1) in none; source NULL: the
 * bias that a parameter does not have. */
static yk_status add_piece(pieces *all, const yk_param *p, const row_of_names *row, int64_t layer, const char *what,
                           const float *source, yk_error *err)
{
    yk_status st = YK_OK;
    char block[32] = "";
    int64_t first;
    YK_ROOM(all->piece, all->n, all->room);
    piece *x = &all->piece[all->n++];
    *x = (piece){.columns = source && p->rank == 2 ? p->shape[1] : 0};
    yk_hf_rows(row->part, all->shape, p->shape[0], &first, &x->rows);
    if (source) x->source = source + first * (x->columns ? x->columns : 1);
    if (all->a->interleaved && (row->part == YK_HF_QUERY || row->part == YK_HF_KEY)) x->head = all->shape->head_size;
    if (layer >= 0) snprintf(block, sizeof block, "blk.%" PRId64 ".", layer);
    snprintf(x->name, sizeof x->name, "%s%s.%s", block, row->theirs, what);
    x->type = type_of(all, x->name, x->columns);
done:
    return st;
}

/* The tensors that a parameter of ours becomes; beside a matrix in a layer of gpt2 a bias of zeros if it has none. */
static yk_status add_rows(pieces *all, const yk_param *p, const row_of_names *table, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t layer = -1;
    int begins = 0;
    const char *what = strrchr(p->name, '.') + 1;
    if (sscanf(p->name, "model.layers.%" SCNd64 ".%n", &layer, &begins) != 1) layer = -1, begins = 0;
    const char *name = p->name + begins;
    const size_t length = (size_t)(what - 1 - name);
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].ours) != length || memcmp(table[i].ours, name, length) != 0) continue;
        YK_TRY(add_piece(all, p, &table[i], layer, what, yk_model_weights(all->s->model) + p->offset, err));
        if (all->a->fused && !all->shape->bias && layer >= 0 && p->rank == 2)
            YK_TRY(add_piece(all, p, &table[i], layer, "bias", NULL, err));
    }
done:
    return st;
}

static yk_status cut_parameters(pieces *all, yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    const yk_param *p = yk_model_params(all->s->model, &count);
    for (int i = 0; i < count; i++) {
        const size_t before = all->n;
        if (strcmp(p[i].name, YK_SCORE_NAME) == 0) continue;
        YK_TRY(add_rows(all, &p[i], common, sizeof common / sizeof *common, err));
        YK_TRY(all->a->fused ? add_rows(all, &p[i], fused, sizeof fused / sizeof *fused, err)
                             : add_rows(all, &p[i], apart, sizeof apart / sizeof *apart, err));
        if (all->n == before) YK_FAIL(YK_ERR_INTERNAL, "parameter %s has no name in GGUF", p[i].name);
    }
done:
    return st;
}

/* What llama.cpp divides the turn of a pair by, as a tensor. */
static yk_status add_slowing(pieces *all, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t pairs = all->shape->head_size / 2;
    yk_model_shape plain = *all->shape;
    if (plain.rope_factor <= 1) goto done;
    plain.rope_factor = 1;
    YK_NEW(all->slowing, pairs);
    for (int64_t i = 0; i < pairs; i++)
        all->slowing[i] = (float)(yk_rope_turn(&plain, i) / yk_rope_turn(all->shape, i));
    YK_ROOM(all->piece, all->n, all->room);
    all->piece[all->n++] = (piece){"rope_freqs.weight", .source = all->slowing, .rows = pairs, .type = YK_GGUF_F32};
done:
    return st;
}

static yk_status declare(yk_gguf_writer *w, const pieces *all, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < all->n; i++) {
        const piece *x = &all->piece[i];
        const int64_t shape[2] = {x->rows, x->columns};
        YK_TRY(yk_gguf_declare(w, x->name, x->columns ? 2 : 1, shape, x->type, err));
    }
done:
    return st;
}

/* Our rope pairs rows i and i + D/2 of a head, theirs 2 i and 2 i + 1. */
static int64_t row_of(const piece *x, int64_t i)
{
    if (!x->head) return i;
    const int64_t in = i % x->head;
    return i - in + in % 2 * (x->head / 2) + in / 2;
}

static yk_status write_piece(yk_gguf_writer *w, const piece *x, yk_error *err)
{
    yk_status st = YK_OK;
    static const float zero;
    const int64_t columns = x->columns ? x->columns : 1;
    for (int64_t i = 0; i < x->rows; i++)
        YK_TRY(yk_gguf_write(w, x->source ? x->source + row_of(x, i) * columns : &zero, columns, err));
done:
    return yk_context(err, st, "tensor %s", x->name);
}

/* Keys of an architecture begin with its name. */
static void put_shape(yk_gguf_writer *w, const pieces *all)
{
    const yk_model_shape *s = all->shape;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"vocab_size", s->vocab}, {"context_length", s->positions}, {"embedding_length", s->width},
                   {"block_count", s->layers}, {"feed_forward_length", s->ffn}, {"attention.head_count", s->heads},
                   {"attention.head_count_kv", s->kv_heads}, {"attention.key_length", s->head_size},
                   {"attention.value_length", s->head_size},
                   {"rope.dimension_count", s->learned_positions ? 0 : s->head_size}};
    char key[96];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "%s.%s", all->a->name, numbers[i].key);
        if (numbers[i].value) yk_gguf_put_u32(w, key, (uint32_t)numbers[i].value);
    }
    snprintf(key, sizeof key, "%s.%s", all->a->name, all->a->epsilon);
    yk_gguf_put_float(w, key, (float)s->norm_eps);
    snprintf(key, sizeof key, "%s.rope.freq_base", all->a->name);
    if (!s->learned_positions) yk_gguf_put_float(w, key, (float)s->rope_theta);
}

/* Tags are shown and read as text; other special tokens are neither. */
static int32_t token_type(const yk_tokenizer *t, int32_t id, const char *text)
{
    static const char *const tags[] = {"<think>", "</think>", "<answer>", "</answer>"};
    switch (yk_tokenizer_kind(t, id)) {
    case YK_KIND_NONE: return TOKEN_UNUSED;
    case YK_KIND_PIECE: return TOKEN_NORMAL;
    case YK_KIND_ADDED: return TOKEN_USER_DEFINED;
    case YK_KIND_SPECIAL: break;
    }
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (strcmp(tags[i], text) == 0) return TOKEN_USER_DEFINED;
    return TOKEN_CONTROL;
}

/* llama.cpp wants a text, unlike all others, for every row of the embedding: ids without a token get one. */
static void put_tokens(yk_gguf_writer *w, const yk_tokenizer *t, int32_t rows)
{
    yk_buf text = {0};
    const int32_t vocab = yk_tokenizer_vocab(t);
    yk_gguf_put_array(w, "tokenizer.ggml.tokens", YK_GGUF_STRING, (uint64_t)rows);
    for (int32_t i = 0; i < rows; i++) {
        if (i >= vocab || !yk_tokenizer_text(t, i, &text)) {
            yk_buf_clear(&text);
            yk_buf_printf(&text, "[PAD%d]", i);
        }
        yk_gguf_add_string(w, text.data, text.len);
    }
    yk_gguf_put_array(w, "tokenizer.ggml.token_type", YK_GGUF_I32, (uint64_t)rows);
    for (int32_t i = 0; i < rows; i++)
        yk_gguf_add_i32(w, i < vocab && yk_tokenizer_text(t, i, &text) ? token_type(t, i, text.data) : TOKEN_UNUSED);
    yk_buf_free(&text);
}

static yk_status put_merges(yk_gguf_writer *w, const yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0}, second = {0};
    const size_t merges = yk_tokenizer_merges(t);
    yk_gguf_put_array(w, "tokenizer.ggml.merges", YK_GGUF_STRING, merges);
    for (size_t r = 0; r < merges; r++) {
        int32_t pair[2];
        yk_tokenizer_merge(t, r, pair);
        yk_tokenizer_text(t, pair[0], &text);
        yk_tokenizer_text(t, pair[1], &second);
        if (strchr(text.data, ' ') || strchr(second.data, ' '))
            YK_FAIL(YK_ERR_CONFIG, "merge %zu of the tokenizer has a blank in a token, which GGUF cannot express", r);
        yk_buf_puts(&text, " ");
        yk_buf_add(&text, second.data, second.len);
        yk_gguf_add_string(w, text.data, text.len);
    }
done:
    yk_buf_free(&text);
    yk_buf_free(&second);
    return st;
}

/* The pre-tokenisers of llama.cpp that split, and merge, as a tokenizer does. */
static const struct {
    const char *split;
    bool ignore_merges;
    const char *pre;
} pres[] = {
    {"gpt2", false, "gpt-2"},    {"qwen2", false, "qwen2"},   {"llama3", true, "llama-bpe"},
    {"llama3", false, "dbrx"},   {"o200k", false, "gpt-4o"},  {"smollm", false, "smollm"},
    {"deepseek-coder", false, "deepseek-coder"}, {"deepseek-v3", false, "deepseek-v3"},
};

static yk_status pre_of(const yk_tokenizer *t, const char **pre, yk_error *err)
{
    const char *split = yk_tokenizer_split(t), *conditional = yk_tokenizer_conditional(t);
    const bool ignores = yk_tokenizer_ignores_merges(t);
    if (conditional)
        return yk_fail(err, YK_ERR_CONFIG, "the added token %s takes blanks beside it or stands alone (lstrip, rstrip, "
                       "single_word), which GGUF cannot express", conditional);
    for (size_t i = 0; split && i < sizeof pres / sizeof *pres; i++) {
        if (strcmp(pres[i].split, split) != 0 || pres[i].ignore_merges != ignores) continue;
        *pre = pres[i].pre;
        return YK_OK;
    }
    if (split)
        return yk_fail(err, YK_ERR_CONFIG, "llama.cpp has no pre-tokeniser that splits as %s does and %s", split,
                       ignores ? "takes whole pieces that are tokens (ignore_merges)" : "merges all pieces");
    return yk_fail(err, YK_ERR_CONFIG, "llama.cpp has no pre-tokeniser that splits as the `pre_tokenizer` of this "
                   "tokenizer.json; those of GPT-2, Qwen2, Llama 3, o200k, SmolLM and DeepSeek can be exported, and "
                   "the tokenizers that Yoke trains");
}

static yk_status put_tokenizer(yk_gguf_writer *w, const yk_session *s, yk_error *err)
{
    yk_status st = YK_OK;
    const char *pre = NULL;
    YK_TRY(pre_of(s->tokenizer, &pre, err));
    yk_gguf_put_string(w, "tokenizer.ggml.model", "gpt2");
    yk_gguf_put_string(w, "tokenizer.ggml.pre", pre);
    put_tokens(w, s->tokenizer, (int32_t)yk_model_get_shape(s->model)->vocab);
    YK_TRY(put_merges(w, s->tokenizer, err));
    yk_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)s->begin);
    yk_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)s->end);
    yk_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)s->end);
    if (s->mask >= 0) yk_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", (uint32_t)s->mask);
    yk_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
    yk_gguf_put_bool(w, "tokenizer.ggml.add_eos_token", false);
    yk_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
done:
    return st;
}

static yk_status put_chat(yk_gguf_writer *w, const yk_session *s, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    if (!yk_run_converses(s->recipe)) goto done;
    YK_TRY(yk_chat_jinja(s->recipe->sft_template, s->tokenizer, &text, err));
    yk_gguf_put_string(w, "tokenizer.chat_template", text.data);
    const int32_t turn = yk_tokenizer_special(s->tokenizer, "<|im_end|>");
    if (turn >= 0 && strcmp(s->recipe->sft_template, "chatml") == 0)
        yk_gguf_put_u32(w, "tokenizer.ggml.eot_token_id", (uint32_t)turn);
done:
    yk_buf_free(&text);
    return st;
}

yk_status yk_gguf_write_model(const yk_session *s, const char *name, const char *path, yk_gguf_type type, yk_error *err)
{
    yk_status st = YK_OK;
    yk_gguf_writer w = {0};
    pieces all = {.s = s, .shape = yk_model_get_shape(s->model), .type = type};
    YK_TRY(choose(all.shape, &all.a, err));
    YK_TRY(cut_parameters(&all, err));
    YK_TRY(add_slowing(&all, err));
    YK_TRY(yk_gguf_create(&w, path, err));
    yk_gguf_put_string(&w, "general.architecture", all.a->name);
    yk_gguf_put_string(&w, "general.type", "model");
    yk_gguf_put_string(&w, "general.name", name);
    yk_gguf_put_u32(&w, "general.file_type", file_type(type));
    if (type == YK_GGUF_Q8_0) yk_gguf_put_u32(&w, "general.quantization_version", 2);
    put_shape(&w, &all);
    YK_TRY(put_tokenizer(&w, s, err));
    YK_TRY(put_chat(&w, s, err));
    YK_TRY(declare(&w, &all, err));
    for (size_t i = 0; i < all.n; i++) YK_TRY(write_piece(&w, &all.piece[i], err));
    YK_TRY(yk_gguf_commit(&w, err));
done:
    yk_gguf_abandon(&w);
    free(all.slowing);
    free(all.piece);
    return st;
}

/* The last part of a path, without slashes behind it. */
static char *name_of(const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
    return yk_path("%.*s", (int)(end - begin), path + begin);
}

yk_status yk_gguf_export(const char *run, const char *path, const char *checkpoint, yk_gguf_type type, yk_error *err)
{
    yk_status st = YK_OK;
    yk_opened x = {0};
    char *name = name_of(run);
    if (!name) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_open_run(&x, &(yk_open_options){.run = run, .checkpoint = checkpoint, .weights = true}, err));
    YK_TRY(yk_context(err, yk_gguf_write_model(&x.s, name, path, type, err), "%s", run));
    yk_log("export     %s: %.3g parameters", path, (double)yk_model_parameters(x.s.model));
done:
    free(name);
    yk_opened_close(&x);
    return st;
}
