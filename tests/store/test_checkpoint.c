#include "store/checkpoint.h"
#include "store/seal.h"

#include "base/file.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A disk that fails on demand: these stand in for the C library's, for our calls and for HDF5's.
 * The call number `fail_at` (counted from 1) and all after it give `fail_errno`; 0 never fails. */
static struct {
    long calls, fail_at;
    int fail_errno;
    bool no_space; /* fstatvfs says that 1000 bytes are free */
} disk;

/* A memory file is on no disk. */
static bool in_memory(int fd)
{
    char link[32], target[8] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, target, sizeof target) > 0 && memcmp(target, "/memfd:", 7) == 0;
}

static bool disk_fails(int fd)
{
    if (disk.fail_at == 0 || in_memory(fd) || ++disk.calls < disk.fail_at) return false;
    errno = disk.fail_errno;
    return true;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return disk_fails(fd) ? -1 : syscall(SYS_pwrite64, fd, data, n, at);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int ftruncate(int fd, off_t n)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int fsync(int fd)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return disk_fails(-1) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fstatvfs(int fd, struct statvfs *out)
{
    (void)fd;
    *out = (struct statvfs){.f_frsize = 1, .f_bavail = disk.no_space ? 1000 : (fsblkcnt_t)1 << 40};
    return 0;
}

/* A directory and a set of tensors whose content depends on `version`. */
enum { TENSORS = 24, ROWS = 7, COLUMNS = 130 };
typedef struct world {
    char dir[64], *path;
    char name[TENSORS][32];
    float data[TENSORS][ROWS * COLUMNS];
    yk_tensor tensors[TENSORS];
} world;

static void fill(world *w, int version)
{
    for (int t = 0; t < TENSORS; t++)
        for (int i = 0; i < ROWS * COLUMNS; i++)
            w->data[t][i] = (float)version + (float)t / 32 + (float)i / 65536;
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    world *w = calloc(1, sizeof *w);
    *state = w;
    disk.fail_at = 0;
    disk.no_space = false;
    snprintf(w->dir, sizeof w->dir, "%s/yoke-test-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(w->dir)) return -1;
    w->path = yk_path("%s/a.h5", w->dir);
    for (int t = 0; t < TENSORS; t++) {
        snprintf(w->name[t], sizeof w->name[t], "model.layers.%d.weight", t);
        w->tensors[t] = (yk_tensor){w->name[t], 2, {ROWS, COLUMNS}, w->data[t]};
    }
    fill(w, 1);
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char *command = yk_path("rm -r %s", w->dir);
    int bad = system(command);
    free(command), free(w->path), free(w);
    return bad;
}

static yk_status save_as(world *w, const char *path, int version, yk_error *err)
{
    json_t *document = json_pack("{s:i, s:s, s:{s:f}}", "version", version, "text",
                                 "gr\xc3\xbc\xc3\x9f", "rng", "state", 0.1);
    fill(w, version);
    yk_status st = yk_checkpoint_save(path, w->tensors, TENSORS, document, err);
    json_decref(document);
    return st;
}

static void save(world *w, int version)
{
    yk_error err = {""};
    yk_status st = save_as(w, w->path, version, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
}

/* Loads; checks that all of it is of one version, which is returned. */
static int load(world *w)
{
    yk_error err = {""};
    json_t *document;
    memset(w->data, 0xff, sizeof w->data);
    yk_status st = yk_checkpoint_load(w->path, w->tensors, TENSORS, &document, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
    int version = (int)json_integer_value(json_object_get(document, "version"));
    assert_string_equal(json_string_value(json_object_get(document, "text")), "gr\xc3\xbc\xc3\x9f");
    json_decref(document);
    world *expected = calloc(1, sizeof *expected);
    fill(expected, version);
    assert_memory_equal(expected->data, w->data, sizeof w->data);
    free(expected);
    return version;
}

static yk_status try_load(world *w, yk_error *err)
{
    json_t *document = (json_t *)w;
    yk_status st = yk_checkpoint_load(w->path, w->tensors, TENSORS, &document, err);
    if (st == YK_OK) json_decref(document);
    else assert_null(document);
    return st;
}

static void assert_part_is_gone(world *w)
{
    char *part = yk_path("%s.part", w->path);
    assert_false(yk_exists(part));
    free(part);
}

static void what_is_saved_is_loaded(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *document;
    save(w, 1);
    assert_int_equal(load(w), 1);
    save(w, 2);
    assert_int_equal(load(w), 2);
    assert_part_is_gone(w);
    assert_int_equal(yk_checkpoint_document(w->path, &document, &err), YK_OK);
    assert_true(json_real_value(json_object_get(json_object_get(document, "rng"), "state")) == 0.1);
    json_decref(document);
}

static void shapes_of_every_rank_and_no_elements(void **state)
{
    world *w = *state;
    yk_error err = {""};
    float x[24], y[24] = {0}, nothing[1], one = 5, back = 0;
    for (int i = 0; i < 24; i++) x[i] = i == 7 ? -0.0f : 1.0f / (float)(i - 3);
    yk_tensor out[] = {
        {"a", 4, {2, 3, 2, 2}, x}, {"b", 1, {0}, nothing}, {"c", 3, {1, 1, 1}, &one}};
    yk_tensor in[] = {
        {"c", 3, {1, 1, 1}, &back}, {"a", 4, {2, 3, 2, 2}, y}, {"b", 1, {0}, nothing}};
    json_t *document = json_object();
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_OK);
    assert_int_equal(yk_checkpoint_load(w->path, in, 3, NULL, &err), YK_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_true(back == 5);
    assert_int_equal(yk_checkpoint_save(w->path, NULL, 0, document, &err), YK_OK);
    assert_int_equal(yk_checkpoint_load(w->path, NULL, 0, NULL, &err), YK_OK);
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, NULL, &err), YK_ERR_INTERNAL);
    out[0].name = "a/b";
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_ERR_INTERNAL);
    out[0].name = "c";
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_ERR_IO);
    assert_int_equal(yk_checkpoint_load(w->path, NULL, 0, NULL, &err), YK_OK);
    json_decref(document);
}

