package report

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

func TestCapturePoints(t *testing.T) {
	// An interface: its point, how it was joined, and to which capture and
	// interface.
	type iface struct {
		name   string
		point  int
		joined string
		to     [2]int
		same   []int
	}
	alone := func(point int) iface { return iface{point: point, joined: "alone"} }
	capture := func(path string, ifaces ...iface) document.Capture {
		c := document.Capture{Path: path}
		for _, f := range ifaces {
			out := document.Interface{Name: f.name, SamePoints: f.same}
			if f.point > 0 {
				out.Point, out.Joined = &f.point, &f.joined
			}
			if f.joined == "continues" || f.joined == "seen twice" {
				out.JoinedTo = &document.JoinedTo{Capture: f.to[0], Interface: f.to[1]}
			}
			c.Interfaces = append(c.Interfaces, out)
		}
		return c
	}
	var ring []document.Capture
	for i := range 100 {
		f := iface{point: 1, joined: "continues", to: [2]int{max(i-1, 0), 0}}
		if i == 0 {
			f = alone(1)
		}
		ring = append(ring, capture(fmt.Sprintf("r%d.pcap", i), f))
	}
	twice := iface{point: 1, joined: "seen twice"}
	for _, tt := range []struct {
		name     string
		captures []document.Capture
		want     []string
	}{
		{"one", []document.Capture{capture("a.pcap", alone(1))}, nil},
		{"two points", []document.Capture{capture("a.pcap", alone(1)), capture("b.pcap", alone(2)), capture("empty.pcap", iface{})}, nil},
		{"a copy", []document.Capture{capture("a.pcap", alone(1)), capture("b.pcap", twice)}, []string{"a.pcap and b.pcap show the same packets: one capture point"}},
		{"six copies", []document.Capture{capture("a.pcap", alone(1)), capture("b.pcap", twice), capture("c.pcap", twice), capture("d.pcap", twice), capture("e.pcap", twice), capture("f.pcap", twice)},
			[]string{"a.pcap, b.pcap, c.pcap and 3 more show the same packets: one capture point"}},
		{"one file three times", []document.Capture{capture("a.pcap", alone(1)), capture("a.pcap", twice), capture("a.pcap", twice)}, []string{"a.pcap was named 3 times: one capture point"}},
		{"two interfaces", []document.Capture{capture("a.pcapng", alone(1), iface{name: "eth1", point: 1, joined: "seen twice"})},
			[]string{"interface 1 of a.pcapng and interface eth1 of a.pcapng show the same packets: one capture point"}},
		{"a second file", []document.Capture{capture("b.pcap", iface{point: 1, joined: "continues", to: [2]int{1, 0}}), capture("a.pcap", alone(1))}, []string{"b.pcap continues a.pcap"}},
		{"a ring", ring, []string{"r1.pcap, r2.pcap, r3.pcap and 96 more continue r0.pcap: one capture point"}},
		{"said to be elsewhere", []document.Capture{capture("a.pcap", iface{point: 1, joined: "alone", same: []int{2}}), capture("b.pcap", iface{point: 2, joined: "alone", same: []int{1}})},
			[]string{"a.pcap and b.pcap show the same packets, though they were said to be at two places"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &document.Document{Captures: tt.captures}
			p := &page{doc: d, names: captureNames(d)}
			if diff := cmp.Diff(tt.want, p.joined()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
