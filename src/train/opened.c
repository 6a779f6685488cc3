#include "train/opened.h"

#include "base/file.h"
#include "train/made.h"

#include <stdlib.h>

enum { FEW_ROWS = 16 };

yk_status yk_open_run(yk_opened *x, const yk_open_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    char *path = NULL;
    YK_TRY(yk_run_recipe(&x->r, o->run, err));
    YK_TRY(yk_team_make(&team, (int)o->threads, err));
    if (o->checkpoint) {
        if (!(path = yk_path("%s", o->checkpoint))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    } else {
        YK_TRY(o->pretrained ? yk_run_checkpoint(o->run, &path, err) : yk_run_model(&x->r, o->run, &path, err));
    }
    const yk_session_options with = {
        .rows = o->weights ? FEW_ROWS : o->rows > x->r.pretrain_seq ? o->rows : x->r.pretrain_seq};
    YK_TRY(yk_session_open(&x->s, &x->r, o->run, &team, &with, err));
    YK_TRY(yk_session_load(&x->s, path, false, err));
    if (!o->weights) YK_TRY(yk_model_pack(x->s.model, false, err));
done:
    free(path);
    return st;
}

void yk_opened_close(yk_opened *x)
{
    yk_session_close(&x->s);
    yk_recipe_free(&x->r);
}
