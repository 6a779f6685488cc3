#!/bin/sh
# Lanes that learn on their own (pretrain.local_steps): one digest for any number of ranks and threads, through stops in
# the middle of a round, and what little they send.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
. "$top_srcdir/tests/run/ranks.sh"
common="--set lanes=4 --set threads=1 --set pretrain.local_steps=20"
on() { # ranks, then options of a run that goes on in $dir/run; 1: a process alone
    if [ "$1" = 1 ]; then
        shift
        "$yoke" run "$recipe" $common "$@" --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
    else
        ranks "$@"
    fi
}
digest_of_ranks() { # of a fresh run
    fresh_ranks "$@"
    last
}
stopped() { # ranks, step after which the run gets a signal
    on "$1" &
    wait_until 800 steps_reach "$2"
    end_run TERM
}

first=$(alone)
case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
metrics >"$dir/metrics"
verdict "3 threads" "$first" "$(alone --set threads=3)"
verdict "without local_after it is another run" 1 "$([ "$first" = "$(alone --set pretrain.local_after=20)" ] || echo 1)"
"$yoke" run "$recipe" $common --set pretrain.eval_every=30 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says "evaluations between outer steps" '`pretrain.eval_every` is 30; it must be a multiple of pretrain.local_steps, 20'
"$yoke" run "$recipe" $common --set pretrain.spike_factor=3 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says "spikes" '`pretrain.spike_factor` is 3, but steps of pretrain.local_steps'
"$yoke" run "$recipe" $common --set zero=1 --run-dir "$dir/run" >"$dir/out" 2>"$dir/log"
says "zero" '`zero` is 1, but with pretrain.local_steps'

# Between outer steps a checkpoint has the lanes' weights, too; all others go by the global ones.
longer="--set pretrain.steps=50 --set pretrain.checkpoint_every=7"
alone $longer >"$dir/whole"
"$yoke" inspect "$dir/run/checkpoints/step-000000049.h5" >"$dir/log" 2>&1
says "weights of a lane in the middle of a round" '^lane\.2\.model'
"$yoke" inspect "$dir/run/checkpoints/step-000000050.h5" >"$dir/log" 2>&1
says "moments of a lane after the last, short round" '^lane\.3\.optimizer\.m\.model'
verdict "and no weights of it" 0 "$(grep -c '^lane\.[0-9]*\.model' "$dir/log")"
rm "$dir/run/checkpoints/step-000000050.h5" "$dir/run/stages.json" # as a kill at step 49 leaves it
on 1 $longer
verdict "going on in the middle of a round" "$(cat "$dir/whole")" "$(last)"

[ -z "$missing" ] || {
    echo "$passed passed, $failed failed; of ranks nothing: $missing"
    [ $failed = 0 ]
    exit
}
verdict "2 ranks" "$first" "$(digest_of_ranks 2)"
verdict "4 ranks" "$first" "$(digest_of_ranks 4)"
metrics | cmp "$dir/metrics" - >"$dir/log"
verdict "the same metrics" 0 $?
verdict "4 ranks, 1 a node" "$first" "$(YOKE_NODE_RANKS=1 digest_of_ranks 4)"
rm -rf "$dir/run"
came=
for way in "4 7" "2 25" "1 33"; do
    stopped $way
    came="$came $(steps)"
done
on 4
verdict "4, 2, 1 and 4 ranks, one after another, stopped at steps$came" "$first" "$(last)"
after="--set pretrain.local_after=15 --set precision=bf16"
verdict "bf16, together at first: 4 ranks" "$(alone $after)" "$(digest_of_ranks 4 $after)"
rounded="--set pretrain.gradients=bf16 --set pretrain.local_after=15"
wanted=$(alone $rounded)
verdict "outer steps summed in bf16 are others" 1 \
    "$([ "$wanted" = "$(alone --set pretrain.local_after=15)" ] || echo 1)"
verdict "outer steps summed in bf16: 4 ranks, 1 a node" "$wanted" "$(YOKE_NODE_RANKS=1 digest_of_ranks 4 $rounded)"

# A loss scale that doubles each step overflows in one lane or the other, which skips the step.
half="--set precision=fp16 --set pretrain.loss_scale_every=1 --set pretrain.lr=3e-2"
wanted=$(alone $half)
says "a lane that overflows" 'lane [0-3] skips step'
verdict "skipped steps: 4 ranks" "$wanted" "$(digest_of_ranks 4 $half)"

# Bytes between ranks, of 100 steps with one outer step, and with a gradient each.
traffic() {
    sed -n 's/.*"traffic_bytes": *\([0-9]*\).*/\1/p' "$dir/run/summary.json"
}
hundred="--set pretrain.steps=100 --set pretrain.eval_every=100 --set pretrain.prompts=[]"
YOKE_NODE_RANKS=1 digest_of_ranks 4 $hundred --set pretrain.local_steps=100 >"$dir/last"
few=$(traffic)
YOKE_NODE_RANKS=1 digest_of_ranks 4 $hundred --set pretrain.local_steps=0 >"$dir/last"
many=$(traffic)
verdict "$few bytes a step instead of $many" 1 "$((${many:-0} / ${few:-1} >= 50))"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
