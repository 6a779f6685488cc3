/* tokenizer.json: version 1.0 of Hugging Face's `tokenizers`, model BPE at byte level. */
#include "base/file.h"
#include "base/json.h"
#include "token/split.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VOCAB = 4 << 20, MAX_FILE = 512 << 20 };

/* Text of a token in the byte alphabet: byte b is the code point of its id's place. */
static uint32_t code_point(uint8_t byte)
{
    uint8_t byte_of_id[256];
    int32_t id[256];
    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173)) return byte;
    yk_byte_alphabet(byte_of_id, id);
    return 256 + (uint32_t)id[byte] - 188; /* 188 bytes stand for themselves */
}

static void add_utf8(yk_buf *out, uint32_t c)
{
    char u[2] = {(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))}, one = (char)c;
    if (c < 0x80)
        yk_buf_add(out, &one, 1);
    else
        yk_buf_add(out, u, 2);
}

void yk_tokenizer_text(const yk_tokenizer *t, int32_t id, yk_buf *out)
{
    const yk_token *token = &t->token[id];
    yk_buf_clear(out);
    yk_buf_reserve(out, 1);
    if (token->special) {
        yk_buf_add(out, token->bytes, token->length);
        return;
    }
    for (uint32_t i = 0; i < token->length; i++) add_utf8(out, code_point((uint8_t)token->bytes[i]));
}

/* The inverse; false when a character stands for no byte. */
static bool from_alphabet(const char *text, const int16_t byte_of[512], yk_buf *out)
{
    yk_buf_clear(out);
    yk_buf_reserve(out, 1);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        uint32_t c = *p;
        if (c >= 0xC0 && c < 0xE0 && p[1]) c = (c & 0x1F) << 6 | (*++p & 0x3F);
        if (c >= 512 || byte_of[c] < 0) return false;
        char b = (char)byte_of[c];
        yk_buf_add(out, &b, 1);
    }
    return true;
}

static void alphabet_inverse(int16_t byte_of[512])
{
    for (int c = 0; c < 512; c++) byte_of[c] = -1;
    for (int b = 0; b < 256; b++) byte_of[code_point((uint8_t)b)] = (int16_t)b;
}

static json_t *build(const yk_tokenizer *t)
{
    yk_buf text = {0}, second = {0};
    json_t *vocab = json_object(), *merges = json_array(), *added = json_array();
    for (int32_t i = 0; i < t->vocab; i++) {
        yk_tokenizer_text(t, i, &text);
        if (t->token[i].special)
            json_array_append_new(added, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i, "content", text.data,
                                                   "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0,
                                                   "special", 1));
        else
            json_object_set_new(vocab, text.data, json_integer(i));
    }
    for (size_t r = 0; r < t->merges; r++) {
        yk_tokenizer_text(t, t->merge[r][0], &text);
        yk_tokenizer_text(t, t->merge[r][1], &second);
        json_array_append_new(merges, json_pack("[s, s]", text.data, second.data));
    }
    json_t *level = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0,
                              "use_regex", 0);
    json_t *split = json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", t->pattern, "behavior",
                              "Isolated", "invert", 0);
    json_t *model = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                              "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                              "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab, "merges", merges);
    json_t *root = json_pack("{s:s, s:n, s:n, s:o, s:o, s:{s:s, s:[o, O]}, s:O, s:O, s:o}", "version", "1.0",
                             "truncation", "padding", "added_tokens", added, "normalizer",
                             t->nfc ? json_pack("{s:s}", "type", "NFC") : json_null(), "pre_tokenizer", "type",
                             "Sequence", "pretokenizers", split, level, "post_processor", level, "decoder", level,
                             "model", model);
    json_decref(level);
    yk_buf_free(&text);
    yk_buf_free(&second);
    return root;
}

yk_status yk_tokenizer_save(const yk_tokenizer *t, const char *path, yk_error *err)
{
    json_t *root = build(t);
    yk_status st = yk_json_write(path, root, err);
    json_decref(root);
    return st;
}

static const char *type_of(const json_t *x)
{
    const char *type = json_string_value(json_object_get(x, "type"));
    return type ? type : json_is_null(x) || !x ? "null" : "?";
}

/* The split pattern of the pre-tokeniser; `*pattern` points into the JSON or is a constant. */
static yk_status read_pretokenizer(const json_t *pre, const char **pattern, yk_error *err)
{
    const json_t *list = json_object_get(pre, "pretokenizers"), *level = pre;
    *pattern = NULL;
    if (strcmp(type_of(pre), "Sequence") == 0) {
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *x = json_array_get(list, i);
            const char *regex = json_string_value(json_object_get(json_object_get(x, "pattern"), "Regex"));
            if (strcmp(type_of(x), "Split") == 0 && regex && !*pattern)
                *pattern = regex;
            else if (strcmp(type_of(x), "ByteLevel") == 0 && i + 1 == json_array_size(list))
                level = x;
            else
                return yk_fail(err, YK_ERR_INPUT, "pre_tokenizer: `%s` at place %zu is not supported; one Split with a "
                               "Regex and then ByteLevel are", type_of(x), i);
        }
    }
    if (strcmp(type_of(level), "ByteLevel") != 0)
        return yk_fail(err, YK_ERR_INPUT, "pre_tokenizer `%s` is not supported; ByteLevel is", type_of(pre));
    if (json_is_true(json_object_get(level, "add_prefix_space")))
        return yk_fail(err, YK_ERR_INPUT, "pre_tokenizer: add_prefix_space is not supported");
    if (!*pattern) *pattern = yk_pattern_gpt2;
    return YK_OK;
}

