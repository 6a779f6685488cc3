/* Single bits flipped, and files cut short, at random places of a checkpoint, of a set, of its manifest and of a token
 * shard: all are found, and nothing of them is loaded. `make damage-storm` does it some thousand times. */
#include "sets.h"

#include "base/rng.h"
#include "data/shard.h"
#include "text/documents.h"

enum { FEW = 60, RANKS = 3, TARGETS = RANKS + 3, SEED = 5 };

typedef struct target {
    char *path, *loaded; /* the file that is damaged, and what is opened then */
    yk_buf whole;
    bool is_shard;
} target;

static char *write_shard(const world *w)
{
    yk_error err = {""};
    yk_docwriter *d = NULL;
    yk_bpe_trainer *b = NULL;
    yk_tokenizer *t = NULL;
    char *documents = yk_path("%s/a.jsonl.zst", w->dir), *shard = yk_path("%s/a.tok", w->dir);
    assert_int_equal(yk_docwriter_open(&d, documents, &err), YK_OK);
    for (int i = 0; i < 30; i++)
        assert_int_equal(yk_docwriter_add(d, &(yk_document){"one two three", 13, "test", "en"}, &err), YK_OK);
    assert_int_equal(yk_docwriter_commit(d, &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_new(&b, &(yk_team){.threads = 1}, &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_add(b, "one two", 7, &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_learn(b, 256 + YK_SPECIAL_COUNT, &t, &err), YK_OK);
    assert_int_equal(yk_shard_write(documents, shard, t, &(yk_team){.threads = 1}, &err), YK_OK);
    yk_bpe_trainer_free(b);
    yk_tokenizer_free(t);
    free(documents);
    return shard;
}

static void aim(world *w, target all[TARGETS])
{
    yk_error err;
    all[0] = (target){.path = yk_path("%s/a.h5", w->dir), .loaded = yk_path("%s/a.h5", w->dir)};
    assert_int_equal(save_as(w, all[0].path, 1, &err), YK_OK);
    save_set(w, 50, RANKS, 1);
    for (int r = 0; r < RANKS; r++)
        all[1 + r] = (target){.path = rank_path(w, 50, r, RANKS), .loaded = yk_checkpoint_set_path(w->dir, 50)};
    all[RANKS + 1] = (target){.path = yk_checkpoint_set_path(w->dir, 50), .loaded = yk_checkpoint_set_path(w->dir, 50)};
    all[RANKS + 2] = (target){.path = write_shard(w), .loaded = yk_path("%s/a.tok", w->dir), .is_shard = true};
    for (int i = 0; i < TARGETS; i++) all[i].whole = slurp(all[i].path);
}

static void put_quickly(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static yk_status open_target(world *w, const target *x, yk_error *err)
{
    yk_shard s;
    free(w->path);
    w->path = yk_path("%s", x->loaded);
    if (!x->is_shard) return try_load(w, err);
    const yk_status st = yk_shard_open(&s, x->path, err);
    if (st == YK_OK) yk_shard_close(&s);
    return st;
}

static void damage(world *w, target *x, const yk_rng *r, uint64_t i)
{
    yk_error err = {""};
    uint64_t bit = yk_rng_below(r, 4 * i + 2, 8 * x->whole.len), cut = yk_rng_below(r, 4 * i + 3, x->whole.len);
    const bool cuts = yk_rng_below(r, 4 * i + 1, 4) == 0;
    x->whole.data[bit / 8] ^= (char)(1 << bit % 8);
    if (cuts) x->whole.data[bit / 8] ^= (char)(1 << bit % 8);
    put_quickly(x->path, x->whole.data, cuts ? cut : x->whole.len);
    const yk_status st = open_target(w, x, &err);
    if (st != YK_ERR_DAMAGED || !strstr(err.text, w->dir))
        fail_msg("round %d, %s, %s %lld: status %d: %s", (int)i, x->path, cuts ? "cut at byte" : "flipped bit",
                 (long long)(cuts ? cut : bit), (int)st, err.text);
    if (!cuts) x->whole.data[bit / 8] ^= (char)(1 << bit % 8);
    put_quickly(x->path, x->whole.data, x->whole.len);
}

static void all_damage_is_found(void **state)
{
    world *w = *state;
    const char *asked = getenv("DAMAGES");
    const uint64_t rounds = asked ? strtoull(asked, NULL, 10) : FEW;
    yk_rng r = yk_rng_make(SEED, YK_STREAM_TEST, 0);
    target all[TARGETS];
    yk_error err = {""};
    aim(w, all);
    for (uint64_t i = 0; i < rounds; i++) damage(w, &all[yk_rng_below(&r, 4 * i, TARGETS)], &r, i);
    for (int i = 0; i < TARGETS; i++) {
        if (open_target(w, &all[i], &err) != YK_OK) fail_msg("%s", err.text);
        free(all[i].path), free(all[i].loaded), yk_buf_free(&all[i].whole);
    }
    printf("%llu damages, all found\n", (unsigned long long)rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(all_damage_is_found)};
    return cmocka_run_group_tests_name("damage storm", tests, NULL, NULL);
}
