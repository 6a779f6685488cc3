/* A web archive, as a corpus. */
#include "corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_corpus(fuzz_file("pages.warc", data, n));
    return 0;
}
