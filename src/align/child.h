/* A child process run by /bin/sh, with pipes to its three standard streams. Private to src/align. */
#ifndef YK_ALIGN_CHILD_H
#define YK_ALIGN_CHILD_H

#include "base/status.h"

#include <stddef.h>
#include <sys/types.h>

typedef struct yk_child {
    pid_t pid;        /* leader of a process group of its own; 0: there is none */
    int in, out, err; /* our ends of its streams, non-blocking; -1: closed */
} yk_child;

yk_status yk_child_start(yk_child *c, const char *line, yk_error *err);

/* Bytes taken, 0 when the pipe is full. A child that closed its input closes c->in; no signal is raised. */
size_t yk_child_write(yk_child *c, const char *bytes, size_t n);

/* Bytes read from *fd (c->out or c->err), 0 when there are none now. Its end closes *fd. */
size_t yk_child_read(int *fd, char *bytes, size_t room);

/* Closes its input, waits up to `patience` seconds for it to exit, kills what is left of its group, reaps it and says
 * what became of it in `how`: "exited with status 1", "was ended by signal 11", "was killed" (by this function).
 * c->out and c->err stay, to be read to their end; yk_child_close closes them. */
void yk_child_end(yk_child *c, double patience, char how[64]);
void yk_child_close(yk_child *c);

#endif
