#include "align/experience.h"

#include "align/gae.h"

#include <math.h>
#include <stdlib.h>

void yk_experience_free(yk_experience *e)
{
    free(e->score);
    free(e->reference);
    free(e->value);
    free(e->target);
    free(e->advantage);
    yk_rollouts_free(&e->x);
    *e = (yk_experience){0};
}

/* Scores of all ids by the weights w. */
static yk_status score_ids(const yk_experience *e, yk_session *s, yk_weights w, float ***score, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_weights before = yk_model_use(s->model, w);
    YK_TRY(yk_rollouts_rows(&e->x, score, err));
    YK_TRY(yk_rollouts_score(&e->x, s, *score, err));
done:
    yk_model_use(s->model, before);
    return st;
}

yk_status yk_experience_score(yk_experience *e, yk_session *s, yk_weights reference, yk_weights reward,
                              double unfinished, yk_error *err)
{
    yk_status st = YK_OK;
    float **score = NULL;
    YK_NEW(e->score, e->x.n);
    YK_TRY(score_ids(e, s, reward, &score, err));
    for (int64_t i = 0; i < e->x.n; i++) {
        const yk_rollout *o = &e->x.item[i];
        e->score[i] = (double)score[i][o->sequence.ids.n - 1] - (o->ended ? 0 : unfinished);
    }
    YK_TRY(yk_rollouts_rows(&e->x, &e->reference, err));
    const yk_weights before = yk_model_use(s->model, reference);
    st = yk_rollouts_logp(&e->x, s, e->reference, err);
    yk_model_use(s->model, before);
done:
    free(score);
    return st;
}

/* Advantages over all ids get mean 0 and deviation 1. */
static void whiten(yk_experience *e)
{
    double n = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        double mean = pass ? sum / n : 0, std = pass ? sqrt(fmax(squares / n - mean * mean, 0)) + 1e-8 : 1;
        for (int64_t i = 0; i < e->x.n; i++)
            for (int64_t t = e->x.item[i].sequence.prompt; t < (int64_t)e->x.item[i].sequence.ids.n; t++) {
                float *a = &e->advantage[i][t];
                if (pass) {
                    *a = (float)(((double)*a - mean) / std);
                    continue;
                }
                n++;
                sum += (double)*a;
                squares += (double)*a * (double)*a;
            }
        if (n == 0) return;
    }
}

static int64_t longest(const yk_experience *e)
{
    int64_t most = 0;
    for (int64_t i = 0; i < e->x.n; i++) most = e->x.item[i].length > most ? e->x.item[i].length : most;
    return most;
}

/* Of answer i, whose states the scores[ids.n] of the value model value; room[3][room]. */
static void estimate_answer(yk_experience *e, int64_t i, const float *score, const yk_credit *o, double *room,
                            int64_t most)
{
    const int64_t from = e->x.item[i].sequence.prompt, n = e->x.item[i].length;
    double *reward = room, *value = room + most, *advantage = room + 2 * most;
    for (int64_t t = 0; t < n; t++) {
        value[t] = (double)score[from + t - 1];
        reward[t] = -o->kl * ((double)e->x.item[i].logp[from + t] - (double)e->reference[i][from + t]);
    }
    if (n > 0) reward[n - 1] += (e->score[i] - o->mean) / o->std;
    yk_gae(reward, value, n, o->gamma, o->lambda, advantage);
    for (int64_t t = 0; t < n; t++) {
        e->value[i][from + t] = (float)value[t];
        e->advantage[i][from + t] = (float)advantage[t];
        e->target[i][from + t] = (float)(advantage[t] + value[t]);
    }
}

yk_status yk_experience_estimate(yk_experience *e, yk_session *s, yk_weights value, const yk_credit *o, yk_error *err)
{
    yk_status st = YK_OK;
    double *room = NULL;
    float **score = NULL;
    const int64_t most = longest(e);
    YK_NEW(room, 3 * most);
    YK_TRY(yk_rollouts_rows(&e->x, &e->value, err));
    YK_TRY(yk_rollouts_rows(&e->x, &e->target, err));
    YK_TRY(yk_rollouts_rows(&e->x, &e->advantage, err));
    YK_TRY(score_ids(e, s, value, &score, err));
    for (int64_t i = 0; i < e->x.n; i++) estimate_answer(e, i, score[i], o, room, most);
    whiten(e);
done:
    free(score);
    free(room);
    return st;
}

yk_experience_means yk_experience_means_of(const yk_experience *e)
{
    yk_experience_means m = {0};
    const double n = (double)e->x.n;
    double squares = 0, tokens = 0;
    for (int64_t i = 0; i < e->x.n; i++) {
        const yk_rollout *o = &e->x.item[i];
        for (int64_t t = o->sequence.prompt; t < (int64_t)o->sequence.ids.n; t++) {
            m.kl += ((double)o->logp[t] - (double)e->reference[i][t]) / n;
            m.entropy -= (double)o->logp[t];
            tokens++;
        }
        m.reward += e->score[i] / n;
        squares += e->score[i] * e->score[i] / n;
        m.length += (double)o->length / n;
        m.ended += o->ended / n;
    }
    m.std = sqrt(fmax(squares - m.reward * m.reward, 0));
    m.entropy /= tokens > 0 ? tokens : 1;
    return m;
}

double yk_experience_explained(const yk_experience *e)
{
    double n = 0, sum = 0, squares = 0, left = 0, left_squares = 0;
    for (int64_t i = 0; i < e->x.n; i++)
        for (int64_t t = e->x.item[i].sequence.prompt; t < (int64_t)e->x.item[i].sequence.ids.n; t++) {
            double y = (double)e->target[i][t], d = y - (double)e->value[i][t];
            n++, sum += y, squares += y * y, left += d, left_squares += d * d;
        }
    double variance = squares / n - sum / n * (sum / n);
    return variance > 0 ? 1 - (left_squares / n - left / n * (left / n)) / variance : NAN;
}
