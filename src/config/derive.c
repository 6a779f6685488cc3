/* What follows from the one dial `size` and from other keys.
 *
 * Shape: rungs of width 64, 128, 192, ...; heads of 64 (32 below width 256), half as many key heads
 * when that is at least 2, F = 8/3 C rounded up to 32, depth C / 48 within a half, at least 2.
 * The rung and depth whose parameter count is nearest `size` win; a depth that strays from C / 48
 * by its own size counts like a count that strays by a tenth. Given keys stay, and the rest fits
 * around them. Horizon: 20 tokens a parameter (Hoffmann et al., "Training compute-optimal large
 * language models", 2022). */
#include "config/schema.h"

#include "base/math64.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RUNG = 64, TOP_RUNG = 16384, DEPTH = 48, MOST_LAYERS = 1024 };

typedef struct shape {
    int64_t C, L, H, K, D, F;
} shape;

static int64_t round_up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* So that the experts that a token meets have together the inner width F. */
static int64_t expert_ffn(const yk_recipe *r, int64_t F)
{
    const int64_t met = r->model_experts_chosen + r->model_shared_experts, width = (F + 8 * met) / (16 * met) * 16;
    return r->model_expert_ffn ? r->model_expert_ffn : width < 16 ? 16 : width;
}

/* Those of experts that a token does not meet are left out. */
static double parameters(const yk_recipe *r, const shape *s)
{
    double C = (double)s->C, q = (double)(s->H * s->D), kv = (double)(s->K * s->D);
    bool gelu = strcmp(r->model_mlp, "gelu") == 0, learned = strcmp(r->model_position, "learned") == 0;
    double norm = strcmp(r->model_norm, "layernorm") == 0 ? 2 * C : C, inner = (gelu ? 1 : 2) * (double)s->F;
    double biases = r->model_bias ? q + 2 * kv + inner + 2 * C : r->model_qkv_bias ? q + 2 * kv : 0;
    double layer = 2 * C * q + 2 * C * kv + C * (inner + (double)s->F) + biases + 2 * norm +
                   (r->model_qk_norm ? 2 * (double)s->D : 0);
    double met = 3 * (double)((r->model_experts_chosen + r->model_shared_experts) * expert_ffn(r, s->F));
    double mixed = r->model_experts && s->L > r->model_dense_layers ? (double)(s->L - r->model_dense_layers) : 0;
    double mixtures = mixed * C * (met + (double)r->model_experts - inner - (double)s->F);
    double table = (double)(r->model_vocab ? r->model_vocab : r->tokenizer_vocab) * C;
    double positions = learned ? (double)r->pretrain_seq * C : 0;
    return (r->model_tied ? 1 : 2) * table + positions + norm + (double)s->L * layer + mixtures;
}

static shape shape_of(const yk_recipe *r)
{
    return (shape){r->model_width,    r->model_layers,    r->model_heads,
                   r->model_kv_heads, r->model_head_size, r->model_ffn};
}

double yk_recipe_parameters(const yk_recipe *r)
{
    shape s = shape_of(r);
    return parameters(r, &s);
}

/* The keys that a width decides, around those that are given. */
static shape shape_at(const yk_recipe *r, int64_t width)
{
    shape s = shape_of(r);
    s.C = width;
    if (!s.D && s.H) s.D = width / s.H;
    if (!s.D)
        for (s.D = width < 256 ? 32 : 64; width % s.D != 0;) s.D /= 2;
    if (!s.H) s.H = width >= s.D ? width / s.D : 1;
    if (!s.K) s.K = s.H % 2 == 0 && s.H >= 4 ? s.H / 2 : s.H;
    if (!s.F) s.F = strcmp(r->model_mlp, "gelu") == 0 ? 4 * width : round_up((8 * width + 2) / 3, 32);
    return s;
}

static bool is_sound(const shape *s)
{
    return s->D >= 16 && s->D % 16 == 0 && s->D <= 512 && s->H <= 1024 && s->H % s->K == 0;
}

