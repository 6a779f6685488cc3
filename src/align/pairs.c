#include "align/pairs.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static yk_status take_side(const yk_course *c, const yk_example *e, const char *answer, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    *q = (yk_sequence){0};
    YK_TRY(yk_chat_encode(c->chat, e->turn, e->turns, q, err));
    YK_TRY(yk_chat_answer(c->chat, answer, q, err));
    for (int64_t i = 0; i < q->prompt; i++) q->weight[i] = 0.0f; /* earlier answers are no part of the preference */
done:
    return st;
}

static yk_status take_pair(yk_pairs *p, const yk_course *c, const yk_example *e, yk_error *err)
{
    yk_status st = YK_OK;
    yk_sequence *side = &p->sequence[2 * p->n];
    YK_TRY(take_side(c, e, e->chosen, &side[0], err));
    YK_TRY(take_side(c, e, e->rejected, &side[1], err));
    if ((int64_t)side[0].ids.n <= c->context && (int64_t)side[1].ids.n <= c->context) {
        if (!(p->asked[p->n] = strdup(e->turn[e->turns - 1].content))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        p->margin[p->n++] = e->margin;
        return YK_OK;
    }
    p->left_out++;
    yk_sequence_free(&side[0]);
    yk_sequence_free(&side[1]);
done:
    if (st != YK_OK) p->n++; /* to be freed with the others */
    return st;
}

yk_status yk_pairs_read(yk_pairs *p, const yk_course *c, const yk_list *named, const char *key, const char *file,
                        int64_t bad_lines, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list paths = {0};
    yk_examples e = {0};
    *p = (yk_pairs){0};
    YK_TRY(yk_course_paths(c, named, key, file, &paths, err));
    YK_TRY(yk_examples_read(&e, &paths, YK_PREFERENCE, (size_t)bad_lines, err));
    strcpy(p->hash, e.hash);
    YK_NEW(p->sequence, 2 * e.n);
    YK_NEW(p->asked, e.n);
    YK_NEW(p->margin, e.n);
    for (size_t i = 0; i < e.n; i++) YK_TRY(take_pair(p, c, &e.item[i], err));
    if (p->left_out)
        yk_warn("%s: %zu of %zu pairs are longer than the context of %lld tokens and are left out", c->name,
                p->left_out, e.n, (long long)c->context);
    if (p->n == 0) YK_FAIL(YK_ERR_INPUT, "%s: no pair fits the context; raise pretrain.seq", paths.item[0]);
done:
    yk_examples_free(&e);
    yk_course_free_paths(&paths);
    if (st != YK_OK) yk_pairs_free(p);
    return st;
}

void yk_pairs_free(yk_pairs *p)
{
    for (int64_t i = 0; i < 2 * p->n; i++) yk_sequence_free(&p->sequence[i]);
    for (int64_t i = 0; i < p->n; i++) free(p->asked[i]);
    free(p->sequence);
    free(p->asked);
    free(p->margin);
    *p = (yk_pairs){0};
}

bool yk_pairs_add(const yk_pairs *p, int64_t i, yk_session *s)
{
    const yk_sequence *a = &p->sequence[2 * i], *b = a + 1;
    if (s->rows + yk_sequence_rows(a) + yk_sequence_rows(b) > s->max_rows) return false;
    yk_session_add(s, a->ids.id, a->weight, (int64_t)a->ids.n);
    yk_session_add(s, b->ids.id, b->weight, (int64_t)b->ids.n);
    return true;
}

int64_t yk_sequence_end(const yk_sequence *q)
{
    int64_t i = (int64_t)q->ids.n - 1;
    while (i > 0 && q->weight[i] == 0.0f) i--;
    return i;
}
