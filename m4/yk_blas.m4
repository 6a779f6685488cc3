# YK_BLAS: OpenBLAS, the yardstick of `yoke bench` and the engine of the profile `fast`.
# --with-blas=NAME takes another pkg-config module.
AC_DEFUN([YK_BLAS], [
  AC_ARG_WITH([blas], [AS_HELP_STRING([--with-blas=MODULE], [pkg-config module of a CBLAS (openblas)])],
    [], [with_blas=openblas])
  YK_NEED([BLAS], [$with_blas], [cblas.h], [libopenblas-openmp-dev], [openblas])
])
