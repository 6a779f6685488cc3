# YK_SANITIZE: --enable-sanitize builds everything with the address and undefined-behaviour sanitizers.
AC_DEFUN([YK_SANITIZE], [
  AC_ARG_ENABLE([sanitize], [AS_HELP_STRING([--enable-sanitize], [address and undefined sanitizers (for tests)])])
  if test "x$enable_sanitize" = xyes; then
    CFLAGS="$CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
  fi
])
