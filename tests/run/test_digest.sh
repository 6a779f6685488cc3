#!/bin/sh
# One digest of conf/tiny.yaml whatever computes it, after kills, and that of the contract: golden.digests.
# With the argument `golden` prints that file with the digests of this build: make golden
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml golden=$top_srcdir/tests/run/golden.digests

if [ "${1-}" = golden ]; then
    grep '^#' "$golden"
    grep -v '^#' "$golden" | while read -r name old options; do
        new=$(digest "$yoke" run "$recipe" $options)
        [ -n "$new" ] || exit 1
        echo "$name ${new#digest }${options:+ $options}"
    done
    exit
fi

first=$(digest "$yoke" run "$recipe" --set threads=1)
case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
for threads in 2 3 5; do
    verdict "$threads threads" "$first" "$(digest "$yoke" run "$recipe" --set threads=$threads)"
done
# The sets that this machine runs, against the digest of the first.
sets=$(sets)
each_set() { # name, options
    name=$1 wanted=
    shift
    for isa in $sets; do
        found=$(YOKE_ISA=$isa digest "$yoke" run "$recipe" "$@")
        grep -q 'this processor lacks it' "$dir/log" && continue
        verdict "$name, YOKE_ISA=$isa" "${wanted:=$found}" "$found"
    done
}
before=$failed
while read -r name bits options; do
    case $name in \#*) continue ;; esac
    each_set "$name" $options
    verdict "$name, the digest of bits v1" "digest $bits" "$wanted"
    [ "$name" != fp32 ] || verdict "fp32, the digest of the threads" "$first" "$wanted"
done <"$golden"
[ $failed = $before ] || echo "Where all sets agree and golden.digests alone does not, a change has touched the contract's bits:" \
    "undo it, or, if it is meant, make golden, and say so in doc/numerics.md and NEWS."
mixed="--set model.experts=6 --set pretrain.steps=20 --set precision=bf16"
wanted=$(digest "$yoke" run "$recipe" $mixed --set threads=1)
verdict "experts, 3 threads, one sample at once" "$wanted" \
    "$(digest "$yoke" run "$recipe" $mixed --set threads=3 --set pretrain.micro_batch=1)"
verdict "experts, recompute: block" "$wanted" "$(digest "$yoke" run "$recipe" $mixed --set recompute=block)"
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
