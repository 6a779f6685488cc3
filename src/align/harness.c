/* The keys of a task file. Rewriting lines is in harness_line.c. */
#include "align/harness.h"

#include "align/template.h"
#include "base/file.h"
#include "base/log.h"
#include "config/yaml.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    yk_yaml yaml;
    yk_harness *t;
    const yaml_node_t *files, *choice, *metrics; /* NULL: not given */
    char *path, *test, *validation;
    yk_buf ignored;
} reader;

/* Fails at a node. */
#define REFUSE(node, ...)                                                                               \
    do {                                                                                                \
        st = yk_yaml_at(&x->yaml, (node)->start_mark, yk_fail(err, YK_ERR_CONFIG, __VA_ARGS__), err);    \
        goto done;                                                                                      \
    } while (0)

typedef struct key key;
typedef yk_status take_fn(reader *x, const key *k, const yaml_node_t *value, yk_error *err);
typedef yk_status take_text_fn(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err);
struct key {
    const char *name;
    take_fn *take;
    take_text_fn *take_text; /* instead of `take`, where the value has to be a text */
    size_t offset;           /* of a member of yk_harness, or of reader where `own` */
    bool own;
    const char *only;        /* the only value that is supported */
};

#define THEIRS(field) .offset = offsetof(yk_harness, field)
#define OWN(field) .offset = offsetof(reader, field), .own = true

static void *member_of(reader *x, const key *k)
{
    return (char *)(k->own ? (void *)x : (void *)x->t) + k->offset;
}

static yk_status scalar(reader *x, const char *name, const yaml_node_t *value, const char **text, yk_error *err)
{
    yk_status st = YK_OK;
    *text = yk_yaml_text(value);
    if (!*text) REFUSE(value, "`%s`: expected a text, found %s", name, yk_yaml_kind(value));
done:
    return st;
}

static yk_status copy(char **to, const char *text, yk_error *err)
{
    free(*to);
    *to = strdup(text);
    return *to ? YK_OK : yk_fail(err, YK_ERR_MEMORY, "out of memory");
}

static yk_status append(yk_list *l, const char *text, yk_error *err)
{
    char **more = yk_regrow(l->item, l->n + 1, sizeof *more, err);
    if (!more) return YK_ERR_MEMORY;
    l->item = more;
    l->item[l->n] = NULL;
    return copy(&l->item[l->n++], text, err);
}

static void free_list(yk_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->item[i]);
    free(l->item);
    *l = (yk_list){0};
}

/* Of a scalar one text, of a list each, of a mapping each value. */
static yk_status texts(reader *x, const char *name, const yaml_node_t *value, yk_list *l, yk_error *err)
{
    yk_status st = YK_OK;
    const char *text;
    if (value->type == YAML_SCALAR_NODE) {
        YK_TRY(scalar(x, name, value, &text, err));
        return append(l, text, err);
    }
    const bool map = value->type == YAML_MAPPING_NODE;
    const size_t n = map ? (size_t)(value->data.mapping.pairs.top - value->data.mapping.pairs.start)
                         : (size_t)(value->data.sequence.items.top - value->data.sequence.items.start);
    for (size_t i = 0; i < n; i++) {
        const int id = map ? value->data.mapping.pairs.start[i].value : value->data.sequence.items.start[i];
        YK_TRY(scalar(x, name, yk_yaml_node(&x->yaml, id), &text, err));
        YK_TRY(append(l, text, err));
    }
done:
    return st;
}

static yk_status keep_text(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    (void)value;
    return copy(member_of(x, k), text, err);
}

static yk_status keep_template(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    yk_status st = yk_template_check(text, err);
    YK_TRY(yk_yaml_at(&x->yaml, value->start_mark, yk_context(err, st, "`%s`", k->name), err));
    YK_TRY(keep_text(x, k, value, text, err));
done:
    return st;
}

static yk_status take_node(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    (void)err;
    *(const yaml_node_t **)member_of(x, k) = value;
    return YK_OK;
}

static yk_status take_ignored(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    (void)value, (void)err;
    yk_buf_printf(&x->ignored, "%s%s", x->ignored.len ? ", " : "", k->name);
    return YK_OK;
}

static yk_status take_nothing(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    (void)x, (void)k, (void)value, (void)err;
    return YK_OK;
}

