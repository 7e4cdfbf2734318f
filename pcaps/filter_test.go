//go:build cgo

package pcaps

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tcpFrame and udpFrame are frames with headers of 14 and 20 bytes.
func ipFrame(proto byte) string {
	return string(join(make([]byte, 12), []byte{8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}))
}

func TestFilter(t *testing.T) {
	tcp, udp := ipFrame(6), ipFrame(17)
	b := join(pcapHead(le, pcapMicro, 4, 1), pcapRec(le, 1, 0, udp, 34), pcapRec(le, 2, 0, tcp, 1500), pcapRec(le, 3, 0, "", 0), pcapRec(le, 4, 0, tcp, 34))
	tests := []struct {
		expr string
		want []int64
	}{
		{"", []int64{1, 2, 3, 4}},
		{"tcp", []int64{2, 4}},
		{"udp and host 10.0.0.2", []int64{1}},
		{"greater 1000", []int64{2}},
		{"less 0", nil},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			r, err := openBytes(t, b, Options{Filter: tt.expr})
			if err != nil {
				t.Fatal(err)
			}
			var nums []int64
			c := drain(t, r, func(p *Packet) { nums = append(nums, p.Packet) })[0]
			if diff := cmp.Diff(tt.want, nums); diff != "" {
				t.Error(diff)
			}
			if n := int64(len(tt.want)); c.Packets != n || c.Filtered != 4-n || c.Err != nil {
				t.Errorf("%d packets, %d filtered, %v", c.Packets, c.Filtered, c.Err)
			}
		})
	}
}

func TestFilterOfSeveralLinkTypes(t *testing.T) {
	tcp := ipFrame(6)
	b := join(sectionBlock(le), ifaceBlock(le, 1, 0), ifaceBlock(le, 101, 0), ifaceBlock(le, 276, 0),
		enhanced(le, 0, 1, tcp, 34), enhanced(le, 1, 2, tcp[14:], 20), enhanced(le, 2, 3, tcp, 34), enhanced(le, 1, 4, ipFrame(17)[14:], 20))
	r, err := openBytes(t, b, Options{Filter: "tcp"})
	if err != nil {
		t.Fatal(err)
	}
	var nums []int64
	c := drain(t, r, func(p *Packet) { nums = append(nums, p.Packet) })[0]
	if diff := cmp.Diff([]int64{1, 2}, nums); diff != "" {
		t.Error(diff)
	}
	var bad *FilterError
	if !errors.As(c.Err, &bad) || bad.Link != LinkLinuxSLL2 || bad.Expr != "tcp" {
		t.Errorf("Err %v, want a *FilterError for LINUX_SLL2", c.Err)
	}
}

func TestBadFilter(t *testing.T) {
	for name, b := range map[string][]byte{
		"pcap":                   ethernet(1),
		"pcapng":                 join(sectionBlock(le), ifaceBlock(le, 1, 0)),
		"pcapng, no interface":   sectionBlock(le),
		"pcapng, big first name": join(sectionBlock(le), block(le, 4, make([]byte, 100000)), ifaceBlock(le, 1, 0)),
	} {
		r, err := openBytes(t, b, Options{Filter: "tcp and and"})
		var bad *FilterError
		if r != nil || !errors.As(err, &bad) || bad.Link != LinkEthernet || bad.Unwrap() == nil {
			t.Errorf("%s: Open = %v, %v; want a *FilterError", name, r, err)
		}
	}
	if _, err := openBytes(t, join(pcapHead(le, pcapMicro, 4, 101)), Options{Filter: "ether host 1:2:3:4:5:6"}); err == nil {
		t.Error("an Ethernet filter on raw IP: want an error")
	}
}
