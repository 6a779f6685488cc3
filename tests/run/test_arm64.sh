#!/bin/sh
# The whole program built for AArch64 and run under QEMU: its kernels, and whole runs against this machine's digests.
: "${top_srcdir:=.}" "${top_builddir:=build}"
arm=$top_builddir/arm64 recipe=$top_srcdir/conf/tiny.yaml
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, wanted, found
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        passed=$((passed + 1)) && echo "ok: $1"
    else
        failed=$((failed + 1)) && echo "FAILED: $1: $3, wanted $2"
    fi
}
"$top_srcdir/scripts/cross-arm64" "$arm" >"$dir/log" 2>&1
case $? in
0) ;;
77) cat "$dir/log" && exit 77 ;;
*) cat "$dir/log" && echo "0 passed, 1 failed" && exit 1 ;;
esac
export QEMU_LD_PREFIX="$arm/sysroot" QEMU_CPU=max

for program in test_kernels test_attention; do
    qemu-aarch64 "$arm/build/tests/simd/$program" >"$dir/log" 2>&1
    verdict "$program of every set" 0 $?
    [ $failed = 0 ] || sed 's/^/    /' "$dir/log"
done

digest() { # precision, set of this machine or of AArch64, command
    precision=$1 isa=$2
    shift 2
    rm -rf "$dir/run"
    YOKE_ISA=$isa "$@" run "$recipe" --run-dir "$dir/run" --set pretrain.steps=10 --set threads=2 \
        --set precision="$precision" 2>"$dir/log" | tail -n 1
}
for case in fp32:portable fp32:neon bf16:portable bf16:neon bf16:neonbf16 fp16:neon; do
    wanted=$(digest "${case%:*}" "" "$top_builddir/yoke")
    verdict "$case" "$wanted" "$(digest "${case%:*}" "${case#*:}" qemu-aarch64 "$arm/build/yoke")"
done
digest bf16 neonbf16 env QEMU_CPU=cortex-a72 qemu-aarch64 "$arm/build/yoke"
verdict "neonbf16 on a processor without bf16" 1 "$(grep -c 'this processor lacks it' "$dir/log")"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
