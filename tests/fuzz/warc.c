/* A web archive, as a corpus. */
#include "fuzz.h"

#include "text/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    char *path = (char *)(uintptr_t)fuzz_file("pages.warc", data, n);
    yk_corpus c = {.domain = (char[]){"any"}, .kind = (char[]){"auto"}, .paths = {&path, 1}};
    yk_reader *reader = NULL;
    yk_raw raw;
    bool end = false;
    fuzz_must(yk_reader_open(&reader, &c, 1, &err) == YK_OK, err.text);
    while (!end && fuzz_status(yk_reader_next(reader, &raw, &end, &err), &err)) yk_raw_free(&raw);
    yk_reader_close(reader);
    return 0;
}
