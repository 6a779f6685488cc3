# YK_SANITIZE: --enable-sanitize builds everything with the address and undefined-behaviour sanitizers.
AC_DEFUN([YK_SANITIZE], [
  AC_ARG_ENABLE([sanitize], [AS_HELP_STRING([--enable-sanitize], [address and undefined sanitizers (for tests)])])
  if test "x$enable_sanitize" = xyes; then
    CFLAGS="$CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
  fi
])

# YK_FUZZER: --enable-fuzzer, with which `make fuzz` configures a folder of its own: libFuzzer feeds the parsers.
AC_DEFUN([YK_FUZZER], [
  AC_ARG_ENABLE([fuzzer], [AS_HELP_STRING([--enable-fuzzer], [fuzz targets on libFuzzer, with sanitizers (CC=clang)])])
  if test "x$enable_fuzzer" = xyes; then
    CFLAGS="$CFLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    AC_SUBST([FUZZ_ENGINE], [-fsanitize=fuzzer])
  fi
  AM_CONDITIONAL([FUZZER], [test "x$enable_fuzzer" = xyes])
])
