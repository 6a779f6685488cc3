#!/usr/bin/env python3
"""Yoke's decoder, written down once more in PyTorch, in double precision.

Prints tests/model/reference_values.h: for some shapes the loss of a packed batch, and of the gradient of every
parameter its norm and its products with fixed vectors; and the losses of 20 steps of AdamW. Weights, tokens and
vectors are made from integers by `numbers`, which tests/model/test_reference.c computes too.

    python3 tests/peers/reference.py >tests/model/reference_values.h     (needs torch; see README.md here)
"""
import math
import torch

torch.set_default_dtype(torch.float64)
VOCAB, PROBES, STEPS = 61, 3, 20
# first row, rows, causal; the masked document sees both ways
SEGMENTS = [(0, 14, True), (14, 6, True), (20, 12, False)]
ROWS = 32
CASES = {
    "dense_tied": dict(width=32, layers=2, heads=2, kv_heads=2, head_size=16, ffn=48, qk_norm=False, tied=True),
    "grouped_free": dict(width=48, layers=2, heads=4, kv_heads=2, head_size=16, ffn=96, qk_norm=False, tied=False),
    "qk_norm_tied": dict(width=32, layers=1, heads=4, kv_heads=1, head_size=32, ffn=64, qk_norm=True, tied=True),
    "gpt2": dict(width=32, layers=2, heads=2, kv_heads=2, head_size=16, ffn=128, qk_norm=False, tied=True, gpt2=True),
    "deep_free": dict(width=16, layers=4, heads=2, kv_heads=1, head_size=16, ffn=32, qk_norm=True, tied=False),
    "qkv_bias": dict(width=32, layers=2, heads=2, kv_heads=1, head_size=16, ffn=48, qk_norm=False, tied=True, qkv_bias=True,
                     rope_factor=8, rope_original=48),
    "window": dict(width=32, layers=2, heads=4, kv_heads=2, head_size=16, ffn=48, qk_norm=True, tied=True, window=4,
                   full_every=2),
    "global_tokens": dict(width=32, layers=2, heads=2, kv_heads=1, head_size=16, ffn=48, qk_norm=False, tied=False,
                          window=3, global_tokens=2),
}
THETA, EPS, Z = 10000.0, 1e-5, 1e-4


def numbers(stream, count):
    """count fp32 numbers in [-0.5, 0.5) from 32-bit integer arithmetic."""
    out = []
    for i in range(count):
        x = (i * 2654435761 + stream * 974711 + 12345) & 0xFFFFFFFF
        x ^= x >> 16
        x = (x * 2246822519) & 0xFFFFFFFF
        x ^= x >> 13
        x = (x * 3266489917) & 0xFFFFFFFF
        x ^= x >> 16
        out.append((x >> 8) / 2.0**24 - 0.5)
    return torch.tensor(out)


def parameters(c):
    """Names and shapes in the order in which the model declares them."""
    q, kv = c["heads"] * c["head_size"], c["kv_heads"] * c["head_size"]
    gpt2 = c.get("gpt2", False)  # LayerNorm, learned positions, GELU and biases
    up, inner = ("mlp.up_proj", c["ffn"]) if gpt2 else ("mlp.gate_up_proj", 2 * c["ffn"])
    bias = lambda name, size: [(name + ".bias", (size,))] if gpt2 else []
    yield "model.embed_tokens.weight", (VOCAB, c["width"])
    if gpt2:
        yield "model.embed_positions.weight", (ROWS, c["width"])
    for l in range(c["layers"]):
        p = f"model.layers.{l}."
        yield p + "input_layernorm.weight", (c["width"],)
        yield from bias(p + "input_layernorm", c["width"])
        yield p + "self_attn.qkv_proj.weight", (q + 2 * kv, c["width"])
        if gpt2 or c.get("qkv_bias"):
            yield p + "self_attn.qkv_proj.bias", (q + 2 * kv,)
        if c["qk_norm"]:
            yield p + "self_attn.q_norm.weight", (c["head_size"],)
            yield p + "self_attn.k_norm.weight", (c["head_size"],)
        yield p + "self_attn.o_proj.weight", (c["width"], q)
        yield from bias(p + "self_attn.o_proj", c["width"])
        yield p + "post_attention_layernorm.weight", (c["width"],)
        yield from bias(p + "post_attention_layernorm", c["width"])
        yield p + up + ".weight", (inner, c["width"])
        yield from bias(p + up, inner)
        yield p + "mlp.down_proj.weight", (c["width"], c["ffn"])
        yield from bias(p + "mlp.down_proj", c["width"])
    yield "model.norm.weight", (c["width"],)
    yield from bias("model.norm", c["width"])
    if not c["tied"]:
        yield "lm_head.weight", (VOCAB, c["width"])


def make_weights(c):
    w = {}
    for i, (name, shape) in enumerate(parameters(c)):
        x = numbers(100 + i, math.prod(shape)).reshape(shape)
        w[name] = (x * 0.4 + 1.0 if len(shape) == 1 else x * 0.6).to(torch.float32).double().requires_grad_()
    return w


def rmsnorm(x, weight):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS) * weight


def norm(c, w, name, x):
    if c.get("gpt2"):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], EPS)
    return rmsnorm(x, w[name + ".weight"])


def linear(w, name, x):
    return torch.nn.functional.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def mlp(c, w, p, n):
    if c.get("gpt2"):
        u = linear(w, p + "mlp.up_proj", n)
        active = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
    else:
        gate, up = linear(w, p + "mlp.gate_up_proj", n).chunk(2, -1)
        active = torch.nn.functional.silu(gate) * up
    return linear(w, p + "mlp.down_proj", active)


