#!/bin/sh
# Precisions and profiles in whole runs: the loss scale of fp16, what bf16 flushes, the profile `fast`.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
short='--set pretrain.steps=30 --set evaluate.compressors=false'
go_on() { "$yoke" run "$recipe" --run-dir "$dir/run" $short "$@" 2>"$dir/log" | tail -n 1; }
cut() { # step, options: kill -9 at about that step
    wanted=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" $short --set pretrain.checkpoint_every=1 "$@" >/dev/null 2>&1 &
    while kill -0 $! && ! [ "$(wc -l <"$dir/run/metrics.jsonl")" -gt "$wanted" ]; do sleep 0.01; done 2>/dev/null
    kill -9 $! 2>/dev/null
    wait
}
fresh() { rm -rf "$dir/run" && go_on "$@"; }
some() { [ "$1" -gt 0 ] && echo some || echo none; }
rows() { grep -c "$1" "$dir/run/metrics.jsonl"; }

# A loss scale that grows every fourth step overflows now and then.
fp16() { fresh --set precision=fp16 --set pretrain.loss_scale_every=4 "$@"; }
first=$(fp16 --set threads=1)
verdict "fp16: steps overflow and are skipped" some "$(some "$(rows '"skipped": *true')")"
verdict "fp16: the scale is halved" some "$(some "$(grep -c 'a gradient overflowed; the loss scale is now' "$dir/log")")"
verdict "fp16: each step has its scale" 30 "$(rows '"loss_scale": *[0-9]')"
skips=$(rows '"skipped": *true')
verdict "fp16: the summary counts them" "$skips" "$(sed -n 's/.*"skipped_steps": \([0-9]*\).*/\1/p' "$dir/run/summary.json")"
verdict "fp16: 3 threads, half the micro-batch" "$first" "$(fp16 --set threads=3 --set pretrain.micro_batch=2)"
rm -rf "$dir/run"
for step in 2 9 16; do cut $step --set precision=fp16 --set pretrain.loss_scale_every=4; done
verdict "fp16: after kill -9" "$first" "$(go_on --set precision=fp16 --set pretrain.loss_scale_every=4)"
verdict "fp16: each skipped step is there once" "$skips" "$(rows '"skipped": *true')"
fp16 --set pretrain.lr=10 --set pretrain.clip=0 >/dev/null
verdict "fp16: a loss that is not finite is no scale's fault" 1 "$(grep -c '20 steps in a row went wrong' "$dir/log")"
fresh --set precision=bf16 --set pretrain.steps=21 >/dev/null
verdict "bf16: each evaluation tells what is flushed" 3 "$(rows '"flushed": *{"weights": *0.0*, *"gradients": *[n0]')"
plain=$(fresh)
verdict "fp32 has no scale" 0 "$(rows loss_scale)"
verdict "a power of two as scale changes no bit of fp32" "$plain" "$(fresh --set pretrain.loss_scale=64)"

# The portable kernels leave the products to OpenBLAS, which repeats itself on one machine.
export YOKE_ISA=portable
fast() { fresh --set numerics=fast --set threads=1 "$@"; }
lines_of() { grep -c "$1" "$dir/log"; }
first=$(fast)
verdict "fast: the banner names the profile" 1 "$(lines_of 'portable, fp32, numerics fast (fast), threads 1')"
verdict "fast: and who multiplies" 1 "$(lines_of 'products by OpenBLAS')"
verdict "fast: the digest is not to be compared" 1 "$(lines_of 'can be compared with no other')"
verdict "fast: summary and manifest tell" 2 "$(cat "$dir/run/summary.json" "$dir/run/manifest.json" | grep -c '"numerics": "fast"')"
verdict "fast: the bits are others" no "$([ "$first" = "$plain" ] && echo yes || echo no)"
verdict "fast: a second run" "$first" "$(fast)"
rm -rf "$dir/run"
for step in 2 5; do cut $step --set numerics=fast --set threads=1; done
verdict "fast: after kill -9, whatever is quicker now" "$first" "$(YOKE_ISA='' go_on --set numerics=fast --set threads=1)"
go_on --set threads=1 >/dev/null
verdict "fast: no run changes its profile" 1 "$(lines_of 'numerics = fast.*choose another --run-dir')"
unset YOKE_ISA
verdict "fast: bf16 keeps the contract's bits" "$(fresh --set precision=bf16 --set pretrain.steps=5)" \
    "$(fast --set precision=bf16 --set pretrain.steps=5)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
