#include "align/pair_course.h"

#include "base/hash.h"
#include "base/log.h"

yk_status yk_pair_course_open(yk_pair_course *x, const yk_job *job, const yk_pair_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    x->o = *o;
    YK_TRY(yk_course_open(&x->c, job, o->name, YK_COURSE_ROWS, o->score, err));
    YK_TRY(yk_pairs_read(&x->train, &x->c, o->data, o->data_key, "pairs.train.jsonl", r->sft_bad_lines, err));
    YK_TRY(yk_pairs_read(&x->heldout, &x->c, o->heldout, o->heldout_key, "pairs.heldout.jsonl", r->sft_bad_lines, err));
    yk_hash128_join(x->train.hash, x->heldout.hash, x->data);
    x->o.schedule.steps = yk_steps_of(o->epochs, x->train.n, o->batch);
    const yk_learner_options l = {.kind = o->name, .folder = x->c.checkpoints, .keys = o->keys, .data = x->data,
                                  .schedule = x->o.schedule, .adamw = yk_adamw_of(r),
                                  .checkpoint_every = o->checkpoint_every, .keep = r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, job, &x->c.s, NULL, &l, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, o->deal, x->train.n, err));
done:
    return st;
}

void yk_pair_course_close(yk_pair_course *x)
{
    yk_learner_close(&x->l);
    yk_deal_free(&x->deal);
    yk_pairs_free(&x->train);
    yk_pairs_free(&x->heldout);
    yk_course_close(&x->c);
}

static int64_t pair_of(yk_pair_course *x, int64_t item)
{
    return yk_deal_item(&x->deal, x->l.step * x->o.batch + item);
}

static bool add_pair(void *context, int64_t item, yk_session *s)
{
    yk_pair_course *x = context;
    return yk_pairs_add(&x->train, pair_of(x, item), s);
}

yk_pair_place yk_pair_place_of(yk_pair_course *x, int64_t i)
{
    const yk_place *p = &x->l.place[i];
    const int64_t pair = pair_of(x, p->item);
    return (yk_pair_place){pair, p->row, p->row + yk_sequence_rows(&x->train.sequence[2 * pair])};
}

static yk_status save(yk_pair_course *x, const yk_pair_stage *s, yk_error *err)
{
    json_t *own = s->remember(s->context);
    yk_status st = yk_learner_save_step(&x->l, own, err);
    json_decref(own);
    return st;
}

static yk_status resume(yk_pair_course *x, const yk_pair_stage *s, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    if (d) s->recall(s->context, d);
    json_decref(d);
    return st;
}

yk_status yk_pair_course_step(yk_pair_course *x, const yk_objective *o, yk_error *err)
{
    const yk_work work = {.items = x->o.batch, .add = add_pair, .objective = o, .context = x,
                          .unit = (double)x->o.batch};
    return yk_learner_step(&x->l, &work, err);
}

/* All that is recorded of a step is recorded before its checkpoint is saved. */
static yk_status loop(yk_pair_course *x, const yk_pair_stage *s, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t steps = x->o.schedule.steps;
    if (x->l.step == 0) YK_TRY(s->evaluate(s->context, err));
    while (x->l.step < steps && !yk_learner_stops(&x->l)) {
        double before = x->l.seconds;
        YK_TRY(yk_pair_course_step(x, &s->objective, err));
        YK_TRY(yk_metrics_add(&x->c.metrics, yk_learner_row(&x->l, x->l.seconds - before), err));
        yk_progress("%-10s %lld/%lld  loss %.3f", x->o.name, (long long)x->l.step, (long long)steps, x->l.loss);
        const bool last = x->l.step == steps;
        if (last) YK_TRY(s->evaluate(s->context, err));
        if (last || yk_learner_save_is_due(&x->l)) YK_TRY(save(x, s, err));
    }
    if (x->l.step < steps) YK_TRY(save(x, s, err));
done:
    return st;
}

yk_status yk_pair_course_train(yk_pair_course *x, const yk_pair_stage *s, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    *finished = false;
    YK_TRY(resume(x, s, err));
    YK_TRY(yk_metrics_open(&x->c.metrics, x->c.comm, x->c.dir, x->l.step, err));
    yk_log("%-10s %lld pairs, %lld held out, %lld steps of %lld", x->o.name, (long long)x->train.n,
           (long long)x->heldout.n, (long long)x->o.schedule.steps, (long long)x->o.batch);
    YK_TRY(loop(x, s, err));
    if (x->l.step < x->o.schedule.steps) goto done;
    YK_TRY(yk_course_finish(&x->c, &x->l, x->o.score, s->summary(s->context), err));
    *finished = true;
done:
    return st;
}
