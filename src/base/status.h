/* Status codes and the message that travels with them.
 *
 * A function that can fail returns a yk_status and fills a caller-owned yk_error; callers prepend
 * context; one `done:` label releases what was taken. The codes are the exit codes of the program
 * (doc/errors.md), so a new one is a new row there. */
#ifndef YK_BASE_STATUS_H
#define YK_BASE_STATUS_H

typedef enum yk_status {
    YK_OK = 0,
    YK_ERR_INTERNAL = 1, /* a broken promise inside the program: report it                     */
    YK_ERR_USAGE = 2,    /* the command line                                                   */
    YK_ERR_CONFIG = 3,   /* the recipe: unknown key, bad type, out of range, keys that clash   */
    YK_ERR_INPUT = 4,    /* input data: missing, unreadable, empty, malformed                  */
    YK_ERR_IO = 5,       /* the operating system refused to read or write: full disk, EIO, ... */
    YK_ERR_DAMAGED = 6,  /* a file that this program wrote is truncated or corrupt             */
    YK_ERR_BUSY = 7,     /* the run directory is in use by another process                     */
    YK_ERR_MEMORY = 8,   /* memory could not be had                                            */
    YK_ERR_SHAPE = 9,    /* a checkpoint or tokenizer of another shape than the recipe asks    */
    YK_ERR_NUMERIC = 10, /* training left the finite numbers and gave up                       */
    YK_ERR_HANG = 11,    /* the watchdog ended the process (base/watch.h)                      */
    YK_ERR_REPLICA = 12  /* ranks that must hold the same bits do not                          */
} yk_status;

typedef struct yk_error {
    char text[2048];
} yk_error;

/* Sets the message (printf style, no trailing newline) and returns `status`: `return yk_fail(...)`. */
yk_status yk_fail(yk_error *err, yk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message and returns `status` unchanged. Does nothing when YK_OK. */
yk_status yk_context(yk_error *err, yk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For functions with `yk_status st = YK_OK`, a parameter `yk_error *err` and a label `done:`. */
#define YK_TRY(call)                                                                               \
    do {                                                                                           \
        if ((st = (call)) != YK_OK) goto done;                                                     \
    } while (0)

/* YK_FAIL(YK_ERR_INPUT, "..."): set the message and leave through `done:`. */
#define YK_FAIL(...)                                                                               \
    do {                                                                                           \
        st = yk_fail(err, __VA_ARGS__);                                                            \
        goto done;                                                                                 \
    } while (0)

#endif
