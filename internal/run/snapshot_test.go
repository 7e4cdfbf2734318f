package run

import (
	"fmt"
	"runtime"
	"testing"

	"mapiscope/pcaps"
)

// BenchmarkSnapshot takes documents of a shard with many open connections:
// with DCE/RPC, all of which the document lists, or without. All shards stand
// still for as long as one takes.
func BenchmarkSnapshot(b *testing.B) {
	for _, rpc := range []bool{true, false} {
		for _, open := range []int{1 << 12, 1 << 16} {
			b.Run(fmt.Sprintf("rpc=%v/open=%d", rpc, open), func(b *testing.B) {
				before := liveHeap()
				s := &storm{every: 1 << 30, e: NewEngine(Config{Workers: 1, Live: true}), now: 1e18, near: &neighbour{speaks: true}}
				for i := range open {
					if c := s.dial(i, floodServer); rpc {
						c.bind()
					}
				}
				held := liveHeap() - before
				doc := s.e.Snapshot([]pcaps.Capture{{}}, 1000)
				document := liveHeap() - before - held
				if n := len(doc.Connections); rpc && n != open {
					b.Fatalf("%d connections in the document, want %d", n, open)
				}
				b.ReportAllocs()
				for b.Loop() {
					doc = s.e.Snapshot([]pcaps.Capture{{}}, 1000)
				}
				b.ReportMetric(float64(held)/float64(open), "heap-B/conn")
				b.ReportMetric(float64(document)/float64(open), "doc-B/conn")
				runtime.KeepAlive(doc)
			})
		}
	}
}
