#include "report/report.h"

#include "base/file.h"
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facts in a line, set apart by middle dots. */
static void fact(yk_buf *out, bool *first, const char *before, const char *value, const char *after)
{
    if (!value || !*value || !strcmp(value, "–")) return;
    yk_html_add(out, "%s%s%s%s", *first ? "" : " · ", before, value, after);
    *first = false;
}

static void header(yk_buf *out, const yk_record *r)
{
    json_t *s = r->summary, *model = yk_json_at(s, "model");
    bool first = true;
    yk_html_add(out,
                "<header><p class=\"over\">Yoke training report</p><h1>%s</h1>\n<p class=\"meta\">",
                r->name);
    fact(out, &first, "", yk_short(yk_json_number(model, "parameters")).text, " parameters");
    fact(out, &first, "", yk_count(yk_json_number(model, "layers")).text, " layers of width ");
    if (!isnan(yk_json_number(model, "layers")))
        yk_html_add(out, "%s", yk_count(yk_json_number(model, "width")).text);
    fact(out, &first, "vocabulary ", yk_count(yk_json_number(model, "vocab")).text, "");
    fact(out, &first, "", yk_short(yk_json_number(s, "pretrain.tokens")).text, " tokens");
    fact(out, &first, "", yk_count(yk_json_number(s, "threads")).text,
         yk_json_number(s, "threads") == 1 ? " thread" : " threads");
    fact(out, &first, "", yk_json_text(s, "processor"), "");
    fact(out, &first, "", yk_json_text(s, "isa"), "");
    fact(out, &first, "", yk_json_text(s, "precision"), "");
    fact(out, &first, "numerics ", yk_json_text(s, "numerics"), "");
    yk_buf_puts(out, "</p>\n");
    if (yk_json_text(s, "digest"))
        yk_html_add(out, "<p class=\"digest\">digest <code>%s</code></p>\n",
                    yk_json_text(s, "digest"));
    yk_buf_puts(out, "</header>\n");
}

static void versus_row(yk_buf *out, const char *name, double bpb, double most, int colour)
{
    if (!(bpb > 0)) return;
    yk_html_add(out, "<tr><th scope=\"row\">%s</th><td class=\"num\">%s</td><td class=\"bars\">",
                name, yk_fixed(bpb, 3).text);
    yk_svg_bar(out, bpb / most, -1, colour, name);
    yk_buf_puts(out, "</td></tr>");
}

static void loss_tile(yk_buf *out, json_t *s)
{
    double start = yk_json_number(s, "pretrain.heldout_bpb.start");
    double end = yk_json_number(s, "pretrain.heldout_bpb.end");
    double gzip = yk_json_number(s, "baseline.gzip_bpb"), xz = yk_json_number(s, "baseline.xz_bpb");
    double most = fmax(end, fmax(gzip, xz));
    if (!(end > 0)) return;
    yk_buf_puts(out, "<div class=\"tile\"><h3>Held-out bits per byte</h3><p class=\"big\">");
    if (start > 0) yk_html_add(out, "<span>%s →</span> ", yk_fixed(start, 2).text);
    yk_html_add(out, "%s</p>\n<table class=\"versus\"><tbody>", yk_fixed(end, 2).text);
    versus_row(out, "this model", end, most, 0);
    versus_row(out, "xz -9e", xz, most, YK_SOFT);
    versus_row(out, "gzip -9", gzip, most, YK_SOFT);
    yk_buf_puts(out, "</tbody></table></div>\n");
}

static void tile(yk_buf *out, const char *title, const char *value, const char *below)
{
    if (strcmp(value, "–"))
        yk_html_add(
            out,
            "<div class=\"tile\"><h3>%s</h3><p class=\"big\">%s</p><p class=\"sub\">%s</p></div>\n",
            title, value, below);
}

static double wall_seconds(json_t *stages)
{
    double total = 0;
    if (!json_array_size(stages)) return NAN;
    for (size_t i = 0; i < json_array_size(stages); i++)
        total += fmax(0, yk_json_number(json_array_get(stages, i), "seconds"));
    return total;
}

