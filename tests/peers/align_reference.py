#!/usr/bin/env python3
"""The losses of alignment in PyTorch, in double precision, on one of the models of reference.py.

Prints tests/align/reference_values.h: of each loss its value, and of the gradient of every parameter its norm and its
products with fixed vectors. tests/align/test_align_reference.c computes the same. What came before (old and reference
log-probabilities, old values, targets) lies at fixed distances from what the model says now.

    python3 tests/peers/align_reference.py >tests/align/reference_values.h     (needs torch; see README.md here)
"""
import torch
import torch.nn.functional as F

from reference import CASES, ROWS, SEGMENTS, VOCAB, batch, final_rows, losses, make_weights, numbers, print_gradients

MODEL = CASES["qk_norm_tied"]


def bradley_terry(logp, score, counts):
    return -F.logsigmoid(score[13] - score[19] - 0.25)


def ppo_policy(logp, score, counts):
    return clipped(logp, 0.2, 0.2)[counts].sum()


def ppo_value(logp, score, counts):
    now = score.detach()
    old, target = now + numbers(6, ROWS), now + 3 * numbers(7, ROWS)
    within = torch.minimum(torch.maximum(score, old - 0.2), old + 0.2)
    return (torch.maximum((score - target) ** 2, (within - target) ** 2) / 2).sum()


def grpo_sequence(logp, score, counts):
    rows = grpo(logp)
    return sum(rows[first:first + n][counts[first:first + n]].mean() for first, n, _ in SEGMENTS)


def grpo_token(logp, score, counts):
    return grpo(logp)[counts].sum()


def dpo(logp, score, counts):
    moved = torch.where(counts, logp - (logp.detach() + 0.8 * numbers(4, ROWS)), torch.zeros(ROWS))
    (a, n, _), (b, m, _), _ = SEGMENTS
    return -F.logsigmoid(0.3 * (moved[a:a + n].sum() - moved[b:b + m].sum()))


def sft(logp, score, counts):
    return -logp[counts].sum()


def distillation(logits, target, counts):
    teacher, tau, mix = 6 * numbers(8, ROWS * VOCAB).reshape(ROWS, VOCAB), 2.0, 0.6
    hard = F.cross_entropy(logits, target, reduction="none")
    soft = F.kl_div(F.log_softmax(logits / tau, -1), F.softmax(teacher / tau, -1), reduction="none").sum(-1)
    return ((1 - mix) * hard + mix * tau * tau * soft)[counts].sum()


def clipped(logp, low, high):
    ratio = torch.exp(logp - (logp.detach() + 0.6 * numbers(3, ROWS)))
    advantage = 4 * numbers(5, ROWS)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def grpo(logp):
    x = logp.detach() + 0.8 * numbers(4, ROWS) - logp
    return clipped(logp, 0.2, 0.28) + 0.05 * (torch.exp(x) - x - 1)


def main():
    token, target, weight, position = batch()
    counts = weight > 0
    print("/* Made by tests/peers/align_reference.py with PyTorch", torch.__version__, "in double precision. */")
    for loss in (sft, bradley_terry, ppo_policy, ppo_value, grpo_sequence, grpo_token, dpo, distillation):
        w = make_weights(MODEL)
        head = numbers(100 + len(w), MODEL["width"]).reshape(1, -1) * 0.6
        w["score.weight"] = head.to(torch.float32).double().requires_grad_()
        logp = -losses(MODEL, w, token, target, torch.ones(ROWS), position)[0]
        rows = final_rows(MODEL, w, token, position)
        if loss is distillation:
            value = loss(rows @ w["model.embed_tokens.weight"].T, target, counts)
        else:
            value = loss(logp, rows @ w["score.weight"][0], counts)
        value.backward()
        for p in w.values():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        print(f"static const double {loss.__name__}_loss = {value.item():.17g};")
        print_gradients(loss.__name__, w)


main()
