#include "align/child.h"

#include "base/log.h"
#include "base/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* A pipe of which `ours` (0: the reading end) does not block. */
static int open_pipe(int fd[2], int ours)
{
    if (pipe2(fd, O_CLOEXEC) != 0) {
        fd[0] = fd[1] = -1;
        return errno;
    }
    return fcntl(fd[ours], F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

/* Signals as a program expects them at its start, whatever this thread blocks or ignores. */
static int spawn(pid_t *pid, const char *line, const int stream[3])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, standard;
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)line, NULL};
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGPIPE);
    sigaddset(&standard, SIGINT);
    sigaddset(&standard, SIGTERM);
    int bad = posix_spawn_file_actions_init(&files);
    if (bad) return bad;
    bad = posix_spawnattr_init(&attributes);
    if (!bad) {
        for (int i = 0; i < 3 && !bad; i++) bad = posix_spawn_file_actions_adddup2(&files, stream[i], i);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &standard);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (!bad) bad = posix_spawn(pid, "/bin/sh", &files, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return bad;
}

yk_status yk_child_start(yk_child *c, const char *line, yk_error *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, messages[2] = {-1, -1};
    int bad = open_pipe(in, 1);
    if (!bad) bad = open_pipe(out, 0);
    if (!bad) bad = open_pipe(messages, 0);
    *c = (yk_child){0, -1, -1, -1};
    if (!bad) bad = spawn(&c->pid, line, (int[]){in[0], out[1], messages[1]});
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&messages[1]);
    if (bad) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        close_fd(&messages[0]);
        c->pid = 0;
        return yk_fail(err, YK_ERR_IO, "cannot start \"%s\": %s", line, strerror(bad));
    }
    c->in = in[1];
    c->out = out[0];
    c->err = messages[0];
    return YK_OK;
}

size_t yk_child_write(yk_child *c, const char *bytes, size_t n)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t taken = write(c->in, bytes, n);
    int why = taken < 0 ? errno : 0;
    if (why == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_only, NULL, &(struct timespec){0}) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (taken >= 0) return (size_t)taken;
    if (why != EAGAIN && why != EINTR) close_fd(&c->in);
    return 0;
}

size_t yk_child_read(int *fd, char *bytes, size_t room)
{
    if (*fd < 0) return 0;
    ssize_t n = read(*fd, bytes, room);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_fd(fd);
    return n > 0 ? (size_t)n : 0;
}

/* It waits to be reaped. */
static bool has_exited(const yk_child *c)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == c->pid;
}

void yk_child_end(yk_child *c, double patience, char how[64])
{
    how[0] = 0;
    yk_watch_sign(); /* many in a row that take all of their time are no hang */
    close_fd(&c->in);
    if (!c->pid) return;
    double until = yk_now() + patience;
    bool exited = has_exited(c);
    for (; !exited && yk_now() < until; exited = has_exited(c)) nanosleep(&(struct timespec){0, 1000000}, NULL);
    kill(-c->pid, SIGKILL); /* before it is reaped: until then the number of the group is its own */
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {}
    if (!exited) snprintf(how, 64, "was killed");
    else if (WIFSIGNALED(status)) snprintf(how, 64, "was ended by signal %d", WTERMSIG(status));
    else snprintf(how, 64, "exited with status %d", WEXITSTATUS(status));
    c->pid = 0;
}

void yk_child_close(yk_child *c)
{
    close_fd(&c->in);
    close_fd(&c->out);
    close_fd(&c->err);
}
