#!/bin/sh
# What bad input gets: one message that names the place and the remedy, and the documented exit code.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke tiny=$top_srcdir/conf/tiny.yaml
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
expect() { # name, exit code, fragment of the message, command...
    name=$1 code=$2 fragment=$3
    shift 3
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    if [ $got = "$code" ] && grep -qF -- "$fragment" "$dir/err"; then
        passed=$((passed + 1)) && echo "ok: $name"
    else
        failed=$((failed + 1)) && echo "FAILED: $name: exit $got, wanted $code and \`$fragment\`:" && cat "$dir/err"
    fi
}
recipe() { cat >"$dir/r.yaml"; }
run() { "$yoke" run "$dir/r.yaml" --run-dir "$dir/run" "$@"; }

printf 'pretrain:\n  stpes: 3\n' | recipe
expect "unknown key" 3 'r.yaml:2:3: unknown key `pretrain.stpes`; did you mean `pretrain.steps`?' run
printf 'seed: 1\nseed: 2\n' | recipe
expect "duplicate key" 3 'r.yaml:2:1: `seed` is given twice' run
printf 'seed: many\n' | recipe
expect "wrong type" 3 'r.yaml:1:7: `seed`: expected an integer' run
printf 'pretrain:\n  beta1: 2\n' | recipe
expect "out of range" 3 'out of range; it may be from 0' run
printf 'seed: [1\n' | recipe
expect "not YAML" 3 'r.yaml:2:1: not valid YAML' run
expect "no recipe" 3 'nowhere.yaml' "$yoke" run "$dir/nowhere.yaml"
expect "unknown set" 2 'no such instruction set' env YOKE_ISA=avx1024 "$yoke" run "$tiny" --run-dir "$dir/run"
case $(uname -m) in x86_64) foreign=neon ;; *) foreign=avx2 ;; esac
expect "a set of another processor" 2 "YOKE_ISA=$foreign: no such instruction set in this build; there are portable" \
    env YOKE_ISA=$foreign "$yoke" run "$tiny" --run-dir "$dir/run"
printf 'precision: fp8\n' | recipe
expect "unknown precision" 3 'r.yaml:1:12: `precision`: expected one of fp32, bf16, fp16, found `fp8`' run
printf 'numerics: fest\n' | recipe
expect "unknown profile" 3 '`numerics`: expected one of exact, fast, found `fest`' run
expect "unknown command" 2 'unknown command' "$yoke" frobnicate
printf 'corpus:\n  - domain: a\n    paths: %s/missing\n' "$dir" | recipe
expect "missing path" 4 'missing: no such file or folder' run
mkdir "$dir/empty"
printf 'corpus:\n  - domain: a\n    paths: %s/empty\n' "$dir" | recipe
expect "empty corpus" 4 'domain `a`: 0 documents were read and none left' run
mkdir "$dir/cut"
head -c 20000 /dev/urandom | od | gzip >"$dir/whole.gz" && head -c 9000 "$dir/whole.gz" >"$dir/cut/text.txt.gz"
printf 'corpus:\n  - domain: a\n    paths: %s/cut\n' "$dir" | recipe
expect "truncated gzip" 4 'truncated gzip data' run
mkdir "$dir/lines"
printf '{"text": "one"}\n{"text": "two"\n' >"$dir/lines/a.jsonl"
printf 'corpus:\n  - domain: a\n    paths: %s/lines\n' "$dir" | recipe
expect "malformed JSON line" 4 'malformed 1' run

"$yoke" run "$tiny" --run-dir "$dir/good" >/dev/null 2>&1
expect "another shape" 9 'choose another --run-dir' "$yoke" run "$tiny" --run-dir "$dir/good" --set model.width=48
huge() { "$yoke" run "$tiny" --run-dir "$dir/huge" --set model.head_size=64 --set model.heads=1024 --set model.layers=1024 "$@"; }
expect "a model for no machine" 8 'the model is too large for this machine' huge --set model.width=16384 --set model.ffn=262144
limited() { (ulimit -v 2000000 && "$yoke" run "$tiny" --run-dir "$dir/limited" --set threads=2 "$@"); }
if (ulimit -v 2000000 && "$yoke" --version) >/dev/null 2>&1; then # not with the address sanitizer
    expect "ulimit -v: within" 0 'evaluate   done' limited
    expect "ulimit -v: beyond" 8 '(limit of the address space, ulimit -v)' \
        limited --run-dir "$dir/long" --set pretrain.seq=4096 --set pretrain.batch=256 --set pretrain.micro_batch=256
fi
step=$(ls "$dir"/good/checkpoints/step-*.h5 | tail -n 1)
cp "$step" "$dir/cut.h5" && truncate -s -100 "$dir/cut.h5"
expect "truncated checkpoint" 6 'cut.h5' "$yoke" inspect "$dir/cut.h5"
printf 'GGUF\003\000\000\000' >"$dir/cut.gguf"
expect "truncated GGUF" 4 'cut.gguf: its head: the file ends here' "$yoke" inspect "$dir/cut.gguf"
head -c 2000 "$dir/good/tokenizer/tokenizer.json" >"$dir/cut.json"
expect "truncated tokenizer.json" 6 'cut.json' "$yoke" tokenizer encode --tokenizer "$dir/cut.json"
truncate -s -10 "$dir/good/data/stories.train.tok"
expect "truncated shard" 6 'stories.train.tok: truncated' "$yoke" eval "$dir/good"
rm "$dir/good/data/stories.train.tok"
expect "a removed shard is made anew" 0 'evaluate   done' "$yoke" run "$tiny" --run-dir "$dir/good"
sed 's/generate: 300/generate: 301/' "$tiny" >"$dir/other.yaml"
expect "other text under a checkpoint" 9 'choose another --run-dir' "$yoke" run "$dir/other.yaml" --run-dir "$dir/good"
(flock 9 && sleep 3) 9>"$dir/good/lock" &
sleep 0.3
expect "run directory in use" 7 'in use by process' "$yoke" run "$tiny" --run-dir "$dir/good"
wait
echo "$passed passed, $failed failed"
[ $failed = 0 ]
