/* Where the time went, samples, the recipe. */
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STAGES = 64, MAX_PROMPTS = 12, OPEN_PROMPTS = 2, MAX_TIMES = 6, SAMPLE_BYTES = 700 };

void yk_page_heading(yk_buf *out, const char *id, const char *title, const char *note)
{
    yk_html_add(out, "<section id=\"%s\"><h2>%s</h2>\n", id, title);
    if (note) yk_html_add(out, "<p class=\"note\">%s</p>\n", note);
}

static double total_seconds(json_t *stages)
{
    double total = 0;
    for (size_t i = 0; i < json_array_size(stages); i++) {
        double s = yk_json_number(json_array_get(stages, i), "seconds");
        if (s > 0) total += s;
    }
    return total;
}

static void stage_row(yk_buf *out, json_t *stage, double total, int colour)
{
    double s = yk_json_number(stage, "seconds");
    yk_html_add(out,
                "<tr><th scope=\"row\"><i class=\"key %s\"></i>%s</th><td class=\"num\">%s</td>",
                yk_colour_class(colour), yk_json_text(stage, "name"), yk_seconds(s).text);
    yk_html_add(out, "<td class=\"num\">%s</td><td class=\"soft\">%s</td></tr>\n",
                yk_percent(s / total, 1).text, yk_json_text(stage, "status"));
}

/* Under the bar: names of the segments that are wide enough to carry one. */
static void stage_names(yk_buf *out, json_t *stages, size_t n, double total)
{
    yk_buf_puts(out, "<div class=\"under\">");
    for (size_t i = 0; i < n; i++) {
        json_t *stage = json_array_get(stages, i);
        double share = yk_json_number(stage, "seconds") / total;
        if (!(share > 0)) continue;
        yk_buf_printf(out, "<span class=\"%s\" style=\"width:%.2f%%\">", yk_colour_class((int)i),
                      100 * fmin(share, 1));
        if (share >= 0.09)
            yk_html_add(out, "%s %s", yk_json_text(stage, "name"), yk_percent(share, 0).text);
        yk_buf_puts(out, "</span>");
    }
    yk_buf_puts(out, "</div>\n");
}

