# YK_MPI: optional; --with-mpi makes it required, --without-mpi leaves it out. Open MPI by its pkg-config module, else
# by the mpicc that a loaded module put into the path. When cross-compiling pkg-config alone is asked.
AC_DEFUN([YK_MPI], [
  AC_ARG_WITH([mpi], [AS_HELP_STRING([--with-mpi], [require MPI (default: use it when found)])],
    [], [with_mpi=check])
  yk_mpi=no
  if test "x$with_mpi" != xno; then
    if $PKG_CONFIG --exists ompi-c; then
      MPI_CFLAGS=`$PKG_CONFIG --cflags ompi-c`
      MPI_LIBS=`$PKG_CONFIG --libs ompi-c`
      yk_mpi="Open MPI `$PKG_CONFIG --modversion ompi-c`"
    elif test "x$cross_compiling" != xyes && MPI_LIBS=`mpicc --showme:link 2>/dev/null`; then
      MPI_CFLAGS=`mpicc --showme:compile`
      yk_mpi=`mpicc --showme:version | sed 's/^[[^:]]*: *//; s/ (.*//'`
    fi
    if test "x$yk_mpi" != xno; then
      yk_save_CPPFLAGS=$CPPFLAGS
      CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
      AC_PREPROC_IFELSE([AC_LANG_PROGRAM([[@%:@include <mpi.h>
#if MPI_VERSION < 3
#error MPI 3 is needed
#endif]], [])], [], [yk_mpi=no])
      CPPFLAGS=$yk_save_CPPFLAGS
    fi
    if test "x$yk_mpi" = xno && test "x$with_mpi" != xcheck; then
      AC_MSG_ERROR([--with-mpi was asked for and no MPI 3 was found: apt-get install libopenmpi-dev, or
  module load openmpi, and see that `pkg-config --cflags ompi-c` or `mpicc --showme` works])
    fi
  fi
  if test "x$yk_mpi" = xno; then
    MPI_CFLAGS= MPI_LIBS=
  fi
  AM_CONDITIONAL([HAVE_MPI], [test "x$yk_mpi" != xno])
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
])
