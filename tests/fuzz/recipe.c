/* A recipe, and behind a NUL an option --set: what is accepted prints as a recipe that is accepted too. */
#include "fuzz.h"

#include "config/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const all[] = {"", NULL};
    yk_error err = {""};
    yk_recipe r, again;
    yk_buf text = {0}, canonical = {0};
    fuzz_halves h = fuzz_cut(data, n);
    const char *const set = h.second, *path = fuzz_file("recipe.yaml", data, h.first_n);
    if (fuzz_status(yk_recipe_load(&r, path, &set, h.second_n > 0, &err), &err)) {
        yk_recipe_canonical(&r, all, &canonical);
        yk_recipe_print(&r, &text);
        yk_recipe_free(&r);
        path = fuzz_file("recipe.yaml", (const uint8_t *)text.data, text.len);
        fuzz_must(yk_recipe_load(&again, path, NULL, 0, &err) == YK_OK, err.text);
        yk_buf_clear(&text);
        yk_recipe_canonical(&again, all, &text);
        fuzz_must(text.len == canonical.len && memcmp(text.data, canonical.data, text.len) == 0, "the same recipe");
        yk_recipe_free(&again);
    }
    yk_buf_free(&text);
    yk_buf_free(&canonical);
    fuzz_cut_free(&h);
    return 0;
}
