package assoc

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// learned shows what the endpoint mapper answers of a result tell.
func learned(r *Result) (rows []string) {
	for i := range r.Maps {
		ex := &r.Maps[i]
		row := fmt.Sprintf("%s %s v%d.%d", ex.Sequence, ex.Interface.String()[:8], ex.Major, ex.Minor)
		switch {
		case !ex.Answered:
			row += " unanswered"
		default:
			row += fmt.Sprintf(" status %x ports %v", ex.Status, ex.Ports)
		}
		rows = append(rows, row)
		for _, a := range ex.Answers {
			rows = append(rows, fmt.Sprintf("%s: %v:%d at %v %s v%d.%d %q", a.From, a.Server, a.Port, a.Address, a.Interface.String()[:8], a.Major, a.Minor, a.Annotation))
		}
	}
	return rows
}

func TestEndpointMapper(t *testing.T) {
	const mapper = "10.2.0.9:135"
	any, other := netip.Addr{}, netip.MustParseAddr("192.168.7.7")
	mdb := func(addr netip.Addr, port uint16) pcaptest.Endpoint {
		return pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: addr, Port: port}
	}
	nspi := pcaptest.Endpoint{Interface: pcaptest.NSPI, Addr: any, Port: 4997}
	answered := []string{
		"ncacn_ip_tcp a4f1db00 v0.81 status 0 ports [1025]",
		"ept_map: 10.2.0.9:1025 at 0.0.0.0 a4f1db00 v0.81 \"\"",
	}
	lookedUp := []string{
		"lookup 00000000 v0.0 status 0 ports []",
		"ept_lookup: 10.2.0.9:1025 at 0.0.0.0 a4f1db00 v0.81 \"store\"",
		"ept_lookup: 10.2.0.9:4997 at 0.0.0.0 f5cc5a18 v56.0 \"store\"",
	}
	for _, n := range []pcaptest.NDR{{}, {Big: true}, {Wide: true}, {Wide: true, Big: true}} {
		transfer := pcaptest.NDR32
		if n.Wide {
			transfer = pcaptest.NDR64
		}
		order := func(p pcaptest.PDU) []byte {
			if n.Big {
				p = p.BigEndian()
			}
			return p.Bytes()
		}
		ask := func(c *pcaptest.Conn, id uint32, opnum uint16, stub []byte) {
			c.Client(order(pcaptest.Request(0, opnum, stub).Call(id)))
		}
		tell := func(c *pcaptest.Conn, id uint32, stub []byte) { c.Server(order(pcaptest.Response(0, stub).Call(id))) }
		tests := []struct {
			name string
			play func(c *pcaptest.Conn)
			want []string
			n    EPMCounts
		}{
			{
				"ept_map, one tower", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
					tell(c, 2, pcaptest.EptMapResponse(n, 4, 0, mdb(any, 1025)))
				}, answered, EPMCounts{Requests: 1, RequestsParsed: 1, Responses: 1, ResponsesParsed: 1},
			},
			{
				"ept_map, several towers, another address of the server", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
					tell(c, 2, pcaptest.EptMapResponse(n, 4, 0, mdb(other, 1025), mdb(any, 1026), mdb(any, 0)))
				}, []string{
					"ncacn_ip_tcp a4f1db00 v0.81 status 0 ports [1025 1026]",
					"ept_map: 10.2.0.9:1025 at 192.168.7.7 a4f1db00 v0.81 \"\"",
					"ept_map: 10.2.0.9:1026 at 0.0.0.0 a4f1db00 v0.81 \"\"",
				}, EPMCounts{Requests: 1, RequestsParsed: 1, Responses: 1, ResponsesParsed: 1},
			},
			{
				"ept_map, not registered", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
					tell(c, 2, pcaptest.EptMapResponse(n, 4, 0x16c9a0d6))
				}, []string{"ncacn_ip_tcp a4f1db00 v0.81 status 16c9a0d6 ports []"},
				EPMCounts{Requests: 1, RequestsParsed: 1, Responses: 1, ResponsesParsed: 1, Unavailable: 1},
			},
			{
				"ept_map, success and no tower", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
					tell(c, 2, pcaptest.EptMapResponse(n, 4, 0))
				}, []string{"ncacn_ip_tcp a4f1db00 v0.81 status 0 ports []"},
				EPMCounts{Requests: 1, RequestsParsed: 1, Responses: 1, ResponsesParsed: 1, Unavailable: 1},
			},
			{
				"ept_map, a search that goes on and ends", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 1))
					tell(c, 2, pcaptest.EptMapResponse(n, 1, 0, mdb(any, 1025)))
					ask(c, 3, 3, pcaptest.EptMapMore(n, pcaptest.EMSMDB, "01020304-0506-0708-090a-0b0c0d0e0f10", 1))
					tell(c, 3, pcaptest.EptMapResponse(n, 1, 0x16c9a0d6))
				}, append(answered[:2:2], "ncacn_ip_tcp a4f1db00 v0.81 status 16c9a0d6 ports []"),
				EPMCounts{Requests: 2, RequestsParsed: 2, Responses: 2, ResponsesParsed: 2},
			},
			{
				"ept_map, fault", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
					c.Server(order(pcaptest.Fault(0, 0x1c010014).Call(2)))
				}, []string{"ncacn_ip_tcp a4f1db00 v0.81 status 1c010014 ports []"},
				EPMCounts{Requests: 1, RequestsParsed: 1},
			},
			{
				"ept_map, unanswered", func(c *pcaptest.Conn) {
					ask(c, 2, 3, pcaptest.EptMapRequest(n, pcaptest.EMSMDB, 4))
				}, []string{"ncacn_ip_tcp a4f1db00 v0.81 unanswered"}, EPMCounts{Requests: 1, RequestsParsed: 1},
			},
			{
				"ept_map, question and answer do not decode", func(c *pcaptest.Conn) {
					ask(c, 2, 3, []byte("no question"))
					tell(c, 2, []byte("no answer"))
				}, nil, EPMCounts{Requests: 1, Responses: 1, RequestErrors: 1, ResponseErrors: 1},
			},
			{
				"ept_lookup", func(c *pcaptest.Conn) {
					ask(c, 2, 2, pcaptest.EptLookupRequest(n, 500))
					tell(c, 2, pcaptest.EptLookupResponse(n, 500, 0, "store", mdb(any, 1025), nspi))
				}, lookedUp, EPMCounts{Lookups: 1},
			},
			{
				"ept_map, question not captured", func(c *pcaptest.Conn) { tell(c, 2, pcaptest.EptMapResponse(n, 4, 0, mdb(any, 1025))) },
				answered, EPMCounts{Responses: 1, ResponsesParsed: 1},
			},
			{
				"ept_lookup, question not captured", func(c *pcaptest.Conn) {
					tell(c, 2, pcaptest.EptLookupResponse(n, 500, 0, "store", mdb(any, 1025), nspi))
				}, lookedUp, EPMCounts{},
			},
			{
				"an answer to nothing that is none", func(c *pcaptest.Conn) { tell(c, 2, make([]byte, 40)) }, nil, EPMCounts{},
			},
		}
		for _, tt := range tests {
			for _, bound := range []bool{true, false} {
				name := fmt.Sprintf("%s, big endian %v, NDR64 %v, bound %v", tt.name, n.Big, n.Wide, bound)
				t.Run(name, func(t *testing.T) {
					s := pcaptest.New(time.Unix(1_246_000_000, 0))
					var c *pcaptest.Conn
					if bound {
						c = s.Dial("10.1.0.5:2000", mapper)
						c.Client(order(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM, transfer)).Call(1)))
						c.Server(order(pcaptest.BindAck(7, "135", pcaptest.Accept(transfer)).Call(1)))
					} else {
						c = s.Dial("10.1.0.5:2000", mapper, pcaptest.NoHandshake())
					}
					tt.play(c)
					r := link(t, DefaultConfig(), s)
					if d := cmp.Diff(tt.want, learned(r)); d != "" {
						t.Errorf("(-want +got):\n%s", d)
					}
					if d := cmp.Diff(tt.n, r.Conns[0].EPM); d != "" {
						t.Errorf("counts (-want +got):\n%s", d)
					}
				})
			}
		}
	}
}
