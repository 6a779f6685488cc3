#!/bin/sh
# The rules of DESIGN and CONTRIBUTING that a grep can hold: includes point downwards, and so on.
cd "${top_srcdir:-.}" || exit 1
order="base config comm text token data model optim store train align tune report run exchange cli"
passed=0 failed=0
verdict() { # name, offences
    if [ -z "$2" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1"; echo "$2"; fi
}
sources=$(find src simd -name '*.[ch]' -o -name '*.inc' -o -name '*.def' | sort)

upward=$(for f in $sources; do
    case $f in src/*) own=${f#src/}; own=${own%%/*} ;; simd/*) own=simd ;; esac
    grep -n '^#include "[a-z]*/' "$f" | sed 's/#include "\([a-z]*\)\/.*/\1/' | while IFS=: read -r line layer; do
        [ "$layer" = "$own" ] && continue
        [ "$own" = simd ] && { [ "$layer" = base ] || echo "$f:$line includes $layer"; continue; }
        [ "$layer" = simd ] && { [ "$own" = base ] && echo "$f:$line includes simd"; continue; }
        seen=no
        for l in $order; do
            [ "$l" = "$layer" ] && seen=yes
            [ "$l" = "$own" ] && break
        done
        [ $seen = yes ] || echo "$f:$line includes $layer"
    done
done)
verdict "includes point downwards" "$upward"
verdict "mpi.h only in comm_mpi.c" "$(grep -ln '<mpi.h>' $sources | grep -v src/comm/comm_mpi.c)"
verdict "OpenMP only in base/team.c" "$(grep -lE '<omp.h>|#pragma omp' $sources | grep -v src/base/team.c)"
verdict "intrinsics only in simd/" "$(grep -lE '<(immintrin|arm_neon)\.h>' $sources | grep -v '^simd/')"
verdict "exit() only in main.c" "$(grep -nE '(^|[^_a-z])exit\(' $sources | grep -v 'src/cli/main.c')"
verdict "no file over 700 lines" "$(wc -l $sources | awk '$2 != "total" && $1 > 700')"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
