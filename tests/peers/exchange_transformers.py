#!/usr/bin/env python3
"""Models pass between Yoke and Hugging Face's transformers and stay what they are.

    make peers-exchange PYTHON=venv/bin/python             (needs torch, transformers, tokenizers; see README.md here)
    python3 tests/peers/exchange_transformers.py --values >tests/exchange/hf_values.h

Out: small runs of Yoke are exported; transformers loads them. In: random models of transformers are imported, and
exported again. Of both: the largest difference of logits over 50 random prompts, and greedy continuations of 64 tokens.
Then chat templates, and 20 steps of fine-tuning beside the same steps in PyTorch. All in fp32.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE, LOSS_TOLERANCE = 2e-4, 1e-3
SEQ, PROMPTS, CONTINUED = 128, 50, 64
here = os.path.dirname(os.path.abspath(__file__))
results = []


def verdict(name, good, figures):
    print(f"{'ok' if good else 'FAILED'}: {name}: {figures}", flush=True)
    results.append({"name": name, "ok": bool(good), "figures": figures})


class Peer:
    """Yoke: the program, and tests/exchange/peer.c."""

    def __init__(self, build, folder):
        self.yoke, self.peer, self.folder = os.path.join(build, "yoke"), os.path.join(build, "tests/exchange/peer"), folder

    def run(self, *command, program=None):
        done = subprocess.run([program or self.yoke, *command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}:\n{done.stderr}")
        return done.stdout

    def place(self, name):
        return os.path.join(self.folder, name)

    def tokens(self, sequences):
        with open(self.place("tokens.json"), "w") as f:
            json.dump(sequences, f)
        return f.name

    def logits(self, run, sequences, vocab):
        self.run("logits", run, self.tokens(sequences), self.place("logits"), program=self.peer)
        return torch.from_numpy(numpy.fromfile(self.place("logits"), dtype=numpy.float32)).reshape(-1, vocab)

    def greedy(self, run, sequences, n):
        return json.loads(self.run("greedy", run, self.tokens(sequences), str(n), program=self.peer))


def load(folder, **more):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **more)
    return model.eval()


def prompts_of(vocab, longest, seed):
    r = numpy.random.default_rng(seed)
    return [[int(x) for x in r.integers(0, vocab, int(r.integers(1, longest + 1)))] for _ in range(PROMPTS)]


@torch.no_grad()
def compare(name, y, run, model, tokens):
    """Logits of random prompts; greedy continuations: each id of ours is their likeliest after those before it."""
    vocab = model.config.vocab_size
    prompts = prompts_of(tokens, SEQ - CONTINUED, len(name))
    ours = y.logits(run, prompts, vocab)
    theirs = torch.cat([model(torch.tensor([p])).logits[0] for p in prompts])
    worst, size = (ours - theirs).abs().max().item(), theirs.abs().max().item()
    equal, closest = 0, math.inf
    for p, continuation in zip(prompts, y.greedy(run, prompts, CONTINUED)):
        after = model(torch.tensor([p + continuation[:-1]])).logits[0, len(p) - 1:]
        equal += after.argmax(dim=1).tolist() == continuation
        two = after.topk(2).values
        closest = min(closest, (two[:, 0] - two[:, 1]).min().item())
    verdict(name, worst < TOLERANCE and equal == PROMPTS,
            f"logits differ by {worst:.2e} at most (largest {size:.1f}), {equal} of {PROMPTS} continuations equal; closest "
            f"choice {closest:.1e} apart")


# --- out: runs of Yoke -----------------------------------------------------------------------------

OURS = {
    "llama-dense": ("LlamaForCausalLM", ["kv_heads=2", "tied=false", "qk_norm=false"]),
    "llama-grouped-tied": ("LlamaForCausalLM", ["heads=4", "kv_heads=2", "qk_norm=false", "tied=true"]),
    "llama-biases": ("LlamaForCausalLM", ["qk_norm=false", "bias=true"]),
    "llama3-rope": ("LlamaForCausalLM", ["qk_norm=false", "rope_factor=8", "rope_original=64", "rope_theta=500"]),
    "qwen2": ("Qwen2ForCausalLM", ["qk_norm=false", "qkv_bias=true", "tied=false", "rope_theta=1e6"]),
    "qwen3": ("Qwen3ForCausalLM", ["heads=4", "kv_heads=2", "head_size=32", "qk_norm=true", "vocab=333", "norm_eps=1e-6"]),
    "gpt2": ("GPT2LMHeadModel", ["kv_heads=2", "norm=layernorm", "mlp=gelu", "position=learned", "bias=true",
                                 "qk_norm=false", "ffn=128"]),
    "gpt2-free": ("GPT2LMHeadModel", ["kv_heads=2", "norm=layernorm", "mlp=gelu", "position=learned", "bias=true",
                                      "qk_norm=false", "tied=false"]),
}


def train(y, name, keys, stages="clean, tokenizer, pretrain", more=()):
    run = y.place(name)
    sets = [f"stages=[{stages}]", f"pretrain.seq={SEQ}", "pretrain.steps=12", "pretrain.eval_every=12",
            "model.init_std=0.2", *(f"model.{k}" for k in keys), *more]
    y.run("run", os.path.join(here, "../../conf/tiny.yaml"), "--run-dir", run, *(x for s in sets for x in ("--set", s)))
    return run


def go_out(y):
    for name, (architecture, keys) in OURS.items():
        run, hf = train(y, name, keys), y.place(name + "-hf")
        y.run("export", run, hf, "--to", "hf")
        model = load(hf)
        found = type(model).__name__
        verdict(f"out {name}: architecture", found == architecture, found)
        compare(f"out {name}", y, run, model, 320)
        for kind, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
            y.run("export", run, f"{hf}-{kind}", "--type", kind, "--shard-size", "50k")
            halved = AutoModelForCausalLM.from_pretrained(f"{hf}-{kind}", dtype="auto").state_dict()
            good = all(halved[k].dtype == dtype and torch.equal(halved[k], v.to(dtype)) for k, v in model.state_dict().items())
            files = len([f for f in os.listdir(f"{hf}-{kind}") if f.endswith(".safetensors")])
            verdict(f"out {name}: {kind} is PyTorch's rounding", good and files > 1, f"{files} files")


# --- in: models of transformers ----------------------------------------------------------------------

SMALL = dict(vocab_size=333, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=SEQ)
THEIRS = {
    "Llama": lambda: transformers.LlamaConfig(**SMALL, tie_word_embeddings=False),
    "Llama-3": lambda: transformers.LlamaConfig(**{**SMALL, "num_key_value_heads": 1}, head_dim=32, tie_word_embeddings=True,
                                                rope_parameters=dict(rope_type="llama3", rope_theta=5000.0, factor=32.0,
                                                                     low_freq_factor=1.0, high_freq_factor=4.0,
                                                                     original_max_position_embeddings=64)),
    "Llama-biases": lambda: transformers.LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True),
    "Qwen2": lambda: transformers.Qwen2Config(**SMALL, rms_norm_eps=1e-6),
    "Qwen3": lambda: transformers.Qwen3Config(**SMALL, head_dim=32, tie_word_embeddings=True),
    "GPT-2": lambda: transformers.GPT2Config(vocab_size=320, n_embd=64, n_layer=3, n_head=4, n_positions=SEQ),
}


def make(config, seed=1):
    """Weights large enough that all of them matter, biases and norms too."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.2 if p.dim() == 2 else 0.1) + (1.0 if ("norm" in name or "ln_" in name) and "bias" not in name else 0))
    return model


