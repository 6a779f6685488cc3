/* A line of a task's data as an example. */
#include "align/harness.h"
#include "align/template.h"

#include <stdlib.h>
#include <string.h>

/* Whether the text is the plain name of a member, which is known from the first line. */
static bool is_member(const yk_harness *t, const char *text)
{
    return json_object_get(t->first, text) != NULL;
}

/* What a member's name stands for; other text stands for itself, with its {{...}}. */
static yk_status value_of(const yk_harness *t, const char *text, const json_t *line, json_t **value, yk_error *err)
{
    if (!is_member(t, text)) return yk_template_value(text, line, value, err);
    *value = json_incref(json_object_get(line, text));
    return *value ? YK_OK : yk_fail(err, YK_ERR_INPUT, "`%s` is missing", text);
}

/* A value as a text, in its place. */
static yk_status to_text(json_t **value, const char *what, yk_error *err)
{
    char digits[32];
    if (json_is_string(*value)) return YK_OK;
    if (!json_is_integer(*value)) return yk_fail(err, YK_ERR_INPUT, "%s gives no text", what);
    snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(*value));
    json_decref(*value);
    *value = json_string(digits);
    return *value ? YK_OK : yk_fail(err, YK_ERR_MEMORY, "out of memory");
}

static yk_status choices_of(const yk_harness *t, const json_t *line, json_t **choices, yk_error *err)
{
    yk_status st = YK_OK;
    if (t->choice) {
        YK_TRY(value_of(t, t->choice, line, choices, err));
    } else {
        *choices = json_array();
        for (size_t i = 0; i < t->choices.n; i++) json_array_append_new(*choices, json_string(t->choices.item[i]));
    }
    if (json_array_size(*choices) < 2) YK_FAIL(YK_ERR_INPUT, "`doc_to_choice` gives no list of at least two texts");
done:
    return st;
}

/* Which choice the target is: a number, digits that a template gives, or the text of one. */
static yk_status label_of(const json_t *target, bool member, const json_t *choices, json_int_t *label, yk_error *err)
{
    const size_t n = json_array_size(choices);
    const char *text = json_string_value(target);
    const size_t digits = text ? strspn(text, "0123456789") : 0;
    *label = -1;
    if (json_is_boolean(target)) *label = json_is_true(target);
    if (json_is_integer(target)) *label = json_integer_value(target);
    if (!member && digits && digits < 4 && !text[digits]) *label = strtol(text, NULL, 10);
    for (size_t i = n; text && i-- > 0;)
        if (json_equal(json_array_get(choices, i), target) && *label < 0) *label = (json_int_t)i;
    if (*label >= 0 && *label < (json_int_t)n) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "`doc_to_target` gives `%.60s`, which is neither one of the choices nor a number "
                   "from 0 to %zu", text ? text : json_is_integer(target) ? "another number" : "no text", n - 1);
}

static yk_status prompt_of(const yk_harness *t, const json_t *line, json_t **prompt, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *text = NULL, *before = NULL;
    YK_TRY(value_of(t, t->text, line, &text, err));
    YK_TRY(to_text(&text, "`doc_to_text`", err));
    if (t->description) YK_TRY(value_of(t, t->description, line, &before, err));
    if (before) YK_TRY(to_text(&before, "`description`", err));
    *prompt = json_sprintf("%s%s", before ? json_string_value(before) : "", json_string_value(text));
done:
    json_decref(text);
    json_decref(before);
    return st;
}

json_t *yk_harness_rewrite(void *context, const json_t *line, yk_error *err)
{
    yk_harness *t = context;
    yk_status st = YK_OK;
    json_t *prompt = NULL, *target = NULL, *choices = NULL, *out = NULL;
    json_int_t label;
    if (!t->first) t->first = json_incref((json_t *)(uintptr_t)line);
    YK_TRY(prompt_of(t, line, &prompt, err));
    YK_TRY(value_of(t, t->target, line, &target, err));
    if (t->form == YK_CHOICE && !t->continues) {
        YK_TRY(choices_of(t, line, &choices, err));
        YK_TRY(label_of(target, is_member(t, t->target), choices, &label, err));
        out = json_pack("{s:O, s:O, s:I, s:s}", "prompt", prompt, "choices", choices, "label", label,
                        "target_delimiter", t->delimiter);
    } else {
        YK_TRY(to_text(&target, "`doc_to_target`", err));
        out = t->continues ? json_pack("{s:O, s:O, s:s}", "prompt", prompt, "target", target, "target_delimiter", "")
                           : json_pack("{s:O, s:O, s:s}", "prompt", prompt, "answer", target, "verifier", "exact");
    }
    if (!out) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
done:
    json_decref(prompt);
    json_decref(target);
    json_decref(choices);
    return st == YK_OK ? out : NULL;
}
