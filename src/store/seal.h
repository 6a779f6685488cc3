/* The seal: the first 512 bytes of a checkpoint file, text that says how long the rest is and what
 * it hashes to. HDF5 leaves these bytes to the application (userblock) and finds its own start
 * behind them.
 *
 *     yoke-checkpoint-1\n
 *     bytes <20 decimal digits>\n
 *     xxh3 <32 hexadecimal digits>\n
 *     blanks to byte 511, then \n
 *
 * Only one text is right for a given rest, so a change of any bit of the file is found. */
#ifndef YK_STORE_SEAL_H
#define YK_STORE_SEAL_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define YK_SEAL_BYTES 512
#define YK_CHECKPOINT_FORMAT "yoke-checkpoint-1"

typedef struct yk_seal {
    int64_t bytes; /* of the whole file           */
    char hash[33]; /* of what follows the seal    */
} yk_seal;

/* Hashes what lies behind the seal in `fd` (open for reading and writing) and writes the seal.
 * `path` is for messages. YK_ERR_IO. */
yk_status yk_seal_write(int fd, const char *path, yk_error *err);

/* Reads the whole file. YK_ERR_DAMAGED: truncated, altered, or no checkpoint; YK_ERR_INPUT: no such
 * file; YK_ERR_IO. `seal` may be NULL. */
yk_status yk_seal_check(const char *path, yk_seal *seal, yk_error *err);

/* Writes all the bytes at offset `at`; YK_ERR_IO names `path`, the reason and the remedy. */
yk_status yk_put(int fd, const char *path, const void *data, uint64_t bytes, uint64_t at,
                 yk_error *err);

/* Up to n bytes at offset `at`; fewer only at the end of the file. A medium that cannot give the bytes back (EIO) is a
 * damaged file: YK_ERR_DAMAGED. */
yk_status yk_get(int fd, const char *path, void *data, size_t n, int64_t at, size_t *got, yk_error *err);

/* Sees to it that `bytes` can be written: space on the filesystem, the process's limit, then (quotas show only there)
 * the blocks themselves. YK_ERR_IO says what is needed for `what` and what is there. */
yk_status yk_reserve(int fd, const char *path, const char *what, uint64_t bytes, yk_error *err);

/* YK_ERR_IO "<path>: cannot <what>: <reason of the errno>", with the remedy where space is short.
 */
yk_status yk_refused(const char *path, const char *what, int why, yk_error *err);

#endif
