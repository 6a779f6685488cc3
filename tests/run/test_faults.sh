#!/bin/sh
# Faults of machines and of training: a rank that is stopped ends the run in time, one whose memory is wrong is noticed,
# spikes are passed over the same way by any number of ranks and by runs that were cut; and all go on afterwards.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
. "$top_srcdir/tests/run/ranks.sh"
need_ranks

# Spikes: this recipe has some, from step 11 on.
spikes="--set pretrain.spike_window=8 --set pretrain.checkpoint_every=2 --set pretrain.keep=4"
back="$spikes --set pretrain.spike_factor=2 --set pretrain.on_spike=rollback --set pretrain.rollback_steps=3"
skip="$spikes --set pretrain.spike_factor=32"
for way in "$skip" "$back"; do
    wanted=$(alone $way)
    says "a spike is not applied: $(grep -c 'a spike; the step' "$dir/log")" 'is a spike; the step is not applied'
    fresh_ranks 4 --set zero=1 $way
    verdict "spikes, 4 ranks, zero 1" "$wanted" "$(last)"
    rm -rf "$dir/run"
    for step in 7 10 12; do
        ranks 2 $way &
        wait_until 800 grep -q "\"step\":$step," "$dir/run/metrics.jsonl"
        end_run KILL
    done
    ranks 1 $way
    verdict "spikes, 2 ranks, killed three times, then 1 rank" "$wanted" "$(last)"
done
verdict "rollbacks are recorded" 1 "$(grep -c '"type":"rollback".*"from":11,"rollbacks":3,' "$dir/run/metrics.jsonl")"
fresh_ranks 2 $spikes --set pretrain.spike_factor=1.3 --set pretrain.give_up_after=4
verdict "after many spikes in a row: exit status" 10 $?
says "that it gives up" '4 steps in a row went wrong'
plain=$(alone)
verdict "without spike_factor nothing changes" "$plain" "$(alone --set pretrain.spike_window=8 --set check_replicas=0)"

# A bit that flips on one rank.
YOKE_FLIP_BIT=2:12 fresh_ranks 4 --set check_replicas=4
verdict "a flipped bit: exit status" 12 $?
says "which tensor and rank" 'step 12: model.layers.[01][a-z_.]* differs from that of the other ranks on rank 2 ('
verdict "it is said once" 1 "$(grep -c 'differs' "$dir/log")"
YOKE_FLIP_BIT=1:25 fresh_ranks 2
verdict "a flipped bit of two ranks: exit status" 12 $?
says "before the next checkpoint" 'step 40: model.* differs between rank 0 (.*), rank 1 ('
verdict "no checkpoint is of after it" step-000000020.json "$(cd "$dir/run/checkpoints" && ls step-*.json)"
ranks 2
verdict "it goes on from the last checkpoint" "$plain" "$(last)"
YOKE_FLIP_BIT=3:9 fresh_ranks 4 --set zero=2 --set check_replicas=1
verdict "a flipped bit, zero 2: exit status" 12 $?

# A shard that cannot be read: by all, and by one.
rm -rf "$dir/run"
ranks 1 --set "stages=[clean, tokenizer]"
shard=$dir/run/data/stories.train.tok
mv "$shard" "$dir/shard" && head -c 1000 "$dir/shard" >"$shard"
ranks 2
verdict "a truncated shard: exit status" 6 $?
verdict "it is said once" 1 "$(grep -c 'stories.train.tok: truncated' "$dir/log")"
mv "$dir/shard" "$shard"
if command -v strace >/dev/null; then
    set -- "$yoke" run "$recipe" $common --run-dir "$dir/run"
    mpirun --quiet -np 1 "$@" : -np 1 strace -f -o /dev/null -e trace=openat -P "$(realpath "$shard")" \
        -e inject=openat:error=EIO "$@" >"$dir/out" 2>"$dir/log"
    says "one rank's disk fails" 'rank 1: .*stories.train.tok: cannot open: Input/output error'
fi
ranks 2
verdict "it goes on when the shard is back" "$plain" "$(last)"

# A rank that is stopped; the first one of the two, and the other.
for which in 1 2; do
    rm -rf "$dir/run"
    ranks 2 --set watchdog=4 --set pretrain.steps=4000 --set pretrain.checkpoint_every=5 &
    job=$!
    await "$dir/run/checkpoints/step-000000005.json" 1000
    kill -STOP "$(ids | sed -n ${which}p)"
    began=$(date +%s)
    wait $job
    verdict "stopped rank: exit status" 11 $?
    took=$(($(date +%s) - began))
    verdict "it took $took s with 4 s of patience" yes "$([ $took -le 15 ] && echo yes)"
    says "who is stopped" 'watchdog: rank [01] on .* rank [01] on .*shows no sign of life since'
    verdict "hangs.log has it" yes "$(grep -q 'no sign of life' "$dir/run/hangs.log" && echo yes)"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
