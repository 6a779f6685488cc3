#include "text/extract.h"

#include "base/hash.h"
#include "base/mem.h"
#include "text/words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    LEAST_TEXT = 2, MOST_TEXT = 400, /* of a prompt, of an answer        */
    MOST_ANSWER = 320,               /* whole sentences up to this       */
    LEAST_PROSE = 40,                /* of a paragraph                   */
    MOST_HEADING = 70, MOST_HEADING_WORDS = 9,
    MOST_TERM = 40, MOST_TERM_WORDS = 5, /* of what is defined           */
    LEAST_CLOZE = 40, MOST_CLOZE = 160, LEAST_CLOZE_WORDS = 6,
    LEAST_GAP = 4,                   /* letters of a word left out       */
    LEAST_COMMENT = 15, MOST_DOCSTRING = 4096, MOST_SIGNATURE = 200
};

typedef struct span {
    const char *at;
    size_t n;
} span;

typedef struct finder {
    const yk_document *doc;
    yk_question_fn fn;
    void *context;
    yk_buf prompt, answer, heading, text, cloze;
    uint64_t cloze_rank; /* of the sentence in `cloze`: the lowest hash of the document */
} finder;

const char *yk_question_kind_name(yk_question_kind kind)
{
    static const char *const name[YK_ASK_KINDS] = {"section", "definition", "code", "signature", "cloze"};
    return name[kind];
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_upper(c) || is_lower(c) || is_digit(c) || c == '_';
}

static bool is_one_of(span word, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == word.n && strncasecmp(*list, word.at, word.n) == 0) return true;
    return false;
}

static bool begins(span s, const char *with)
{
    return s.n >= strlen(with) && memcmp(s.at, with, strlen(with)) == 0;
}

static span trim(span s)
{
    while (s.n && yk_is_space(*s.at)) s.at++, s.n--;
    while (s.n && yk_is_space(s.at[s.n - 1])) s.n--;
    return s;
}

static span skip(span s, size_t n)
{
    return trim((span){s.at + n, s.n - n});
}

/* Takes the next line off the front; false at the end. */
static bool next_line(span *rest, span *line)
{
    if (rest->n == 0) return false;
    const char *stop = memchr(rest->at, '\n', rest->n);
    line->at = rest->at;
    line->n = stop ? (size_t)(stop - rest->at) : rest->n;
    size_t taken = line->n + (stop != NULL);
    rest->at += taken;
    rest->n -= taken;
    return true;
}

/* Lines up to an empty one. */
static bool next_block(span *rest, span *block)
{
    span line;
    *block = (span){rest->at, 0};
    while (next_line(rest, &line)) {
        if (trim(line).n) {
            if (block->n == 0) block->at = line.at;
            block->n = (size_t)(line.at + line.n - block->at);
        } else if (block->n) {
            break;
        }
    }
    return block->n > 0;
}

