/* Mixture, corpus and licences, what was dropped, the tokenizer. */
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 40, MAX_PACKAGES = 200, MAX_REASONS = 40, MAX_SAMPLES = 5, SAMPLE_BYTES = 400 };

static void table_open(yk_buf *out, const char *const *heads, size_t n, const char *class)
{
    yk_html_add(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr>", class);
    for (size_t i = 0; i < n; i++) /* a head with a leading '#' is one of numbers */
        yk_html_add(out, heads[i][0] == '#' ? "<th class=\"num\">%s</th>" : "<th>%s</th>",
                    heads[i] + (heads[i][0] == '#'));
    yk_buf_puts(out, "</tr></thead><tbody>\n");
}

static void table_close(yk_buf *out, size_t shown, size_t all)
{
    yk_buf_puts(out, "</tbody></table></div>\n");
    if (shown < all)
        yk_buf_printf(out, "<p class=\"note\">%zu more are not shown.</p>\n", all - shown);
}

static void number_cell(yk_buf *out, yk_num n)
{
    yk_html_add(out, "<td class=\"num\">%s</td>", n.text);
}

static void name_cell(yk_buf *out, const char *name, int colour)
{
    if (colour >= 0)
        yk_html_add(out, "<th scope=\"row\"><i class=\"key %s\"></i>%s</th>",
                    yk_colour_class(colour), name);
    else
        yk_html_add(out, "<th scope=\"row\">%s</th>", name);
}

static void bar_cell(yk_buf *out, double share, double wanted, int colour, const char *title)
{
    yk_buf_puts(out, "<td class=\"bars\">");
    yk_svg_bar(out, share, wanted, colour, title);
    yk_buf_puts(out, "</td>");
}

void yk_page_mixture(yk_buf *out, const yk_record *r)
{
    static const char *const heads[] = {"Domain", "#Wanted", "#Realised", "#Epochs", ""};
    const char *name;
    json_t *row;
    double most = 0;
    size_t shown = 0;
    json_object_foreach (r->mixture, name, row) {
        most = fmax(most, fmax(yk_json_number(row, "wanted"), yk_json_number(row, "realised")));
    }
    if (!(most > 0)) return;
    yk_page_heading(
        out, "mixture", "Mixture",
        "Share of training tokens by domain: bars show what was "
        "drawn, ticks what the recipe asked for. Epochs count how often a domain was seen.");
    table_open(out, heads, 5, "barred");
    json_object_foreach (r->mixture, name, row) {
        if (shown == MAX_ROWS) break;
        double wanted = yk_json_number(row, "wanted"), realised = yk_json_number(row, "realised");
        char title[128];
        snprintf(title, sizeof title, "wanted %s, realised %s", yk_percent(wanted, 2).text,
                 yk_percent(realised, 2).text);
        yk_buf_puts(out, "<tr>");
        name_cell(out, name, yk_record_domain(r, name));
        number_cell(out, yk_percent(wanted, 1));
        number_cell(out, yk_percent(realised, 1));
        number_cell(out, yk_fixed(yk_json_number(row, "epochs"), 2));
        bar_cell(out, realised / most, wanted / most, yk_record_domain(r, name), title);
        yk_buf_puts(out, "</tr>\n");
        shown++;
    }
    table_close(out, shown, json_object_size(r->mixture));
    yk_buf_puts(out, "</section>\n");
}

/* "en 812, de 90, ja 41, +3": languages by documents, most first. */
static void languages_cell(yk_buf *out, json_t *languages)
{
    enum { SHOWN = 4 };
    const char *name, *best[SHOWN] = {NULL};
    double count[SHOWN] = {0};
    json_t *value;
    json_object_foreach (languages, name, value) {
        double v = json_number_value(value);
        for (int k = 0; k < SHOWN; k++) {
            if (best[k] && v <= count[k]) continue;
            memmove(best + k + 1, best + k, (size_t)(SHOWN - 1 - k) * sizeof *best);
            memmove(count + k + 1, count + k, (size_t)(SHOWN - 1 - k) * sizeof *count);
            best[k] = name;
            count[k] = v;
            break;
        }
    }
    yk_buf_puts(out, "<td class=\"soft\">");
    for (int k = 0; k < SHOWN && best[k]; k++)
        yk_html_add(out, k ? ", %s %s" : "%s %s", best[k], yk_count(count[k]).text);
    if (json_object_size(languages) > SHOWN)
        yk_buf_printf(out, ", +%zu", json_object_size(languages) - SHOWN);
    yk_buf_puts(out, "</td>");
}

static void domain_table(yk_buf *out, const yk_record *r, json_t *domains)
{
    static const char *const heads[] = {"Domain",
                                        "#Raw",
                                        "#Kept",
                                        "#in documents",
                                        "#Held out",
                                        "#in documents",
                                        "Languages (documents)"};
    const char *name;
    json_t *row;
    size_t shown = 0;
    table_open(out, heads, 7, "");
    json_object_foreach (domains, name, row) {
        if (shown++ == MAX_ROWS) break;
        yk_buf_puts(out, "<tr>");
        name_cell(out, name, yk_record_domain(r, name));
        number_cell(out, yk_bytes(yk_json_number(row, "raw_bytes")));
        number_cell(out, yk_bytes(yk_json_number(row, "bytes")));
        number_cell(out, yk_count(yk_json_number(row, "documents")));
        number_cell(out, yk_bytes(yk_json_number(row, "heldout_bytes")));
        number_cell(out, yk_count(yk_json_number(row, "heldout_documents")));
        languages_cell(out, yk_json_at(row, "languages"));
        yk_buf_puts(out, "</tr>\n");
    }
    table_close(out, shown < MAX_ROWS ? shown : MAX_ROWS, json_object_size(domains));
}

static void package_table(yk_buf *out, const yk_record *r, json_t *packages)
{
    static const char *const heads[] = {"Package", "Version", "Domain", "Licence", "SHA-256"};
    size_t all = json_array_size(packages), n = all < MAX_PACKAGES ? all : MAX_PACKAGES;
    yk_html_add(out, "<details><summary>%s packages, with licences and digests</summary>\n",
                yk_count((double)all).text);
    table_open(out, heads, 5, "small");
    for (size_t i = 0; i < n; i++) {
        json_t *p = json_array_get(packages, i);
        const char *domain = yk_json_text(p, "domain"), *sha = yk_json_text(p, "sha256");
        char digest[13];
        snprintf(digest, sizeof digest, "%s", sha ? sha : "");
        yk_html_add(out,
                    "<tr><th scope=\"row\">%s</th><td>%s</td><td><i class=\"key %s\"></i>%s</td>",
                    yk_json_text(p, "package"), yk_json_text(p, "version"),
                    yk_colour_class(domain ? yk_record_domain(r, domain) : YK_SOFT), domain);
        yk_html_add(out, "<td>%s</td><td><code title=\"%s\">%s</code></td></tr>\n",
                    yk_json_text(p, "licence"), sha, digest);
    }
    table_close(out, n, all);
    yk_buf_puts(out, "</details>\n");
}

void yk_page_corpus(yk_buf *out, const yk_record *r)
{
    json_t *domains = yk_json_at(r->clean, "domains"),
           *packages = yk_json_at(r->manifest, "corpus.packages");
    if (!json_object_size(domains)) domains = yk_json_at(r->summary, "corpus.domains");
    if (!json_object_size(domains) && !json_array_size(packages)) return;
    yk_page_heading(out, "corpus", "Corpus", NULL);
    if (json_object_size(domains)) domain_table(out, r, domains);
    if (json_array_size(packages)) package_table(out, r, packages);
    yk_buf_puts(out, "</section>\n");
}

/* What was dropped and why: {reason: count}, and samples to look at with the members that say what each was. */
typedef struct drops {
    json_t *counts, *samples;
    const char *head;      /* what is counted */
    const char *cite;      /* member: where it is from */
    const char *said[2];   /* members: what it says */
} drops;

static void reason_samples(yk_buf *out, const drops *d, const char *reason)
{
    size_t shown = 0;
    for (size_t i = 0; i < json_array_size(d->samples) && shown < MAX_SAMPLES; i++) {
        json_t *s = json_array_get(d->samples, i);
        const char *why = yk_json_text(s, "reason");
        if (!why || strcmp(why, reason)) continue;
        if (!shown++) yk_html_add(out, "<details><summary>Samples: %s</summary>\n", reason);
        yk_html_add(out, "<blockquote dir=\"auto\"><cite>%s</cite>", yk_json_text(s, d->cite));
        for (int k = 0; k < 2 && d->said[k]; k++) {
            yk_buf_puts(out, k ? "<br/>" : "");
            yk_html_text(out, yk_json_text(s, d->said[k]), SAMPLE_BYTES);
        }
        yk_buf_puts(out, "</blockquote>\n");
    }
    if (shown) yk_buf_puts(out, "</details>\n");
}

/* Sum and largest of the counts. */
static double sum_counts(json_t *counts, double *most)
{
    const char *reason;
    json_t *value;
    double all = 0;
    *most = 0;
    json_object_foreach (counts, reason, value) {
        double v = fabs(json_number_value(value));
        if (v < 1e30) all += v;
        if (v < 1e30) *most = fmax(*most, v);
    }
    return all;
}

static void dropped_table(yk_buf *out, const drops *d)
{
    const char *const heads[] = {"Reason", d->head, "#Share", ""};
    const char *reason;
    json_t *value;
    size_t shown = 0;
    double most, all = sum_counts(d->counts, &most);
    if (!(most > 0)) return;
    table_open(out, heads, 4, "barred");
    json_object_foreach (d->counts, reason, value) {
        double v = json_is_number(value) ? json_number_value(value) : NAN;
        if (shown++ == MAX_REASONS) break;
        yk_html_add(
            out, "<tr><th scope=\"row\">%s</th><td class=\"num\">%s</td><td class=\"num\">%s</td>",
            reason, yk_count(v).text, yk_percent(v / all, 1).text);
        bar_cell(out, v / most, -1, YK_SOFT, reason);
        yk_buf_puts(out, "</tr>\n");
    }
    table_close(out, shown < MAX_REASONS ? shown : MAX_REASONS, json_object_size(d->counts));
    shown = 0;
    json_object_foreach (d->counts, reason, value) {
        if (shown++ == MAX_REASONS) break;
        reason_samples(out, d, reason);
    }
}

static double sum_domains(json_t *domains, const char *member)
{
    const char *name;
    json_t *row;
    double sum = 0;
    json_object_foreach (domains, name, row) {
        double v = yk_json_number(row, member);
        if (v > 0) sum += v;
    }
    return sum;
}

void yk_page_dropped(yk_buf *out, const yk_record *r)
{
    drops d = {yk_json_at(r->clean, "dropped"), yk_json_at(r->clean, "samples"), "#Documents", "source", {"text"}};
    if (!json_object_size(d.counts)) d.counts = yk_json_at(r->summary, "corpus.dropped");
    double most, all = sum_counts(d.counts, &most), raw = sum_domains(yk_json_at(r->clean, "domains"), "raw_documents");
    char note[256] = "";
    if (!(most > 0)) return;
    if (raw > 0)
        snprintf(note, sizeof note, "%s of %s documents were dropped (%s).", yk_count(all).text,
                 yk_count(raw).text, yk_percent(all / raw, 1).text);
    yk_page_heading(out, "dropped", "What was dropped", *note ? note : NULL);
    dropped_table(out, &d);
    yk_buf_puts(out, "</section>\n");
}

void yk_page_proposals(yk_buf *out, const yk_record *r)
{
    const drops d = {yk_json_at(r->proposals, "dropped"), yk_json_at(r->proposals, "samples"), "#Proposals", "passage",
                     {"question", "answer"}};
    const double kept = yk_json_number(r->proposals, "kept"), asked = yk_json_number(r->proposals, "done");
    char note[256];
    if (!(asked > 0)) return;
    snprintf(note, sizeof note,
             "Of %s questions that the pretrained model asked about passages, %s passed the gate (%s).",
             yk_count(asked).text, yk_count(kept).text, yk_percent(kept / asked, 1).text);
    yk_page_heading(out, "proposals", "Questions of the model", note);
    reason_samples(out, &d, "kept");
    dropped_table(out, &d);
    yk_buf_puts(out, "</section>\n");
}

static void bytes_a_token(yk_buf *out, const yk_record *r, json_t *rows, const char *head,
                          double most)
{
    const char *heads[] = {head, "#Bytes a token", ""}, *name;
    json_t *value;
    size_t shown = 0;
    if (!json_object_size(rows)) return;
    table_open(out, heads, 3, "barred");
    json_object_foreach (rows, name, value) {
        double v = json_is_number(value) ? json_number_value(value) : NAN;
        int domain = yk_record_domain(r, name);
        if (shown++ == MAX_ROWS) break;
        yk_buf_puts(out, "<tr>");
        name_cell(out, name, domain);
        number_cell(out, yk_fixed(v, 2));
        bar_cell(out, v / most, -1, domain < 0 ? YK_SOFT : domain, name);
        yk_buf_puts(out, "</tr>\n");
    }
    table_close(out, shown < MAX_ROWS ? shown : MAX_ROWS, json_object_size(rows));
}

static double largest(json_t *rows, double so_far)
{
    const char *name;
    json_t *value;
    json_object_foreach (rows, name, value) {
        double v = json_number_value(value);
        if (v < 1e30) so_far = fmax(so_far, v);
    }
    return so_far;
}

void yk_page_tokenizer(yk_buf *out, const yk_record *r)
{
    json_t *t = r->tokenizer ? r->tokenizer : yk_json_at(r->summary, "tokenizer");
    json_t *by_domain = yk_json_at(t, "by_domain"), *by_language = yk_json_at(t, "by_language");
    double vocab = yk_json_number(t, "vocab"), train = yk_json_number(t, "train_mb_per_s"),
           encode = yk_json_number(t, "encode_mb_per_s");
    char note[256];
    if (isnan(vocab) && isnan(yk_json_number(t, "bytes_per_token"))) return;
    int n = snprintf(note, sizeof note, "%s entries; %s bytes of text a token.",
                     yk_count(vocab).text, yk_fixed(yk_json_number(t, "bytes_per_token"), 2).text);
    if (train > 0 && encode > 0)
        snprintf(note + n, sizeof note - (size_t)n, " Trained at %s MB/s, encodes at %s MB/s.",
                 yk_fixed(train, 1).text, yk_fixed(encode, 1).text);
    double most = largest(by_language, largest(by_domain, 1e-9));
    yk_page_heading(out, "tokenizer", "Tokenizer", note);
    yk_buf_puts(out, "<div class=\"pairs\">\n<div>");
    bytes_a_token(out, r, by_domain, "Domain", most);
    yk_buf_puts(out, "</div>\n<div>");
    bytes_a_token(out, r, by_language, "Language", most);
    yk_buf_puts(out, "</div></div></section>\n");
}
