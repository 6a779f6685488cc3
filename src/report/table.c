/* The table at the end of a run, for a terminal of 80 columns. */
#include "report/html.h"
#include "report/record.h"
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 18, VALUE = 16, BAR = 32, LABEL = 28 };

/* Text in `columns` columns, cut with an ellipsis or padded; control characters become '?'. */
static void cell(yk_buf *out, const char *text, int columns, bool right)
{
    char shown[256];
    snprintf(shown, sizeof shown - 3, "%s", text ? text : "");
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    bool cut = false;
    for (size_t n = strlen(shown); yk_text_columns(shown) > columns - cut; cut = true) {
        do n--;
        while (n > 0 && ((unsigned char)shown[n] & 0xC0) == 0x80);
        shown[n] = 0;
    }
    if (cut) strcat(shown, "…");
    int pad = columns - yk_text_columns(shown);
    if (right) yk_buf_printf(out, "%*s", pad, "");
    yk_buf_puts(out, shown);
    if (!right) yk_buf_printf(out, "%*s", pad, "");
}

static void end_line(yk_buf *out)
{
    while (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
    yk_buf_puts(out, "\n");
}

static void bar(yk_buf *out, double share)
{
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(8 * BAR * fmin(fmax(share, 0), 1) + 0.5);
    for (int i = 0; i < eighths / 8; i++) yk_buf_puts(out, "█");
    yk_buf_puts(out, part[eighths % 8]);
}

static void stage_rows(yk_buf *out, json_t *stages)
{
    double total = 0;
    size_t n = json_array_size(stages);
    for (size_t i = 0; i < n; i++)
        total += fmax(0, yk_json_number(json_array_get(stages, i), "seconds"));
    if (n == 0) return;
    yk_buf_puts(out, "Where the time went\n");
    for (size_t i = 0; i < n; i++) {
        json_t *stage = json_array_get(stages, i);
        double s = yk_json_number(stage, "seconds"), share = total > 0 ? s / total : NAN;
        const char *status = yk_json_text(stage, "status");
        yk_buf_puts(out, "  ");
        cell(out, yk_json_text(stage, "name"), NAME, false);
        cell(out, yk_seconds(s).text, VALUE, true);
        cell(out, yk_percent(share, 1).text, 8, true);
        yk_buf_puts(out, "  ");
        if (status && strcmp(status, "done") && !(s > 0))
            cell(out, status, BAR, false);
        else
            bar(out, share);
        end_line(out);
    }
    yk_buf_puts(out, "  ");
    cell(out, "total", NAME, false);
    cell(out, yk_seconds(total).text, VALUE, true);
    yk_buf_puts(out, "\n\n");
}

/* "  label    value   beside", left out when the value is unknown. */
static void figure(yk_buf *out, const char *label, const char *value, const char *beside)
{
    if (!value || !strcmp(value, "–")) return;
    yk_buf_puts(out, "  ");
    cell(out, label, LABEL, false);
    cell(out, value, VALUE, false);
    cell(out, beside, 79 - 2 - LABEL - VALUE, false);
    end_line(out);
}

static void domain_rows(yk_buf *out, json_t *summary)
{
    const char *name;
    json_t *value, *baseline = yk_json_at(summary, "baseline.by_domain");
    json_object_foreach (yk_json_at(summary, "pretrain.heldout_bpb.by_domain"), name, value) {
        json_t *row = json_object_get(baseline, name);
        char label[128], beside[128] = "";
        if (!json_is_number(value)) continue;
        if (row)
            snprintf(beside, sizeof beside, "gzip %s, xz %s",
                     yk_fixed(yk_json_number(row, "gzip_bpb"), 3).text,
                     yk_fixed(yk_json_number(row, "xz_bpb"), 3).text);
        snprintf(label, sizeof label, "  %s", name);
        figure(out, label, yk_fixed(json_number_value(value), 3).text, beside);
    }
}

/* What a search found. */
static void tuned_rows(yk_buf *out, json_t *summary)
{
    const char *key;
    json_t *value, *tune = yk_json_at(summary, "tune");
    char beside[160];
    snprintf(beside, sizeof beside, "best of %s trials, the steps of %s runs",
             yk_count(yk_json_number(tune, "trials")).text, yk_fixed(yk_json_number(tune, "runs"), 1).text);
    figure(out, "tuned, bits per byte", yk_fixed(yk_json_number(tune, "score"), 3).text, beside);
    json_object_foreach (yk_json_at(tune, "best"), key, value) {
        const char *text = json_string_value(value);
        char label[128];
        snprintf(label, sizeof label, "  %s", key);
        figure(out, label, text ? text : yk_plain(json_number_value(value)).text, NULL);
    }
}

static yk_num number(double x, bool share)
{
    return share ? yk_percent(x, 1) : yk_fixed(x, 2);
}

/* "before -> after" of what each stage after pretraining is for. */
static void course_rows(yk_buf *out, json_t *summary)
{
    static const struct {
        const char *label, *before, *after, *beside, *beside_label;
        bool share;
    } rows[] = {
        {"proposals kept (propose)", NULL, "propose.share", NULL, NULL, true},
        {"answer tokens right (sft)", NULL, "sft.heldout_accuracy", "sft.heldout_exact", "of whole answers", true},
        {"answer tokens right (distill)", NULL, "distill.heldout_accuracy", "distill.agreement",
         "as the teacher", true},
        {"preferences right (reward)", "reward.pair_accuracy_before", "reward.pair_accuracy", NULL, NULL, true},
        {"reward (ppo)", "ppo.reward_before", "ppo.reward_after", "ppo.kl", "nats from the start", false},
        {"preferences right (dpo)", NULL, "dpo.pair_accuracy", NULL, NULL, true},
        {"problems right (grpo)", "grpo.accuracy_before", "grpo.accuracy_after", "grpo.format_after",
         "well-formed", true},
        {"problems right (refine)", "refine.accuracy_before", "refine.accuracy_after", NULL, NULL, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double before = rows[i].before ? yk_json_number(summary, rows[i].before) : NAN;
        double after = yk_json_number(summary, rows[i].after);
        double beside = rows[i].beside ? yk_json_number(summary, rows[i].beside) : NAN;
        char value[128], text[160] = "", first[64] = "";
        if (isnan(after)) continue;
        if (!isnan(before)) snprintf(first, sizeof first, "%s -> ", number(before, rows[i].share).text);
        snprintf(value, sizeof value, "%s%s", first, number(after, rows[i].share).text);
        if (!isnan(beside))
            snprintf(text, sizeof text, "%s %s", number(beside, rows[i].share).text, rows[i].beside_label);
        figure(out, rows[i].label, value, text);
    }
}

/* Of a stage that several ranks performed: what each took, from the one that took least to the one that took most. */
static void balance_rows(yk_buf *out, json_t *summary, const char *stage)
{
    static const char *const phase[] = {"forward", "backward", "update", "exchange"};
    json_t *b = yk_json_at(json_object_get(summary, stage), "balance");
    char text[128];
    if (!b) return;
    yk_buf_printf(out, "%s of %s ranks, seconds\n", stage, yk_count(yk_json_number(b, "ranks")).text);
    for (size_t i = 0; i < sizeof phase / sizeof *phase; i++) {
        json_t *of = yk_json_at(yk_json_at(b, "phases"), phase[i]);
        const double avg = yk_json_number(of, "avg");
        snprintf(text, sizeof text, "from %s to %s", yk_fixed(yk_json_number(of, "min"), 2).text,
                 yk_fixed(yk_json_number(of, "max"), 2).text);
        figure(out, phase[i], yk_fixed(avg, 2).text, text);
    }
    snprintf(text, sizeof text, "and to the exchange %s", yk_percent(yk_json_number(b, "network"), 1).text);
    figure(out, "lost to unequal ranks", yk_percent(yk_json_number(b, "imbalance"), 1).text, text);
    yk_buf_puts(out, "  ");
    cell(out, yk_json_text(b, "advice"), 77, false);
    end_line(out);
    yk_buf_puts(out, "\n");
}

void yk_report_table(json_t *summary, yk_buf *out)
{
    double start = yk_json_number(summary, "pretrain.heldout_bpb.start");
    double end = yk_json_number(summary, "pretrain.heldout_bpb.end");
    double gzip = yk_json_number(summary, "baseline.gzip_bpb"),
           xz = yk_json_number(summary, "baseline.xz_bpb");
    double unigram = yk_json_number(summary, "masked.unigram_accuracy");
    double peak = yk_json_number(summary, "pretrain.peak_share");
    double skipped = yk_json_number(summary, "pretrain.skipped_steps");
    double scale = yk_json_number(summary, "pretrain.loss_scale");
    char value[128], beside[128] = "";
    stage_rows(out, yk_json_at(summary, "stages"));
    balance_rows(out, summary, "pretrain");
    balance_rows(out, summary, "sft");
    tuned_rows(out, summary);
    course_rows(out, summary);
    if (!isnan(end)) {
        snprintf(value, sizeof value, "%s -> %s", yk_fixed(start, 3).text, yk_fixed(end, 3).text);
        if (!isnan(gzip) && !isnan(xz))
            snprintf(beside, sizeof beside, "gzip %s, xz %s", yk_fixed(gzip, 3).text,
                     yk_fixed(xz, 3).text);
        figure(out, "held-out bits per byte", value, beside);
        domain_rows(out, summary);
    }
    snprintf(beside, sizeof beside, "unigram %s", yk_percent(unigram, 1).text);
    figure(out, "masked accuracy", yk_percent(yk_json_number(summary, "masked.accuracy"), 1).text,
           isnan(unigram) ? NULL : beside);
    snprintf(beside, sizeof beside, "%s of peak", yk_percent(peak, 1).text);
    figure(out, "tokens per second",
           yk_count(yk_json_number(summary, "pretrain.tokens_per_s")).text,
           isnan(peak) ? NULL : beside);
    snprintf(beside, sizeof beside, "%s of the exchanges hidden",
             yk_percent(yk_json_number(summary, "pretrain.exchange_hidden"), 0).text);
    figure(out, "waited for other ranks", yk_seconds(yk_json_number(summary, "pretrain.exchange_seconds")).text,
           beside);
    snprintf(beside, sizeof beside, "loss scale %s", yk_count(scale).text);
    if (skipped > 0)
        figure(out, "skipped steps", yk_count(skipped).text, scale > 1 ? beside : "not finite");
    figure(out, "tokens seen", yk_count(yk_json_number(summary, "pretrain.tokens")).text, NULL);
    figure(out, "bytes a token",
           yk_fixed(yk_json_number(summary, "tokenizer.bytes_per_token"), 2).text, NULL);
    figure(out, "corpus", yk_bytes(yk_json_number(summary, "corpus.bytes")).text, NULL);
    figure(out, "parameters", yk_short(yk_json_number(summary, "model.parameters")).text, NULL);
}
