#include "base/json.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

yk_status yk_json_write(const char *path, const json_t *x, yk_error *err)
{
    char *text = x ? json_dumps(x, JSON_INDENT(1)) : NULL;
    yk_status st = text ? yk_file_write(path, text, strlen(text), err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(text);
    return st;
}

yk_status yk_json_add_line(FILE *f, const char *path, json_t *x, yk_error *err)
{
    yk_status st = YK_OK;
    if (!x) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    else if (json_dumpf(x, f, JSON_COMPACT) != 0 || fputc('\n', f) == EOF)
        st = yk_fail(err, YK_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    json_decref(x);
    return st;
}

json_t *yk_json_of_bytes(const char *bytes, size_t n)
{
    yk_buf valid = {0};
    yk_buf_reserve(&valid, n);
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)bytes + i, (utf8proc_ssize_t)(n - i), &c);
        if (used > 0 && c != 0) yk_buf_add(&valid, bytes + i, (size_t)used);
        else yk_buf_puts(&valid, "\xEF\xBF\xBD");
        i += used > 0 ? (size_t)used : 1;
    }
    json_t *x = json_stringn(valid.data, valid.len);
    yk_buf_free(&valid);
    return x;
}

json_t *yk_json_number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
