/* What follows from `size` and from other keys, and the rules that span keys. */
#include "config/schema.h"

#include "base/math64.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t up_to(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static void follow(yk_recipe *r, int64_t *field, int64_t value)
{
    if (*field) return;
    *field = value;
    yk_recipe_mark(r, field, "derived");
}

static void fill_shape(yk_recipe *r)
{
    follow(r, &r->model_head_size, r->model_heads ? r->model_width / r->model_heads : r->model_width < 512 ? 32 : 64);
    follow(r, &r->model_heads, r->model_width / r->model_head_size > 0 ? r->model_width / r->model_head_size : 1);
    follow(r, &r->model_kv_heads, r->model_heads % 2 == 0 && r->model_heads >= 4 ? r->model_heads / 2 : r->model_heads);
    follow(r, &r->model_ffn, up_to(8 * r->model_width / 3, 32));
}

static double parameters(const yk_recipe *r)
{
    double C = (double)r->model_width, q = (double)(r->model_heads * r->model_head_size);
    double kv = (double)(r->model_kv_heads * r->model_head_size), F = (double)r->model_ffn;
    double embedding = (double)r->tokenizer_vocab * C * (r->model_tied ? 1 : 2);
    return embedding + (double)r->model_layers * (2 * C * q + 2 * C * kv + 3 * C * F);
}

/* The rung of a ladder of widths (multiples of 64, depth width / 48) whose parameter count is nearest `size`. */
static void climb(yk_recipe *r, double size)
{
    double best = INFINITY;
    int64_t width = 64;
    for (int64_t w = 64; w <= 16384; w += 64) {
        yk_recipe trial = *r;
        trial.origin = NULL;
        trial.origins = 0;
        trial.model_width = w;
        if (!trial.model_layers) trial.model_layers = w / 48 > 2 ? w / 48 : 2;
        int64_t size_of_head = w < 512 ? 32 : 64, heads = w / size_of_head;
        if (!trial.model_head_size) trial.model_head_size = size_of_head;
        if (!trial.model_heads) trial.model_heads = heads;
        if (!trial.model_kv_heads) trial.model_kv_heads = heads >= 4 && heads % 2 == 0 ? heads / 2 : heads;
        if (!trial.model_ffn) trial.model_ffn = up_to(8 * w / 3, 32);
        double off = fabs(parameters(&trial) / size - 1);
        if (off < best) {
            best = off;
            width = w;
        }
    }
    follow(r, &r->model_width, width);
}

/* 6e-3 at a million parameters falling to 6e-4 at 124 million, two digits. */
static double rate_for(double size)
{
    double rate = 6e-3 * yk_pow64(size / 1e6, -0.478), unit = 1;
    while (rate / unit < 10) unit /= 10;
    return floor(rate / unit + 0.5) * unit;
}

yk_status yk_recipe_derive(yk_recipe *r, yk_error *err)
{
    double size = 2e6;
    if (r->size[0] && (!yk_parse_real(r->size, &size) || size < 1e5 || size > 1e11))
        return yk_fail(err, YK_ERR_CONFIG, "size: expected a parameter count from 100k to 100G, such as 2M, found `%s`",
                       r->size);
    if (!r->model_width) climb(r, size);
    follow(r, &r->model_layers, r->model_width / 48 > 2 ? r->model_width / 48 : 2);
    fill_shape(r);
    double learnt = parameters(r);
    int64_t batch = learnt < 2e7 ? 16 : learnt < 2e8 ? 64 : 256;
    follow(r, &r->pretrain_batch, up_to(batch, r->lanes));
    follow(r, &r->pretrain_tokens, r->pretrain_steps ? r->pretrain_steps * r->pretrain_batch * r->pretrain_seq
                                                     : (int64_t)(20 * learnt));
    int64_t a_step = r->pretrain_batch * r->pretrain_seq;
    follow(r, &r->pretrain_steps, (r->pretrain_tokens + a_step - 1) / a_step);
    follow(r, &r->pretrain_eval_every, r->pretrain_steps / 8 > 0 ? r->pretrain_steps / 8 : 1);
    follow(r, &r->evaluate_stride, r->pretrain_seq / 2);
    if (r->pretrain_lr == 0) {
        r->pretrain_lr = rate_for(learnt);
        yk_recipe_mark(r, &r->pretrain_lr, "derived");
    }
    return YK_OK;
}

