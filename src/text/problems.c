#include "text/problems.h"

#include "base/hash.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Prompts keep runs of words that many problems share below eight, so that yk_overlap tells problems apart. */

typedef struct maker {
    yk_problem *p;
    yk_rng rng;
    uint64_t at;
    int level;
} maker;

typedef char part[192];

#define COUNT(list) (sizeof(list) / sizeof *(list))

static int64_t between(maker *m, int64_t low, int64_t high)
{
    return low + (int64_t)yk_rng_below(&m->rng, m->at++, (uint64_t)(high - low + 1));
}

static int64_t power(int64_t base, int exponent)
{
    int64_t x = 1;
    for (; exponent > 0; exponent--) x *= base;
    return x;
}

/* A number of so many digits; 0 has one. */
static int64_t with_digits(maker *m, int digits)
{
    return between(m, digits == 1 ? 0 : power(10, digits - 1), power(10, digits) - 1);
}

static long long digit(int64_t x, int place)
{
    return x / power(10, place) % 10;
}

static int digits_of(int64_t x)
{
    int n = 1;
    for (; x >= 10; x /= 10) n++;
    return n;
}

/* Appends the pattern with @1, @2, ... replaced by the parts. */
static void fill(yk_buf *out, const char *pattern, const char *const *parts)
{
    for (; *pattern; pattern++) {
        if (*pattern == '@') yk_buf_puts(out, parts[*++pattern - '1']);
        else yk_buf_add(out, pattern, 1);
    }
}

/* Phrases the problem that the NULL-terminated parts are. */
static void pose(maker *m, const char *const *patterns, size_t n, const char *lead, const char *const *parts)
{
    fill(&m->p->prompt, patterns[between(m, 0, (int64_t)n - 1)], parts);
    fill(&m->p->lead, lead, parts);
    yk_buf_puts(&m->p->key, m->p->kind);
    for (const char *const *x = parts; *x; x++) {
        yk_buf_puts(&m->p->key, " ");
        for (const char *c = *x; *c; c++) /* a word spelt and not is one problem */
            if (*c != '-') yk_buf_add(&m->p->key, c, 1);
    }
}
#define POSE(m, patterns, lead, ...) pose(m, patterns, COUNT(patterns), lead, (const char *const[]){__VA_ARGS__, NULL})

#define STEP(m, ...) yk_buf_printf(&(m)->p->work, __VA_ARGS__)

static void answer_number(maker *m, int64_t x)
{
    int64_t off = x >= 20 && between(m, 0, 2) == 0 ? 10 : 1;
    if (x >= off && between(m, 0, 1)) off = -off;
    m->p->verifier = "number";
    yk_buf_printf(&m->p->answer, "%lld", (long long)x);
    yk_buf_printf(&m->p->wrong, "%lld", (long long)(x + off));
}

static void answer_text(maker *m, const char *right, const char *wrong)
{
    m->p->verifier = "text";
    yk_buf_puts(&m->p->answer, right);
    yk_buf_puts(&m->p->wrong, wrong);
}

/* --- Arithmetic ------------------------------------------------------------------------------ */

/* Operands of both sides grow by a digit in turn. */
static void operands(maker *m, int64_t *a, int64_t *b)
{
    *a = with_digits(m, (m->level + 2) / 2);
    *b = with_digits(m, (m->level + 1) / 2);
}

static void pose_two(maker *m, const char *const *patterns, size_t n, const char *lead, int64_t a, int64_t b)
{
    part x, y;
    snprintf(x, sizeof x, "%lld", (long long)a);
    snprintf(y, sizeof y, "%lld", (long long)b);
    pose(m, patterns, n, lead, (const char *const[]){x, y, NULL});
}
#define POSE_TWO(m, patterns, lead, a, b) pose_two(m, patterns, COUNT(patterns), lead, a, b)

static void swap(int64_t *a, int64_t *b)
{
    int64_t t = *a;
    *a = *b;
    *b = t;
}

