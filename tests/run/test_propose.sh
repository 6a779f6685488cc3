#!/bin/sh
# The stage propose: one file and one digest whatever computes it and after kill -9; what sft learns from; bad input.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
before="clean, tokenizer, questions, pretrain"
run() { # stages, options
    stages=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$stages]" --set sft.steps=3 --set sft.samples=0 "$@" \
        2>"$dir/log" | tail -n 1
}
again() { # options; the stages before are done
    fresh
    run "$before, propose, sft" "$@"
}
rows() {
    cksum <"$dir/run/propose/train.jsonl"
}
# Answers that the model writes, after an example; such a model ends its lines by chance alone.
echo '{"prompt": "Who sells it?", "completion": "The cook."}' >"$dir/examples"
sampled="--set propose.answers=sampled --set propose.answer_temperature=1 --set propose.passage_bytes=60
    --set propose.shots=1 --set propose.examples=[$dir/examples] --set propose.per_passage=8
    --set propose.answer_tokens=70 --set propose.answer_words_min=1 --set propose.answer_words_max=100
    --set propose.answer_overlap=0 --set propose.margin=-9 --set propose.question_margin=-9"

sets=$(sets)
for precision in fp32 bf16; do
    rm -rf "$dir/base" "$dir/run"
    run "$before" --set precision=$precision >/dev/null
    mv "$dir/run" "$dir/base"
    for answers in "" "$sampled"; do
        first=$(again --set precision=$precision --set threads=1 $answers)
        made=$(rows)
        case $first in "digest "????????????????????????????????) ;; *) cat "$dir/log" ;; esac
        verdict "$precision, 3 threads" "$first" "$(again --set precision=$precision --set threads=3 $answers)"
        verdict "$precision, 3 threads, the same file" "$made" "$(rows)"
    done
    for isa in $sets; do
        found=$(YOKE_ISA=$isa again --set precision=$precision $sampled)
        grep -q 'this processor lacks it' "$dir/log" || verdict "$precision, YOKE_ISA=$isa" "$first" "$found"
    done
done
verdict "rows are of the kind" 0 "$(grep -vc '"kind":"proposed"}$' "$dir/run/propose/train.jsonl")"
verdict "sft learns from them" $((300 + $(wc -l <"$dir/run/propose/train.jsonl"))) \
    "$(sed -n 's/.*"examples": \([0-9]*\).*/\1/p' "$dir/run/summary.json")"
again --set precision=bf16 $sampled --set "sft.data=[$dir/base/questions/train.jsonl]" >/dev/null
verdict "not where files are named" 300 "$(sed -n 's/.*"examples": \([0-9]*\).*/\1/p' "$dir/run/summary.json")"

# What evaluation tasks have is kept out, whether lines or a task file name it.
again --set precision=bf16 >/dev/null
seen=$(sed -n 's/.*"completion":"\([^"\\]*\)".*/\1/p' "$dir/run/propose/train.jsonl" | head -n 1)
echo "{\"prompt\": \"$seen\", \"answer\": \"it\"}" >"$dir/set.jsonl"
printf 'dataset_path: json\ndataset_kwargs: {data_files: set.jsonl}\ntest_split: train\noutput_type: generate_until
doc_to_text: "{{prompt}}"\ndoc_to_target: answer\n' >"$dir/set.yaml"
for set in jsonl yaml; do
    again --set precision=bf16 --set "evaluate.tasks=[$dir/set.$set]" >/dev/null
    verdict "evaluation tasks by .$set" yes "$(sed -n 's/.*"overlaps an evaluation set": \([0-9]*\).*/\1/p' "$dir/run/propose/report.json" |
        awk '$1 > 0 { print "yes" }')"
done

# More than are made at once, killed as soon as there is something of them.
many() { # options
    run "$before, propose, sft" --set precision=bf16 --set propose.passages=400 --set propose.per_passage=4 "$@"
}
fresh
wanted=$(many)
made=$(rows)
for file in train.jsonl report.json; do
    fresh
    many --set threads=1 >/dev/null &
    await "$dir/run/propose/$file"
    end_run KILL
    verdict "kill -9 after $file" "$wanted" "$(many)"
    verdict "kill -9 after $file, the same file" "$made" "$(rows)"
done
says "going on with the first part" 'going on after [0-9]* of 1600 proposals'
verdict "a second time" "$wanted" "$(many)"
head -c 1000 "$dir/run/propose/train.jsonl" >"$dir/part"
mv "$dir/part" "$dir/run/propose/train.jsonl"
rm "$dir/run/stages.json"
verdict "a file that was cut short" "$wanted" "$(many)"
verdict "a file that was cut short, the same file" "$made" "$(rows)"

again --set precision=bf16 --set propose.languages=[xx] >/dev/null
says "no passage" 'no document of the clean stage has a passage'
again --set precision=bf16 --set propose.question_tokens=400 >/dev/null
says "no room" 'no passage fits the context of 160 tokens'
again --set precision=bf16 --set propose.margin=900 >/dev/null
wanted=$(run "$before, propose, sft" --set precision=bf16)
made=$(rows)
run "$before, propose, sft" --set precision=bf16 --set propose.margin=900 >/dev/null
verdict "after another recipe in the same directory" "$wanted $made" \
    "$(rm -r "$dir/run/sft"; run "$before, propose, sft" --set precision=bf16) $(rows)"
again --set precision=bf16 --set propose.margin=900 >/dev/null
says "nothing passes" 'none of 120 proposals passes the gate ([0-9].* the passage does not help'
again --set precision=bf16 --set 'propose.templates=[What is it?]' >/dev/null
says "no template" '`propose.templates` has `What is it?`'
fresh
rm "$dir/run/clean/sums.train.jsonl.zst"
run "pretrain, propose" --set precision=bf16 >/dev/null
says "no documents" 'sums.train.jsonl.zst is missing'
run "clean, tokenizer, propose" --set precision=bf16 >/dev/null
says "no model" 'put `pretrain` before `propose`'
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 20 ]
