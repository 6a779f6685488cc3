/* Questions made of a document, and its passages and sentences. */
#include "fuzz.h"

#include "text/extract.h"
#include "text/passages.h"
#include "text/read.h"

static yk_status take_question(void *context, yk_question_kind kind, const char *prompt, const char *answer,
                               yk_error *err)
{
    (void)context, (void)err;
    fuzz_must(kind < YK_ASK_KINDS && prompt[0] && strlen(answer) >= 2, "a question has a prompt and an answer");
    return YK_OK;
}

static yk_status take_sentence(void *context, const char *text, size_t n, yk_error *err)
{
    (void)context, (void)err;
    fuzz_must(n > 0 && !memchr(text, '\n', n), "a sentence is one line");
    return YK_OK;
}

static yk_status take_passage(void *context, const char *text, size_t n, yk_error *err)
{
    (void)context;
    char *passage = fuzz_text((const uint8_t *)text, n);
    yk_status st = yk_sentences_of(passage, take_sentence, NULL, err);
    free(passage);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { LEAST = 20, MOST = 200 };
    yk_error err = {""};
    yk_buf normal = {0};
    char *text = fuzz_text(data, n);
    if (yk_normalise(text, n, &normal) && normal.len) {
        yk_document doc = {normal.data, normal.len, "fuzz", "en"};
        fuzz_status(yk_extract(&doc, take_question, NULL, &err), &err);
        fuzz_status(yk_passages_of(&doc, LEAST, MOST, take_passage, NULL, &err), &err);
        doc.lang = "code";
        fuzz_status(yk_extract(&doc, take_question, NULL, &err), &err);
    }
    yk_buf_free(&normal);
    free(text);
    return 0;
}
