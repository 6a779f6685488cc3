#!/bin/sh
# Models leave as directories of transformers and come back: the same weights, text and stages that go on from there.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
try() { # name, exit code, fragment of the message, command...
    name=$1 code=$2 fragment=$3
    shift 3
    "$@" >"$dir/out" 2>"$dir/err"
    verdict "$name" "$code $fragment" "$? $(grep -oF -- "$fragment" "$dir/err" | head -n 1)"
}
text() { # run
    "$yoke" generate "$dir/$1" --prompt 'The farmer' --tokens 20 2>/dev/null
}
"$yoke" run "$recipe" --run-dir "$dir/own" --set pretrain.steps=20 --set 'stages=[clean, tokenizer, pretrain]' \
    >/dev/null 2>"$dir/log"
try "export" 0 Qwen3ForCausalLM "$yoke" export "$dir/own" "$dir/hf"
try "import" 0 Qwen3ForCausalLM "$yoke" import "$dir/hf" "$dir/back"
verdict "the same text" "$(text own)" "$(text back)"
try "shards of two bytes a number" 0 Qwen3ForCausalLM "$yoke" export "$dir/back" "$dir/half" --type bf16 --shard-size 20k
verdict "several files" yes "$(ls "$dir"/half/model-00002-of-*.safetensors >/dev/null && echo yes)"
verdict "their index" 1 "$(grep -c '"model.norm.weight": "model-' "$dir/half/model.safetensors.index.json")"
try "import of shards" 0 Qwen3ForCausalLM "$yoke" import "$dir/half" "$dir/again" --precision bf16
try "what was bf16 is so again" 0 Qwen3ForCausalLM "$yoke" export "$dir/again" "$dir/half2" --type bf16 --shard-size 20k
verdict "bit for bit" \
    "$(cd "$dir/half" && cat ./*.safetensors | cksum)" "$(cd "$dir/half2" && cat ./*.safetensors | cksum)"
verdict "of the tokenizer too" "$(cksum <"$dir/half/tokenizer.json")" "$(cksum <"$dir/half2/tokenizer.json")"

cat >"$dir/talk.jsonl" <<'END'
{"prompt": "Who walks to the field?", "completion": "The farmer walks to the field."}
{"prompt": "What is 3 + 4?", "completion": "7"}
END
on() { # run, stages
    "$yoke" run "$dir/$1/recipe.yaml" --run-dir "$dir/$1" --set "stages=[$2]" --set sft.data="$dir/talk.jsonl" \
        --set sft.steps=3 --set sft.batch=2 --set seed=7 >/dev/null 2>"$dir/log"
}
on own "clean, tokenizer, pretrain, sft"
on back sft
verdict "an imported model is fine-tuned as the run it came from" "all 18 tensors are equal, bit for bit" \
    "$("$yoke" diff "$dir/own/sft/model.h5" "$dir/back/sft/model.h5")"
verdict "... and answers" "$(text own)" "$(text back)"
try "a model that talks" 0 Qwen3ForCausalLM "$yoke" export "$dir/back" "$dir/talks"
verdict "has its chat template" 1 "$(grep -c 'chat_template.*im_start' "$dir/talks/tokenizer_config.json")"
"$yoke" run "$recipe" --run-dir "$dir/more" --set 'stages=[clean, tokenizer]' >/dev/null 2>&1
cp -r "$dir/back/import" "$dir/more/import"
"$yoke" run "$recipe" --run-dir "$dir/more" --set pretrain.steps=1 --set 'stages=[clean, tokenizer, pretrain]' \
    >/dev/null 2>"$dir/log"
verdict "it begins where the model was" \
    "$("$yoke" eval "$dir/own" --json | sed -n 's/.*"heldout_bpb": \([0-9.]\{5\}\).*/\1/p')" \
    "$(sed -n 's/.*"type":"eval","step":0,.*"bpb":\([0-9.]\{5\}\).*/\1/p' "$dir/more/metrics.jsonl")"

try "a file for llama.cpp" 0 own.gguf "$yoke" export "$dir/own" "$dir/own.gguf" --to gguf --type q8_0
verdict "names its split" 1 "$("$yoke" inspect "$dir/own.gguf" | grep -c 'tokenizer.ggml.pre .*qwen2')"
try "no such type of numbers there" 2 'there are f32, bf16, f16 and q8_0' \
    "$yoke" export "$dir/own" "$dir/x" --to gguf --type q4

try "what is there stays" 4 'exists already and is not empty' "$yoke" export "$dir/own" "$dir/hf"
try "a run directory too" 4 'exists already and is not empty' "$yoke" import "$dir/hf" "$dir/own"
try "no such type" 2 'there are f32, bf16 and f16' "$yoke" export "$dir/own" "$dir/x" --type q4
try "no such format" 2 'there are hf and gguf' "$yoke" export "$dir/own" "$dir/x" --to onnx
truncate -s -1 "$dir/hf/model.safetensors"
try "a truncated file" 4 'the file is truncated or damaged' "$yoke" import "$dir/hf" "$dir/x"
sed -i 's/"silu"/"relu"/' "$dir/half/config.json"
try "another activation" 4 '`hidden_act` is not "silu"' "$yoke" import "$dir/half" "$dir/x"
verdict "nothing half-written" none "$(ls -d "$dir"/x* 2>/dev/null || echo none)"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 20 ]
