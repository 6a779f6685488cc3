#include "config/yaml.h"

#include "base/file.h"
#include "config/schema.h"

#include <string.h>
#include <sys/stat.h>

enum { MOST_VALUES = 200000, DEEPEST = 8 };

void yk_yaml_place(const yk_yaml *y, yaml_mark_t mark, yk_buf *out)
{
    yk_print_harmless(y->name, out);
    if (!y->option) yk_buf_printf(out, ":%zu:%zu", mark.line + 1, mark.column + 1);
}

yk_status yk_yaml_at(const yk_yaml *y, yaml_mark_t mark, yk_status st, yk_error *err)
{
    yk_buf place = {0};
    if (st == YK_OK) return st;
    yk_yaml_place(y, mark, &place);
    st = yk_at_place(err, st, place.data);
    yk_buf_free(&place);
    return st;
}

const yaml_node_t *yk_yaml_node(const yk_yaml *y, int id)
{
    return yaml_document_get_node((yaml_document_t *)(uintptr_t)&y->doc, id);
}

const char *yk_yaml_kind(const yaml_node_t *n)
{
    return n->type == YAML_SEQUENCE_NODE  ? "a list"
           : n->type == YAML_MAPPING_NODE ? "a mapping"
                                          : "a value";
}

const char *yk_yaml_text(const yaml_node_t *n)
{
    const char *text = n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
    return text && strlen(text) == n->data.scalar.length ? text : NULL;
}

bool yk_yaml_is_null(const yaml_node_t *n)
{
    const char *text = yk_yaml_text(n);
    return text && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* What the parser complains of, and where. Reader errors come with a byte offset only. */
static yk_status not_yaml(const yk_yaml *y, const yaml_parser_t *p, const char *text, yk_error *err)
{
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_MEMORY_ERROR) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    if (p->error == YAML_READER_ERROR) {
        mark.line = mark.column = 0;
        for (size_t i = 0; i < p->problem_offset; i++) {
            mark.column = text[i] == '\n' ? 0 : mark.column + ((text[i] & 0xc0) != 0x80);
            mark.line += text[i] == '\n';
        }
    }
    bool tab = p->error == YAML_SCANNER_ERROR && mark.index < strlen(text) && text[mark.index] == '\t';
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "not valid YAML: %s%s%s%s", p->context ? p->context : "",
                           p->context ? ": " : "", p->problem ? p->problem : "unreadable",
                           tab ? "; indent with spaces, not tabs" : "");
    return yk_yaml_at(y, mark, st, err);
}

typedef struct census {
    int documents, depth, values;
} census;

/* Fails when this event has no place in such a file. */
static yk_status look_at(const yk_yaml *y, const yaml_event_t *e, census *c, yk_error *err)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    char shown[YK_SHOWN_ROOM];
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return yk_fail(err, YK_ERR_CONFIG, "aliases (*name) are not supported; write the value out");
    case YAML_DOCUMENT_START_EVENT:
        if (++c->documents > 1)
            return yk_fail(err, YK_ERR_CONFIG, "a second document begins here; %s is one document", y->noun);
        break;
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        c->depth++;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        c->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        c->depth--;
        break;
    default:
        break;
    }
    if (anchor) return yk_fail(err, YK_ERR_CONFIG, "anchors (&name) are not supported; write the value out");
    if (tag)
        return yk_fail(err, YK_ERR_CONFIG, "tags (!name) are not supported; remove `%s`",
                       yk_shown((const char *)tag, shown));
    if (c->depth > DEEPEST) return yk_fail(err, YK_ERR_CONFIG, "nested too deeply for %s", y->noun);
    if (++c->values > MOST_VALUES) return yk_fail(err, YK_ERR_CONFIG, "too many values for %s", y->noun);
    return YK_OK;
}

/* UTF-8 only; guessing would take two stray bytes for the mark of UTF-16. */
static yk_status start_parser(yaml_parser_t *p, const char *text, size_t n, yk_error *err)
{
    if (!yaml_parser_initialize(p)) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(p, (const unsigned char *)text, n);
    return YK_OK;
}

/* Walks the events before a document is built from them. */
static yk_status survey(const yk_yaml *y, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    yaml_event_t event;
    census c = {0};
    YK_TRY(start_parser(&parser, text, n, err));
    for (bool more = true; more && st == YK_OK;) {
        if (!yaml_parser_parse(&parser, &event)) {
            st = not_yaml(y, &parser, text, err);
            break;
        }
        st = yk_yaml_at(y, event.start_mark, look_at(y, &event, &c, err), err);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
done:
    return st;
}

yk_status yk_yaml_load(yk_yaml *y, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    YK_TRY(survey(y, text, n, err));
    YK_TRY(start_parser(&parser, text, n, err));
    y->loaded = yaml_parser_load(&parser, &y->doc);
    if (!y->loaded) st = not_yaml(y, &parser, text, err);
    yaml_parser_delete(&parser);
    if (!y->loaded) goto done;
    y->root = yaml_document_get_root_node(&y->doc);
    y->empty = (yaml_node_t){.type = YAML_SCALAR_NODE, .data.scalar = {.value = (yaml_char_t *)(uintptr_t)""}};
    if (!y->root) y->root = &y->empty;
done:
    return st;
}

yk_status yk_yaml_read(yk_yaml *y, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    struct stat info;
    if (stat(y->name, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode) && !S_ISFIFO(info.st_mode))
        YK_FAIL(YK_ERR_CONFIG, "%s: is not a file with %s", y->name, y->noun);
    if (stat(y->name, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > YK_YAML_BYTES)
        YK_FAIL(YK_ERR_CONFIG, "%s: %lld bytes are too many for %s; the limit is %d", y->name, (long long)info.st_size,
                y->noun, YK_YAML_BYTES);
    st = yk_file_read(y->name, &text, err);
    if (st == YK_ERR_IO) st = YK_ERR_CONFIG;
    if (st != YK_OK) goto done;
    if (text.len > YK_YAML_BYTES)
        YK_FAIL(YK_ERR_CONFIG, "%s: %zu bytes are too many for %s; the limit is %d", y->name, text.len, y->noun,
                YK_YAML_BYTES);
    size_t mark = text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    YK_TRY(yk_yaml_load(y, text.data + mark, text.len - mark, err));
done:
    yk_buf_free(&text);
    return st;
}

void yk_yaml_free(yk_yaml *y)
{
    if (y->loaded) yaml_document_delete(&y->doc);
    y->loaded = false;
}
