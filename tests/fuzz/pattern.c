/* The regular expression of a tokenizer.json, and behind a NUL a text that it splits. */
#include "fuzz.h"

#include "base/json.h"
#include "token/tokenizer.h"

#include <jansson.h>

/* All bytes in the byte alphabet of GPT-2, and nothing else. */
static json_t *bytes_alone(void)
{
    json_t *vocab = json_object();
    for (int b = 0, others = 256; b < 256; b++) {
        const int c = (b >= 33 && b <= 126) || (b >= 161 && b != 173) ? b : others++;
        const char text[] = {(char)(c < 128 ? c : 0xC0 | c >> 6), (char)(c < 128 ? 0 : 0x80 | (c & 63)), 0};
        json_object_set_new(vocab, text, json_integer(b));
    }
    return vocab;
}

static char *tokenizer_of(const fuzz_halves *h)
{
    json_t *root = json_pack("{s:s, s:{s:s, s:[{s:s, s:{s:o}, s:s}, {s:s, s:b, s:b}]}, s:{s:s, s:o, s:[]}}", "version",
                             "1.0", "pre_tokenizer", "type", "Sequence", "pretokenizers", "type", "Split", "pattern",
                             "Regex", yk_json_of_bytes(h->first, h->first_n), "behavior", "Isolated", "type",
                             "ByteLevel", "add_prefix_space", 0, "use_regex", 0, "model", "type", "BPE", "vocab",
                             bytes_alone(), "merges");
    char *text = json_dumps(root, JSON_COMPACT);
    fuzz_must(text != NULL, "the file can be made");
    json_decref(root);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_tokenizer *t = NULL;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    fuzz_halves h = fuzz_cut(data, n);
    char *text = tokenizer_of(&h);
    if (fuzz_status(yk_tokenizer_load(&t, fuzz_file("tokenizer.json", (uint8_t *)text, strlen(text)), &err), &err) &&
        fuzz_status(yk_encoder_new(&e, t, &err), &err))
        fuzz_status(yk_encode(e, h.second, h.second_n, &ids, &err), &err);
    yk_encoder_free(e);
    yk_tokenizer_free(t);
    yk_ids_free(&ids);
    free(text);
    fuzz_cut_free(&h);
    return 0;
}
