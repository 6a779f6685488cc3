/* config.json of Hugging Face's models, and the shape of ours. */
#ifndef YK_EXCHANGE_CONFIG_H
#define YK_EXCHANGE_CONFIG_H

#include "exchange/kinds.h"
#include "store/safetensors.h"

#include <jansson.h>

/* Reads a file of JSON whose root is an object. It is hostile: YK_ERR_INPUT names path and place. *x is new. */
yk_status yk_hf_json(const char *path, json_t **x, yk_error *err);

/* The kind and the shape that `config`, read from `path`, tells of. YK_ERR_INPUT names the setting that is missing,
 * wrong, or asks for what Yoke does not compute. */
yk_status yk_hf_config_read(const json_t *config, const char *path, const yk_hf_kind **kind, yk_model_shape *shape,
                            yk_error *err);

/* The same the other way; new. Without ids of tokens. NULL: out of memory. */
json_t *yk_hf_config_make(const yk_hf_kind *kind, const yk_model_shape *shape, yk_safe_type type);

#endif
