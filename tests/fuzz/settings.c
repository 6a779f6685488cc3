/* config.json of a model of transformers: what is accepted is a shape that a kind has. */
#include "fuzz.h"

#include "exchange/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    const yk_hf_kind *kind = NULL;
    yk_model_shape shape;
    json_t *config = NULL, *made = NULL;
    const char *path = fuzz_file("config.json", data, n);
    if (fuzz_status(yk_hf_json(path, &config, &err), &err) &&
        fuzz_status(yk_hf_config_read(config, path, &kind, &shape, &err), &err)) {
        made = yk_hf_config_make(kind, &shape, YK_SAFE_F32);
        fuzz_must(made != NULL, "the settings can be written");
    }
    json_decref(made);
    json_decref(config);
    return 0;
}
