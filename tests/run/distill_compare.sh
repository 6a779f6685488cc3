#!/bin/sh
# Distillation against fine-tuning: for each seed one small pretrained model learns the examples of conf/stages.yaml by the
# stage sft, and by distill (logits, sampled, both) from a larger run, in as many steps at the same rate. Prints held-out
# nats an answer token and the share of tokens that are right, of the teacher and of each. By hand:
#   sh tests/run/distill_compare.sh [SEEDS="1 2 3"] [STEPS=300] [OPTIONS="--set distill.mix=0.9"]
: "${top_srcdir:=.}" "${top_builddir:=build}" "${SEEDS:=1 2 3}" "${STEPS:=300}"
yoke=$top_builddir/yoke recipe=$top_srcdir/conf/stages.yaml
dir=${DIR:-$(mktemp -d)} && mkdir -p "$dir"
[ -n "$DIR" ] || trap 'rm -rf "$dir"' EXIT
before="clean, tokenizer, questions, pretrain"
perform() { # run, stages, options
    run=$1 stages=$2
    shift 2
    $LOCK "$yoke" run "$recipe" --run-dir "$run" --set seed="$seed" --set questions.problems=2000 \
        --set questions.heldout_problems=200 --set "questions.kinds=[compare, add, sort, count]" $OPTIONS --set "stages=[$stages]" "$@" \
        >"$run.out" 2>"$run.log" || { tail -n 1 "$run.log" >&2; exit 1; }
}
figures() { # run, stage, label
    awk -v stage="\"$2\":" -v label="$3" -v seed="$seed" '
        $1 == stage { inside = 1 }
        inside && $1 == "\"end\":" && !loss { loss = $2 }
        inside && $1 == "\"heldout_accuracy\":" && !right { right = $2 }
        inside && $1 == "\"agreement\":" && !same { same = sprintf("%.1f %% as the teacher", 100 * $2) }
        END { printf "%4s  %-8s %7.4f  %5.1f %%  %s\n", seed, label, loss + 0, 100 * right, same }' "$1/summary.json"
}
echo "seed           nats   right"
for seed in $SEEDS; do
    perform "$dir/teacher-$seed" "$before, sft" --set model.width=128 --set model.heads=4 --set model.kv_heads=2 \
        --set model.head_size=32 --set model.ffn=352 --set model.layers=3 --set sft.steps=$((4 * STEPS)) --set sft.lr=3e-3
    figures "$dir/teacher-$seed" sft teacher
    perform "$dir/base-$seed" "$before"
    cp -r "$dir/base-$seed" "$dir/sft-$seed"
    perform "$dir/sft-$seed" "$before, sft" --set sft.steps="$STEPS"
    figures "$dir/sft-$seed" sft sft
    for mode in logits sampled both; do
        cp -r "$dir/base-$seed" "$dir/$mode-$seed"
        perform "$dir/$mode-$seed" "$before, distill" --set distill.mode=$mode --set "distill.teacher=$dir/teacher-$seed" \
            --set distill.steps="$STEPS" --set distill.batch=16 --set distill.lr=1e-2
        figures "$dir/$mode-$seed" distill $mode
    done
done
