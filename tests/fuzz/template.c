/* A template of an evaluation task, and behind a NUL the object that it is filled from. */
#include "fuzz.h"

#include "align/template.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    fuzz_halves h = fuzz_cut(data, n);
    json_t *object = json_loadb(h.second, h.second_n, 0, NULL), *value = NULL;
    json_t *valid = yk_json_of_bytes(h.first, h.first_n); /* as YAML hands it on */
    const char *text = json_string_value(valid);
    if (!json_is_object(object)) {
        json_decref(object);
        object = json_object();
    }
    const bool good = fuzz_status(yk_template_check(text, &err), &err);
    const bool filled = fuzz_status(yk_template_value(text, object, &value, &err), &err);
    fuzz_must(good || !filled, "what is filled passes the check");
    json_decref(value);
    json_decref(valid);
    json_decref(object);
    fuzz_cut_free(&h);
    return 0;
}
