#include "exchange/config.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

yk_status yk_hf_json(const char *path, json_t **x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    json_error_t why;
    *x = NULL;
    if (!yk_exists(path)) YK_FAIL(YK_ERR_INPUT, "%s: no such file", path);
    YK_TRY(yk_file_read(path, &text, err));
    if (text.len > MOST_BYTES) YK_FAIL(YK_ERR_INPUT, "%s: is too large", path);
    *x = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!*x) YK_FAIL(YK_ERR_INPUT, "%s:%d:%d: not valid JSON: %s", path, why.line, why.column, why.text);
    if (!json_is_object(*x)) YK_FAIL(YK_ERR_INPUT, "%s: is no JSON object", path);
done:
    if (st != YK_OK) {
        json_decref(*x);
        *x = NULL;
    }
    yk_buf_free(&text);
    return st;
}

/* A member that is there and not null, else NULL. */
static const json_t *member(const json_t *x, const char *key)
{
    const json_t *value = json_object_get(x, key);
    return json_is_null(value) ? NULL : value;
}

/* --- reading --------------------------------------------------------------------------------- */

static yk_status read_kind(const json_t *config, const yk_hf_kind **kind, yk_error *err)
{
    const char *architecture = json_string_value(json_array_get(member(config, "architectures"), 0));
    const char *model_type = json_string_value(member(config, "model_type"));
    const char *found = architecture ? architecture : model_type;
    yk_buf all = {0};
    for (size_t i = 0; i < yk_hf_kind_count; i++) {
        *kind = &yk_hf_kinds[i];
        if (found && strcmp(found, architecture ? (*kind)->architecture : (*kind)->model_type) == 0) {
            yk_buf_free(&all);
            return YK_OK;
        }
        yk_buf_printf(&all, "%s%s", i ? ", " : "", (*kind)->architecture);
    }
    yk_fail(err, YK_ERR_INPUT, "`architectures` has `%.64s`; there are %s", found ? found : "", all.data);
    yk_buf_free(&all);
    return YK_ERR_INPUT;
}

static void *field_of(yk_model_shape *s, const yk_hf_setting *x)
{
    return (char *)s + x->offset;
}

static yk_status read_setting(const json_t *config, const yk_hf_setting *x, yk_model_shape *s, yk_error *err)
{
    static const char *const wanted[] = {"a whole number above 0", "a number above 0", "true or false"};
    const json_t *value = member(config, x->key);
    double number = value ? json_number_value(value) : x->otherwise;
    if (!value && isnan(number)) return yk_fail(err, YK_ERR_INPUT, "`%s` is missing", x->key);
    bool good = x->type == YK_HF_INT    ? json_is_integer(value) && number >= 1 && number <= INT32_MAX
                : x->type == YK_HF_REAL ? json_is_number(value) && number > 0 && isfinite(number)
                                        : json_is_boolean(value);
    if (value && !good) return yk_fail(err, YK_ERR_INPUT, "`%s` should be %s", x->key, wanted[x->type]);
    if (x->type == YK_HF_INT) *(int64_t *)field_of(s, x) = (int64_t)number;
    if (x->type == YK_HF_REAL) *(double *)field_of(s, x) = number;
    if (x->type == YK_HF_FLAG) *(bool *)field_of(s, x) = value ? json_is_true(value) : number != 0;
    return YK_OK;
}

/* Two settings of theirs may be one of ours. */
static yk_status read_settings(const json_t *config, const yk_hf_kind *kind, yk_model_shape *s, yk_error *err)
{
    yk_status st = YK_OK;
    for (const yk_hf_setting *x = kind->settings; x->key; x++) {
        yk_model_shape before = *s;
        YK_TRY(read_setting(config, x, s, err));
        for (const yk_hf_setting *y = kind->settings; y < x; y++)
            if (y->offset == x->offset && *(bool *)field_of(&before, y) != *(bool *)field_of(s, x))
                YK_FAIL(YK_ERR_INPUT, "`%s` and `%s` differ, which is not supported", y->key, x->key);
    }
done:
    return st;
}

static bool has_value(const json_t *value, const char *text)
{
    json_t *wanted = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    bool same = json_equal(wanted, value);
    json_decref(wanted);
    return same;
}

