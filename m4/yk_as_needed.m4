# YK_AS_NEEDED: the linker drops libraries that nothing refers to, where it can.
AC_DEFUN([YK_AS_NEEDED], [
  AC_MSG_CHECKING([whether the linker takes --as-needed])
  yk_save_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -Wl,--as-needed"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])], [YOKE_LDFLAGS=-Wl,--as-needed], [YOKE_LDFLAGS=])
  LDFLAGS=$yk_save_LDFLAGS
  AC_MSG_RESULT([${YOKE_LDFLAGS:-no}])
  AC_SUBST([YOKE_LDFLAGS])
])
