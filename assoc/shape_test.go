package assoc

import (
	"testing"
	"time"

	"mapiscope/emsmdb"
	"mapiscope/internal/pcaptest"
)

// sealedCall is a call at level privacy as its headers show it: opnum and
// lengths of the stubs. A negative length stands for a message that was not
// captured.
type sealedCall struct {
	context, opnum    uint16
	request, response int
}

func repeat(n int, calls ...sealedCall) (all []sealedCall) {
	for range n {
		all = append(all, calls...)
	}
	return all
}

// TestSealedFromTheMiddle captures sealed calls without their bind. What is
// named EMSMDB must have its opnums and the lengths of its stubs.
func TestSealedFromTheMiddle(t *testing.T) {
	execute := []sealedCall{{0, 11, 76, 88}, {0, 11, 164, 248}, {0, 11, 68, 31776}}
	tests := []struct {
		name    string
		auth    byte // type of the verifier, 10 NTLM
		calls   []sealedCall
		sibling []sealedCall // on another connection to the same end point
		want    Service
		may     bool
	}{
		{"EcDoRpcExt2 of many sizes", 10, execute, nil, MAPI, false},
		{"with Kerberos", 16, execute, nil, MAPI, false},
		{"with SPNEGO", 9, execute, nil, MAPI, false},
		{"and EcDoDisconnect", 10, append(execute, sealedCall{0, 1, 20, 24}), nil, MAPI, false},
		{"and EcDoConnectEx of a second session", 10, append(execute, sealedCall{0, 10, 240, 124}), nil, MAPI, false},
		{"and EcDummyRpc", 10, append(execute, sealedCall{0, 6, 0, 4}), nil, MAPI, false},
		{"and waits on the context of AsyncEMSMDB", 10, append(execute, repeat(9, sealedCall{1, 0, 24, 8})...), nil, MAPI, false},
		{"the first one with a verification trailer", 10, append([]sealedCall{{0, 1, 20 + 76, 24}}, execute...), nil, MAPI, false},
		{"requests alone", 10, repeat(6, sealedCall{0, 11, 76, -1}, sealedCall{0, 11, 164, -1}), nil, MAPI, false},
		{"few requests alone", 10, repeat(5, sealedCall{0, 11, 76, -1}, sealedCall{0, 11, 164, -1}), nil, OtherRPC, true},
		{"requests alone, of one size", 10, repeat(20, sealedCall{0, 11, 76, -1}), nil, OtherRPC, true},
		{"answers alone", 10, repeat(20, sealedCall{0, 11, -1, 88}), nil, OtherRPC, true},
		{"two calls", 10, execute[:2], nil, OtherRPC, true},
		{"two calls beside a sibling", 10, execute[:2], execute, MAPI, false},
		{"one call beside a sibling", 10, execute[:1], execute, MAPI, false},
		{"waits beside a sibling", 10, repeat(2, sealedCall{1, 0, 24, 8}), execute, MAPIAsync, false},
		{"waits alone", 10, repeat(2, sealedCall{1, 0, 24, 8}), nil, OtherRPC, true},
		{"another opnum beside a sibling", 10, repeat(3, sealedCall{0, 20, 48, 64}), execute, OtherRPC, false},
		{"one size", 10, repeat(20, sealedCall{0, 11, 76, 88}), nil, OtherRPC, true},
		{"and an opnum that EMSMDB has not", 10, append(execute, sealedCall{0, 15, 20, 24}), nil, OtherRPC, false},
		{"and an opnum that nobody uses", 10, append(execute, sealedCall{0, 12, 20, 24}), nil, OtherRPC, false},
		{"with Netlogon's verifier", 68, execute, nil, OtherRPC, false},
		{"mostly other calls", 10, append(execute, repeat(9, sealedCall{0, 9, 48, 120})...), nil, OtherRPC, true},
		{"SAMR: enumerations and closed handles", 10, repeat(6, sealedCall{0, 11, 28, 640}, sealedCall{0, 1, 20, 24}), nil, OtherRPC, false},
		{"event log: EvtRpcQueryNext", 10, repeat(9, sealedCall{0, 11, 32, 9000}, sealedCall{0, 11, 32, 7000}), nil, OtherRPC, false},
		{"NSPI: NspiModProps", 10, repeat(9, sealedCall{0, 11, 120, 4}, sealedCall{0, 11, 240, 4}), nil, OtherRPC, false},
		{"NSPI: its usual calls", 10, repeat(9, sealedCall{0, 3, 96, 900}, sealedCall{0, 20, 120, 300}), nil, OtherRPC, false},
		{"RFR", 10, []sealedCall{{0, 0, 140, 80}, {0, 1, 120, 64}}, nil, OtherRPC, false},
		{"odd lengths", 10, []sealedCall{{0, 11, 77, 90}, {0, 11, 165, 250}, {0, 11, 67, 31777}}, nil, OtherRPC, false},
		{"svcctl: RChangeServiceConfigW", 10, repeat(9, sealedCall{0, 11, 120, 8}), nil, OtherRPC, false},
		{"frstransport: RdcGetFileData", 6 + 10, repeat(9, sealedCall{0, 11, 24, 65560}), nil, OtherRPC, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := pcaptest.New(time.Unix(1_246_000_000, 0))
			first := s.Dial("10.1.0.5:2000", "10.2.0.9:6001", pcaptest.NoHandshake())
			second := s.Dial("10.1.0.5:2001", "10.2.0.9:6001", pcaptest.NoHandshake())
			talk := func(c *pcaptest.Conn, calls []sealedCall) {
				for i, x := range calls {
					token := make([]byte, 16)
					if x.request >= 0 {
						c.Client(pcaptest.Request(x.context, x.opnum, make([]byte, x.request)).Call(uint32(i+9)).Auth(tt.auth, 6, 1, token).Fragmented(5000))
					}
					if x.response >= 0 {
						c.Server(pcaptest.Response(x.context, make([]byte, x.response)).Call(uint32(i+9)).Auth(tt.auth, 6, 1, token).Fragmented(5000))
					}
				}
			}
			talk(first, tt.calls)
			talk(second, tt.sibling)
			r := link(t, DefaultConfig(), s)
			dir := NewDirectory(r)
			got, basis := dir.Service(r.Conns[0])
			if got != tt.want || basis != ByHeuristic {
				t.Errorf("%s by %s, want %s: %+v", got, basis, tt.want, r.Conns[0].shape)
			}
			if may := dir.MayBeMAPI(r.Conns[0]); may != tt.may {
				t.Errorf("may be EMSMDB: %v: %+v", may, r.Conns[0].shape)
			}
			for _, op := range r.Conns[0].RPC.Ops {
				iface, known := dir.OperationOf(r.Conns[0], op)
				if known == (tt.want == OtherRPC) || known && (iface == emsmdb.AsyncMDB) != (op.Opnum == 0) {
					t.Errorf("opnum %d is of %s", op.Opnum, iface)
				}
			}
			if unseen := dir.Unseen(r.Conns[0]); unseen != (tt.want == OtherRPC) {
				t.Errorf("interface not seen: %v", unseen)
			}
		})
	}
}
