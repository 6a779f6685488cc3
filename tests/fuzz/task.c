/* A task file of lm-evaluation-harness, and behind a NUL a line of its data. */
#include "fuzz.h"

#include "align/harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_harness t;
    fuzz_halves h = fuzz_cut(data, n);
    if (fuzz_status(yk_harness_read(&t, fuzz_file("task.yaml", data, h.first_n), &err), &err)) {
        json_t *line = json_loadb(h.second, h.second_n, 0, NULL), *own = NULL;
        if (json_is_object(line)) {
            own = yk_harness_rewrite(&t, line, &err);
            fuzz_must(own || err.text[0], "a refusal has a message");
        }
        json_decref(own);
        json_decref(line);
    }
    yk_harness_free(&t);
    fuzz_cut_free(&h);
    return 0;
}