void yk_page_time(yk_buf *out, const yk_record *r)
{
    json_t *stages = yk_json_at(r->summary, "stages");
    size_t n = json_array_size(stages);
    double total = total_seconds(stages);
    yk_segment segment[MAX_STAGES];
    char title[MAX_STAGES][128];
    if (n > MAX_STAGES) n = MAX_STAGES;
    if (n == 0 || !(total > 0)) return;
    for (size_t i = 0; i < n; i++) {
        json_t *stage = json_array_get(stages, i);
        const char *name = yk_json_text(stage, "name");
        double s = yk_json_number(stage, "seconds");
        snprintf(title[i], sizeof title[i], "%s: %s", name ? name : "", yk_seconds(s).text);
        segment[i] = (yk_segment){s / total, (int)i, title[i]};
    }
    yk_page_heading(out, "time", "Where the time went", NULL);
    yk_svg_stack(out, segment, n);
    stage_names(out, stages, n, total);
    yk_buf_puts(
        out,
        "<div class=\"scroll slim\"><table><thead><tr><th>Stage</th><th class=\"num\">Time</th>"
        "<th class=\"num\">Share</th><th>Status</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) stage_row(out, json_array_get(stages, i), total, (int)i);
    yk_html_add(
        out,
        "<tr class=\"sum\"><th scope=\"row\">Total</th><td class=\"num\">%s</td><td></td><td></td>"
        "</tr></tbody></table></div></section>\n",
        yk_seconds(total).text);
}

static void balance_row(yk_buf *out, json_t *phases, const char *phase, bool seconds)
{
    static const char *const figure[] = {"min", "avg", "max"};
    json_t *of = yk_json_at(phases, phase);
    yk_html_add(out, "<tr><th scope=\"row\">%s</th>", phase);
    for (size_t i = 0; i < sizeof figure / sizeof *figure; i++) {
        const double x = yk_json_number(of, figure[i]);
        yk_html_add(out, "<td class=\"num\">%s</td>", seconds ? yk_seconds(x).text : yk_count(x).text);
    }
    yk_buf_puts(out, "</tr>\n");
}

static void balance_table(yk_buf *out, json_t *b, const char *stage)
{
    static const char *const phase[] = {"forward", "backward", "update", "exchange"};
    json_t *phases = yk_json_at(b, "phases");
    yk_html_add(out,
                "<h3>%s: %s ranks</h3><div class=\"scroll slim\"><table><thead><tr><th>A rank's</th>"
                "<th class=\"num\">least</th><th class=\"num\">mean</th><th class=\"num\">most</th></tr></thead>"
                "<tbody>\n",
                stage, yk_count(yk_json_number(b, "ranks")).text);
    for (size_t i = 0; i < sizeof phase / sizeof *phase; i++) balance_row(out, phases, phase[i], true);
    balance_row(out, phases, "rows", false);
    yk_html_add(out, "</tbody></table></div><p class=\"note\">Lost to unequal ranks %s, to the exchange %s: %s.</p>\n",
                yk_percent(yk_json_number(b, "imbalance"), 1).text, yk_percent(yk_json_number(b, "network"), 1).text,
                yk_json_text(b, "advice"));
}

void yk_page_balance(yk_buf *out, const yk_record *r)
{
    static const char *const stage[] = {"pretrain", "sft"};
    bool any = false;
    for (size_t i = 0; i < sizeof stage / sizeof *stage; i++) {
        json_t *b = yk_json_at(json_object_get(r->summary, stage[i]), "balance");
        if (!b) continue;
        if (!any) yk_page_heading(out, "balance", "How evenly ranks were busy", NULL);
        balance_table(out, b, stage[i]);
        any = true;
    }
    if (any) yk_buf_puts(out, "</section>\n");
}

static void one_sample(yk_buf *out, json_t *sample)
{
    const char *prompt = yk_json_text(sample, "prompt"), *text = yk_json_text(sample, "text");
    size_t n = strlen(prompt);
    if (n && !strncmp(text, prompt, n)) text += n;
    yk_html_add(out, "<div class=\"sample\"><div class=\"when\">step %s</div><p dir=\"auto\"><b>",
                yk_count(yk_json_number(sample, "step")).text);
    yk_html_text(out, prompt, SAMPLE_BYTES);
    yk_buf_puts(out, "</b>");
    yk_html_text(out, text, SAMPLE_BYTES);
    yk_buf_puts(out, "</p></div>\n");
}

/* Samples of one prompt, evenly chosen from the first to the last. */
static void prompt_samples(yk_buf *out, json_t **samples, size_t n, bool open)
{
    size_t shown = n < MAX_TIMES ? n : MAX_TIMES;
    if (!open) {
        yk_buf_puts(out, "<details><summary>");
        yk_html_text(out, yk_json_text(samples[0], "prompt"), 120);
        yk_buf_puts(out, "</summary>\n");
    }
    for (size_t k = 0; k < shown; k++)
        one_sample(out, samples[shown > 1 ? k * (n - 1) / (shown - 1) : 0]);
    yk_buf_puts(out, open ? "<hr/>\n" : "</details>\n");
}

static bool same_prompt(json_t *a, json_t *b)
{
    return !strcmp(yk_json_text(a, "prompt"), yk_json_text(b, "prompt"));
}

yk_status yk_page_samples(yk_buf *out, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    json_t **of_prompt = NULL, *prompt[MAX_PROMPTS];
    size_t prompts = 0;
    if (r->sample_count == 0) return YK_OK;
    YK_NEW(of_prompt, r->sample_count);
    for (size_t i = 0; i < r->sample_count && prompts < MAX_PROMPTS; i++) {
        size_t k = 0;
        while (k < prompts && !same_prompt(prompt[k], r->samples[i])) k++;
        if (k == prompts) prompt[prompts++] = r->samples[i];
    }
    yk_page_heading(out, "samples", "Samples over training",
                    "The prompt in bold, then what the model wrote at that step.");
    for (size_t k = 0; k < prompts; k++) {
        size_t n = 0;
        for (size_t i = 0; i < r->sample_count; i++) {
            if (!same_prompt(prompt[k], r->samples[i])) continue;
            double step = yk_json_number(r->samples[i], "step");
            while (n && yk_json_number(of_prompt[n - 1], "step") >= step) n--;
            of_prompt[n++] = r->samples[i];
        }
        prompt_samples(out, of_prompt, n, k < OPEN_PROMPTS);
    }
    yk_buf_puts(out, "</section>\n");
done:
    free(of_prompt);
    return st;
}

void yk_page_recipe(yk_buf *out, const yk_record *r)
{
    if (r->recipe.len == 0) return;
    yk_page_heading(out, "recipe", "Recipe",
                    "The resolved recipe: every key, with the value that was used.");
    yk_buf_puts(out, "<details><summary>recipe.yaml</summary><pre>");
    yk_html_text(out, r->recipe.data, 1 << 16);
    yk_buf_puts(out, "</pre></details></section>\n");
}