/* The text with runs of white space and no-break spaces made one blank. */
static void flow(span s, yk_buf *out)
{
    yk_buf_clear(out);
    yk_buf_reserve(out, s.n);
    for (size_t i = 0; i < s.n; i++) {
        bool hard = s.at[i] == '\xC2' && i + 1 < s.n && s.at[i + 1] == '\xA0';
        if (!hard && !yk_is_space(s.at[i])) yk_buf_add(out, s.at + i, 1);
        else if (out->len && out->data[out->len - 1] != ' ') yk_buf_puts(out, " ");
        i += hard;
    }
    if (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
}

static size_t count_words(const char *text)
{
    size_t n = *text != 0;
    for (; *text; text++) n += *text == ' ';
    return n;
}

static bool is_printable(const yk_buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (((unsigned char)b->data[i] < 32 && b->data[i] != '\n' && b->data[i] != '\t') || b->data[i] == 127)
            return false;
    return b->len >= LEAST_TEXT && b->len <= MOST_TEXT;
}

/* Hands on the question in `prompt` and `answer`, unless it does not pass the gates. */
static yk_status ask(finder *f, yk_question_kind kind, yk_error *err)
{
    if (!is_printable(&f->prompt) || !is_printable(&f->answer)) return YK_OK;
    if (kind != YK_ASK_CLOZE && strcasestr(f->prompt.data, f->answer.data)) return YK_OK;
    return f->fn(f->context, kind, f->prompt.data, f->answer.data, err);
}

/* --- Prose ----------------------------------------------------------------------------------- */

/* Bytes of the first sentence: up to . ! ? before a capital, a quote or the end; 0 when there is none. The dot of an
 * abbreviation such as "e.g." or an initial ends nothing. */
static size_t sentence_end(span s)
{
    for (size_t i = 2; i < s.n; i++) {
        if (!strchr(".!?", s.at[i]) || s.at[i] == 0) continue;
        bool abbreviation = s.at[i] == '.' && (s.at[i - 2] == '.' || s.at[i - 2] == ' ');
        bool last = i + 1 == s.n;
        if (last ||
            (!abbreviation && s.at[i + 1] == ' ' && i + 2 < s.n && (is_upper(s.at[i + 2]) || s.at[i + 2] == '"')))
            return i + 1;
    }
    return 0;
}

/* As many whole sentences as fit; at least one, however long. */
static void add_sentences(span s, yk_buf *out)
{
    size_t end = 0, next;
    yk_buf_clear(out);
    while ((next = sentence_end((span){s.at + end, s.n - end})) && (end == 0 || end + next <= MOST_ANSWER)) end += next;
    yk_buf_add(out, s.at, end);
}

/* Flowing text of letters, in sentences; not markup, lists, code, or tables. */
static bool is_prose(const yk_buf *t)
{
    size_t letters = 0;
    if (t->len < LEAST_PROSE || !is_upper(t->data[0]) || t->data[t->len - 1] != '.') return false;
    for (size_t i = 0; i < t->len; i++) letters += is_upper(t->data[i]) || is_lower(t->data[i]) || t->data[i] == ' ';
    return letters * 10 >= t->len * 9 && !strpbrk(t->data, "`|{}<>\\") && !strstr(t->data, "...") &&
           !strstr(t->data, "::");
}

static bool is_underline(span line)
{
    if (line.n < 3 || !strchr("=-^~*#+\"", line.at[0])) return false;
    for (size_t i = 1; i < line.n; i++)
        if (line.at[i] != line.at[0]) return false;
    return true;
}

/* Without "3.2.1 ", "A.1 ", "# ". */
static span without_number(span s)
{
    size_t n = s.n > 2 && is_upper(s.at[0]) && s.at[1] == '.' && is_digit(s.at[2]);
    while (n < s.n && (is_digit(s.at[n]) || s.at[n] == '.' || s.at[n] == '#')) n++;
    return n < s.n && yk_is_space(s.at[n]) ? skip(s, n) : s;
}

/* A block that stands over a text: one line, perhaps underlined. Fills f->heading. */
static bool is_heading(finder *f, span block)
{
    static const char *const empty[] = {"notes",    "note",     "overview",   "introduction", "description", "example",
                                        "examples", "see also", "synopsis",   "options",      "summary",     "contents",
                                        "usage",    "returns",  "parameters", "arguments",    "warning",     "abstract",
                                        "preface",  "index",    "code",       "tip",          "important",   "caution",
                                        "todo",     NULL};
    span rest = block, line, under;
    bool two = next_line(&rest, &line) && next_line(&rest, &under);
    if (rest.n || (two && !is_underline(trim(under)))) return false;
    flow(without_number(trim(line)), &f->heading);
    const yk_buf *h = &f->heading;
    size_t words = count_words(h->data);
    if (h->len < 3 || h->len > MOST_HEADING || words > MOST_HEADING_WORDS) return false;
    char first = h->data[0], last = h->data[h->len - 1];
    bool named = is_upper(first) || (words == 1 && is_lower(first));
    return named && (is_name(last) || strchr(")?", last)) && !strpbrk(h->data, "{};=<>|$\\/:\"`,") &&
           !is_one_of((span){h->data, h->len}, empty);
}

static yk_status ask_section(finder *f, yk_error *err)
{
    static const char *const form[] = {"What does the section \"%s\" say?", "What is written under \"%s\"?",
                                       "Tell me about \"%s\"."};
    const yk_buf *h = &f->heading;
    yk_buf_clear(&f->prompt);
    if (h->data[h->len - 1] == '?') yk_buf_puts(&f->prompt, h->data);
    else yk_buf_printf(&f->prompt, form[yk_hash64(h->data, h->len, 0) % (sizeof form / sizeof *form)], h->data);
    add_sentences((span){f->text.data, f->text.len}, &f->answer);
    return ask(f, YK_ASK_SECTION, err);
}

/* A noun with its article, by its look: no pronoun, preposition or clause. */
static bool is_term(span term)
{
    static const char *const never[] = {
        "this",  "that",      "these",   "those",   "it",      "there",   "here",       "he",        "she",     "they",
        "we",    "you",       "i",       "if",      "what",    "which",   "who",        "one",       "another", "each",
        "all",   "most",      "some",    "any",     "in",      "on",      "at",         "for",       "with",    "when",
        "while", "as",        "by",      "to",      "from",    "but",     "and",        "or",        "so",      "then",
        "note",  "also",      "not",     "my",      "his",     "her",     "its",        "their",     "our",     "your",
        "such",  "following", "however", "because", "since",   "after",   "before",     "where",     "how",     "why",
        "only",  "second",    "first",   "result",  "reason",  "problem", "default",    "other",     "same",    "above",
        "below", "next",      "last",    "part",    "answer",  "nothing", "everything", "something", "purpose", "point",
        "now",   "neither",   "both",    "rather",  "instead", "file",    NULL};
    size_t words = 0;
    if (term.n < 3 || term.n > MOST_TERM) return false;
    for (size_t i = 0, from = 0; i <= term.n; i++) {
        if (i < term.n && term.at[i] != ' ') {
            if (!is_name(term.at[i]) && !strchr("-'+", term.at[i])) return false;
            continue;
        }
        if (is_one_of((span){term.at + from, i - from}, never)) return false;
        words++;
        from = i + 1;
    }
    return words <= MOST_TERM_WORDS;
}

static yk_status ask_definition(finder *f, yk_error *err)
{
    static const char *const verb[] = {" is a ", " is an ", " is the "};
    static const char *const article[] = {"A ", "An ", "The "};
    span s = {f->text.data, sentence_end((span){f->text.data, f->text.len})}, term = {s.at, 0};
    for (size_t i = 0; i < sizeof verb / sizeof *verb; i++) {
        const char *at = memmem(s.at, s.n, verb[i], strlen(verb[i]));
        if (at && (!term.n || at < term.at + term.n)) term.n = (size_t)(at - s.at);
    }
    if (!is_term(term)) return YK_OK;
    yk_buf_clear(&f->prompt);
    yk_buf_clear(&f->answer);
    yk_buf_printf(&f->prompt, "What is %.*s?", (int)term.n, term.at);
    for (size_t i = 0; i < sizeof article / sizeof *article; i++)
        if (begins(term, article[i])) f->prompt.data[8] = (char)(f->prompt.data[8] - 'A' + 'a');
    yk_buf_add(&f->answer, s.at, s.n);
    return ask(f, YK_ASK_DEFINITION, err);
}

static bool is_plain_sentence(span s)
{
    size_t words = 1;
    if (s.n < LEAST_CLOZE || s.n > MOST_CLOZE || !is_upper(s.at[0]) || s.at[s.n - 1] != '.') return false;
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (!is_upper(s.at[i]) && !is_lower(s.at[i]) && !strchr(" ,'-", s.at[i])) return false;
        words += s.at[i] == ' ';
    }
    return words >= LEAST_CLOZE_WORDS;
}

