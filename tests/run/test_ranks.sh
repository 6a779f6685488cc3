#!/bin/sh
# One digest for any number of ranks and every stage of `zero`, also when the number changes at every restart; and what
# ranks that cannot go on say. With the argument `all` the whole table, in minutes: make rank-table
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
. "$top_srcdir/tests/run/ranks.sh"
need_ranks

table() { # precision, then more options
    precision=$1
    shift
    wanted=$(alone --set precision=$precision "$@")
    for zero in ${ZEROS:-0 1 2 3}; do
        for n in 1 2 4 8; do
            for way in "1 8" "1 2" "1 1" "2 8"; do # threads, ranks a node
                threads=${way% *} node=${way#* }
                YOKE_NODE_RANKS=$node fresh_ranks $n --set zero=$zero --set precision=$precision "$@" \
                    --set threads=$threads
                verdict "$precision $*: $n ranks, $node a node, $threads threads, zero $zero" "$wanted" "$(last)"
            done
        done
    done
}
if [ "${1-}" = all ]; then
    for precision in ${PRECISIONS:-fp32 bf16}; do
        table $precision --set pretrain.steps=50 --set pretrain.gradients=${GRADIENTS:-fp32}
        [ -n "${GRADIENTS-}" ] && continue
        table $precision --set pretrain.steps=50 --set pretrain.batch=16 --set model.width=64 --set model.tied=false
    done
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
fi

for n in 2 4 8; do
    YOKE_NODE_RANKS=8 mpirun --quiet -np $n "$top_builddir/tests/comm/test_ranks" >"$dir/log" 2>&1
    verdict "what $n ranks do together" 0 $?
done
for node in 1 2; do
    YOKE_NODE_RANKS=$node mpirun --quiet -np 4 "$top_builddir/tests/comm/test_ranks" >"$dir/log" 2>&1
    verdict "what 4 ranks on nodes of $node do together" 0 $?
done

first=$(alone)
case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
fresh_ranks 2
verdict "2 ranks" "$first" "$(last)"
verdict "the digest is printed once" 1 "$(grep -c '^digest' "$dir/out")"
verdict "rank 0 alone logs" 1 "$(grep -c '^yoke 0' "$dir/log")"
verdict "the summary has what exchanges took" 2 "$(grep -cE '"exchange_(seconds|hidden)"' "$dir/run/summary.json")"
metrics >"$dir/metrics"
fresh_ranks 8 --set zero=1
verdict "8 ranks, zero 1" "$first" "$(last)"
metrics | cmp "$dir/metrics" - >"$dir/log"
verdict "the same metrics" 0 $?
fresh_ranks 4 --set zero=2
verdict "4 ranks, zero 2" "$first" "$(last)"
YOKE_NODE_RANKS=2 fresh_ranks 4 --set zero=3 --set recompute=block
verdict "4 ranks, 2 a node, zero 3" "$first" "$(last)"
metrics | cmp "$dir/metrics" - >"$dir/log"
verdict "the same metrics again" 0 $?
bf16=$(alone --set precision=bf16)
YOKE_NODE_RANKS=2 fresh_ranks 4 --set zero=2 --set precision=bf16
verdict "4 ranks, 2 a node, zero 2, bf16" "$bf16" "$(last)"
bf16=$(alone --set pretrain.gradients=bf16)
verdict "rounded gradients are others" 1 "$([ "$bf16" != "$first" ] && echo 1)"
YOKE_NODE_RANKS=2 fresh_ranks 8 --set zero=2 --set pretrain.gradients=bf16
verdict "8 ranks, 2 a node, zero 2, gradients in bf16" "$bf16" "$(last)"
YOKE_NODE_RANKS=1 fresh_ranks 2 --set pretrain.gradients=bf16
verdict "2 ranks on 2 nodes, gradients in bf16" "$bf16" "$(last)"
mixed=$(alone --set model.experts=6)
fresh_ranks 4 --set zero=2 --set model.experts=6
verdict "4 ranks, zero 2, experts" "$mixed" "$(last)"
YOKE_NODE_RANKS=1 fresh_ranks 2 --set zero=3 --set model.experts=6
verdict "2 ranks on 2 nodes, zero 3, experts" "$mixed" "$(last)"

# Another number of ranks, and another stage of `zero`, at every restart.
longer="--set pretrain.batch=32 --set pretrain.micro_batch=2"
wanted=$(alone $longer)
rm -rf "$dir/run"
came=
for way in "8 1 8" "4 3 14" "2 2 20" "4 0 32"; do # ranks, zero, and the step after which they are stopped
    set -- $way
    ranks "$1" --set zero="$2" $longer &
    wait_until 800 steps_reach "$3"
    end_run TERM
    came="$came $(steps)"
done
ranks 1 $longer
verdict "8, 4, 2, 4 and 1 ranks, one after another, stopped at steps$came" "$wanted" "$(last)"

# A checkpoint of several ranks is that of one rank, dealt out; where a file of it is damaged the one before is taken.
one=$dir/one
alone $longer >/dev/null && mv "$dir/run" "$one"
ranks 4 --set zero=1 $longer &
wait_until 800 steps_reach 44
end_run TERM
"$yoke" diff "$one/checkpoints/step-000000040.h5" "$dir/run/checkpoints/step-000000040.json" >"$dir/log" 2>&1
says "a checkpoint of 4 ranks has the bits of one rank's" 'tensors are equal, bit for bit'
newest=$(find "$dir/run/checkpoints" -name 'step-*.json' | sort | tail -n 1)
truncate -s -100 "${newest%.json}.r1of4.h5"
ranks 2 --set zero=2 $longer
verdict "after a damaged checkpoint, ${newest##*/}" "$wanted" "$(last)"
verdict "the damaged file is told once" 1 "$(grep -c 'r1of4.h5: truncated.*trying the one before it' "$dir/log")"
says "the one before it is taken" 'going on from step 40'
verdict "sets are pruned whole" "13 3" "$(find "$dir/run/checkpoints" -name 'step-*' | wc -l) $(find "$dir/run/checkpoints" -name 'step-*.json' | wc -l)"

# All stages: ranks leave the same files, but for what a clock says.
stages=$top_srcdir/conf/stages.yaml
few="--set lanes=4 --set threads=1 --set pretrain.steps=20 --set sft.steps=120 --set reward.epochs=0.5"
few="$few --set dpo.epochs=0.3 --set ppo.steps=2 --set grpo.steps=2"
run_stages() { # ranks, then options of a run that goes on in $dir/run
    n=$1
    shift
    mpirun --quiet -np "$n" "$yoke" run "$stages" $few "$@" --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
}
told() {
    number='[-0-9.e+]*' ranks_alone='"\(exchange_[a-z]*\|traffic_bytes\)"'
    balance='"balance":{[^{}]*{\([^{}]*{[^{}]*}\)*}[^{}]*}'
    clock='"\(memory\|peak_resident\|threads\|[a-z_]*seconds\|[a-z_]*per_s\|[a-z]*_share\|generation\|generating\|scoring\|learning\)"'
    (cd "$dir/run" && find . -name '*.json*' ! -path '*/checkpoints/*' -o -name '*.tok' -o -name '*.zst' | LC_ALL=C sort |
        while read -r file; do
            echo "$file"
            case $file in
            *.json*) tr -d '\n ' <"$file" | sed "s/,$ranks_alone:$number//g; s/,$balance//g; s/$clock:$number//g"; echo ;;
            *) cksum <"$file" ;;
            esac
        done)
}
wanted=$(digest "$yoke" run "$stages" $few)
told >"$dir/told"
for way in "2 0" "4 1"; do # ranks, zero
    set -- $way
    rm -rf "$dir/run"
    run_stages "$1" --set zero="$2"
    verdict "all stages by $1 ranks, zero $2" "$wanted" "$(last)"
    told >"$dir/told.$1"
    diff "$dir/told" "$dir/told.$1" >"$dir/log"
    verdict "all stages by $1 ranks, zero $2: the same files" 0 $?
