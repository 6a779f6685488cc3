#include "align/answers.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct growing {
    const yk_answers *a;
    const yk_course *c;
    yk_comm *comm;
    char *account; /* its path */
    FILE *f;       /* NULL but on rank 0 */
    int64_t done;  /* items that the file has whole */
} growing;

/* How far the account of an earlier process says that the same answers are; 0 when there is none of them. */
static int64_t read_account(const growing *x, json_t **account, int64_t *bytes)
{
    json_error_t why;
    *account = yk_exists(x->account) ? json_load_file(x->account, 0, &why) : NULL;
    const char *of = json_string_value(json_object_get(*account, "of"));
    const int64_t done = json_integer_value(json_object_get(*account, "done"));
    *bytes = json_integer_value(json_object_get(*account, "bytes"));
    const bool fits = of && strcmp(of, x->a->name) == 0 && done > 0 && done <= x->a->total && *bytes >= 0;
    return fits ? done : 0;
}

/* To append to: what is past the account is cut off, and all of it when something that it speaks of is missing. */
static yk_status open_file(growing *x, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t bytes;
    json_t *account;
    x->done = read_account(x, &account, &bytes);
    x->f = fopen(x->a->path, "ab");
    if (!x->f || fseek(x->f, 0, SEEK_END) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s", x->a->path, strerror(errno));
    if (x->done == 0 || ftell(x->f) < bytes) x->done = bytes = 0;
    if (ftruncate(fileno(x->f), bytes) != 0 || fseek(x->f, 0, SEEK_END) != 0)
        YK_FAIL(YK_ERR_IO, "%s: cannot cut off: %s", x->a->path, strerror(errno));
done:
    json_decref(account);
    return st;
}

/* Rank 0 opens the file; what it has whole, all ranks recall. */
static yk_status begin(growing *x, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t bytes;
    json_t *account = NULL;
    YK_TRY(yk_comm_agree(x->comm, yk_comm_leads(x->comm) ? open_file(x, err) : YK_OK, err));
    yk_comm_share(x->comm, &x->done, sizeof x->done);
    if (x->done == 0) goto done;
    read_account(x, &account, &bytes);
    st = x->a->recall(x->a->context, account, err);
    YK_TRY(yk_comm_agree(x->comm, st, err));
    yk_log("%-10s going on after %lld of %lld %s (%s)", x->c->name, (long long)x->done, (long long)x->a->total,
           x->a->items, x->a->path);
done:
    json_decref(account);
    return st;
}

/* By rank 0; `own` is taken. */
static yk_status write_account(const growing *x, json_t *own, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *account = NULL;
    if (fflush(x->f) != 0 || fsync(fileno(x->f)) != 0)
        YK_FAIL(YK_ERR_IO, "%s: cannot write: %s", x->a->path, strerror(errno));
    account = json_pack("{s:s, s:I, s:I, s:I}", "of", x->a->name, "total", (json_int_t)x->a->total, "done",
                        (json_int_t)x->done, "bytes", (json_int_t)ftell(x->f));
    if (json_object_update(account, own) != 0) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_json_write(x->account, account, err));
done:
    json_decref(own);
    json_decref(account);
    return st;
}

/* One part more; *whole as of yk_answers.make. */
static yk_status grow(growing *x, bool *whole, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_answers *a = x->a;
    const int64_t left = a->total - x->done, n = left < a->part ? left : a->part;
    *whole = true;
    st = a->make(a->context, x->done, n, x->f, whole, err);
    YK_TRY(yk_comm_agree(x->comm, st, err));
    if (!*whole) goto done;
    x->done += n;
    json_t *own = a->remember(a->context);
    if (yk_comm_leads(x->comm)) st = write_account(x, own, err);
    else json_decref(own);
    YK_TRY(yk_comm_agree(x->comm, st, err));
    yk_progress("%-10s %lld of %lld %s, %lld answers kept", x->c->name, (long long)x->done, (long long)a->total,
                a->items, (long long)*a->kept);
done:
    return st;
}

yk_status yk_answers_make(const yk_answers *a, const yk_course *c, bool *made, yk_error *err)
{
    yk_status st = YK_OK;
    growing x = {.a = a, .c = c, .comm = c->comm, .account = yk_path("%s/%s", c->dir, a->account)};
    bool whole = true;
    *made = false;
    if (!x.account) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(begin(&x, err));
    while (x.done < a->total && whole && !yk_comm_any(x.comm, yk_job_stops(c->job))) YK_TRY(grow(&x, &whole, err));
    *made = x.done == a->total;
done:
    if (x.f) fclose(x.f);
    free(x.account);
    return yk_comm_agree(c->comm, st, err); /* the file is whole, for all to read */
}
