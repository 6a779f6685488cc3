#!/bin/sh
# conf/stages.yaml, which has every stage: one digest whatever computes it, and after kill -9 in each stage.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml

first=$(digest "$yoke" run "$recipe" --set threads=1)
case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
verdict "2 threads" "$first" "$(digest "$yoke" run "$recipe" --set threads=2)"
verdict "3 threads" "$first" "$(digest "$yoke" run "$recipe" --set threads=3)"
# The portable set is slow: few steps, with which a model answers nothing right. grpo and refine are test_grpo.sh's.
few="--set pretrain.steps=4 --set sft.steps=3 --set reward.epochs=0.3 --set ppo.steps=1 --set dpo.epochs=0.3"
most="[clean, tokenizer, questions, pretrain, sft, reward, ppo, dpo]"
for precision in fp32 bf16; do
    wanted=
    for isa in $(sets); do
        found=$(YOKE_ISA=$isa digest "$yoke" run "$recipe" --set precision=$precision $few --set "stages=$most")
        grep -q 'this processor lacks it' "$dir/log" && continue
        verdict "$precision, YOKE_ISA=$isa" "${wanted:=$found}" "$found"
    done
done
lanes=$(digest "$yoke" run "$recipe" --set lanes=2)
verdict "lanes and threads" "$lanes" "$(digest "$yoke" run "$recipe" --set lanes=2 --set threads=3)"

# A kill as soon as a stage has written its first metrics, and one a moment later.
rm -rf "$dir/run"
for stage in $(sed -n 's/^stages: \[\(.*\)\]/\1/p' "$recipe" | tr -d ','); do
    [ "$stage" = evaluate ] && continue
    for later in 0 0.1; do
        "$yoke" run "$recipe" --run-dir "$dir/run" >/dev/null 2>&1 &
        id=$! wait=0
        until [ -e "$dir/run/$stage/metrics.jsonl" ] || [ -e "$dir/run/$stage/report.json" ] || [ $wait -gt 500 ]; do
            kill -0 $id 2>/dev/null || break
            sleep 0.01
            wait=$((wait + 1))
        done
        sleep $later
        kill -KILL $id 2>/dev/null
        wait $id 2>/dev/null
    done
done
verdict "after kill -9 in each stage" "$first" "$("$yoke" run "$recipe" --run-dir "$dir/run" 2>"$dir/log" | tail -n 1)"
verdict "a second time" "$first" "$("$yoke" run "$recipe" --run-dir "$dir/run" 2>"$dir/log" | tail -n 1)"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 8 ]
