#!/bin/sh
# The stages grpo and refine on a handful of problems: one digest whatever computes it and after kill -9; verifiers that
# fail, problems that cannot be checked and a policy that runs away end with a message that says so.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
run() { # stages, options
    stages=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$stages]" \
        --set 'questions.kinds=[compare]' --set questions.steps_share=1 --set questions.pairs=0 --set questions.problems=200 \
        --set questions.rl_problems=40 --set questions.heldout_problems=16 --set questions.similarity=1 --set sft.steps=150 \
        --set grpo.steps=6 --set grpo.prompts=4 --set grpo.group=4 --set grpo.tokens=24 --set grpo.epochs=2 \
        --set grpo.minibatches=2 --set grpo.reference_every=3 --set grpo.checkpoint_every=2 --set grpo.samples=2 \
        --set refine.group=4 --set refine.tokens=24 --set refine.steps=6 --set refine.batch=8 --set refine.samples=2 \
        --set refine.checkpoint_every=2 "$@" 2>"$dir/log" | tail -n 1
}
before="clean, tokenizer, questions, pretrain, sft"
all="$before, grpo, refine"
again() { # options
    fresh
    run "$all" "$@"
}
begin() { # what the variants start from, options
    rm -rf "$dir/run" "$dir/base"
    run "$before" "$@" >/dev/null
    mv "$dir/run" "$dir/base"
}

sets=$(sets)
for precision in bf16 fp32; do
    begin --set precision=$precision
    first=$(again --set precision=$precision --set threads=1)
    case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
    verdict "$precision, 2 threads" "$first" "$(again --set precision=$precision --set threads=2)"
    for isa in $sets; do
        found=$(YOKE_ISA=$isa again --set precision=$precision)
        grep -q 'this processor lacks it' "$dir/log" || verdict "$precision, YOKE_ISA=$isa" "$first" "$found"
    done
done
verdict "refine writes what it learns from" yes "$([ -s "$dir/run/refine/data.jsonl" ] && echo yes)"
verdict "checkpoints hold the reference" 1 "$("$yoke" inspect "$dir/run/grpo/checkpoints/step-000000024.h5" | grep -c 'reference.model.embed')"
verdict "a row a step" 6 "$(grep -c '"type":"step"' "$dir/run/grpo/metrics.jsonl")"

# A kill as soon as a stage has written its first metrics, and some moments later.
fresh
for stage in grpo refine; do
    for later in 0 0.01 0.02 0.03 0.05; do
        run "$all" >/dev/null &
        await "$dir/run/$stage/metrics.jsonl" 300
        sleep $later
        end_run KILL
    done
done
verdict "after kill -9" "$first" "$(run "$all")"
verdict "a row a step after kill -9" 6 "$(grep -c '"type":"step"' "$dir/run/grpo/metrics.jsonl")"

# Checkpoints of a stage whose beginning was made anew are not gone on from.
rm -rf "$dir/run/sft"
run "$all" --set sft.lr=1e-4 >/dev/null
says "a model made anew" 'grpo/checkpoints.*began with another model'

# Answers of refine come in parts: those that are there are not made again.
many() { run "$before, refine" --set refine.group=64 "$@"; }
fresh
wanted=$(many)
cp "$dir/run/refine/data.jsonl" "$dir/answers"
fresh
many --set threads=1 >/dev/null &
await "$dir/run/refine/sampling.json"
end_run KILL
verdict "refine, kill -9 after a part" "$wanted" "$(many)"
says "going on with the parts that are there" 'refine .*going on after [0-9]* of 40 '
verdict "the same answers" yes "$(cmp -s "$dir/answers" "$dir/run/refine/data.jsonl" && echo yes)"
head -c 100 "$dir/answers" >"$dir/run/refine/data.jsonl"
rm -r "$dir/run/refine/model.h5" "$dir/run/refine/checkpoints"
verdict "a file of answers that was cut short" "$wanted" "$(many)"

# Other forms of the objective run, and differ.
for options in grpo.kl=0 grpo.loss=sequence grpo.clip_high=0.28 grpo.scale_by_std=false verify.reward_length=0.5; do
    found=$(again --set $options --set verify.length_target=4 --set verify.length_max=16)
    case $found in "$first") found=same ;; "digest "*) found=other ;; esac
    # the first updates of such a small model are never clipped
    [ $options = grpo.clip_high=0.28 ] || verdict "$options" other "$found"
