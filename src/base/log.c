#include "base/log.h"

#include "base/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* The terminal is one for the whole process, and so is what stands on its last line. */
static struct {
    bool line_stands, quiet;
    double last;
} screen = {.last = -1e9};

void yk_log_quiet(void)
{
    screen.quiet = true;
}

void yk_log_aloud(void)
{
    screen.quiet = false;
}

bool yk_log_is_quiet(void)
{
    return screen.quiet;
}

double yk_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void clear_line(void)
{
    if (screen.line_stands) fputs("\r\033[K", stderr);
    screen.line_stands = false;
}

static void message(const char *prefix, const char *format, va_list ap)
{
    if (screen.quiet) return;
    clear_line();
    fputs(prefix, stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

void yk_log(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    message("", format, ap);
    va_end(ap);
}

void yk_warn(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    message("warning: ", format, ap);
    va_end(ap);
}

void yk_progress(const char *format, ...)
{
    bool terminal = isatty(STDERR_FILENO);
    double now = yk_now();
    yk_watch_sign();
    if (screen.quiet || now - screen.last < (terminal ? 0.1 : 10.0)) return;
    screen.last = now;
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (!terminal) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    struct winsize w;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
    fprintf(stderr, "\r\033[K%.*s", columns, text);
    fflush(stderr);
    screen.line_stands = true;
}

void yk_progress_end(void)
{
    clear_line();
    screen.last = -1e9;
}

const char *yk_human_seconds(double s, char out[32])
{
    if (s < 60)
        snprintf(out, 32, "%.1f s", s);
    else if (s < 3600)
        snprintf(out, 32, "%d min %02d s", (int)s / 60, (int)s % 60);
    else
        snprintf(out, 32, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
    return out;
}

const char *yk_human_bytes(double bytes, char out[32])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    int u = 0;
    while (bytes >= 1000 && u < 4) {
        bytes /= 1000;
        u++;
    }
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", bytes, unit[u]);
    return out;
}
