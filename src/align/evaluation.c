/* The evaluate stage: held-out text by the pretrained model, tasks by the model that the last stage left. */
#include "align/align.h"
#include "align/contamination.h"
#include "align/tasks.h"
#include "base/file.h"
#include "base/log.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct measuring {
    const yk_job *job;
    yk_task *task;
    size_t n, room;
    json_t *results, *contamination; /* {name: ...} */
    bool cut; /* the job was to stop before all was graded */
} measuring;

/* Whether there are questions that were set apart, and a model that answers. */
static bool asks(const yk_recipe *r)
{
    return yk_recipe_has_stage(r, "questions") && yk_recipe_has_stage(r, "sft");
}

static yk_status add_task(measuring *x, const char *path, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(x->task, x->n, x->room);
    yk_task *t = &x->task[x->n++];
    YK_TRY(yk_task_read(t, path, name, (size_t)x->job->recipe->sft_bad_lines, err));
    for (size_t i = 0; i + 1 < x->n; i++)
        if (strcmp(x->task[i].name, t->name) == 0)
            YK_FAIL(YK_ERR_INPUT, "%s: the task `%s` is that of %s too; rename one of the files", path, t->name,
                    x->task[i].path);
done:
    return st;
}

static bool is_empty(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 || info.st_size == 0;
}

/* What the stage `questions` has set apart; a recipe may ask for none of a kind. */
static yk_status add_questions(measuring *x, yk_error *err)
{
    static const char *const files[][2] = {{"problems.heldout.jsonl", "problems"},
                                           {"pairs.heldout.jsonl", "preferences"}};
    yk_status st = YK_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && st == YK_OK; i++) {
        char *path = yk_path("%s/questions/%s", x->job->dir, files[i][0]);
        if (!path) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
        if (!is_empty(path)) st = add_task(x, path, files[i][1], err);
        free(path);
    }
    return st;
}

static yk_status contamination(measuring *x, bool heldout, yk_error *err)
{
    yk_status st = YK_OK;
    const char *name;
    json_t *one;
    const yk_recipe *r = x->job->recipe;
    double items = 0, overlapping = 0;
    if (r->evaluate_contamination == 0) return YK_OK;
    YK_TRY(yk_contamination_find(x->job, x->task, x->n, heldout, &x->contamination, err));
    json_object_foreach (x->contamination, name, one) {
        items += json_number_value(json_object_get(one, "items"));
        overlapping += json_number_value(json_object_get(one, "overlapping"));
    }
    yk_log("evaluate   %.0f of %.0f items overlap with training text (%lld words in a row)", overlapping, items,
           (long long)r->evaluate_contamination);
done:
    return st;
}

static yk_status measure(measuring *x, const char *chat, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->job->recipe;
    yk_course c = {0};
    yk_grader g = {0};
    if (x->n == 0) return YK_OK;
    YK_TRY(yk_course_open_to_measure(&c, x->job, "evaluate", YK_COURSE_ROWS, err));
    c.plain = strcmp(chat, "no") == 0 || (strcmp(chat, "auto") == 0 && !yk_recipe_has_stage(r, "sft"));
    YK_TRY(yk_grader_new(&g, x->job, err));
    for (size_t i = 0; i < x->n; i++) {
        json_t *task;
        yk_progress("evaluate   %s", x->task[i].name);
        YK_TRY(yk_task_measure(&c, &g, &x->task[i], &task, err));
        x->cut = yk_grader_was_cut(&g);
        if (x->cut) {
            json_decref(task);
            goto done;
        }
        yk_log("evaluate   %-20s %.1f %% right (+- %.1f) of %lld", x->task[i].name,
               100 * json_number_value(json_object_get(task, "accuracy")),
               100 * json_number_value(json_object_get(task, "stderr")),
               (long long)json_number_value(json_object_get(task, "n")));
        json_object_set_new(x->results, x->task[i].name, task);
    }
done:
    yk_grader_free(&g);
    yk_course_close(&c);
    return st;
}

/* The tasks of `paths` and, with `whole`, all else that the stage looks at: {tasks, contamination}; NULL when the job
 * was to stop before all was graded. */
static yk_status evaluate(const yk_job *job, const yk_list *paths, const char *chat, bool whole, json_t **into,
                          yk_error *err)
{
    yk_status st = YK_OK;
    measuring x = {.job = job, .results = json_object()};
    *into = NULL;
    for (size_t i = 0; i < paths->n; i++) YK_TRY(add_task(&x, paths->item[i], NULL, err));
    if (whole && asks(job->recipe)) YK_TRY(add_questions(&x, err));
    YK_TRY(contamination(&x, whole, err));
    YK_TRY(measure(&x, chat, err));
    if (x.cut) goto done;
    *into = json_object();
    if (x.n > 0) json_object_set(*into, "tasks", x.results);
    if (x.contamination) json_object_set(*into, "contamination", x.contamination);
done:
    for (size_t i = 0; i < x.n; i++) yk_task_free(&x.task[i]);
    free(x.task);
    json_decref(x.results);
    json_decref(x.contamination);
    return st;
}

yk_status yk_evaluate_tasks(const yk_job *job, const yk_list *paths, const char *chat, json_t **into, yk_error *err)
{
    return evaluate(job, paths, chat, false, into, err);
}

yk_status yk_evaluation_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *all = NULL;
    YK_TRY(yk_evaluate_stage(job, finished, err));
    if (!*finished) goto done;
    YK_TRY(evaluate(job, &job->recipe->evaluate_tasks, job->recipe->evaluate_chat, true, &all, err));
    *finished = all != NULL;
    if (json_object_size(all) > 0) json_object_set(job->summary, "evaluate", all);
done:
    json_decref(all);
    return st;
}
