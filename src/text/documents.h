/* Documents: the unit of cleaning, splitting and training, and the files they lie in.
 *
 * A document file is JSON lines, zstd-compressed: {"text": "...", "source": "...", "lang": "en"}.
 * The same reader serves what a user brings and what the clean stage wrote. */
#ifndef YK_TEXT_DOCUMENTS_H
#define YK_TEXT_DOCUMENTS_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_document {
    const char *text; /* valid UTF-8, NUL-terminated; may not contain NUL */
    size_t length;    /* bytes                                            */
    const char *source; /* path, or path:line for one of many in a file   */
    const char *lang;   /* ISO 639-1, "und" when unknown                  */
} yk_document;

/* Called for each document in file order; the document is valid during the call only. A status other
 * than YK_OK ends the reading and is returned. */
typedef yk_status (*yk_document_fn)(void *context, const yk_document *doc, yk_error *err);

/* Reads a `.jsonl.zst` file that yk_docwriter made. YK_ERR_DAMAGED names file and place. */
yk_status yk_documents_read(const char *path, yk_document_fn fn, void *context, yk_error *err);

/* Writes one, aside; commit publishes it. */
typedef struct yk_docwriter yk_docwriter;
yk_status yk_docwriter_open(yk_docwriter **w, const char *path, yk_error *err);
yk_status yk_docwriter_add(yk_docwriter *w, const yk_document *doc, yk_error *err);
yk_status yk_docwriter_commit(yk_docwriter *w, yk_error *err); /* frees `w` whatever happens */
void yk_docwriter_abandon(yk_docwriter *w);                    /* NULL is allowed            */

/* The files of a run's clean stage: <dir>/clean/<domain>.<train|heldout>.jsonl.zst. free() it. */
char *yk_documents_path(const char *run_dir, const char *domain, bool heldout);

#endif