static yk_status check_fixed(const json_t *config, const yk_hf_kind *kind, yk_error *err)
{
    size_t i;
    const json_t *x, *value;
    for (const yk_hf_fixed *f = kind->fixed; f->key; f++)
        if ((value = member(config, f->key)) && !has_value(value, f->value) && !has_value(value, f->as_well))
            return yk_fail(err, YK_ERR_INPUT, "`%s` is not %s, which is not supported", f->key, f->value);
    if (member(config, "quantization_config"))
        return yk_fail(err, YK_ERR_INPUT, "`quantization_config`: quantised weights are not supported");
    json_array_foreach(member(config, "layer_types"), i, x)
        if (!has_value(x, "\"full_attention\""))
            return yk_fail(err, YK_ERR_INPUT,
                           "`layer_types` has other than \"full_attention\", which is not supported");
    return YK_OK;
}

static yk_status read_positive(const json_t *x, const char *key, double *value, yk_error *err)
{
    const json_t *number = member(x, key);
    *value = json_number_value(number);
    if (json_is_number(number) && *value > 0 && *value < 1e15) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "`%s` of the rotary embedding should be a number above 0", key);
}

/* Llama 3 has its two bounds where model.c, turn_of, has them. */
static yk_status read_llama3(const json_t *rope, yk_model_shape *s, yk_error *err)
{
    yk_status st = YK_OK;
    double low, high, original;
    YK_TRY(read_positive(rope, "factor", &s->rope_factor, err));
    YK_TRY(read_positive(rope, "low_freq_factor", &low, err));
    YK_TRY(read_positive(rope, "high_freq_factor", &high, err));
    YK_TRY(read_positive(rope, "original_max_position_embeddings", &original, err));
    if (low != 1 || high != 4)
        YK_FAIL(YK_ERR_INPUT, "`low_freq_factor` and `high_freq_factor` are %g and %g; only 1 and 4 are supported",
                low, high);
    s->rope_original = (int64_t)original;
done:
    return st;
}

static yk_status read_rope(const json_t *config, yk_model_shape *s, yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *rope = member(config, "rope_parameters"), *type;
    if (!rope) rope = member(config, "rope_scaling");
    if (rope && !json_is_object(rope)) YK_FAIL(YK_ERR_INPUT, "`rope_parameters` should be an object");
    s->rope_theta = 10000;
    s->rope_factor = 1;
    if (member(config, "rope_theta")) YK_TRY(read_positive(config, "rope_theta", &s->rope_theta, err));
    if (member(rope, "rope_theta")) YK_TRY(read_positive(rope, "rope_theta", &s->rope_theta, err));
    if (!(type = member(rope, "rope_type"))) type = member(rope, "type");
    if (has_value(type, "\"llama3\"")) YK_TRY(read_llama3(rope, s, err));
    else if (type && !has_value(type, "\"default\""))
        YK_FAIL(YK_ERR_INPUT, "the rotary embedding is of type `%.32s`; default and llama3 are supported",
                json_is_string(type) ? json_string_value(type) : "?");
    else if (!type && rope && !member(rope, "rope_theta"))
        YK_FAIL(YK_ERR_INPUT, "`rope_parameters` has no `rope_type`; one for all layers is supported");
    const json_t *share = member(rope, "partial_rotary_factor");
    if (!share) share = member(config, "partial_rotary_factor");
    if (share && json_number_value(share) != 1)
        YK_FAIL(YK_ERR_INPUT, "`partial_rotary_factor` is not 1, which is not supported");
done:
    return st;
}

static const char *key_of(const yk_hf_kind *kind, size_t offset, const char *otherwise)
{
    for (const yk_hf_setting *x = kind->settings; x->key; x++)
        if (x->offset == offset) return x->key;
    return otherwise;
}

