import os

from spack.package import *

try:  # Spack 1.0 and later
    from spack_repo.builtin.build_systems.autotools import AutotoolsPackage
except ImportError:
    pass


class Yoke(AutotoolsPackage):
    """Trains language models on CPUs, from raw text to an aligned model, with the same bits everywhere.

    Its source is the file of `make dist`, taken from the folder in which spack is called:
        spack repo add packaging/spack
        spack install --no-checksum yoke
    """

    manual_download = True

    license("BSD-2-Clause")

    version("0.1.0")

    variant("mpi", default=True, description="Runs of many processes")

    depends_on("c", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("openblas threads=openmp")
    depends_on("hdf5@1.10.7:")
    depends_on("hdf5 ~mpi", when="~mpi")
    for library in (
        "libyaml",
        "jansson",
        "pcre2",
        "utf8proc",
        "libxml2",
        "zlib-api",
        "zstd",
        "xz",
        "xxhash",
        "openssl",
        "hwloc",
        "libexttextcat",
    ):
        depends_on(library)
    depends_on("openmpi", when="+mpi")
    depends_on("cmocka", type="test")

    def url_for_version(self, version):
        return f"file://{os.getcwd()}/yoke-{version}.tar.xz"

    def configure_args(self):
        return ["--with-mpi" if self.spec.satisfies("+mpi") else "--without-mpi"]
