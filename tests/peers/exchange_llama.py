"""llama.cpp (llama-cpp-python, PyPI) loads the GGUF files that Yoke writes and computes the same.

    make -C build tests/exchange/peer
    venv/bin/python tests/peers/exchange_llama.py [--build build] [--export PROGRAM] [--work FOLDER] [--json FILE]

Trains a small model of each kind that can be exported on generated text, with a tokenizer that has seen many scripts,
then compares
  ids          of a hard text in normalisation form C, as a whole and line by line
  logits       of 10 sequences of random ids: F32 the same but for rounding, F16, BF16 and Q8_0 near
  greedy       continuations of 64 tokens of 20 prompts, F32, text for text
  probability  of held-out documents: bits a byte of F32 against `yoke eval`, of F16, BF16 and Q8_0 against F32
  bytes        of Q8_0, F16 and BF16 tensors against gguf-py's own conversion of the F32 file
  chat         what the template renders, against the text that training sees
--export: a program to call as PROGRAM RUN FILE TYPE instead of `yoke export RUN --to gguf FILE --type TYPE`.
Steps run one at a time, with one thread. Exit code 1 when something differs that should not.
"""
import argparse
import glob
import json
import math
import os
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import gguf.quants
import llama_cpp
import numpy

FLAT = ["model.width=64", "model.heads=4", "model.head_size=16", "model.ffn=96", "model.qk_norm=false"]
GPT2 = ["model.norm=layernorm", "model.mlp=gelu", "model.position=learned"]
MODELS = {
    "llama": FLAT + ["model.kv_heads=4", "model.tied=false"],
    "llama, grouped queries": FLAT + ["model.kv_heads=2", "model.tied=false"],
    "llama, tied": FLAT + ["model.kv_heads=1", "model.tied=true"],
    "llama, biases": FLAT + ["model.kv_heads=2", "model.tied=false", "model.bias=true"],
    "llama, slowed rope": FLAT + ["model.kv_heads=2", "model.rope_factor=8", "model.rope_original=64",
                                  "model.rope_theta=500"],
    "llama, wide heads": FLAT + ["model.kv_heads=2", "model.head_size=32", "model.rope_theta=500000"],
    "llama, width 48": FLAT + ["model.kv_heads=2", "model.width=48", "model.norm_eps=1e-6"],
    "qwen3": FLAT + ["model.kv_heads=2", "model.tied=false", "model.qk_norm=true"],
    "qwen3, tied, wide heads": FLAT + ["model.kv_heads=1", "model.head_size=32", "model.qk_norm=true"],
    "qwen2": FLAT + ["model.kv_heads=2", "model.tied=false", "model.qkv_bias=true", "model.rope_theta=1e6"],
    "qwen2, tied": FLAT + ["model.kv_heads=1", "model.tied=true", "model.qkv_bias=true"],
    "gpt2": FLAT + GPT2 + ["model.kv_heads=4", "model.bias=true"],
    "gpt2, grouped, no biases": FLAT + GPT2 + ["model.kv_heads=2", "model.tied=false"],
}

NARROW = ["model.width=32", "model.heads=2", "model.head_size=16", "model.kv_heads=2", "model.layers=1", "model.ffn=32",
          "model.qk_norm=false", "pretrain.masked_share=0"]

