#!/bin/sh
# Distillation against further fine-tuning: for each seed the teacher is the model of conf/reasoning.yaml after grpo; a
# model of a fifth of its parameters, fine-tuned on the same examples, learns from the teacher's answers to the problems
# of grpo (`sampled`; `both`: from its distributions too), and as a control goes on with the stage sft for as many
# steps. Prints the share of greedy answers to held-out problems, on which no stage trained, that are right. Passes when both
# ways end above the control with every seed. By hand: make distill-control [SEEDS="1 2 3"] [OPTIONS=...] [DIR=...]
: "${top_srcdir:=.}"
recipe=$top_srcdir/conf/reasoning.yaml made="clean, tokenizer, questions, pretrain"
. "$top_srcdir/tests/run/control.sh"
before="$made, sft"
small="--set model.width=64 --set model.layers=2 --set model.heads=2 --set model.head_size=32"
rm -f "$dir/table"
echo "seed  teacher  before  more sft  sampled  both"
for seed in $SEEDS; do
    base=$dir/small-$seed teacher=$dir/$seed-grpo
    perform "$teacher" "$before, grpo"
    perform "$base" "$before" $small
    row="$seed $(member "$teacher" grpo accuracy_after)"
    for way in before sft sampled both; do
        run=$base-$way
        go_on "$run"
        case $way in
        before) found=$(measured "$run" "$before" $small) ;;
        sft)
            [ -d "$run/grpo" ] || rm -rf "$run/sft"
            found=$(measured "$run" "$before" $small --set sft.steps=4800) ;;
        *)
            found=$(measured "$run" "$before, distill" $small --set distill.mode=$way --set "distill.teacher=$teacher" \
                --set "distill.data=[$base/questions/problems.train.jsonl]" --set distill.steps=2400 \
                --set distill.batch=32 --set distill.lr=3e-3 --set distill.tokens=96) ;;
        esac
        row="$row $found"
    done
    echo "$row" | awk '{ printf "%4s  %5.1f %% %6.1f %% %7.1f %% %6.1f %% %5.1f %%\n", $1, 100 * $2, 100 * $3, 100 * $4,
                             100 * $5, 100 * $6 }' | tee -a "$dir/table"
done
awk '{ n++; good += $8 > $6 && $10 > $6 }
    END { printf "%d passed, %d failed\n", good, n - good; exit good < n || n == 0 }' "$dir/table"