/* Column by column from the right: "37 + 5: 7 + 5 = 12, 2 carry 1; 3 + 0 + 1 = 4, 42". */
static void add_columns(maker *m, int64_t a, int64_t b)
{
    int columns = digits_of(a > b ? a : b), carry = 0;
    STEP(m, "%lld + %lld: ", (long long)a, (long long)b);
    for (int i = 0; i < columns; i++) {
        long long sum = digit(a, i) + digit(b, i) + carry;
        STEP(m, "%s%lld + %lld%s = %lld, ", i ? "; " : "", digit(a, i), digit(b, i), carry ? " + 1" : "", sum);
        carry = sum >= 10;
        if (i + 1 == columns) STEP(m, "%lld", (long long)(a + b));
        else STEP(m, "%0*lld%s", i + 1, (long long)((a + b) % power(10, i + 1)), carry ? " carry 1" : "");
    }
}

/* Over the ten: "7 + 5: 5 = 3 + 2, 7 + 3 = 10, 10 + 2 = 12". */
static void add_digits(maker *m, long long a, long long b)
{
    if (a + b <= 10) STEP(m, "%lld + %lld = %lld", a, b, a + b);
    else
        STEP(m, "%lld + %lld: %lld = %lld + %lld, %lld + %lld = 10, 10 + %lld = %lld", a, b, b, 10 - a, a + b - 10, a,
             10 - a, a + b - 10, a + b);
}

static void make_sum(maker *m)
{
    static const char *const ask[] = {"What is @1 + @2?", "@1 + @2 = ?", "Add @1 and @2.", "How much is @1 plus @2?",
                                      "What is the sum of @1 and @2?"};
    int64_t a, b;
    operands(m, &a, &b);
    if (between(m, 0, 1)) swap(&a, &b);
    POSE_TWO(m, ask, "The sum of @1 and @2 is ", a, b);
    if (a < 10 && b < 10) add_digits(m, a, b);
    else add_columns(m, a, b);
    answer_number(m, a + b);
}

/* "43 - 5: 13 - 5 = 8, 8 borrow 1; 4 - 0 - 1 = 3, 38"; of digits "7 - 5 = 2". */
static void subtract(maker *m, int64_t a, int64_t b)
{
    int columns = digits_of(a), borrow = 0;
    STEP(m, "%lld - %lld", (long long)a, (long long)b);
    if (columns == 1) {
        STEP(m, " = %lld", (long long)(a - b));
        return;
    }
    STEP(m, ": ");
    for (int i = 0; i < columns; i++) {
        long long over = digit(a, i), under = digit(b, i);
        bool lend = over < under + borrow;
        over += lend ? 10 : 0;
        STEP(m, "%s%lld - %lld%s = %lld, ", i ? "; " : "", over, under, borrow ? " - 1" : "", over - under - borrow);
        borrow = lend;
        if (i + 1 == columns) STEP(m, "%lld", (long long)(a - b));
        else STEP(m, "%0*lld%s", i + 1, (long long)((a - b) % power(10, i + 1)), borrow ? " borrow 1" : "");
    }
}

static void make_difference(maker *m)
{
    static const char *const ask[] = {"What is @1 - @2?", "@1 - @2 = ?", "Subtract @2 from @1.",
                                      "How much is @1 minus @2?", "Take @2 away from @1."};
    int64_t a, b;
    operands(m, &a, &b);
    if (a < b) swap(&a, &b);
    POSE_TWO(m, ask, "The difference of @1 and @2 is ", a, b);
    subtract(m, a, b);
    answer_number(m, a - b);
}

/* One place of `split` after the other: "37 * 5: 30 * 5 = 150, 7 * 5 = 35, 150 + 35 = 185". */
static void multiply_places(maker *m, int64_t split, int64_t by)
{
    int64_t sum = 0;
    STEP(m, "%lld * %lld: ", (long long)split, (long long)by);
    for (int i = digits_of(split) - 1; i >= 0; i--) {
        int64_t place = digit(split, i) * power(10, i), product = place * by;
        if (place == 0) continue;
        STEP(m, "%s%lld * %lld = %lld", sum ? ", " : "", (long long)place, (long long)by, (long long)product);
        if (sum) STEP(m, ", %lld + %lld = %lld", (long long)sum, (long long)product, (long long)(sum + product));
        sum += product;
    }
}