HARD = unicodedata.normalize("NFC", """\
It's they'RE I'll We'VE he'd y'all 'tis 'S o'clock don''t ''s'
  two   blanks    and\ttabs\t\tand trailing   
\n\n\n\n   \n \t \n\r\n\r\n\rcarriage\r\nreturns\r\r\n
0 12 345 6789 1234567890 3.14159 1,000,000 1e-9 0x7fFf ½ ² Ⅷ ٣٤٥ १२३ ①②
def f(x):\n\treturn {"a": [x ** 2, -x // 3]} if x != 0 else None  # ok?\nfor (int i=0;i<n;++i) { a[i]^=~b[i]<<2; }
Größe naïve façade Ångström œuvre Ελληνικά ἀρχή Русский Українська עברית العَرَبِيَّة हिन्दी தமிழ் ไทย ქართული Հայերեն አማርኛ
中文分词测试。日本語のテキスト、カタカナ。 한국어 문장입니다 ᄒ ᅡᆫ Tiếng Việt rất đẹp
a\u0301e\u0308 q\u0323\u0307 Z\u0351\u036b\u0343 \u0301alone x\u200dy zero\u200bwidth soft\u00adhyphen nbsp\u00a0\u00a0here \u2003em\u3000wide
😀 😀😀 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 ☃︎ ❤️ © ™ … — “quotes” «guillemets» ‹x› ¿qué? ¡sí! € £ ¥ ₿
... !!! ?!?! ---- ==== /* */ // <!-- --> \\ \\n "\\"" `x` $x_1^{2}$ %d&lt; @user #tag http://a.b/c?d=e&f=g#h
\ufeffBOM \x00nul\x01\x7f control \u2028line\u2029paragraph \U0001d54f\U0001d4d0 \U00020000\U0002a6d6 \ue000 \U000f0000
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa                                                          end""")

PROMPTS = ["", "The farmer", "If you have 12 apples", "Once upon a time", "What is 3 + 4?", "the", " the", "\n",
           "Größe", "中文", "😀", "12345", "def f(x):\n    return", "A a A a A a", "She ",
           "The blacksmith hides the heavy", "   spaced   out   ", "Русский текст", "x = [1, 2, 3]",
           "And then the river and the field and the rain and the sun"]

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 3 + 4?"},
        {"role": "assistant", "content": "7"}, {"role": "user", "content": "it's"}]
RENDERED = {
    "chatml": "<|endoftext|><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 3 + 4?<|im_end|>\n"
              "<|im_start|>assistant\n7<|im_end|>\n<|im_start|>user\nit's<|im_end|>\n<|im_start|>assistant\n",
    "plain": "<|endoftext|>System: Be brief.\nUser: What is 3 + 4?\nAssistant: 7<|endoftext|>\nUser: it's\nAssistant: ",
}
CONTEXT = 1024

LOGIT_LIMITS = {"f32": 2e-4, "f16": 0.1, "bf16": 0.5, "q8_0": 1.0}  # of logits up to 13, at tokens drawn at random

results = []


def verdict(good, text):
    print(("ok: " if good else "FAILED: ") + text, flush=True)
    results.append({"ok": bool(good), "text": text})


def call(command, **more):
    result = subprocess.run(command, capture_output=True, **more)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {result.stderr.decode(errors='replace')}")
    return result.stdout


def load(path, **more):
    fp32 = 0
    return llama_cpp.Llama(path, n_ctx=CONTEXT, n_threads=1, n_threads_batch=1, verbose=False, type_k=fp32, type_v=fp32,
                           **more)


def train(options, tokenizer, run, sets, stages="[clean, tokenizer, pretrain]"):
    base = [f"stages={stages}", "pretrain.steps=120", f"pretrain.seq={CONTEXT}", "pretrain.batch=2",
            "pretrain.micro_batch=2", f"tokenizer.path={tokenizer}", "threads=1"]
    arguments = [a for s in base + sets for a in ("--set", s)]
    call([options.yoke, "run", options.recipe, "--run-dir", run, *arguments])


def export(options, run, path, kind):
    if options.export:
        call([options.export, run, path, kind])
    else:
        call([options.yoke, "export", run, "--to", "gguf", path, "--type", kind])


def ids_of(options, tokenizer, texts, folder, *flags):
    files = []
    for i, text in enumerate(texts):
        files.append(os.path.join(folder, f"probe-{i}"))
        with open(files[-1], "wb") as f:
            f.write(text.encode())
    out = call([options.yoke, "tokenizer", "encode", "--tokenizer", tokenizer, *flags, *files])
    return [[int(x) for x in line.split()] for line in out.decode().split("\n")[:len(texts)]]


