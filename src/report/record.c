#include "report/record.h"

#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DOMAINS = 64, MAX_TRIALS = 10000 };

json_t *yk_json_at(json_t *from, const char *path)
{
    while (from && *path) {
        char key[64];
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        from = json_object_get(from, key);
        path += n + (path[n] == '.');
    }
    return from;
}

double yk_json_number(json_t *from, const char *path)
{
    json_t *at = yk_json_at(from, path);
    double v = json_is_number(at) ? json_number_value(at) : NAN;
    if (fabs(v) < 1e-30) return 0;
    return fabs(v) < 1e30 ? v : NAN;
}

const char *yk_json_text(json_t *from, const char *path)
{
    return json_string_value(yk_json_at(from, path));
}

int yk_record_domain(const yk_record *r, const char *name)
{
    for (size_t i = 0; i < r->domain_count; i++)
        if (!strcmp(r->domains[i], name)) return (int)i;
    return -1;
}

static yk_status add_domain(yk_record *r, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    if (!name || r->domain_count == MAX_DOMAINS || yk_record_domain(r, name) >= 0) return YK_OK;
    YK_ROOM(r->domains, r->domain_count, r->domain_cap);
    char *copy = strdup(name);
    if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    r->domains[r->domain_count++] = copy;
done:
    return st;
}

static yk_status add_domains_of(yk_record *r, json_t *object, yk_error *err)
{
    yk_status st = YK_OK;
    const char *name;
    json_t *value;
    json_object_foreach (object, name, value) YK_TRY(add_domain(r, name, err));
done:
    return st;
}

static yk_status add_step(yk_record *r, json_t *line, yk_error *err)
{
    yk_status st = YK_OK;
    yk_step_row row = {.step = yk_json_number(line, "step"),
                       .tokens = yk_json_number(line, "tokens"),
                       .loss = yk_json_number(line, "loss"),
                       .masked_loss = yk_json_number(line, "masked_loss"),
                       .lr = yk_json_number(line, "lr"),
                       .grad_norm = yk_json_number(line, "grad_norm"),
                       .tokens_per_s = yk_json_number(line, "tokens_per_s"),
                       .skipped = json_is_true(json_object_get(line, "skipped"))};
    if (isnan(row.step) || isnan(row.tokens)) return YK_OK;
    while (r->step_count && r->steps[r->step_count - 1].step >= row.step) r->step_count--;
    YK_ROOM(r->steps, r->step_count, r->step_cap);
    r->steps[r->step_count++] = row;
done:
    return st;
}

static yk_status add_eval(yk_record *r, json_t *line, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *by_domain = json_object_get(line, "by_domain");
    yk_eval_row row = {.step = yk_json_number(line, "step"),
                       .tokens = yk_json_number(line, "tokens"),
                       .flops = yk_json_number(line, "flops"),
                       .bpb = yk_json_number(line, "bpb"),
                       .masked_accuracy = yk_json_number(line, "masked_accuracy"),
                       .by_domain = json_is_object(by_domain) ? by_domain : NULL};
    if (isnan(row.step) || isnan(row.tokens)) return YK_OK;
    while (r->eval_count && r->evals[r->eval_count - 1].step >= row.step)
        json_decref(r->evals[--r->eval_count].by_domain);
    YK_ROOM(r->evals, r->eval_count, r->eval_cap);
    json_incref(row.by_domain);
    r->evals[r->eval_count++] = row;
    st = add_domains_of(r, row.by_domain, err);
done:
    return st;
}

static yk_status take_metric(void *into, json_t *line, yk_error *err)
{
    yk_record *r = into;
    const char *type = yk_json_text(line, "type");
    if (!type) return YK_OK;
    if (!strcmp(type, "step")) return add_step(r, line, err);
    if (!strcmp(type, "eval")) return add_eval(r, line, err);
    json_t *domains = json_object_get(line, "domains");
    if (!strcmp(type, "mixture") && json_is_object(domains)) {
        json_decref(r->mixture);
        r->mixture = json_incref(domains);
    }
    return YK_OK;
}

static yk_status take_row(json_t ***rows, size_t *count, size_t *cap, json_t *line, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(*rows, *count, *cap);
    (*rows)[(*count)++] = json_incref(line);
done:
    return st;
}

