/* The clean stage: batches of raw documents are cleaned by the teams of all ranks, then de-duplicated, split and
 * written in corpus order by one thread of rank 0, so that the output is one for any number of threads and ranks. Every
 * rank reads all documents, and cleans its own. */
#include "text/clean.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "comm/comm.h"
#include "text/dedup.h"
#include "text/documents.h"
#include "text/holdout.h"
#include "text/language.h"
#include "text/quality.h"
#include "text/read.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 16 << 20, BATCH_DOCUMENTS = 2048, SAMPLE_BYTES = 300, SHINGLE = 5 };

/* A cleaned document, or part of a long one. */
typedef struct part {
    size_t begin, end; /* in the item's text */
    char lang[16];
    const char *reason;
    uint64_t hash;
    uint32_t *signature;
} part;

typedef struct item {
    yk_raw raw;
    yk_buf text;
    part *parts;
    size_t n, room;
    bool code;
} item;

typedef struct tally {
    int64_t documents, bytes, raw_documents, raw_bytes, heldout_documents, heldout_bytes, raw_dropped;
    json_t *languages;
} tally;

typedef struct cleaner {
    const yk_job *job;
    const yk_recipe *r;
    yk_dedup *dedup;
    yk_quality **quality;   /* [threads] */
    yk_language **language; /* [threads] */
    item *items;    /* [BATCH_DOCUMENTS] */
    size_t n;
    yk_buf *packed; /* [BATCH_DOCUMENTS] items that another rank has cleaned; reasons stand there */
    yk_status *st; /* [threads] */
    yk_error *err; /* [threads] */
    json_t *dropped, *samples, *domains;
    int64_t documents, bytes;
    yk_docwriter *train, *heldout;
    yk_holdout holdout;
    tally now;
} cleaner;

/* The last line end in [at, at + limit], so that no part is longer than `limit`. */
static size_t part_end(const yk_buf *t, size_t at, size_t limit)
{
    if (t->len - at <= limit) return t->len;
    size_t end = at + limit;
    while (end > at && t->data[end - 1] != '\n') end--;
    if (end > at) return end;
    end = at + limit;
    while (end > at + 1 && ((unsigned char)t->data[end] & 0xC0) == 0x80) end--;
    return end;
}

static bool language_wanted(const yk_recipe *r, const char *lang)
{
    bool found = r->clean_languages.n == 0 || strcmp(lang, "code") == 0;
    for (size_t i = 0; i < r->clean_languages.n; i++) found = found || strcmp(r->clean_languages.item[i], lang) == 0;
    return found;
}

static yk_status examine(const cleaner *c, item *x, part *p, int thread, yk_error *err)
{
    yk_status st = YK_OK;
    const char *text = x->text.data + p->begin;
    size_t n = p->end - p->begin, words;
    const char *lang = x->code ? "code" : yk_language_of(c->language[thread], text, n);
    snprintf(p->lang, sizeof p->lang, "%s", lang);
    YK_TRY(yk_quality_check(c->quality[thread], c->r, text, n, x->code, p->lang, &p->reason, err));
    if (!p->reason && !language_wanted(c->r, p->lang)) p->reason = "language not wanted";
    if (p->reason) return YK_OK;
    const uint64_t *word = yk_quality_words(c->quality[thread], &words);
    p->hash = yk_hash64(word, words * sizeof *word, 0);
    YK_NEW(p->signature, yk_dedup_size(c->dedup));
    if (c->r->clean_dedup) yk_dedup_sign(c->dedup, word, words, p->signature);
done:
    return st;
}

static yk_status clean_item(const cleaner *c, item *x, int thread, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf plain = {0};
    const yk_buf *from = &x->raw.bytes;
    x->code = x->raw.kind == YK_RAW_CODE;
    if (x->raw.reason) return YK_OK;
    if (x->raw.kind == YK_RAW_HTML) {
        YK_TRY(yk_html_to_text(&x->raw.bytes, &plain, err));
        from = &plain;
    }
    if (!yk_normalise(from->data, from->len, &x->text)) x->raw.reason = "not UTF-8";
    if (x->text.len == 0 && !x->raw.reason) x->raw.reason = "empty";
    if (x->raw.reason) goto done;
    for (size_t at = 0; at < x->text.len; at = x->parts[x->n - 1].end) {
        YK_ROOM(x->parts, x->n, x->room);
        x->parts[x->n] = (part){.begin = at, .end = part_end(&x->text, at, (size_t)c->r->clean_max_document_bytes)};
        YK_TRY(examine(c, x, &x->parts[x->n++], thread, err));
    }
done:
    yk_buf_free(&plain);
    return st;
}

