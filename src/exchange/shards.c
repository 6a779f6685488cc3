#include "exchange/shards.h"

#include "base/file.h"
#include "base/json.h"
#include "exchange/config.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FILES = 10000 };

static yk_status open_file(yk_shards *s, const char *dir, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    char **paths = yk_regrow(s->path, s->n + 1, sizeof *paths, err);
    if (!paths) return YK_ERR_MEMORY;
    s->path = paths;
    yk_safetensors *files = yk_regrow(s->file, s->n + 1, sizeof *files, err);
    if (!files) return YK_ERR_MEMORY;
    s->file = files;
    s->path[s->n] = yk_path("%s/%s", dir, name);
    if (!s->path[s->n]) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    st = yk_safetensors_open(&s->file[s->n], s->path[s->n], err);
    s->n++;
done:
    return st;
}

static bool is_open(const yk_shards *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(strrchr(s->path[i], '/') + 1, name) == 0) return true;
    return false;
}

/* Every tensor of the index is in the file that it names, and there is no other. */
static yk_status check_index(const yk_shards *s, const json_t *map, const char *path, yk_error *err)
{
    const char *name;
    const json_t *file;
    size_t tensors = 0;
    json_object_foreach((json_t *)(uintptr_t)map, name, file) {
        const yk_safetensors *in = NULL;
        if (!yk_shards_find(s, name, &in) || strcmp(strrchr(in->path, '/') + 1, json_string_value(file)) != 0)
            return yk_fail(err, YK_ERR_INPUT, "%s: tensor %s is not in %s", path, name, json_string_value(file));
    }
    for (size_t i = 0; i < s->n; i++) tensors += s->file[i].n;
    for (size_t i = 0; i < s->n && tensors != json_object_size(map); i++)
        for (size_t k = 0; k < s->file[i].n; k++) {
            const yk_safetensors *in;
            yk_shards_find(s, s->file[i].tensor[k].name, &in);
            if (!json_object_get(map, s->file[i].tensor[k].name) || in != &s->file[i])
                return yk_fail(err, YK_ERR_INPUT, "%s: has tensor %s, which the index has not, or elsewhere",
                               s->path[i], s->file[i].tensor[k].name);
        }
    return YK_OK;
}

static yk_status open_index(yk_shards *s, const char *dir, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *index = NULL, *map, *x;
    const char *name;
    YK_TRY(yk_hf_json(path, &index, err));
    map = json_object_get(index, "weight_map");
    if (json_object_size(map) == 0) YK_FAIL(YK_ERR_INPUT, "%s: has no `weight_map`", path);
    json_object_foreach(map, name, x) {
        const char *file = json_string_value(x);
        if (!file || !*file || *file == '.' || strchr(file, '/'))
            YK_FAIL(YK_ERR_INPUT, "%s: tensor %s is in no file of this directory", path, name);
        if (is_open(s, file)) continue;
        if (s->n == MOST_FILES) YK_FAIL(YK_ERR_INPUT, "%s: names more than %d files", path, MOST_FILES);
        YK_TRY(open_file(s, dir, file, err));
    }
    YK_TRY(check_index(s, map, path, err));
done:
    json_decref(index);
    return st;
}

yk_status yk_shards_open(yk_shards *s, const char *dir, yk_error *err)
{
    yk_status st = YK_OK;
    char *one = yk_path("%s/model.safetensors", dir), *index = yk_path("%s/model.safetensors.index.json", dir);
    *s = (yk_shards){0};
    if (!one || !index) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (yk_exists(one)) YK_TRY(open_file(s, dir, "model.safetensors", err));
    else if (yk_exists(index)) YK_TRY(open_index(s, dir, index, err));
    else YK_FAIL(YK_ERR_INPUT, "%s: has no model.safetensors, and no model.safetensors.index.json", dir);
done:
    free(one);
    free(index);
    return st;
}

void yk_shards_close(yk_shards *s)
{
    for (size_t i = 0; i < s->n; i++) {
        yk_safetensors_close(&s->file[i]);
        free(s->path[i]);
    }
    free(s->path);
    free(s->file);
    *s = (yk_shards){0};
}

const yk_safe_tensor *yk_shards_find(const yk_shards *s, const char *name, const yk_safetensors **file)
{
    *file = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const yk_safe_tensor *t = yk_safetensors_find(&s->file[i], name);
        *file = &s->file[i];
        if (t) return t;
    }
    return NULL;
}

/* --- writing --------------------------------------------------------------------------------- */

typedef struct from {
    yk_safe_numbers_fn numbers;
    void *context;
    size_t first;
} from;

static const float *numbers_of_part(void *context, size_t i)
{
    const from *f = context;
    return f->numbers(f->context, f->first + i);
}

/* How many items from `first` on go into one file. */
static size_t take(const yk_safe_item *item, size_t n, size_t first, yk_safe_type type, int64_t most)
{
    size_t k = first;
    for (int64_t bytes = 0; k < n && (k == first || bytes + yk_safe_bytes(&item[k], type) <= most); k++)
        bytes += yk_safe_bytes(&item[k], type);
    return k - first;
}

static yk_status write_index(const char *dir, json_t *map, json_int_t bytes, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/model.safetensors.index.json", dir);
    json_t *index = json_pack("{s:{s:I}, s:O}", "metadata", "total_size", bytes, "weight_map", map);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_json_write(path, index, err));
done:
    json_decref(index);
    free(path);
    return st;
}

yk_status yk_shards_write(const char *dir, const yk_safe_item *item, size_t n, yk_safe_type type, int64_t most,
                          yk_safe_numbers_fn numbers, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    json_int_t bytes = 0;
    int files = 0, file = 0;
    json_t *map = json_object();
    for (size_t i = 0; i < n; i += take(item, n, i, type, most)) files++;
    for (size_t i = 0, k; i < n; i += k) {
        from part = {numbers, context, i};
        k = take(item, n, i, type, most);
        free(path);
        path = files == 1 ? yk_path("%s/model.safetensors", dir)
                          : yk_path("%s/model-%05d-of-%05d.safetensors", dir, ++file, files);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        YK_TRY(yk_safetensors_write(path, item + i, k, type, numbers_of_part, &part, err));
        for (size_t j = i; j < i + k; j++) {
            json_object_set_new(map, item[j].name, json_string(strrchr(path, '/') + 1));
            bytes += yk_safe_bytes(&item[j], type);
        }
    }
    if (files > 1) YK_TRY(write_index(dir, map, bytes, err));
done:
    json_decref(map);
    free(path);
    return st;
}
