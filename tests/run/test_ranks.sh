#!/bin/sh
# One digest for any number of ranks and every stage of `zero`, also when the number changes at every restart; and what
# ranks that cannot go on say. With the argument `all` the whole table, in minutes: make rank-table
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
skip() {
    echo "skipped: $1"
    exit 77
}
command -v mpirun >/dev/null || skip "there is no mpirun: apt-get install openmpi-bin"
grep -q '^HAVE_MPI_TRUE = *#' "$top_builddir/Makefile" && skip "yoke was built without MPI"
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe \
    OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_mpi_yield_when_idle OMPI_MCA_btl
ranks() { # how many, then the options of a run that goes on in $dir/run
    n=$1
    shift
    mpirun --quiet -np "$n" "$yoke" run "$recipe" --set lanes=8 --set threads=1 --run-dir "$dir/run" "$@" \
        >"$dir/out" 2>"$dir/log"
}
last() {
    tail -n 1 "$dir/out"
}
fresh_ranks() {
    rm -rf "$dir/run"
    ranks "$@"
}
metrics() { # but for what a clock says
    sed 's/"seconds":[^,}]*//; s/"tokens_per_s":[^,}]*//' "$dir/run/metrics.jsonl"
}
steps() {
    grep -c '"type":"step"' "$dir/run/metrics.jsonl" 2>/dev/null
}
alone() {
    digest "$yoke" run "$recipe" --set lanes=8 --set threads=1 "$@"
}

table() { # precision, then more options
    precision=$1
    shift
    wanted=$(alone --set precision=$precision "$@")
    for zero in 0 1 2; do
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
        table $precision --set pretrain.steps=50
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
metrics >"$dir/metrics"
fresh_ranks 8 --set zero=1
verdict "8 ranks, zero 1" "$first" "$(last)"
metrics | cmp "$dir/metrics" - >"$dir/log"
verdict "the same metrics" 0 $?
fresh_ranks 4 --set zero=2
verdict "4 ranks, zero 2" "$first" "$(last)"
bf16=$(alone --set precision=bf16)
YOKE_NODE_RANKS=2 fresh_ranks 4 --set zero=2 --set precision=bf16
verdict "4 ranks, 2 a node, zero 2, bf16" "$bf16" "$(last)"
mixed=$(alone --set model.experts=6)
fresh_ranks 4 --set zero=2 --set model.experts=6
verdict "4 ranks, zero 2, experts" "$mixed" "$(last)"

# Another number of ranks, and another stage of `zero`, at every restart.
longer="--set pretrain.batch=32 --set pretrain.micro_batch=2"
wanted=$(alone $longer)
rm -rf "$dir/run"
came=
for way in "8 1 8" "2 2 20" "4 0 32"; do # ranks, zero, and the step after which they are stopped
    set -- $way
    ranks "$1" --set zero="$2" $longer &
    tries=0
    until [ "$(steps)" -ge "$3" ] 2>/dev/null || [ $tries -gt 800 ]; do
        tries=$((tries + 1))
        sleep 0.01
    done
    end_run TERM
    came="$came $(steps)"
done
ranks 1 $longer
verdict "8, 2, 4 and 1 ranks, one after another, stopped at steps$came" "$wanted" "$(last)"

# A stage that ranks share, and one that rank 0 performs alone, after pretraining.
stages=$top_srcdir/conf/stages.yaml
few="--set lanes=4 --set threads=1 --set pretrain.steps=8 --set sft.steps=12 --set dpo.epochs=0.3"
few="$few --set stages=[clean,tokenizer,questions,pretrain,sft,dpo]"
wanted=$(digest "$yoke" run "$stages" $few)
rm -rf "$dir/run"
mpirun --quiet -np 4 "$yoke" run "$stages" $few --set zero=1 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
verdict "sft, and then dpo" "$wanted" "$(last)"
says "that rank 0 is alone with dpo" 'stage dpo: rank 0 performs it alone for now; the other 3 ranks wait'

# What cannot go on is said once, and ends all.
rm -rf "$dir/run"
says_once() { # name, status, pattern
    code=$?
    verdict "$1: exit status" "$2" $code
    verdict "$1: says it once" 1 "$(grep -c "$3" "$dir/log")"
}
ranks 2 --set lanes=1
says_once "ranks that do not divide lanes" 3 '2 ranks cannot share 1 lanes'
ranks 2 --set zero=3
says_once "zero: 3" 3 'zero: 3 .* is not built yet'
ranks 2 --set nonsense=3
says_once "an unknown key" 3 'nonsense'
mpirun --quiet -np 1 "$yoke" run "$recipe" --set lanes=8 --run-dir "$dir/run" : -np 1 "$yoke" run "$recipe" \
    --set lanes=8 --set seed=8 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says_once "recipes that differ" 3 'rank 1: the recipe or the run directory differs'
SLURM_NTASKS=4 "$yoke" run "$recipe" --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says_once "alone among Slurm's tasks" 2 'srun --mpi=pmix yoke run'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
