#!/usr/bin/env python3
"""Real text of 18 languages and code, out of Debian's packages: DIR/text.jsonl, a document (JSON, `text`) a line.

    apt-get update && python3 tests/peers/texts.py DIR

`apt-get download` fetches the packages into DIR; nothing is installed. A package that this Debian does not have is
named and left out. A language ends at MOST bytes, or where its packages do. It says how much there is of what.
"""
import argparse
import collections
import gettext
import glob
import gzip
import html
import io
import json
import os
import re
import subprocess
import sys
import tarfile

MOST = 4_000_000
MANUAL, HELP, LABELS = r"/man\d/.*\.gz$", r"/text/.*\.html$", r"/LC_MESSAGES/.*\.mo$"
SOURCES = [  # language, package, which of its files
    ("English", "python3.11-doc", r"/_sources/.*\.rst\.txt(\.gz)?$"),
    ("German", "manpages-de", MANUAL), ("French", "manpages-fr", MANUAL), ("French", "libreoffice-help-fr", HELP),
    ("Spanish", "manpages-es", MANUAL), ("Spanish", "libreoffice-help-es", HELP), ("Polish", "manpages-pl", MANUAL),
    ("Russian", "manpages-ru", MANUAL), ("Russian", "libreoffice-help-ru", HELP),
    ("Greek", "libreoffice-help-el", HELP), ("Khmer", "libreoffice-help-km", HELP),
    ("Japanese", "manpages-ja", MANUAL), ("Chinese", "manpages-zh", MANUAL),
    ("Korean", "libreoffice-l10n-ko", LABELS), ("Korean", "libreoffice-help-ko", HELP),
    *((language, "libreoffice-l10n-" + code, LABELS) for language, code in (
        ("Hindi", "hi"), ("Vietnamese", "vi"), ("Turkish", "tr"), ("Arabic", "ar"), ("Hebrew", "he"), ("Thai", "th"),
        ("Tamil", "ta"))),
    ("Python", "libpython3.11-stdlib", r"\.py$"), ("C++", "libeigen3-dev", r"/Eigen/.*\.h$"),
    ("Go", "golang-1.19-src", r"\.go$"),
]


def members(package, folder, pattern):
    found = glob.glob(os.path.join(folder, package + "_*.deb"))
    if not found:
        done = subprocess.run(["apt-get", "download", "-q", package], cwd=folder, capture_output=True, text=True,
                              check=False)
        found = glob.glob(os.path.join(folder, package + "_*.deb"))
        if not found:
            print(f"left out: {package}: {(done.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
            return
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", found[0]], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            if member.isfile() and re.search(pattern, member.name):
                data = archive.extractfile(member).read()
                yield member.name, gzip.decompress(data) if member.name.endswith(".gz") else data


def texts(name, data):
    """Documents of a file; of a catalogue of translations one for about a hundred of them."""
    if name.endswith(".mo"):
        said = [x for x in gettext.GNUTranslations(io.BytesIO(data))._catalog.values() if isinstance(x, str)][1:]
        return ["\n".join(said[i:i + 100]) for i in range(0, len(said), 100)]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return []
    if name.endswith(".html"):
        text = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", "", text)
        text = re.sub(r"\n\s*\n+", "\n\n", html.unescape(re.sub(r"<[^>]*>", "", text)))
    return [text]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", metavar="DIR")
    folder = p.parse_args().folder
    os.makedirs(folder, exist_ok=True)
    size, seen = collections.Counter(), set()
    with open(os.path.join(folder, "text.jsonl"), "w", encoding="utf-8") as out:
        for language, package, pattern in SOURCES:
            for name, data in members(package, folder, pattern):
                for text in texts(name, data):
                    if size[language] >= MOST or text in seen:
                        continue
                    seen.add(text)
                    size[language] += len(text.encode())
                    out.write(json.dumps({"text": text, "language": language}, ensure_ascii=False) + "\n")
    print(", ".join(f"{language} {n / 1e6:.1f}" for language, n in size.items()) + f": {size.total() / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
