/* The stages after pretraining: what each was, its curves, its figures, and answers before and after side by side. */
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINTS = 400, MAX_PAIRS = 8, TEXT_BYTES = 500, FIGURES = 4, FACTS = 10 };

/* A curve of a member of the metrics' rows: of the evaluations, where a row of these has it, else of the steps. */
typedef struct figure {
    const char *title, *label, *member, *type;
    bool from_zero;
} figure;

typedef enum format { NUMBER, SHARE, COUNT } format;

/* A member of the stage's summary, or two of them, before and after. */
typedef struct fact {
    const char *label, *member, *after;
    format format;
} fact;

typedef struct page_kind {
    const char *name, *title, *note;
    figure figure[FIGURES];
    fact fact[FACTS];
} page_kind;

#define LEARNT                                                                                                        \
    {{"Loss", "nats per answer token", "loss", "step", false},                                                        \
     {"Held-out loss", "nats per answer token", "loss", "eval", false},                                               \
     {"Held-out tokens right", "share", "accuracy", "eval", true},                                                    \
     {"Held-out answers right", "share", "exact", "eval", true}}

#define SHARES                                                                                                        \
    {"share of time: generating", "shares.generation", NULL, SHARE},                                                  \
        {"scoring", "shares.scoring", NULL, SHARE}, {"learning", "shares.learning", NULL, SHARE}

static const page_kind kinds[] = {
    {"sft", "Fine-tuning",
     "Conversations; loss on answers only. Answers count as right when every token is the likeliest one.", LEARNT,
     {{"held-out loss, nats a token", "heldout_loss.start", "heldout_loss.end", NUMBER},
      {"answer tokens right", "heldout_accuracy", NULL, SHARE}, {"answers right", "heldout_exact", NULL, SHARE},
      {"examples", "examples", NULL, COUNT}, {"answer tokens learnt from", "tokens", NULL, COUNT}}},
    {"distill", "Distillation", "What a larger model says, learnt by a smaller one.", LEARNT,
     {{"held-out loss, nats a token", "heldout_loss.start", "heldout_loss.end", NUMBER},
      {"answer tokens right", "heldout_accuracy", NULL, SHARE},
      {"agreement with the teacher", "agreement_before", "agreement", SHARE}}},
    {"reward", "Reward model", "Bradley-Terry on pairs of answers, of which one is preferred.",
     {{"Loss", "nats per pair", "loss", "step", false}},
     {{"held-out pairs right", "pair_accuracy_before", "pair_accuracy", SHARE}, {"held-out loss", "loss", NULL, NUMBER},
      {"calibration error", "calibration_error", NULL, NUMBER}, {"deviation of scores", "score_std", NULL, NUMBER},
      {"pairs", "pairs", NULL, COUNT}}},
    {"ppo", "Preferences: PPO",
     "The policy is moved towards what the reward model prefers, and held near where it began.",
     {{"Reward", "score of the reward model", "reward", "step", false},
      {"Distance from the start", "nats per answer", "kl", "step", true},
      {"Entropy", "nats per token", "entropy", "step", true}, {"Length", "tokens per answer", "length", "step", true}},
     {{"reward on held-out prompts", "reward_before", "reward_after", NUMBER},
      {"its deviation at the start", "reward_std_before", NULL, NUMBER},
      {"nats a sequence from the start", "kl", NULL, NUMBER},
      {"length, tokens", "length_before", "length_after", NUMBER},
      {"entropy, nats a token", "entropy_before", "entropy_after", NUMBER},
      {"prompts too long to be answered", "left_out", NULL, COUNT}, SHARES}},
    {"dpo", "Preferences: DPO", "The policy learns from pairs directly, without a reward model.",
     {{"Loss", "nats per pair", "loss", "step", false}, {"Held-out pairs right", "share", "accuracy", "eval", true}},
     {{"held-out pairs right", "pair_accuracy", NULL, SHARE}, {"margin, nats", "margin", NULL, NUMBER},
      {"drift of chosen answers, nats", "drift", NULL, NUMBER}, {"pairs", "pairs", NULL, COUNT}}},
    {"grpo", "Reasoning: GRPO",
     "Answers to problems, checked by a program; those of a problem are compared with each other.",
     {{"Reward", "mean of all answers", "reward", "step", false},
      {"Right, held out", "share", "accuracy", "eval", true},
      {"Entropy", "nats per token", "entropy", "step", true}, {"Length", "tokens per answer", "length", "step", true}},
     {{"held-out problems right", "accuracy_before", "accuracy_after", SHARE},
      {"well-formed", "format_before", "format_after", SHARE}, {"nats a token from the reference", "kl", NULL, NUMBER},
      {"tokens a second, generating", "rollout_tokens_per_s", NULL, COUNT},
      {"problems too long to be answered", "left_out", NULL, COUNT}, SHARES}},
    {"refine", "Second round of fine-tuning", "The model's own right answers, kept by rejection sampling.", LEARNT,
     {{"held-out problems right", "accuracy_before", "accuracy_after", SHARE},
      {"problems solved", "problems_solved", NULL, COUNT}, {"answers kept", "kept", NULL, COUNT}}},
};

