package run

import (
	"testing"
	"unsafe"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/budget"
)

// TestFit divides memory: the parts never exceed the whole.
func TestFit(t *testing.T) {
	if size := unsafe.Sizeof(flows.Frame{}) + 1; size > frameWeight {
		t.Errorf("a frame takes %d bytes, not %d", size, frameWeight)
	}
	tests := []struct {
		name    string
		memory  int64
		workers int
		least   int64 // of a shard
	}{
		{"the least", MinMemory, 1, 9 << 20},
		{"two workers", MinMemory, 2, 4 << 20},
		{"half a gigabyte", 512 << 20, 2, 48 << 20},
		{"a lot", 64 << 30, 2, budget.Default},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := assoc.DefaultConfig()
			fit(&cfg, tt.memory, tt.workers)
			if cfg.Memory < tt.least {
				t.Errorf("a shard gets %d bytes, want %d or more", cfg.Memory, tt.least)
			}
			workers := int64(tt.workers)
			if sum := fixedMemory + int64(cfg.Flows.DatagramBytes) + workers*(batchMemory+portions*cfg.Memory); sum > tt.memory {
				t.Errorf("the parts are %d bytes of %d", sum, tt.memory)
			}
		})
	}
	cfg := assoc.DefaultConfig()
	fit(&cfg, 0, 2)
	if cfg.Memory != budget.Default || cfg.Flows.DatagramBytes != flows.DefaultLimits().DatagramBytes || InputMemory(0) != 0 {
		t.Errorf("without a bound a shard gets %d bytes", cfg.Memory)
	}
	for _, tt := range []struct {
		memory int64
		ok     bool
	}{{0, true}, {1, false}, {MinMemory - 1, false}, {MinMemory, true}, {-1, false}} {
		if err := CheckMemory(tt.memory); (err == nil) != tt.ok {
			t.Errorf("%d bytes: %v", tt.memory, err)
		}
	}
}
