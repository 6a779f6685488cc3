/* What tests ask of the values of a GGUF file. Included after ../train/small.h. */
#ifndef YK_TESTS_EXCHANGE_GGUF_CHECKS_H
#define YK_TESTS_EXCHANGE_GGUF_CHECKS_H

#include "store/gguf.h"

/* Element i of an array of strings. */
static inline void element_is(const yk_gguf *g, const char *key, uint64_t i, const char *wanted)
{
    const yk_gguf_value *v = yk_gguf_find(g, key);
    yk_gguf_value e = {0};
    const uint8_t *at = v->data;
    assert_true(i < v->count);
    for (uint64_t j = 0; j <= i; j++) e = yk_gguf_take(YK_GGUF_STRING, &at);
    assert_int_equal(e.count, strlen(wanted));
    assert_memory_equal(e.data, wanted, e.count);
}

#endif