static void clean_items(const void *args, int64_t begin, int64_t end, int thread)
{
    const cleaner *c = args;
    for (int64_t i = begin; i < end && c->st[thread] == YK_OK; i++)
        if (yk_comm_makes(c->job->comm, i)) c->st[thread] = clean_item(c, &c->items[i], thread, &c->err[thread]);
}

/* --- what ranks tell each other -------------------------------------------------------------- */

/* An item: its text and reason, then its parts, each with its reason and, unless it has one, its signature. */
static void pack_text(yk_buf *out, const char *text, size_t n)
{
    yk_buf_add(out, &n, sizeof n);
    yk_buf_add(out, text, n);
    yk_buf_add(out, "", 1);
}

static void pack_reason(yk_buf *out, const char *reason)
{
    pack_text(out, reason ? reason : "", reason ? strlen(reason) : 0);
}

static void pack_item(const cleaner *c, const item *x, yk_buf *out)
{
    pack_text(out, x->text.data, x->text.len);
    pack_reason(out, x->raw.reason);
    for (size_t i = 0; i < x->n; i++) {
        const part *p = &x->parts[i];
        yk_buf_add(out, p, sizeof *p);
        pack_reason(out, p->reason);
        if (!p->reason) yk_buf_add(out, p->signature, yk_dedup_size(c->dedup) * sizeof *p->signature);
    }
}

static const char *unpack_text(const yk_buf *in, size_t *at, size_t *n)
{
    memcpy(n, in->data + *at, sizeof *n);
    const char *text = in->data + *at + sizeof *n;
    *at += sizeof *n + *n + 1;
    return text;
}

static const char *unpack_reason(const yk_buf *in, size_t *at)
{
    size_t n;
    const char *text = unpack_text(in, at, &n);
    return n ? text : NULL;
}

static yk_status unpack_item(const cleaner *c, const yk_buf *in, item *x, yk_error *err)
{
    yk_status st = YK_OK;
    const size_t signature = yk_dedup_size(c->dedup);
    size_t at = 0, n;
    const char *text = unpack_text(in, &at, &n);
    yk_buf_add(&x->text, text, n);
    x->raw.reason = unpack_reason(in, &at);
    while (at < in->len) {
        YK_ROOM(x->parts, x->n, x->room);
        part *p = &x->parts[x->n++];
        memcpy(p, in->data + at, sizeof *p);
        p->signature = NULL; /* an address of the other rank's, as was the reason */
        at += sizeof *p;
        p->reason = unpack_reason(in, &at);
        if (p->reason) continue;
        YK_NEW(p->signature, signature);
        memcpy(p->signature, in->data + at, signature * sizeof *p->signature);
        at += signature * sizeof *p->signature;
    }
done:
    return st;
}

/* Rank 0 gets the items that the others have cleaned. */
static yk_status share_items(cleaner *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = c->job->comm;
    if (!comm) return YK_OK;
    for (size_t i = 0; i < c->n; i++) {
        yk_buf_clear(&c->packed[i]);
        if (yk_comm_makes(comm, (int64_t)i)) pack_item(c, &c->items[i], &c->packed[i]);
    }
    yk_comm_gather_texts(comm, c->packed, (int64_t)c->n);
    for (size_t i = 0; i < c->n && yk_comm_leads(comm); i++)
        if (!yk_comm_makes(comm, (int64_t)i)) YK_TRY(unpack_item(c, &c->packed[i], &c->items[i], err));
done:
    return st;
}

/* --- one after another ----------------------------------------------------------------------- */

static void drop(cleaner *c, const char *reason, const char *source, const char *text, size_t n)
{
    json_int_t count = json_integer_value(json_object_get(c->dropped, reason));
    json_object_set_new(c->dropped, reason, json_integer(count + 1));
    if (count >= c->r->clean_drop_samples) return;
    yk_buf sample = {0};
    yk_normalise(text, n < SAMPLE_BYTES ? n : SAMPLE_BYTES, &sample);
    json_t *s = json_pack("{s:s, s:s, s:s}", "reason", reason, "source", source, "text", sample.data);
    if (s) json_array_append_new(c->samples, s);
    yk_buf_free(&sample);
}

