/* The settings of tokenizer.json: what stands beside vocabulary and merges. */
#include "token/unicode.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 8 };

static const char *type_of(const json_t *x)
{
    const char *type = json_string_value(json_object_get(x, "type"));
    return type ? type : json_is_null(x) || !x ? "null" : "?";
}

static yk_status read_normalizer(yk_tokenizer *t, const json_t *x, int depth, yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *inner, *list = json_object_get(x, "normalizers");
    size_t i;
    if (!x || json_is_null(x)) return YK_OK;
    if (strcmp(type_of(x), "NFC") == 0) t->nfc = true;
    else if (strcmp(type_of(x), "Sequence") == 0 && json_is_array(list) && depth < MAX_NESTING)
        json_array_foreach(list, i, inner) YK_TRY(read_normalizer(t, inner, depth + 1, err));
    else
        YK_FAIL(YK_ERR_INPUT, "normalizer `%.40s` is not supported; NFC, a Sequence of it, and none are", type_of(x));
done:
    return st;
}

static yk_status read_split(yk_tokenizer *t, const json_t *x, yk_error *err)
{
    static const char *const behaviours[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                             "Contiguous"};
    const json_t *pattern = json_object_get(x, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *text = json_string_value(json_object_get(pattern, "String"));
    const char *name = json_string_value(json_object_get(x, "behavior"));
    int behaviour = YK_ISOLATED;
    while (name && behaviour <= YK_CONTIGUOUS && strcmp(name, behaviours[behaviour]) != 0) behaviour++;
    if (!name || behaviour > YK_CONTIGUOUS)
        return yk_fail(err, YK_ERR_INPUT,
                       "Split: the behavior `%.40s` is not supported; Isolated, Removed, MergedWithPrevious, "
                       "MergedWithNext and Contiguous are",
                       name ? name : "null");
    if (!regex && !text) return yk_fail(err, YK_ERR_INPUT, "Split: the pattern is neither Regex nor String");
    return yk_stages_add(&t->stages, regex ? regex : text, !regex, (yk_behaviour)behaviour,
                         json_is_true(json_object_get(x, "invert")), err);
}

static yk_status read_byte_level(yk_tokenizer *t, const json_t *x, yk_error *err)
{
    yk_status st = YK_OK;
    if (json_is_true(json_object_get(x, "add_prefix_space")))
        YK_TRY(yk_stages_add(&t->stages, NULL, false, YK_ISOLATED, false, err));
    if (!json_is_false(json_object_get(x, "use_regex")))
        YK_TRY(yk_stages_add(&t->stages, yk_pattern_gpt2, false, YK_ISOLATED, false, err));
done:
    return st;
}

/* `last`: nothing comes after it, so that it must be, or end in, ByteLevel. */
static yk_status read_pretokenizer(yk_tokenizer *t, const json_t *x, bool last, int depth, yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *list = json_object_get(x, "pretokenizers");
    size_t n = json_array_size(list);
    const char *type = type_of(x);
    if (strcmp(type, "Sequence") == 0 && n && depth < MAX_NESTING) {
        for (size_t i = 0; i < n; i++)
            YK_TRY(read_pretokenizer(t, json_array_get(list, i), last && i + 1 == n, depth + 1, err));
        return YK_OK;
    }
    if (last != (strcmp(type, "ByteLevel") == 0))
        YK_FAIL(YK_ERR_INPUT,
                "pre_tokenizer `%.40s` is not supported %s; ByteLevel at the end and Split or Digits before it are",
                type, last ? "at the end" : "before the end");
    if (last) return read_byte_level(t, x, err);
    if (strcmp(type, "Split") == 0) return read_split(t, x, err);
    if (strcmp(type, "Digits") == 0)
        return yk_stages_add(&t->stages, "\\p{N}", false,
                             json_is_true(json_object_get(x, "individual_digits")) ? YK_ISOLATED : YK_CONTIGUOUS, false,
                             err);
    YK_FAIL(YK_ERR_INPUT, "pre_tokenizer `%.40s` is not supported; ByteLevel, Split, Digits and a Sequence of them are",
            type);
done:
    return st;
}

/* unk_token, fuse_unk and byte_fallback are for characters without a token, which a byte-level vocabulary has not. */
static yk_status read_model(yk_tokenizer *t, const json_t *model, yk_error *err)
{
    yk_status st = YK_OK;
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (json_object_get(model, "type") && strcmp(type_of(model), "BPE") != 0)
        YK_FAIL(YK_ERR_INPUT, "model `%.40s` is not supported; BPE is", type_of(model));
    const json_t *dropout = json_object_get(model, "dropout");
    if (dropout && !json_is_null(dropout) && json_number_value(dropout) != 0)
        YK_FAIL(YK_ERR_INPUT, "model: dropout is not supported");
    for (int i = 0; i < 2; i++) {
        const json_t *x = json_object_get(model, affixes[i]);
        if (x && !json_is_null(x) && json_string_length(x) > 0)
            YK_FAIL(YK_ERR_INPUT, "model: %s is not supported", affixes[i]);
    }
    t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
done:
    return st;
}

yk_status yk_settings_read(yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(read_normalizer(t, json_object_get(t->settings, "normalizer"), 0, err));
    YK_TRY(read_pretokenizer(t, json_object_get(t->settings, "pre_tokenizer"), true, 0, err));
    YK_TRY(read_model(t, json_object_get(t->settings, "model"), err));
    if (!t->stages.kinds) YK_TRY(yk_unicode_kinds(&t->stages.kinds, err)); /* for normalisation and added tokens */
done:
    return st;
}

json_t *yk_settings_new(const char *pattern, bool nfc, bool ignore_merges)
{
    json_t *level = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0,
                              "use_regex", !pattern);
    json_t *split = pattern ? json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", pattern,
                                        "behavior", "Isolated", "invert", 0)
                            : NULL;
    json_t *pre =
        pattern ? json_pack("{s:s, s:[o, O]}", "type", "Sequence", "pretokenizers", split, level) : json_incref(level);
    json_t *model = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:n, s:n}", "type", "BPE", "dropout",
                              "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                              "byte_fallback", 0, "ignore_merges", ignore_merges, "vocab", "merges");
    json_t *root =
        json_pack("{s:s, s:n, s:n, s:[], s:o, s:o, s:O, s:O, s:o}", "version", "1.0", "truncation", "padding",
                  "added_tokens", "normalizer", nfc ? json_pack("{s:s}", "type", "NFC") : json_null(), "pre_tokenizer",
                  pre, "post_processor", level, "decoder", level, "model", model);
    json_decref(level);
    return root;
}