static yk_status check_only(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    if (strcasecmp(text, k->only) != 0) REFUSE(value, "`%s: %s` is not supported, only %s", k->name, text, k->only);
done:
    return st;
}

static yk_status take_value(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    yk_status st = YK_OK;
    const char *text;
    if (!k->take_text) return k->take(x, k, value, err);
    YK_TRY(scalar(x, k->name, value, &text, err));
    YK_TRY(k->take_text(x, k, value, text, err));
done:
    return st;
}

/* Hands each pair of a mapping to its key. */
static yk_status take_mapping(reader *x, const char *what, const key *keys, const yaml_node_t *map, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf list = {0};
    for (const key *k = keys; k->name; k++) yk_buf_printf(&list, "%s%s", k == keys ? "" : ", ", k->name);
    if (map->type != YAML_MAPPING_NODE) REFUSE(map, "%s is a mapping (key: value), found %s", what, yk_yaml_kind(map));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yk_yaml_node(&x->yaml, p->key), *value = yk_yaml_node(&x->yaml, p->value);
        const char *text = yk_yaml_text(name);
        const key *k = keys;
        while (text && k->name && strcmp(k->name, text) != 0) k++;
        if (!text || !k->name)
            REFUSE(name, "the key `%.60s` of %s is not supported; supported are %s", text ? text : "?", what,
                   list.data);
        for (const yaml_node_pair_t *q = map->data.mapping.pairs.start; q < p; q++)
            if (strcmp(yk_yaml_text(yk_yaml_node(&x->yaml, q->key)), text) == 0)
                REFUSE(name, "`%s` is given twice", text);
        if (!yk_yaml_is_null(value)) YK_TRY(take_value(x, k, value, err));
    }
done:
    yk_buf_free(&list);
    return st;
}

/* A list of mappings, of at most `most` if that is not 0. */
static yk_status take_list(reader *x, const char *name, const char *what, const key *keys, const yaml_node_t *list,
                           long most, yk_error *err)
{
    yk_status st = YK_OK;
    if (list->type != YAML_SEQUENCE_NODE)
        REFUSE(list, "`%s`: expected a list, found %s", name, yk_yaml_kind(list));
    if (most && list->data.sequence.items.top - list->data.sequence.items.start > most)
        REFUSE(list, "`%s`: more than %ld entry is not supported", name, most);
    for (const int *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++)
        YK_TRY(take_mapping(x, what, keys, yk_yaml_node(&x->yaml, *i), err));
done:
    return st;
}

static yk_status keep_flag(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    const bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0)
        REFUSE(value, "`%s`: expected true or false, found `%.40s`", k->name, text);
    *(bool *)member_of(x, k) = yes;
done:
    return st;
}

static yk_status keep_tokens(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    const size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 6 || text[n] || strtol(text, NULL, 10) == 0)
        REFUSE(value, "`%s`: expected a number from 1 to 999999, found `%.40s`", k->name, text);
    x->t->tokens = strtol(text, NULL, 10);
done:
    return st;
}

static yk_status take_until(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    free_list(&x->t->until);
    return texts(x, k->name, value, &x->t->until, err);
}

static yk_status take_generation(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    static const key keys[] = {{.name = "until", .take = take_until},
                               {.name = "max_gen_toks", .take_text = keep_tokens},
                               {.name = "do_sample", .take_text = check_only, .only = "false"},
                               {.name = "temperature", .take = take_nothing}, {0}};
    return take_mapping(x, k->name, keys, value, err);
}

static yk_status take_data(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    static const key keys[] = {{.name = "data_files", .take = take_node, OWN(files)}, {0}};
    return take_mapping(x, k->name, keys, value, err);
}

static yk_status keep_function(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    (void)k;
    yk_status st = YK_OK;
    if (strcmp(text, "remove_whitespace") == 0)
        x->t->strip = true;
    else if (strcmp(text, "take_first") != 0)
        REFUSE(value, "the filter `%.60s` is not supported; supported are remove_whitespace and take_first", text);
done:
    return st;
}

static yk_status take_filter(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    static const key keys[] = {{.name = "function", .take_text = keep_function}, {0}};
    return take_list(x, k->name, "a filter", keys, value, 0, err);
}

static yk_status take_filters(reader *x, const key *k, const yaml_node_t *value, yk_error *err)
{
    static const key keys[] = {{.name = "name", .take = take_nothing}, {.name = "filter", .take = take_filter}, {0}};
    return take_list(x, k->name, k->name, keys, value, 1, err);
}

