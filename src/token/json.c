/* tokenizer.json: version 1.0 of Hugging Face's `tokenizers`, model BPE at byte level. */
#include "base/file.h"
#include "base/json.h"
#include "token/unicode.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 512 << 20 };

static bool is_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 255 && c != 173);
}

/* The code point that stands for a byte in the byte alphabet: itself, or those from 256 on in the bytes' order. */
static uint32_t point_of(uint8_t b)
{
    return is_itself(b) ? b : b <= 32 ? 256u + b : b <= 160 ? 256u + 33 + (b - 127u) : 256 + 67;
}

/* The inverse; -1: it stands for none. */
static int byte_of(uint32_t c)
{
    int b = c < 256 ? (int)c : c < 256 + 33 ? (int)c - 256 : c < 256 + 67 ? (int)c - 256 - 33 + 127 : 173;
    return b < 256 && point_of((uint8_t)b) == c ? b : -1;
}

bool yk_tokenizer_text(const yk_tokenizer *t, int32_t id, yk_buf *out)
{
    const yk_token *token = &t->token[id];
    yk_buf_clear(out);
    yk_buf_reserve(out, 1);
    if (token->literal) yk_buf_add(out, token->bytes, token->length);
    else
        for (uint32_t i = 0; i < token->length; i++) yk_utf8_add(out, point_of((uint8_t)token->bytes[i]));
    return token->bytes != NULL;
}

/* The inverse; false when a character stands for no byte. */
static bool bytes_of(const char *text, yk_buf *out)
{
    yk_buf_clear(out);
    yk_buf_reserve(out, 1);
    for (size_t length; *text; text += length) {
        int b = byte_of(yk_utf8_at((const uint8_t *)text, &length));
        if (b < 0) return false;
        yk_buf_add(out, &(char){(char)b}, 1);
    }
    return true;
}

static json_t *build(const yk_tokenizer *t)
{
    yk_buf text = {0}, second = {0};
    json_t *vocab = json_object(), *merges = json_array();
    json_t *root = json_copy(t->settings), *model = json_copy(json_object_get(t->settings, "model"));
    for (int32_t i = 0; i < t->vocab; i++)
        if (yk_tokenizer_text(t, i, &text) && !t->token[i].added)
            json_object_set_new(vocab, text.data, json_integer(i));
    for (size_t r = 0; r < t->merges; r++) {
        yk_tokenizer_text(t, t->merge[r][0], &text);
        yk_tokenizer_text(t, t->merge[r][1], &second);
        json_array_append_new(merges, json_pack("[s, s]", text.data, second.data));
    }
    json_object_set_new(model, "vocab", vocab);
    json_object_set_new(model, "merges", merges);
    json_object_set_new(root, "model", model);
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

/* `literally`: its text is that of an added token too. */
static yk_status put_token(yk_tokenizer *t, const char *text, const json_t *id, bool literally, yk_buf *bytes,
                           yk_error *err)
{
    yk_status st = YK_OK;
    json_int_t i = json_integer_value(id);
    if (t->token[i].bytes)
        YK_FAIL(YK_ERR_INPUT, "id %lld is given to two tokens, the second `%.40s`", (long long)i, text);
    bool literal = !bytes_of(text, bytes) || (literally && strcmp(text, bytes->data) != 0);
    YK_TRY(yk_token_set(&t->token[i], literal ? text : bytes->data, literal ? strlen(text) : bytes->len, err));
    t->token[i].literal = literal;
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
            YK_FAIL(YK_ERR_INPUT, "merge %zu needs the token `%.80s`, which the vocabulary lacks", rank, text->data);
    }
    merge[0] = (int32_t)json_integer_value(id[0]);
    merge[1] = (int32_t)json_integer_value(id[1]);
    *made = (int32_t)json_integer_value(id[2]);
done:
    return st;
}

/* One more than the highest id, of both lists. */
static yk_status count_ids(const json_t *vocab, const json_t *added, int32_t *n, yk_error *err)
{
    yk_status st = YK_OK;
    json_int_t most = -1;
    const char *name;
    const json_t *id, *x;
    size_t i;
    json_object_foreach((json_t *)vocab, name, id) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= YK_MAX_VOCAB)
            YK_FAIL(YK_ERR_INPUT, "the token `%.40s` has no id from 0 to %d", name, YK_MAX_VOCAB - 1);
        if (json_integer_value(id) > most) most = json_integer_value(id);
    }
    json_array_foreach(added, i, x) {
        json_int_t one = json_integer_value(json_object_get(x, "id"));
        if (one > most && one < YK_MAX_VOCAB) most = one; /* others are refused where they are read */
    }
    if (json_object_size(vocab) < 256)
        YK_FAIL(YK_ERR_INPUT, "a vocabulary of %zu tokens is not supported", json_object_size(vocab));
    *n = (int32_t)most + 1;
done:
    return st;
}

/* The settings are the file without its two long lists, whose places are kept. */
static json_t *settings_of(const json_t *root)
{
    json_t *settings = json_copy((json_t *)root), *model = json_copy(json_object_get(root, "model"));
    json_object_set_new(model, "vocab", json_null());
    json_object_set_new(model, "merges", json_null());
    json_object_set_new(settings, "model", model);
    return settings;
}

static yk_status read_root(yk_tokenizer **out, json_t *root, const char *const *special, size_t specials, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    yk_buf text = {0};
    int32_t *made = NULL, ids = 0;
    const char *name;
    json_t *id, *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab"), *x;
    const json_t *merges = json_object_get(model, "merges"), *added;
    json_t *literal = json_object();
    size_t i;
    if (!json_is_object(vocab) || !json_is_array(merges))
        YK_FAIL(YK_ERR_INPUT, "no BPE model with vocab and merges; only that is supported");
    YK_TRY(count_ids(vocab, json_object_get(root, "added_tokens"), &ids, err));
    YK_TRY(yk_settings_specials(root, special, specials, &ids, err));
    added = json_object_get(root, "added_tokens");
    YK_TRY(yk_tokenizer_new(&t, ids, json_array_size(merges), settings_of(root), err));
    json_array_foreach(added, i, x) {
        const char *content = json_string_value(json_object_get(x, "content"));
        if (content) json_object_set_new(literal, content, json_true());
    }
    json_object_foreach(vocab, name, id) YK_TRY(put_token(t, name, id, json_object_get(literal, name), &text, err));
    YK_NEW(made, t->merges);
    for (size_t r = 0; r < t->merges; r++)
        YK_TRY(read_merge(json_array_get(merges, r), vocab, r, t->merge[r], &made[r], &text, err));
    YK_TRY(yk_tokenizer_ready(t, made, err));
    *out = t;
    t = NULL;
done:
    free(made);
    json_decref(literal);
    yk_buf_free(&text);
    yk_tokenizer_free(t);
    return st;
}

static yk_status load(yk_tokenizer **t, const char *path, const char *const *special, size_t specials, yk_error *err)
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
    st = yk_context(err, read_root(t, root, special, specials, err), "%s", path);
done:
    json_decref(root);
    yk_buf_free(&text);
    return st;
}

yk_status yk_tokenizer_load(yk_tokenizer **t, const char *path, yk_error *err)
{
    return load(t, path, NULL, 0, err);
}

yk_status yk_tokenizer_import(yk_tokenizer **t, const char *path, const char *pattern, const char *const *special,
                              size_t specials, yk_error *err)
{
    return pattern ? yk_tokenizer_from_ranks(t, path, pattern, special, specials, err)
                   : load(t, path, special, specials, err);
}