static void number(yk_buf *out, double x, format f)
{
    yk_num n = f == SHARE ? yk_percent(x, 1) : f == COUNT ? yk_count(x) : yk_plain(x);
    yk_html_add(out, "<td class=\"num\">%s</td>", isnan(x) ? "" : n.text);
}

static void facts(yk_buf *out, const page_kind *k, json_t *summary)
{
    yk_buf_puts(out, "<div class=\"scroll slim\"><table><thead><tr><th></th><th class=\"num\">before</th>"
                     "<th class=\"num\">after</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < FACTS && k->fact[i].label; i++) {
        const fact *f = &k->fact[i];
        double first = yk_json_number(summary, f->member), second = f->after ? yk_json_number(summary, f->after) : NAN;
        if (isnan(first) && isnan(second)) continue;
        yk_html_add(out, "<tr><th scope=\"row\">%s</th>", f->label);
        number(out, f->after ? first : NAN, f->format);
        number(out, f->after ? second : first, f->format);
        yk_buf_puts(out, "</tr>\n");
    }
    yk_buf_puts(out, "</tbody></table></div>\n");
}

static yk_status draw(yk_buf *out, const figure *f, const yk_course_record *c, int colour, yk_error *err)
{
    yk_status st = YK_OK;
    double *x = NULL, *y = NULL;
    size_t n = 0;
    YK_NEW(x, c->row_count);
    YK_NEW(y, c->row_count);
    for (size_t i = 0; i < c->row_count; i++) {
        const char *type = yk_json_text(c->rows[i], "type");
        double v = yk_json_number(c->rows[i], f->member);
        if (!type || strcmp(type, f->type) != 0 || isnan(v)) continue;
        x[n] = yk_json_number(c->rows[i], "step");
        y[n++] = v;
    }
    n = yk_thin(x, y, n, MAX_POINTS);
    if (n < 2) goto done;
    const yk_curve curve = {.name = f->title, .x = x, .y = y, .n = n, .colour = colour, .bold = true, .dots = n <= 40};
    const yk_chart chart = {.title = f->title, .x_label = "optimiser steps", .y_label = f->label, .x_unit = "steps",
                            .digits = -1, .width = 530, .height = 270, .from_zero = f->from_zero, .curves = &curve,
                            .curve_count = 1};
    yk_html_add(out, "<figure><figcaption>%s</figcaption>", f->title);
    yk_svg_chart(out, &chart);
    yk_buf_puts(out, "</figure>\n");
done:
    free(x);
    free(y);
    return st;
}

static void cell(yk_buf *out, const char *text)
{
    yk_buf_puts(out, "<td class=\"said\" dir=\"auto\">");
    yk_html_text(out, text, TEXT_BYTES);
    yk_buf_puts(out, "</td>");
}

