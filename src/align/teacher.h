/* The teacher of distillation: the model that another run made, beside the one that learns. */
#ifndef YK_ALIGN_TEACHER_H
#define YK_ALIGN_TEACHER_H

#include "align/course.h"

typedef struct yk_teacher {
    yk_recipe recipe;
    yk_session s;
    char *path;    /* its model */
    float *logits; /* [rows,V] of a part */
} yk_teacher;

/* The newest model of the stages of the run in `dir`, in its own precision, for passes as long as the course's.
 * Sequences of the course become no longer than the teacher's context. YK_ERR_CONFIG when `dir` is empty, YK_ERR_INPUT
 * when the tokenizers differ. yk_teacher_close() also after an error. */
yk_status yk_teacher_open(yk_teacher *t, const char *dir, yk_course *c, yk_error *err);
void yk_teacher_close(yk_teacher *t);

/* What the student of the course learns from; t must stay where it is. */
yk_teaching yk_teacher_teaching(yk_teacher *t, double mix, double temperature);

#endif
