/* The held-out documents of a domain: those with the smallest hashes, whatever the order of arrival. */
#ifndef YK_TEXT_HOLDOUT_H
#define YK_TEXT_HOLDOUT_H

#include "base/status.h"
#include "text/documents.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_held yk_held;

/* Zero-initialise but for the limits. Memory is bounded by `most_bytes` and one document. */
typedef struct yk_holdout {
    double fraction;    /* of all documents, at most                     */
    int64_t most_bytes; /* of text; one document is held out in any case */
    yk_held *held;      /* by rising place */
    size_t n, room;
    int64_t bytes;
    char *spilled;      /* the text last handed out */
} yk_holdout;

/* Takes a copy of the document. place: its hash as a number in [0, 1). */
yk_status yk_holdout_add(yk_holdout *h, double place, const yk_document *doc, yk_error *err);

/* While the limits are exceeded: hands out the document of largest place, which is for training; it is valid
 * until the next call. False when all that is left is held out. */
bool yk_holdout_spill(yk_holdout *h, yk_document *doc);

/* Hands out the rest one by one, smallest place last. */
bool yk_holdout_next(yk_holdout *h, yk_document *doc);

void yk_holdout_free(yk_holdout *h);

#endif
