# What the scripts that compare runs share; to be sourced. $dir is theirs, and goes when they end.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, wanted, found
    if [ -n "$2" ] && [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1: $3, wanted $2"; fi
}
says() { # name, pattern in the log
    if grep -q "$2" "$dir/log"; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1:"; tail -n 3 "$dir/log"; fi
}
last() { # line that a run said
    tail -n 1 "$dir/out"
}
metrics() { # but for what a clock says
    sed 's/"seconds":[^,}]*//; s/"tokens_per_s":[^,}]*//; s/,"exchange_[a-z]*":[^,}]*//g' "$dir/run/metrics.jsonl"
}
steps() { # that are in the metrics
    grep -c '"type":"step"' "$dir/run/metrics.jsonl" 2>/dev/null
}
steps_reach() {
    [ "$(steps)" -ge "$1" ]
}
digest() { # environment and options of a fresh run
    rm -rf "$dir/run"
    "$@" --run-dir "$dir/run" 2>"$dir/log" | tail -n 1
}
fresh() { # $dir/run becomes what it was before the stages under test
    rm -rf "$dir/run"
    cp -r "$dir/base" "$dir/run"
}
wait_until() { # hundredths of a second after which it is given up, then a command
    hundredths=$1 tries=0
    shift
    until "$@" 2>/dev/null || [ $tries -gt "$hundredths" ]; do
        sleep 0.01
        tries=$((tries + 1))
    done
}
await() { # file, hundredths of a second after which it is given up
    wait_until "${2:-500}" test -e "$1"
}
end_run() { # signal, to the run of $dir/run that works in the background
    id=$(cat "$dir/run/lock" 2>/dev/null)
    [ -z "$id" ] || kill -"$1" "$id" 2>/dev/null
    wait
}
# The sets that are built in; not all of them run here.
sets() {
    "$yoke" --help | sed -n 's/.*YOKE_ISA=\([^ ]*\).*/\1/p' | tr '|' ' '
}