static yk_status write_document(cleaner *c, bool heldout, const yk_document *doc, yk_error *err)
{
    json_int_t count = json_integer_value(json_object_get(c->now.languages, doc->lang));
    json_object_set_new(c->now.languages, doc->lang, json_integer(count + 1));
    *(heldout ? &c->now.heldout_documents : &c->now.documents) += 1;
    *(heldout ? &c->now.heldout_bytes : &c->now.bytes) += (int64_t)doc->length;
    return yk_docwriter_add(heldout ? c->heldout : c->train, doc, err);
}

static yk_status keep(cleaner *c, const yk_document *doc, yk_error *err)
{
    double place = (double)(yk_hash64(doc->text, doc->length, (uint64_t)c->r->seed) >> 11) * 0x1p-53;
    yk_document spilled;
    yk_status st = yk_holdout_add(&c->holdout, place, doc, err);
    while (st == YK_OK && yk_holdout_spill(&c->holdout, &spilled)) st = write_document(c, false, &spilled, err);
    return st;
}

static yk_status settle_item(cleaner *c, item *x, yk_error *err)
{
    yk_status st = YK_OK;
    char *source = NULL;
    c->now.raw_documents++;
    c->now.raw_bytes += (int64_t)x->raw.bytes.len;
    if (x->raw.reason) {
        c->now.raw_dropped++;
        drop(c, x->raw.reason, x->raw.source, x->raw.bytes.data ? x->raw.bytes.data : "", x->raw.bytes.len);
    }
    for (size_t i = 0; i < x->n; i++) {
        part *p = &x->parts[i];
        const char *text = x->text.data + p->begin;
        size_t n = p->end - p->begin;
        if (!p->reason && c->r->clean_dedup) YK_TRY(yk_dedup_add(c->dedup, p->hash, p->signature, &p->reason, err));
        if (p->reason) {
            drop(c, p->reason, x->raw.source, text, n);
            continue;
        }
        free(source);
        source = x->n > 1 ? yk_path("%s#%zu", x->raw.source, i + 1) : strdup(x->raw.source);
        if (!source) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        YK_TRY(keep(c, &(yk_document){text, n, source, p->lang}, err));
    }
done:
    free(source);
    return st;
}

static void free_items(cleaner *c)
{
    for (size_t i = 0; i < c->n; i++) {
        item *x = &c->items[i];
        for (size_t p = 0; p < x->n; p++) free(x->parts[p].signature);
        free(x->parts);
        yk_raw_free(&x->raw);
        yk_buf_free(&x->text);
        *x = (item){0};
    }
    c->n = 0;
}

static yk_status clean_batch(cleaner *c, yk_error *err)
{
    yk_team_rows(c->job->team, (int64_t)c->n, 1, clean_items, c);
    for (int t = 0; t < c->job->team->threads; t++)
        if (c->st[t] != YK_OK) {
            *err = c->err[t];
            return c->st[t];
        }
    return YK_OK;
}

static yk_status settle_batch(cleaner *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = c->job->comm;
    YK_TRY(yk_comm_agree(comm, clean_batch(c, err), err));
    st = share_items(c, err);
    for (size_t i = 0; st == YK_OK && i < c->n && yk_comm_leads(comm); i++) st = settle_item(c, &c->items[i], err);
    YK_TRY(yk_comm_agree(comm, st, err));
done:
    free_items(c);
    return st;
}

/* Whether the domain has all it may; rank 0 knows. */
static bool is_full(const cleaner *c)
{
    const int64_t limit = c->r->clean_max_domain_bytes;
    bool full = limit && c->now.bytes >= limit;
    yk_comm_share(c->job->comm, &full, sizeof full);
    return full;
}

