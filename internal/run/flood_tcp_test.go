package run

import (
	"testing"

	"mapiscope/internal/account"
)

// TestTCPFloods fills the tables below DCE/RPC.
func TestTCPFloods(t *testing.T) {
	server := end{0xac100001, 1025}
	surge(t, []flood{
		{
			name: "SYNs of random sources", every: 500,
			feed: func(s *storm) {
				for i := range scaled(300_000, 10_000_000) {
					h := uint32(i) * 0x9e3779b1
					s.tcp(end{h, uint16(h>>7) | 1024}, server, h, 0, syn, nil)
				}
			},
			hit: func(l *account.Limits) int64 { return l.ConnectionsEvicted },
		},
		{
			name: "tiny connections", every: 2000,
			feed: func(s *storm) {
				for i := range scaled(200_000, 10_000_000) {
					s.dial(i, server).bind().close()
				}
			},
			hit: func(l *account.Limits) int64 { return l.ConnectionsUnlisted },
		},
	})
}
