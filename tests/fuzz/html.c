/* HTML to text, and the text to its normal form, which stays as it is when it is brought there again. */
#include "fuzz.h"

#include "text/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_buf html = {0}, text = {0}, normal = {0}, again = {0};
    yk_buf_add(&html, data, n);
    if (fuzz_status(yk_html_to_text(&html, &text, &err), &err) && yk_normalise(text.data, text.len, &normal)) {
        fuzz_must(yk_normalise(normal.data, normal.len, &again), "normal text is UTF-8");
        fuzz_must(again.len == normal.len && (!again.len || memcmp(again.data, normal.data, again.len) == 0),
                  "normal text stays as it is");
    }
    yk_buf_free(&html);
    yk_buf_free(&text);
    yk_buf_free(&normal);
    yk_buf_free(&again);
    return 0;
}
