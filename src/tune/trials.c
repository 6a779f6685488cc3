#include "tune/trials.h"

#include "base/file.h"
#include "base/log.h"
#include "config/schema.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_BYTES = 64 << 20 };

static void place_of(int64_t trial, int64_t step, char out[48])
{
    snprintf(out, 48, "%lld/%lld", (long long)trial, (long long)step);
}

static bool is_result(json_t *line)
{
    const json_t *score = json_object_get(line, "score");
    return json_is_string(json_object_get(line, "search")) && json_is_integer(json_object_get(line, "trial")) &&
           json_is_integer(json_object_get(line, "step")) && json_is_object(json_object_get(line, "values")) &&
           (json_is_null(score) || (json_is_number(score) && isfinite(json_number_value(score))));
}

/* Takes one line, newline included; keeps it in `whole` when it is a result. */
static yk_status take_line(yk_trials *t, const char *line, size_t n, yk_buf *whole, yk_error *err)
{
    yk_status st = YK_OK;
    char place[48];
    json_t *row = line[n - 1] == '\n' ? json_loadb(line, n, 0, NULL) : NULL;
    if (!is_result(row)) goto done;
    if (strcmp(json_string_value(json_object_get(row, "search")), t->search) != 0)
        YK_FAIL(YK_ERR_SHAPE, "%s: holds trials of another recipe or corpus; remove its folder to search anew, or "
                "choose another --run-dir", t->path);
    place_of(json_integer_value(json_object_get(row, "trial")), json_integer_value(json_object_get(row, "step")),
             place);
    json_object_set(t->known, place, row);
    yk_buf_add(whole, line, n);
done:
    json_decref(row);
    return st;
}

static yk_status read_lines(yk_trials *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0}, whole = {0};
    struct stat info;
    if (stat(t->path, &info) != 0) return YK_OK;
    if (!S_ISREG(info.st_mode) || info.st_size > MOST_BYTES)
        YK_FAIL(YK_ERR_INPUT, "%s: is no record of trials (a file of at most %d bytes); remove it", t->path,
                MOST_BYTES);
    YK_TRY(yk_file_read(t->path, &text, err));
    for (size_t at = 0; at < text.len;) {
        const char *stop = memchr(text.data + at, '\n', text.len - at);
        size_t n = stop ? (size_t)(stop - text.data) - at + 1 : text.len - at;
        YK_TRY(take_line(t, text.data + at, n, &whole, err));
        at += n;
    }
    if (whole.len == text.len) goto done;
    yk_warn("%s: damaged lines are dropped and their trials trained again", t->path);
    YK_TRY(yk_file_write(t->path, whole.data ? whole.data : "", whole.len, err));
done:
    yk_buf_free(&text);
    yk_buf_free(&whole);
    return st;
}

yk_status yk_trials_open(yk_trials *t, const char *path, const char search[33], yk_error *err)
{
    yk_status st = YK_OK;
    *t = (yk_trials){.path = strdup(path), .known = json_object()};
    memcpy(t->search, search, sizeof t->search);
    if (!t->path || !t->known) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(read_lines(t, err));
    t->file = fopen(path, "ab");
    if (!t->file) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
done:
    if (st != YK_OK) yk_trials_close(t);
    return st;
}

void yk_trials_close(yk_trials *t)
{
    if (t->file) fclose(t->file);
    free(t->path);
    json_decref(t->known);
    *t = (yk_trials){0};
}

static double score_of(const json_t *value)
{
    double x = json_is_number(value) ? json_number_value(value) : INFINITY;
    return isfinite(x) ? x : INFINITY;
}

bool yk_trials_find(const yk_trials *t, yk_result *r)
{
    char place[48];
    place_of(r->trial, r->step, place);
    json_t *line = json_object_get(t->known, place), *values = json_loads(r->values, 0, NULL);
    bool same = line && values && json_equal(values, json_object_get(line, "values"));
    json_decref(values);
    if (!same) return false;
    r->score = score_of(json_object_get(line, "score"));
    r->seconds = json_number_value(json_object_get(line, "seconds"));
    return true;
}

yk_status yk_trials_add(yk_trials *t, const yk_result *r, yk_error *err)
{
    yk_buf line = {0};
    char score[YK_NUMBER_ROOM] = "null", seconds[YK_NUMBER_ROOM];
    if (isfinite(r->score)) yk_print_real(r->score, score);
    yk_print_real(yk_to_digits(r->seconds, 4), seconds);
    yk_buf_printf(&line,
                  "{\"search\":\"%s\",\"trial\":%lld,\"rung\":%lld,\"step\":%lld,\"values\":%s,\"score\":%s,"
                  "\"seconds\":%s}\n",
                  t->search, (long long)r->trial, (long long)r->rung, (long long)r->step, r->values, score, seconds);
    bool written = fwrite(line.data, 1, line.len, t->file) == line.len && fflush(t->file) == 0;
    yk_buf_free(&line);
    return written ? YK_OK : yk_fail(err, YK_ERR_IO, "%s: cannot append: %s", t->path, strerror(errno));
}

yk_status yk_trials_score(const char *dir, int64_t step, double *score, bool *found, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/metrics.jsonl", dir), *line = NULL;
    size_t room = 0;
    FILE *f = path ? fopen(path, "rb") : NULL;
    *found = false;
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!f) goto done;
    for (ssize_t n; (n = getline(&line, &room, f)) >= 0;) {
        json_t *row = json_loadb(line, (size_t)n, 0, NULL);
        const char *type = json_string_value(json_object_get(row, "type"));
        if (type && strcmp(type, "eval") == 0 && json_integer_value(json_object_get(row, "step")) == step) {
            *score = score_of(json_object_get(row, "bpb"));
            *found = true;
        }
        json_decref(row);
    }
done:
    if (f) fclose(f);
    free(line);
    free(path);
    return st;
}
