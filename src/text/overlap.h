/* Overlap of texts with evaluation sets by word n-grams, as in Brown et al. 2020 (arXiv 2005.14165, appendix C).
 *
 * Words are those of text/words.h. Two texts overlap when they share n words in a row, or when the one is shorter than
 * n words, but not than three, and occurs whole in the other. */
#ifndef YK_TEXT_OVERLAP_H
#define YK_TEXT_OVERLAP_H

#include "base/status.h"
#include "base/team.h"
#include "comm/comm.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct yk_overlap yk_overlap;

/* An empty index of `words` >= 1 words in a row. It holds hashes of 64 bits, at most 32 x `words` bytes for each word
 * added. */
yk_status yk_overlap_new(yk_overlap **o, size_t words, yk_error *err);
void yk_overlap_free(yk_overlap *o); /* NULL is allowed */

yk_status yk_overlap_add(yk_overlap *o, const char *text, size_t n, yk_error *err);

/* Adds every text in every object of a JSON lines file, plain, .gz or .zst, nested ones too. YK_ERR_INPUT names file
 * and line. */
yk_status yk_overlap_add_file(yk_overlap *o, const char *path, yk_error *err);

/* Whether the text overlaps with one that was added. Thread-safe while nothing is added. */
yk_status yk_overlap_find(const yk_overlap *o, const char *text, size_t n, bool *hit, yk_error *err);

/* The other way round: which of many small texts, items of evaluation sets, overlap with text that is too large to
 * hold. Items are added, all other text is met, then each item is asked after. An item of fewer than n words overlaps
 * when it occurs whole in what was met; one of fewer than three never does. At most 32 bytes are held for each word
 * added. */
yk_status yk_overlap_add_item(yk_overlap *o, const char *text, size_t n, yk_error *err);

/* To be called once, before anything is met; nothing may be added afterwards. */
yk_status yk_overlap_seal(yk_overlap *o, yk_error *err);
yk_status yk_overlap_meet(yk_overlap *o, const char *text, size_t n, yk_error *err); /* thread-safe */

/* Meets the objects of a JSON lines file, plain, .gz or .zst: an object is one text, its members' texts a line each,
 * but for those named kind, verifier, role, source and lang. Lines that are no JSON are passed over. The ranks of
 * `comm` take lines by turns, and then tell each other what they met. */
yk_status yk_overlap_meet_file(yk_overlap *o, const char *path, const yk_team *team, yk_comm *comm, yk_error *err);
yk_status yk_overlap_share(yk_overlap *o, yk_comm *comm, yk_error *err);

/* Whether an item overlaps with what was met, and the first words that it shares: text[from, to). */
typedef struct yk_met {
    bool hit;
    size_t from, to;
} yk_met;
yk_status yk_overlap_met(const yk_overlap *o, const char *text, size_t n, yk_met *met, yk_error *err);

#endif