static yk_buf slurp(const char *path)
{
    yk_error err;
    yk_buf b = {0};
    assert_int_equal(yk_file_read(path, &b, &err), YK_OK);
    return b;
}

static void put(const char *path, const void *data, size_t n)
{
    yk_error err;
    assert_int_equal(yk_file_write(path, data, n, &err), YK_OK);
}

static void same_content_same_file(void **state)
{
    world *w = *state;
    save(w, 3);
    yk_buf first = slurp(w->path);
    sleep(1); /* a stored time would have seconds */
    save(w, 4);
    save(w, 3);
    yk_buf second = slurp(w->path);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    yk_buf_free(&first), yk_buf_free(&second);
}

/* The tools of HDF5 and other languages see an ordinary file. */
static void hdf5_alone_reads_it(void **state)
{
    world *w = *state;
    float back[ROWS * COLUMNS];
    save(w, 5);
    hid_t file = H5Fopen(w->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "/tensors/model.layers.3.weight", H5P_DEFAULT);
    assert_true(dataset >= 0);
    assert_true(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    assert_memory_equal(back, w->data[3], sizeof back);
    H5Dclose(dataset), H5Fclose(file);
}

static void truncation_is_found(void **state)
{
    world *w = *state;
    yk_error err;
    save(w, 1);
    yk_buf whole = slurp(w->path);
    for (size_t n = 0; n < whole.len; n += n < 700 ? 9 : 977) {
        put(w->path, whole.data, n);
        assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
        assert_non_null(strstr(err.text, w->path));
        assert_non_null(strstr(err.text, "truncated"));
    }
    yk_buf_puts(&whole, "x");
    put(w->path, whole.data, whole.len);
    assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
    put(w->path, whole.data, whole.len - 1);
    assert_int_equal(try_load(w, &err), YK_OK);
    yk_buf_free(&whole);
}

static void flipped_bits_are_found(void **state)
{
    world *w = *state;
    yk_error err;
    save(w, 1);
    yk_buf b = slurp(w->path);
    yk_rng r = yk_rng_make(1, YK_STREAM_TEST, 0);
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t bit = yk_rng_below(&r, i, 8 * (i < 60 ? YK_SEAL_BYTES : b.len));
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        put(w->path, b.data, b.len);
        assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
        assert_non_null(strstr(err.text, w->path));
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    yk_buf_free(&b);
}

static void other_shapes_are_named(void **state)
{
    world *w = *state;
    yk_error err;
    float guard[2] = {3, 4};
    yk_tensor ask[] = {{"model.layers.0.weight", 2, {ROWS, COLUMNS}, guard},
                       {"model.layers.1.weight", 2, {ROWS, COLUMNS + 1}, NULL}};
    save(w, 1);
    assert_int_equal(yk_checkpoint_load(w->path, ask, 2, NULL, &err), YK_ERR_SHAPE);
    assert_non_null(strstr(err.text, "model.layers.1.weight"));
    assert_non_null(strstr(err.text, "[7,130]"));
    assert_non_null(strstr(err.text, "[7,131]"));
    assert_true(guard[0] == 3 && guard[1] == 4);
    ask[1] = (yk_tensor){"model.layers.99.weight", 1, {4}, NULL};
    assert_int_equal(yk_checkpoint_load(w->path, ask, 2, NULL, &err), YK_ERR_SHAPE);
    assert_non_null(strstr(err.text, "model.layers.99.weight"));
    assert_non_null(strstr(err.text, "[4]"));
}

static void what_is_no_checkpoint_is_refused(void **state)
{
    world *w = *state;
    yk_error err;
    char *fifo = yk_path("%s/fifo", w->dir);
    assert_int_equal(try_load(w, &err), YK_ERR_INPUT);
    assert_int_equal(yk_checkpoint_load(w->dir, NULL, 0, NULL, &err), YK_ERR_INPUT);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(yk_checkpoint_load(fifo, NULL, 0, NULL, &err), YK_ERR_INPUT);
    free(fifo);
    char junk[4096];
    memset(junk, 'j', sizeof junk);
    put(w->path, junk, sizeof junk);
    assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
}

/* Sealed by us, but with content that no save writes. */
typedef void (*forge_fn)(hid_t file, hid_t tensors);

static void forge_dataset(hid_t group, const char *name, hid_t type, int rank, const hsize_t *dim,
                          hid_t how)
{
    hid_t space = H5Screate_simple(rank, dim, NULL);
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    assert_true(dataset >= 0);
    H5Dclose(dataset), H5Sclose(space);
}

static void forge_huge(hid_t file, hid_t tensors)
{
    (void)file;
    forge_dataset(tensors, "x", H5T_IEEE_F32LE, 2, (hsize_t[]){1 << 30, 1 << 30}, H5P_DEFAULT);
}

static void forge_double(hid_t file, hid_t tensors)
{
    (void)file;
    forge_dataset(tensors, "x", H5T_IEEE_F64LE, 1, (hsize_t[]){4}, H5P_DEFAULT);
}

static void forge_unhashed(hid_t file, hid_t tensors)
{
    (void)file;
    forge_dataset(tensors, "x", H5T_IEEE_F32LE, 1, (hsize_t[]){4}, H5P_DEFAULT);
}

static void forge_rank(hid_t file, hid_t tensors)
{
    (void)file;
    forge_dataset(tensors, "x", H5T_IEEE_F32LE, 5, (hsize_t[]){1, 1, 1, 1, 1}, H5P_DEFAULT);
}

static void forge_chunked(hid_t file, hid_t tensors)
{
    (void)file;
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 1, (hsize_t[]){4});
    forge_dataset(tensors, "x", H5T_IEEE_F32LE, 1, (hsize_t[]){4}, how);
    H5Pclose(how);
}

