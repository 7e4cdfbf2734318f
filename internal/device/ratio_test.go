package device

import "testing"

func TestReductionRatio(t *testing.T) {
	tests := []struct {
		name         string
		counters     Counters
		list, detail string
	}{
		{"technical note", Counters{787408, 401764, 92939, 117657}, "82.3%", "82.291%"},
		{"one direction grows by read-ahead", Counters{390, 246821, 157385, 4251}, "34.6%", "34.616%"},
		{"connection 1830", Counters{4612, 4086, 1973, 2096}, "53.2%", "53.219%"},
		{"connection 2289", Counters{822, 634, 556, 706}, "13.3%", "13.324%"},
		{"connection 2290", Counters{4758, 15914, 6436, 2006}, "59.2%", "59.162%"},
		{"connection 2284", Counters{1334, 12826, 8981, 1031}, "29.3%", "29.294%"},
		{"growth", Counters{100, 100, 150, 150}, "0.00%", "0.00%"},
		{"growth by one byte", Counters{100, 100, 100, 101}, "0.00%", "0.00%"},
		{"untouched", Counters{100, 100, 100, 100}, "0.0%", "0.000%"},
		{"all gone", Counters{100, 100, 0, 0}, "100.0%", "100.000%"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			percent, ok := tt.counters.ReductionRatio()
			if !ok {
				t.Fatal("no ratio")
			}
			if got := ListRatio(percent); got != tt.list {
				t.Errorf("list: %s, want %s", got, tt.list)
			}
			if got := DetailRatio(percent); got != tt.detail {
				t.Errorf("detail: %s, want %s", got, tt.detail)
			}
		})
	}
	if _, ok := (Counters{0, 0, 5, 5}).ReductionRatio(); ok {
		t.Error("a connection without original bytes has a ratio")
	}
}
