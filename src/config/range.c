#include "config/range.h"

#include "base/math64.h"
#include "config/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 4 };

/* The row that an entry names, NULL when there is none. */
static const yk_key *key_of(const yk_tuned *t)
{
    const char *dot = strchr(t->key, '.');
    char group[YK_PATH_ROOM];
    if (!dot || dot - t->key >= YK_PATH_ROOM) return NULL;
    memcpy(group, t->key, (size_t)(dot - t->key));
    group[dot - t->key] = 0;
    return yk_entries_find(group) ? NULL : yk_key_find(group, dot + 1);
}

static bool is_choice(const yk_tuned *t)
{
    return strcmp(t->scale, "choice") == 0;
}

static bool is_log(const yk_tuned *t)
{
    return strcmp(t->scale, "log") == 0;
}

int64_t yk_range_choices(const yk_tuned *t)
{
    return is_choice(t) ? (int64_t)t->values.n : 0;
}

static double number_at(const yk_tuned *t, double at)
{
    if (!is_log(t)) return t->low + at * (t->high - t->low);
    double low = yk_log64(t->low);
    return yk_exp64(low + at * (yk_log64(t->high) - low));
}

void yk_range_value(const yk_tuned *t, double at, yk_buf *out)
{
    char number[YK_NUMBER_ROOM];
    if (is_choice(t)) {
        yk_buf_puts(out, t->values.item[(size_t)at]);
        return;
    }
    const yk_key *k = key_of(t);
    bool whole = k && k->type == YK_KEY_INT;
    double x = number_at(t, at);
    x = whole ? floor(x + 0.5) : yk_to_digits(x, DIGITS);
    if (x < t->low) x = whole ? ceil(t->low) : t->low;
    if (x > t->high) x = whole ? floor(t->high) : t->high;
    yk_print_real(x, number);
    if (whole) yk_buf_printf(out, "%lld", (long long)x);
    else yk_buf_puts(out, number);
}

double yk_range_place(const yk_tuned *t, const char *value)
{
    double x;
    for (size_t i = 0; is_choice(t) && i < t->values.n; i++)
        if (strcmp(t->values.item[i], value) == 0) return (double)i;
    if (is_choice(t) || !yk_parse_real(value, &x) || x < t->low || x > t->high) return -1;
    if (!is_log(t)) return (x - t->low) / (t->high - t->low);
    double low = yk_log64(t->low), at = (yk_log64(x) - low) / (yk_log64(t->high) - low);
    return at < 0 ? 0 : at > 1 ? 1 : at;
}

/* Only what training alone depends on may differ between trials, and they must stay comparable. */
static bool may_differ(const yk_key *k)
{
    static const char *const fixed[] = {"steps", "tokens", "micro_batch", "eval_every", "eval_tokens", "keep",
                                        "checkpoint_every", "prompts", "sample_tokens", "sample_temperature",
                                        "local_steps", "local_after"};
    if (strcmp(k->group, "model") == 0) return true;
    if (strcmp(k->group, "pretrain") != 0) return false;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(k->name, fixed[i]) == 0) return false;
    return true;
}

static yk_status unknown_key(const yk_recipe *r, size_t i, yk_error *err)
{
    const char *name = r->tune[i].key, *dot = strchr(name, '.');
    char group[YK_SHOWN_ROOM], shown[YK_SHOWN_ROOM];
    yk_buf remedy = {0};
    snprintf(group, sizeof group, "%.*s", dot ? (int)(dot - name) : 0, name);
    yk_suggest(group, dot ? dot + 1 : name, &remedy);
    yk_status st = yk_fail_entry(r, YK_TUNE, i, "key", err, "names an unknown key, `%s`%s", yk_shown(name, shown),
                                 remedy.data);
    yk_buf_free(&remedy);
    return st;
}

static yk_status check_numbers(const yk_recipe *r, size_t i, const yk_key *k, yk_error *err)
{
    const yk_tuned *t = &r->tune[i];
    double low = 0, high = 0;
    if (k->type != YK_KEY_INT && k->type != YK_KEY_REAL)
        return yk_fail_entry(r, YK_TUNE, i, "scale", err,
                             "is `%s`, but `%s` is no number; write scale: choice and values",
                             t->scale, t->key);
    yk_parse_real(k->low, &low);
    yk_parse_real(k->high, &high);
    if (t->low < low || t->low > high)
        return yk_fail_entry(r, YK_TUNE, i, "low", err, "is %g; `%s` may be from %s to %s", t->low, t->key, k->low,
                             k->high);
    if (t->high < low || t->high > high)
        return yk_fail_entry(r, YK_TUNE, i, "high", err, "is %g; `%s` may be from %s to %s", t->high, t->key, k->low,
                             k->high);
    if (is_log(t) && !(t->low > 0))
        return yk_fail_entry(r, YK_TUNE, i, "low", err, "is %g; on a log scale it must be above 0", t->low);
    if (!(t->low < t->high) || (k->type == YK_KEY_INT && ceil(t->low) >= floor(t->high)))
        return yk_fail_entry(r, YK_TUNE, i, "high", err, "is %g; it must be above `low`, %g", t->high, t->low);
    if (t->values.n)
        return yk_fail_entry(r, YK_TUNE, i, "values", err, "go with scale: choice; write that, or `low` and `high`");
    return YK_OK;
}

static yk_status check_choice(const yk_recipe *r, size_t i, const yk_key *k, yk_error *err)
{
    const yk_tuned *t = &r->tune[i];
    yk_recipe probe = {0};
    yk_error why;
    yk_status st = YK_OK;
    if (t->values.n < 2)
        return yk_fail_entry(r, YK_TUNE, i, "values", err, "has %zu; a choice is between two values or more",
                             t->values.n);
    for (size_t v = 0; v < t->values.n && st == YK_OK; v++) {
        st = yk_key_set(k, &probe, t->values.item[v], &why);
        if (st != YK_OK) yk_fail_entry(r, YK_TUNE, i, "values", err, "has a value that does not fit: %s", why.text);
    }
    yk_keys_free(k, 1, &probe);
    return st;
}

static yk_status check_range(const yk_recipe *r, size_t i, yk_error *err)
{
    const yk_tuned *t = &r->tune[i];
    if (!t->key[0]) return yk_fail_entry(r, YK_TUNE, i, "key", err, "is missing; name a key, such as pretrain.lr");
    const yk_key *k = key_of(t);
    if (!k) return unknown_key(r, i, err);
    if (!may_differ(k) || k->type == YK_KEY_LIST)
        return yk_fail_entry(r, YK_TUNE, i, "key", err,
                             "is `%s`, which must be the same in all trials; keys of model and pretrain can be "
                             "searched, but not how long training is and how it is judged", t->key);
    for (size_t j = 0; j < i; j++)
        if (strcmp(r->tune[j].key, t->key) == 0)
            return yk_fail_entry(r, YK_TUNE, i, "key", err, "is `%s`, as is `tune.%zu.key`; remove one", t->key, j);
    return is_choice(t) ? check_choice(r, i, k, err) : check_numbers(r, i, k, err);
}

yk_status yk_ranges_check(const yk_recipe *r, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < r->tuned; i++) YK_TRY(check_range(r, i, err));
done:
    return st;
}
