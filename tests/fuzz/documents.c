/* JSON lines of documents, plain, gzip or zstd: as a corpus, as the clean stage's own, and as evaluation sets. */
#include "corpus.h"

#include "text/documents.h"
#include "text/overlap.h"

static yk_status nothing(void *context, const yk_document *doc, yk_error *err)
{
    (void)context, (void)err;
    fuzz_must(strlen(doc->text) == doc->length, "documents hold no NUL");
    return YK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_overlap *overlap = NULL;
    const char *path = fuzz_file("lines.jsonl", data, n);
    fuzz_corpus(path);
    fuzz_status(yk_documents_read(path, nothing, NULL, &err), &err);
    fuzz_must(yk_overlap_new(&overlap, 3, &err) == YK_OK, err.text);
    fuzz_status(yk_overlap_add_file(overlap, path, &err), &err);
    yk_overlap_free(overlap);
    return 0;
}