/* The sentence of lowest hash is asked about at the end of the document. */
static void look_for_cloze(finder *f)
{
    span rest = {f->text.data, f->text.len};
    for (size_t n; (n = sentence_end(rest)) > 0; rest = skip(rest, n)) {
        span s = {rest.at, n};
        uint64_t rank = yk_hash64(s.at, s.n, 1);
        if (!is_plain_sentence(s) || (f->cloze.len && rank >= f->cloze_rank)) continue;
        yk_buf_clear(&f->cloze);
        yk_buf_add(&f->cloze, s.at, s.n);
        f->cloze_rank = rank;
    }
}

/* Whether the word at [from, to) is of small letters, long enough, and stands once. */
static bool is_gap(const yk_buf *s, size_t from, size_t to)
{
    if (to - from < LEAST_GAP) return false;
    for (size_t i = from; i < to; i++)
        if (!is_lower(s->data[i])) return false;
    const char *first = memmem(s->data, s->len, s->data + from, to - from);
    return first == s->data + from && !memmem(first + 1, s->len - from - 1, s->data + from, to - from);
}

static yk_status ask_cloze(finder *f, yk_error *err)
{
    const yk_buf *s = &f->cloze;
    size_t best_from = 0, best_to = 0;
    uint64_t best = 0;
    for (size_t from = 0, to; from < s->len; from = to + 1) {
        to = from + strcspn(s->data + from, " ,.");
        uint64_t rank = yk_hash64(s->data + from, to - from, f->cloze_rank);
        if (!is_gap(s, from, to) || (best_to && rank >= best)) continue;
        best = rank;
        best_from = from;
        best_to = to;
    }
    if (!best_to) return YK_OK;
    yk_buf_clear(&f->prompt);
    yk_buf_clear(&f->answer);
    yk_buf_printf(&f->prompt, "Fill in the missing word: %.*s___%s", (int)best_from, s->data, s->data + best_to);
    yk_buf_add(&f->answer, s->data + best_from, best_to - best_from);
    return ask(f, YK_ASK_CLOZE, err);
}

