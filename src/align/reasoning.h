/* The format of reasoned responses: <think>thought</think><answer>answer</answer>. */
#ifndef YK_ALIGN_REASONING_H
#define YK_ALIGN_REASONING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct yk_span {
    const char *text; /* not NUL-terminated */
    size_t length;    /* bytes */
} yk_span;

/* The span without white space (ASCII) at its ends. */
yk_span yk_span_trim(yk_span s);

/* The last line of the trimmed span. */
yk_span yk_span_last_line(yk_span s);

typedef struct yk_reasoning {
    bool well_formed;
    yk_span thought, answer; /* trimmed, inside the text that was parsed; length 0: there is none */
} yk_reasoning;

/* Well-formed: each of the four tags once, in order; outside of the two elements, and between them, nothing but white
 * space; neither is empty. Otherwise there is no thought, and the answer is that of the last <answer> which is closed,
 * if any. Linear in n; the text may hold NULs and invalid UTF-8. */
yk_reasoning yk_reasoning_of(const char *text, size_t n);

#endif