def compare_ids(options, tokenizer, model, folder):
    texts = [HARD] + HARD.split("\n") + [HARD[i:i + 40] for i in range(0, len(HARD), 7)]
    texts = [unicodedata.normalize("NFC", t) for t in texts]
    compare_ids_of(options, tokenizer, model, folder, texts, False)
    marks = "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</answer>", "<|im_start", "|>", "<|"
    texts = [mark.join(HARD[i:i + 30:6]) for i in range(0, len(HARD), 31) for mark in marks]
    texts.append("".join(marks) * 2)
    compare_ids_of(options, tokenizer, model, folder, [unicodedata.normalize("NFC", t) for t in texts], True)


def compare_ids_of(options, tokenizer, model, folder, texts, special):
    different = tokens = 0
    flags = ["--parse-special"] if special else []
    for text, ours in zip(texts, ids_of(options, tokenizer, texts, folder, *flags)):
        theirs = model.tokenize(text.encode(), add_bos=False, special=special) if text else []
        tokens += len(ours)
        if ours == theirs:
            continue
        different += 1
        at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
        print(f"  {text[:60]!r}: token {at}: {ours[at:at + 4]} and {theirs[at:at + 4]}, "
              f"{model.detokenize(ours[:at + 4])[-20:]!r} and {model.detokenize(theirs[:at + 4])[-20:]!r}")
    kind = "hard texts with special tokens" if special else "hard texts"
    verdict(different == 0, f"ids of {len(texts)} {kind}, {tokens} tokens: {different} texts differ")


def greedy(model, prompt, most=64):
    """The text, and the least gap between the two likeliest tokens on the way."""
    ids = model.tokenize(prompt.encode(), add_bos=True, special=False)
    model.reset()
    model.eval(ids)
    made, gap = [], math.inf
    while len(made) < most:
        logits = model.scores[model.n_tokens - 1]
        second, first = numpy.partition(logits, -2)[-2:]
        gap = min(gap, float(first - second))
        token = int(numpy.argmax(logits))
        if token == model.token_eos():
            break
        made.append(token)
        model.eval([token])
    return model.detokenize(made), gap


def compare_greedy(options, name, run, model):
    different, tightest = 0, math.inf
    for prompt in PROMPTS:
        out = call([options.yoke, "generate", run, "--prompt", prompt, "--temperature", "0", "--tokens", "64",
                    "--threads", "1"])
        ours = out[len(prompt.encode()):-1]
        theirs, gap = greedy(model, prompt)
        tightest = min(tightest, gap)
        if ours != theirs:
            different += 1
            print(f"  {prompt!r}: {ours!r}\n     and {theirs!r}, least gap {gap:.2g}")
    verdict(different == 0, f"{name}: greedy, {len(PROMPTS)} prompts of 64 tokens: {different} differ; closest choice "
                            f"{tightest:.2g} apart")


def compare_logits(options, name, run, paths, vocab):
    r = numpy.random.default_rng(7)
    sequences = [[int(x) for x in r.integers(0, vocab, int(r.integers(1, 200)))] for _ in range(10)]
    tokens, out = f"{run}.sequences.json", f"{run}.logits"
    with open(tokens, "w", encoding="utf-8") as f:
        json.dump(sequences, f)
    call([options.peer, "logits", run, tokens, out])
    ours, worst = numpy.fromfile(out, dtype=numpy.float32), {}
    for kind, path in paths.items():
        model, theirs = load(path, logits_all=True), []
        for ids in sequences:
            model.reset()
            model.eval(ids)
            theirs.append(numpy.array(model.scores[:len(ids)]))
        theirs = numpy.concatenate(theirs)
        worst[kind] = float(numpy.abs(theirs - ours.reshape(theirs.shape)).max())
    text = ", ".join(f"{kind} {x:.1e}" for kind, x in worst.items())
    limits = LOGIT_LIMITS | ({"f32": 5e-3} if name.startswith("gpt2") else {})  # ggml looks GELU up in a table of F16
    verdict(all(worst[kind] < limit for kind, limit in limits.items()),
            f"{name}: logits of {len(theirs)} positions, largest {numpy.abs(ours).max():.1f}, differ at most: {text}")