static yk_status extract_prose(finder *f, yk_error *err)
{
    yk_status st = YK_OK;
    span rest = {f->doc->text, f->doc->length}, block;
    for (bool headed = false; next_block(&rest, &block);) {
        flow(block, &f->text);
        if (is_prose(&f->text)) {
            if (headed) YK_TRY(ask_section(f, err));
            YK_TRY(ask_definition(f, err));
            look_for_cloze(f);
            headed = false;
        } else {
            headed = is_heading(f, block);
        }
    }
    if (f->cloze.len) YK_TRY(ask_cloze(f, err));
done:
    return st;
}

/* --- Code ------------------------------------------------------------------------------------ */

/* A comment's first paragraph, in `text`, as an answer: its first sentences, made to end in a dot. */
static bool is_account(finder *f)
{
    span s = {f->text.data, f->text.len};
    size_t colon = strcspn(f->text.data, " :");
    if (s.n < LEAST_COMMENT || !is_upper(s.at[0]) || s.at[colon] == ':' || strpbrk(s.at, "`{}\\|<>")) return false;
    add_sentences(s, &f->answer);
    if (f->answer.len) return true;
    yk_buf_add(&f->answer, s.at, s.n);
    if (strchr(":;,", s.at[s.n - 1])) return false;
    yk_buf_puts(&f->answer, ".");
    return true;
}

/* Asks what the function does (the account is in `answer`), and which one does so. */
static yk_status ask_function(finder *f, const char *language, span call, span whole, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf_clear(&f->prompt);
    yk_buf_printf(&f->prompt, "What does the %s function %.*s do?", language, (int)call.n, call.at);
    YK_TRY(ask(f, YK_ASK_CODE, err));
    yk_buf_clear(&f->prompt);
    yk_buf_printf(&f->prompt, "Write the signature of a %s function: %s", language, f->answer.data);
    yk_buf_clear(&f->answer);
    yk_buf_add(&f->answer, whole.at, whole.n);
    YK_TRY(ask(f, YK_ASK_SIGNATURE, err));
done:
    return st;
}

/* The first paragraph of the string that begins the text. */
static bool read_docstring(span rest, yk_buf *out)
{
    if (rest.n > MOST_DOCSTRING) rest.n = MOST_DOCSTRING;
    rest = trim(rest);
    if (rest.n && strchr("rRuU", rest.at[0])) rest = skip(rest, 1);
    const char *quote = begins(rest, "\"\"\"") ? "\"\"\"" : begins(rest, "'''") ? "'''" : NULL;
    span paragraph;
    if (!quote) return false;
    rest = skip(rest, 3);
    const char *end = memmem(rest.at, rest.n, quote, 3);
    if (!end) return false;
    rest.n = (size_t)(end - rest.at);
    if (!next_block(&rest, &paragraph)) return false;
    flow(paragraph, out);
    return true;
}

