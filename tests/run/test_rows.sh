#!/bin/sh
# What a run records of a stage is the same whenever it was stopped or killed: each row of metrics.jsonl and each line of
# samples.jsonl once, but for the seconds.
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/stages.yaml
stages=$(sed -n 's/^stages: \[\(.*\), evaluate\]/\1/p' "$recipe")
run() { # stages, options
    until=$1
    shift
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$until]" "$@" 2>"$dir/log" | tail -n 1
}
rows() { # run, stage
    for file in metrics samples; do
        echo "$file"
        [ ! -e "$1/$2/$file.jsonl" ] ||
            sed 's/"[a-z_]*seconds":[^,}]*,*//g; s/"tokens_per_s":[^,}]*,*//g' "$1/$2/$file.jsonl"
    done
}
same() { # name, stage
    rows "$dir/run" "$2" >"$dir/found"
    rows "$dir/whole" "$2" >"$dir/wanted"
    verdict "$2: $1" same "$(cmp -s "$dir/wanted" "$dir/found" && echo same || diff "$dir/wanted" "$dir/found" | head -n 5)"
}
begin() { # stage: as it is before, in $dir/run
    rm -rf "$dir/run"
    cp -r "$dir/whole" "$dir/run"
    [ "$1" = . ] || rm -r "${dir:?}/run/$1"
}
stop_in() { # signal, stage, moments later, stages
    "$yoke" run "$recipe" --run-dir "$dir/run" --set "stages=[$4]" >/dev/null 2>&1 &
    id=$! wait=0
    until grep -q '"step"' "$dir/run/$2/metrics.jsonl" 2>/dev/null || [ $wait -gt 500 ]; do
        sleep 0.01
        wait=$((wait + 1))
    done
    sleep "$3"
    kill -"$1" $id 2>/dev/null
    wait $id 2>/dev/null
}

run "$stages" >/dev/null
mv "$dir/run" "$dir/whole"
until=
for stage in $(echo "$stages" | tr -d ','); do
    until=${until:+$until, }$stage
    case $stage in clean | tokenizer | questions | pretrain) continue ;; esac
    # Killed after the last checkpoint, before model.h5.
    rm -rf "$dir/run"
    cp -r "$dir/whole" "$dir/run"
    rm "$dir/run/$stage/model.h5"
    run "$until" >/dev/null
    same "its end twice" "$stage"
    # Killed before the last checkpoint, when all rows were there.
    rm "$dir/run/$stage/model.h5"
    rm "$(find "$dir/run/$stage/checkpoints" -name 'step-*.h5' | sort | tail -n 1)"
    run "$until" >/dev/null
    same "without its last checkpoint" "$stage"
    begin "$stage"
    for later in 0 0.05 0.1; do
        stop_in KILL "$stage" $later "$until"
        stop_in TERM "$stage" $later "$until"
    done
    run "$until" >/dev/null
    same "killed and stopped" "$stage"
done
verdict "dpo shows answers, before and after" 2 "$(cut -d, -f1 "$dir/whole/dpo/samples.jsonl" | sort -u | wc -l | tr -d ' ')"
verdict "a reward model answers nothing" no "$([ -e "$dir/whole/reward/samples.jsonl" ] && echo yes || echo no)"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 19 ]
