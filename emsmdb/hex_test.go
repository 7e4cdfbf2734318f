package emsmdb

import (
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads bytes written as hex in any grouping; "//" begins a comment that
// ends with its line.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	digits := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		digits += strings.Join(strings.Fields(line), "")
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return b
}