/* Tries the depths allowed at one width; keeps the best shape so far. */
static void try_depths(const yk_recipe *r, shape s, double size, double *best, shape *winner)
{
    int64_t from = s.C * 2 / (3 * DEPTH), to = s.C * 3 / (2 * DEPTH);
    if (r->model_width) { /* a given width: any depth that hits the size */
        from = 1;
        to = MOST_LAYERS;
    } else {
        from = from < 2 ? 2 : from;
        to = to < from ? from : to;
    }
    if (r->model_layers) from = to = r->model_layers;
    for (s.L = from; s.L <= to; s.L++) {
        double off = fabs(parameters(r, &s) / size - 1);
        if (!r->model_width) off += 0.1 * fabs((double)(s.L * DEPTH) / (double)s.C - 1);
        if (off < *best) {
            *best = off;
            *winner = s;
        }
    }
}

static yk_status climb(const yk_recipe *r, double size, shape *winner, yk_error *err)
{
    double best = INFINITY;
    int64_t from = r->model_width ? r->model_width : RUNG,
            to = r->model_width ? r->model_width : TOP_RUNG;
    for (int64_t width = from; width <= to; width += RUNG) {
        bool fits = r->model_heads && !r->model_head_size ? width % r->model_heads == 0
                                                          : width % 16 == 0;
        shape s = shape_at(r, width);
        if (!fits || !is_sound(&s)) continue;
        s.L = 1;
        if (best < INFINITY && parameters(r, &s) > 4 * size) break;
        try_depths(r, s, size, &best, winner);
    }
    if (best == INFINITY)
        return yk_fail_key(r, &r->size, err,
                           "finds no width that goes with the given model.* keys; "
                           "set model.width");
    double n = parameters(r, winner);
    if (r->size[0] && n > 2 * size)
        return yk_fail_key(
            r, &r->size, err,
            "is %s, but with a vocabulary of %lld and the given model.* keys the nearest "
            "model has %.0f parameters; lower tokenizer.vocab or raise size",
            r->size, (long long)r->tokenizer_vocab, n);
    return YK_OK;
}

/* Gives an open key its value; `from` says what decided. */
static yk_status follow(yk_recipe *r, int64_t *field, int64_t value, const char *from,
                        yk_error *err)
{
    if (*field) return YK_OK;
    *field = value;
    return yk_origin_set(yk_origin_of(r, field), YK_FROM_RULE, from, err);
}

static yk_status derive_shape(yk_recipe *r, double size, const char *dial, yk_error *err)
{
    yk_status st = YK_OK;
    shape s;
    if (!r->model_width || (r->size[0] && !r->model_layers)) {
        YK_TRY(climb(r, size, &s, err));
    } else {
        s = shape_at(r, r->model_width);
        if (!s.L) s.L = s.C / DEPTH > 2 ? s.C / DEPTH : 2;
        if (s.L > MOST_LAYERS) s.L = MOST_LAYERS;
    }
    YK_TRY(follow(r, &r->model_width, s.C, dial, err));
    YK_TRY(follow(r, &r->model_layers, s.L, dial, err));
    YK_TRY(follow(r, &r->model_heads, s.H, dial, err));
    YK_TRY(follow(r, &r->model_head_size, s.D, dial, err));
    YK_TRY(follow(r, &r->model_kv_heads, s.K, "derived", err));
    YK_TRY(follow(r, &r->model_ffn, s.F, "derived", err));
    if (r->model_experts) YK_TRY(follow(r, &r->model_expert_ffn, expert_ffn(r, s.F), "derived", err));
done:
    return st;
}

/* 16 sequences up to 10M parameters, twice as many each time the model is four times that. */
static int64_t batch_for(double n, int64_t lanes)
{
    int64_t batch = 16;
    for (double limit = 1e7; n > limit && batch < 4096; limit *= 4) batch *= 2;
    return round_up(batch, lanes);
}