static bool is_test(span call)
{
    return call.n == 0 || call.at[0] == '_' || begins(call, "test");
}

static yk_status extract_python(finder *f, yk_error *err)
{
    yk_status st = YK_OK;
    for (span rest = {f->doc->text, f->doc->length}, line; next_line(&rest, &line);) {
        line = trim(line);
        if (!begins(line, "def ") || line.n > MOST_SIGNATURE || line.at[line.n - 1] != ':') continue;
        span call = skip((span){line.at, line.n - 1}, 4);
        if (is_test(call) || !memchr(call.at, '(', call.n) || !read_docstring(rest, &f->text) || !is_account(f))
            continue;
        YK_TRY(ask_function(f, "Python", call, line, err));
    }
done:
    return st;
}

/* The first paragraph of a C comment's inside, without the stars at the left and a leading "\brief". */
static void read_comment(span inside, yk_buf *plain, yk_buf *out)
{
    span line, paragraph;
    yk_buf_clear(plain);
    yk_buf_clear(out);
    yk_buf_reserve(out, 1);
    while (next_line(&inside, &line)) {
        line = trim(line);
        while (line.n && strchr("*!", *line.at)) line = skip(line, 1);
        if (begins(line, "\\brief") || begins(line, "@brief")) line = skip(line, 6);
        yk_buf_add(plain, line.at, line.n);
        yk_buf_puts(plain, "\n");
    }
    span rest = {plain->data, plain->len};
    if (next_block(&rest, &paragraph)) flow(paragraph, out);
}

/* A declaration "type name(...)" before ; or {, perhaps after "extern". */
static bool read_prototype(span rest, yk_buf *out)
{
    static const char *const never[] = {"typedef", "return", "if", "for", "while", "switch", "else", "define", NULL};
    if (rest.n > MOST_SIGNATURE) rest.n = MOST_SIGNATURE;
    rest = trim(rest);
    size_t n = 0, paren;
    while (n < rest.n && !strchr(";{=#\"'/", rest.at[n])) n++;
    if (n == rest.n || !strchr(";{", rest.at[n])) return false;
    span whole = {rest.at, n}, first;
    if (begins(whole, "extern ")) whole = skip(whole, 7);
    flow(whole, out);
    if (out->len == 0 || out->data[out->len - 1] != ')' || !is_name(out->data[0])) return false;
    first = (span){out->data, strcspn(out->data, " ")};
    paren = strcspn(out->data, "(");
    return !is_one_of(first, never) && paren > first.n && is_name(out->data[paren - 1]) &&
           is_name(out->data[first.n - 1]);
}

static yk_status extract_c(finder *f, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf plain = {0}, prototype = {0};
    span rest = {f->doc->text, f->doc->length};
    for (const char *open; (open = memmem(rest.at, rest.n, "/*", 2));) {
        size_t before = (size_t)(open - rest.at) + 2;
        rest = (span){rest.at + before, rest.n - before};
        const char *close = memmem(rest.at, rest.n, "*/", 2);
        if (!close) break;
        span inside = {rest.at, (size_t)(close - rest.at)};
        rest = (span){close + 2, rest.n - inside.n - 2};
        read_comment(inside, &plain, &f->text);
        if (!read_prototype(rest, &prototype) || !is_account(f)) continue;
        span whole = {prototype.data, prototype.len};
        YK_TRY(ask_function(f, "C", whole, whole, err));
    }
done:
    yk_buf_free(&plain);
    yk_buf_free(&prototype);
    return st;
}

yk_status yk_extract(const yk_document *doc, yk_question_fn fn, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    finder f = {.doc = doc, .fn = fn, .context = context};
    if (strcmp(doc->lang, "en") == 0) YK_TRY(extract_prose(&f, err));
    if (strcmp(doc->lang, "code") == 0) {
        YK_TRY(extract_python(&f, err));
        YK_TRY(extract_c(&f, err));
    }
done:
    yk_buf_free(&f.prompt);
    yk_buf_free(&f.answer);
    yk_buf_free(&f.heading);
    yk_buf_free(&f.text);
    yk_buf_free(&f.cloze);
    return st;
}
