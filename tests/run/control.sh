# Shared by the scripts that compare a stage with a control, by hand; they are sourced after `recipe` and `made`, the
# stages that the contestants of a seed have in common, are set. In DIR they go on where they were stopped; LOCK comes
# before every command.
: "${top_srcdir:=.}" "${top_builddir:=build}" "${SEEDS:=1 2 3}"
yoke=$top_builddir/yoke
dir=${DIR:-$(mktemp -d)} && mkdir -p "$dir"
[ -n "$DIR" ] || trap 'rm -rf "$dir"' EXIT
member() { # run, stage, member of its summary
    awk -v stage="\"$2\":" -v member="\"$3\":" '
        $1 == stage { inside = 1 }
        inside && $1 == member { sub(",", "", $2); print $2; exit }' "$1/summary.json"
}
perform() { # run, stages, options; again as long as it was stopped
    run=$1 stages=$2
    shift 2
    until $LOCK "$yoke" run "$recipe" --run-dir "$run" --set seed="$seed" --set pretrain.keep=9 $OPTIONS \
        --set "stages=[$stages]" "$@" >"$run.out" 2>>"$run.log" && ! grep -q '^stopped' "$run.out"; do
        grep -q '^stopped' "$run.out" || { tail -n 1 "$run.log" >&2; exit 1; }
    done
}
# Run, model: the run becomes what $base is. With a model it begins with that, as the newest checkpoint of pretraining.
go_on() {
    [ -d "$1" ] && return
    rm -rf "$1.new"
    cp -r "$base" "$1.new"
    if [ $# -gt 1 ]; then
        cp "$2" "$1.new/checkpoints/step-999999999.h5"
        rm -r "$1.new/sft"
    fi
    mv "$1.new" "$1"
}
measured() { # run, stages, options: the share of held-out problems that is right, by a stage grpo that learns nothing
    perform "$@"
    shift 2
    perform "$run" "$stages, grpo" "$@" --set grpo.steps=1 --set grpo.prompts=1 --set grpo.lr=0
    member "$run" grpo accuracy_before
}
