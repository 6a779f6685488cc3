#include "text/read.h"

#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Appends the character, or U+FFFD for what is not UTF-8; returns bytes used and counts the bad ones. */
static size_t repair(const utf8proc_uint8_t *p, size_t n, yk_buf *out, size_t *bad)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t used = utf8proc_iterate(p, (utf8proc_ssize_t)n, &c);
    if (used <= 0) {
        ++*bad;
        yk_buf_puts(out, "\xEF\xBF\xBD");
        return 1;
    }
    bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0xFEFF;
    if (c == 0x0c) yk_buf_puts(out, "\n"); /* form feed */
    else if (!control) yk_buf_add(out, p, (size_t)used);
    return (size_t)used;
}

/* Trailing blanks go, runs of empty lines become one, the text ends in one newline. */
static void tidy_lines(const char *text, size_t n, yk_buf *out)
{
    size_t empty = 0;
    for (size_t at = 0; at < n;) {
        const char *stop = memchr(text + at, '\n', n - at);
        size_t end = stop ? (size_t)(stop - text) : n, last = end;
        while (last > at && (text[last - 1] == ' ' || text[last - 1] == '\t')) last--;
        if (last == at) {
            empty++;
        } else {
            if (empty && out->len) yk_buf_puts(out, "\n");
            empty = 0;
            yk_buf_add(out, text + at, last - at);
            yk_buf_puts(out, "\n");
        }
        at = end + 1;
    }
}

bool yk_normalise(const char *in, size_t n, yk_buf *out)
{
    yk_buf valid = {0};
    size_t bad = 0;
    bool ascii = true;
    yk_buf_reserve(&valid, n);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)in[i];
        if (c >= 0x20 && c < 0x7f) {
            size_t from = i;
            while (i < n && (unsigned char)in[i] >= 0x20 && (unsigned char)in[i] < 0x7f) i++;
            yk_buf_add(&valid, in + from, i - from);
            continue;
        }
        if (c == '\r') { /* \r\n and \r are line ends */
            if (i + 1 == n || in[i + 1] != '\n') yk_buf_puts(&valid, "\n");
            i++;
            continue;
        }
        ascii = ascii && c < 0x80;
        i += repair((const utf8proc_uint8_t *)in + i, n - i, &valid, &bad);
    }
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t length = 0;
    if (!ascii && valid.len)
        length = utf8proc_map((const utf8proc_uint8_t *)valid.data, (utf8proc_ssize_t)valid.len, &composed,
                              UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (composed && length >= 0)
        tidy_lines((const char *)composed, (size_t)length, out);
    else
        tidy_lines(valid.data, valid.len, out);
    free(composed);
    yk_buf_free(&valid);
    yk_buf_reserve(out, 1);
    return bad * 1000 <= n;
}

static bool is_one_of(const xmlChar *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp((const char *)name, *list) == 0) return true;
    return false;
}

/* Whether one of the words of an attribute is in the list. */
static bool attribute_has(const xmlNode *n, const char *attribute, const char *const *list)
{
    xmlChar *value = xmlGetProp(n, (const xmlChar *)attribute);
    bool found = false;
    for (char *save, *word = value ? strtok_r((char *)value, " \t\n", &save) : NULL; word && !found;
         word = strtok_r(NULL, " \t\n", &save))
        found = is_one_of((const xmlChar *)word, list);
    xmlFree(value);
    return found;
}

/* What is around a text and not of it: scripts, navigation, and its forms in Sphinx, DocBook and Javadoc pages. */
static bool is_boilerplate(const xmlNode *n)
{
    static const char *const tags[] = {"script", "style", "nav", "head", "noscript", "svg", "form", "button",
                                       "iframe", "template", NULL};
    static const char *const roles[] = {"navigation", "search", "banner", "contentinfo", NULL};
    static const char *const classes[] = {"headerlink", "related",  "sphinxsidebar", "navheader", "navfooter", "navbar",
                                          "sidebar",    "breadcrumb", "breadcrumbs", "toc-nav",   "skip-link", NULL};
    return is_one_of(n->name, tags) || attribute_has(n, "role", roles) || attribute_has(n, "class", classes);
}

static void line_break(yk_buf *out, int lines)
{
    int have = 0;
    while (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
    for (size_t i = out->len; i && out->data[i - 1] == '\n' && have < lines; i--) have++;
    for (; out->len && have < lines; have++) yk_buf_puts(out, "\n");
}

/* White space runs become one blank. */
static void add_flowing(yk_buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr(" \t\r\n", *text)) {
            if (out->len && !strchr(" \n", out->data[out->len - 1])) yk_buf_puts(out, " ");
        } else {
            yk_buf_add(out, text, 1);
        }
    }
}

static void walk(const xmlNode *n, yk_buf *out, bool verbatim, int depth)
{
    static const char *const paragraphs[] = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "table",
                                             "ul", "ol", "dl", "section", "article", "header", "footer", NULL};
    static const char *const lines[] = {"div", "li", "dt", "dd", "tr", "br", "hr", "caption", "main", "aside", NULL};
    for (; n && depth < 500; n = n->next) {
        if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) {
            if (verbatim) yk_buf_puts(out, (const char *)n->content);
            else add_flowing(out, (const char *)n->content);
            continue;
        }
        if (n->type == XML_ENTITY_REF_NODE || n->type != XML_ELEMENT_NODE || is_boilerplate(n)) continue;
        int gap = is_one_of(n->name, paragraphs) ? 2 : is_one_of(n->name, lines) ? 1 : 0;
        if (gap) line_break(out, gap);
        if (strcmp((const char *)n->name, "li") == 0) yk_buf_puts(out, "- ");
        if ((strcmp((const char *)n->name, "td") == 0 || strcmp((const char *)n->name, "th") == 0) && out->len)
            yk_buf_puts(out, out->data[out->len - 1] == '\n' ? "" : " ");
        walk(n->children, out, verbatim || strcmp((const char *)n->name, "pre") == 0, depth + 1);
        if (gap) line_break(out, gap);
    }
}

yk_status yk_html_to_text(const yk_buf *html, yk_buf *text, yk_error *err)
{
    int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET;
    htmlDocPtr doc = htmlReadMemory(html->data, (int)html->len, NULL, NULL, options);
    if (!doc && html->len > (size_t)INT32_MAX) return yk_fail(err, YK_ERR_INPUT, "HTML of more than 2 GB");
    yk_buf_reserve(text, 1);
    if (doc) walk(xmlDocGetRootElement(doc), text, false, 0);
    xmlFreeDoc(doc);
    return YK_OK;
}