/* False when memory is exhausted, or the text is not UTF-8. */
static bool append(json_t *settings, const char *token, json_int_t id)
{
    json_t *x = json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", token, "single_word", 0, "lstrip",
                          0, "rstrip", 0, "normalized", 0, "special", 1);
    return x && json_array_append_new(json_object_get(settings, "added_tokens"), x) == 0;
}

static yk_status add_special(json_t *settings, const char *text, int32_t *next, yk_error *err)
{
    yk_status st = YK_OK;
    const char *equals = strrchr(text, '=');
    char *stop = NULL, *name = NULL;
    long id = equals && equals > text && equals[1] ? strtol(equals + 1, &stop, 10) : 0;
    bool given = stop && !*stop;
    if (!given) id = *next;
    if (id < 0 || id >= YK_MAX_VOCAB)
        YK_FAIL(YK_ERR_USAGE, "special token %s: an id is from 0 to %d", text, YK_MAX_VOCAB - 1);
    YK_NEW(name, strlen(text) + 1);
    memcpy(name, text, given ? (size_t)(equals - text) : strlen(text));
    if (!*name || !append(settings, name, id)) YK_FAIL(YK_ERR_USAGE, "special token %s: no name in UTF-8", text);
    if (id >= *next) *next = (int32_t)id + 1;
done:
    free(name);
    return st;
}

yk_status yk_settings_specials(json_t *settings, const char *const *special, size_t n, int32_t *next, yk_error *err)
{
    yk_status st = YK_OK;
    if (!json_is_array(json_object_get(settings, "added_tokens")))
        json_object_set_new(settings, "added_tokens", json_array());
    for (size_t i = 0; i < n; i++) YK_TRY(add_special(settings, special[i], next, err));
done:
    return st;
}
