#!/bin/sh
# Storms of faults over conf/tiny.yaml, by hand; sizes by environment:
#   storm.sh kill      kill -9 at STRIKES random moments, of one of RANKS (1)           make kill-storm
#   storm.sh stop      SIGSTOP of one of RANKS (2), with a watchdog of 3 s              make stop-storm
#   storm.sh signal    SIGUSR1 to one of RANKS (1)                                      make signal-storm
#   storm.sh boundary  kill -9 at system calls that write: FROM..TO of those below      make boundary-storm
#   storm.sh disk      ERROR (ENOSPC) from such a call on, for good                     make disk-storm
# After each the run goes on. None may hang; every checkpoint is whole; no more than the steps since the last one are
# lost; and the digest at the end is that of the run that was left alone. SEED chooses the moments, up to MOST_MS (1500)
# after the start.
mode=${1:-kill}
. "${top_srcdir:=.}/tests/run/common.sh"
recipe=$top_srcdir/conf/tiny.yaml interval=2
case $mode in stop) : "${RANKS:=2}" ;; *) : "${RANKS:=1}" ;; esac
. "$top_srcdir/tests/run/ranks.sh"
[ "$RANKS" = 1 ] && [ "$mode" != stop ] || need_ranks
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
common="--set lanes=2 --set threads=1 --set pretrain.checkpoint_every=$interval --run-dir $dir/run"
case $mode in kill | signal) common="$common --set pretrain.steps=200" ;; esac
[ "$mode" != stop ] || common="$common --set pretrain.steps=200 --set watchdog=3"
storm() {
    case $RANKS in
        1) timeout 60 "$yoke" run "$recipe" $common "$@" >"$dir/out" 2>"$dir/log" ;;
        *) timeout 60 mpirun --quiet -np "$RANKS" "$yoke" run "$recipe" $common "$@" >"$dir/out" 2>"$dir/log" ;;
    esac
}
bad() {
    failed=$((failed + 1))
    echo "FAILED: $1 (strike $strikes, moment ${moment-})"
    tail -n 3 "$dir/log"
    rm -rf "$dir/kept.$failed" && cp -r "$dir/run" "$dir/kept.$failed"
}
newest() { # of one rank a file, of several a manifest
    find "$dir/run/checkpoints" \( -name 'step-?????????.h5' -o -name 'step-*.json' \) 2>/dev/null | sort | tail -n 1
}
look() { # after a strike: every checkpoint is whole, and nothing before the interval, and that which is written, is lost
    for f in "$dir"/run/checkpoints/*.h5 "$dir"/run/checkpoints/*.json; do
        [ ! -e "$f" ] || "$yoke" inspect "$f" >/dev/null 2>&1 || bad "$f cannot be loaded"
    done
    reached=$(sed -n 's/.*"type":"step","step":\([0-9]*\).*/\1/p' "$dir/run/metrics.jsonl" 2>/dev/null | tail -n 1)
    saved=$(newest | sed 's/.*step-0*\([0-9]*\)\..*/\1/')
    lost=$((${reached:-0} - ${saved:-0}))
    [ $lost -le $((2 * interval)) ] || bad "$lost steps are lost"
    [ $lost -le "${most_lost:-0}" ] || most_lost=$lost
}
finish() { # goes on to the end, which must be that of the run that was left alone
    storm "$@"
    code=$?
    [ $code = 0 ] || bad "going on ended with $code"
    found=$(last)
    [ "$found" = "$wanted" ] && ends=$((ends + 1)) || bad "$found, wanted $wanted"
    rm -rf "$dir/run"
}
report() {
    echo "$mode: $strikes strikes of runs of $RANKS rank(s), $ends ends with the digest of the run left alone," \
        "at most ${most_lost:-0} steps lost${longest:+, the longest to end took $longest s}"
    [ "$failed" = 0 ] && passed=1
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}

trap report TERM # of timeout: what there is so far
strikes=0 ends=0
storm || bad "the run that is left alone failed"
wanted=$(last)
rm -rf "$dir/run"

