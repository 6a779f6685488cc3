#include "world.h"

#include "base/rng.h"
#include "store/seal.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(truncation_is_found),
        TEST(flipped_bits_are_found),
        TEST(what_is_no_checkpoint_is_refused),
        TEST(forged_content_is_refused),
        TEST(tensors_have_hashes_of_their_own),
    };
    return cmocka_run_group_tests_name("checkpoint damage", tests, NULL, NULL);
}
