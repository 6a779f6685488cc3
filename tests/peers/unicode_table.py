"""Writes src/token/unicode_table.h: the kind of every character in Unicode 16.0, which Oniguruma 6.9.10 has and with it
PyPI's `tokenizers`, and what the NFC normaliser of `tokenizers` does not know.

    pip install tokenizers unicodedata2==16.0.0
    python3 tests/peers/unicode_table.py >src/token/unicode_table.h

A run of characters of one kind is `first << 8 | kind`; a kind is a general category, in the order below, and two flags:
32, the character can change when text is brought to NFC, or ask for a change of those before it; 64, `tokenizers` (whose
normaliser is of Unicode 9) leaves it alone all the same.
"""
import sys

import unicodedata2 as ucd
from tokenizers import Regex, normalizers, pre_tokenizers

assert ucd.unidata_version == "16.0.0"
categories = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs Cn".split()
blank_controls = [9, 10, 11, 12, 13, 0x85]
nfc = normalizers.NFC().normalize_str
characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# Oniguruma agrees on every character
text = "".join(characters)
for name in categories:
    if name != "Cs":
        split = pre_tokenizers.Split(Regex(r"\p{%s}+" % name), "removed", invert=True)
        found = {c for piece, _ in split.pre_tokenize_str(text) for c in piece}
        assert found == {c for c in characters if ucd.category(c) == name}, name

composed = [c for c in characters if ucd.decomposition(c) and ucd.decomposition(c)[0] != "<"]
parts = {c: [chr(int(x, 16)) for x in ucd.decomposition(c).split()] for c in composed}
seconds = {parts[c][1] for c in composed if len(parts[c]) == 2 and ucd.normalize("NFC", c) == c}
seconds |= {chr(c) for c in [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]}
unsettled = {c for c in characters if ucd.combining(c) or c in seconds or ucd.normalize("NFC", c) != c}


def known(c):
    """Whether `tokenizers` orders the mark and composes it, and composes to or from the character, as Unicode does."""
    around = ["a\u0315%s\u0300", "a%s\u0327\u0300\u0345%s", "e%s", "%s\u0301", "%s\u0338"]
    cases = [x.replace("%s", c) for x in around] + ["".join(parts[x]) for x in composed if c in (x, parts[x][0])]
    return all(nfc(x) == ucd.normalize("NFC", x) for x in cases)


inert = {c for c in unsettled | set(composed) | {parts[c][0] for c in composed} if not known(c)}
assert all(known(c) for c in composed if not inert & {c, *parts[c]})
runs, last = [], None
for c in range(0x110000):
    kind = categories.index("Cs" if 0xD800 <= c < 0xE000 else ucd.category(chr(c)))
    kind = len(categories) if c in blank_controls else kind
    kind |= 32 * (chr(c) in unsettled) | 64 * (chr(c) in inert)
    if kind != last:
        runs.append(c << 8 | kind)
        last = kind
print("/* Written by tests/peers/unicode_table.py from Unicode 16.0; the kinds are those of unicode.h. */")
print("static const uint32_t runs[] = {")
for i in range(0, len(runs), 10):
    print("    " + " ".join(f"0x{x:x}," for x in runs[i:i + 10]))
print("};")
print(len(runs), "runs", len(unsettled), "unsettled", len(inert), "inert", file=sys.stderr)