strike_at_moment() {
    storm &
    job=$!
    sleep "$moment"
    victims=$(ids)
    victim=$(echo "$victims" | sed -n "$((strikes % RANKS + 1))p")
    if [ -n "$victim" ]; then
        kill -"$signal" "$victim" 2>/dev/null && strikes=$((strikes + 1))
        struck=$(date +%s)
    fi
    wait $job
    code=$?
    [ $code -lt 124 ] || [ $code = 137 ] || [ $code = 143 ] || bad "the run did not end: $code"
    [ "$mode" != stop ] || [ -z "$victim" ] || note_time
    look
    if [ $code = 0 ] && ! grep -q '^stopped' "$dir/out"; then finish; fi
}
note_time() {
    took=$(($(date +%s) - struck))
    [ $took -le "${longest:=0}" ] || longest=$took
    [ $code = 11 ] || [ $code = 0 ] || bad "a stopped rank: exit status $code"
    [ $took -le 10 ] || bad "it took $took s to end"
}
case $mode in
    kill | stop | signal)
        case $mode in kill) signal=KILL ;; stop) signal=STOP ;; signal) signal=USR1 ;; esac
        for moment in $(awk -v n="$((3 * ${STRIKES:-20}))" -v seed="${SEED:-1}" -v most="${MOST_MS:-1500}" \
            -v least="$([ "$mode" = stop ] && echo "${LEAST_MS:-700}" || echo 20)" \
            'BEGIN { srand(seed); while (n--) printf "%.3f ", (least + (most - least) * rand()) / 1000 }'); do
            [ $strikes -lt "${STRIKES:-20}" ] || break
            strike_at_moment
        done
        finish
        report
        ;;
esac

# System calls that write, each kind by its number of the call in the run.
command -v strace >/dev/null || {
    echo "skipped: there is no strace"
    exit 77
}
short="--set pretrain.steps=6 --set pretrain.eval_every=6"
short_run() {
    timeout 60 strace -f -qq -o /dev/null -e trace="$call" -e signal=none "$@" "$yoke" run "$recipe" $common $short \
        >"$dir/out" 2>"$dir/log"
}
storm $short
wanted=$(last)
rm -rf "$dir/run"
timeout 60 strace -f -qq -c -o "$dir/calls" -e trace=write,pwrite64,fsync,rename,ftruncate,fallocate \
    "$yoke" run "$recipe" $common $short >/dev/null 2>&1
rm -rf "$dir/run"
points=$(awk '$NF ~ /^(write|pwrite64|fsync|rename|ftruncate|fallocate)$/ { every = $NF == "pwrite64" ? 12 : 1
    for (i = 1; i <= $4; i += every) print $NF ":" i }' "$dir/calls")
echo "$(echo "$points" | wc -l) points: $(awk '$NF ~ /^(write|pwrite64|fsync|rename|ftruncate|fallocate)$/ {
    printf "%s %s, ", $4, $NF }' "$dir/calls") of pwrite64 every twelfth"
# Most ftruncate are HDF5's of a file in memory, which no disk refuses; HDF5 1.10 crashes when one is.
[ "$mode" != disk ] || points=$(echo "$points" | grep -v ftruncate)
codes=
for moment in $(echo "$points" | sed -n "${FROM:-1},${TO:-9999}p"); do
    call=${moment%:*} strikes=$((strikes + 1))
    case $mode in
        boundary) short_run -e inject="$call:signal=KILL:when=${moment#*:}" ;;
        disk) short_run -e inject="$call:error=${ERROR:-ENOSPC}:when=${moment#*:}+" ;;
    esac
    code=$?
    [ $code != 124 ] || bad "the run did not end"
    case $mode:$code in disk:0 | disk:5 | boundary:*) ;; *) bad "exit status $code" ;; esac
    codes="$codes $code"
    look
    finish $short
done
echo "exit codes: $(echo "$codes" | tr ' ' '\n' | sort | uniq -c | awk 'NF == 2 { printf "%s times %s, ", $1, $2 }')"
report
