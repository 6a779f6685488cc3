#!/bin/sh
# The clean stage on files of every kind: the same output for any number of threads, nothing in both splits.
: "${top_srcdir:=.}" "${top_builddir:=build}"
yoke=$top_builddir/yoke
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
verdict() { # name, wanted, found
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1: $3, wanted $2"; fi
}
# prose N SEED: N sentences of made-up words
prose() {
    awk -v n="$1" -v seed="$2" 'BEGIN { srand(seed); for (s = 0; s < n; s++) { for (w = 0; w < 9; w++) {
        if (w == 3 || w == 6) printf "%s ", w == 3 ? "the" : "of"
        for (c = 4 + int(4 * rand()); c; c--) printf "%c", 97 + int(26 * rand()); printf w < 8 ? " " : ".\n" } } }'
}
mkdir -p "$dir/in/deep/er"
for i in $(seq 1 60); do prose 15 "$i" >"$dir/in/deep/$i.txt"; done
prose 15 1000 | gzip >"$dir/in/deep/er/packed.txt.gz"
prose 15 1001 | zstd -q >"$dir/in/deep/er/packed.txt.zst" 2>/dev/null || rm -f "$dir/in/deep/er/packed.txt.zst"
{ echo '<html><body><nav>menu</nav><p>'; prose 15 1002; echo '</p></body></html>'; } >"$dir/in/page.html"
for i in 1 2 3; do printf '{"text": "%s", "other": 1}\n' "$(prose 15 "200$i" | tr '\n' ' ')"; done >"$dir/in/lines.jsonl"
cp "$dir/in/deep/7.txt" "$dir/in/deep/copy.txt"
{ cat "$dir/in/deep/8.txt"; echo "One more line at the end of it."; } >"$dir/in/deep/near.txt"
head -c 3000 /dev/urandom >"$dir/in/deep/noise.txt"
echo "Too short." >"$dir/in/deep/short.txt"
printf 'stages: [clean]\nclean:\n  heldout_fraction: 0.1\ncorpus:\n  - domain: a\n    paths: %s/in\n' "$dir" >"$dir/r.yaml"

for threads in 1 2 3 5; do
    "$yoke" run "$dir/r.yaml" --run-dir "$dir/run$threads" --set threads=$threads >/dev/null 2>"$dir/log" || cat "$dir/log"
    sum=$(cd "$dir/run$threads/clean" && sha256sum a.*.zst | sha256sum)
    [ $threads = 1 ] && first=$sum
    verdict "threads $threads" "$first" "$sum"
done
texts() { zstd -dcq "$dir/run1/clean/a.$1.jsonl.zst" | sed 's/"source".*//'; }
if command -v zstd >/dev/null; then
    texts train | sort >"$dir/train" && texts heldout | sort >"$dir/heldout"
    verdict "train and held-out have nothing in common" 0 "$(comm -12 "$dir/train" "$dir/heldout" | wc -l)"
    verdict "documents of all kinds are kept" 66 "$(cat "$dir/train" "$dir/heldout" | wc -l)"
    verdict "navigation is gone" 0 "$(grep -c menu "$dir/train")"
fi
report=$dir/run1/clean/report.json
for reason in 'exact duplicate' 'near duplicate' 'too few words'; do
    verdict "dropped: $reason" 1 "$(grep -c "^  \"$reason\": 1" "$report")"
done
again() { "$yoke" run "$dir/r.yaml" --run-dir "$dir/run1" 2>&1 | grep -c "$1"; }
verdict "nothing to do a second time" 1 "$(again 'all stages are done')"
prose 15 4000 >"$dir/in/new.txt"
verdict "a new file is noticed" 1 "$(again 'its input files have changed')"
verdict "and taken" '"documents": 67' "$(grep -o '"documents": [0-9]*' "$dir/run1/summary.json" | head -n 1)"
mv "$dir/in" "$dir/away"
verdict "files that are gone undo nothing" 1 "$(again 'all stages are done')"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