/* What is measured is always all that there is for the type of output; the names of metrics are checked. */
static yk_status check_metric(reader *x, const key *k, const yaml_node_t *value, const char *text, yk_error *err)
{
    static const struct {
        const char *output, *metrics;
    } known[] = {{"multiple_choice", "acc, acc_norm, acc_bytes"}, {"loglikelihood", "acc, perplexity"},
                 {"generate_until", "exact_match"}};
    (void)k;
    yk_status st = YK_OK;
    const char *all = "";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].output, x->t->output) == 0) all = known[i].metrics;
    const size_t n = strlen(text);
    const char *at = n ? strstr(all, text) : NULL;
    while (at && !((at == all || at[-1] == ' ') && (at[n] == ',' || at[n] == 0))) at = strstr(at + 1, text);
    if (!at) REFUSE(value, "the metric `%.60s` is not supported; of %s there are %s", text, x->t->output, all);
done:
    return st;
}

static yk_status take_metrics(reader *x, yk_error *err)
{
    static const key keys[] = {{.name = "metric", .take_text = check_metric},
                               {.name = "aggregation", .take = take_nothing},
                               {.name = "higher_is_better", .take = take_nothing},
                               {.name = "ignore_case", .take_text = keep_flag, THEIRS(ignore_case)},
                               {.name = "ignore_punctuation", .take_text = keep_flag, THEIRS(ignore_punctuation)},
                               {0}};
    return x->metrics ? take_list(x, "metric_list", "a metric", keys, x->metrics, 0, err) : YK_OK;
}

#define IGNORED(word) {.name = word, .take = take_ignored}

static const key task_keys[] = {
    {.name = "task", .take_text = keep_text, THEIRS(name)},
    {.name = "dataset_path", .take_text = keep_text, OWN(path)},
    {.name = "dataset_kwargs", .take = take_data},
    {.name = "test_split", .take_text = keep_text, OWN(test)},
    {.name = "validation_split", .take_text = keep_text, OWN(validation)},
    {.name = "output_type", .take_text = keep_text, THEIRS(output)},
    {.name = "doc_to_text", .take_text = keep_template, THEIRS(text)},
    {.name = "doc_to_target", .take_text = keep_template, THEIRS(target)},
    {.name = "doc_to_choice", .take = take_node, OWN(choice)},
    {.name = "target_delimiter", .take_text = keep_text, THEIRS(delimiter)},
    {.name = "fewshot_delimiter", .take_text = keep_text, THEIRS(fewshot_delimiter)},
    {.name = "description", .take_text = keep_template, THEIRS(description)},
    {.name = "num_fewshot", .take_text = check_only, .only = "0"},
    {.name = "metric_list", .take = take_node, OWN(metrics)},
    {.name = "generation_kwargs", .take = take_generation},
    {.name = "filter_list", .take = take_filters},
    {.name = "repeats", .take_text = check_only, .only = "1"},
    IGNORED("tag"), IGNORED("group"), IGNORED("metadata"), IGNORED("task_alias"), IGNORED("dataset_name"),
    IGNORED("training_split"), IGNORED("fewshot_split"), IGNORED("fewshot_config"), IGNORED("should_decontaminate"),
    IGNORED("doc_to_decontamination_query"), {0}};

/* The paths of the split, which are relative to the task's file. */
static yk_status find_files(reader *x, yk_error *err)
{
    yk_status st = YK_OK;
    const char *split = x->test ? x->test : x->validation, *slash = strrchr(x->yaml.name, '/');
    const yaml_node_t *node = x->files;
    if (!x->path || strcmp(x->path, "json") != 0)
        REFUSE(x->yaml.root, "`dataset_path: %.60s` is not supported, only json, with local files in "
               "dataset_kwargs.data_files",
               x->path ? x->path : "(not given)");
    if (!node) REFUSE(x->yaml.root, "`dataset_kwargs.data_files` is missing: the JSON lines files to measure on");
    if (!split)
        REFUSE(x->yaml.root, "`test_split` and `validation_split` are missing; one must name what to measure on");
    if (node->type == YAML_MAPPING_NODE) {
        const yaml_node_pair_t *p = node->data.mapping.pairs.start, *end = node->data.mapping.pairs.top;
        for (; p < end; p++) {
            const char *name = yk_yaml_text(yk_yaml_node(&x->yaml, p->key));
            if (name && strcmp(name, split) == 0) break;
        }
        if (p == end) REFUSE(node, "`data_files` has no files of the split `%.60s`", split);
        node = yk_yaml_node(&x->yaml, p->value);
    } else if (strcmp(split, "train") != 0) {
        REFUSE(node, "files without the name of a split are of the split `train`, and `%.60s` is to be measured",
               split);
    }
    YK_TRY(texts(x, "data_files", node, &x->t->files, err));
    if (x->t->files.n == 0) REFUSE(node, "`data_files` names no file");
    for (size_t i = 0; i < x->t->files.n && slash; i++) {
        char *own = x->t->files.item[i];
        if (own[0] == '/') continue;
        x->t->files.item[i] = yk_path("%.*s/%s", (int)(slash - x->yaml.name), x->yaml.name, own);
        free(own);
        if (!x->t->files.item[i]) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    }
done:
    return st;
}