/* What follows from the other settings, and what the kernels can compute. */
static yk_status complete(const yk_hf_kind *kind, yk_model_shape *s, yk_error *err)
{
    const char *heads = key_of(kind, offsetof(yk_model_shape, heads), "");
    const char *width = key_of(kind, offsetof(yk_model_shape, width), "");
    if (!s->kv_heads) s->kv_heads = s->heads;
    if (!s->ffn) s->ffn = 4 * s->width;
    if (!s->head_size && s->width % s->heads != 0)
        return yk_fail(err, YK_ERR_INPUT, "`%s` does not divide `%s`", heads, width);
    if (!s->head_size) s->head_size = s->width / s->heads;
    if (s->heads % s->kv_heads != 0)
        return yk_fail(err, YK_ERR_INPUT, "`num_key_value_heads` does not divide `num_attention_heads`");
    const struct { int64_t value; const char *key; } sixteen[] = {
        {s->width, width}, {s->ffn, key_of(kind, offsetof(yk_model_shape, ffn), "")},
        {s->head_size, key_of(kind, offsetof(yk_model_shape, head_size), "the size of a head")}};
    for (size_t i = 0; i < sizeof sixteen / sizeof *sixteen; i++)
        if (sixteen[i].value % 16 != 0)
            return yk_fail(err, YK_ERR_INPUT, "`%s` is %lld; multiples of 16 are supported", sixteen[i].key,
                           (long long)sixteen[i].value);
    return YK_OK;
}

yk_status yk_hf_config_read(const json_t *config, const char *path, const yk_hf_kind **kind, yk_model_shape *shape,
                            yk_error *err)
{
    yk_status st = YK_OK;
    yk_model_shape s = {0};
    YK_TRY(read_kind(config, kind, err));
    YK_TRY(read_settings(config, *kind, &s, err));
    YK_TRY(check_fixed(config, *kind, err));
    yk_hf_kind_apply(*kind, &s);
    if (!s.learned_positions) YK_TRY(read_rope(config, &s, err));
    YK_TRY(complete(*kind, &s, err));
    *shape = s;
done:
    return yk_context(err, st, "%s", path);
}

/* --- writing --------------------------------------------------------------------------------- */

static json_t *rope_of(const yk_model_shape *s)
{
    json_t *x = json_pack("{s:s}", "rope_type", s->rope_factor > 1 ? "llama3" : "default");
    if (s->rope_factor > 1) {
        json_object_set_new(x, "factor", json_real(s->rope_factor));
        json_object_set_new(x, "low_freq_factor", json_real(1));
        json_object_set_new(x, "high_freq_factor", json_real(4));
        json_object_set_new(x, "original_max_position_embeddings", json_integer(s->rope_original));
    }
    return x;
}

/* Transformers before version 5 reads `rope_theta` and `rope_scaling`, from 5 on `rope_parameters`. */
static void put_rope(json_t *config, const yk_model_shape *s)
{
    json_t *rope = rope_of(s), *scaling = s->rope_factor > 1 ? json_copy(rope) : json_null();
    json_object_set_new(rope, "rope_theta", json_real(s->rope_theta));
    json_object_set_new(config, "rope_theta", json_real(s->rope_theta));
    json_object_set_new(config, "rope_scaling", scaling);
    json_object_set_new(config, "rope_parameters", rope);
}

json_t *yk_hf_config_make(const yk_hf_kind *kind, const yk_model_shape *shape, yk_safe_type type)
{
    static const char *const names[] = {[YK_SAFE_F32] = "float32", [YK_SAFE_BF16] = "bfloat16",
                                        [YK_SAFE_F16] = "float16"};
    yk_model_shape s = *shape;
    json_t *config = json_pack("{s:[s], s:s, s:s, s:b}", "architectures", kind->architecture, "model_type",
                               kind->model_type, "torch_dtype", names[type], "use_cache", 1);
    if (!config) return NULL;
    for (const yk_hf_setting *x = kind->settings; x->key; x++) {
        const void *field = field_of(&s, x);
        json_object_set_new(config, x->key, x->type == YK_HF_INT    ? json_integer(*(const int64_t *)field)
                                            : x->type == YK_HF_REAL ? json_real(*(const double *)field)
                                                                    : json_boolean(*(const bool *)field));
    }
    for (const yk_hf_fixed *f = kind->fixed; f->key; f++)
        json_object_set_new(config, f->key, json_loads(f->value, JSON_DECODE_ANY, NULL));
    if (!s.learned_positions) put_rope(config, &s);
    return config;
}
