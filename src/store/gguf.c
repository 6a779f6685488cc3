/* The reading side of GGUF. */
#include "store/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NESTING = 8, MAX_KEY = 65535, SHOWN = 80 };

static const struct {
    const char *name;
    uint32_t bytes; /* of a number; the fewest of another */
} kinds[YK_GGUF_KINDS] = {
    {"u8", 1},   {"i8", 1},      {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 8}, {"array", 12}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

static const yk_gguf_layout layouts[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},   {14, "Q6_K", 256, 210},
    {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1},         {25, "I16", 1, 2},        {26, "I32", 1, 4},        {27, "I64", 1, 8},
    {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},   {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
};

const char *yk_gguf_kind_name(yk_gguf_kind kind)
{
    return kinds[kind].name;
}

const yk_gguf_layout *yk_gguf_layout_of(uint32_t code)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].code == code) return &layouts[i];
    return NULL;
}

/* What is left to read, and what it belongs to. */
typedef struct cursor {
    const char *path;
    const uint8_t *at;
    uint64_t left;
    char place[SHOWN + 32]; /* "key `general.name`" */
} cursor;

static yk_status wrong(const cursor *c, yk_error *err, const char *what)
{
    return yk_fail(err, YK_ERR_INPUT, "%s: %s: %s; the file is damaged or no GGUF, use another copy", c->path, c->place,
                   what);
}

static yk_status take(cursor *c, void *out, size_t n, yk_error *err)
{
    if (n > c->left) return wrong(c, err, "the file ends here: it is truncated");
    memcpy(out, c->at, n);
    c->at += n;
    c->left -= n;
    return YK_OK;
}

