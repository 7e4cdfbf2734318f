package assoc

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// portPlay plays what happens to one port, 10.2.0.9:1025, step by step, each a
// minute after the one before. Connections are named by letters.
type portPlay struct {
	s     *pcaptest.Scene
	conns map[string]*pcaptest.Conn
	names []string
	asked uint32
}

func (p *portPlay) open(name string, options ...pcaptest.Option) *pcaptest.Conn {
	c := p.s.Dial(fmt.Sprintf("10.1.0.5:%d", 2000+len(p.names)), "10.2.0.9:1025", options...)
	p.conns[name], p.names = c, append(p.names, name)
	return c
}

var byName = map[string]pcaptest.Syntax{
	"EMSMDB": pcaptest.EMSMDB, "AsyncEMSMDB": pcaptest.AsyncEMSMDB, "NSPI": pcaptest.NSPI, "RFR": pcaptest.RFR,
	"SAMR": {UUID: "12345778-1234-abcd-ef00-0123456789ac", Version: 1}, "LSARPC": {UUID: "12345778-1234-abcd-ef00-0123456789ab", Version: 0},
	"MGMT": {UUID: "afa8bd80-7d8a-11c9-bef4-08002b102989", Version: 1},
}

// step does one of
//
//	map NAME        an ept_map of another connection to port 135 gives the port
//	map NAME+NAME   one answer gives it for both
//	bind C NAME     a connection binds the interface and is accepted
//	C               an unreadable connection opens, or goes on
//	end C           it closes
func (p *portPlay) step(line string) {
	words := strings.Fields(line)
	switch words[0] {
	case "map":
		p.asked++
		c := p.s.Dial(fmt.Sprintf("10.1.0.5:%d", 3000+p.asked), "10.2.0.9:135")
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
		c.Server(pcaptest.BindAck(7, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
		var all []pcaptest.Endpoint
		for _, name := range strings.Split(words[1], "+") {
			all = append(all, pcaptest.Endpoint{Interface: byName[name], Port: 1025, Addr: netip.MustParseAddr("10.2.0.9")})
		}
		c.Client(pcaptest.Request(0, 3, pcaptest.EptMapRequest(pcaptest.NDR{}, all[0].Interface, 4)).Call(2).Bytes())
		c.Server(pcaptest.Response(0, pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, all...)).Call(2).Bytes()).Close()
	case "bind":
		c := p.conns[words[1]]
		if c == nil {
			c = p.open(words[1])
		}
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, byName[words[2]])).Call(1).Bytes())
		c.Server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	case "end":
		p.conns[words[1]].Close()
	default:
		c := p.conns[words[0]]
		if c == nil {
			c = p.open(words[0])
		}
		c.Client([]byte("\x17\x03\x03 payload")).Server([]byte("\x17\x03\x03 payload"))
	}
	p.s.Sleep(time.Minute)
}

