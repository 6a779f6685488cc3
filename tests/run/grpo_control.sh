#!/bin/sh
# Reinforcement against further fine-tuning: for each seed, from one fine-tuned model, the stage grpo of
# conf/reasoning.yaml, and as a control the stage sft again, on the same examples for as many seconds. The model is
# fine-tuned on examples of which six in ten answer at once and four with worked steps, and nothing in the prompt says
# which: that steps pay is what the reward teaches. Prints the share of greedy answers to held-out problems, on which no
# stage trained, that are right: before, after grpo, after the control. Passes when grpo gains at least 20 points with
# every seed. By hand: make grpo-control [SEEDS="1 2 3"] [OPTIONS="--set grpo.lr=1e-4"]
: "${top_srcdir:=.}" "${top_builddir:=build}" "${SEEDS:=1 2 3}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/reasoning.yaml
dir=${DIR:-$(mktemp -d)} && mkdir -p "$dir"
[ -n "$DIR" ] || trap 'rm -rf "$dir"' EXIT
made="clean, tokenizer, questions, pretrain"
before="clean, tokenizer, questions, pretrain, sft"
member() { # run, stage, member of its summary
    awk -v stage="\"$2\":" -v member="\"$3\":" '
        $1 == stage { inside = 1 }
        inside && $1 == member { sub(",", "", $2); print $2; exit }' "$1/summary.json"
}
data() { # whitespace-free options that name the files of the seed
    for stage in sft: grpo:problems.; do
        echo "--set ${stage%%:*}.data=[$dir/$seed.${stage#*:}train.jsonl]" \
            "--set ${stage%%:*}.heldout=[$dir/$seed.${stage#*:}heldout.jsonl]"
    done
}
perform() { # run, stages, options; again as long as it was stopped
    run=$1 stages=$2
    shift 2
    until $LOCK "$yoke" run "$recipe" --run-dir "$run" --set seed="$seed" $OPTIONS $(data) --set "stages=[$stages]" "$@" \
        >"$run.out" 2>>"$run.log" && ! grep -q '^stopped' "$run.out"; do
        grep -q '^stopped' "$run.out" || { tail -n 1 "$run.log" >&2; exit 1; }
    done
}
rm -f "$dir/table"
echo "seed  before  grpo  sft again  seconds of grpo, of sft again"
for seed in $SEEDS; do
    base=$dir/$seed
    perform "$base" "$made"
    questions=$base/questions
    for set in train heldout; do
        sed 's/ Think step by step\.//' "$questions/$set.jsonl" |
            awk 'NR % 10 < 6 { sub(/<think>.*<\/think>/, "") } 1' >"$dir/$seed.$set.jsonl"
        sed 's/ Think step by step\.//' "$questions/problems.$set.jsonl" >"$dir/$seed.problems.$set.jsonl"
    done
    perform "$base" "$before"
    rm -rf "$base-grpo" "$base-sft"
    cp -r "$base" "$base-grpo"
    perform "$base-grpo" "$before, grpo"
    # The control begins with the fine-tuned model, which it finds as the newest checkpoint of pretraining.
    cp -r "$base" "$base-sft"
    mv "$base-sft/sft/model.h5" "$base-sft/checkpoints/step-999999999.h5"
    rm -r "$base-sft/sft"
    steps=$(awk -v grpo="$(member "$base-grpo" grpo seconds)" -v sft="$(member "$base" sft seconds)" \
        -v steps="$(member "$base" sft steps)" 'BEGIN { printf "%d", grpo * steps / sft + 1 }')
    perform "$base-sft" "$before" --set sft.steps="$steps"
    seconds=$(member "$base-sft" sft seconds)
    perform "$base-sft" "$before, grpo" --set sft.steps="$steps" --set grpo.steps=1 --set grpo.lr=0
    echo "$seed $(member "$base-grpo" grpo accuracy_before) $(member "$base-grpo" grpo accuracy_after)" \
        "$(member "$base-sft" grpo accuracy_before) $(member "$base-grpo" grpo seconds) $seconds" |
        awk '{ printf "%4s  %5.1f %%  %4.1f %%  %5.1f %%  %.1f  %.1f\n", $1, 100 * $2, 100 * $3, 100 * $4, $5, $6 }' |
        tee -a "$dir/table"
done
awk '{ n++; good += $4 - $2 >= 20 }
    END { printf "%d passed, %d failed\n", good, n - good; exit good < n || n == 0 }' "$dir/table"