static yk_status put_token(yk_tokenizer *t, const char *text, const json_t *id, bool special,
                           const int16_t byte_of[512], yk_buf *bytes, yk_error *err)
{
    yk_status st = YK_OK;
    json_int_t i = json_integer_value(id);
    if (!json_is_integer(id) || i < 0 || i >= t->vocab)
        YK_FAIL(YK_ERR_INPUT, "token `%s` has no id from 0 to %d: ids must be dense", text, t->vocab - 1);
    if (t->token[i].bytes) {
        if (special && t->token[i].length == strlen(text)) { /* also listed in the vocabulary */
            t->token[i].special = true;
            return YK_OK;
        }
        YK_FAIL(YK_ERR_INPUT, "id %lld is given to two tokens, the second `%s`", (long long)i, text);
    }
    if (special || !from_alphabet(text, byte_of, bytes))
        YK_TRY(yk_token_set(&t->token[i], text, strlen(text), true, err));
    else
        YK_TRY(yk_token_set(&t->token[i], bytes->data, bytes->len, false, err));
done:
    return st;
}

/* "a b" or ["a", "b"] into ids; tokens are looked up in the vocabulary object. */
static yk_status read_merge(const json_t *x, const json_t *vocab, size_t rank, int32_t merge[2], int32_t *made,
                            yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *id[3];
    const char *whole = json_string_value(x), *a = json_string_value(json_array_get(x, 0));
    const char *b = json_string_value(json_array_get(x, 1)), *space = whole ? strchr(whole, ' ') : NULL;
    if ((!space && !(a && b && json_array_size(x) == 2)) || (space && strchr(space + 1, ' ')))
        YK_FAIL(YK_ERR_INPUT, "merge %zu is neither \"a b\" nor [\"a\", \"b\"]", rank);
    for (int i = 0; i < 3; i++) {
        yk_buf_clear(text);
        yk_buf_reserve(text, 1);
        if (i != 1) space ? yk_buf_add(text, whole, (size_t)(space - whole)) : yk_buf_puts(text, a);
        if (i != 0) yk_buf_puts(text, space ? space + 1 : b);
        id[i] = json_object_get(vocab, text->data);
        if (!id[i])
            YK_FAIL(YK_ERR_INPUT, "merge %zu needs the token `%s`, which the vocabulary lacks", rank, text->data);
    }
    merge[0] = (int32_t)json_integer_value(id[0]);
    merge[1] = (int32_t)json_integer_value(id[1]);
    *made = (int32_t)json_integer_value(id[2]);
done:
    return st;
}

static yk_status read_root(yk_tokenizer **out, const json_t *root, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    yk_buf text = {0};
    int32_t *made = NULL;
    int16_t byte_of[512];
    const char *pattern, *name;
    json_t *id, *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges"), *added = json_object_get(root, "added_tokens");
    const char *normalizer = type_of(json_object_get(root, "normalizer"));
    if (strcmp(type_of(model), "BPE") != 0 || !json_is_object(vocab) || !json_is_array(merges))
        YK_FAIL(YK_ERR_INPUT, "model `%s` is not supported; byte-level BPE is", type_of(model));
    if (strcmp(normalizer, "NFC") != 0 && strcmp(normalizer, "null") != 0)
        YK_FAIL(YK_ERR_INPUT, "normalizer `%s` is not supported; NFC and none are", normalizer);
    YK_TRY(read_pretokenizer(json_object_get(root, "pre_tokenizer"), &pattern, err));
    size_t extra = 0, i;
    const json_t *x;
    json_array_foreach(added, i, x)
    {
        const char *content = json_string_value(json_object_get(x, "content"));
        if (!content) YK_FAIL(YK_ERR_INPUT, "added_tokens[%zu] has no content", i);
        extra += json_object_get(vocab, content) == NULL;
    }
    size_t total = json_object_size(vocab) + extra;
    if (total > MAX_VOCAB || total < 256) YK_FAIL(YK_ERR_INPUT, "a vocabulary of %zu tokens is not supported", total);
    YK_TRY(yk_tokenizer_new(&t, (int32_t)total, json_array_size(merges), pattern, err));
    t->nfc = strcmp(normalizer, "NFC") == 0;
    alphabet_inverse(byte_of);
    json_object_foreach(vocab, name, id) YK_TRY(put_token(t, name, id, false, byte_of, &text, err));
    json_array_foreach(added, i, x)
        YK_TRY(put_token(t, json_string_value(json_object_get(x, "content")), json_object_get(x, "id"), true, byte_of,
                         &text, err));
    YK_NEW(made, t->merges);
    for (size_t r = 0; r < t->merges; r++)
        YK_TRY(read_merge(json_array_get(merges, r), vocab, r, t->merge[r], &made[r], &text, err));
    YK_TRY(yk_tokenizer_index(t, made, err));
    *out = t;
    t = NULL;
done:
    free(made);
    yk_buf_free(&text);
    yk_tokenizer_free(t);
    return st;
}

yk_status yk_tokenizer_load(yk_tokenizer **t, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    json_error_t why;
    json_t *root = NULL;
    YK_TRY(yk_file_read(path, &text, err));
    if (text.len > MAX_FILE) YK_FAIL(YK_ERR_INPUT, "%s: too large for a tokenizer.json", path);
    root = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        YK_FAIL(YK_ERR_DAMAGED, "%s:%d:%d: not valid JSON, perhaps truncated: %s", path, why.line, why.column,
                why.text);
    st = yk_context(err, read_root(t, root, err), "%s", path);
done:
    json_decref(root);
    yk_buf_free(&text);
    return st;
}