static yk_status check_model(const yk_recipe *r, yk_error *err)
{
    long long C = r->model_width, H = r->model_heads, K = r->model_kv_heads, D = r->model_head_size;
    if (C % 16) return yk_fail(err, YK_ERR_CONFIG, "model.width is %lld; it must be a multiple of 16", C);
    if (D % 16) return yk_fail(err, YK_ERR_CONFIG, "model.head_size is %lld; it must be a multiple of 16", D);
    if (r->model_ffn % 16)
        return yk_fail(err, YK_ERR_CONFIG, "model.ffn is %lld; it must be a multiple of 16", (long long)r->model_ffn);
    if (H % K) return yk_fail(err, YK_ERR_CONFIG, "model.kv_heads is %lld; it must divide model.heads, %lld", K, H);
    if (r->lanes & (r->lanes - 1))
        return yk_fail(err, YK_ERR_CONFIG, "lanes is %lld; it must be a power of two", (long long)r->lanes);
    if (r->pretrain_batch % r->lanes)
        return yk_fail(err, YK_ERR_CONFIG, "pretrain.batch is %lld; it must be a multiple of lanes, %lld",
                       (long long)r->pretrain_batch, (long long)r->lanes);
    return YK_OK;
}

static yk_status check_corpus(const yk_recipe *r, yk_error *err)
{
    for (size_t i = 0; i < r->corpora; i++) {
        const yk_corpus *c = &r->corpus[i];
        const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        if (!c->domain[0] || strlen(c->domain) > 64 || strspn(c->domain, letters) != strlen(c->domain))
            return yk_fail(err, YK_ERR_CONFIG,
                           "corpus.%zu.domain is `%s`; a domain is a name of letters, digits, - and _", i, c->domain);
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->domain, r->corpus[j].domain) == 0)
                return yk_fail(err, YK_ERR_CONFIG, "corpus: domain `%s` is given twice; put all its paths in one entry",
                               c->domain);
        if (!c->paths.n == !c->generate)
            return yk_fail(err, YK_ERR_CONFIG, "corpus: domain `%s` needs either `paths` or `generate`", c->domain);
    }
    return YK_OK;
}

static yk_status check_stages(const yk_recipe *r, yk_error *err)
{
    static const char *const known[] = {"clean", "tokenizer", "pretrain", "evaluate"};
    int last = -1;
    for (size_t i = 0; i < r->stages.n; i++) {
        int found = -1;
        for (int k = 0; k < (int)(sizeof known / sizeof *known); k++)
            if (strcmp(r->stages.item[i], known[k]) == 0) found = k;
        if (found < 0)
            return yk_fail(err, YK_ERR_CONFIG, "stages: unknown stage `%s`; there are clean, tokenizer, pretrain, evaluate",
                           r->stages.item[i]);
        if (found <= last)
            return yk_fail(err, YK_ERR_CONFIG, "stages: `%s` is given twice or out of order (clean, tokenizer, pretrain, evaluate)",
                           r->stages.item[i]);
        last = found;
    }
    return YK_OK;
}

yk_status yk_recipe_check(const yk_recipe *r, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(check_model(r, err));
    YK_TRY(check_corpus(r, err));
    YK_TRY(check_stages(r, err));
    for (size_t i = 0; i < r->tokenizer_tune.n; i++) {
        int64_t v;
        if (!yk_parse_int(r->tokenizer_tune.item[i], &v) || v < 264 || v > 1000000)
            YK_FAIL(YK_ERR_CONFIG, "tokenizer.tune: `%s` is no vocabulary size from 264 to 1000000",
                    r->tokenizer_tune.item[i]);
    }
done:
    return st;
}
