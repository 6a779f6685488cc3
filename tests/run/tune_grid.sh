#!/bin/sh
# Tuning against an exhaustive grid: conf/tune.yaml's search of a learning rate, and GRID rates evenly spaced on the
# same logarithmic scale, each trained to the end. Both are searches of stage tune: the grid's has one rung and a trial a
# rate, so that scores are of the same text. Prints both losses and what they cost in steps. The search passes when its
# loss is within 1 % of the grid's best for at most a quarter of its steps. By hand: make tune-grid [GRID=16] [SEED=7]
: "${top_srcdir:=.}" "${top_builddir:=build}" "${GRID:=16}" "${SEED:=7}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/tune.yaml
dir=${DIR:-$(mktemp -d)} && mkdir -p "$dir"
[ -n "$DIR" ] || trap 'rm -rf "$dir"' EXIT
field() { sed -n "s/.*\"$2\": *\([0-9.e-]*\).*/\1/p" "$1/summary.json" | tail -n 1; }
rates=$(awk -v n="$GRID" 'BEGIN {
    for (i = 0; i < n; i++) printf "%s%.4g", i ? ", " : "", 1e-4 * 1000 ^ (i / (n - 1)) }')
"$yoke" run "$recipe" --run-dir "$dir/search" --set seed="$SEED" >"$dir/search.log" 2>&1 || exit 1
# A choice spread over as many trials as it has values takes each of them once.
"$yoke" run "$recipe" --run-dir "$dir/grid" --set seed="$SEED" --set tuning.rungs=1 --set tuning.trials="$GRID" \
    --set tuning.startup="$GRID" --set "tune=[{key: pretrain.lr, scale: choice, values: [$rates]}]" \
    >"$dir/grid.log" 2>&1 || exit 1
echo "rate  held-out bits a byte (grid)"
sed 's/.*"pretrain.lr":"\([^"]*\)".*"score":\([^,]*\),.*/\1 \2/' "$dir/grid/tune/trials.jsonl" | sort -g
awk -v grid="$(field "$dir/grid" score)" -v spent="$(field "$dir/grid" steps)" -v found="$(field "$dir/search" score)" \
    -v steps="$(field "$dir/search" steps)" 'BEGIN {
    printf "grid    best %.5f bits a byte, %d steps\n", grid, spent
    printf "search  best %.5f bits a byte, %d steps\n", found, steps
    printf "loss %+.2f %%, steps %.1f %%\n", 100 * (found / grid - 1), 100 * steps / spent
    exit !(found <= 1.01 * grid && steps <= spent / 4) }' || { echo "0 passed, 1 failed"; exit 1; }
echo "1 passed, 0 failed"