/* The first and the last answer to each prompt. */
static void answers(yk_buf *out, const yk_course_record *c)
{
    size_t shown = 0;
    if (c->sample_count == 0) return;
    yk_buf_puts(out, "<div class=\"scroll\"><table><thead><tr><th>Asked</th><th>Before</th><th>After</th></tr>"
                     "</thead><tbody>\n");
    for (size_t i = 0; i < c->sample_count && shown < MAX_PAIRS; i++) {
        const char *prompt = yk_json_text(c->samples[i], "prompt");
        size_t last = i;
        bool again = false;
        for (size_t j = 0; j < i && !again; j++) again = strcmp(yk_json_text(c->samples[j], "prompt"), prompt) == 0;
        if (again) continue;
        for (size_t j = i + 1; j < c->sample_count; j++)
            if (strcmp(yk_json_text(c->samples[j], "prompt"), prompt) == 0) last = j;
        yk_buf_puts(out, "<tr>");
        cell(out, prompt);
        cell(out, yk_json_text(c->samples[i], "text"));
        cell(out, last > i ? yk_json_text(c->samples[last], "text") : "");
        yk_buf_puts(out, "</tr>\n");
        shown++;
    }
    yk_buf_puts(out, "</tbody></table></div>\n");
}

static yk_status one_page(yk_buf *out, const page_kind *k, const yk_course_record *c, json_t *summary, yk_error *err)
{
    yk_status st = YK_OK;
    yk_page_heading(out, k->name, k->title, k->note);
    if (summary) facts(out, k, summary);
    yk_buf_puts(out, "<div class=\"pairs\">\n");
    for (int i = 0; i < FIGURES && k->figure[i].title; i++) YK_TRY(draw(out, &k->figure[i], c, i, err));
    yk_buf_puts(out, "</div>\n");
    answers(out, c);
    yk_buf_puts(out, "</section>\n");
done:
    return st;
}

/* Tasks of the evaluation, by the model that the last stage left. */
static void tasks(yk_buf *out, json_t *all)
{
    const char *name;
    json_t *task;
    if (json_object_size(all) == 0) return;
    yk_page_heading(out, "tasks", "Tasks", "By the model that the last stage left; accuracy with its standard error.");
    yk_buf_puts(out, "<div class=\"scroll slim\"><table><thead><tr><th>Task</th><th class=\"num\">Examples</th>"
                     "<th class=\"num\">Right</th><th class=\"num\">±</th><th class=\"num\">of clean items</th>"
                     "<th class=\"num\">pass@k</th></tr></thead><tbody>\n");
    json_object_foreach (all, name, task) {
        yk_html_add(out, "<tr><th scope=\"row\">%s</th>", name);
        number(out, yk_json_number(task, "n"), COUNT);
        number(out, yk_json_number(task, "accuracy"), SHARE);
        number(out, yk_json_number(task, "stderr"), SHARE);
        number(out, yk_json_number(task, "accuracy_clean"), SHARE);
        number(out, yk_json_number(task, "pass_at_k"), SHARE);
        yk_buf_puts(out, "</tr>\n");
    }
    yk_buf_puts(out, "</tbody></table></div></section>\n");
}

/* What of the evaluation stands in training text. */
static void contamination(yk_buf *out, json_t *all)
{
    const char *name;
    json_t *set;
    if (json_object_size(all) == 0) return;
    yk_page_heading(out, "contamination", "Contamination", "Items that share a run of words with training text.");
    yk_buf_puts(out, "<div class=\"scroll slim\"><table><thead><tr><th>Of</th><th class=\"num\">Items</th>"
                     "<th class=\"num\">Overlapping</th><th class=\"num\">Share</th><th>The first</th>"
                     "</tr></thead><tbody>\n");
    json_object_foreach (all, name, set) {
        const char *first = yk_json_text(json_array_get(yk_json_at(set, "examples"), 0), "ngram");
        yk_html_add(out, "<tr><th scope=\"row\">%s</th>", name);
        number(out, yk_json_number(set, "items"), COUNT);
        number(out, yk_json_number(set, "overlapping"), COUNT);
        number(out, yk_json_number(set, "share"), SHARE);
        cell(out, first ? first : "");
        yk_buf_puts(out, "</tr>\n");
    }
    yk_buf_puts(out, "</tbody></table></div></section>\n");
}

yk_status yk_page_courses(yk_buf *out, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t c = 0; c < r->course_count; c++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (strcmp(kinds[k].name, r->courses[c].name) == 0)
                YK_TRY(one_page(out, &kinds[k], &r->courses[c], json_object_get(r->summary, kinds[k].name), err));
    tasks(out, yk_json_at(r->summary, "evaluate.tasks"));
    contamination(out, yk_json_at(r->summary, "evaluate.contamination"));
done:
    return st;
}