static void tiles(yk_buf *out, json_t *s)
{
    double unigram = yk_json_number(s, "masked.unigram_accuracy"),
           steps = yk_json_number(s, "pretrain.steps"),
           skipped = yk_json_number(s, "pretrain.skipped_steps");
    double documents = yk_json_number(s, "corpus.documents"),
           bytes = yk_json_number(s, "corpus.bytes");
    char below[4][128] = {"", "", "of what the processor reaches", ""};
    if (unigram >= 0)
        snprintf(below[0], sizeof below[0], "of masked tokens; always the commonest token: %s",
                 yk_percent(unigram, 1).text);
    if (steps > 0)
        snprintf(below[1], sizeof below[1], "over %s steps%s%s%s", yk_count(steps).text,
                 skipped > 0 ? ", " : "", skipped > 0 ? yk_count(skipped).text : "",
                 skipped > 0 ? " skipped" : "");
    if (documents > 0 && bytes > 0)
        snprintf(below[3], sizeof below[3], "from %s of text in %s documents", yk_bytes(bytes).text,
                 yk_count(documents).text);
    yk_buf_puts(out, "<div class=\"tiles\">\n");
    loss_tile(out, s);
    tile(out, "Masked accuracy", yk_percent(yk_json_number(s, "masked.accuracy"), 1).text,
         below[0]);
    tile(out, "Tokens per second", yk_short(yk_json_number(s, "pretrain.tokens_per_s")).text,
         below[1]);
    tile(out, "Share of peak", yk_percent(yk_json_number(s, "pretrain.peak_share"), 0).text,
         below[2]);
    tile(out, "Wall time", yk_seconds(wall_seconds(yk_json_at(s, "stages"))).text, below[3]);
    yk_buf_puts(out, "</div>\n");
}

static void notes(yk_buf *out, const yk_record *r)
{
    if (r->notes.len == 0) return;
    yk_buf_puts(out, "<div class=\"notes\">");
    for (const char *at = r->notes.data; *at;) {
        size_t n = strcspn(at, "\n");
        yk_buf_puts(out, "<p>");
        yk_html_text(out, at, n);
        yk_buf_puts(out, "</p>");
        at += n + (at[n] == '\n');
    }
    yk_buf_puts(out, "</div>\n");
}

void yk_page_open(yk_buf *out, const char *name, const char *what)
{
    yk_html_add(out,
                "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head>"
                "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\"/>\n<title>%s · Yoke %s</title>\n<style>\n",
                name, what);
    yk_html_style(out);
    yk_buf_puts(out, "</style></head>\n<body>\n");
}

static yk_status page(yk_buf *out, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    const char *version = yk_json_text(r->summary, "version");
    yk_page_open(out, r->name, "training report");
    header(out, r);
    yk_buf_puts(out, "<main>\n");
    if (r->summary) tiles(out, r->summary);
    notes(out, r);
    YK_TRY(yk_page_heldout(out, r, err));
    YK_TRY(yk_page_training(out, r, err));
    YK_TRY(yk_page_samples(out, r, err));
    yk_page_proposals(out, r);
    YK_TRY(yk_page_courses(out, r, err));
    YK_TRY(yk_page_tune(out, r, err));
    yk_page_mixture(out, r);
    yk_page_corpus(out, r);
    yk_page_dropped(out, r);
    yk_page_tokenizer(out, r);
    yk_page_time(out, r);
    yk_page_balance(out, r);
    yk_page_recipe(out, r);
    yk_html_add(out,
                "</main>\n<footer><p>Made by Yoke%s%s from the files of the run directory; "
                "<code>yoke report DIR</code> makes it again.</p></footer>\n</body></html>\n",
                version ? " " : "", version);
done:
    return st;
}

yk_status yk_report_write(const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    yk_record record = {0};
    yk_buf out = {0};
    char *path = yk_path("%s/report.html", run_dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_record_read(&record, run_dir, err));
    YK_TRY(page(&out, &record, err));
    YK_TRY(yk_file_write(path, out.data, out.len, err));
done:
    yk_record_free(&record);
    yk_buf_free(&out);
    free(path);
    return st;
}
