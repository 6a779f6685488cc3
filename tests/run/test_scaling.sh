#!/bin/sh
# Models that grow compute what they did and train on; a learning rate does the same at all widths where it should.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml
train() { # run, recipe, options
    run=$1 of=$2
    shift 2
    "$yoke" run "$of" --run-dir "$dir/$run" --set 'stages=[clean, tokenizer, pretrain]' "$@" 2>"$dir/log" | tail -n 1
}
refuses() { # name, fragment of the message, options of grow
    name=$1 fragment=$2
    shift 2
    "$yoke" grow "$dir/small" "$dir/refused" "$@" 2>"$dir/err" >/dev/null
    verdict "$name" "3 $fragment" "$? $(grep -oF -- "$fragment" "$dir/err" | head -n 1)"
}
grow() { # name, new run, most a logit may differ, options
    name=$1 run=$2 most=$3
    shift 3
    "$yoke" grow "$dir/small" "$dir/$run" "$@" 2>"$dir/log" |
        awk -v most="$most" '{ exit !(/largest difference/ && $NF <= most) }'
    verdict "$name" 0 $?
}
evaluated() { # run, member of the first (1) or last ($) evaluation
    grep '"type":"eval"' "$dir/$1/metrics.jsonl" | sed -n "$3s/.*\"$2\":\([0-9.e+]*\).*/\1/p"
}
train small "$recipe" --set pretrain.steps=40 >/dev/null
grow "deeper: the same bits" deep 0 --set model.layers=5
grow "more inner units and heads: the same bits" inner 0 --set model.ffn=160 --set model.heads=6
grow "four times as wide: the same bits" wide 0 --set model.width=128
grow "all at once, by odd factors" all 1e-5 --set model.layers=3 --set model.width=48 --set model.heads=4 \
    --set model.kv_heads=2 --set model.ffn=112
refuses "a smaller model" "model.ffn is 48, but the model has 96: it can only grow" --set model.ffn=48
refuses "into experts" "growth of or into experts is not built" --set model.experts=4
refuses "another kind" "model.tied changes" --set model.tied=false
refuses "fewer query heads a key head" "raise model.heads" --set model.kv_heads=2
verdict "nothing is left of what was refused" no "$([ -e "$dir/refused" ] && echo yes || echo no)"

one=$(train all "$dir/all/recipe.yaml" --set pretrain.steps=20 --set threads=1)
verdict "what was learnt stays" 1 "$(awk -v a="$(evaluated small bpb \$)" -v b="$(evaluated all bpb 1)" \
    'BEGIN { print (a - b < 0.1 && b - a < 0.1) }')"
verdict "training goes on" 1 "$(awk -v a="$(evaluated all bpb 1)" -v b="$(evaluated all bpb \$)" 'BEGIN { print (b < a) }')"
verdict "FLOPs add up" "$(evaluated small flops \$)" "$(evaluated all flops 1)"
"$yoke" grow "$dir/small" "$dir/again" --set model.layers=3 --set model.width=48 --set model.heads=4 \
    --set model.kv_heads=2 --set model.ffn=112 >/dev/null 2>&1
verdict "grown and trained again: one digest" "$one" \
    "$(YOKE_ISA=portable train again "$dir/again/recipe.yaml" --set pretrain.steps=20 --set threads=2)"

"$yoke" compare "$dir/small" "$dir/all" --output "$dir/compare.html" >/dev/null 2>"$dir/log"
verdict "a page compares both" "2 model.width" \
    "$(grep -o 'class="key c[01]"' "$dir/compare.html" | wc -l) $(grep -o model.width "$dir/compare.html" | head -n 1)"
"$yoke" compare "$dir/small" "$dir/nowhere" 2>"$dir/err" >/dev/null
verdict "what is no run is named" "4 nowhere" "$? $(grep -o nowhere "$dir/err" | head -n 1)"

exponents() { # base width: those of attention and logits, times 100
    "$yoke" coordcheck "$recipe" --widths 64,128,256 --set model.base_width="$1" --set model.head_size=16 \
        --set model.heads=0 --set model.kv_heads=0 --set model.ffn=0 --set pretrain.lr=0.01 --json 2>/dev/null |
        sed -n 's/.*"exponent": *\([-0-9.e]*\).*/\1/p' | awk '{ printf "%d ", 100 * $1 }'
}
verdict "with a base width steps do the same at all widths" yes \
    "$(exponents 64 | awk '{ for (i = 1; i <= NF; i++) if ($i > 15 || $i < -15) bad = 1; print NF == 4 && !bad ? "yes" : $0 }')"
verdict "without, they do more in a wide model" yes "$(exponents 0 | awk '{ print ($2 > 50 ? "yes" : $0) }')"
printf 'size: 300k\ntokenizer: {vocab: 320}\ncorpus: [{domain: a, paths: ["%s"]}]\n' "$recipe" >"$dir/size.yaml"
verdict "a recipe with a size has one depth and one rate at all widths" 4 \
    "$("$yoke" coordcheck "$dir/size.yaml" --widths 32,512 --steps 2 --json 2>"$dir/err" | grep -c '"exponent"')"
"$yoke" config "$recipe" --set model.base_width=32 --set pretrain.lr=0 2>"$dir/err" >/dev/null
verdict "a base width asks for a rate" "3 pretrain.lr" "$? $(grep -o pretrain.lr "$dir/err" | head -n 1)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