static bool is_sample(json_t *line)
{
    return !isnan(yk_json_number(line, "step")) && yk_json_text(line, "prompt") && yk_json_text(line, "text");
}

static yk_status take_sample(void *into, json_t *line, yk_error *err)
{
    yk_record *r = into;
    return is_sample(line) ? take_row(&r->samples, &r->sample_count, &r->sample_cap, line, err) : YK_OK;
}

static yk_status take_course_sample(void *into, json_t *line, yk_error *err)
{
    yk_course_record *c = into;
    return is_sample(line) ? take_row(&c->samples, &c->sample_count, &c->sample_cap, line, err) : YK_OK;
}

static yk_status take_course_row(void *into, json_t *line, yk_error *err)
{
    yk_course_record *c = into;
    return isnan(yk_json_number(line, "step")) ? YK_OK : take_row(&c->rows, &c->row_count, &c->row_cap, line, err);
}

static yk_status take_trial(void *into, json_t *line, yk_error *err)
{
    yk_record *r = into;
    yk_status st = YK_OK;
    if (isnan(yk_json_number(line, "trial")) || isnan(yk_json_number(line, "step"))) return YK_OK;
    if (!json_is_object(json_object_get(line, "values")) || r->trial_count == MAX_TRIALS) return YK_OK;
    YK_ROOM(r->trials, r->trial_count, r->trial_cap);
    r->trials[r->trial_count++] = json_incref(line);
done:
    return st;
}

/* *found counts the files that are there. */
static yk_status read_lines(yk_record *r, const char *dir, const char *file,
                            yk_status (*take)(void *, json_t *, yk_error *), void *into, int *found,
                            yk_error *err)
{
    yk_status st = YK_OK;
    char *text = NULL, *path = yk_path("%s/%s", dir, file);
    size_t cap = 0, number = 0, bad = 0, first_bad = 0;
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) {
        if (errno != ENOENT)
            yk_buf_printf(&r->notes, "%s: cannot open: %s\n", file, strerror(errno));
        goto done;
    }
    ++*found;
    for (ssize_t n; (n = getline(&text, &cap, f)) >= 0;) {
        number++;
        if (text[strspn(text, " \t\r\n")] == 0 && strlen(text) == (size_t)n) continue;
        json_t *line = json_loadb(text, (size_t)n, 0, NULL);
        if (json_is_object(line)) {
            st = take(into, line, err);
        } else {
            bad++;
            if (!first_bad) first_bad = number;
        }
        json_decref(line);
        if (st != YK_OK) goto done;
    }
    if (ferror(f)) yk_buf_printf(&r->notes, "%s: cannot be read to its end\n", file);
    if (bad)
        yk_buf_printf(&r->notes, "%s: %zu damaged line%s skipped, the first is line %zu\n", file,
                      bad, bad == 1 ? "" : "s", first_bad);
done:
    if (f) fclose(f);
    free(text);
    free(path);
    return st;
}

/* The stages of the summary that have metrics of their own. */
static yk_status read_courses(yk_record *r, const char *dir, int *found, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *stages = yk_json_at(r->summary, "stages");
    for (size_t i = 0; i < json_array_size(stages) && r->course_count < YK_MOST_COURSES; i++) {
        yk_course_record *c = &r->courses[r->course_count];
        c->name = yk_json_text(json_array_get(stages, i), "name");
        if (!c->name || strchr(c->name, '/') || c->name[0] == '.') continue;
        char *metrics = yk_path("%s/metrics.jsonl", c->name), *samples = yk_path("%s/samples.jsonl", c->name);
        if (!metrics || !samples) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
        if (st == YK_OK) st = read_lines(r, dir, metrics, take_course_row, c, found, err);
        if (st == YK_OK) st = read_lines(r, dir, samples, take_course_sample, c, found, err);
        r->course_count += c->row_count > 0 || c->sample_count > 0;
        free(metrics);
        free(samples);
        if (st != YK_OK) break;
    }
    return st;
}

static json_t *read_object(yk_record *r, const char *dir, const char *file, int *found)
{
    json_error_t where;
    yk_error err;
    yk_buf text = {0};
    json_t *object = NULL;
    char *path = yk_path("%s/%s", dir, file);
    if (!path || !yk_exists(path)) goto done;
    ++*found;
    if (yk_file_read(path, &text, &err) != YK_OK) {
        yk_buf_printf(&r->notes, "%s\n", err.text);
        goto done;
    }
    object = json_loadb(text.data, text.len, 0, &where);
    if (json_is_object(object)) goto done;
    yk_buf_printf(&r->notes, "%s: left out: %s\n", file, object ? "not a JSON object" : where.text);
    json_decref(object);
    object = NULL;
done:
    yk_buf_free(&text);
    free(path);
    return object;
}

