#!/bin/sh
# The contract in the machine code: the tables' objects and those of libyoke.a hold no approximate instruction, no
# fused one but where the source writes it, no x87 arithmetic, nothing that turns the rounding, and call no library
# function whose last bit depends on a version.
: "${top_srcdir:=.}" "${top_builddir:=build}" "${OBJDUMP:=objdump}" "${NM:=nm}"
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, offences
    if [ -z "$2" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1:"; echo "$2" | head; fi
}
approximate='v?rsqrt(14|28)?[ps][sh]|v?rcp(14|28)?[ps][sh]|vexp2p[sd]|fr(sqrt|ecp)[esx]|[su]r(sqrt|ecp)e'
fused='vfn?m(add|sub)[^ ]*|vfmaddsub[^ ]*|fn?m(add|sub)|fml[as]l?2?|bfmlal[bt]|vdpbf16ps'
x87='f(ld|st|add|sub|mul|div|ild|ist|iadd|isub|imul|idiv|xch|com|ucom|chs|abs|sqrt|sin|cos|patan|ptan|yl2x|prem|scale|rndint|2xm1|isttp)[^ ]*'
control='v?ldmxcsr|f?xrstor[^ ]*|fldcw|fldenv|msr fpcr'
calls='(exp|exp2|expm1|log|log2|log10|log1p|pow|sin|cos|tan|sincos|tanh|sinh|cosh|cbrt|hypot|erf|fes[^ ]*)[fl]?'
# The lines "address mnemonic operands" whose instruction is one of the pattern's.
among() { # pattern, list
    grep -E "^[0-9a-f]+ ($1)([ ,]|\$)" "$2"
}
disassemble() { # library: lines "address mnemonic operands" with single blanks
    "$OBJDUMP" -d --no-show-raw-insn "$1" 2>/dev/null | sed -n 's/^ *\([0-9a-f]*\):[[:space:]]*/\1 /p' | tr -s '\t ' ' '
}

if ! command -v "$OBJDUMP" >/dev/null || ! command -v "$NM" >/dev/null; then
    echo "SKIPPED: no $OBJDUMP or no $NM here: apt-get install binutils"
    exit 77
fi
# The patterns find what they are for.
printf '%s\n' '0 vrsqrt14ps %zmm0,%zmm1' '4 rcpss %xmm0,%xmm0' '8 frecpe v0.4s, v0.4s' '10 vfmadd213ps %ymm0,%ymm1,%ymm2' \
    '14 fmla v0.4s, v1.4s, v2.4s' '18 flds (%rax)' '1c fmulp %st,%st(1)' '20 vldmxcsr (%rsp)' '24 msr fpcr, x0' >"$dir/sample"
verdict "the patterns find samples" "$(
    [ "$(for p in "$approximate" "$fused" "$x87" "$control"; do among "$p" "$dir/sample" | wc -l; done | tr '\n' ' ')" = \
        "3 2 2 2 " ] || echo "not all of them")"

for library in "$top_builddir"/lib*.a; do
    name=${library##*/}
    disassemble "$library" >"$dir/code"
    if ! [ -s "$dir/code" ]; then
        echo "SKIPPED: $OBJDUMP cannot read $name"
        exit 77
    fi
    verdict "$name: nothing approximate" "$(among "$approximate" "$dir/code")"
    verdict "$name: nothing turns the rounding" "$(among "$control" "$dir/code")"
    case $(uname -m) in x86_64 | i?86) verdict "$name: no x87 arithmetic" "$(among "$x87" "$dir/code")" ;; esac
    # The report draws its axes by the library's log10 and pow; the curves' numbers are not touched by them.
    verdict "$name: no library functions" "$("$NM" -A -u "$library" | grep -E " $calls(@|\$)" | grep -v ':svg\.o:')"
    case $name in
    libyoke.a) verdict "$name: nothing fused" "$(among "$fused" "$dir/code")" ;;
    libportable.a) # a processor without fused instructions calls fmaf; fusing then were the compiler's own idea
        "$NM" -u "$library" | grep -q ' fmaf' && verdict "$name: fused by fmaf alone" "$(among "$fused" "$dir/code")" ;;
    *) verdict "$name: fused where the source says so" "$(among "$fused" "$dir/code" | grep -q . || echo none)" ;;
    esac
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