def documents_of(run):
    for shard in sorted(glob.glob(os.path.join(run, "clean", "*.heldout.jsonl.zst"))):
        for line in call(["zstd", "-dc", shard]).splitlines():
            yield json.loads(line)["text"]


def bits_a_byte(model, documents):
    """As `yoke eval`: a document alone, from its first token given the end token before it to the end token behind."""
    nats = total = 0
    for text in documents:
        ids = model.tokenize(text.encode(), add_bos=True, special=False) + [model.token_eos()]
        model.reset()
        model.eval(ids[:-1])
        logits = numpy.asarray(model.scores[:len(ids) - 1], dtype=numpy.float64)
        most = logits.max(axis=1)
        lse = most + numpy.log(numpy.exp(logits - most[:, None]).sum(axis=1))
        nats += float((lse - logits[numpy.arange(len(ids) - 1), ids[1:]]).sum())
        total += len(text.encode())
    return nats / total / math.log(2)


def compare_bytes(name, paths):
    """Tensors of each file against gguf-py's conversion of the F32 file."""
    plain = {t.name: t for t in gguf.GGUFReader(paths["f32"]).tensors}
    different = converted = 0
    for kind in ("f16", "bf16", "q8_0"):
        for tensor in gguf.GGUFReader(paths[kind]).tensors:
            if tensor.tensor_type == gguf.GGMLQuantizationType.F32:
                continue
            source = numpy.array(plain[tensor.name].data, dtype=numpy.float32)
            theirs = gguf.quants.quantize(source, tensor.tensor_type)
            converted += 1
            different += theirs.tobytes() != tensor.data.tobytes()
    verdict(different == 0, f"{name}: bytes of {converted} converted tensors: {different} differ from gguf-py's")


def compare_probability(options, name, run, paths):
    documents = list(documents_of(run))
    values = {}
    for kind, path in paths.items():
        model = load(path, logits_all=True)
        values[kind] = bits_a_byte(model, documents)
        del model
    ours = json.loads(call([options.yoke, "eval", run, "--json", "--threads", "1"]))["heldout_bpb"]
    values = {"yoke": ours, **values}
    text = ", ".join(f"{kind} {value:.6f}" for kind, value in values.items())
    limits = {"yoke": 1e-4, "f16": 1e-3, "bf16": 5e-3, "q8_0": 1e-2}
    good = all(abs(values[kind] / values["f32"] - 1) < limit for kind, limit in limits.items())
    verdict(good, f"{name}: bits a byte of {len(documents)} documents: {text}")


def compare_model(options, tokenizer, folder, name, sets, first):
    run = os.path.join(folder, name.replace(",", "").replace(" ", "-"))
    train(options, tokenizer, run, sets)
    paths = {}
    for kind in ("f32", "f16", "bf16", "q8_0"):
        paths[kind] = f"{run}.{kind}.gguf"
        export(options, run, paths[kind], kind)
    model = load(paths["f32"], logits_all=True)
    if first:
        compare_ids(options, tokenizer, model, folder)
    compare_greedy(options, f"{name} ({model.metadata['general.architecture']})", run, model)
    vocab = model.n_vocab()
    del model
    compare_logits(options, name, run, paths, vocab)
    compare_probability(options, name, run, paths)
    compare_bytes(name, paths)


def compare_tokenizers(options, folder, paths):
    """Ids with other tokenizers, each in the GGUF file of a model of one narrow layer that has hardly been trained."""
    for path in paths:
        name = os.path.basename(path)[:-len(".json")]
        with open(path, encoding="utf-8") as f:
            added = [x["content"] for x in json.load(f)["added_tokens"]]
        end = next(x for x in added if x.startswith("<") and "end" in x)
        run = os.path.join(folder, "tokenizer-" + name)
        train(options, path, run, NARROW + [f"tokenizer.begin={end}", f"tokenizer.end={end}", "pretrain.steps=1"])
        export(options, run, run + ".gguf", "f16")
        model = llama_cpp.Llama(run + ".gguf", vocab_only=True, verbose=False)
        print(f"{name}: {model.metadata['tokenizer.ggml.pre']}")
        compare_ids(options, path, model, folder)


