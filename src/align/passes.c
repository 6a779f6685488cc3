#include "align/passes.h"

static const yk_sequence *sequence_at(const yk_sequence *first, size_t stride, int64_t i)
{
    return (const yk_sequence *)(const void *)((const char *)first + (size_t)i * stride);
}

static bool add(yk_session *s, const yk_sequence *q)
{
    return yk_session_add(s, q->ids.id, q->weight, (int64_t)q->ids.n) >= 0;
}

static void forward(yk_session *s, yk_pass_kind kind)
{
    const yk_batch b = yk_session_batch(s);
    if (kind == YK_PASS_LOSS)
        yk_model_evaluate(s->model, &b, s->loss, s->best, NULL);
    else
        yk_model_score(s->model, &b, s->loss);
}

yk_status yk_pass_each(yk_session *s, const yk_sequence *first, size_t stride, int64_t n, yk_pass_kind kind,
                       yk_each_fn each, void *context, yk_error *err)
{
    yk_session_clear(s);
    for (int64_t done = 0, last = 0; done < n; done = last) {
        while (last < n && add(s, sequence_at(first, stride, last))) last++;
        if (last == done)
            return yk_fail(err, YK_ERR_INTERNAL, "a sequence of %zu tokens is longer than %lld rows",
                           sequence_at(first, stride, done)->ids.n, (long long)s->max_rows);
        forward(s, kind);
        for (int64_t i = done, row = 0; i < last; i++) {
            each(context, i, s, row);
            row += yk_sequence_rows(sequence_at(first, stride, i));
        }
        yk_session_clear(s);
    }
    return YK_OK;
}
