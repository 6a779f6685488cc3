#!/bin/sh
# One digest of conf/tiny.yaml whatever computes it, and after kills.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/tiny.yaml
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, wanted, found
    if [ -n "$2" ] && [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1: $3, wanted $2"; fi
}
digest() { # environment and options of a fresh run
    rm -rf "$dir/run"
    "$@" --run-dir "$dir/run" 2>"$dir/log" | tail -n 1
}

first=$(digest "$yoke" run "$recipe" --set threads=1)
case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
for threads in 2 3 5; do
    verdict "$threads threads" "$first" "$(digest "$yoke" run "$recipe" --set threads=$threads)"
done
# The sets that this machine runs, against the digest of the first.
each_set() { # name, options
    name=$1 wanted=
    shift
    for isa in portable avx2 avx512 avx512bf16 neon; do
        found=$(YOKE_ISA=$isa digest "$yoke" run "$recipe" "$@")
        grep -q 'this processor lacks it\|no such instruction set' "$dir/log" && continue
        verdict "$name, YOKE_ISA=$isa" "${wanted:=$found}" "$found"
    done
}
each_set fp32
verdict "and that is the digest of the threads" "$first" "$wanted"
each_set bf16 --set precision=bf16 --set pretrain.steps=10
each_set fp16 --set precision=fp16 --set pretrain.steps=10 --set pretrain.loss_scale_every=2
verdict "half the micro-batch" "$first" "$(digest "$yoke" run "$recipe" --set pretrain.micro_batch=2)"
verdict "recompute: block" "$first" "$(digest "$yoke" run "$recipe" --set recompute=block)"
verdict "a second time" "$first" "$("$yoke" run "$recipe" --run-dir "$dir/run" 2>"$dir/log" | tail -n 1)"
verdict "says that all is done" 1 "$(grep -c 'all stages are done' "$dir/log")"

# kill -9 at moments spread over the run, going on each time
rm -rf "$dir/run"
for moment in 0.05 0.1 0.15 0.2 0.25 0.3 0.1 0.2; do
    timeout -s KILL $moment "$yoke" run "$recipe" --run-dir "$dir/run" --set pretrain.checkpoint_every=3 >/dev/null 2>&1
done
verdict "after kill -9" "$first" \
    "$("$yoke" run "$recipe" --run-dir "$dir/run" --set pretrain.checkpoint_every=3 2>"$dir/log" | tail -n 1)"

# SIGTERM ends with a checkpoint and code 0; the next run goes on
rm -rf "$dir/run"
timeout -s TERM 0.6 "$yoke" run "$recipe" --run-dir "$dir/run" --set threads=1 --set pretrain.eval_every=1 >/dev/null 2>&1
verdict "SIGTERM leaves no half-written file" 0 "$(find "$dir/run" -name '*.part' | wc -l)"
lanes=$(digest "$yoke" run "$recipe" --set lanes=4)
verdict "lanes and micro-batch" "$lanes" "$(digest "$yoke" run "$recipe" --set lanes=4 --set pretrain.micro_batch=1 --set threads=3)"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 8 ]