def go_in(y, tokenizer):
    for name, config in THEIRS.items():
        for dtype, kind in ((torch.float32, "f32"), (torch.bfloat16, "bf16"), (torch.float16, "f16")):
            model, hf = make(config()).to(dtype), y.place(f"{name}-{kind}")
            run, again = hf + "-run", hf + "-again"
            model.save_pretrained(hf, **({} if kind == "f32" else {"max_shard_size": "60KB"}))
            os.link(tokenizer, os.path.join(hf, "tokenizer.json"))
            y.run("import", hf, run)
            if kind == "f32":
                compare(f"in {name}", y, run, model, 320)
            y.run("export", run, again, "--type", kind)
            before, after = {}, load_file(os.path.join(again, "model.safetensors"))
            for f in os.listdir(hf):
                if f.endswith(".safetensors"):
                    before.update(load_file(os.path.join(hf, f)))
            same = before.keys() == after.keys() and all(
                before[k].dtype == after[k].dtype and torch.equal(before[k].view(torch.uint8), after[k].view(torch.uint8))
                for k in before)
            verdict(f"in {name}, out again in {kind}", same, f"{len(after)} tensors, bit for bit")


# --- conversations -----------------------------------------------------------------------------------

WORDS = "the farmer walks to field rain comes and what is sum of three four seven apples give left away day".split()


