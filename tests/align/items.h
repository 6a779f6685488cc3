/* Items to be rewarded, and what a verifier says to one. */
#ifndef TESTS_ALIGN_ITEMS_H
#define TESTS_ALIGN_ITEMS_H

#include "align/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline yk_reward_item item_of(const char *response, const char *expected, const char *kind)
{
    return (yk_reward_item){"Which?", response, strlen(response), 0, expected, kind};
}

static inline yk_verifier *verifier_of(yk_verifier_options o)
{
    yk_error err = {""};
    yk_verifier *v = NULL;
    if (yk_verifier_new(&v, &o, &err) != YK_OK) fail_msg("%s", err.text);
    return v;
}

#endif
