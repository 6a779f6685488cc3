#!/bin/sh
# campaign.sh SOURCES BUILD TARGET...: libFuzzer on targets that are built in BUILD, two at a time, FUZZ_SECONDS (60)
# each or FUZZ_RUNS inputs. FUZZ_TARGETS="gguf html": only these. FUZZ_CORPUS: where what is found interesting is kept
# to go on from; inputs at which a target ended are below BUILD/crashes.
set -eu
sources=$1 build=$2
shift 2
corpus=${FUZZ_CORPUS-$build/corpus} crashes=$build/crashes logs=$build/logs
limit=-max_total_time=${FUZZ_SECONDS:-60}
[ -z "${FUZZ_RUNS-}" ] || limit=-runs=$FUZZ_RUNS
# A window of zstd may have 2 GB: it is refused here as on a small machine.
export ASAN_OPTIONS="${ASAN_OPTIONS-allocator_may_return_null=1:max_allocation_size_mb=512}" OMP_NUM_THREADS=1

fuzz() { # target: what libFuzzer says goes to its log
    mkdir -p "$corpus/$1" "$crashes/$1" "$logs"
    dictionary=$sources/dictionaries/$1
    set -- "$1" "$build/tests/fuzz/$1" "$limit" -timeout=10 -rss_limit_mb=1024 -close_fd_mask=3 -print_final_stats=1 \
        -artifact_prefix="$crashes/$1/"
    [ ! -f "$dictionary" ] || set -- "$@" -dict="$dictionary"
    target=$1
    shift
    "$@" "$corpus/$target" "$sources/seeds/$target" 2>"$logs/$target" && echo 0 >"$logs/$target.status" ||
        echo $? >"$logs/$target.status"
}
stat() { # target, number of libFuzzer's statistics
    sed -n "s/^stat::$2: *//p" "$logs/$1" | tail -n 1
}

started=0 names=
for program in "$@"; do
    target=${program##*/}
    case " ${FUZZ_TARGETS-$target} " in *" $target "*) ;; *) continue ;; esac
    names="$names $target"
    fuzz "$target" &
    started=$((started + 1))
    [ $((started % 2)) = 1 ] || wait
done
wait
passed=0 failed=0
printf '%-14s %12s %10s %8s\n' target inputs inputs/s crashes
for target in $names; do
    found=$(find "$crashes/$target" -type f | wc -l)
    printf '%-14s %12s %10s %8s\n' "$target" "$(stat "$target" number_of_executed_units)" \
        "$(stat "$target" average_exec_per_sec)" "$found"
    if [ "$(cat "$logs/$target.status")" = 0 ] && [ "$found" = 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); tail -n 3 "$logs/$target"; fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