/* "7 * 3: 1: 7, 2: 14, 3: 21" */
static void count_up(maker *m, int64_t a, int64_t times)
{
    STEP(m, "%lld * %lld: ", (long long)a, (long long)times);
    for (int64_t i = 1; i <= times; i++) STEP(m, "%s%lld: %lld", i > 1 ? ", " : "", (long long)i, (long long)(i * a));
}

static void make_product(maker *m)
{
    static const char *const ask[] = {"What is @1 * @2?", "@1 * @2 = ?", "Multiply @1 by @2.",
                                      "How much is @1 times @2?", "What is the product of @1 and @2?"};
    int64_t a, b;
    operands(m, &a, &b);
    POSE_TWO(m, ask, "The product of @1 and @2 is ", a, b);
    if (a == 0 || b == 0) STEP(m, "%lld * %lld = 0", (long long)a, (long long)b);
    else if (a < 10) count_up(m, a, b);
    else if (b < 10) multiply_places(m, a, b);
    else multiply_places(m, b, a);
    answer_number(m, a * b);
}

/* --- Order ----------------------------------------------------------------------------------- */

enum { MOST_NUMBERS = 5 };

static void distinct_numbers(maker *m, int digits, int64_t *x, size_t n)
{
    for (size_t i = 0, j; i < n; i += j == i) {
        x[i] = with_digits(m, digits);
        for (j = 0; j < i && x[j] != x[i]; j++) {}
    }
}

static void list_numbers(const int64_t *x, size_t n, const char *last, part out)
{
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof(part) - len, "%s%lld", i == 0 ? "" : i + 1 == n ? last : ", ",
                                (long long)x[i]);
}

static void make_comparison(maker *m)
{
    static const char *const ask[] = {"Which is @1: @2?", "Which number is @1, @2?", "Tell me which is @1: @2."};
    static const char *const word[2][2] = {{"larger", "smaller"}, {"largest", "smallest"}};
    int64_t x[3], best, loser;
    size_t n = m->level % 2 ? 2 : 3;
    bool least = between(m, 0, 1);
    part list;
    distinct_numbers(m, (m->level + 1) / 2, x, n);
    list_numbers(x, n, " or ", list);
    POSE(m, ask, "The @1 number is ", word[n == 3][least], list);
    best = x[0];
    loser = x[1];
    for (size_t i = 1; i < n; i++) {
        loser = (x[i] < best) == least ? best : x[i];
        best = loser == best ? x[i] : best;
        STEP(m, "%s%lld %c %lld", i > 1 ? ", " : "", (long long)best, least ? '<' : '>', (long long)loser);
    }
    m->p->verifier = "number";
    yk_buf_printf(&m->p->answer, "%lld", (long long)best);
    yk_buf_printf(&m->p->wrong, "%lld", (long long)loser);
}

/* Moves the number that comes first to the front. */
static void select_first(int64_t *x, size_t n, bool largest)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if ((x[i] > x[best]) == largest) best = i;
    int64_t first = x[best];
    memmove(x + 1, x, best * sizeof *x);
    x[0] = first;
}

/* Steps take one number after the other: "5, 2, 9: 2; 5, 9: 5; 9". */
static void make_sorting(maker *m)
{
    static const char *const ask[] = {"Sort @2, @1.", "Put in order, @1: @2.", "Sort these numbers, @1: @2."};
    int64_t x[MOST_NUMBERS];
    size_t n = 3 + (size_t)(m->level - 1) % 3;
    bool largest = between(m, 0, 1);
    part list, wrong;
    distinct_numbers(m, 1 + (m->level - 1) / 3, x, n);
    list_numbers(x, n, ", ", list);
    POSE(m, ask, "The numbers in order are ", largest ? "largest first" : "smallest first", list);
    for (size_t i = 0; i + 1 < n; i++) {
        list_numbers(x + i, n - i, ", ", list);
        select_first(x + i, n - i, largest);
        STEP(m, "%s: %lld; ", list, (long long)x[i]);
    }
    STEP(m, "%lld", (long long)x[n - 1]);
    list_numbers(x, n, ", ", list);
    size_t miss = (size_t)between(m, 0, (int64_t)n - 2);
    swap(&x[miss], &x[miss + 1]);
    list_numbers(x, n, ", ", wrong);
    answer_text(m, list, wrong);
}

