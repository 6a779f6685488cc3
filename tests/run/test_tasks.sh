#!/bin/sh
# Evaluation tasks: JSON lines and task files of lm-evaluation-harness give the same figures; what stands in training text
# is found, by any number of threads; what is not supported is named with its line.
. "${top_srcdir:=.}/tests/run/common.sh"
tiny="$top_srcdir/conf/tiny.yaml"
short="--set pretrain.steps=20 --set evaluate.compressors=false"
field() { # name of a task, member
    awk -v task="\"$1\":" -v member="\"$2\":" '/"contamination"/ { exit } index($0, task) { on = 1 } on && $1 == member { print $2 + 0; exit }' "$dir/out"
}
eval_tasks() { "$yoke" eval "$dir/run" --json "$@" >"$dir/out" 2>"$dir/log"; }

cat >"$dir/q.jsonl" <<'JSON'
{"stem": " What falls? ", "options": {"text": ["the rain", "a field", "seven \u00e9t\u00e9s"], "tag": ["A", "B", "C"]}, "key": "A", "gold": 0}
{"stem": "Where does he walk?", "options": {"text": ["to the field", "up", "it is the sum"], "tag": ["A", "B", "C"]}, "key": "B", "gold": 1}
{"stem": "How many are left?", "options": {"text": ["none", "all of them", "five"], "tag": ["A", "B", "C"]}, "key": "C", "gold": 2}
JSON
cat >"$dir/arc.yaml" <<'YAML'
task: arc_like
tag: [some, tags]
dataset_path: json
dataset_kwargs:
  data_files: {validation: q.jsonl}
validation_split: validation
output_type: multiple_choice
doc_to_text: "Question: {{stem.strip()}}\nAnswer:"
doc_to_target: "{{options.tag.index(key)}}"
doc_to_choice: "{{options.text}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
metadata: {version: 1.0}
YAML
sed -e 's/arc_like/by_number/' -e 's/"{{options.tag.*/gold/' -e 's/"{{options.text}}"/"{{[options.text[0], options[\x27text\x27][1], options.text[2]]}}"/' \
    "$dir/arc.yaml" >"$dir/arc2.yaml"
cat >"$dir/own.jsonl" <<'JSON'
{"question": "Question: What falls?\nAnswer:", "choices": ["the rain", "a field", "seven \u00e9t\u00e9s"], "label": 0}
{"question": "Question: Where does he walk?\nAnswer:", "choices": ["to the field", "up", "it is the sum"], "label": 1}
{"question": "Question: How many are left?\nAnswer:", "choices": ["none", "all of them", "five"], "label": 2}
JSON
printf '{"prompt": "The rain", "target": "falls"}\n{"prompt": "The farmer", "target": "walks to the field"}\n' >"$dir/target.jsonl"
printf 'task: continued\ndataset_path: json\ndataset_kwargs:\n  data_files: target.jsonl\ntest_split: train\noutput_type: loglikelihood\ndoc_to_text: prompt\ndoc_to_target: " {{target}}"\nmetric_list:\n  - metric: perplexity\n  - metric: acc\n' >"$dir/continued.yaml"
printf 'task: pairs_like_blimp\ndataset_path: json\ndataset_kwargs:\n  data_files: pairs.jsonl\ntest_split: train\noutput_type: multiple_choice\ndoc_to_text: ""\ndoc_to_target: 0\ndoc_to_choice: "{{[good, bad]}}"\ntarget_delimiter: ""\nnum_fewshot: 0\n' >"$dir/blimp.yaml"
printf '{"good": "the man walks", "bad": "the man walk"}\n{"good": "they are", "bad": "they is"}\n' >"$dir/pairs.jsonl"