def compare_chat(options, tokenizer, folder, template):
    run = os.path.join(folder, f"chat-{template}")
    data = os.path.join(folder, "chat.jsonl")
    with open(data, "w", encoding="utf-8") as f:
        for i in range(64):
            f.write(json.dumps({"prompt": f"What is {i % 8} + {i // 8}?", "completion": f"{i % 8 + i // 8}"}) + "\n")
    sets = [f"sft.template={template}", f"sft.data=[{data}]", f"sft.heldout=[{data}]", "sft.epochs=40", "sft.batch=16"]
    train(options, tokenizer, run, MODELS["qwen3"] + sets, "[clean, tokenizer, pretrain, sft]")
    path = f"{run}.gguf"
    export(options, run, path, "f32")
    model = load(path)
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter
    formatter = Jinja2ChatFormatter(model.metadata["tokenizer.chat_template"], "<|endoftext|>", "<|endoftext|>")
    text = formatter(messages=CHAT).prompt
    verdict(text == RENDERED[template], f"chat, {template}: what the template renders")
    ids = model.tokenize(text.encode(), add_bos=False, special=True)
    verdict(ids[0] == model.token_bos() and model.detokenize(ids, special=True).decode() == text,
            f"chat, {template}: marks become special tokens")
    right = 0
    for i in range(64):
        turn = {"role": "user", "content": f"What is {i % 8} + {i // 8}?"}
        answer = model.create_chat_completion([turn], temperature=0.0, max_tokens=16)["choices"][0]
        right += answer["message"]["content"] == f"{i % 8 + i // 8}" and answer["finish_reason"] == "stop"
    with open(os.path.join(run, "summary.json"), encoding="utf-8") as f:
        exact = 64 * json.load(f)["sft"]["heldout_exact"]
    good = abs(right - exact) < 0.5 or template == "plain"  # whose blanks are no tokens of their own there: doc/formats.md
    verdict(good, f"chat, {template}: {right} of 64 sums answered, and ended; yoke {exact:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="folder of yoke and tests/exchange/peer")
    parser.add_argument("--export", help="program that exports: PROGRAM RUN FILE TYPE")
    parser.add_argument("--recipe", default="conf/tiny.yaml")
    parser.add_argument("--work", help="folder for models and files, kept")
    parser.add_argument("--only", default="", help="models whose name contains this, or chat")
    parser.add_argument("--tokenizers", metavar="FILE", nargs="*", default=[], help="compare ids with these, and no models")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts there too")
    options = parser.parse_args()
    options.yoke, options.peer = (os.path.join(options.build, x) for x in ("yoke", "tests/exchange/peer"))
    folder = options.work or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    text, tokenizer = os.path.join(folder, "hard.txt"), os.path.join(folder, "tokenizer.json")
    with open(text, "wb") as f:
        f.write((HARD * 30 + "The farmer walks to the field. What is 3 + 4? The answer is 7.\n" * 40).encode())
    call([options.yoke, "tokenizer", "train", "--output", tokenizer, "--vocab", "1024", text])
    names = [name for name in MODELS if options.only in name and not options.tokenizers]
    for i, name in enumerate(names):
        compare_model(options, tokenizer, folder, name, MODELS[name], i == 0)
    compare_tokenizers(options, folder, options.tokenizers)
    if options.only in "chat" and not options.tokenizers:
        for template in RENDERED:
            compare_chat(options, tokenizer, folder, template)
    failed = sum(not x["ok"] for x in results)
    versions = {"python": sys.version.split()[0], "llama-cpp-python": llama_cpp.__version__, "numpy": numpy.__version__}
    print(versions, f"{failed} of {len(results)} failed" if failed else f"all {len(results)} passed")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"versions": versions, "verdicts": results}, f, indent=1)
    sys.exit(failed > 0)


main()
