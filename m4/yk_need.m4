# YK_NEED(VARIABLE, modules, header, Debian package, Spack name)
# A required library: found by pkg-config (the first of several module names that exists), and its header
# compiles. What is missing is collected; YK_NEED_REPORT stops with the whole list.
AC_DEFUN([YK_NEED], [
  yk_found=
  for yk_module in $2; do
    if test -z "$yk_found" && $PKG_CONFIG --exists "$yk_module"; then yk_found=$yk_module; fi
  done
  AC_MSG_CHECKING([for $1 ($2)])
  if test -n "$yk_found"; then
    $1_CFLAGS=`$PKG_CONFIG --cflags $yk_found`
    $1_LIBS=`$PKG_CONFIG --libs $yk_found`
    yk_version=`$PKG_CONFIG --modversion $yk_found`
    AC_MSG_RESULT([$yk_found $yk_version])
    yk_summary="$yk_summary
    $yk_found $yk_version"
    yk_save_CPPFLAGS=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $$1_CFLAGS"
    AC_CHECK_HEADER([$3], [], [yk_found=])
    CPPFLAGS=$yk_save_CPPFLAGS
  else
    AC_MSG_RESULT([no])
  fi
  if test -n "$yk_found"; then
    YOKE_CFLAGS="$YOKE_CFLAGS $$1_CFLAGS"
    YOKE_LIBS="$YOKE_LIBS $$1_LIBS"
  else
    yk_missing_debian="$yk_missing_debian $4"
    yk_missing_spack="$yk_missing_spack $5"
  fi
])

AC_DEFUN([YK_NEED_REPORT], [
  if test -n "$yk_missing_debian"; then
    AC_MSG_ERROR([libraries are missing. Install them and configure again:
  Debian, Ubuntu:  apt-get install$yk_missing_debian
  a cluster:       module avail, module load ... or  spack load$yk_missing_spack
  elsewhere:       set PKG_CONFIG_PATH to where their .pc files lie])
  fi
])