/* --- Counting -------------------------------------------------------------------------------- */

/* In order of length. */
static const char *const words[] = {
    "cat", "egg", "sea", "add", "pen", "dad", "moon", "tree", "book", "door", "bell", "seed", "root", "food", "noon",
    "baby", "roof", "apple", "grass", "river", "sleep", "clock", "queen", "paper", "level", "green", "stone", "bottle",
    "summer", "garden", "banana", "window", "yellow", "letter", "kitten", "coffee", "forest", "kitchen", "balloon",
    "picture", "giraffe", "teacher", "address", "morning", "elephant", "mountain", "notebook", "sandwich", "computer",
    "umbrella", "butterfly", "crocodile", "chocolate", "breakfast", "blackboard", "strawberry", "basketball",
    "television", "grandmother", "mississippi", "thermometer", "marketplace", "neighborhood", "refrigerator"};
enum { SPELT_LEVEL = 3 };

static size_t words_to(size_t length)
{
    size_t n = 0;
    while (n < COUNT(words) && strlen(words[n]) <= length) n++;
    return n;
}

/* "a in b-a-n: b, a 1, n". Up to SPELT_LEVEL the prompt spells the word: a token hides its letters. */
static void count_letters(maker *m)
{
    static const char *const ask[] = {"Count the letter @1 in @2.", "How often does @1 occur in @2?",
                                      "How many letters @1 are in @2?"};
    size_t length = (size_t)m->level;
    const char *word = words[between(m, (int64_t)words_to(length), (int64_t)words_to(length + 3) - 1)];
    size_t n = strlen(word);
    char letter[2] = {word[between(m, 0, (int64_t)n - 1)], 0};
    int64_t found = 0;
    part spelt = "";
    if (between(m, 0, 5) == 0) letter[0] = (char)between(m, 'a', 'z');
    for (size_t i = 0, len = 0; i < n; i++)
        len +=
            (size_t)snprintf(spelt + len, sizeof spelt - len, "%s%c", i && m->level <= SPELT_LEVEL ? "-" : "", word[i]);
    POSE(m, ask, "The number of letters @1 in @2 is ", letter, spelt);
    STEP(m, "%s in %s: ", letter, spelt);
    for (size_t i = 0; i < n; i++) {
        STEP(m, "%s%c", i ? ", " : "", word[i]);
        if (word[i] == letter[0]) STEP(m, " %lld", (long long)++found);
    }
    answer_number(m, found);
}

static void count_items(maker *m)
{
    static const char *const ask[] = {"Count the items: @1.", "How many items: @1?", "How long is this list: @1?"};
    static const char *const items[] = {"cup", "hat", "key", "pen", "box", "bag", "egg", "nut", "fig", "cat", "dog",
                                        "cow", "hen", "fox", "owl", "bee", "ant", "jar", "pot", "map"};
    int64_t n = between(m, 1, 3 + m->level);
    size_t len = 0;
    part list = "";
    for (int64_t i = 1; i <= n; i++) {
        const char *item = items[between(m, 0, COUNT(items) - 1)];
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i > 1 ? ", " : "", item);
        STEP(m, "%s%s %lld", i > 1 ? ", " : "", item, (long long)i);
    }
    POSE(m, ask, "The number of items is ", list);
    answer_number(m, n);
}

static void make_count(maker *m)
{
    if (between(m, 0, 1)) count_letters(m);
    else count_items(m);
}

/* --- Dates ----------------------------------------------------------------------------------- */