def conversations(n):
    r = numpy.random.default_rng(5)
    say = lambda: " ".join(r.choice(WORDS, int(r.integers(3, 9)))).capitalize() + "."
    out = []
    for i in range(n):
        turns = [{"role": "user", "content": say()}, {"role": "assistant", "content": say()}]
        if i % 3 == 0:
            turns.insert(0, {"role": "system", "content": say()})
        if i % 4 == 0:
            turns += [{"role": "user", "content": say()}, {"role": "assistant", "content": say() + "\n\n1. " + say()}]
        out.append({"messages": turns})
    return out


def write_lines(path, objects):
    with open(path, "w") as f:
        f.writelines(json.dumps(x) + "\n" for x in objects)
    return path


def talk(y):
    data = write_lines(y.place("talk.jsonl"), conversations(40))
    for template in ("chatml", "plain"):
        run = train(y, f"talk-{template}", ["qk_norm=false"], "clean, tokenizer, pretrain, sft",
                    [f"sft.template={template}", f"sft.data={data}", "sft.steps=2", "sft.batch=4"])
        hf = y.place(f"talk-{template}-hf")
        y.run("export", run, hf)
        t = AutoTokenizer.from_pretrained(hf)
        ours = json.loads(y.run("chat", run, data, program=y.peer))
        theirs = [t.apply_chat_template(c["messages"], tokenize=True, return_dict=False) for c in conversations(40)]
        equal = sum(a == b for a, b in zip(ours, theirs))
        texts = sum(t.decode(a) == t.decode(b) for a, b in zip(ours, theirs))
        # The blank after `User:` is a token of its own here, and part of the next word's there.
        verdict(f"chat template {template}", texts == 40 and (equal == 40 or template == "plain"),
                f"{equal} of 40 conversations have equal ids, {texts} equal text")
        begins = t("The farmer").input_ids[0] == t.convert_tokens_to_ids("<|endoftext|>")
        ends = load(hf).generation_config.eos_token_id
        verdict(f"special tokens, {template}", begins and t.convert_tokens_to_ids("<|endoftext|>") in ends, f"ends {ends}")


# --- fine-tuning -------------------------------------------------------------------------------------

STEPS, BATCH, RATE = 20, 12, 3e-3


def rate(step):
    """Linear warm-up over 3 %, cosine to a tenth, as sft has it."""
    warm = 0.03 * STEPS
    return RATE * step / warm if step < warm else \
        0.1 * RATE + 0.9 * RATE * 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm)))


def examples(t, talks):
    """Ids, and the weight of each as a target: 1 of what an assistant says, with the mark that ends it."""
    for talk_ in talks:
        ids, weight = [], []
        for i, turn in enumerate(talk_["messages"]):
            so_far = t.apply_chat_template(talk_["messages"][:i + 1], tokenize=True, return_dict=False)
            if turn["role"] == "assistant":
                start = len(t.apply_chat_template(talk_["messages"][:i], tokenize=True, add_generation_prompt=True,
                                                  return_dict=False))
                weight += [0.0] * (start - len(weight)) + [1.0] * (len(so_far) - 1 - start) + [0.0]
            else:
                weight += [0.0] * (len(so_far) - len(weight))
            ids = so_far
        yield torch.tensor([ids[:SEQ]]), torch.tensor(weight[:SEQ])


def tune(y, tokenizer_folder):
    talks = conversations(BATCH)
    data = write_lines(y.place("tune.jsonl"), talks)
    t = AutoTokenizer.from_pretrained(tokenizer_folder)
    for name in ("Llama", "Qwen2", "Qwen3", "GPT-2"):
        hf, run = y.place(f"{name}-f32"), y.place(f"tune-{name}")
        y.run("import", hf, run)
        y.run("run", os.path.join(run, "recipe.yaml"), *(x for s in (
            "stages=[sft]", f"sft.data={data}", f"sft.steps={STEPS}", f"sft.batch={BATCH}", f"sft.lr={RATE}") for x in ("--set", s)))
        rows = [json.loads(line) for line in open(os.path.join(run, "sft/metrics.jsonl"))]
        ours = [r["loss"] for r in rows if r["type"] == "step"]
        model = load(hf)
        decayed = [p for n, p in model.named_parameters() if p.dim() == 2 and not any(x in n for x in ("embed", "lm_head", "wte", "wpe"))]
        chosen = {id(p) for p in decayed}
        others = [p for p in model.parameters() if id(p) not in chosen]
        optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                      betas=(0.9, 0.95), eps=1e-8)
        theirs, batch = [], list(examples(t, talks))
        total = sum(w[1:].sum() for _, w in batch)
        for step in range(1, STEPS + 1):
            optimiser.zero_grad()
            loss = sum((torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none") * w[1:]).sum()
                       for ids, w in batch) / total
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = rate(step)
            optimiser.step()
            theirs.append(loss.item())
        worst = max(abs(a - b) for a, b in zip(ours, theirs))
        verdict(f"fine-tuning {name}", len(ours) == STEPS and worst < LOSS_TOLERANCE,
                f"{STEPS} losses differ by {worst:.1e} at most, {theirs[0]:.4f} to {theirs[-1]:.4f}")


# --- what tests/exchange/test_exchange.c is held by ------------------------------------------------------

FEW, PROBES = 12, 6
TINY = dict(vocab_size=330, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=False)
KEPT = {
    "llama": lambda: transformers.LlamaConfig(**TINY),
    "llama3": lambda: transformers.LlamaConfig(**{**TINY, "tie_word_embeddings": True}, head_dim=32, rope_parameters=dict(
        rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)),
    "qwen2": lambda: transformers.Qwen2Config(**TINY),
    "qwen3": lambda: transformers.Qwen3Config(**TINY, head_dim=16),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=330, n_embd=32, n_layer=2, n_head=2, n_positions=64),
}


