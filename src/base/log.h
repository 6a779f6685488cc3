/* What the user sees while work goes on: messages, and one live line on a terminal (plain lines at
 * intervals in a log). Everything goes to standard error; results go to standard output. */
#ifndef YK_BASE_LOG_H
#define YK_BASE_LOG_H

#include <stdbool.h>

/* A line of its own, above the live line. Warnings are prefixed "warning: ". */
void yk_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void yk_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replaces the live line; where standard error is no terminal, prints a plain line at most every
 * ten seconds. Call as often as you like: it limits its own rate. The watchdog takes it for a sign of progress. */
void yk_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void yk_progress_end(void); /* ends the live line, if one stands */

/* Nothing is shown any more, by all but one of the processes that perform a run together; or is again. */
void yk_log_quiet(void);
void yk_log_aloud(void);
bool yk_log_is_quiet(void);

double yk_now(void); /* monotonic seconds */

/* "1.2 s", "3 min 20 s", "2 h 05 min"; "12.3 MB". Return `out`. */
const char *yk_human_seconds(double seconds, char out[32]);
const char *yk_human_bytes(double bytes, char out[32]);

#endif
