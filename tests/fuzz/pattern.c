/* The regular expression of a tokenizer.json, and behind a NUL a text that it splits. */
#include "fuzz.h"

#include "base/json.h"
#include "token/tokenizer.h"

#include <jansson.h>

/* All bytes in the byte alphabet of GPT-2, and nothing else, as JSON; made once. */
static const char *vocabulary(void)
{
    static char *text;
    if (text) return text;
    json_t *vocab = json_object();
    for (int b = 0, others = 256; b < 256; b++) {
        const int c = (b >= 33 && b <= 126) || (b >= 161 && b != 173) ? b : others++;
        const char token[] = {(char)(c < 128 ? c : 0xC0 | c >> 6), (char)(c < 128 ? 0 : 0x80 | (c & 63)), 0};
        json_object_set_new(vocab, token, json_integer(b));
    }
    text = json_dumps(vocab, JSON_COMPACT);
    json_decref(vocab);
    fuzz_must(text != NULL, "there is memory");
    return text;
}

static void tokenizer_of(const fuzz_halves *h, yk_buf *out)
{
    json_t *pattern = yk_json_of_bytes(h->first, h->first_n);
    char *quoted = json_dumps(pattern, JSON_ENCODE_ANY);
    fuzz_must(quoted != NULL, "there is memory");
    yk_buf_printf(out, "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                  "\"Split\",\"pattern\":{\"Regex\":%s},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\","
                  "\"use_regex\":false}]},\"model\":{\"type\":\"BPE\",\"vocab\":%s,\"merges\":[]}}", quoted,
                  vocabulary());
    free(quoted);
    json_decref(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_tokenizer *t = NULL;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    fuzz_halves h = fuzz_cut(data, n);
    yk_buf text = {0};
    tokenizer_of(&h, &text);
    if (fuzz_status(yk_tokenizer_load(&t, fuzz_file("tokenizer.json", (uint8_t *)text.data, text.len), &err), &err) &&
        fuzz_status(yk_encoder_new(&e, t, &err), &err))
        fuzz_status(yk_encode(e, h.second, h.second_n, &ids, &err), &err);
    yk_encoder_free(e);
    yk_tokenizer_free(t);
    yk_ids_free(&ids);
    yk_buf_free(&text);
    fuzz_cut_free(&h);
    return 0;
}
