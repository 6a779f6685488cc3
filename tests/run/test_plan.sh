#!/bin/sh
# `yoke plan`: the members of its JSON, what it says of memory against what runs take, and what it refuses.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
rates="--peak 250 --bandwidth 20"
plan() { "$yoke" plan "$recipe" --threads 1 $rates --json "$@" 2>"$dir/log"; }
# The first value of a member, of JSON with a member a line.
member() { sed -n "s/.*\"$1\": \([^,}]*\),*$/\1/p" "$2" | head -n 1; }
within() { # name, wanted, found, percent
    verdict "$1 ($3 of $2)" yes "$(awk -v a="$2" -v b="$3" -v p="$4" \
        'BEGIN { print (a > 0 && b > a * (1 - p / 100) && b < a * (1 + p / 100)) ? "yes" : "no" }')"
}

plan --nodes 2 --ranks-per-node 2 --net 1Gb --latency 50us >"$dir/plan"
for name in parameters memory_per_rank step_seconds traffic_per_step flops_per_step policies zero scaling recommend; do
    verdict "member $name" 1 "$(grep -c "^ \"$name\":" "$dir/plan")"
done
rows() { sed -n "/^ \"$1\": \[/,/^ \]/p" "$dir/plan" | grep -c '^   "step_seconds"'; }
verdict "rows of recompute" 5 "$(rows policies)"
verdict "rows of zero, 0 to 3" 4 "$(rows zero)"
verdict "rows of ranks 1, 2, 4" 3 "$(rows scaling)"
# 35,040 parameters of 4 bytes; tied, so that the embedding's second gradient of 320 x 32 goes with the first
verdict "bytes sent: 3/4 of a gradient and of the weights" 240960.0 "$(member traffic_per_step "$dir/plan")"
"$yoke" plan "$recipe" $rates >"$dir/out" 2>"$dir/log"
verdict "shows tables" 4 "$(grep -cE '^(recompute|zero|Recommended,| ranks) ' "$dir/out")"

refuses() { # pattern, options
    pattern=$1
    shift
    "$yoke" plan "$recipe" $rates "$@" >/dev/null 2>"$dir/log"
    says "refuses $*" "$pattern"
}
refuses "net 10: expected a number and a unit, as in 10Gb" --net 10
refuses "latency 0us: expected a number and a unit" --latency 0us
refuses "memory 1e9x: expected" --memory 1e9x
refuses "must be a power of two" --nodes 3
refuses "nodes 0: expected a number from 1" --nodes 0
refuses "which must divide pretrain.batch, now 8" --nodes 16
plan --memory 10MB >"$dir/plan"
sed -n '/"recommend"/,$p' "$dir/plan" >"$dir/advice"
verdict "nothing fits into 10 MB" false "$(member fits "$dir/advice")"

# What runs of one and of two ranks take, of a small model and of one of 30M parameters.
. "$top_srcdir/tests/run/ranks.sh"
most=2
[ -z "$missing" ] || most=1
run() { # ranks, options of a run in $dir/run
    n=$1
    shift
    rm -rf "$dir/run"
    [ ! -d "$dir/base" ] || cp -r "$dir/base" "$dir/run"
    if [ "$n" = 1 ]; then
        "$yoke" run "$recipe" --set threads=1 --run-dir "$dir/run" "$@" >/dev/null 2>"$dir/log"
    else
        mpirun --quiet -np "$n" "$yoke" run "$recipe" --set threads=1 --run-dir "$dir/run" "$@" >/dev/null 2>"$dir/log"
    fi
}
compare() { # name, ranks, options: model.memory of the run is what the plan said
    name=$1 n=$2
    shift 2
    run "$n" $few --set "stages=[clean, tokenizer, pretrain]" "$@"
    plan --ranks-per-node "$n" "$@" >"$dir/plan"
    memory=$(sed -n '/"model"/,$p' "$dir/run/summary.json" >"$dir/model"; member memory "$dir/model")
    resident=$(member peak_resident "$dir/model") planned=$(member memory_per_rank "$dir/plan")
    within "$name: what is allocated" "$planned" "${memory:-0}" 5
}
few="--set clean.heldout_fraction=0.01"
run 1 $few --set "stages=[clean, tokenizer]"
mv "$dir/run" "$dir/base"
for ranks in 1 2; do
    [ $ranks -le $most ] || break
    for zero in 0 1 2; do
        [ $ranks = 2 ] || [ $zero = 0 ] || break
        compare "small, $ranks ranks, zero $zero" $ranks --set lanes=4 --set zero=$zero --set pretrain.steps=2
        itself=$((resident - memory)) # the program and its libraries
        compare "30M, $ranks ranks, zero $zero" $ranks --set lanes=2 --set zero=$zero --set pretrain.steps=2 \
            --set model.width=640 --set model.layers=6 --set model.heads=10 --set model.head_size=64 \
            --set model.kv_heads=10 --set model.ffn=1728 --set pretrain.lr=1e-4 --set pretrain.eval_every=2 \
            --set pretrain.checkpoint_every=2 --set pretrain.sample_tokens=1
        sed -n '/^ "zero"/,$p' "$dir/plan" | sed -n "/\"zero\": $zero,/,/}/p" >"$dir/row"
        planned=$((planned + $(member checkpoint "$dir/row"))) # of which the run wrote one
        within "30M, $ranks ranks, zero $zero: what is resident beside the program" "$planned" $((resident - itself)) 5
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
