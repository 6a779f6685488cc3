/* JSON lines of conversations, preferences, problems and choices. */
#include "fuzz.h"

#include "align/examples.h"

static void check(const yk_example *x, yk_form form)
{
    fuzz_must(form != YK_CONVERSATION || (x->turns && x->turn[x->turns - 1].role == YK_ASSISTANT), "an answer ends it");
    fuzz_must(form != YK_PREFERENCE || strcmp(x->chosen, x->rejected) != 0, "sides differ");
    fuzz_must(form != YK_PROBLEM || x->answer[0], "a problem has an answer");
    fuzz_must(form != YK_PROMPT || x->turns, "something is asked");
    fuzz_must(form != YK_CHOICE || x->label < x->choices, "the right choice is one of them");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const yk_form forms[] = {YK_CONVERSATION, YK_PREFERENCE, YK_PROBLEM, YK_CHOICE, YK_PROMPT};
    enum { MOST_BAD = 100 };
    yk_error err = {""};
    yk_form found;
    char *path = (char *)(uintptr_t)fuzz_file("examples.jsonl", data, n);
    fuzz_status(yk_examples_form(path, &found, &err), &err);
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        yk_examples e = {0};
        fuzz_status(yk_examples_read(&e, &(yk_list){&path, 1}, forms[f], MOST_BAD, &err), &err);
        for (size_t i = 0; i < e.n; i++) check(&e.item[i], forms[f]);
        yk_examples_free(&e);
    }
    return 0;
}
