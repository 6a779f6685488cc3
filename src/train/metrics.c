#include "train/metrics.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rewrites a file with only the whole lines up to `step`; mixture lines belong to the end of a run. */
static yk_status drop_after(const char *path, int64_t step, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf old = {0}, kept = {0};
    if (!yk_exists(path)) return YK_OK;
    YK_TRY(yk_file_read(path, &old, err));
    for (size_t at = 0; at < old.len;) {
        const char *stop = memchr(old.data + at, '\n', old.len - at);
        if (!stop) break;
        size_t n = (size_t)(stop - old.data) - at + 1;
        json_t *row = json_loadb(old.data + at, n, 0, NULL);
        const json_t *when = json_object_get(row, "step");
        if (json_is_integer(when) && json_integer_value(when) <= step) yk_buf_add(&kept, old.data + at, n);
        json_decref(row);
        at += n;
    }
    YK_TRY(yk_file_write(path, kept.data ? kept.data : "", kept.len, err));
done:
    yk_buf_free(&old);
    yk_buf_free(&kept);
    return st;
}

static yk_status open_to_append(FILE **f, const char *path, yk_error *err)
{
    *f = fopen(path, "ab");
    return *f ? YK_OK : yk_fail(err, YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
}

static yk_status open_files(yk_metrics *m, const char *run_dir, int64_t step, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t last = step == 0 ? -1 : step;
    char *path = yk_path("%s/metrics.jsonl", run_dir);
    m->samples_path = yk_path("%s/samples.jsonl", run_dir);
    if (!path || !m->samples_path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(drop_after(path, last, err));
    YK_TRY(drop_after(m->samples_path, last, err));
    YK_TRY(open_to_append(&m->metrics, path, err));
done:
    free(path);
    return st;
}

yk_status yk_metrics_open(yk_metrics *m, yk_comm *comm, const char *run_dir, int64_t step, yk_error *err)
{
    m->comm = comm;
    return yk_comm_agree(comm, yk_comm_leads(comm) ? open_files(m, run_dir, step, err) : YK_OK, err);
}

void yk_metrics_close(yk_metrics *m)
{
    if (m->metrics) fclose(m->metrics);
    if (m->samples) fclose(m->samples);
    free(m->samples_path);
    *m = (yk_metrics){0};
}

static yk_status add_line(FILE *f, const char *name, json_t *row, yk_error *err)
{
    yk_status st = yk_json_add_line(f, name, row, err);
    if (st == YK_OK && fflush(f) != 0) st = yk_fail(err, YK_ERR_IO, "%s: cannot write: %s", name, strerror(errno));
    return st;
}

yk_status yk_metrics_add(yk_metrics *m, json_t *row, yk_error *err)
{
    yk_status st = YK_OK;
    if (yk_comm_leads(m->comm))
        st = add_line(m->metrics, "metrics.jsonl", row, err);
    else
        json_decref(row);
    if (!m->late) return yk_comm_agree(m->comm, st, err);
    if (m->failed == YK_OK && st != YK_OK) {
        m->failed = st;
        m->why = *err;
    }
    return YK_OK;
}

yk_status yk_metrics_settle(yk_metrics *m, yk_error *err)
{
    if (m->failed != YK_OK) *err = m->why;
    return yk_comm_agree(m->comm, m->failed, err);
}

json_t *yk_metrics_expert_load(const yk_model *m, yk_comm *comm)
{
    const yk_model_shape *s = yk_model_get_shape(m);
    int64_t *load = yk_model_loads(m);
    json_t *layers = load ? json_array() : NULL;
    if (load) yk_comm_add_counts(comm, load, s->layers * s->experts);
    for (int64_t l = s->dense_layers; load && l < s->layers; l++) {
        const int64_t *of = load + l * s->experts;
        int64_t sum = 0, most = of[0], least = of[0];
        for (int64_t e = 0; e < s->experts; e++) {
            sum += of[e];
            most = of[e] > most ? of[e] : most;
            least = of[e] < least ? of[e] : least;
        }
        const double mean = sum ? (double)sum / (double)s->experts : 1;
        json_array_append_new(layers, json_pack("{s:I, s:f, s:f}", "layer", (json_int_t)l, "max", (double)most / mean,
                                                "min", (double)least / mean));
    }
    return layers;
}

static yk_status add_sample(yk_metrics *m, int64_t step, const char *prompt, const yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    if (!m->samples) YK_TRY(open_to_append(&m->samples, m->samples_path, err));
    json_t *row = json_pack("{s:I, s:s, s:o}", "step", (json_int_t)step, "prompt", prompt, "text",
                            yk_json_of_bytes(text->data, text->len));
    YK_TRY(add_line(m->samples, m->samples_path, row, err));
done:
    return st;
}

yk_status yk_metrics_sample(yk_metrics *m, int64_t step, const char *prompt, const yk_buf *text, yk_error *err)
{
    return yk_comm_agree(m->comm, yk_comm_leads(m->comm) ? add_sample(m, step, prompt, text, err) : YK_OK, err);
}
