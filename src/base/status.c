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
    char before[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(before, sizeof before - 2, format, ap);
    va_end(ap);
    strcat(before, ": ");
    size_t n = strlen(before), room = sizeof err->text - n - 1, keep = strnlen(err->text, room);
    memmove(err->text + n, err->text, keep);
    memcpy(err->text, before, n);
    err->text[n + keep] = 0;
    return status;
}
