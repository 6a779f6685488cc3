/* A rank file of tiktoken, and behind a NUL a text that it encodes. */
#include "fuzz.h"

#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const special[] = {"<|endoftext|>"};
    yk_error err = {""};
    yk_tokenizer *t = NULL;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    fuzz_halves h = fuzz_cut(data, n);
    const char *path = fuzz_file("ranks.tiktoken", data, h.first_n);
    if (fuzz_status(yk_tokenizer_import(&t, path, "gpt2", special, 1, &err), &err) &&
        fuzz_status(yk_encoder_new(&e, t, &err), &err))
        fuzz_status(yk_encode(e, h.second, h.second_n, &ids, &err), &err);
    yk_encoder_free(e);
    yk_tokenizer_free(t);
    yk_ids_free(&ids);
    fuzz_cut_free(&h);
    return 0;
}
