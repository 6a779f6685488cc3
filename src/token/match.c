/* Matching by trying, with the ways not yet tried on a stack of their own: a loop over a set keeps one entry however
 * long it is. */
#include "token/pattern.h"

#include "token/unicode.h"

typedef struct run {
    const yk_pattern *p;
    const uint8_t *kinds, *text;
    size_t n;
    yk_matcher *m;
    yk_status st;
    yk_error *err;
} run;

/* Bytes of the character at `at` when it is in the set, else 0. */
static inline size_t one(const run *r, const yk_set *set, size_t at)
{
    if (at >= r->n) return 0;
    uint8_t b = r->text[at];
    if (b < 128) return set->ascii[b >> 6] >> (b & 63) & 1;
    size_t length;
    uint32_t c = yk_utf8_at(r->text + at, &length);
    bool in = set->categories >> (r->kinds[c] & YK_CATEGORY) & 1;
    for (uint32_t i = 0; i < set->ranges; i++)
        in |= c >= r->p->range[set->first + i][0] && c <= r->p->range[set->first + i][1];
    return in != set->negated ? length : 0;
}

static bool push(run *r, size_t op, size_t at, size_t least)
{
    yk_status st = YK_OK;
    yk_error *err = r->err;
    yk_matcher *m = r->m;
    YK_ROOM(m->frame, m->frames, m->room);
    m->frame[m->frames++] = (yk_frame){at, least, (uint32_t)op};
done:
    r->st = st;
    return st == YK_OK;
}

/* Enters a loop at *at; false when there are too few. A frame of a loop has what may be given back, or, of a lazy
 * one, how many it has. */
static bool enter_loop(run *r, size_t pc, size_t *at)
{
    const yk_op *op = &r->p->op[pc];
    const yk_set *set = &r->p->set[op->set];
    uint32_t count = 0, most = op->greed == YK_LAZY ? op->least : op->most;
    size_t end = *at, least = *at;
    for (size_t length; count < most && (length = one(r, set, end)); end += length)
        if (count++ == op->least) least = end;
    r->m->steps += count;
    if (count < op->least) return false;
    if (count == op->least) least = end;
    *at = end;
    if (op->greed == YK_LAZY) return count == op->most || push(r, pc, end, count);
    return op->greed == YK_POSSESSIVE || end == least || push(r, pc, end, least);
}

/* The next way of the loop on top of the stack. */
static bool again(run *r, yk_frame *f, size_t *at)
{
    const yk_op *op = &r->p->op[f->op];
    if (op->greed == YK_LAZY) {
        size_t length = one(r, &r->p->set[op->set], f->at);
        *at = f->at += length;
        if (!length || ++f->least == op->most) r->m->frames--;
        return length > 0;
    }
    do f->at--;
    while ((r->text[f->at] & 0xC0) == 0x80);
    *at = f->at;
    if (f->at == f->least) r->m->frames--;
    return true;
}

static bool holds(const run *r, yk_op_kind kind, size_t at)
{
    if (kind == YK_OP_TEXT_START) return at == 0;
    if (kind == YK_OP_TEXT_END) return at == r->n;
    if (kind == YK_OP_LINE_START) return at == 0 || r->text[at - 1] == '\n';
    return at == r->n || r->text[at] == '\n';
}

enum { NO_LOOP = -1 };

/* Whether the operations from `pc` on match at `at`; *end is where. */
static bool match(run *r, size_t pc, size_t at, size_t *end)
{
    yk_matcher *m = r->m;
    size_t base = m->frames, inner = 0;
    for (;;) {
        const yk_op *op = &r->p->op[pc];
        size_t length;
        bool good = true;
        switch (op->kind) {
        case YK_OP_SET:
            length = one(r, &r->p->set[op->set], at);
            good = length > 0;
            at += length;
            pc++;
            break;
        case YK_OP_LOOP: good = enter_loop(r, pc++, &at); break;
        case YK_OP_FORK:
            good = push(r, pc + (size_t)op->other, at, (size_t)NO_LOOP);
            pc += (size_t)op->to;
            break;
        case YK_OP_JUMP: pc += (size_t)op->to; break;
        case YK_OP_AHEAD:
        case YK_OP_NOT_AHEAD:
            good = match(r, pc + 1, at, &inner) == (op->kind == YK_OP_AHEAD);
            pc += (size_t)op->to;
            break;
        case YK_OP_ATOMIC:
            good = match(r, pc + 1, at, &at);
            pc += (size_t)op->to;
            break;
        case YK_OP_MATCH: *end = at; m->frames = base; return true;
        default: good = holds(r, op->kind, at), pc++;
        }
        while (!good) {
            if (r->st == YK_OK && m->steps++ > m->limit)
                r->st = yk_fail(r->err, YK_ERR_INPUT, "a split pattern tries too many ways on this text");
            if (r->st != YK_OK || m->frames == base) return false;
            yk_frame *f = &m->frame[m->frames - 1];
            pc = f->op;
            at = f->at;
            if (f->least == (size_t)NO_LOOP) m->frames--, good = true;
            else good = again(r, f, &at), pc++;
        }
    }
}

static bool may_start(const run *r, size_t at, size_t *length)
{
    const yk_set *s = &r->p->start;
    *length = 1;
    if (r->text[at] < 128) return s->ascii[r->text[at] >> 6] >> (r->text[at] & 63) & 1;
    return s->categories >> (r->kinds[yk_utf8_at(r->text + at, length)] & YK_CATEGORY) & 1;
}

yk_status yk_pattern_find(const yk_pattern *p, const uint8_t *kinds, yk_matcher *m, const char *text, size_t at,
                          size_t n, size_t *begin, size_t *end, yk_error *err)
{
    run r = {p, kinds, (const uint8_t *)text, n, m, YK_OK, err};
    m->frames = 0;
    for (size_t length; at < n; at += length) {
        if (!may_start(&r, at, &length)) continue;
        if (match(&r, 0, at, end)) {
            *begin = at;
            return YK_OK;
        }
        if (r.st != YK_OK) return r.st;
    }
    *begin = *end = n;
    return YK_OK;
}