static void make_weekday(maker *m)
{
    static const char *const day[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    static const char *const ask[] = {"Which day is @1 @2 @3?", "What weekday is @1 @2 @3?", "Name the day @1 @2 @3."};
    static const int most[YK_PROBLEM_LEVELS] = {6, 13, 30, 99, 365, 999, 9999, 99999, 999999};
    int64_t n = between(m, m->level > 2 ? 7 : 1, most[m->level - 1]), from = between(m, 0, 6);
    bool back = between(m, 0, 1);
    int way = back ? 6 : 1;
    part days;
    snprintf(days, sizeof days, "%lld day%s", (long long)n, n == 1 ? "" : "s");
    POSE(m, ask, "The day @1 @2 @3 is ", days, back ? "before" : "after", day[from]);
    if (n >= 7) STEP(m, "%lld = %lld * 7 + %lld; ", (long long)n, (long long)(n / 7), (long long)(n % 7));
    STEP(m, "%lld %s %s: ", (long long)(n % 7), back ? "before" : "after", day[from]);
    if (n % 7 == 0) STEP(m, "%s", day[from]);
    for (int64_t i = 1; i <= n % 7; i++)
        STEP(m, "%s%lld %s", i > 1 ? ", " : "", (long long)i, day[(from + way * i) % 7]);
    int64_t to = (from + way * (n % 7)) % 7;
    answer_text(m, day[to], day[(to + (between(m, 0, 1) ? 1 : 6)) % 7]);
}

typedef struct date {
    int year, month, day; /* month 0 to 11 */
} date;

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month] + (month == 1 && is_leap(year));
}

static int day_of_year(date d)
{
    int n = d.day;
    for (int i = 0; i < d.month; i++) n += month_days(d.year, i);
    return n;
}

static void print_date(date d, bool with_year, part out)
{
    static const char *const month[] = {"January", "February", "March", "April", "May", "June", "July", "August",
                                        "September", "October", "November", "December"};
    int n = snprintf(out, sizeof(part), "%d %s", d.day, month[d.month]);
    if (with_year) snprintf(out + n, sizeof(part) - (size_t)n, " %d", d.year);
}

/* To the end of the first year, the years between, and into the last. */
static int64_t count_years(maker *m, date from, date to)
{
    int whole = is_leap(from.year) ? 366 : 365, first = day_of_year(from);
    int64_t sum = whole - first;
    STEP(m, "%d - %d = %lld", whole, first, (long long)sum);
    for (int y = from.year + 1; y <= to.year; y++) {
        int more = y == to.year ? day_of_year(to) : is_leap(y) ? 366 : 365;
        STEP(m, ", %lld + %d = %lld", (long long)sum, more, (long long)(sum + more));
        sum += more;
    }
    return sum;
}

/* Levels 1, 2: in a month; 3, 4: into the next; 5, 6: in a year; 7 to 9: over one to three ends of a year. */
static void make_days(maker *m)
{
    static const char *const ask[] = {"How many days from @1 to @2?", "Count the days from @1 to @2.",
                                      "@1 to @2: how many days?"};
    bool years = m->level > 6, months = m->level > 2 && m->level < 5, year = m->level > 4 && !years;
    date from = {(int)between(m, 1990, 2039), (int)between(m, 0, year ? 10 : months ? 10 : 11), 0}, to = from;
    int most = m->level == 1 ? 9 : 28;
    to.year += years ? m->level - 6 : 0;
    to.month = years ? (int)between(m, 0, 11) : year ? (int)between(m, from.month + 1, 11) : from.month + months;
    from.day = (int)between(m, 1, most - (m->level < 3));
    to.day = (int)between(m, m->level < 3 ? from.day + 1 : 1, most);
    part x, y;
    int64_t n;
    print_date(from, m->level > 2, x);
    print_date(to, m->level > 2, y);
    POSE(m, ask, "The number of days from @1 to @2 is ", x, y);
    if (years) {
        n = count_years(m, from, to);
    } else if (months) {
        int length = month_days(from.year, from.month), rest = length - from.day;
        n = rest + to.day;
        STEP(m, "%d - %d = %d, %d + %d = %lld", length, from.day, rest, rest, to.day, (long long)n);
    } else {
        int first = year ? day_of_year(from) : from.day, last = year ? day_of_year(to) : to.day;
        n = last - first;
        if (year) STEP(m, "%s is day %d, %s is day %d; ", y, last, x, first);
        subtract(m, last, first);
    }
    answer_number(m, n);
}