static yk_status take_choices(reader *x, yk_error *err)
{
    yk_status st = YK_OK;
    const bool choices = strcmp(x->t->output, "multiple_choice") == 0;
    if (choices != (x->choice != NULL))
        REFUSE(x->choice ? x->choice : x->yaml.root, "`doc_to_choice` %s with output_type %s",
               choices ? "is missing, which goes" : "is not supported", x->t->output);
    if (!x->choice) goto done;
    if (x->choice->type == YAML_SCALAR_NODE) {
        const key k = {.name = "doc_to_choice", .take_text = keep_template, THEIRS(choice)};
        YK_TRY(take_value(x, &k, x->choice, err));
        goto done;
    }
    YK_TRY(texts(x, "doc_to_choice", x->choice, &x->t->choices, err));
    for (size_t i = 0; i < x->t->choices.n; i++)
        if (!yk_template_is_plain(x->t->choices.item[i]))
            REFUSE(x->choice, "`doc_to_choice`: the entries of a list are taken as they are; write \"{{[a, b]}}\"");
done:
    return st;
}

static yk_status finish(reader *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_harness *t = x->t;
    if (!t->output) YK_TRY(copy(&t->output, "generate_until", err));
    if (!t->delimiter) YK_TRY(copy(&t->delimiter, " ", err));
    const bool generates = strcmp(t->output, "generate_until") == 0;
    t->continues = strcmp(t->output, "loglikelihood") == 0;
    t->form = generates ? YK_PROBLEM : YK_CHOICE;
    if (!generates && !t->continues && strcmp(t->output, "multiple_choice") != 0)
        REFUSE(x->yaml.root, "`output_type: %.60s` is not supported; supported are multiple_choice, loglikelihood and "
               "generate_until", t->output);
    if (!t->text || !t->target) REFUSE(x->yaml.root, "`%s` is missing", t->text ? "doc_to_target" : "doc_to_text");
    if (t->until.n == 0) YK_TRY(append(&t->until, t->fewshot_delimiter ? t->fewshot_delimiter : "\n\n", err));
    if (t->tokens == 0) t->tokens = 256;
    YK_TRY(take_choices(x, err));
    YK_TRY(take_metrics(x, err));
    YK_TRY(find_files(x, err));
done:
    return st;
}

yk_status yk_harness_read(yk_harness *t, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    reader own = {.yaml = {.name = path, .noun = "an evaluation task"}, .t = t}, *x = &own;
    *t = (yk_harness){0};
    YK_TRY(yk_yaml_read(&x->yaml, err));
    YK_TRY(take_mapping(x, "an evaluation task", task_keys, x->yaml.root, err));
    if (x->ignored.len) yk_log("%s: not looked at: %s", path, x->ignored.data);
    YK_TRY(finish(x, err));
done:
    yk_yaml_free(&x->yaml);
    free(x->path);
    free(x->test);
    free(x->validation);
    yk_buf_free(&x->ignored);
    return st == YK_ERR_CONFIG ? YK_ERR_INPUT : st;
}

void yk_harness_free(yk_harness *t)
{
    char **const all[] = {&t->name, &t->text, &t->target, &t->choice, &t->delimiter, &t->description, &t->output,
                          &t->fewshot_delimiter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(*all[i]);
    json_decref(t->first);
    free_list(&t->files);
    free_list(&t->until);
    free_list(&t->choices);
    *t = (yk_harness){0};
}
