#!/bin/sh
# The stage dpo: the policy begins as its reference, bit for bit; smoothing scales the first gradient as its formula says;
# each form has one digest after kill -9. Threads and sets are test_stages.sh's.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
before="clean, tokenizer, questions, pretrain, sft"
run() { # stages, options
    stages=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$stages]" --set pretrain.steps=10 --set sft.steps=20 \
        --set dpo.checkpoint_every=1 "$@" 2>"$dir/log" | tail -n 1
}
again() { # options
    fresh
    run "$before, dpo" "$@"
}
first() { # member of the first step's row
    sed -n "s/.*\"step\":1,.*\"$1\":\([-0-9.e]*\).*/\1/p" "$dir/run/dpo/metrics.jsonl" | head -n 1
}
for precision in bf16 fp32; do
    rm -rf "$dir/run" "$dir/base"
    run "$before" --set precision=$precision >/dev/null
    mv "$dir/run" "$dir/base"
    plain=$(again --set precision=$precision)
    verdict "$precision: the first loss is that of a policy that is its reference" 0.693147 "$(first loss | cut -c1-8)"
    verdict "$precision: nothing has moved at step 0" 1 \
        "$(grep -c '"type":"eval","step":0,"accuracy":0.5,"margin":0.0,"drift":0.0' "$dir/run/dpo/metrics.jsonl")"
    verdict "$precision: the margin grows" yes "$(sed -n 's/.*"margin": \([-0-9.e]*\).*/\1/p' "$dir/run/summary.json" |
        awk '$1 > 0 { print "yes" }')"
    smooth=$(again --set precision=$precision --set dpo.smoothing=0.5)
    verdict "$precision: labels that say nothing teach nothing" 0.0 "$(first grad_norm)"
    average=$(again --set precision=$precision --set dpo.average=true)
    verdict "$precision: forms of the loss differ" 3 "$(printf '%s\n' "$plain" "$smooth" "$average" | sort -u | wc -l | tr -d ' ')"
done
# Of the loop's last model: the first gradient is linear in the slope of the loss, 1 - 2 smoothing, and halves are exact.
again >/dev/null
half=$(first grad_norm | awk '{ print $1 / 2 }')
again --set dpo.smoothing=0.25 >/dev/null
verdict "smoothing of a quarter halves the gradient" "$half" "$(first grad_norm | awk '{ print $1 + 0 }')"

fresh
for step in 1 3; do
    run "$before, dpo" --set dpo.average=true --set threads=1 >/dev/null &
    await "$dir/run/dpo/checkpoints/step-00000000$step.h5"
    end_run KILL
done
verdict "after kill -9" "$average" "$(run "$before, dpo" --set dpo.average=true)"
verdict "a row a step" 7 "$(grep -c '"type":"step"' "$dir/run/dpo/metrics.jsonl")"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 12 ]
