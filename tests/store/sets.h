/* A checkpoint of several ranks, of the tensors of world.h. */
#ifndef YK_TESTS_STORE_SETS_H
#define YK_TESTS_STORE_SETS_H

#include "world.h"

#include "base/hash.h"
#include "store/set.h"

enum { COUNT = ROWS * COLUMNS, PADDED = (COUNT + 15) / 16 * 16, LINE_FLOATS = YK_HASH_LINE / sizeof(float) };

/* What rank `rank` of so many has of tensor t, as the tensors lie one after another: [*begin, *end) of its elements. */
static inline void part_of_rank(int t, int rank, int ranks, int64_t *begin, int64_t *end)
{
    const int64_t lines = TENSORS * PADDED / LINE_FLOATS;
    *begin = lines * rank / ranks * LINE_FLOATS - t * PADDED;
    *end = lines * (rank + 1) / ranks * LINE_FLOATS - t * PADDED;
    if (*begin < 0) *begin = 0;
    if (*end > COUNT) *end = COUNT;
}

static inline char *rank_path(const world *w, int64_t step, int rank, int ranks)
{
    char *path = yk_checkpoint_rank_path(w->dir, step, rank, ranks);
    assert_non_null(path);
    return path;
}

static inline void save_rank(world *w, int64_t step, int rank, int ranks, int version)
{
    yk_error err = {""};
    yk_tensor part[TENSORS];
    static char name[TENSORS][YK_MAX_TENSOR_NAME + 1];
    size_t n = 0;
    char *path = rank_path(w, step, rank, ranks);
    json_t *document = rank ? json_object() : json_pack("{s:i, s:s}", "version", version, "text", "gr\xc3\xbc\xc3\x9f");
    for (int t = 0; t < TENSORS; t++) {
        int64_t begin, end;
        part_of_rank(t, rank, ranks, &begin, &end);
        if (begin >= end) continue;
        yk_part_name(name[n], w->name[t], begin, end);
        part[n] = (yk_tensor){name[n], 1, {end - begin}, w->data[t] + begin};
        n++;
    }
    if (yk_checkpoint_save(path, part, n, document, &err) != YK_OK) fail_msg("%s", err.text);
    json_decref(document);
    free(path);
}

static inline int tensors_by_name(const void *a, const void *b)
{
    return strcmp(((const yk_stored *)a)->name, ((const yk_stored *)b)->name);
}

/* Of the files that are there. */
static inline void save_manifest(world *w, int64_t step, int ranks)
{
    yk_error err = {""};
    yk_set_file file[8];
    yk_stored tensor[TENSORS];
    yk_set s = {.step = step, .file = file, .files = (size_t)ranks, .tensor = tensor, .tensors = TENSORS};
    char *manifest = yk_checkpoint_set_path(w->dir, step);
    for (int r = 0; r < ranks; r++) {
        char *path = rank_path(w, step, r, ranks);
        yk_buf b = slurp(path);
        file[r] = (yk_set_file){.name = yk_path("%s", strrchr(path, '/') + 1), .bytes = (int64_t)b.len};
        assert_int_equal(yk_sha256_file(path, file[r].sha256, &err), YK_OK);
        yk_buf_free(&b);
        free(path);
    }
    for (int t = 0; t < TENSORS; t++) {
        yk_hash_sum sum = {0};
        tensor[t] = (yk_stored){.rank = 2, .shape = {ROWS, COLUMNS}};
        strcpy(tensor[t].name, w->name[t]);
        for (int r = 0; r < ranks; r++) {
            int64_t begin, end;
            part_of_rank(t, r, ranks, &begin, &end);
            if (begin < end)
                yk_hash_sum_add(&sum, w->data[t] + begin, (size_t)(end - begin) * sizeof(float),
                                (uint64_t)begin / LINE_FLOATS);
        }
        yk_hash_sum_hex(sum, tensor[t].hash);
    }
    qsort(tensor, TENSORS, sizeof *tensor, tensors_by_name);
    if (yk_set_write(manifest, &s, &err) != YK_OK) fail_msg("%s", err.text);
    for (int r = 0; r < ranks; r++) free(file[r].name);
    free(manifest);
}

static inline void save_set(world *w, int64_t step, int ranks, int version)
{
    fill(w, version);
    for (int r = 0; r < ranks; r++) save_rank(w, step, r, ranks, version);
    save_manifest(w, step, ranks);
}

/* The world's path becomes that of the set. */
static inline void use_set(world *w, int64_t step)
{
    free(w->path);
    w->path = yk_checkpoint_set_path(w->dir, step);
}

#endif
