#!/bin/sh
# Precisions and profiles in whole runs: the loss scale of fp16, what bf16 flushes, the profile `fast`.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/tiny.yaml
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, wanted, found
    if [ -n "$2" ] && [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1: $3, wanted $2"; fi
}
go_on() { "$yoke" run "$recipe" --run-dir "$dir/run" "$@" 2>"$dir/log" | tail -n 1; }
fresh() { rm -rf "$dir/run" && go_on "$@"; }
some() { [ "$1" -gt 0 ] && echo some || echo none; }
rows() { grep -c "$1" "$dir/run/metrics.jsonl"; }

# A loss scale that grows every fourth step overflows now and then.
fp16() { fresh --set precision=fp16 --set pretrain.loss_scale_every=4 "$@"; }
first=$(fp16 --set threads=1)
verdict "fp16: steps overflow and are skipped" some "$(some "$(rows '"skipped": *true')")"
verdict "fp16: the scale is halved" some "$(some "$(grep -c 'a gradient overflowed; the loss scale is now' "$dir/log")")"
verdict "fp16: each step has its scale" 60 "$(rows '"loss_scale": *[0-9]')"
skips=$(rows '"skipped": *true')
verdict "fp16: the summary counts them" "$skips" "$(sed -n 's/.*"skipped_steps": \([0-9]*\).*/\1/p' "$dir/run/summary.json")"
verdict "fp16: 3 threads, half the micro-batch" "$first" "$(fp16 --set threads=3 --set pretrain.micro_batch=2)"
verdict "fp16: portable" "$first" "$(YOKE_ISA=portable fp16)"
rm -rf "$dir/run"
for moment in 0.1 0.15 0.2 0.25 0.3; do
    timeout -s KILL $moment "$yoke" run "$recipe" --run-dir "$dir/run" --set precision=fp16 \
        --set pretrain.loss_scale_every=4 --set pretrain.checkpoint_every=1 >/dev/null 2>&1
done
verdict "fp16: after kill -9" "$first" "$(go_on --set precision=fp16 --set pretrain.loss_scale_every=4)"
verdict "fp16: each skipped step is there once" "$skips" "$(rows '"skipped": *true')"
plain=$(fresh)
verdict "fp32 has no scale" 0 "$(rows loss_scale)"
verdict "a power of two as scale changes no bit of fp32" "$plain" "$(fresh --set pretrain.loss_scale=64)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