done

# Stopped in the midst of stages, and gone on with by other numbers of ranks.
rm -rf "$dir/run"
for way in "4 1 sft/metrics.jsonl TERM" "2 2 ppo/metrics.jsonl TERM" "4 0 grpo/metrics.jsonl KILL" \
    "2 1 refine/sampling.json KILL"; do # ranks, zero, and what is there when they are stopped
    set -- $way
    run_stages "$1" --set zero="$2" &
    await "$dir/run/$3" 3000
    end_run "$4"
done
run_stages 2
verdict "stages by 4, 2, 4, 2 and 2 ranks, one after another" "$wanted" "$(last)"

# A rank that fails alone, in a verifier.
cat >"$dir/verifier" <<'END'
[ "$OMPI_COMM_WORLD_RANK" != 1 ] || exit 1
while read -r line; do echo "{\"id\": $(echo "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/'), \"score\": 1}"; done
END
for set in train heldout; do
    sed 's/"verifier": *"[a-z]*"/"verifier": "command"/' "$dir/run/questions/problems.$set.jsonl" >"$dir/$set.jsonl"
done
rm -rf "$dir/run/grpo"
run_stages 2 --set verify.command="sh $dir/verifier" --set grpo.data="[$dir/train.jsonl]" \
    --set grpo.heldout="[$dir/heldout.jsonl]"
verdict "a verifier that fails on rank 1: exit status" 4 $?
verdict "... is said once" 1 "$(grep -c 'stage grpo: rank 1: verifier command' "$dir/log")"

# What cannot go on is said once, and ends all.
rm -rf "$dir/run"
says_once() { # name, status, pattern
    code=$?
    verdict "$1: exit status" "$2" $code
    verdict "$1: says it once" 1 "$(grep -c "$3" "$dir/log")"
}
ranks 2 --set lanes=1
says_once "ranks that do not divide lanes" 3 '2 ranks cannot share 1 lanes'
ranks 2 --set nonsense=3
says_once "an unknown key" 3 'nonsense'
mpirun --quiet -np 1 "$yoke" run "$recipe" --set lanes=8 --run-dir "$dir/run" : -np 1 "$yoke" run "$recipe" \
    --set lanes=8 --set seed=8 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says_once "recipes that differ" 3 'rank 1: the recipe or the run directory differs'
SLURM_NTASKS=4 "$yoke" run "$recipe" --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says_once "alone among Slurm's tasks" 2 'srun --mpi=pmix yoke run'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
