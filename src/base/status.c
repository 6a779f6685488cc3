#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

yk_status yk_fail(yk_error *err, yk_status status, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    return status;
}

yk_status yk_context(yk_error *err, yk_status status, const char *format, ...)
{
    if (status == YK_OK) return status;
    yk_error inner = *err;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof err->text) return status;
    snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner.text);
    return status;
}