static void read_recipe(yk_record *r, const char *dir, int *found)
{
    yk_error err;
    char *path = yk_path("%s/recipe.yaml", dir);
    if (path && yk_exists(path)) {
        ++*found;
        if (yk_file_read(path, &r->recipe, &err) != YK_OK)
            yk_buf_printf(&r->notes, "%s\n", err.text);
    }
    free(path);
}

char *yk_record_directory(const char *dir)
{
    char *real = realpath(dir, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    char *name = strdup(slash && slash[1] ? slash + 1 : dir);
    free(real);
    return name;
}

yk_status yk_record_read(yk_record *r, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    int found = 0;
    *r = (yk_record){0};
    if (stat(run_dir, &info) != 0)
        YK_FAIL(YK_ERR_INPUT, "%s: cannot be read: %s: name the run directory of a `yoke run`",
                run_dir, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        YK_FAIL(YK_ERR_INPUT, "%s: is no directory: name the run directory of a `yoke run`",
                run_dir);
    r->summary = read_object(r, run_dir, "summary.json", &found);
    r->clean = read_object(r, run_dir, "clean/report.json", &found);
    r->tokenizer = read_object(r, run_dir, "tokenizer/report.json", &found);
    r->manifest = read_object(r, run_dir, "manifest.json", &found);
    r->proposals = read_object(r, run_dir, "propose/report.json", &found);
    read_recipe(r, run_dir, &found);
    YK_TRY(add_domains_of(r, yk_json_at(r->clean, "domains"), err));
    YK_TRY(add_domains_of(r, yk_json_at(r->summary, "corpus.domains"), err));
    YK_TRY(add_domains_of(r, yk_json_at(r->summary, "pretrain.heldout_bpb.by_domain"), err));
    YK_TRY(read_lines(r, run_dir, "metrics.jsonl", take_metric, r, &found, err));
    YK_TRY(read_lines(r, run_dir, "samples.jsonl", take_sample, r, &found, err));
    YK_TRY(read_lines(r, run_dir, "tune/trials.jsonl", take_trial, r, &found, err));
    YK_TRY(read_courses(r, run_dir, &found, err));
    YK_TRY(add_domains_of(r, r->mixture, err));
    if (!found)
        YK_FAIL(YK_ERR_INPUT,
                "%s: holds no run (none of summary.json, metrics.jsonl, samples.jsonl, "
                "recipe.yaml, ...): name the run directory of a `yoke run`",
                run_dir);
    const char *name = yk_json_text(r->summary, "name");
    r->name = name && *name ? strdup(name) : yk_record_directory(run_dir);
    if (!r->name) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    if (st != YK_OK) yk_record_free(r);
    return st;
}

void yk_record_free(yk_record *r)
{
    json_decref(r->summary);
    json_decref(r->clean);
    json_decref(r->tokenizer);
    json_decref(r->manifest);
    json_decref(r->proposals);
    json_decref(r->mixture);
    for (size_t i = 0; i < r->eval_count; i++) json_decref(r->evals[i].by_domain);
    for (size_t i = 0; i < r->sample_count; i++) json_decref(r->samples[i]);
    for (size_t i = 0; i < r->trial_count; i++) json_decref(r->trials[i]);
    for (size_t c = 0; c < YK_MOST_COURSES; c++) {
        for (size_t i = 0; i < r->courses[c].row_count; i++) json_decref(r->courses[c].rows[i]);
        for (size_t i = 0; i < r->courses[c].sample_count; i++) json_decref(r->courses[c].samples[i]);
        free(r->courses[c].rows);
        free(r->courses[c].samples);
    }
    for (size_t i = 0; i < r->domain_count; i++) free(r->domains[i]);
    free(r->steps);
    free(r->evals);
    free(r->samples);
    free(r->trials);
    free(r->domains);
    free(r->name);
    yk_buf_free(&r->recipe);
    yk_buf_free(&r->notes);
    *r = (yk_record){0};
}