/* A name of printable ASCII without blanks, as a string of its own. */
static yk_status take_name(cursor *c, uint64_t most, char **out, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t n = 0;
    char *name = NULL;
    YK_TRY(take(c, &n, sizeof n, err));
    if (n == 0 || n > most) YK_TRY(wrong(c, err, "its name is empty or too long"));
    YK_NEW(name, n + 1);
    YK_TRY(take(c, name, n, err));
    for (uint64_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~') YK_TRY(wrong(c, err, "its name is not printable ASCII"));
    *out = name;
    name = NULL;
done:
    free(name);
    return st;
}

static yk_status take_kind(cursor *c, yk_gguf_kind *kind, yk_error *err)
{
    uint32_t code = 0;
    yk_status st = take(c, &code, sizeof code, err);
    if (st != YK_OK) return st;
    if (code >= YK_GGUF_KINDS)
        return yk_fail(err, YK_ERR_INPUT, "%s: %s: there is no type of value %" PRIu32 "; the file is damaged, or "
                       "newer than this program", c->path, c->place, code);
    *kind = (yk_gguf_kind)code;
    return YK_OK;
}

static yk_status skip_value(cursor *c, yk_gguf_kind kind, int depth, yk_error *err);

static yk_status skip_array(cursor *c, int depth, yk_error *err)
{
    yk_status st = YK_OK;
    yk_gguf_kind element = YK_GGUF_U8;
    uint64_t count = 0;
    YK_TRY(take_kind(c, &element, err));
    YK_TRY(take(c, &count, sizeof count, err));
    if (depth >= MAX_NESTING) YK_TRY(wrong(c, err, "arrays are nested too deeply"));
    if (count > c->left / kinds[element].bytes) YK_TRY(wrong(c, err, "its array is longer than the file"));
    for (uint64_t i = 0; i < count; i++) YK_TRY(skip_value(c, element, depth + 1, err));
done:
    return st;
}

/* Checks a value and goes behind it. */
static yk_status skip_value(cursor *c, yk_gguf_kind kind, int depth, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t n = 0;
    uint8_t number[8] = {0};
    if (kind == YK_GGUF_ARRAY) return skip_array(c, depth, err);
    if (kind == YK_GGUF_STRING) {
        YK_TRY(take(c, &n, sizeof n, err));
        if (n > c->left) YK_TRY(wrong(c, err, "its text is longer than the file"));
        c->at += n;
        c->left -= n;
        return YK_OK;
    }
    YK_TRY(take(c, number, kinds[kind].bytes, err));
    if (kind == YK_GGUF_BOOL && number[0] > 1) YK_TRY(wrong(c, err, "its truth value is neither 0 nor 1"));
done:
    return st;
}

yk_gguf_value yk_gguf_take(yk_gguf_kind kind, const uint8_t **at)
{
    yk_gguf_value v = {.kind = kind, .count = 1, .data = *at};
    cursor c = {.at = *at, .left = UINT64_MAX};
    if (kind == YK_GGUF_ARRAY) {
        uint32_t element;
        memcpy(&element, *at, sizeof element);
        v.element = (yk_gguf_kind)element;
        v.data += sizeof element;
    }
    if (kind == YK_GGUF_ARRAY || kind == YK_GGUF_STRING) {
        memcpy(&v.count, v.data, sizeof v.count);
        v.data += sizeof v.count;
    }
    skip_value(&c, kind, 0, NULL);
    *at = c.at;
    return v;
}

static yk_status read_key(cursor *c, yk_gguf_key *k, yk_error *err)
{
    yk_status st = YK_OK;
    yk_gguf_kind kind = YK_GGUF_U8;
    YK_TRY(take_name(c, MAX_KEY, &k->name, err));
    snprintf(c->place, sizeof c->place, "key `%.*s`", SHOWN, k->name);
    YK_TRY(take_kind(c, &kind, err));
    const uint8_t *at = c->at;
    YK_TRY(skip_value(c, kind, 0, err));
    k->value = yk_gguf_take(kind, &at);
done:
    return st;
}

static yk_status read_shape(cursor *c, yk_gguf_tensor *t, yk_error *err)
{
    yk_status st = YK_OK;
    uint32_t rank = 0, code = 0;
    int64_t numbers = 1;
    YK_TRY(take(c, &rank, sizeof rank, err));
    if (rank < 1 || rank > YK_GGUF_MAX_RANK) YK_TRY(wrong(c, err, "it has no or more than 4 dimensions"));
    t->rank = (int)rank;
    for (int d = t->rank - 1; d >= 0; d--) {
        YK_TRY(take(c, &t->shape[d], sizeof t->shape[d], err));
        if (t->shape[d] < 1 || __builtin_mul_overflow(numbers, t->shape[d], &numbers))
            YK_TRY(wrong(c, err, "its shape is impossible"));
    }
    YK_TRY(take(c, &code, sizeof code, err));
    if (!(t->layout = yk_gguf_layout_of(code)))
        YK_FAIL(YK_ERR_INPUT, "%s: %s: there is no type of tensor %" PRIu32 "; the file is damaged, or newer than this "
                "program", c->path, c->place, code);
    if (t->shape[t->rank - 1] % t->layout->block != 0)
        YK_TRY(wrong(c, err, "its rows are not whole blocks of its type"));
    if (__builtin_mul_overflow((uint64_t)numbers / t->layout->block, t->layout->bytes, &t->bytes))
        YK_TRY(wrong(c, err, "its shape is impossible"));
done:
    return st;
}

static yk_status read_tensor(cursor *c, yk_gguf_tensor *t, uint32_t alignment, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(take_name(c, YK_GGUF_MAX_NAME, &t->name, err));
    snprintf(c->place, sizeof c->place, "tensor `%s`", t->name);
    YK_TRY(read_shape(c, t, err));
    YK_TRY(take(c, &t->offset, sizeof t->offset, err));
    if (t->offset % alignment != 0) YK_TRY(wrong(c, err, "its place is not aligned"));
done:
    return st;
}

static yk_status read_alignment(yk_gguf *g, yk_error *err)
{
    const yk_gguf_value *v = yk_gguf_find(g, "general.alignment");
    g->alignment = YK_GGUF_ALIGNMENT;
    if (!v) return YK_OK;
    if (v->kind == YK_GGUF_U32) memcpy(&g->alignment, v->data, sizeof g->alignment);
    if (v->kind == YK_GGUF_U32 && g->alignment >= 8 && (g->alignment & (g->alignment - 1)) == 0) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "%s: key `general.alignment`: is no u32 that is a power of 2 from 8 on", g->path);
}

