#!/bin/sh
# golden.sh refreshes every file that a test compares with: the captures that
# their builder writes, the golden reports, the outputs in test scripts.
# golden.sh --check does the same and exits 1 if that changed any file.
set -eu
state() { git ls-files -z -c -o --exclude-standard | xargs -0 sha256sum 2>/dev/null || true; }

# The tests that take -update are found by their flag.
packages=$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -r -n 1 dirname | sort -u)
[ "${1:-}" != --check ] || before=$(state)
# Captures come first, all reports are made of them.
for package in $packages; do
	[ "$package" != ./internal/samples ] || go test -count=1 "$package" -update
done
for package in $packages; do
	[ "$package" = ./internal/samples ] || go test -count=1 "$package" -update
done
[ "${1:-}" = --check ] || exit 0
if [ "$before" != "$(state)" ]; then
	echo "golden: these files were not what the tests write:"
	git status --short
	exit 1
fi
echo "golden: no drift"