done

# A slow verifier does not hold up a stop, and nothing that it was in the midst of is learnt from.
cat >"$dir/checks" <<'END'
while IFS= read -r q; do
    if [ -e "$1/slow" ]; then : >"$1/asked" && sleep 60; fi
    id=${q#*:} rest=${q#*,}
    echo "{\"id\":${id%%,*},\"score\":$((${#rest} % 2))}"
done
END
sed 's/,"verifier":"[a-z]*"//' "$dir/base/questions/problems.train.jsonl" >"$dir/train.jsonl"
sed 's/,"verifier":"[a-z]*"//' "$dir/base/questions/problems.heldout.jsonl" >"$dir/heldout.jsonl"
asking() {
    run "$before, grpo" --set verify.kind=command --set "verify.command=sh $dir/checks $dir" --set verify.time_limit=100 \
        --set "grpo.data=[$dir/train.jsonl]" --set "grpo.heldout=[$dir/heldout.jsonl]"
}
fresh
wanted=$(asking)
rows() { sed 's/"[a-z_]*seconds":[^,}]*,*//g' "$dir/run/grpo/metrics.jsonl"; }
rows >"$dir/rows"
for file in metrics.jsonl checkpoints/step-000000008.h5 checkpoints/step-000000016.h5; do
    [ $file = metrics.jsonl ] && fresh
    rm -f "$dir/asked"
    asking >/dev/null &
    await "$dir/run/grpo/$file"
    : >"$dir/slow"
    await "$dir/asked"
    began=$(date +%s)
    end_run TERM
    verdict "a stop while a verifier thinks" yes "$([ $(($(date +%s) - began)) -le 3 ] && echo yes)"
    rm "$dir/slow"
done
verdict "after these stops" "$wanted" "$(asking)"
verdict "the same rows" same "$(rows | cmp -s - "$dir/rows" && echo same)"

# Nor in an evaluation.
rm -f "$dir/asked"
: >"$dir/slow"
run "$before, evaluate" --set verify.kind=command --set "verify.command=sh $dir/checks $dir" --set verify.time_limit=100 \
    --set "evaluate.tasks=[$dir/heldout.jsonl]" >/dev/null &
await "$dir/asked" 1000
end_run TERM
says "a stop while an evaluation waits" 'evaluate .*stopped'
rm "$dir/slow"

# What goes wrong.
problems=$dir/problems.jsonl
echo '{"prompt":"Which is larger, 3 or 4?","answer":"4","verifier":"command"}' >"$problems"
stuck() { again --set "grpo.data=[$problems]" --set "grpo.heldout=[$problems]" --set verify.max_failures=3 "$@" >/dev/null; }
stuck --set "verify.command=sleep 100" --set verify.time_limit=0.05
says "a command that hangs" 'stage grpo.*sleep 100'
stuck --set "verify.command=while read -r q; do echo rubbish; done"
says "a command that writes rubbish" 'stage grpo.*echo rubbish'
stuck
says "no command" 'problems.jsonl:1: .*command'
echo '{"prompt":"Which is larger, 3 or 5?","answer":"none","verifier":"number"}' >>"$problems"
stuck --set "verify.command=cat"
says "a problem that cannot be checked" 'problems.jsonl:2: '
again --set grpo.kl_limit=1e-9 --set grpo.lr=1e-2 >/dev/null
says "a policy that runs away" 'grpo.kl_limit: step 2 is not taken'
again --set grpo.kl=0 --set grpo.kl_limit=1e-9 --set grpo.lr=1e-2 >/dev/null
says "one that nothing holds" 'grpo.kl_limit: step 2 is not taken'
again --set grpo.kl=0 --set grpo.kl_limit=0 >/dev/null
verdict "no reference where nothing asks for it" 0 \
    "$("$yoke" inspect "$dir/run/grpo/checkpoints/step-000000024.h5" | grep -c 'reference.model.embed')"
again --set grpo.data=[nowhere.jsonl] >/dev/null
says "no problems" 'nowhere.jsonl'
again --set verify.reward_accuracy=0 --set refine.tokens=1 >/dev/null
says "nothing to refine on" 'no answer of the model is right'
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 14 ]
