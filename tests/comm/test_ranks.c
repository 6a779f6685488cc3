/* What ranks do together, against the same done by one loop. Alone it tests a process alone; tests/run/test_ranks.sh
 * starts it by mpirun on 2, 4 and 8 ranks, on nodes of several sizes. */
#include "comm/comm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static yk_comm *comm;
static const yk_kernels *k;
static const yk_team team = {.threads = 2};

/* Numbers whose sums round. */
static float number(int rank, int64_t i)
{
    uint32_t x = (uint32_t)(i * 2654435761u) ^ (uint32_t)(rank * 40503u + 77u);
    x ^= x >> 15, x *= 2246822519u, x ^= x >> 13;
    return ((float)(x >> 8) - 8388608.0f) * ldexpf(1.0f, (int)(x & 31) - 40);
}

static float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    if (fabsf(x) < 0x1p-56f) bits = 0;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* ((x0 + x1) + (x2 + x3)) + ... */
static float tree(int64_t i, int ranks, bool bf16)
{
    float x[64];
    for (int r = 0; r < ranks; r++) x[r] = number(r, i);
    for (int apart = 1; apart < ranks; apart *= 2)
        for (int r = 0; r < ranks; r += 2 * apart)
            x[r] = bf16 ? rounded(x[r]) + rounded(x[r + apart]) : x[r] + x[r + apart];
    return x[0];
}

/* Whether this rank owns each of x[n]. */
static char *find_owned(int64_t n, int64_t floats)
{
    char *owned = calloc((size_t)n, 1);
    assert_non_null(owned);
    for (int b = 0; b < yk_comm_buckets(comm, floats); b++) {
        const yk_slice s = yk_comm_slice(comm, n, floats, yk_comm_rank(comm), b);
        for (int64_t i = s.begin; i < s.end; i++) owned[i] = 1;
    }
    return owned;
}

static void check_sum(int64_t n, int64_t floats, bool bf16)
{
    const int rank = yk_comm_rank(comm), size = yk_comm_size(comm);
    char *own = find_owned(n, floats);
    float *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = number(rank, i);
    yk_comm_sum_slices(comm, &team, &(yk_sum){k, x, n, floats, bf16});
    for (int64_t i = 0; i < n; i++) {
        const float wanted = tree(i, size, bf16);
        if (own[i]) assert_memory_equal(&x[i], &wanted, sizeof wanted);
        else x[i] = NAN;
    }
    yk_comm_gather_slices(comm, &team, x, n, floats);
    for (int64_t i = 0; i < n; i++) {
        const float wanted = tree(i, size, bf16);
        assert_memory_equal(&x[i], &wanted, sizeof wanted);
    }
    free(x);
    free(own);
}

static void sums_follow_the_tree(void **state)
{
    (void)state;
    static const int64_t length[] = {1, 16, 4096, 4097, 12288, 40000, 300001, 1200000};
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) check_sum(length[i], length[i], i % 2);
    check_sum(300001, 300001, true);
    check_sum(5000, 300001, false); /* an array that ends inside another's slices */
    check_sum(150000, 160000, true);
}

static void slices_cover_the_array_once(void **state)
{
    (void)state;
    enum { FLOATS = 70001 };
    static char seen[FLOATS];
    memset(seen, 0, sizeof seen);
    int64_t all = 0;
    for (int r = 0; r < yk_comm_size(comm); r++) {
        for (int b = 0; b < yk_comm_buckets(comm, FLOATS); b++) {
            const yk_slice s = yk_comm_slice(comm, FLOATS, FLOATS, r, b);
            const yk_slice whole = yk_comm_bucket(comm, FLOATS, FLOATS, b);
            assert_true(s.begin >= whole.begin && s.end <= whole.end);
            assert_true(s.begin % YK_SUM_BLOCK == 0 || s.begin == s.end);
            for (int64_t i = s.begin; i < s.end; i++) seen[i]++;
        }
        all += yk_comm_owned(comm, FLOATS, FLOATS, r);
    }
    assert_int_equal(all, FLOATS);
    for (int64_t i = 0; i < FLOATS; i++) assert_int_equal(seen[i], 1);
}

