/* The evaluate stage: held-out text by the pretrained model, tasks by the model that the last stage left. */
#include "align/align.h"
#include "align/tasks.h"
#include "base/file.h"
#include "base/log.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

typedef struct measuring {
    yk_course c;
    yk_grader g;
    bool chat;
    json_t *tasks;
} measuring;

/* Whether there are questions that were set apart, and a model that answers. */
static bool asks(const yk_recipe *r)
{
    return yk_recipe_has_stage(r, "questions") && yk_recipe_has_stage(r, "sft");
}

/* "path/to/arc.jsonl.gz" is the task "arc". */
static yk_status measure(measuring *x, const char *path, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *task;
    const char *slash = strrchr(path, '/'), *base = name ? name : slash ? slash + 1 : path;
    char *own = yk_path("%.*s", (int)strcspn(base, "."), base);
    if (!own) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    yk_progress("evaluate   %s", own);
    if (yk_grader_was_cut(&x->g)) goto done;
    YK_TRY(yk_task_measure(&x->c, &x->g, path, x->chat, &task, err));
    if (yk_grader_was_cut(&x->g)) {
        json_decref(task);
        goto done;
    }
    yk_log("evaluate   %-20s %.1f %% right (+- %.1f) of %lld", own,
           100 * json_number_value(json_object_get(task, "accuracy")),
           100 * json_number_value(json_object_get(task, "stderr")),
           (long long)json_number_value(json_object_get(task, "n")));
    json_object_set_new(x->tasks, own, task);
done:
    free(own);
    return st;
}

/* What the stage `questions` has set apart. */
static yk_status measure_questions(measuring *x, yk_error *err)
{
    static const char *const files[][2] = {{"problems.heldout.jsonl", "problems"},
                                           {"pairs.heldout.jsonl", "preferences"}};
    yk_status st = YK_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && st == YK_OK; i++) {
        char *path = yk_path("%s/questions/%s", x->c.job->dir, files[i][0]);
        if (!path) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
        if (yk_exists(path)) st = measure(x, path, files[i][1], err);
        free(path);
    }
    return st;
}

/* *finished is false when the job was to stop before all was graded. */
static yk_status measure_tasks(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    measuring x = {.tasks = json_object()};
    const char *how = r->evaluate_chat;
    x.chat = strcmp(how, "yes") == 0 || (strcmp(how, "auto") == 0 && yk_recipe_has_stage(r, "sft"));
    YK_TRY(yk_course_open_to_measure(&x.c, job, "evaluate", YK_COURSE_ROWS, err));
    YK_TRY(yk_grader_new(&x.g, job, err));
    for (size_t i = 0; i < r->evaluate_tasks.n; i++) YK_TRY(measure(&x, r->evaluate_tasks.item[i], NULL, err));
    if (asks(r)) YK_TRY(measure_questions(&x, err));
    *finished = !yk_grader_was_cut(&x.g);
    if (*finished) json_object_set_new(job->summary, "evaluate", json_pack("{s:O}", "tasks", x.tasks));
done:
    json_decref(x.tasks);
    yk_grader_free(&x.g);
    yk_course_close(&x.c);
    return st;
}

yk_status yk_evaluation_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = yk_evaluate_stage(job, finished, err);
    const yk_recipe *r = job->recipe;
    if (st == YK_OK && *finished && (r->evaluate_tasks.n > 0 || asks(r))) st = measure_tasks(job, finished, err);
    return st;
}
