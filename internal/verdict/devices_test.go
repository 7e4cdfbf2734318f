package verdict

import (
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDeviceIDs: where the id of a device lies, as far as the options tell.
func TestDeviceIDs(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string // candidate in the first one
	}{
		{"nothing varies: as published traces have it", []string{"0108 00145e842460 0000", "0108 00145e842460 0000", "0108 00145e842460 0000"}, "00:14:5e:84:24:60"},
		{"nothing varies, another length", []string{"01 00145e842460 0000", "01 00145e842460 0000", "01 00145e842460 0000"}, ""},
		{"what is around it varies", []string{"a1 00145e842460 0102", "b2 00145e842460 0304", "c3 00145e842460 0506"}, "00:14:5e:84:24:60"},
		{"at the start", []string{"00145e842460 01", "00145e842460 03", "00145e842460 05"}, "00:14:5e:84:24:60"},
		{"two devices, three connections each", []string{
			"a1 00145e842460 01", "b2 00145e842460 03", "c3 00145e842460 05", "a7 001a64d32fb8 11", "b8 001a64d32fb8 13", "c9 001a64d32fb8 15",
		}, "00:14:5e:84:24:60"},
		{"two connections are too few", []string{"a1 00145e842460 0102", "b2 00145e842460 0304"}, ""},
		{"seven bytes in common are no id", []string{"a1 00145e84246077 01", "b2 00145e84246077 03", "c3 00145e84246077 05"}, ""},
		{"a group address is no id", []string{"a1 01145e842460 0102", "b2 01145e842460 0304", "c3 01145e842460 0506"}, ""},
		{"zeros are no id", []string{"0108 000000000000 0000"}, ""},
		{"ones are no id", []string{"0108 ffffffffffff 0000"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			place := idPlace{length: len(unhex(t, tt.values[0]))}
			var values [][]byte
			for _, v := range tt.values {
				values = append(values, unhex(t, v))
			}
			r := &idRules{offsets: map[idPlace]int{}, seen: map[idOf]int{}}
			if o, ok := commonRun(values); ok {
				r.offsets[place] = o
			}
			if got := r.candidate(false, values[0]); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
