/* The safetensors files of a model's directory: model.safetensors, or several of them with
 * model.safetensors.index.json, {"metadata": {"total_size": bytes}, "weight_map": {tensor: file}}. */
#ifndef YK_EXCHANGE_SHARDS_H
#define YK_EXCHANGE_SHARDS_H

#include "store/safetensors.h"

#include <stdint.h>

typedef struct yk_shards {
    char **path;
    yk_safetensors *file;
    size_t n;
} yk_shards;

/* YK_ERR_INPUT names what is missing or wrong: no file, a name of a file that leads elsewhere, a tensor that is not
 * where the index has it or is in two files. yk_shards_close() also after an error. */
yk_status yk_shards_open(yk_shards *s, const char *dir, yk_error *err);
void yk_shards_close(yk_shards *s);

/* NULL: none. *file is the one it is in. */
const yk_safe_tensor *yk_shards_find(const yk_shards *s, const char *name, const yk_safetensors **file);

/* Files of at most `most` bytes of data each, unless a single tensor has more. */
yk_status yk_shards_write(const char *dir, const yk_safe_item *item, size_t n, yk_safe_type type, int64_t most,
                          yk_safe_numbers_fn numbers, void *context, yk_error *err);

#endif
