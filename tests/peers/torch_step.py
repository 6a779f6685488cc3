#!/usr/bin/env python3
"""One training step of the models of `yoke bench step` in PyTorch on the CPU; step_compare.py runs it.

    python3 tests/peers/torch_step.py gpt2-124m --mode bf16-compiled --steps 5

Prints one JSON object with the members of `yoke bench step --json` that are compared, and the losses. A step is
forward, backward, gradient clipping and AdamW. FLOPs a token are 6 for every parameter that multiplies, and
6 x layers x T x width for causal attention.

A mode is a precision and any of the variants behind it, as in bf16-compiled-plain:
    fp32        everything in fp32
    bf16        autocast to bfloat16
    medium      fp32 tensors, products in bf16 inside (set_float32_matmul_precision)
    -compiled   torch.compile;  -autotuned   torch.compile with mode max-autotune
    -plain      attention as two products and a softmax, not the fused operator
"""
import argparse
import json
import math
import resource
import statistics
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

WARM_UP = 2  # as in src/cli/bench_step.c, so that losses after as many updates can be compared
EPS, THETA, STD, UNUSED = 1e-5, 10000.0, 0.02, 100  # UNUSED: the last ids of the vocabulary do not occur


@dataclass(frozen=True)
class Shape:
    vocab: int
    width: int
    layers: int
    heads: int
    ffn: int
    gpt2: bool  # LayerNorm, learned positions, GELU, biases, tied table; else RMSNorm, RoPE, SwiGLU, free table
    batch: int
    seq: int


SHAPES = {
    "gpt2-124m": Shape(50304, 768, 12, 12, 3072, True, 2, 1024),
    "llama-34m": Shape(16384, 512, 8, 8, 1408, False, 8, 512),
}


class RootMeanSquare(nn.Module):
    """RMSNorm, of PyTorch's own operator where the version has it."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, self.weight.shape, self.weight, EPS)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * self.weight


def norm_of(s):
    return nn.LayerNorm(s.width, EPS) if s.gpt2 else RootMeanSquare(s.width)


def attend(q, k, v, later, plain):
    """Causal attention of [B, H, T, D]; versions without the fused operator have it plain."""
    if hasattr(F, "scaled_dot_product_attention") and not plain:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    return scores.masked_fill(later, -math.inf).softmax(-1).to(v.dtype) @ v


def turn(x, cos, sin):
    """RoPE of half-split pairs."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, s, plain):
        super().__init__()
        self.s, self.plain = s, plain
        self.norm_attention, self.norm_mlp = norm_of(s), norm_of(s)
        self.qkv = nn.Linear(s.width, 3 * s.width, bias=s.gpt2)
        self.out = nn.Linear(s.width, s.width, bias=s.gpt2)
        self.up = nn.Linear(s.width, s.ffn if s.gpt2 else 2 * s.ffn, bias=s.gpt2)  # SwiGLU: gate and up at once
        self.down = nn.Linear(s.ffn, s.width, bias=s.gpt2)

    def forward(self, x, cos, sin, later):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(B, T, 3, self.s.heads, -1).permute(2, 0, 3, 1, 4)
        if not self.s.gpt2:
            q, k = turn(q, cos, sin), turn(k, cos, sin)
        x = x + self.out(attend(q, k, v, later, self.plain).transpose(1, 2).reshape(B, T, C))
        u = self.up(self.norm_mlp(x))
        if self.s.gpt2:
            return x + self.down(F.gelu(u, approximate="tanh"))
        gate, up = u.chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self, s, plain):
        super().__init__()
        self.table = nn.Embedding(s.vocab, s.width)
        self.positions = nn.Embedding(s.seq, s.width) if s.gpt2 else None
        self.layers = nn.ModuleList(Layer(s, plain) for _ in range(s.layers))
        self.norm = norm_of(s)
        self.head = nn.Linear(s.width, s.vocab, bias=False)
        if s.gpt2:
            self.head.weight = self.table.weight
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=STD)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        for layer in self.layers:  # as Yoke begins, biases too, so that the losses are comparable
            for linear in (layer.out, layer.down):
                linear.weight.data /= math.sqrt(2 * s.layers)
        half = s.width // s.heads // 2
        angle = torch.arange(s.seq)[:, None] * THETA ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.register_buffer("later", torch.ones(s.seq, s.seq, dtype=torch.bool).triu(1), persistent=False)

    def multiplying(self):
        """Parameters that take part in products: not those that are only looked up."""
        looked_up = self.table.weight.numel() if self.positions is None else self.positions.weight.numel()
        return sum(p.numel() for p in self.parameters()) - looked_up

    def forward(self, token, target):
        x = self.table(token)
        if self.positions is not None:
            x = x + self.positions.weight
        for layer in self.layers:
            x = layer(x, self.cos, self.sin, self.later)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), target.flatten())


def measure(s, mode, steps):
    """Seconds of `steps` steps of updates, and the losses of all, warm-up among them."""
    precision, *variants = mode.split("-")
    torch.manual_seed(1)
    if precision == "medium":
        torch.set_float32_matmul_precision("medium")
    model = run = Decoder(s, "plain" in variants)
    fused = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)  # one pass for AdamW, on the CPU too
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1,
                                  **{"fused": True} if fused else {})
    if "compiled" in variants or "autotuned" in variants:
        run = torch.compile(model, mode="max-autotune" if "autotuned" in variants else None)
    token, target = torch.randint(s.vocab - UNUSED, (2, s.batch, s.seq))
    seconds, losses = [], []
    for _ in range(WARM_UP + steps):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(token, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - began)
        losses.append(loss.item())
    return model, seconds[WARM_UP:], losses


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=SHAPES)
    p.add_argument("--mode", default="bf16")
    p.add_argument("--steps", type=int, default=5)
    a = p.parse_args()
    s = SHAPES[a.model]
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model, seconds, losses = measure(s, a.mode, a.steps)
    tokens, median = s.batch * s.seq, statistics.median(seconds)
    flops = 6 * model.multiplying() + 6 * s.layers * s.seq * s.width
    print(json.dumps({
        "version": torch.__version__, "threads": torch.get_num_threads(),
        "parameters": sum(q.numel() for q in model.parameters()),
        "seconds": median, "seconds_min": min(seconds), "seconds_max": max(seconds), "tokens_per_s": tokens / median,
        "gflops": flops * tokens / median / 1e9, "import_memory_mib": imported // 1024,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "loss_first": losses[0], "loss": losses[-1]}))


if __name__ == "__main__":
    main()