/* A power law through 6e-3 at a million parameters and 6e-4 at 124 million, at most 1e-2. */
static double rate_for(double n)
{
    double slope = yk_log64(10) / yk_log64(124), rate = 6e-3 * yk_pow64(n / 1e6, -slope);
    return yk_to_digits(rate < 1e-2 ? rate : 1e-2, 2);
}

/* Steps and tokens always agree: tokens = steps x batch x seq. Where both are given, a --set wins
 * over the file, and otherwise the steps win. */
static yk_status derive_horizon(yk_recipe *r, double n, const char *dial, yk_error *err)
{
    yk_status st = YK_OK;
    yk_origin *steps = yk_origin_of(r, &r->pretrain_steps),
              *tokens = yk_origin_of(r, &r->pretrain_tokens);
    const double most = 9007199254740991;
    if (r->pretrain_tokens && tokens->layer > steps->layer) r->pretrain_steps = 0;
    if (!r->pretrain_steps) YK_TRY(follow(r, &r->pretrain_tokens, (int64_t)(20 * n), dial, err));
    int64_t a_step = r->pretrain_batch * r->pretrain_seq;
    YK_TRY(
        follow(r, &r->pretrain_steps, (r->pretrain_tokens + a_step - 1) / a_step, "derived", err));
    if ((double)r->pretrain_steps * (double)a_step > most)
        return yk_fail_key(r, &r->pretrain_steps, err, "is %lld, which makes more than %.0f tokens",
                           (long long)r->pretrain_steps, most);
    if (r->pretrain_tokens != r->pretrain_steps * a_step) {
        r->pretrain_tokens = 0;
        YK_TRY(follow(r, &r->pretrain_tokens, r->pretrain_steps * a_step, "derived", err));
    }
done:
    return st;
}

yk_status yk_recipe_derive(yk_recipe *r, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t size = 2000000;
    const char *dial = r->size[0] || !r->model_width ? "size" : "derived";
    if (r->size[0] && (!yk_parse_int(r->size, &size) || size < 100000 || size > 100000000000)) {
        char shown[YK_SHOWN_ROOM];
        return yk_fail_key(r, &r->size, err,
                           "is a number of parameters from 100k to 100G, such as 2M; found `%s`",
                           yk_shown(r->size, shown));
    }
    YK_TRY(derive_shape(r, (double)size, dial, err));
    double n = yk_recipe_parameters(r);
    YK_TRY(follow(r, &r->pretrain_batch, batch_for(n, r->lanes), dial, err));
    YK_TRY(derive_horizon(r, n, dial, err));
    if (r->pretrain_lr == 0 && r->model_base_width)
        return yk_fail_key(r, &r->pretrain_lr, err, "is not given, but model.base_width is %lld: give the rate that was "
                           "found at that width", (long long)r->model_base_width);
    if (r->pretrain_lr == 0) {
        r->pretrain_lr = rate_for(n);
        YK_TRY(yk_origin_set(yk_origin_of(r, &r->pretrain_lr), YK_FROM_RULE, dial, err));
    }
    const int64_t unit = r->pretrain_local_steps ? r->pretrain_local_steps : 1;
    const int64_t eighth = r->pretrain_steps / 8 / unit * unit;
    YK_TRY(follow(r, &r->pretrain_eval_every, eighth ? eighth : unit, "derived", err));
    YK_TRY(follow(r, &r->evaluate_stride, r->pretrain_seq / 2, "derived", err));
done:
    return st;
}

/* The rules that span keys, or that bounds alone cannot say. */

static yk_status check_stages(const yk_recipe *r, yk_error *err)
{
    static const char *const known[] = {"clean", "tokenizer", "questions", "tune", "pretrain", "propose",
                                        "sft", "distill", "reward", "ppo", "dpo", "grpo", "refine", "evaluate"};
    char all[256] = "";
    const size_t count = sizeof known / sizeof *known;
    char shown[YK_SHOWN_ROOM];
    for (size_t k = 0; k < count; k++) strcat(strcat(all, k ? ", " : ""), known[k]);
    for (size_t i = 0, next = 0; i < r->stages.n; i++) {
        const char *stage = r->stages.item[i];
        size_t k = 0;
        while (k < count && strcmp(stage, known[k]) != 0) k++;
        if (k == count)
            return yk_fail_key(r, &r->stages, err, "has an unknown stage `%s`; there are [%s]",
                               yk_shown(stage, shown), all);
        if (k < next)
            return yk_fail_key(r, &r->stages, err,
                               "has `%s` twice or out of order; the order is [%s]", stage, all);
        next = k + 1;
    }
    return YK_OK;
}

