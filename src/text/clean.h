/* The clean stage: raw files in, clean de-duplicated documents and a report of what was dropped out.
 *
 * Reads every `corpus:` entry of the recipe (paths or generate), converts to UTF-8 text (NFC), applies
 * the rules, removes exact and near duplicates over the whole corpus (first in corpus order stays),
 * splits by hash of the text into train and held-out, and writes yk_documents_path() files and
 * <dir>/clean/report.json. The output does not depend on the number of threads.
 * Sets summary members corpus.documents, corpus.bytes, corpus.dropped{reason: count},
 * corpus.domains{name: {documents, bytes, heldout_documents, heldout_bytes, languages{}}}. */
#ifndef YK_TEXT_CLEAN_H
#define YK_TEXT_CLEAN_H

#include "config/job.h"

/* A hash over the names, sizes and times of the files that the recipe's corpus consists of now. */
yk_status yk_corpus_stamp(const yk_recipe *r, char hex[33], yk_error *err);

yk_status yk_clean_stage(const yk_job *job, bool *finished, yk_error *err);

#endif