static void doubles_come_in_order(void **state)
{
    (void)state;
    enum { FLOATS = 200000, BLOCKS = (FLOATS + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK };
    const int rank = yk_comm_rank(comm), size = yk_comm_size(comm);
    double x[BLOCKS] = {0}, y[13] = {0};
    char *own = find_owned(FLOATS, FLOATS);
    for (int64_t b = 0; b < BLOCKS; b++) x[b] = own[b * YK_SUM_BLOCK] ? (double)b + 0.5 : NAN;
    free(own);
    yk_comm_gather_blocks(comm, x, FLOATS);
    for (int b = 0; b < BLOCKS; b++) assert_true(x[b] == b + 0.5);
    for (int i = rank * 13 / size; i < (rank + 1) * 13 / size; i++) y[i] = i + 0.25;
    yk_comm_gather_doubles(comm, y, 13);
    for (int i = 0; i < 13; i++) assert_true(y[i] == i + 0.25);
}

static void slices_come(void **state)
{
    (void)state;
    enum { FLOATS = 90000 };
    static float whole[FLOATS], own[FLOATS];
    const bool leads = yk_comm_leads(comm);
    float *next = own;
    for (int b = 0; b < yk_comm_buckets(comm, FLOATS); b++) {
        const yk_slice s = yk_comm_slice(comm, FLOATS, FLOATS, yk_comm_rank(comm), b);
        for (int64_t i = s.begin; i < s.end; i++) *next++ = (float)i;
    }
    assert_int_equal(next - own, yk_comm_owned(comm, FLOATS, FLOATS, yk_comm_rank(comm)));
    yk_comm_collect_slices(comm, leads ? whole : NULL, own, FLOATS);
    for (int64_t i = 0; leads && i < FLOATS; i++) assert_true(whole[i] == (float)i);
    char *mine = find_owned(FLOATS, FLOATS);
    for (int64_t i = 0; i < FLOATS; i++) whole[i] = mine[i] ? (float)i : 0;
    free(mine);
    yk_comm_collect_slices(comm, whole, NULL, FLOATS);
    for (int64_t i = 0; leads && i < FLOATS; i++) assert_true(whole[i] == (float)i);
}

static void passing_is_counted(void **state)
{
    (void)state;
    const int rank = yk_comm_rank(comm), last = yk_comm_size(comm) - 1;
    const int64_t sent = yk_comm_sent(comm);
    double x[3] = {rank, rank, rank};
    yk_comm_pass(comm, last, 0, x, sizeof x);
    for (int i = 0; i < 3; i++) assert_true(x[i] == (rank == 0 ? last : rank));
    assert_int_equal(yk_comm_sent(comm) - sent, rank == last && last > 0 ? (int64_t)sizeof x : 0);
}

static void ranks_agree(void **state)
{
    (void)state;
    yk_error err = {""};
    const int rank = yk_comm_rank(comm), last = yk_comm_size(comm) - 1;
    assert_int_equal(yk_comm_agree(comm, YK_OK, &err), YK_OK);
    assert_false(yk_comm_any(comm, false));
    assert_true(yk_comm_any(comm, rank == last));
    assert_int_equal(yk_comm_same(comm, "the recipe", "abc", 3, &err), YK_OK);
    yk_status st = rank == last ? yk_fail(&err, YK_ERR_IO, "no room") : YK_OK;
    assert_int_equal(yk_comm_agree(comm, st, &err), YK_ERR_IO);
    char wanted[64] = "no room";
    if (last > 0) snprintf(wanted, sizeof wanted, "rank %d: no room", last);
    assert_string_equal(err.text, wanted);
    if (last > 0) assert_int_equal(yk_comm_agree(comm, YK_OK, &err), YK_ERR_IO); /* there is no other after it */
}

/* Lengths differ, some are 0; of few items not every rank has one. */
static void check_items(int64_t n, size_t most)
{
    yk_buf *item = calloc((size_t)n + 1, sizeof *item);
    assert_non_null(item);
    for (int64_t i = 0; i < n; i++) {
        yk_buf_puts(&item[i], yk_comm_makes(comm, i) ? "" : "what was there before");
        const size_t length = (size_t)i * 7919 % most;
        for (size_t at = 0; yk_comm_makes(comm, i) && at < length; at++)
            yk_buf_add(&item[i], &(char){(char)(i + (int64_t)at)}, 1);
    }
    yk_comm_gather_texts(comm, item, n);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(item[i].len, (size_t)i * 7919 % most);
        for (size_t at = 0; at < item[i].len; at++) assert_true(item[i].data[at] == (char)(i + (int64_t)at));
        assert_true(item[i].data[item[i].len] == 0);
        yk_buf_free(&item[i]);
    }
    free(item);
}

static void items_come_in_order(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 20; n++) check_items(n, 3);
    check_items(3000, 200);
}

static void a_long_item_comes_in_pieces(void **state)
{
    (void)state;
    enum { LONG = 37 << 20 };
    yk_buf item[2] = {{0}};
    char *text = malloc(LONG);
    assert_non_null(text);
    for (int i = 0; i < LONG; i++) text[i] = (char)(i % 251);
    if (yk_comm_makes(comm, 0)) yk_buf_add(&item[0], text, LONG);
    if (yk_comm_makes(comm, 1)) yk_buf_puts(&item[1], "short");
    yk_comm_gather_texts(comm, item, 2);
    assert_int_equal(item[0].len, LONG);
    assert_memory_equal(item[0].data, text, LONG);
    assert_string_equal(item[1].data, "short");
    yk_buf_free(&item[0]);
    yk_buf_free(&item[1]);
    free(text);
}

static void counts_add_up(void **state)
{
    (void)state;
    const int64_t rank = yk_comm_rank(comm), size = yk_comm_size(comm);
    int64_t x[] = {1, rank, (int64_t)1 << 52};
    yk_comm_add_counts(comm, x, 3);
    assert_int_equal(x[0], size);
    assert_int_equal(x[1], size * (size - 1) / 2);
    assert_int_equal(x[2], size << 52);
}

static void text_is_shared(void **state)
{
    (void)state;
    yk_error err = {""};
    char *text = yk_comm_leads(comm) ? strdup("of rank 0") : NULL;
    assert_int_equal(yk_comm_share_text(comm, &text, &err), YK_OK);
    assert_string_equal(text, "of rank 0");
    if (yk_comm_leads(comm)) free(text), text = NULL;
    assert_int_equal(yk_comm_share_text(comm, &text, &err), YK_OK);
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_follow_the_tree),  cmocka_unit_test(slices_cover_the_array_once),
        cmocka_unit_test(doubles_come_in_order), cmocka_unit_test(slices_come),
        cmocka_unit_test(items_come_in_order),   cmocka_unit_test(a_long_item_comes_in_pieces),
        cmocka_unit_test(counts_add_up),         cmocka_unit_test(passing_is_counted),
        cmocka_unit_test(text_is_shared),        cmocka_unit_test(ranks_agree), /* the last, as all fail in it */
    };
    yk_error err = {""};
    if (yk_comm_open(&comm, &err) != YK_OK || yk_kernels_pick(&k, NULL, YK_FP32, &err) != YK_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    yk_comm_close(comm);
    return failed;
}
