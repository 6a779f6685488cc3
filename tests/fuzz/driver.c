/* Runs a fuzz target without libFuzzer: over the files that it is given, else over its seeds and FUZZ_RUNS (3000)
 * mutations of them, which are the same every time. An input at which the target ends is left as crash-TARGET. */
#include "fuzz.h"

#include <dirent.h>
#include <libgen.h>
#include <signal.h>

enum { MOST_SEEDS = 256, MOST_CHANGES = 8, MOST_BYTES = 1 << 20 };

/* Of a build with --enable-sanitize: where reports go. */
void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

typedef struct input {
    uint8_t *data;
    size_t n;
} input;

/* What the handler of signals needs. */
static struct {
    const char *target;
    input now;
} running;

static void leave_crash(int signal_number)
{
    char name[128];
    snprintf(name, sizeof name, "crash-%s", running.target);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (write(fd, running.now.data, running.now.n) < 0) abort();
    printf("FAILED: %s: signal %d at the input in %s\n0 passed, 1 failed\n", running.target, signal_number, name);
    fflush(stdout);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void run(input x)
{
    running.now = x;
    LLVMFuzzerTestOneInput(x.data, x.n);
}

static input read_input(const char *path)
{
    yk_error err = {""};
    yk_buf all = {0};
    fuzz_must(yk_file_read(path, &all, &err) == YK_OK, err.text);
    return (input){(uint8_t *)all.data, all.len};
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return (x ^ x >> 31) % below;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Puts n bytes in where `at` is; x has room. */
static void insert(input *x, size_t at, const uint8_t *bytes, size_t n)
{
    memmove(x->data + at + n, x->data + at, x->n - at);
    memmove(x->data + at, bytes, n);
    x->n += n;
}

/* One change somewhere; `other` is a seed to take bytes from, and no longer than MOST_BYTES / 16. */
static void change(input *x, const input *other, uint64_t *state)
{
    static const uint8_t edges[] = {0, 1, 0x7F, 0x80, 0xFF, '"', '\\', '{', '}', '[', ']', '\n', '-', '9', '<', ':'};
    const size_t at = draw(state, x->n + 1), run_length = 1 + draw(state, 16);
    const size_t behind = smaller(run_length, x->n - at), from = draw(state, other->n + 1);
    uint8_t copy[16];
    switch (draw(state, 6)) {
    case 0: if (at < x->n) x->data[at] ^= (uint8_t)(1 << draw(state, 8)); break;
    case 1: if (at < x->n) x->data[at] = edges[draw(state, sizeof edges)]; break;
    case 2: insert(x, at, &edges[draw(state, sizeof edges)], 1); break;
    case 3: memmove(x->data + at, x->data + at + behind, x->n - at - behind); x->n -= behind; break;
    case 4: memcpy(copy, x->data + at, behind); insert(x, at, copy, behind); break;
    default: insert(x, at, other->data + from, smaller(other->n - from, draw(state, 256))); break;
    }
}

static void mutate(const input *seed, size_t seeds, uint64_t runs)
{
    uint8_t *room = malloc(MOST_BYTES);
    fuzz_must(room != NULL, "there is memory");
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t state = i;
        const input *from = &seed[i % seeds];
        input x = {room, from->n};
        memcpy(room, from->data, from->n);
        for (uint64_t changes = 1 + draw(&state, MOST_CHANGES); changes; changes--)
            change(&x, &seed[draw(&state, seeds)], &state);
        if (draw(&state, 16) == 0) x.n = draw(&state, x.n + 1);
        input exact = {(uint8_t *)fuzz_text(x.data, x.n), x.n};
        run(exact);
        free(exact.data);
    }
    free(room);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The seeds in the order of their names. */
static size_t read_seeds(const char *dir, input *seed)
{
    char *name[MOST_SEEDS];
    size_t n = 0;
    DIR *d = opendir(dir);
    fuzz_must(d != NULL, dir);
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        fuzz_must(n < MOST_SEEDS, "there are no more seeds than are taken");
        fuzz_must((name[n++] = yk_path("%s/%s", dir, e->d_name)) != NULL, "there is memory");
    }
    closedir(d);
    qsort(name, n, sizeof *name, by_name);
    for (size_t i = 0; i < n; i++) {
        seed[i] = read_input(name[i]);
        fuzz_must(seed[i].n <= MOST_BYTES / 16, "seeds are small");
        free(name[i]);
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *top = getenv("top_srcdir"), *count = getenv("FUZZ_RUNS");
    const uint64_t runs = count ? strtoull(count, NULL, 10) : 3000;
    input seed[MOST_SEEDS];
    running.target = basename(argv[0]);
    signal(SIGSEGV, leave_crash);
    signal(SIGABRT, leave_crash);
    signal(SIGFPE, leave_crash);
    for (int i = 1; i < argc; i++) {
        input x = read_input(argv[i]);
        run(x);
        free(x.data);
        printf("ok: %s\n", argv[i]);
    }
    if (argc > 1) return 0;
    char *dir = yk_path("%s/tests/fuzz/seeds/%s", top ? top : ".", running.target);
    const size_t seeds = read_seeds(dir, seed);
    fuzz_must(seeds > 0, "there are seeds");
    if (__sanitizer_set_report_fd) __sanitizer_set_report_fd((void *)(intptr_t)dup(STDERR_FILENO));
    fuzz_must(freopen("/dev/null", "w", stderr) != NULL, "parsers warn of what they leave out, which nobody reads");
    for (size_t i = 0; i < seeds; i++) run(seed[i]);
    mutate(seed, seeds, runs);
    for (size_t i = 0; i < seeds; i++) free(seed[i].data);
    free(dir);
    printf("ok: %s: %zu seeds, %llu mutations\n1 passed, 0 failed\n", running.target, seeds, (unsigned long long)runs);
    return 0;
}