bool yk_recipe_has_stage(const yk_recipe *r, const char *stage)
{
    for (size_t i = 0; i < r->stages.n; i++)
        if (strcmp(r->stages.item[i], stage) == 0) return true;
    return false;
}

static yk_status check_entry(const yk_recipe *r, size_t i, yk_error *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const yk_corpus *c = &r->corpus[i];
    char shown[YK_SHOWN_ROOM];
    size_t n = strlen(c->domain);
    if (!n) return yk_fail_entry(r, YK_CORPUS, i, "domain", err, "is missing; give the entry a name");
    if (n > 64 || strspn(c->domain, letters) != n)
        return yk_fail_entry(r, YK_CORPUS, i, "domain", err,
                          "is `%s`; a domain is up to 64 letters, digits, - and _",
                          yk_shown(c->domain, shown));
    for (size_t j = 0; j < i; j++)
        if (strcmp(c->domain, r->corpus[j].domain) == 0)
            return yk_fail_entry(
                r, YK_CORPUS, i, "domain", err,
                "is `%s`, as is `corpus.%zu.domain`; put all paths of a domain in one entry",
                c->domain, j);
    if (c->paths.n && c->generate)
        return yk_fail_entry(r, YK_CORPUS, i, "generate", err, "and `paths` exclude each other; remove one");
    if (!c->paths.n && !c->generate)
        return yk_fail_entry(r, YK_CORPUS, i, "paths", err, "is missing; name files, folders or patterns");
    for (size_t p = 0; p < c->paths.n; p++)
        if (!c->paths.item[p][0]) return yk_fail_entry(r, YK_CORPUS, i, "paths", err, "has an empty path");
    return YK_OK;
}

static yk_status check_corpus(const yk_recipe *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < r->corpora; i++) YK_TRY(check_entry(r, i, err));
    if (path && !r->corpora && yk_recipe_has_stage(r, "clean"))
        YK_FAIL(
            YK_ERR_CONFIG,
            "%s: `corpus` has no entry, but stage `clean` needs one; add `corpus:` with a list of "
            "entries (- domain: ..., paths: [...])",
            path);
done:
    return st;
}

/* The lowest rung of successive halving has a step at least. */
static yk_status check_rungs(const yk_recipe *r, yk_error *err)
{
    int64_t steps = r->pretrain_steps;
    if (!yk_recipe_has_stage(r, "tune")) return YK_OK;
    if (!r->tuned)
        return yk_fail_key(r, &r->stages, err, "has `tune`, but `tune:` has no entry; name a key and its range "
                           "(- key: pretrain.lr, scale: log, low: 1e-4, high: 1e-2)");
    for (int64_t k = 1; k < r->tuning_rungs; k++) steps /= r->tuning_factor;
    if (steps == 0)
        return yk_fail_key(r, &r->tuning_rungs, err, "is %lld, too many for %lld steps if each rung is a %lld-th of "
                           "the next",
                           (long long)r->tuning_rungs, (long long)r->pretrain_steps, (long long)r->tuning_factor);
    return YK_OK;
}

static yk_status check_tune(const yk_recipe *r, yk_error *err)
{
    const yk_key *vocab = yk_key_find("tokenizer", "vocab");
    char shown[YK_SHOWN_ROOM];
    int64_t low = 0, high = 0, n;
    yk_parse_int(vocab->low, &low);
    yk_parse_int(vocab->high, &high);
    for (size_t i = 0; i < r->tokenizer_tune.n; i++)
        if (!yk_parse_int(r->tokenizer_tune.item[i], &n) || n < low || n > high)
            return yk_fail_key(
                r, &r->tokenizer_tune, err,
                "has `%s`; expected vocabulary sizes from %s to %s, such as [1k, 2k]",
                yk_shown(r->tokenizer_tune.item[i], shown), vocab->low, vocab->high);
    return YK_OK;
}

