#!/bin/sh
# kill -9 at KILLS random moments of conf/tiny.yaml, going on each time: the digest is that of the run that was left
# alone, and the run directory is whole. By hand: make kill-storm [KILLS=20] [SEED=1]
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/tiny.yaml
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
kills=0 killed=
wanted=$("$yoke" run "$recipe" --run-dir "$dir/alone" 2>/dev/null | tail -n 1)
storm() { "$yoke" run "$recipe" --run-dir "$dir/run" --set threads=1 --set pretrain.checkpoint_every=2 2>/dev/null; }
moments=$(awk -v n="$((10 * ${KILLS:-20}))" -v seed="${SEED:-1}" 'BEGIN { srand(seed); while (n--) printf "%.3f ", 0.02 + 0.6 * rand() }')
for moment in $moments; do
    [ "$kills" -lt "${KILLS:-20}" ] || break
    storm >/dev/null &
    sleep "$moment"
    # the pipeline's last process is the shell of the function: end the program below it
    pid=$(cat "$dir/run/lock" 2>/dev/null)
    if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then kills=$((kills + 1)) killed="$killed $moment"; fi
    wait
    step=$(ls "$dir"/run/checkpoints/step-*.h5 2>/dev/null | tail -n 1)
    [ -z "$step" ] || "$yoke" inspect "$step" >/dev/null || exit 1
    # begin again when the run had come to its end
    if [ -n "$step" ] && [ "${step##*-}" = 000000060.h5 ]; then rm -rf "$dir/run"; fi
done
found=$(storm | tail -n 1)
echo "$kills kills, seconds after the start:$killed"
echo "left alone: $wanted; after the kills: $found"
[ "$wanted" = "$found" ] && echo "1 passed, 0 failed" || { echo "0 passed, 1 failed"; exit 1; }
