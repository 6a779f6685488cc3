# YK_MPI: optional; --with-mpi makes it required, --without-mpi leaves it out.
AC_DEFUN([YK_MPI], [
  AC_ARG_WITH([mpi], [AS_HELP_STRING([--with-mpi], [require MPI (default: use it when found)])],
    [], [with_mpi=check])
  yk_mpi=no
  if test "x$with_mpi" != xno; then
    if $PKG_CONFIG --exists ompi-c; then
      MPI_CFLAGS=`$PKG_CONFIG --cflags ompi-c`
      MPI_LIBS=`$PKG_CONFIG --libs ompi-c`
      yk_mpi="Open MPI `$PKG_CONFIG --modversion ompi-c`"
    fi
    if test "x$yk_mpi" = xno && test "x$with_mpi" != xcheck; then
      AC_MSG_ERROR([--with-mpi was asked for and MPI was not found: apt-get install libopenmpi-dev, or
  module load openmpi, and see that `pkg-config --cflags ompi-c` works])
    fi
  fi
  if test "x$yk_mpi" != xno; then
    AC_DEFINE([YOKE_HAVE_MPI], [1], [MPI was found])
  fi
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
])