/* What holds for a shape, as far as it is given: 0 is open. */
static yk_status check_model(const yk_recipe *r, yk_error *err)
{
    const int64_t *const sixteen[] = {&r->model_width, &r->model_head_size, &r->model_ffn, &r->model_expert_ffn};
    int64_t C = r->model_width, H = r->model_heads, K = r->model_kv_heads, D = r->model_head_size;
    for (size_t i = 0; i < sizeof sixteen / sizeof *sixteen; i++)
        if (*sixteen[i] % 16 != 0)
            return yk_fail_key(r, sixteen[i], err, "is %lld; it must be a multiple of 16",
                               (long long)*sixteen[i]);
    if (H && C && !D && C % H != 0)
        return yk_fail_key(r, &r->model_heads, err,
                           "is %lld, which does not divide model.width, %lld; change one, or set "
                           "model.head_size",
                           (long long)H, (long long)C);
    if (H && C && !D && C / H % 16 != 0)
        return yk_fail_key(
            r, &r->model_heads, err,
            "is %lld, which makes heads of %lld; model.head_size must be a multiple of 16",
            (long long)H, (long long)(C / H));
    if (H && K && H % K != 0)
        return yk_fail_key(r, &r->model_kv_heads, err, "is %lld; it must divide model.heads, %lld",
                           (long long)K, (long long)H);
    return YK_OK;
}

/* Loads are counted in fp32, exactly up to here. */
static const double most_load = 1 << 24;

static yk_status check_experts(const yk_recipe *r, yk_error *err)
{
    const double tokens = (double)r->pretrain_batch * (double)r->pretrain_seq;
    const int64_t E = r->model_experts;
    if (!E) return YK_OK;
    if (r->model_experts_chosen > E)
        return yk_fail_key(r, &r->model_experts_chosen, err, "is %lld, more than the %lld of `model.experts`",
                           (long long)r->model_experts_chosen, (long long)E);
    if (r->model_layers && r->model_dense_layers >= r->model_layers)
        return yk_fail_key(r, &r->model_dense_layers, err,
                           "is %lld, which leaves none of the %lld of `model.layers` for `model.experts`; lower it",
                           (long long)r->model_dense_layers, (long long)r->model_layers);
    if (strcmp(r->model_mlp, "gelu") == 0)
        return yk_fail_key(r, &r->model_mlp, err, "is gelu, but those of `model.experts` are swiglu; change one");
    if (r->model_bias)
        return yk_fail_key(r, &r->model_bias, err, "is true, but those of `model.experts` have no biases; change one");
    if (r->model_expert_bias_rate > 0 && tokens > most_load)
        return yk_fail_key(r, &r->pretrain_batch, err,
                           "makes %.0f tokens a step, more than the %.0f that `model.expert_bias_rate` can count; "
                           "lower it, or set model.expert_bias_rate to 0", tokens, most_load);
    return YK_OK;
}

/* The kinds of attention, in the order of recipe.def, as bits. */
enum { FULL = 1, WINDOW = 2, GLOBAL = 4, STRIDED = 8, SELECTED = 16 };

static unsigned kind_of_attention(const yk_recipe *r)
{
    static const char *const words[] = {"full", "window", "global", "strided", "selected"};
    unsigned kind = FULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(r->model_attention, words[i]) == 0) kind = 1u << i;
    return kind;
}