def turns(c, half):
    """Radians a position; with a factor as Llama 3 has it, between 1 and 4 turns in the original context."""
    turn = THETA ** (-torch.arange(half).double() / half)
    kept = ((c.get("rope_original", 1) * turn / (2 * math.pi) - 1) / 3).clamp(0, 1)
    return kept * turn + (1 - kept) * turn / c.get("rope_factor", 1)


def rope(c, x, position):
    """x [rows, heads, size]; half-split pairs."""
    half = x.shape[-1] // 2
    angle = position[:, None].double() * turns(c, half)
    cos, sin = torch.cos(angle)[:, None, :], torch.sin(angle)[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def visible(c, layer):
    m = torch.zeros(ROWS, ROWS, dtype=torch.bool)
    full = "window" not in c or (layer + 1) % c.get("full_every", layer + 2) == 0
    for first, n, causal in SEGMENTS:
        block = torch.ones(n, n, dtype=torch.bool)
        if not full:
            t, s = torch.arange(n)[:, None], torch.arange(n)[None, :]
            block = ((t - s).abs() < c["window"]) | (torch.minimum(t, s) < c.get("global_tokens", 0))
        m[first:first + n, first:first + n] = torch.tril(block) if causal else block
    return m


def final_rows(c, w, token, position):
    """The rows that the output projection gets."""
    H, K, D = c["heads"], c["kv_heads"], c["head_size"]
    x = w["model.embed_tokens.weight"][token]
    if c.get("gpt2"):
        x = x + w["model.embed_positions.weight"][position]
    for l in range(c["layers"]):
        p = f"model.layers.{l}."
        n = norm(c, w, p + "input_layernorm", x)
        q, k, v = linear(w, p + "self_attn.qkv_proj", n).split([H * D, K * D, K * D], -1)
        q, k, v = q.reshape(ROWS, H, D), k.reshape(ROWS, K, D), v.reshape(ROWS, K, D)
        if c["qk_norm"]:
            q, k = rmsnorm(q, w[p + "self_attn.q_norm.weight"]), rmsnorm(k, w[p + "self_attn.k_norm.weight"])
        if not c.get("gpt2"):
            q, k = rope(c, q, position), rope(c, k, position)
        k, v = k.repeat_interleave(H // K, 1), v.repeat_interleave(H // K, 1)
        score = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(D)
        mixed = torch.einsum("hij,jhd->ihd", score.masked_fill(~visible(c, l), -math.inf).softmax(-1), v)
        x = x + linear(w, p + "self_attn.o_proj", mixed.reshape(ROWS, H * D))
        x = x + mlp(c, w, p, norm(c, w, p + "post_attention_layernorm", x))
    return norm(c, w, "model.norm", x)


def losses(c, w, token, target, weight, position):
    table = w["model.embed_tokens.weight"] if c["tied"] else w["lm_head.weight"]
    logits = final_rows(c, w, token, position) @ table.T
    lse = logits.logsumexp(-1)
    cross = weight * (lse - logits[torch.arange(ROWS), target])
    return cross, cross + weight * Z * lse * lse


def batch():
    position = torch.tensor([i for _, n, _ in SEGMENTS for i in range(n)])
    token = ((numbers(1, ROWS) + 0.5) * VOCAB).long()
    target = ((numbers(2, ROWS) + 0.5) * VOCAB).long()
    weight = torch.tensor([0.0 if i % 5 == 4 else 1.0 for i in range(ROWS)])
    return token, target, weight, position


def learning_rate(step):
    """Linear warm-up over a tenth, cosine to a tenth of the peak, as conf/ has it."""
    peak, warm = 5e-3, 0.1 * STEPS
    if step < warm:
        return peak * step / warm
    return 0.1 * peak + 0.9 * peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm)))


def train(c, b):
    w = make_weights(c)
    decayed = [p for n, p in w.items() if p.dim() == 2 and "embed" not in n and "lm_head" not in n]
    others = [p for n, p in w.items() if not (p.dim() == 2 and "embed" not in n and "lm_head" not in n)]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  betas=(0.9, 0.95), eps=1e-8)
    out = []
    for step in range(1, STEPS + 1):
        cross, full = losses(c, w, *b)
        out.append((cross.sum() / b[2].sum()).item())
        optimiser.zero_grad()
        (full.sum() / b[2].sum()).backward()
        torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step)
        optimiser.step()
    return out


def print_gradients(name, w):
    print(f"static const double {name}_gradients[][1 + PROBES] = {{ /* norm, products with the probes */")
    for i, (n, p) in enumerate(w.items()):
        g = p.grad.reshape(-1)
        row = [g.norm().item()] + [(g @ numbers(1000 + 10 * i + k, len(g))).item() for k in range(PROBES)]
        print("    {" + ", ".join(f"{x:.17g}" for x in row) + f"}}, /* {n} */")
    print("};")


def main():
    b = batch()
    print("/* Made by tests/peers/reference.py with PyTorch", torch.__version__, "in double precision. */")
    for name, c in CASES.items():
        w = make_weights(c)
        cross, full = losses(c, w, *b)
        full.sum().backward()
        print(f"static const double {name}_loss = {cross.sum().item():.17g};")
        print_gradients(name, w)
        print(f"static const double {name}_training[STEPS] = {{")
        print("    " + ",\n    ".join(f"{x:.17g}" for x in train(c, b)) + "};")


if __name__ == "__main__":
    main()
