/* A checkpoint file up to HDF5: what the seal does not hold for is refused before HDF5 sees it. What is behind a seal
 * that holds was written by Yoke, or by somebody who can make seals; HDF5 itself is not fuzzed here. */
#include "fuzz.h"

#include "store/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_seal seal;
    const char *path = fuzz_file("step-000000001.h5", data, n);
    if (fuzz_status(yk_seal_check(path, &seal, &err), &err))
        fuzz_must(seal.bytes == (int64_t)n && strlen(seal.hash) == 32, "the seal tells length and hash");
    return 0;
}
