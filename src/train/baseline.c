#include "train/baseline.h"

#include "base/mem.h"
#include "text/documents.h"

#include <limits.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    BATCH_BYTES = 16 << 20,
    BATCH_DOCUMENTS = 1 << 16,
    MIN_DICTIONARY = 1 << 16,
    CHUNK = 1 << 16,
    MEM_LEVEL = 9 /* 32768 symbols a block, as GNU gzip; zlib's default is half of that */
};

/* What one thread keeps from document to document. */
typedef struct worker {
    z_stream gzip;
    bool gzip_ready;
    lzma_stream xz;
    int64_t gzip_bytes, xz_bytes;
    bool failed;
} worker;

typedef struct batch {
    const yk_team *team;
    yk_comm *comm;
    worker *workers;
    yk_buf text;   /* the documents of the batch, one after the other    */
    size_t *ends;  /* where document i ends in text                      */
    size_t count, cap;
    int64_t documents, raw;
} batch;

static bool gzip_size(worker *w, const char *text, size_t length)
{
    unsigned char out[CHUNK];
    if (w->gzip_ready ? deflateReset(&w->gzip) != Z_OK
                      : deflateInit2(&w->gzip, 9, Z_DEFLATED, 31, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    w->gzip_ready = true;
    size_t left = length;
    int code = Z_OK;
    w->gzip.next_in = (unsigned char *)(uintptr_t)text;
    w->gzip.avail_in = 0;
    while (code == Z_OK) {
        if (w->gzip.avail_in == 0) {
            w->gzip.avail_in = left < UINT_MAX ? (unsigned)left : UINT_MAX;
            left -= w->gzip.avail_in;
        }
        w->gzip.next_out = out;
        w->gzip.avail_out = CHUNK;
        code = deflate(&w->gzip, left ? Z_NO_FLUSH : Z_FINISH);
        w->gzip_bytes += CHUNK - w->gzip.avail_out;
    }
    return code == Z_STREAM_END;
}

static bool xz_size(worker *w, const char *text, size_t length)
{
    unsigned char out[CHUNK];
    lzma_options_lzma options;
    if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME)) return false;
    uint32_t dictionary = MIN_DICTIONARY;
    while (dictionary < length && dictionary < options.dict_size) dictionary *= 2;
    options.dict_size = dictionary;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    lzma_ret code = lzma_stream_encoder(&w->xz, filters, LZMA_CHECK_CRC64);
    w->xz.next_in = (const uint8_t *)text;
    w->xz.avail_in = length;
    while (code == LZMA_OK) {
        w->xz.next_out = out;
        w->xz.avail_out = CHUNK;
        code = lzma_code(&w->xz, LZMA_FINISH);
        w->xz_bytes += (int64_t)(CHUNK - w->xz.avail_out);
    }
    return code == LZMA_STREAM_END;
}

static void compress_rows(const void *args, int64_t begin, int64_t end, int thread)
{
    const batch *b = args;
    worker *w = &b->workers[thread];
    for (int64_t i = begin; i < end && !w->failed; i++) {
        size_t from = i ? b->ends[i - 1] : 0;
        const char *text = b->text.data + from;
        size_t length = b->ends[i] - from;
        w->failed = !gzip_size(w, text, length) || !xz_size(w, text, length);
    }
}

static yk_status compress_batch(batch *b, yk_error *err)
{
    yk_team_rows(b->team, (int64_t)b->count, 1, compress_rows, b);
    for (int t = 0; t < b->team->threads; t++)
        if (b->workers[t].failed)
            return yk_fail(err, YK_ERR_MEMORY,
                           "out of memory for the compressors of the baseline: use fewer threads");
    b->count = 0;
    yk_buf_clear(&b->text);
    return YK_OK;
}

static yk_status take_document(void *context, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    batch *b = context;
    b->raw += (int64_t)doc->length;
    if (!yk_comm_makes(b->comm, b->documents++)) goto done;
    bool full = b->text.len > 0 && b->text.len + doc->length > BATCH_BYTES;
    if (full || b->count == BATCH_DOCUMENTS) YK_TRY(compress_batch(b, err));
    YK_ROOM(b->ends, b->count, b->cap);
    yk_buf_add(&b->text, doc->text, doc->length);
    b->ends[b->count++] = b->text.len;
done:
    return st;
}

static yk_status compress_file(batch *b, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(b->workers, b->team->threads);
    YK_TRY(yk_documents_read(path, take_document, b, err));
    YK_TRY(compress_batch(b, err));
done:
    return st;
}

yk_status yk_baseline_add(yk_baseline *sum, const char *documents_path, const yk_team *team,
                          yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    batch b = {.team = team, .comm = comm};
    int64_t bytes[2] = {0};
    YK_TRY(yk_comm_agree(comm, compress_file(&b, documents_path, err), err));
    for (int t = 0; t < team->threads; t++) {
        bytes[0] += b.workers[t].gzip_bytes;
        bytes[1] += b.workers[t].xz_bytes;
    }
    yk_comm_add_counts(comm, bytes, 2);
    sum->documents += b.documents;
    sum->raw += b.raw;
    sum->gzip += bytes[0];
    sum->xz += bytes[1];
done:
    for (int t = 0; b.workers && t < team->threads; t++) {
        if (b.workers[t].gzip_ready) deflateEnd(&b.workers[t].gzip);
        lzma_end(&b.workers[t].xz);
    }
    free(b.workers);
    free(b.ends);
    yk_buf_free(&b.text);
    return st;
}

yk_status yk_baseline_bpb(const char *documents_path, const yk_team *team, double *gzip_bpb,
                          double *xz_bpb, yk_error *err)
{
    yk_status st = YK_OK;
    yk_baseline sum = {0};
    YK_TRY(yk_baseline_add(&sum, documents_path, team, NULL, err));
    if (sum.raw == 0)
        YK_FAIL(YK_ERR_INPUT, "%s: holds no text to compress: raise clean.heldout_fraction",
                documents_path);
    *gzip_bpb = 8.0 * (double)sum.gzip / (double)sum.raw;
    *xz_bpb = 8.0 * (double)sum.xz / (double)sum.raw;
done:
    return st;
}