static yk_status read_domain(cleaner *c, const yk_corpus *corpus, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_reader *reader = NULL;
    bool end = false;
    YK_TRY(yk_reader_open(&reader, corpus, (uint64_t)c->r->seed, err));
    while (!end) {
        size_t bytes = 0;
        while (!end && c->n < BATCH_DOCUMENTS && bytes < BATCH_BYTES) {
            YK_TRY(yk_reader_next(reader, &c->items[c->n].raw, &end, err));
            if (!end) bytes += c->items[c->n++].raw.bytes.len;
        }
        YK_TRY(settle_batch(c, err));
        yk_progress("clean      %s: %lld documents, %.1f MB kept of %.1f MB", corpus->domain,
                    (long long)(c->now.documents + (int64_t)c->holdout.n),
                    (double)(c->now.bytes + c->holdout.bytes) / 1e6, (double)c->now.raw_bytes / 1e6);
        if (is_full(c)) break;
        *finished = !yk_comm_any(c->job->comm, yk_job_stops(c->job));
        if (!*finished) break;
    }
done:
    free_items(c);
    yk_reader_close(reader);
    return st;
}

static yk_status domain_is_empty(const cleaner *c, const yk_corpus *corpus, yk_error *err)
{
    yk_buf why = {0};
    const char *reason;
    json_t *count;
    json_object_foreach(c->dropped, reason, count)
        yk_buf_printf(&why, "%s%s %lld", why.len ? ", " : "", reason, (long long)json_integer_value(count));
    yk_status st = yk_fail(err, YK_ERR_INPUT,
                           "corpus: domain `%s`: %lld documents were read and %s left after cleaning (dropped so far: "
                           "%s); two at least are needed: check `paths`, or relax the rules in `clean:`",
                           corpus->domain, (long long)c->now.raw_documents, c->now.heldout_documents ? "one" : "none",
                           why.len ? why.data : "nothing");
    yk_buf_free(&why);
    return st;
}

static yk_status commit(yk_docwriter **w, yk_error *err)
{
    const yk_status st = yk_docwriter_commit(*w, err);
    *w = NULL;
    return st;
}

/* The domain's files and counts, by rank 0. */
static yk_status publish(cleaner *c, const yk_corpus *corpus, yk_error *err)
{
    yk_status st = YK_OK;
    for (yk_document d; yk_holdout_next(&c->holdout, &d);) YK_TRY(write_document(c, true, &d, err));
    if (c->now.documents == 0 || c->now.heldout_documents == 0) return domain_is_empty(c, corpus, err);
    YK_TRY(commit(&c->train, err));
    YK_TRY(commit(&c->heldout, err));
    c->documents += c->now.documents + c->now.heldout_documents;
    c->bytes += c->now.bytes + c->now.heldout_bytes;
    json_object_set_new(c->domains, corpus->domain,
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "documents", (json_int_t)c->now.documents,
                                  "bytes", (json_int_t)c->now.bytes, "raw_documents", (json_int_t)c->now.raw_documents,
                                  "raw_bytes", (json_int_t)c->now.raw_bytes, "heldout_documents",
                                  (json_int_t)c->now.heldout_documents, "heldout_bytes",
                                  (json_int_t)c->now.heldout_bytes, "languages", c->now.languages));
done:
    return st;
}

static yk_status clean_domain(cleaner *c, const yk_corpus *corpus, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const bool leads = yk_comm_leads(c->job->comm);
    char *train = yk_documents_path(c->job->dir, corpus->domain, false);
    char *heldout = yk_documents_path(c->job->dir, corpus->domain, true);
    c->now = (tally){.languages = json_object()};
    c->holdout = (yk_holdout){.fraction = c->r->clean_heldout_fraction, .most_bytes = c->r->clean_heldout_bytes};
    if (!train || !heldout || !c->now.languages) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (leads) YK_TRY(yk_docwriter_open(&c->train, train, err));
    if (leads) YK_TRY(yk_docwriter_open(&c->heldout, heldout, err));
    YK_TRY(read_domain(c, corpus, finished, err));
    if (*finished) YK_TRY(yk_comm_agree(c->job->comm, leads ? publish(c, corpus, err) : YK_OK, err));
done:
    yk_docwriter_abandon(c->train);
    yk_docwriter_abandon(c->heldout);
    c->train = c->heldout = NULL;
    yk_holdout_free(&c->holdout);
    json_decref(c->now.languages);
    free(train);
    free(heldout);
    return st;
}

