//go:build !cgo

package pcaps

import "testing"

func TestNoFilters(t *testing.T) {
	if r, err := openBytes(t, ethernet(1), Options{Filter: "tcp"}); r != nil || err != ErrNoBPF {
		t.Errorf("Open = %v, %v; want ErrNoBPF", r, err)
	}
}