static void forge_external(hid_t file, hid_t tensors)
{
    (void)file;
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(how, "/etc/passwd", 0, 16);
    forge_dataset(tensors, "x", H5T_IEEE_F32LE, 1, (hsize_t[]){4}, how);
    H5Pclose(how);
}

static void forge_soft_link(hid_t file, hid_t tensors)
{
    (void)file;
    H5Lcreate_soft("/tensors", tensors, "x", H5P_DEFAULT, H5P_DEFAULT);
}

static void forge_external_link(hid_t file, hid_t tensors)
{
    (void)file;
    H5Lcreate_external("/etc/passwd", "/x", tensors, "x", H5P_DEFAULT, H5P_DEFAULT);
}

static void forge_group(hid_t file, hid_t tensors)
{
    (void)file;
    H5Gclose(H5Gcreate2(tensors, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

static void forge_name(hid_t file, hid_t tensors)
{
    (void)file;
    forge_dataset(tensors, "\033[2J", H5T_IEEE_F32LE, 1, (hsize_t[]){4}, H5P_DEFAULT);
}

static void forge_no_tensors(hid_t file, hid_t tensors)
{
    (void)tensors;
    H5Ldelete(file, "tensors", H5P_DEFAULT);
}

static void forge_no_document(hid_t file, hid_t tensors)
{
    (void)file, (void)tensors;
}

static void forge_document_text(hid_t file, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    hid_t dataset =
        H5Dcreate2(file, "document", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0);
    H5Dclose(dataset), H5Sclose(space), H5Tclose(type);
}

static void forge_no_json(hid_t file, hid_t tensors)
{
    (void)tensors;
    forge_document_text(file, "{\"a\": ");
}

static void forge_no_object(hid_t file, hid_t tensors)
{
    (void)tensors;
    forge_document_text(file, "[1, 2]");
}

static void forge(const char *path, forge_fn fn)
{
    yk_error err;
    hid_t how = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(how, YK_SEAL_BYTES);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, how, H5P_DEFAULT);
    hid_t tensors = H5Gcreate2(file, "tensors", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    fn(file, tensors);
    H5Gclose(tensors), H5Fclose(file), H5Pclose(how);
    int fd = open(path, O_RDWR);
    assert_int_equal(yk_seal_write(fd, path, &err), YK_OK);
    close(fd);
}

static void forged_content_is_refused(void **state)
{
    static const struct {
        forge_fn fn;
        const char *word;
    } row[] = {
        {forge_huge, "shape"},       {forge_double, "float32"},     {forge_unhashed, "hash"},
        {forge_rank, "shape"},       {forge_chunked, "one piece"},  {forge_external, "one piece"},
        {forge_soft_link, "link"},   {forge_external_link, "link"}, {forge_group, "dataset"},
        {forge_name, "name"},        {forge_no_tensors, "tensors"}, {forge_no_document, "document"},
        {forge_no_json, "document"}, {forge_no_object, "object"}};
    world *w = *state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        yk_error err = {""};
        json_t *document;
        forge(w->path, row[i].fn);
        assert_int_equal(yk_checkpoint_document(w->path, &document, &err), YK_ERR_DAMAGED);
        assert_null(document);
        assert_non_null(strstr(err.text, row[i].word));
        assert_non_null(strstr(err.text, w->path));
    }
}

/* A sealed file whose tensor has changed behind its recorded hash. */
static void tensors_have_hashes_of_their_own(void **state)
{
    world *w = *state;
    yk_error err;
    save(w, 1);
    yk_buf b = slurp(w->path);
    char *at = memmem(b.data, b.len, w->data[9], 64);
    assert_non_null(at);
    at[5] ^= 1;
    put(w->path, b.data, b.len);
    yk_buf_free(&b);
    int fd = open(w->path, O_RDWR);
    assert_int_equal(yk_seal_write(fd, w->path, &err), YK_OK);
    close(fd);
    assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
    assert_non_null(strstr(err.text, "model.layers.9.weight"));
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Whichever call the disk refuses first, the old checkpoint stays and nothing else does. */
static void a_full_disk_leaves_the_old_one(void **state)
{
    world *w = *state;
    yk_error err = {""};
    yk_status st = YK_ERR_IO;
    save(w, 1);
    int before = open_files();
    long k = 0;
    while (st != YK_OK && k < 10000) {
        disk.fail_at = ++k;
        disk.calls = 0;
        disk.fail_errno = ENOSPC;
        st = save_as(w, w->path, 2, &err);
        disk.fail_at = 0;
        assert_part_is_gone(w);
        if (st == YK_OK) break;
        if (yk_exists(w->path) && load(w) == 2) break; /* only the directory's sync was left */
        assert_int_equal(st, YK_ERR_IO);
        assert_non_null(strstr(err.text, w->path));
        assert_non_null(strstr(err.text, "No space left on device"));
        assert_int_equal(open_files(), before);
    }
    assert_true(k > 10 && k < 10000);
    assert_int_equal(load(w), 2);
    save(w, 3);
    assert_int_equal(load(w), 3);
}

static void space_is_asked_for_first(void **state)
{
    world *w = *state;
    yk_error err = {""};
    save(w, 1);
    disk.no_space = true;
    assert_int_equal(save_as(w, w->path, 2, &err), YK_ERR_IO);
    disk.no_space = false;
    assert_non_null(strstr(err.text, "bytes are needed, 1000 are available; free some space"));
    assert_part_is_gone(w);
    assert_int_equal(load(w), 1);
}

static void the_limit_of_the_process_is_told(void **state)
{
    world *w = *state;
    yk_error err = {""};
    struct rlimit old, low;
    save(w, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 20000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    yk_status st = save_as(w, w->path, 2, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, YK_ERR_IO);
    assert_non_null(strstr(err.text, "ulimit -f"));
    assert_part_is_gone(w);
    assert_int_equal(load(w), 1);
}

static void an_unwritable_place_is_told(void **state)
{
    world *w = *state;
    yk_error err = {""};
    char *path = yk_path("%s/no/such/a.h5", w->dir);
    assert_int_equal(save_as(w, path, 1, &err), YK_ERR_IO);
    assert_non_null(strstr(err.text, path));
    free(path);
}

static void a_kill_leaves_a_whole_file(void **state)
{
    world *w = *state;
    yk_error err;
    yk_rng r = yk_rng_make(2, YK_STREAM_TEST, 0);
    int last = 1, status;
    save(w, last);
    for (uint64_t i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0)
            for (int version = last + 1;; version++)
                if (save_as(w, w->path, version, &err) != YK_OK) _exit(1);
        struct timespec pause = {0, (long)yk_rng_below(&r, i, 60 * 1000 * 1000)};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        int version = load(w);
        assert_true(version >= last);
        last = version;
    }
    assert_true(last > 30); /* the kills did meet saves */
}

/* What a function prints to standard output. */
static yk_buf printed(const world *w, int *differ, const char *other, int as_json, yk_status *st)
{
    yk_error err = {""};
    char *path = yk_path("%s/printed", w->dir);
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    *st = differ ? yk_checkpoint_diff(w->path, other, differ, &err)
                 : yk_checkpoint_inspect(w->path, as_json, &err);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep), close(fd);
    yk_buf b = slurp(path);
    free(path);
    return b;
}

static void inspect_describes(void **state)
{
    world *w = *state;
    yk_error err;
    yk_status st;
    float x[] = {1, -3, 4, 0.0f / 0.0f}, none[] = {1.0f / 0.0f};
    yk_tensor t[] = {{"b.weight", 2, {2, 2}, x}, {"a", 1, {1}, none}};
    json_t *document = json_pack("{s:i}", "step", 7);
    assert_int_equal(yk_checkpoint_save(w->path, t, 2, document, &err), YK_OK);
    json_decref(document);
    yk_buf text = printed(w, NULL, NULL, 1, &st);
    assert_int_equal(st, YK_OK);
    json_t *all = json_loads(text.data, 0, NULL), *rows = json_object_get(all, "tensors");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "document"), "step")),
                     7);
    assert_int_equal(json_array_size(rows), 2);
    json_t *a = json_array_get(rows, 0), *b = json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(a, "name")), "a");
    assert_true(json_is_null(json_object_get(a, "mean")));
    assert_int_equal(json_integer_value(json_object_get(b, "not_finite")), 1);
    assert_int_equal(json_integer_value(json_object_get(b, "elements")), 4);
    assert_true(json_real_value(json_object_get(b, "min")) == -3);
    assert_true(json_real_value(json_object_get(b, "max")) == 4);
    assert_true(json_real_value(json_object_get(b, "mean")) == 2.0 / 3);
    double rms = json_real_value(json_object_get(b, "rms"));
    assert_true(rms * rms > 26.0 / 3 - 1e-12 && rms * rms < 26.0 / 3 + 1e-12);
    json_decref(all);
    yk_buf_free(&text);
    text = printed(w, NULL, NULL, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_non_null(strstr(text.data, "b.weight"));
    assert_non_null(strstr(text.data, "[2,2]"));
    assert_non_null(strstr(text.data, "1 not finite"));
    assert_non_null(strstr(text.data, "\"step\": 7"));
    yk_buf_free(&text);
}

