/* The sections of the report. Each writes itself, heading included, or nothing when its data are
 * not there. */
#ifndef YK_REPORT_PAGE_H
#define YK_REPORT_PAGE_H

#include "report/record.h"

/* In curves.c: what training did, over tokens. */
yk_status yk_page_heldout(yk_buf *out, const yk_record *r, yk_error *err);
yk_status yk_page_training(yk_buf *out, const yk_record *r, yk_error *err);

/* In course_parts.c: a section for each stage after pretraining, with its curves, figures, and answers before and
 * after. */
yk_status yk_page_courses(yk_buf *out, const yk_record *r, yk_error *err);

/* In run_parts.c: where time went, what the model says. */
void yk_page_time(yk_buf *out, const yk_record *r);
void yk_page_balance(yk_buf *out, const yk_record *r); /* of runs of several ranks */
yk_status yk_page_samples(yk_buf *out, const yk_record *r, yk_error *err);
void yk_page_recipe(yk_buf *out, const yk_record *r);

/* In data_parts.c: the corpus and its tokens. */
void yk_page_mixture(yk_buf *out, const yk_record *r);
void yk_page_corpus(yk_buf *out, const yk_record *r);
void yk_page_dropped(yk_buf *out, const yk_record *r);
void yk_page_proposals(yk_buf *out, const yk_record *r);
void yk_page_tokenizer(yk_buf *out, const yk_record *r);

/* In tune_parts.c: the trials of a search. */
yk_status yk_page_tune(yk_buf *out, const yk_record *r, yk_error *err);

/* A page up to and with <body>. */
void yk_page_open(yk_buf *out, const char *name, const char *what);

/* Opens a <section> with a heading and, unless NULL, a sentence below it. */
void yk_page_heading(yk_buf *out, const char *id, const char *title, const char *note);

#endif
