# YK_SIMD_SET(NAME, flags, [headers = immintrin.h], [statement]): whether the compiler builds an instruction set's
# table, shown by the statement. The flags reach only the table's own object.
AC_DEFUN([YK_SIMD_SET], [
  AC_MSG_CHECKING([whether the compiler builds the $1 table ($2)])
  yk_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE(
    [AC_LANG_PROGRAM(
      [m4_foreach_w([yk_header], m4_default([$3], [immintrin.h]), [[#include <]yk_header[>]m4_newline])], [$4])],
    [yk_have_$1=yes], [yk_have_$1=no])
  CFLAGS=$yk_save_CFLAGS
  AC_MSG_RESULT([$yk_have_$1])
  if test $yk_have_$1 = yes; then
    AC_DEFINE(m4_toupper([YOKE_HAVE_$1]), [1], [The $1 table is built])
    yk_tables="$yk_tables $1"
    AC_SUBST(m4_toupper([$1_FLAGS]), ["$2"])
  fi
  AM_CONDITIONAL(m4_toupper([HAVE_$1]), [test $yk_have_$1 = yes])
])

# YK_OPTIONAL_FLAG(variable, flag): the variable holds the flag if the compiler takes it, else nothing.
AC_DEFUN([YK_OPTIONAL_FLAG], [
  AC_MSG_CHECKING([whether the compiler takes $2])
  yk_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [$1=$2], [$1=])
  CFLAGS=$yk_save_CFLAGS
  AC_MSG_RESULT([${$1:-no}])
])
