package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// FuzzRun: whatever the bytes of a capture, it is refused in the words of an
// OpenError, or gives a document whose ledger balances and that does not depend
// on the number of shards. Tight bounds, of which each shard has its own, are
// hit by any input; what they cost is then counted, and the ledger balances.
func FuzzRun(f *testing.F) {
	for _, name := range []string{"epm-down.pcap", "imp_second_bind_nak.pcap", "smb_ntlm_connect_denied.pcap", "tcp-gap.pcap", "tcp-overlap.pcap", "tcp-wrap.pcap", "two-points.pcapng"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "pcaps", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
		f.Add(data, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, tight bool) {
		job := func(workers int) []byte {
			c := Config{Paths: []string{"-"}, Stdin: bytes.NewReader(data), Workers: workers, AllConnections: true, Events: true}
			if tight {
				c.Bounds, c.AllConnections, c.Live = tightBounds(1<<14), false, true
			}
			doc, err := Run(context.Background(), c)
			if err != nil {
				var open *pcaps.OpenError
				if !errors.As(err, &open) {
					t.Fatal(err)
				}
				return nil
			}
			checkLedger(t, doc)
			if !tight {
				checkTotals(t, doc)
			}
			out, err := json.MarshalIndent(doc, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if one, three := job(1), job(3); !tight && !bytes.Equal(one, three) {
			t.Errorf("one shard and three differ:\n%s", cmp.Diff(strings.Split(string(one), "\n"), strings.Split(string(three), "\n")))
		}
	})
}

// tightBounds are bounds that a few packets hit.
func tightBounds(memory int64) *assoc.Config {
	c := assoc.DefaultConfig()
	c.Flows.Connections, c.Flows.HoldBytes, c.Flows.HoldPieces, c.Flows.Datagrams, c.Flows.DatagramBytes = 3, 200, 2, 1, 2000
	c.RPC = dcerpc.Limits{Contexts: 1, Auths: 1, OpenCalls: 1, Operations: 1, Faults: 1, StubBytes: 100, Scan: 100}
	c.MAPI = emsmdb.Limits{Sessions: 1, Tables: 1, Columns: 1}
	c.Pairs, c.Kept, c.Listed, c.Exchanges, c.Memory = 1, 1, 2, 1, memory
	return &c
}

// checkTotals compares the head figures of a job that lists all connections
// with what is listed.
func checkTotals(t *testing.T, doc *document.Document) {
	t.Helper()
	n := int64(0) // each leg has a row, and one stands for the connection
	for i := range doc.Connections {
		if c := &doc.Connections[i]; c.Conversation == nil || *c.Conversation == c.ID {
			n++
		}
	}
	if n != doc.Totals.TCPConnections {
		t.Errorf("%d connections are listed of %d", n, doc.Totals.TCPConnections)
	}
	if n := int64(len(doc.AssociationGroups)); n != doc.Totals.AssociationGroups {
		t.Errorf("%d groups are listed of %d", n, doc.Totals.AssociationGroups)
	}
	var packets int64
	for i := range doc.Captures {
		packets += doc.Captures[i].Packets
	}
	if packets != doc.Totals.Packets {
		t.Errorf("the captures have %d packets of %d", packets, doc.Totals.Packets)
	}
	if s := doc.Totals.Findings; s.Info+s.Warning+s.Error != int64(len(doc.Findings)) {
		t.Errorf("%d findings are listed of %+v", len(doc.Findings), s)
	}
}

// write is what one side of a conversation sends at once.
type write struct {
	side wire.Side
	data []byte
}

// conversation reads writes from fuzzed bytes: a byte for the side, two for the
// length, then the bytes.
func conversation(b []byte) (all []write) {
	for len(b) > 3 {
		side, n := wire.Side(b[0]&1), min(int(binary.LittleEndian.Uint16(b[1:])), len(b)-3)
		if n > 0 {
			all = append(all, write{side, b[3 : 3+n]})
		}
		b = b[3+n:]
	}
	return all
}

func (w write) bytes() []byte {
	b := binary.LittleEndian.AppendUint16([]byte{byte(w.side)}, uint16(len(w.data)))
	return append(b, w.data...)
}

// tcpCapture makes a connection to port 135 or 59531 of a conversation, each
// write in segments of the lengths that size says. All packets have one time:
// response times are no matter of segments.
func tcpCapture(port uint16, all []write, size func(left int) int) *document.Document {
	e := newEngine(Config{Workers: 1, AllConnections: true}, nil)
	next, n := [2]uint32{1000, 2000}, int64(0)
	send := func(side wire.Side, flags byte, data []byte) {
		n++
		b := make([]byte, 40, 40+len(data))
		b[0], b[8], b[9] = 0x45, 64, 6
		binary.BigEndian.PutUint16(b[2:], uint16(40+len(data)))
		copy(b[12:], []byte{10, 1, 0, 5, 10, 2, 0, 9})
		binary.BigEndian.PutUint16(b[20:], 1067)
		binary.BigEndian.PutUint16(b[22:], port)
		if side == wire.SideB {
			copy(b[12:], []byte{10, 2, 0, 9, 10, 1, 0, 5})
			binary.BigEndian.PutUint16(b[20:], port)
			binary.BigEndian.PutUint16(b[22:], 1067)
		}
		binary.BigEndian.PutUint32(b[24:], next[side])
		binary.BigEndian.PutUint32(b[28:], next[side.Other()])
		b[32], b[33], b[34] = 5<<4, flags, 0xff
		b = append(b, data...)
		next[side] += uint32(len(data)) + uint32(flags&(flows.SYN|flows.FIN)+1)>>1
		e.Packet(&pcaps.Packet{Mark: wire.Mark{Packet: n, Time: 1}, Link: pcaps.LinkRaw, WireLen: len(b), Data: b})
	}
	send(wire.SideA, flows.SYN, nil)
	send(wire.SideB, flows.SYN|flows.ACK, nil)
	send(wire.SideA, flows.ACK, nil)
	for _, w := range all {
		for data := w.data; len(data) > 0; {
			k := size(len(data))
			send(w.side, flows.ACK, data[:k])
			data = data[k:]
		}
	}
	send(wire.SideA, flows.FIN|flows.ACK, nil)
	send(wire.SideB, flows.FIN|flows.ACK, nil)
	return e.Close([]pcaps.Capture{{}})
}

// FuzzSegments: the document says the same of a conversation in whatever
// segments it was sent, but for the packets that it names.
func FuzzSegments(f *testing.F) {
	for _, s := range conversationSeeds() {
		f.Add(s, true, uint64(1))
		f.Add(s, false, uint64(2))
	}
	sameBut := cmp.Options{
		cmp.Comparer(func(a, b document.PacketRef) bool { return true }),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Packets" }, cmp.Ignore()),
		cmpopts.IgnoreUnexported(document.Connection{}),
	}
	f.Fuzz(func(t *testing.T, b []byte, mapper bool, seed uint64) {
		all := conversation(b)
		if len(all) == 0 || all[0].data[0] == 0 || len(b) > 1<<15 {
			return // the pipes of SMB are looked for in single segments
		}
		port := uint16(59531)
		if mapper {
			port = 135
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		whole := tcpCapture(port, all, func(left int) int { return left })
		cut := tcpCapture(port, all, func(left int) int { return 1 + rng.IntN(min(left, 1+rng.IntN(2000))) })
		if d := cmp.Diff(whole, cut, sameBut); d != "" {
			t.Errorf("(-whole +cut):\n%s", d)
		}
	})
}

// conversationSeeds are conversations with the endpoint mapper and EMSMDB.
func conversationSeeds() (seeds [][]byte) {
	add := func(writes ...write) {
		var b []byte
		for _, w := range writes {
			b = append(b, w.bytes()...)
		}
		seeds = append(seeds, b)
	}
	const session = pcaptest.UUID("aa9d9abb-75f3-4e71-b9a5-1c0f6f7f4c33")
	for _, n := range []pcaptest.NDR{{}, {Big: true}} {
		pdu := func(side wire.Side, call uint32, p pcaptest.PDU) write {
			if n.Big {
				p = p.BigEndian()
			}
			return write{side, p.Call(call).Bytes()}
		}
		client := func(call uint32, p pcaptest.PDU) write { return pdu(wire.SideA, call, p) }
		server := func(call uint32, p pcaptest.PDU) write { return pdu(wire.SideB, call, p) }
		add(
			client(1, pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM), pcaptest.Offer(1, pcaptest.EPM, pcaptest.Features))),
			server(1, pcaptest.BindAck(0x5001, "135", pcaptest.Accept(pcaptest.NDR32), pcaptest.NegotiateAck(3))),
			client(2, pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))),
			server(2, pcaptest.Response(0, pcaptest.EptMapResponse(n, 4, 0, pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr("10.2.0.9"), Port: 59531}))),
		)
		connect := pcaptest.ConnectEx{UserDN: "/o=Corp/ou=First/cn=Recipients/cn=alice", Client: pcaptest.Outlook2007}
		read := pcaptest.ROPs([]uint32{0x45}, []byte{0x2c, 0, 0, 0x00, 0x10})
		data := pcaptest.ROPs([]uint32{0x45}, append([]byte{0x2c, 0, 0, 0, 0, 0, 0x00, 0x04}, make([]byte, 1024)...))
		add(
			client(1, pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB, pcaptest.NDR32)).Auth(10, 2, 7, pcaptest.NTLMNegotiate())),
			server(1, pcaptest.BindAck(0x12345678, "59531", pcaptest.Accept(pcaptest.NDR32)).Auth(10, 2, 7, pcaptest.NTLMChallenge("CORP", "EX01", [8]byte{1, 2, 3}))),
			client(1, pcaptest.Auth3().Auth(10, 2, 7, pcaptest.NTLMAuthenticate("CORP", "alice", "WS01"))),
			client(2, pcaptest.Request(0, pcaptest.OpEcDoConnectEx, connect.Request(n))),
			server(2, pcaptest.Response(0, pcaptest.ConnectExResult{Handle: session, Index: 1, DNPrefix: "/o=Corp/", DisplayName: "Alice", Server: pcaptest.Version{8 << 8, 83 | 0x8000, 6}, Best: pcaptest.Outlook2007}.Response(n))),
			client(3, pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, pcaptest.RpcExt2{Handle: session, In: pcaptest.Xored(read), MaxOut: 0x8007}.Request(n))),
			server(3, pcaptest.Response(0, pcaptest.RpcExt2Result{Handle: session, Out: pcaptest.Xored(data)}.Response(n))),
			client(4, pcaptest.AlterContext(0x12345678, pcaptest.Offer(1, pcaptest.AsyncEMSMDB))),
			server(4, pcaptest.AlterContextResp(0x12345678, pcaptest.Reject(1))),
			client(5, pcaptest.Request(0, pcaptest.OpEcDummyRpc, nil).Object(session)),
			server(5, pcaptest.Fault(0, 0x1c010003)),
			client(6, pcaptest.Request(0, pcaptest.OpEcDoDisconnect, pcaptest.DisconnectRequest(n, session))),
			server(6, pcaptest.Response(0, pcaptest.DisconnectResponse(n, 0))),
		)
	}
	add(
		write{wire.SideA, pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Auth(9, 6, 0, pcaptest.SPNEGOInit(pcaptest.NTLMNegotiate(), pcaptest.OIDNTLM)).Call(1).Bytes()},
		write{wire.SideB, pcaptest.BindNak(8).Call(1).Bytes()},
	)
	return seeds
}