static yk_status write_report(cleaner *c, double seconds, yk_error *err)
{
    yk_status st = YK_OK;
    double raw = 0, rate;
    char size[32], kept[32];
    const char *name;
    json_t *d;
    json_object_foreach(c->domains, name, d) raw += (double)json_integer_value(json_object_get(d, "raw_bytes"));
    rate = raw / 1e6 / (seconds > 0 ? seconds : 1e-9);
    json_t *report = json_pack("{s:O, s:O, s:O, s:f, s:f}", "domains", c->domains, "dropped", c->dropped, "samples",
                               c->samples, "seconds", seconds, "mb_per_s", rate);
    char *path = yk_path("%s/clean/report.json", c->job->dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_json_write(path, report, err));
    json_object_set_new(c->job->summary, "corpus",
                        json_pack("{s:I, s:I, s:O, s:O, s:f}", "documents", (json_int_t)c->documents, "bytes",
                                  (json_int_t)c->bytes, "dropped", c->dropped, "domains", c->domains, "mb_per_s",
                                  rate));
    yk_log("clean      %s of %s kept, read at %.1f MB/s", yk_human_bytes((double)c->bytes, kept),
           yk_human_bytes(raw, size), rate);
done:
    free(path);
    json_decref(report);
    return st;
}

static yk_status start(cleaner *c, yk_error *err)
{
    yk_status st = YK_OK;
    int threads = c->job->team->threads;
    const yk_dedup_options dedup = {SHINGLE, (size_t)c->r->clean_minhash_bands, (size_t)c->r->clean_minhash_rows,
                                    c->r->clean_dedup_similarity};
    xmlInitParser();
    YK_TRY(yk_dedup_new(&c->dedup, &dedup, err));
    YK_NEW(c->quality, threads);
    YK_NEW(c->language, threads);
    YK_NEW(c->items, BATCH_DOCUMENTS);
    YK_NEW(c->packed, BATCH_DOCUMENTS);
    YK_NEW(c->st, threads);
    YK_NEW(c->err, threads);
    for (int t = 0; t < threads; t++) {
        YK_TRY(yk_quality_new(&c->quality[t], err));
        YK_TRY(yk_language_new(&c->language[t], err));
    }
    c->dropped = json_object();
    c->samples = json_array();
    c->domains = json_object();
    if (!c->dropped || !c->samples || !c->domains) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    return st;
}

yk_status yk_clean_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    cleaner c = {.job = job, .r = job->recipe};
    double began = yk_now();
    char *dir = yk_path("%s/clean", job->dir);
    *finished = true;
    if (!dir) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (job->recipe->corpora == 0)
        YK_FAIL(YK_ERR_CONFIG, "the recipe has no `corpus:`; name files or folders there (see README, \"Your own "
                "text\")");
    const bool leads = yk_comm_leads(job->comm);
    if (leads) YK_TRY(yk_mkdirs(dir, err));
    YK_TRY(start(&c, err));
    for (size_t i = 0; i < job->recipe->corpora && *finished; i++)
        YK_TRY(clean_domain(&c, &job->recipe->corpus[i], finished, err));
    if (*finished && leads) YK_TRY(write_report(&c, yk_now() - began, err));
done:
    for (int i = 0; c.packed && i < BATCH_DOCUMENTS; i++) yk_buf_free(&c.packed[i]);
    free(c.packed);
    for (int t = 0; t < job->team->threads; t++) {
        if (c.quality) yk_quality_free(c.quality[t]);
        if (c.language) yk_language_free(c.language[t]);
    }
    free(c.quality);
    free(c.language);
    free(c.items);
    free(c.st);
    free(c.err);
    yk_dedup_free(c.dedup);
    json_decref(c.dropped);
    json_decref(c.samples);
    json_decref(c.domains);
    free(dir);
    return st;
}

yk_status yk_corpus_stamp(const yk_recipe *r, char hex[33], yk_error *err)
{
    yk_status st = YK_OK;
    yk_digest *d = yk_digest_new();
    for (size_t i = 0; i < r->corpora && st == YK_OK; i++) {
        yk_reader *reader = NULL;
        st = yk_reader_open(&reader, &r->corpus[i], 0, err);
        if (st == YK_OK) yk_reader_stamp(reader, d);
        yk_reader_close(reader);
    }
    yk_digest_hex(d, hex);
    yk_digest_free(d);
    return st;
}
