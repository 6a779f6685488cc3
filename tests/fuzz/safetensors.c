/* A safetensors file; its small tensors are read. */
#include "fuzz.h"

#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_safetensors f;
    if (fuzz_status(yk_safetensors_open(&f, fuzz_file("model.safetensors", data, n), &err), &err))
        for (size_t i = 0; i < f.n; i++) {
            const yk_safe_tensor *t = &f.tensor[i];
            fuzz_must(yk_safetensors_find(&f, t->name) == t, "a tensor is found by its name");
            fuzz_must(t->begin <= t->end && t->end <= n, "a tensor lies in the file");
            float *numbers = calloc(t->end - t->begin + 1, sizeof *numbers);
            fuzz_must(numbers != NULL, "there is memory");
            fuzz_status(yk_safetensors_read(&f, t, numbers, &err), &err);
            free(numbers);
        }
    yk_safetensors_close(&f);
    return 0;
}