static void diff_finds_the_first(void **state)
{
    world *w = *state;
    yk_error err;
    yk_status st;
    int differ = -1;
    char *other = yk_path("%s/b.h5", w->dir);
    json_t *document = json_pack("{s:i}", "version", 9);
    save(w, 1);
    assert_int_equal(save_as(w, other, 1, &err), YK_OK);
    yk_buf text = printed(w, &differ, other, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_int_equal(differ, 0);
    assert_non_null(strstr(text.data, "all 24 tensors are equal"));
    yk_buf_free(&text);

    w->data[5][2 * COLUMNS + 11] = -0.5f; /* name order: 11 comes before 5 */
    w->data[11][3] += 1;
    w->data[11][3 * COLUMNS + 4] += 1;
    w->tensors[7].shape[0]--;
    assert_int_equal(yk_checkpoint_save(other, w->tensors, TENSORS - 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_int_equal(differ, 4); /* 5, 7, 11, 23 */
    assert_non_null(strstr(text.data, "first difference: model.layers.11.weight[0,3]"));
    assert_non_null(strstr(text.data, "2 of its 910 elements"));
    assert_non_null(strstr(text.data, "4 of 24 tensors differ"));
    assert_non_null(strstr(text.data, "first under \"rng\""));
    yk_buf_free(&text);

    w->tensors[0].name = "a.new.one";
    assert_int_equal(yk_checkpoint_save(other, w->tensors, 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_int_equal(differ, TENSORS + 1);
    assert_non_null(strstr(text.data, "a.new.one is only in"));
    yk_buf_free(&text);
    w->tensors[0].name = w->name[0];
    w->tensors[0].shape[1] = 2;
    assert_int_equal(yk_checkpoint_save(other, w->tensors, 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_non_null(strstr(text.data, "[7,130]"));
    assert_non_null(strstr(text.data, "[7,2]"));
    yk_buf_free(&text);
    json_decref(document);
    free(other);
}

static void save_step(world *w, int64_t step)
{
    yk_error err;
    char *path = yk_checkpoint_step_path(w->dir, step);
    assert_int_equal(save_as(w, path, (int)(step % 1000), &err), YK_OK);
    free(path);
}

static void assert_latest(world *w, int64_t step)
{
    yk_error err = {""};
    char *path, *wanted = yk_checkpoint_step_path(w->dir, step);
    yk_status st = yk_checkpoint_latest(w->dir, &path, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
    assert_string_equal(path, wanted);
    free(path), free(wanted);
}

static void damage_step(world *w, int64_t step)
{
    char *path = yk_checkpoint_step_path(w->dir, step);
    assert_int_equal(truncate(path, 5000), 0);
    free(path);
}

static void the_latest_whole_one_is_found(void **state)
{
    world *w = *state;
    yk_error err;
    char *path = w->dir, *nowhere = yk_path("%s/nowhere", w->dir);
    assert_int_equal(yk_checkpoint_latest(w->dir, &path, &err), YK_OK);
    assert_null(path);
    assert_int_equal(yk_checkpoint_latest(nowhere, &path, &err), YK_OK);
    assert_null(path);
    free(nowhere);
    save_step(w, 90);
    save_step(w, 1000000000); /* ten digits: not the order of names */
    save_step(w, 200);
    assert_latest(w, 1000000000);
    damage_step(w, 1000000000);
    assert_latest(w, 200);
    damage_step(w, 200);
    damage_step(w, 90);
    assert_int_equal(yk_checkpoint_latest(w->dir, &path, &err), YK_ERR_DAMAGED);
    assert_null(path);
    assert_non_null(strstr(err.text, "none of its 3 checkpoints is whole"));
}

static void pruning_keeps_the_newest(void **state)
{
    world *w = *state;
    yk_error err;
    static const char *const stays[] = {"best.h5", "step-5.h5", "step-000000005.h5x",
                                        "step--00000001.h5"};
    for (int step = 1; step <= 5; step++) save_step(w, step * 100);
    char *part = yk_path("%s/step-000000600.h5.part", w->dir);
    put(part, "x", 1);
    for (size_t i = 0; i < 4; i++) {
        char *path = yk_path("%s/%s", w->dir, stays[i]);
        put(path, "x", 1);
        free(path);
    }
    assert_int_equal(yk_checkpoint_prune(w->dir, 0, &err), YK_ERR_INTERNAL);
    assert_int_equal(yk_checkpoint_prune(w->dir, 3, &err), YK_OK);
    assert_int_equal(yk_checkpoint_prune(w->dir, 9, &err), YK_OK);
    for (int step = 1; step <= 5; step++) {
        char *path = yk_checkpoint_step_path(w->dir, step * 100);
        assert_int_equal(yk_exists(path), step > 2);
        free(path);
    }
    assert_false(yk_exists(part));
    for (size_t i = 0; i < 4; i++) {
        char *path = yk_path("%s/%s", w->dir, stays[i]);
        assert_true(yk_exists(path));
        free(path);
    }
    free(part);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_loaded),
        TEST(shapes_of_every_rank_and_no_elements),
        TEST(same_content_same_file),
        TEST(hdf5_alone_reads_it),
        TEST(truncation_is_found),
        TEST(flipped_bits_are_found),
        TEST(other_shapes_are_named),
        TEST(what_is_no_checkpoint_is_refused),
        TEST(forged_content_is_refused),
        TEST(tensors_have_hashes_of_their_own),
        TEST(a_full_disk_leaves_the_old_one),
        TEST(space_is_asked_for_first),
        TEST(the_limit_of_the_process_is_told),
        TEST(an_unwritable_place_is_told),
        TEST(a_kill_leaves_a_whole_file),
        TEST(inspect_describes),
        TEST(diff_finds_the_first),
        TEST(the_latest_whole_one_is_found),
        TEST(pruning_keeps_the_newest),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
