/* A sample of what tests/simd/exhaustive.c does: every 4099th input, and those around each boundary. */
#include "tests/simd/elementary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct queue {
    const elementary *f;
    float x[CHUNK];
    int64_t n;
    verdict v;
} queue;

static void ask(queue *q, float x)
{
    q->x[q->n++] = x;
    if (q->n < CHUNK) return;
    judge(q->f, q->x, q->n, &q->v);
    q->n = 0;
}

/* x, its neighbours and all their negatives. */
static void ask_around(queue *q, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    for (uint32_t i = 0; i < 17; i++) {
        ask(q, float_of(bits + i - 8));
        ask(q, -float_of(bits + i - 8));
    }
}

static void keeps_the_contract(void **state)
{
    queue q = {.f = *state};
    const float root = 0x1.6a09e6p-1f; /* where log's range of reduction ends */
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += 4099) ask(&q, float_of((uint32_t)bits));
    for (uint32_t e = 0; e < 256; e++) ask_around(&q, float_of(e << 23)), ask_around(&q, root * float_of(e << 23));
    for (int n = 0; n < 256; n++) ask_around(&q, (float)((n + 0.5) * 0.69314718055994531));  /* exp's */
    for (int n = 0; n < 4096; n++) ask_around(&q, (float)(n * 0.78539816339744831));           /* sin's and cos's */
    ask_around(&q, q.f->low), ask_around(&q, q.f->high), ask_around(&q, 87.0f);
    judge(q.f, q.x, q.n, &q.v);
    if (!kept(q.f, &q.v))
        fail_msg("%s: %g ulp at %a (bound %g), %lld wrong special values, %lld differences between tables", q.f->name,
                 q.v.worst, (double)q.v.at, q.f->bound, (long long)q.v.special, (long long)differences(&q.v));
}

int main(void)
{
    struct CMUnitTest tests[ELEMENTARIES];
    for (int i = 0; i < ELEMENTARIES; i++)
        tests[i] = (struct CMUnitTest){elementaries[i].name, keeps_the_contract, NULL, NULL, (void *)&elementaries[i]};
    return cmocka_run_group_tests_name("elementary functions", tests, NULL, NULL);
}
