#!/bin/sh
# fuzz.sh FUZZTIME [PACKAGE...] runs each fuzz target of the packages, all if
# none is named, for a time (10s, 5m) or a count (1000x). It goes on after a
# target that fails, names it, and exits 1 at the end. What made it fail is
# kept under testdata/fuzz of its package. An input that finds something new is
# not made smaller for longer than 100 runs: where goroutines and maps make
# coverage vary, the fuzzer would do nothing else.
set -u
time=${1:?usage: fuzz.sh FUZZTIME [PACKAGE...]}
shift
[ $# -gt 0 ] || set -- ./...

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
go test -list '^Fuzz' "$@" >"$log" || { cat "$log"; exit 1; }
# A package's line follows the names of its targets.
targets=$(awk '/^Fuzz/ { name[n++] = $1 } /^(ok|\?)/ { for (i = 0; i < n; i++) print $2, name[i]; n = 0 }' "$log")
[ -n "$targets" ] || { echo "fuzz: no targets"; exit 1; }

run() { go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 100x "$1" >"$log" 2>&1; }

passed=0 failed=0
while read -r package target; do
	# The fuzzer of Go may end with its own deadline as the error
	# (go.dev/issue/48591); it says so and names no input.
	if run "$package" "$target" ||
		{ grep -q '^ *context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log" && run "$package" "$target"; }; then
		passed=$((passed + 1))
		echo "ok   $package $target: $(sed -n 's/^fuzz: elapsed: [^,]*, execs: \([0-9]*\).*/\1/p' "$log" | tail -n 1) inputs"
	else
		failed=$((failed + 1))
		echo "FAIL $package $target"
		cat "$log"
	fi
done <<END
$targets
END
echo "fuzz: $passed targets passed, $failed failed"
[ "$failed" = 0 ]
