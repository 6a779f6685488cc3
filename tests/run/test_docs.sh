#!/bin/sh
# The documents that the program's tables make are current, and every command shows an example.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke
passed=0 failed=0
verdict() { # name, exit code of the check
    if [ "$2" = 0 ]; then passed=$((passed + 1)) && echo "ok: $1"; else failed=$((failed + 1)) && echo "FAILED: $1"; fi
}
"$yoke" config --markdown | cmp -s - "$top_srcdir/doc/keys.md"
verdict "doc/keys.md is current (make keys renews it)" $?
"$yoke" config --man | grep -q '^\.SH EXIT STATUS'
verdict "the manual page is whole" $?
for command in $("$yoke" --help | awk '/^  [a-z]/ { print $1 }'); do
    "$yoke" "$command" --help | grep -q '^ *yoke '"$command"
    verdict "$command --help shows an example" $?
done
for recipe in "$top_srcdir"/conf/*.yaml; do
    "$yoke" config "$recipe" >/dev/null
    verdict "${recipe##*/} is a sound recipe" $?
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
