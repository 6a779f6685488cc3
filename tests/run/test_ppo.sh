#!/bin/sh
# The stage ppo: a policy that runs away ends it, and leaves no checkpoint, whenever it is stopped; what is left out is
# counted; shares of time are of one whole. Bits are test_stages.sh's, rows test_rows.sh's.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
before="clean, tokenizer, questions, pretrain, sft, reward"
run() { # stages, options
    stages=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$stages]" --set pretrain.steps=10 --set sft.steps=60 \
        --set ppo.checkpoint_every=1 "$@" 2>"$dir/log" | tail -n 1
}
again() { # options
    fresh
    run "$before, ppo" "$@"
}
checkpoints() {
    find "$dir/run/ppo/checkpoints" -name 'step-*.h5' | wc -l | tr -d ' '
}
member() { # of summary.ppo
    sed -n '/"ppo": {/,/^  }/s/.*"'"$1"'": \([-0-9.e]*\).*/\1/p' "$dir/run/summary.json" | head -n 1
}

run "$before" >/dev/null
mv "$dir/run" "$dir/base"
again --set ppo.kl_limit=1e-9 --set ppo.lr=1e-2 >/dev/null
says "a policy that runs away" 'stage ppo: .*above ppo.kl_limit, after step 1'
verdict "no checkpoint of it" 0 "$(checkpoints)"
again --set ppo.kl_limit=1e9 --set ppo.lr=1e-2 >/dev/null
verdict "a limit that is far away" 4 "$(member steps)"

# A stop in the midst of the step that runs away.
fresh
run "$before, ppo" --set ppo.kl_limit=1e-9 --set ppo.lr=1e-2 --set ppo.epochs=100 --set ppo.prompts=64 >/dev/null &
wait=0
until grep -q '"eval"' "$dir/run/ppo/metrics.jsonl" 2>/dev/null || [ $wait -gt 500 ]; do
    sleep 0.01
    wait=$((wait + 1))
done
sleep 0.1
end_run TERM
verdict "a stop saves no policy that ran away" 0 "$(checkpoints)"
says "but says that it did" 'above ppo.kl_limit, after step 1'

# A prompt that leaves no room for an answer.
data=$dir/base/questions/pairs.train.jsonl
long=$(yes 'What is it?' | head -n 200 | tr '\n' ' ')
{ cat "$data"; head -n 1 "$data" | sed "s/\"prompt\":\"/&$long/"; } >"$dir/pairs.jsonl"
again --set "ppo.data=[$dir/pairs.jsonl]" >/dev/null
says "a prompt that is too long" 'ppo: 1 of 121 prompts fill the context'
verdict "it is counted" "1 of 120" "$(member left_out) of $(member prompts)"
verdict "shares are of one whole" 1.000 "$(echo "$(member generation) $(member scoring) $(member learning)" |
    awk '{ printf "%.3f", $1 + $2 + $3 }')"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 7 ]
