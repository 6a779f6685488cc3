"""Hugging Face's `tokenizers` (PyPI) reads a tokenizer.json that Yoke wrote, and gives the same ids for the same text.

    python3 tests/peers/tokenizers_compare.py runs/quickstart [build/yoke]

Every held-out document of the run is encoded by both; prints the number of documents, tokens and differences.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import tokenizers

run = sys.argv[1]
yoke = sys.argv[2] if len(sys.argv) > 2 else "build/yoke"
path = os.path.join(run, "tokenizer", "tokenizer.json")
peer = tokenizers.Tokenizer.from_file(path)
documents = tokens = different = 0
for shard in sorted(glob.glob(os.path.join(run, "clean", "*.heldout.jsonl.zst"))):
    lines = subprocess.run(["zstd", "-dc", shard], check=True, capture_output=True).stdout.splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, text in enumerate(texts):
            files.append(os.path.join(folder, f"{i:06d}"))
            with open(files[-1], "w", encoding="utf-8", newline="") as f:
                f.write(text)
        out = subprocess.run([yoke, "tokenizer", "encode", "--tokenizer", path, *files], check=True, capture_output=True)
    ours = [[int(x) for x in line.split()] for line in out.stdout.decode().splitlines()]
    assert len(ours) == len(texts), (len(ours), len(texts))
    for text, ids in zip(texts, ours):
        documents += 1
        tokens += len(ids)
        theirs = peer.encode(text, add_special_tokens=False).ids
        if theirs != ids:
            different += 1
            at = next((i for i, (a, b) in enumerate(zip(theirs, ids)) if a != b), min(len(theirs), len(ids)))
            print(f"{shard}: document {documents} differs at token {at}: {theirs[at:at+5]} and {ids[at:at+5]}")
print(f"tokenizers {tokenizers.__version__}: {documents} documents, {tokens} tokens, {different} documents differ")
sys.exit(different > 0)
