/* A tokenizer.json; what loads encodes a text, which comes back. */
#include "fuzz.h"

#include "token/tokenizer.h"

static void encode(const yk_tokenizer *t)
{
    static const char text[] = "The farmer's 12 cows, \xC3\xA9t\xC3\xA9 \xE8\xBE\xB2\n\n  e\xCC\x81 <|im_start|>\xFF";
    yk_error err = {""};
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    yk_buf back = {0};
    if (fuzz_status(yk_encoder_new(&e, t, &err), &err) &&
        fuzz_status(yk_encode(e, text, sizeof text - 1, &ids, &err), &err)) {
        for (size_t i = 0; i < ids.n; i++)
            fuzz_must(ids.id[i] >= 0 && ids.id[i] < yk_tokenizer_vocab(t), "ids are below the vocabulary's size");
        yk_tokenizer_decode(t, ids.id, ids.n, &back);
    }
    yk_buf_free(&back);
    yk_ids_free(&ids);
    yk_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_tokenizer *t = NULL;
    if (fuzz_status(yk_tokenizer_load(&t, fuzz_file("tokenizer.json", data, n), &err), &err)) encode(t);
    yk_tokenizer_free(t);
    return 0;
}
