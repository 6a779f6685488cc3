#!/bin/sh
# Whether the best learning rate of a narrow model is that of a wide one: a grid of rates, a factor of 2 apart, at WIDTHS
# with the maximal-update parametrisation (model.base_width the first of them) and without, on the corpus of
# conf/quickstart.yaml. Passes when with it the best rates of the first and the last width are at most a factor of 2 apart.
# Prints the tables; `yoke compare` of the searches draws them. By hand: make mup-sweep [DIR=..] [SEED=1]
: "${top_srcdir:=.}" "${top_builddir:=build}" "${SEED:=1}" "${WIDTHS:=128 256 512}"
: "${RATES:=0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032}"
yoke=$(cd "$top_builddir" && pwd)/yoke
dir=${DIR:-$(mktemp -d)} && mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
[ -n "$DIR" ] || trap 'rm -rf "$dir"' EXIT
cd "$top_srcdir" && top_srcdir=. || exit 1 # where the corpus is
trials=$(echo "$RATES" | tr ',' '\n' | wc -l)
sweep() { # width, base width, directory
    "$yoke" run "$top_srcdir/conf/quickstart.yaml" --run-dir "$3" --set "stages=[clean, tokenizer, tune]" \
        --set seed="$SEED" --set model.width="$1" --set model.base_width="$2" --set model.head_size=64 \
        --set model.heads=0 --set model.layers=2 --set pretrain.steps=200 --set pretrain.batch=8 --set pretrain.seq=256 \
        --set pretrain.lr=0.001 --set pretrain.warmup=0.1 --set tuning.rungs=1 --set tuning.trials="$trials" \
        --set tuning.startup="$trials" --set "tune=[{key: pretrain.lr, scale: choice, values: [$RATES]}]" \
        >>"$3.log" 2>&1 || { tail -n 1 "$3.log" >&2; exit 1; }
    sed 's/.*"pretrain.lr":"\([^"]*\)".*"score":\([^,]*\),.*/\1 \2/' "$3/tune/trials.jsonl" | sort -g >"$3.scores"
}
best() { # directory: the rate of the lowest score
    sort -g -k 2 "$1.scores" | grep -v null | head -n 1 | cut -d ' ' -f 1
}
first=${WIDTHS%% *} last=${WIDTHS##* }
for base in 0 $first; do
    for width in $WIDTHS; do
        sweep "$width" "$base" "$dir/base-$base-width-$width"
        echo "base width $base, width $width: best rate $(best "$dir/base-$base-width-$width")"
        paste -s -d ' ' "$dir/base-$base-width-$width.scores"
    done
done
ratio() { # base width
    awk -v a="$(best "$dir/base-$1-width-$first")" -v b="$(best "$dir/base-$1-width-$last")" 'BEGIN { print (a > b ? a / b : b / a) }'
}
echo "best rate at $first against $last: a factor of $(ratio "$first") with, of $(ratio 0) without"
awk -v r="$(ratio "$first")" 'BEGIN { exit !(r <= 2.001) }' || { echo "0 passed, 1 failed"; exit 1; }
echo "1 passed, 0 failed"