/* A key of a pattern is given where its kind needs it, and nowhere else. */
static yk_status check_attention(const yk_recipe *r, yk_error *err)
{
    const struct { const int64_t *value; unsigned needed, allowed; int64_t least; const char *kinds; } keys[] = {
        {&r->model_window, WINDOW | GLOBAL | STRIDED, 0, 1, "window, global or strided"},
        {&r->model_global_tokens, GLOBAL, STRIDED, 1, "global or strided"},
        {&r->model_attention_stride, STRIDED, 0, 2, "strided"},
        {&r->model_selected_blocks, SELECTED, 0, 3, "selected"},
        {&r->model_full_every, 0, WINDOW | GLOBAL | STRIDED | SELECTED, 2, "not full"}};
    const unsigned kind = kind_of_attention(r);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const long long value = *keys[i].value, least = keys[i].least;
        const bool has_place = (kind & (keys[i].needed | keys[i].allowed)) != 0;
        if (value != 0 && !has_place)
            return yk_fail_key(r, keys[i].value, err, "is %lld, which has a meaning where model.attention is %s; it is "
                               "%s: change one", value, keys[i].kinds, r->model_attention);
        if (value < least && (value != 0 || (kind & keys[i].needed)))
            return yk_fail_key(r, keys[i].value, err, "is %lld; model.attention: %s needs at least %lld", value,
                               r->model_attention, least);
    }
    if (r->model_layers && r->model_full_every > r->model_layers)
        return yk_fail_key(r, &r->model_full_every, err, "is %lld, more than model.layers, %lld: no layer would be "
                           "full", (long long)r->model_full_every, (long long)r->model_layers);
    return YK_OK;
}

static yk_status check_recompute(const yk_recipe *r, yk_error *err)
{
    const char *p = r->recompute;
    char shown[YK_SHOWN_ROOM];
    int64_t blocks = 0;
    bool every = strncmp(p, "every-", 6) == 0 && yk_parse_int(p + 6, &blocks) && blocks >= 1 && blocks <= MOST_LAYERS;
    if (every || strcmp(p, "none") == 0 || strcmp(p, "attention") == 0 || strcmp(p, "block") == 0) return YK_OK;
    return yk_fail_key(r, &r->recompute, err, "is `%s`; expected none, attention, block, or every- and a number of "
                       "blocks", yk_shown(p, shown));
}

static yk_status check_local(const yk_recipe *r, yk_error *err)
{
    const long long steps = r->pretrain_local_steps, every = r->pretrain_eval_every;
    if (!steps) return YK_OK;
    if (r->zero > 0)
        return yk_fail_key(r, &r->zero, err, "is %lld, but with pretrain.local_steps every lane has moments of its "
                           "own; set it to 0, or pretrain.local_steps to 0", (long long)r->zero);
    if (r->pretrain_spike_factor > 0)
        return yk_fail_key(r, &r->pretrain_spike_factor, err, "is %g, but steps of pretrain.local_steps are a lane's "
                           "own and not judged; set it to 0, or pretrain.local_steps to 0", r->pretrain_spike_factor);
    if (every % steps != 0)
        return yk_fail_key(r, &r->pretrain_eval_every, err, "is %lld; it must be a multiple of pretrain.local_steps, "
                           "%lld, after which there are weights to evaluate", every, steps);
    return YK_OK;
}

