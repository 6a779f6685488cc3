/* An external verifier: a command that reads questions and writes scores, JSON lines both (doc/verifiers.md).
 * Private to src/align. */
#ifndef YK_ALIGN_COMMAND_H
#define YK_ALIGN_COMMAND_H

#include "align/reasoning.h"
#include "base/status.h"
#include "config/job.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_question {
    const char *prompt, *expected; /* expected: NULL for null */
    yk_span response, answer;
    double score; /* out: 0 .. 1 */
    bool done;    /* of yk_command_ask */
} yk_question;

/* Questions that scored 0 because of the command, by reason, and how often it was started. */
typedef struct yk_command_counts {
    int64_t asked, timeouts, crashes, rubbish, starts;
} yk_command_counts;

typedef struct yk_command yk_command;

/* `line` is run by /bin/sh at the first question, and lives until yk_command_free. time_limit: seconds to the next
 * reply, from the start of a batch or the reply before it; the start of the command counts. `job` may be NULL. */
yk_status yk_command_new(yk_command **c, const char *line, double time_limit, int64_t max_failures, const yk_job *job,
                         yk_error *err);
void yk_command_free(yk_command *c);

/* Asks n questions, all at once, and waits for the replies, in any order.
 *
 * A command that hangs, ends, or writes what is no reply is killed with its process group; the first question without
 * a reply scores 0 and is counted, and the others are asked again of a new process. A reply with a bad score is counted
 * as rubbish and scores 0, and the process goes on. After max_failures of these without a good reply between:
 * YK_ERR_INPUT, with the command, the last reason and the last line of its standard error. A process of an earlier
 * batch that ends is started again and no question pays, for it may have ended between batches. The scores are a
 * function of the replies alone.
 *
 * Once the job is to stop, no reply is waited for: the questions that are open have `done` false, and the command
 * counts as cut. */
yk_status yk_command_ask(yk_command *c, yk_question *q, size_t n, yk_error *err);

const yk_command_counts *yk_command_counts_of(const yk_command *c);
bool yk_command_was_cut(const yk_command *c);

#endif
