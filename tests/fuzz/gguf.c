/* A GGUF file; all of its values are walked, and all bytes of its tensors are read. */
#include "fuzz.h"

#include "store/gguf.h"

static uint64_t sum(const uint8_t *data, uint64_t n)
{
    uint64_t all = 0;
    for (uint64_t i = 0; i < n; i++) all += data[i];
    return all;
}

static uint64_t walk(yk_gguf_value v)
{
    if (v.kind == YK_GGUF_STRING) return sum(v.data, v.count);
    if (v.kind != YK_GGUF_ARRAY) return v.data[0];
    uint64_t all = 0;
    const uint8_t *at = v.data;
    for (uint64_t i = 0; i < v.count; i++) all += walk(yk_gguf_take(v.element, &at));
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t all = 0;
    yk_error err = {""};
    yk_gguf g;
    if (fuzz_status(yk_gguf_open(&g, fuzz_file("model.gguf", data, n), &err), &err)) {
        for (size_t i = 0; i < g.keys; i++) {
            fuzz_must(yk_gguf_find(&g, g.key[i].name) == &g.key[i].value, "a key is found by its name");
            all += walk(g.key[i].value);
        }
        for (size_t i = 0; i < g.tensors; i++) {
            const yk_gguf_tensor *t = &g.tensor[i];
            fuzz_must(t->data >= g.map && t->bytes <= n - (size_t)(t->data - g.map), "a tensor lies in the file");
            all += sum(t->data, t->bytes);
        }
    }
    yk_gguf_close(&g);
    return all == UINT64_MAX; /* never; so that every byte is read */
}