static yk_status check_training(const yk_recipe *r, yk_error *err)
{
    int64_t lanes = r->lanes, batch = r->pretrain_batch;
    if ((lanes & (lanes - 1)) != 0)
        return yk_fail_key(r, &r->lanes, err, "is %lld; it must be a power of two",
                           (long long)lanes);
    if (batch % lanes != 0)
        return yk_fail_key(r, &r->pretrain_batch, err,
                           "is %lld; it must be a multiple of lanes, %lld", (long long)batch,
                           (long long)lanes);
    if (strcmp(r->precision, "bf16") == 0 && r->pretrain_seq % 2 != 0)
        return yk_fail_key(r, &r->pretrain_seq, err,
                           "is %lld; it must be even for precision bf16, which multiplies pairs",
                           (long long)r->pretrain_seq);
    if ((r->pretrain_loss_scale & (r->pretrain_loss_scale - 1)) != 0)
        return yk_fail_key(r, &r->pretrain_loss_scale, err, "is %lld; it must be a power of two, or 0",
                           (long long)r->pretrain_loss_scale);
    if (r->pretrain_spike_factor > 0 && strcmp(r->pretrain_on_spike, "rollback") == 0 &&
        (r->pretrain_checkpoint_every == 0 ||
         r->pretrain_keep < r->pretrain_rollback_steps / r->pretrain_checkpoint_every + 2))
        return yk_fail_key(r, &r->pretrain_on_spike, err, "is rollback, for which pretrain.checkpoint_every (now %lld) "
                           "must be set, and pretrain.keep (now %lld) at least 2 + rollback_steps / checkpoint_every",
                           (long long)r->pretrain_checkpoint_every, (long long)r->pretrain_keep);
    if (r->ppo_minibatches > r->ppo_prompts)
        return yk_fail_key(r, &r->ppo_minibatches, err, "is %lld, more than the %lld of `ppo.prompts`",
                           (long long)r->ppo_minibatches, (long long)r->ppo_prompts);
    if (r->grpo_minibatches > r->grpo_prompts)
        return yk_fail_key(r, &r->grpo_minibatches, err, "is %lld, more than the %lld of `grpo.prompts`",
                           (long long)r->grpo_minibatches, (long long)r->grpo_prompts);
    if (r->evaluate_stride > r->pretrain_seq)
        return yk_fail_key(r, &r->evaluate_stride, err,
                           "is %lld; it must not exceed pretrain.seq, %lld",
                           (long long)r->evaluate_stride, (long long)r->pretrain_seq);
    if (r->questions_level_min > r->questions_level_max)
        return yk_fail_key(r, &r->questions_level_min, err, "is %lld; it must not exceed questions.level_max, %lld",
                           (long long)r->questions_level_min, (long long)r->questions_level_max);
    if (r->propose_nats_min > r->propose_nats_max)
        return yk_fail_key(r, &r->propose_nats_min, err, "is %g; it must not exceed propose.nats_max, %g",
                           r->propose_nats_min, r->propose_nats_max);
    if (r->propose_question_words_min > r->propose_question_words_max)
        return yk_fail_key(r, &r->propose_question_words_min, err,
                           "is %lld; it must not exceed propose.question_words_max, %lld",
                           (long long)r->propose_question_words_min, (long long)r->propose_question_words_max);
    if (r->propose_answer_words_min > r->propose_answer_words_max)
        return yk_fail_key(r, &r->propose_answer_words_min, err,
                           "is %lld; it must not exceed propose.answer_words_max, %lld",
                           (long long)r->propose_answer_words_min, (long long)r->propose_answer_words_max);
    if (r->clean_min_words > r->clean_max_words)
        return yk_fail_key(r, &r->clean_min_words, err,
                           "is %lld; it must not exceed clean.max_words, %lld",
                           (long long)r->clean_min_words, (long long)r->clean_max_words);
    if (strcmp(r->pretrain_schedule, "wsd") == 0 &&
        r->pretrain_warmup + r->pretrain_decay_share > 1)
        return yk_fail_key(r, &r->pretrain_decay_share, err,
                           "and pretrain.warmup together exceed the run; lower one");
    return YK_OK;
}

yk_status yk_recipe_check_given(const yk_recipe *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(check_stages(r, err));
    YK_TRY(check_corpus(r, path, err));
    YK_TRY(check_tune(r, err));
    YK_TRY(yk_ranges_check(r, err));
    YK_TRY(check_recompute(r, err));
    YK_TRY(check_model(r, err));
    YK_TRY(check_experts(r, err));
    YK_TRY(check_training(r, err));
    YK_TRY(check_local(r, err));
done:
    return st;
}

yk_status yk_recipe_check_whole(const yk_recipe *r, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(check_model(r, err));
    YK_TRY(check_experts(r, err));
    YK_TRY(check_attention(r, err));
    YK_TRY(check_training(r, err));
    YK_TRY(check_local(r, err));
    YK_TRY(check_rungs(r, err));
    for (size_t i = 0; i < yk_key_count; i++) YK_TRY(yk_key_check(&yk_keys[i], r, err));
done:
    return st;
}