def stream_of(name):
    """FNV-1a."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    return h


def print_values():
    from reference import numbers
    print("/* Made by tests/peers/exchange_transformers.py --values with transformers", transformers.__version__, "in fp32. */")
    for name, config in KEPT.items():
        model = AutoModelForCausalLM.from_config(config(), attn_implementation="eager").float().eval()
        tied, tensors = model.config.tie_word_embeddings, []
        with torch.no_grad():
            for n, p in model.named_parameters():
                u = numbers(stream_of(n), p.numel()).reshape(p.shape)
                p.copy_(u * 0.6 if p.dim() == 2 else u * 0.4 + (1.0 if n.endswith("weight") else 0.0))
                if not (tied and n == "lm_head.weight"):
                    tensors.append((n, p.shape))
            ids = [int((x + 0.5) * 320) for x in numbers(1, FEW)]
            logits = model(torch.tensor([ids])).logits[0]
        model.config.architectures = [type(model).__name__]
        text = json.dumps(json.loads(model.config.to_json_string(use_diff=True)))
        print(f"static const char {name}_config[] =")
        print("\n".join("    " + json.dumps(text[i:i + 100]) for i in range(0, len(text), 100)) + ";")
        print(f"static const yk_safe_item {name}_tensors[] = {{")
        for n, shape in tensors:
            print(f'    {{"{n}", {len(shape)}, {{{", ".join(str(x) for x in shape)}}}}},')
        print(f"}};\nstatic const float {name}_logits[FEW][PROBES] = {{")
        print(",\n".join("    {" + ", ".join(f"{x:.9g}f" if x % 1 else f"{x:.1f}f" for x in row[:PROBES].tolist()) + "}" for row in logits) + "};")


def main():
    o = argparse.ArgumentParser()
    o.add_argument("--build", default="build")
    o.add_argument("--only", default="out,in,talk,tune", help="some of out, in, talk, tune (in before tune)")
    o.add_argument("--keep", help="a folder for all that is made, instead of a temporary one")
    o.add_argument("--json", metavar="FILE", help="write the verdicts there too")
    o.add_argument("--values", action="store_true", help="print tests/exchange/hf_values.h")
    o = o.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if o.values:
        return print_values()
    only = o.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        y = Peer(o.build, o.keep or folder)
        os.makedirs(y.folder, exist_ok=True)
        run = train(y, "first", ["qk_norm=false"])
        y.run("export", run, y.place("first-hf"))
        sft = train(y, "first-sft", ["qk_norm=false"], "clean, tokenizer, pretrain, sft",
                    ["sft.data=" + write_lines(y.place("first.jsonl"), conversations(4)), "sft.steps=1", "sft.batch=4"])
        y.run("export", sft, y.place("first-sft-hf"))
        if "out" in only:
            go_out(y)
        if "in" in only:
            go_in(y, os.path.join(run, "tokenizer/tokenizer.json"))
        if "talk" in only:
            talk(y)
        if "tune" in only:
            tune(y, y.place("first-sft-hf"))
    failed = sum(not x["ok"] for x in results)
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__,
                "tokenizers": tokenizers.__version__}
    print(versions, f"{failed} of {len(results)} failed" if failed else f"all {len(results)} passed")
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"versions": versions, "verdicts": results}, f, indent=1)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
