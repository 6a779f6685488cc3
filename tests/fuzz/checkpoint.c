/* A checkpoint file up to HDF5, or a manifest: what the seal does not hold for is refused before HDF5 sees it. What is behind a seal
 * that holds was written by Yoke, or by somebody who can make seals; HDF5 itself is not fuzzed here. */
#include "fuzz.h"

#include "store/set.h"

static int read_manifest(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_set s;
    const char *path = fuzz_file("step-000000001.json", data, n);
    if (fuzz_status(yk_set_read(&s, path, &err), &err))
        fuzz_must(s.files > 0 && s.bytes > (int64_t)n && strlen(s.hash) == 32, "a manifest has files");
    yk_set_free(&s);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_seal seal;
    if (n > 0 && data[0] == '{') return read_manifest(data, n);
    const char *path = fuzz_file("step-000000001.h5", data, n);
    if (fuzz_status(yk_seal_check(path, &seal, &err), &err))
        fuzz_must(seal.bytes == (int64_t)n && strlen(seal.hash) == 32, "the seal tells length and hash");
    return 0;
}