// TestPortsChangeHands lets a port go from one server to another. Each row of
// the directory reads: interface, minute learned, minute it ended, connections.
func TestPortsChangeHands(t *testing.T) {
	tests := []struct {
		name  string
		steps string
		conns string // service of each connection
		rows  []string
	}{
		{
			"the store's, then the address book's", "map EMSMDB, A, end A, map NSPI, B, end B",
			"A mapi, B nspi", []string{"EMSMDB 0-3 A", "NSPI 3- B"},
		},
		{
			"and the store's again", "map EMSMDB, A, end A, map NSPI, B, end B, map EMSMDB, C, end C",
			"A mapi, B nspi, C mapi", []string{"EMSMDB 0-3 A", "NSPI 3-6 B", "EMSMDB 6- C"},
		},
		{
			"connections from before the first announcement", "A, end A, map EMSMDB, map NSPI, B",
			"A mapi, B nspi", []string{"EMSMDB 2-3 A", "NSPI 3- B"},
		},
		{
			"a bind shows that it changed", "map EMSMDB, A, end A, bind B NSPI, C",
			"A mapi, B nspi, C nspi", []string{"EMSMDB 0-3 A", "NSPI 3- BC"},
		},
		{
			"announced again", "map EMSMDB, A, map EMSMDB, B",
			"A mapi, B mapi", []string{"EMSMDB 0- AB"},
		},
		{
			"both in one answer", "map EMSMDB+NSPI, A",
			"A mapi", []string{"EMSMDB 0- A", "NSPI 0- A"},
		},
		{
			"both in one answer, one by one again", "map EMSMDB+NSPI, map NSPI, map EMSMDB, A",
			"A mapi", []string{"EMSMDB 0- A", "NSPI 0- A"},
		},
		{
			"store and its waits belong together", "map EMSMDB, bind A AsyncEMSMDB, map EMSMDB, B",
			"A mapi_async, B mapi", []string{"EMSMDB 0- AB", "AsyncEMSMDB 1- AB"},
		},
		{
			"address book and referral belong together", "map NSPI, A, end A, map RFR, B",
			"A nspi, B nspi", []string{"NSPI 0- AB", "RFR 3- AB"},
		},
		{
			"every server has the management interface", "map EMSMDB, A, end A, bind B MGMT, end B, C",
			"A mapi, B dcerpc, C mapi", []string{"EMSMDB 0- ABC", "MGMT 3- ABC"},
		},
		{
			"another interface of the same process: a connection goes on", "map EMSMDB, A, bind B SAMR, A, C",
			"A mapi, B dcerpc, C mapi", []string{"EMSMDB 0- ABC", "SAMR 2- ABC"},
		},
		{
			"another process: the connection had ended", "map EMSMDB, A, end A, bind B SAMR, C",
			"A mapi, B dcerpc, C dcerpc", []string{"EMSMDB 0-3 A", "SAMR 3- BC"},
		},
		{
			"another process, though packets of the old connection come late", "map EMSMDB, A, end A, bind B SAMR, end A, C",
			"A mapi, B dcerpc, C dcerpc", []string{"EMSMDB 0-3 A", "SAMR 3- BC"},
		},
		{
			"store and address book are never one process", "map EMSMDB, A, map NSPI, A, B",
			"A mapi, B nspi", []string{"EMSMDB 0-2 A", "NSPI 2- B"},
		},
		{
			"whose other interfaces are does not matter", "map SAMR, A, end A, map LSARPC, B",
			"A dcerpc, B dcerpc", []string{"SAMR 0- AB", "LSARPC 3- AB"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(1_246_000_000, 0)
			p := &portPlay{s: pcaptest.New(start), conns: map[string]*pcaptest.Conn{}}
			for _, line := range strings.Split(tt.steps, ", ") {
				p.step(line)
			}
			minute := func(ns int64) int { return int(time.Unix(0, ns).Sub(start).Minutes()) }
			r := Merge([]*Result{link(t, DefaultConfig(), p.s)})
			dir := NewDirectory(r)
			name := func(c *Conn) string { return p.names[int(c.Client().Port())-2000] }
			var conns []string
			for _, c := range r.Conns {
				if c.Server().Port() != 135 {
					s, _ := dir.Service(c)
					conns = append(conns, fmt.Sprintf("%s %s", name(c), s))
				}
			}
			if diff := cmp.Diff(strings.Split(tt.conns, ", "), conns); diff != "" {
				t.Errorf("connections (-want +got):\n%s", diff)
			}
			var rows []string
			for _, row := range dir.Rows() {
				if row.Port == 135 {
					continue
				}
				text := ""
				for n, x := range byName {
					if string(x.UUID) == row.Interface.String() {
						text = n
					}
				}
				text += fmt.Sprintf(" %d-", minute(row.Mark.Time))
				if !row.Until.IsZero() {
					text += fmt.Sprint(minute(row.Until.Time))
				}
				text += " "
				for _, c := range row.Conns {
					text += name(c)
				}
				rows = append(rows, text)
			}
			if diff := cmp.Diff(tt.rows, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCallsKeepTheirPort announces the port of a connection whose bind was not
// captured for another interface: its calls stay what they were, and those of
// later connections are what the latest answer or bind says.
func TestCallsKeepTheirPort(t *testing.T) {
	ping := func(c *pcaptest.Conn, id uint32) { // EcDoDisconnect, or what opnum 1 is of another interface
		c.Client(pcaptest.Request(0, pcaptest.OpEcDoDisconnect, pcaptest.DisconnectRequest(pcaptest.NDR{}, "01020304-0506-0708-090a-0b0c0d0e0f10")).Call(id).Bytes())
		c.Server(pcaptest.Response(0, pcaptest.DisconnectResponse(pcaptest.NDR{}, 0)).Call(id).Bytes())
	}
	p := &portPlay{s: pcaptest.New(time.Unix(1_246_000_000, 0)), conns: map[string]*pcaptest.Conn{}}
	p.step("map EMSMDB")
	a := p.open("A", pcaptest.NoHandshake())
	ping(a, 5)
	p.step("map NSPI")
	ping(a, 6)
	ping(p.open("B", pcaptest.NoHandshake()), 7)
	p.step("map EMSMDB+NSPI")
	ping(p.open("C", pcaptest.NoHandshake()), 8)
	p.step("bind D MGMT")
	ping(p.open("E", pcaptest.NoHandshake()), 9)
	p.step("bind F NSPI")
	ping(p.open("G", pcaptest.NoHandshake()), 10)
	p.step("bind H AsyncEMSMDB")
	ping(p.open("I", pcaptest.NoHandshake()), 11)
	ping(a, 12)
	got := map[string]int64{}
	for _, c := range Merge([]*Result{link(t, DefaultConfig(), p.s)}).Conns {
		if c.Server().Port() != 135 && c.MAPI != nil {
			got[p.names[int(c.Client().Port())-2000]] = c.MAPI.Figures().Disconnects
		}
	}
	if diff := cmp.Diff(map[string]int64{"A": 3, "C": 1, "E": 1, "I": 1}, got); diff != "" {
		t.Errorf("EcDoDisconnect calls (-want +got):\n%s", diff)
	}
}

// TestAPortThatChangesHandsForWeeks keeps the latest terms of a port.
func TestAPortThatChangesHandsForWeeks(t *testing.T) {
	server := netip.MustParseAddr("10.2.0.9")
	r := &Result{}
	for i := range 2 * maxPerPort {
		iface := [2]wire.UUID{emsmdb.MDB, emsmdb.NSPI}[i%2]
		m := wire.Mark{Time: int64(i+1) * 3600e9, Packet: int64(i + 1)}
		r.Maps = append(r.Maps, Exchange{Mark: m, Answers: []epm.Answer{{Server: server, Port: 1025, Interface: iface, From: "ept_map", Mark: m}}})
	}
	c := &Conn{Flow: &flows.Conn{A: netip.MustParseAddrPort("10.1.0.5:2000"), B: netip.AddrPortFrom(server, 1025), First: wire.Mark{Time: 1e18, Packet: 1e6}}}
	r.Conns = []*Conn{c}
	dir := NewDirectory(r)
	if s, basis := dir.Service(c); s != NSPI || basis != ByEPM {
		t.Errorf("%s by %s", s, basis)
	}
	rows := dir.Rows()
	if len(rows) != maxPerPort || dir.Dropped() != maxPerPort || rows[0].Mark.Packet != maxPerPort+1 || !rows[len(rows)-1].Until.IsZero() {
		t.Errorf("%d rows from packet %d, %d dropped", len(rows), rows[0].Mark.Packet, dir.Dropped())
	}
}
