/* Plain, gzip and zstd data. */
#include "fuzz.h"

#include "text/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { MOST = 1 << 20 };
    yk_error err = {""};
    yk_buf all = {0};
    fuzz_status(yk_stream_all(fuzz_file("stream", data, n), &all, MOST, &err), &err);
    yk_buf_free(&all);
    return 0;
}
