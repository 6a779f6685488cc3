/* An answer, and behind a NUL the expected one, to every verifier but the command. */
#include "fuzz.h"

#include "align/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const kinds[] = {"text", "contains", "exact", "number", "regex"};
    static yk_verifier *v; /* kept, as a stage does */
    yk_error err = {""};
    fuzz_halves h = fuzz_cut(data, n);
    if (!v) fuzz_must(yk_verifier_new(&v, &(yk_verifier_options){.lenient = true}, &err) == YK_OK, err.text);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        double score = -1;
        yk_reward_item item = {.prompt = "", .response = h.first, .length = h.first_n, .expected = h.second,
                               .kind = kinds[i]};
        const bool accepted = fuzz_status(yk_verifier_accepts(v, kinds[i], h.second, &err), &err);
        const bool scored = fuzz_status(yk_verify_batch(v, &item, 1, &score, &err), &err);
        fuzz_must(!accepted || (scored && score >= 0 && score <= 1), "what is accepted is scored");
    }
    fuzz_cut_free(&h);
    return 0;
}
