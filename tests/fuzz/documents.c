/* JSON lines of documents, plain, gzip or zstd: as a corpus, as the clean stage's own, and as evaluation sets. */
#include "fuzz.h"

#include "text/documents.h"
#include "text/overlap.h"
#include "text/read.h"

static yk_status nothing(void *context, const yk_document *doc, yk_error *err)
{
    (void)context, (void)err;
    fuzz_must(strlen(doc->text) == doc->length, "documents hold no NUL");
    return YK_OK;
}

static void as_corpus(char *path)
{
    yk_error err = {""};
    yk_corpus c = {.domain = (char[]){"any"}, .kind = (char[]){"auto"}, .paths = {&path, 1}};
    yk_reader *reader = NULL;
    yk_raw raw;
    bool end = false;
    fuzz_must(yk_reader_open(&reader, &c, 1, &err) == YK_OK, err.text);
    while (!end && fuzz_status(yk_reader_next(reader, &raw, &end, &err), &err)) yk_raw_free(&raw);
    yk_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_overlap *overlap = NULL;
    char *path = (char *)(uintptr_t)fuzz_file("lines.jsonl", data, n);
    as_corpus(path);
    fuzz_status(yk_documents_read(path, nothing, NULL, &err), &err);
    fuzz_must(yk_overlap_new(&overlap, 3, &err) == YK_OK, err.text);
    fuzz_status(yk_overlap_add_file(overlap, path, &err), &err);
    yk_overlap_free(overlap);
    return 0;
}
