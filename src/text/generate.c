#include "base/hash.h"
#include "base/rng.h"
#include "text/read.h"

#include <string.h>

static const char *pick(const yk_rng *r, uint64_t *at, const char *const *list, size_t n)
{
    return list[yk_rng_below(r, (*at)++, n)];
}
#define PICK(list) pick(r, at, list, sizeof(list) / sizeof *(list))

static void sentence(const yk_rng *r, uint64_t *at, yk_buf *out)
{
    static const char *const who[] = {"the farmer", "a young ox", "the old miller", "her sister", "the teacher",
                                      "my neighbour", "the blacksmith", "a quiet student", "the captain", "our cook"};
    static const char *const does[] = {"carries", "finds", "mends", "sells", "paints", "borrows", "hides", "counts",
                                       "washes", "remembers"};
    static const char *const how[] = {"a wooden", "the heavy", "one broken", "a small", "the green", "an empty"};
    static const char *const what[] = {"yoke", "basket", "lantern", "book of songs", "wheel", "jar of honey", "blanket",
                                       "clock", "ladder", "letter"};
    static const char *const where[] = {"beside the river", "behind the mill", "in the morning",
                                        "before the rain comes", "near the bridge", "after a long day",
                                        "with great care", "under the oak"};
    char first[64];
    strcpy(first, PICK(who));
    first[0] = (char)(first[0] - 'a' + 'A');
    const char *manner = PICK(how), *deed = PICK(does); /* the order of draws is part of the text */
    yk_buf_printf(out, "%s %s %s", first, deed, manner);
    yk_buf_printf(out, " %s", PICK(what));
    yk_buf_printf(out, " %s.", PICK(where));
}

static void sum(const yk_rng *r, uint64_t *at, yk_buf *out)
{
    unsigned a = (unsigned)yk_rng_below(r, (*at)++, 50), b = (unsigned)yk_rng_below(r, (*at)++, 50);
    yk_buf_printf(out, "If you have %u and add %u then you have %u in all.", a, b, a + b);
}

void yk_generate_document(const char *domain, uint64_t seed, uint64_t index, yk_buf *out)
{
    yk_rng rng = yk_rng_make(seed ^ yk_hash64(domain, strlen(domain), 0), YK_STREAM_TEXT, index);
    const yk_rng *r = &rng;
    uint64_t now = 0, *at = &now;
    uint64_t lines = 8 + yk_rng_below(r, (*at)++, 8);
    bool counts = yk_hash64(domain, strlen(domain), 1) & 1; /* some domains are fonder of sums */
    for (uint64_t i = 0; i < lines; i++) {
        if (yk_rng_uniform(r, (*at)++) < (counts ? 0.5 : 0.1)) sum(r, at, out);
        else sentence(r, at, out);
        yk_buf_puts(out, i % 3 == 2 || i + 1 == lines ? "\n" : " ");
    }
}
