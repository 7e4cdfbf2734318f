package main

import "testing"

func TestByteSize(t *testing.T) {
	tests := []struct {
		text string
		want byteSize // 0: an error
		back string
	}{
		{"500000", 500000, "488KiB"},
		{"64M", 64_000_000, "61MiB"},
		{"64mib", 64 << 20, "64MiB"},
		{"2GB", 2_000_000_000, "1.9GiB"},
		{"1GiB", 1 << 30, "1.0GiB"},
		{"1.5 GiB", 3 << 29, "1.5GiB"},
		{"0", 0, ""},
		{"-1", 0, ""},
		{"many", 0, ""},
		{"", 0, ""},
		{"16EiB", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var n byteSize
			if err := n.Set(tt.text); n != tt.want || (err != nil) != (tt.want == 0) || n.String() != tt.back {
				t.Errorf("%d, written %q, error %v; want %d, %q", n, n.String(), err, tt.want, tt.back)
			}
		})
	}
}