"$yoke" run "$tiny" --run-dir "$dir/run" $short --set "evaluate.tasks=[$dir/own.jsonl, $dir/arc.yaml]" >/dev/null 2>"$dir/log"
says "contamination is logged" 'items overlap with training text (13 words in a row)'
verdict "the summary has the tasks" 1 "$(grep -c '"arc_like": {"\|"arc_like": {$' "$dir/run/summary.json" | awk '{ print ($1 > 0) }')"
verdict "and the report" 1 "$(grep -c 'id="contamination"' "$dir/run/report.html")"
verdict "and that held-out text was compared" 1 "$(grep -c '"heldout/' "$dir/run/summary.json" | awk '{ print ($1 > 0) }')"

eval_tasks --task "$dir/own.jsonl" --task "$dir/arc.yaml" --task "$dir/arc2.yaml" --task "$dir/continued.yaml" \
    --task "$dir/target.jsonl" --task "$dir/blimp.yaml" --task "$dir/pairs.jsonl" || cat "$dir/log"
for member in accuracy accuracy_norm accuracy_bytes stderr; do
    verdict "$member of a task file" "$(field own $member)" "$(field arc_like $member)"
    verdict "$member by a list and a number" "$(field own $member)" "$(field by_number $member)"
done
verdict "perplexity of continuations" "$(field target perplexity)" "$(field continued perplexity)"
verdict "minimal pairs" "$(field pairs accuracy)" "$(field pairs_like_blimp accuracy)"
cp "$dir/out" "$dir/first"
says "what is ignored is noted" 'arc.yaml: not looked at: tag, metadata'
eval_tasks --chat yes --task "$dir/own.jsonl" --task "$dir/arc.yaml"
verdict "by the chat template" "$(field own accuracy_norm)" "$(field arc_like accuracy_norm)"

# Generation: the greedy answer itself is the expected text, but for case, full stops and blanks around it.
"$yoke" generate "$dir/run" --prompt "The farmer walks" --temperature 0 --tokens 12 2>/dev/null | sed '1s/^The farmer walks//' >"$dir/said"
tr '[:lower:]' '[:upper:]' <"$dir/said" | tr -d '.\n' | sed 's/^ *//; s/ *$//' >"$dir/answer"
printf '{"q": "The farmer walks", "a": "%s"}\n{"q": "The farmer walks", "a": "something else"}\n' "$(cat "$dir/answer")" >"$dir/gen.jsonl"
cat >"$dir/gen.yaml" <<'YAML'
task: said
dataset_path: json
dataset_kwargs: {data_files: gen.jsonl}
test_split: train
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: a
generation_kwargs: {until: ["zzzz"], max_gen_toks: 12, do_sample: false}
filter_list:
  - name: trimmed
    filter: [{function: remove_whitespace}, {function: take_first}]
metric_list:
  - {metric: exact_match, ignore_case: true, ignore_punctuation: true}
YAML
eval_tasks --task "$dir/gen.yaml" || cat "$dir/log"
verdict "exact match of what is generated" 0.5 "$(field said accuracy)"
sed -i 's/ignore_case: true/ignore_case: false/' "$dir/gen.yaml"
eval_tasks --task "$dir/gen.yaml"
verdict "which case decides" 0 "$(field said accuracy)"

# A sentence of the training text is found, shorter ones only as a whole.
zstd -dcq "$dir/run/clean/stories.train.jsonl.zst" | head -n 1 | sed 's/.*"text": *"//; s/\\n.*//; s/",.*//' | cut -d ' ' -f 1-15 >"$dir/seen"
{ printf '{"prompt": "So: %s", "choices": ["yes", "no"], "label": 0}\n' "$(cat "$dir/seen")"
  printf '{"prompt": "Who has ever seen a zebra dance upon the quiet moon of Saturn at noon?", "choices": ["none", "all"], "label": 1}\n'
  printf '{"good": "%s", "bad": "no such sentence is there at all"}\n' "$(cut -d ' ' -f 2-6 "$dir/seen")"; } >"$dir/seen.jsonl"
for threads in 1 3; do
    eval_tasks --task "$dir/seen.jsonl" --threads $threads || cat "$dir/log"
    verdict "overlapping items, threads $threads" 2 "$(sed -n 's/.*"overlapping": \([0-9]*\).*/\1/p' "$dir/out")"
    verdict "the rest is measured alone, threads $threads" 1 "$(field seen n_clean)"
    grep -A 40 '"contamination"' "$dir/out" >"$dir/found.$threads"
done
verdict "they are named alike" 0 "$(cmp "$dir/found.1" "$dir/found.3" >/dev/null && grep -q '"line": 3' "$dir/found.1"; echo $?)"

# So is what a stage made and learnt from.
mkdir "$dir/run/propose"
echo '{"prompt": "What then?", "completion": "Who has ever seen a zebra dance upon the quiet moon of Saturn at noon?"}' >"$dir/run/propose/train.jsonl"
eval_tasks --task "$dir/seen.jsonl"
verdict "overlapping with proposals" 3 "$(sed -n 's/.*"overlapping": \([0-9]*\).*/\1/p' "$dir/out")"
rm -r "$dir/run/propose"

refused() { # name, sed program on arc.yaml, message
    sed "$2" "$dir/arc.yaml" >"$dir/bad.yaml"
    eval_tasks --task "$dir/bad.yaml"
    verdict "$1: code" 4 $?
    if grep -qF -- "$3" "$dir/log"; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1:"; cat "$dir/log"; fi
}
refused "a function" 's/^doc_to_target:.*/doc_to_target: !function utils.target/' 'bad.yaml:9:16: tags (!name) are not supported; remove `!function`'
refused "an include" 's/^tag:.*/include: other.yaml/' 'bad.yaml:2:1: the key `include` of an evaluation task is not supported; supported are task, dataset_path'
refused "a filter" 's/stem.strip()/stem|upper/' 'bad.yaml:8:14: `doc_to_text`: `|upper` in `{{stem|upper}}` is not supported; supported are {{name}}'
refused "a statement" 's/Question: {{/{% if x %}{{/' 'bad.yaml:8:14: `doc_to_text`: Jinja statements such as `{% if x %}'
refused "a metric" 's/metric: acc_norm/metric: f1/' 'bad.yaml:15:13: the metric `f1` is not supported; of multiple_choice there are acc, acc_norm, acc_bytes'
refused "a hub's data" 's/^dataset_path:.*/dataset_path: allenai\/ai2_arc/' '`dataset_path: allenai/ai2_arc` is not supported, only json'
refused "examples in the prompt" 's/^tag:.*/num_fewshot: 5/' 'bad.yaml:2:14: `num_fewshot: 5` is not supported, only 0'
refused "an anchor" 's/^tag:.*/tag: \&a x/' 'bad.yaml:2:6: anchors (&name) are not supported'
refused "a missing split" 's/^validation_split:.*/test_split: test/' '`data_files` has no files of the split `test`'
refused "a missing file" 's/q.jsonl/nowhere.jsonl/' 'nowhere.jsonl: '
refused "a missing member" 's/options.text/options.words/' "q.jsonl:1: \`words\` of \`{{options.words}}\` is missing"
refused "a target that is no choice" 's/^doc_to_target:.*/doc_to_target: key/' 'q.jsonl:1: `doc_to_target` gives `A`, which is neither one of the choices'
eval_tasks --task "$dir/arc.yaml" --task "$dir/arc.yaml"
says "a name that comes twice" 'the task `arc_like` is that of'
eval_tasks --task "$dir/none.yaml"
says "a task file that is not there" 'none.yaml'
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 40 ]
