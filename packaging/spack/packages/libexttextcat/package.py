from spack.package import *

try:  # Spack 1.0 and later
    from spack_repo.builtin.build_systems.autotools import AutotoolsPackage
except ImportError:
    pass


class Libexttextcat(AutotoolsPackage):
    """Guesses the language of text from its n-grams."""

    homepage = "https://wiki.documentfoundation.org/Libexttextcat"
    url = "https://dev-www.libreoffice.org/src/libexttextcat/libexttextcat-3.4.7.tar.xz"

    license("BSD-3-Clause")

    version("3.4.7", sha256="df0a59d413a5b202573d8d4f5159e33a8538da4f8e8e60979facc64d6290cebd")

    depends_on("c", type="build")