static yk_status read_head(yk_gguf *g, cursor *c, uint64_t *keys, uint64_t *tensors, yk_error *err)
{
    yk_status st = YK_OK;
    char magic[4];
    uint32_t version = 0;
    YK_TRY(take(c, magic, sizeof magic, err));
    if (memcmp(magic, "GGUF", 4) != 0)
        YK_FAIL(YK_ERR_INPUT, "%s: does not begin with GGUF: it is another kind of file", g->path);
    YK_TRY(take(c, &version, sizeof version, err));
    if (version == __builtin_bswap32(YK_GGUF_VERSION))
        YK_FAIL(YK_ERR_INPUT, "%s: is of the other byte order; use the little-endian file", g->path);
    if (version != YK_GGUF_VERSION)
        YK_FAIL(YK_ERR_INPUT, "%s: is GGUF of version %" PRIu32 "; version %d is read, to which current tools convert",
                g->path, version, YK_GGUF_VERSION);
    YK_TRY(take(c, tensors, sizeof *tensors, err));
    YK_TRY(take(c, keys, sizeof *keys, err));
    if (*keys > c->left / 14 || *tensors > c->left / 33) /* the fewest bytes of one */
        YK_FAIL(YK_ERR_INPUT, "%s: says that it has %" PRIu64 " keys and %" PRIu64 " tensors, for which it is too "
                "short: it is truncated or damaged, use another copy", g->path, *keys, *tensors);
done:
    return st;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names[n] is sorted. */
static yk_status no_twins(const char *path, const char *what, const char **names, size_t n, yk_error *err)
{
    if (n) qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return yk_fail(err, YK_ERR_INPUT, "%s: %s `%.80s` is there twice; the file is damaged", path, what,
                           names[i]);
    return YK_OK;
}

static int by_offset(const void *a, const void *b)
{
    const yk_gguf_tensor *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* Tensors lie in the rest of the file, apart. */
static yk_status place_tensors(yk_gguf *g, const cursor *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_gguf_tensor **order = NULL;
    const uint64_t pad = -(g->size - c->left) & (g->alignment - 1), room = c->left > pad ? c->left - pad : 0;
    YK_NEW(order, g->tensors);
    for (size_t i = 0; i < g->tensors; i++) {
        yk_gguf_tensor *t = order[i] = &g->tensor[i];
        if (t->offset > room || t->bytes > room - t->offset)
            YK_FAIL(YK_ERR_INPUT, "%s: tensor `%s`: lies beyond the end of the file: it is truncated or damaged, use "
                    "another copy", g->path, t->name);
        t->data = c->at + pad + t->offset;
    }
    if (g->tensors) qsort(order, g->tensors, sizeof *order, by_offset);
    for (size_t i = 1; i < g->tensors; i++)
        if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes)
            YK_FAIL(YK_ERR_INPUT, "%s: tensor `%s`: lies where tensor `%s` does; the file is damaged", g->path,
                    order[i]->name, order[i - 1]->name);
done:
    free(order);
    return st;
}

static yk_status read_all(yk_gguf *g, yk_error *err)
{
    yk_status st = YK_OK;
    cursor c = {.path = g->path, .at = g->map, .left = g->size, .place = "its head"};
    const char **names = NULL;
    uint64_t keys = 0, tensors = 0;
    YK_TRY(read_head(g, &c, &keys, &tensors, err));
    YK_NEW(g->key, keys);
    YK_NEW(g->tensor, tensors);
    YK_NEW(names, keys > tensors ? keys : tensors);
    while (g->keys < keys) {
        snprintf(c.place, sizeof c.place, "key %zu of %" PRIu64, g->keys + 1, keys);
        yk_gguf_key *k = &g->key[g->keys++];
        YK_TRY(read_key(&c, k, err));
        names[g->keys - 1] = k->name;
    }
    YK_TRY(no_twins(g->path, "key", names, g->keys, err));
    YK_TRY(read_alignment(g, err));
    while (g->tensors < tensors) {
        snprintf(c.place, sizeof c.place, "tensor %zu of %" PRIu64, g->tensors + 1, tensors);
        yk_gguf_tensor *t = &g->tensor[g->tensors++];
        YK_TRY(read_tensor(&c, t, g->alignment, err));
        names[g->tensors - 1] = t->name;
    }
    YK_TRY(no_twins(g->path, "tensor", names, g->tensors, err));
    YK_TRY(place_tensors(g, &c, err));
done:
    free(names);
    return st;
}

yk_status yk_gguf_open(yk_gguf *g, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    *g = (yk_gguf){.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) YK_FAIL(errno == ENOENT ? YK_ERR_INPUT : YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) YK_FAIL(YK_ERR_INPUT, "%s: is no file; a GGUF file was expected", path);
    if (info.st_size == 0) YK_FAIL(YK_ERR_INPUT, "%s: is empty; a GGUF file was expected", path);
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) YK_FAIL(YK_ERR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    g->map = map;
    g->size = (uint64_t)info.st_size;
    YK_TRY(read_all(g, err));
done:
    if (fd >= 0) close(fd);
    if (st != YK_OK) yk_gguf_close(g);
    return st;
}

void yk_gguf_close(yk_gguf *g)
{
    for (size_t i = 0; i < g->keys; i++) free(g->key[i].name);
    for (size_t i = 0; i < g->tensors; i++) free(g->tensor[i].name);
    free(g->key);
    free(g->tensor);
    if (g->map) munmap((void *)(uintptr_t)g->map, g->size);
    *g = (yk_gguf){.path = g->path};
}

const yk_gguf_value *yk_gguf_find(const yk_gguf *g, const char *key)
{
    for (size_t i = 0; i < g->keys; i++)
        if (strcmp(g->key[i].name, key) == 0) return &g->key[i].value;
    return NULL;
}

const yk_gguf_tensor *yk_gguf_find_tensor(const yk_gguf *g, const char *name)
{
    for (size_t i = 0; i < g->tensors; i++)
        if (strcmp(g->tensor[i].name, name) == 0) return &g->tensor[i];
    return NULL;
}

bool yk_gguf_is(const char *path)
{
    char magic[4] = "";
    FILE *f = fopen(path, "rb");
    const bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0;
    if (f) fclose(f);
    return is;
}
