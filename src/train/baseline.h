/* What general-purpose compressors reach on held-out documents: the yardstick beside a model's bits
 * per byte. */
#ifndef YK_TRAIN_BASELINE_H
#define YK_TRAIN_BASELINE_H

#include "base/status.h"
#include "base/team.h"
#include "comm/comm.h"

#include <stdint.h>

/* Sizes in bytes, summed over documents. Zero-initialise. */
typedef struct yk_baseline {
    int64_t documents, raw, gzip, xz;
} yk_baseline;

/* Compresses every document of a document file (text/documents.h) alone and adds to `sum`, so that
 * several domains can share one sum; sum is left as it was on failure.
 *
 * gzip: zlib's deflate at level 9 with the 10 bytes of header and 8 of trailer that `gzip -9n`
 * writes (RFC 1952) and blocks of 32768 symbols, as GNU gzip. GNU gzip also ends a block early
 * where that looks profitable, so single documents can differ: over 206 headers, scripts and
 * documentation files, 187 had the size of `gzip -9n` and the sum was 0.11% larger.
 * xz: liblzma's preset 9 | LZMA_PRESET_EXTREME with CRC64, one stream of one block: the size that
 * `xz -9e -T1` gives. The encoder's dictionary is lowered to the document's length, rounded up to
 * a power of two of at least 64 KiB, because preset 9 takes 674 MB a thread whatever the input; the
 * sizes of 366 files of all kinds were equal to those of the program, and
 * tests/train/test_baseline.c holds them to it.
 *
 * Memory: at most 16 MB of documents (or one document, if longer) are held at a time, and the
 * encoder takes about 11.5 times the dictionary a thread. The ranks of `comm` take documents by
 * turns; the sums depend neither on them nor on the team.
 * Errors: those of yk_documents_read; YK_ERR_MEMORY. */
yk_status yk_baseline_add(yk_baseline *sum, const char *documents_path, const yk_team *team,
                          yk_comm *comm, yk_error *err);

/* 8 * compressed / raw, in bits per byte, over all documents of one file. YK_ERR_INPUT when they
 * hold no text. */
yk_status yk_baseline_bpb(const char *documents_path, const yk_team *team, double *gzip_bpb,
                          double *xz_bpb, yk_error *err);

#endif
