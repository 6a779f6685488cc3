#!/bin/sh
# The stage distill: one digest whatever computes it and after kill -9; a teacher that is missing or speaks otherwise.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
before="clean, tokenizer, questions, pretrain"
run() { # stages, options
    stages=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$stages]" --set pretrain.steps=10 --set distill.steps=12 \
        --set distill.batch=8 --set distill.samples=1 --set distill.tokens=32 --set distill.checkpoint_every=3 \
        --set "distill.teacher=$dir/teacher" "$@" 2>"$dir/log" | tail -n 1
}
again() { # options; the stages before are done
    fresh
    run "$before, distill" "$@"
}

run "$before, sft" --set model.width=64 --set model.ffn=192 --set sft.steps=80 >/dev/null
mv "$dir/run" "$dir/teacher"
sets=$(sets)
for precision in fp32 bf16; do
    rm -rf "$dir/base" "$dir/run"
    run "$before" --set precision=$precision >/dev/null
    mv "$dir/run" "$dir/base"
    for mode in logits sampled both; do
        first=$(again --set precision=$precision --set distill.mode=$mode --set threads=1)
        case $first in "digest "????????????????????????????????) ;; *) echo "FAILED: no digest: $first"; cat "$dir/log" ;; esac
        verdict "$precision, $mode, 3 threads" "$first" "$(again --set precision=$precision --set distill.mode=$mode --set threads=3)"
    done
    for isa in $sets; do
        found=$(YOKE_ISA=$isa again --set precision=$precision --set distill.mode=both)
        grep -q 'this processor lacks it' "$dir/log" || verdict "$precision, both, YOKE_ISA=$isa" "$first" "$found"
    done
done
case $(again --set precision=bf16 --set distill.mode=sampled --set "distill.data=[$dir/base/questions/problems.train.jsonl]") in
    "digest "*) found=yes ;; *) found=no ;;
esac
verdict "prompts without answers are answered" yes "$found"
verdict "what was answered is kept" yes "$([ -s "$dir/run/distill/data.jsonl" ] && echo yes)"

# A kill as soon as the stage has its first checkpoint, and one while the teacher answers. The last loop's is bf16, both.
fresh
for file in sampling.json checkpoints/step-000000003.h5 checkpoints/step-000000009.h5; do
    run "$before, distill" --set precision=bf16 --set distill.mode=both >/dev/null &
    await "$dir/run/distill/$file"
    end_run KILL
done
verdict "after kill -9" "$first" "$(run "$before, distill" --set precision=bf16 --set distill.mode=both)"
verdict "a second time" "$first" "$(run "$before, distill" --set precision=bf16 --set distill.mode=both)"

# Prompts enough that answers come in parts: those that are there are not made again.
data=$dir/base/questions/train.jsonl
many() { # options
    run "$before, distill" --set precision=bf16 --set distill.mode=sampled --set "distill.data=[$data,$data,$data,$data]" "$@"
}
fresh
wanted=$(many)
cp "$dir/run/distill/data.jsonl" "$dir/answers"
for file in data.jsonl sampling.json; do
    fresh
    many --set threads=1 >/dev/null &
    await "$dir/run/distill/$file"
    end_run KILL
    verdict "many prompts, kill -9 after $file" "$wanted" "$(many)"
    verdict "the same answers" yes "$(cmp -s "$dir/answers" "$dir/run/distill/data.jsonl" && echo yes)"
done
says "going on with the first part" 'going on after 512 of 1200 '
rm -r "$dir/run/distill/model.h5" "$dir/run/distill/checkpoints"
head -c 1000 "$dir/answers" >"$dir/run/distill/data.jsonl"
verdict "a file of answers that was cut short" "$wanted" "$(many)"

# A teacher that is its own student.
rm -rf "$dir/run"
cp -r "$dir/teacher" "$dir/run"
run "$before, sft, distill" --set model.width=64 --set model.ffn=192 --set sft.steps=80 >/dev/null
found=$(sed -n 's/.*"agreement_before": \([0-9.]*\).*/\1/p' "$dir/run/summary.json")
verdict "a teacher agrees with itself" 1.0 "$found"

again --set precision=bf16 --set distill.teacher= >/dev/null
says "no teacher" 'distill.teacher names no run'
again --set precision=bf16 --set "distill.teacher=$dir/nowhere" >/dev/null
says "a teacher that is not there" 'nowhere/recipe.yaml'
cp -r "$dir/teacher" "$dir/other"
sed 's/"<|mask|>"/"<|task|>"/' "$dir/teacher/tokenizer/tokenizer.json" >"$dir/other/tokenizer/tokenizer.json"
again --set precision=bf16 --set "distill.teacher=$dir/other" >/dev/null
says "another tokenizer" 'tokenizer.json is not that of'
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 10 ]