/* --- Units ----------------------------------------------------------------------------------- */

/* Odd levels: one unit, either way; even ones: two units into the smaller. */
static void make_units(maker *m)
{
    static const char *const ask[] = {"How many @2 are @1?", "Convert @1 to @2.", "What is @1 in @2?"};
    static const struct {
        const char *large, *small;
        int factor;
    } unit[] = {{"m", "cm", 100}, {"h", "min", 60},  {"kg", "g", 1000},
                {"min", "s", 60}, {"km", "m", 1000}, {"cm", "mm", 10}};
    int64_t k = between(m, 0, COUNT(unit) - 1), factor = unit[k].factor, n = with_digits(m, (m->level + 1) / 2);
    n += n == 0;
    bool mixed = m->level % 2 == 0, back = !mixed && between(m, 0, 1);
    int64_t more = mixed ? between(m, 1, factor - 1) : 0;
    const char *large = unit[k].large, *small = unit[k].small;
    part given;
    if (mixed) snprintf(given, sizeof given, "%lld %s %lld %s", (long long)n, large, (long long)more, small);
    else snprintf(given, sizeof given, "%lld %s", (long long)(back ? n * factor : n), back ? small : large);
    POSE(m, ask, "The number of @2 in @1 is ", given, back ? large : small);
    STEP(m, "%s: 1 %s = %lld %s, ", given, large, (long long)factor, small);
    if (back) STEP(m, "%lld / %lld = %lld", (long long)(n * factor), (long long)factor, (long long)n);
    else STEP(m, "%lld * %lld = %lld", (long long)n, (long long)factor, (long long)(n * factor));
    if (mixed)
        STEP(m, ", %lld + %lld = %lld", (long long)(n * factor), (long long)more, (long long)(n * factor + more));
    answer_number(m, back ? n : n * factor + more);
}

/* --- The table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*make)(maker *m);
} kinds[YK_PROBLEM_KINDS] = {
    {"add", make_sum},      {"subtract", make_difference}, {"multiply", make_product},
    {"compare", make_comparison}, {"sort", make_sorting},  {"count", make_count},
    {"weekday", make_weekday},    {"days", make_days},     {"units", make_units},
};

const char *yk_problem_kind(size_t i)
{
    return kinds[i].name;
}

void yk_problem_make(yk_problem *p, size_t kind, int level, uint64_t seed, uint64_t index)
{
    maker m = {.p = p, .rng = yk_rng_make(seed, YK_STREAM_PROBLEM, index), .level = level};
    yk_buf *const all[] = {&p->key, &p->prompt, &p->answer, &p->wrong, &p->lead, &p->work};
    for (size_t i = 0; i < COUNT(all); i++) yk_buf_clear(all[i]);
    p->kind = kinds[kind].name;
    p->level = level;
    kinds[kind].make(&m);
}

void yk_problem_free(yk_problem *p)
{
    yk_buf *const all[] = {&p->key, &p->prompt, &p->answer, &p->wrong, &p->lead, &p->work};
    for (size_t i = 0; i < COUNT(all); i++) yk_buf_free(all[i]);
}

yk_problem_use yk_problem_use_of(const yk_problem *p)
{
    uint64_t place = yk_hash64(p->key.data, p->key.len, 0) % 100;
    return place < 65   ? YK_PROBLEM_TUNE
           : place < 70 ? YK_PROBLEM_TUNE_HELDOUT
           : place < 90 ? YK_PROBLEM_RL
                        : YK_PROBLEM_RL_HELDOUT;
}

void yk_problem_respond(const yk_problem *p, yk_rendering how, const yk_buf *answer, yk_buf *out)
{
    if (how == YK_BARE) yk_buf_puts(out, answer->data);
    else if (how == YK_FULL) yk_buf_printf(out, "%s%s.", p->lead.data, answer->data);
    else yk_buf_printf(out, "<think>%s</think><answer>%s</answer>", p->work.data, answer->data);
}
