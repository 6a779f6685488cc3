/* model.safetensors.index.json, whose files are not there. */
#include "fuzz.h"

#include "exchange/shards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_shards s;
    fuzz_file("model.safetensors.index.json", data, n);
    fuzz_must(!fuzz_status(yk_shards_open(&s, fuzz_place_of()->dir, &err), &err), "a file that is not there is missed");
    yk_shards_close(&s);
    return 0;
}
