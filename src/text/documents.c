#include "text/documents.h"

#include "base/file.h"
#include "text/stream.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { LINE_LIMIT = 1 << 30, LEVEL = 3 };

struct yk_docwriter {
    yk_outfile file;
    ZSTD_CCtx *zstd;
    char *out;
    size_t room;
};

char *yk_documents_path(const char *run_dir, const char *domain, bool heldout)
{
    return yk_path("%s/clean/%s.%s.jsonl.zst", run_dir, domain, heldout ? "heldout" : "train");
}

yk_status yk_docwriter_open(yk_docwriter **out, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_docwriter *w = NULL;
    YK_NEW(w, 1);
    w->room = ZSTD_CStreamOutSize();
    YK_NEW(w->out, w->room);
    w->zstd = ZSTD_createCCtx();
    if (!w->zstd) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    YK_TRY(yk_outfile_open(&w->file, path, err));
    *out = w;
    w = NULL;
done:
    yk_docwriter_abandon(w);
    return st;
}

static yk_status compress(yk_docwriter *w, const char *bytes, size_t n, ZSTD_EndDirective how, yk_error *err)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {w->out, w->room, 0};
        left = ZSTD_compressStream2(w->zstd, &out, &in, how);
        if (ZSTD_isError(left)) return yk_fail(err, YK_ERR_IO, "%s: zstd: %s", w->file.path, ZSTD_getErrorName(left));
        fwrite(w->out, 1, out.pos, w->file.f);
    } while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return YK_OK;
}

yk_status yk_docwriter_add(yk_docwriter *w, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *row = json_pack("{s:s%, s:s, s:s}", "text", doc->text, doc->length, "source", doc->source, "lang",
                            doc->lang);
    char *line = row ? json_dumps(row, JSON_COMPACT) : NULL;
    if (!line) YK_FAIL(YK_ERR_INTERNAL, "%s: a document that is not UTF-8", doc->source);
    YK_TRY(compress(w, line, strlen(line), ZSTD_e_continue, err));
    YK_TRY(compress(w, "\n", 1, ZSTD_e_continue, err));
done:
    free(line);
    json_decref(row);
    return st;
}

yk_status yk_docwriter_commit(yk_docwriter *w, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(compress(w, "", 0, ZSTD_e_end, err));
    YK_TRY(yk_outfile_commit(&w->file, err));
done:
    yk_docwriter_abandon(w);
    return st;
}

void yk_docwriter_abandon(yk_docwriter *w)
{
    if (!w) return;
    yk_outfile_abandon(&w->file);
    ZSTD_freeCCtx(w->zstd);
    free(w->out);
    free(w);
}

static yk_status give(const char *path, size_t number, const yk_buf *line, yk_document_fn fn, void *context,
                      yk_error *err)
{
    yk_status st = YK_OK;
    json_error_t why;
    json_t *row = json_loadb(line->data, line->len, 0, &why);
    const char *text = json_string_value(json_object_get(row, "text"));
    const char *source = json_string_value(json_object_get(row, "source"));
    const char *lang = json_string_value(json_object_get(row, "lang"));
    if (!text || !source || !lang) YK_FAIL(YK_ERR_DAMAGED, "%s:%zu: not a document", path, number);
    yk_document doc = {text, json_string_length(json_object_get(row, "text")), source, lang};
    YK_TRY(fn(context, &doc, err));
done:
    json_decref(row);
    return st;
}

yk_status yk_documents_read(const char *path, yk_document_fn fn, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *s = NULL;
    yk_buf line = {0};
    bool end;
    YK_TRY(yk_stream_open(&s, path, err));
    for (size_t number = 1;; number++) {
        st = yk_stream_line(s, &line, LINE_LIMIT, &end, err);
        if (st == YK_ERR_INPUT) st = YK_ERR_DAMAGED;
        if (st != YK_OK || end) break;
        YK_TRY(give(path, number, &line, fn, context, err));
    }
done:
    yk_buf_free(&line);
    yk_stream_close(s);
    return st;
}
