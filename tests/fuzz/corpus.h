/* A file as a corpus entry of a recipe: its documents one after another. */
#ifndef YK_TESTS_FUZZ_CORPUS_H
#define YK_TESTS_FUZZ_CORPUS_H

#include "fuzz.h"

#include "text/read.h"

static inline void fuzz_corpus(const char *path)
{
    yk_error err = {""};
    char *paths[] = {(char *)(uintptr_t)path};
    yk_corpus c = {.domain = (char[]){"any"}, .kind = (char[]){"auto"}, .paths = {paths, 1}};
    yk_reader *reader = NULL;
    yk_raw raw;
    bool end = false;
    fuzz_must(yk_reader_open(&reader, &c, 1, &err) == YK_OK, err.text);
    while (!end && fuzz_status(yk_reader_next(reader, &raw, &end, &err), &err)) yk_raw_free(&raw);
    yk_reader_close(reader);
}

#endif
