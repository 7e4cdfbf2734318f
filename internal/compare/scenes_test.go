package compare_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
	"mapiscope/pcaps"
)

// stage is a conversation at two places: each leg is played on its own, so
// that what stands between them may do anything.
type stage struct {
	scene *pcaptest.Scene
	shift time.Duration // of the clock of the core
	ppm   int64         // its gain
}

func newStage(shift time.Duration) *stage {
	s := &stage{scene: pcaptest.New(time.Date(2009, 6, 25, 6, 32, 27, 0, time.UTC)), shift: shift}
	s.scene.Tap("edge-lan", pcaps.LinkEthernet, 0)
	s.scene.Tap("core-lan", pcaps.LinkEthernet, 0)
	return s
}

// legOf is one connection at one place.
type legOf struct {
	core           bool
	client, server string
	isn            [2]uint32
	at             time.Duration // of the SYN
	events         []moment
	reset          *pcaptest.Side
	open           bool // does not end
}

type moment struct {
	at   time.Duration
	side pcaptest.Side
	data []byte
}

func (l *legOf) asks(at time.Duration, pdu pcaptest.PDU)    { l.say(at, pcaptest.Client, pdu) }
func (l *legOf) answers(at time.Duration, pdu pcaptest.PDU) { l.say(at, pcaptest.Server, pdu) }
func (l *legOf) say(at time.Duration, side pcaptest.Side, pdu pcaptest.PDU) {
	l.events = append(l.events, moment{at, side, pdu.Bytes()})
}

// play captures a leg.
func (s *stage) play(l *legOf) {
	rtt, tap := 40*time.Millisecond, 0
	clock := func(at time.Duration) time.Duration { return at }
	if l.core {
		rtt, tap = 100*time.Microsecond, 1
		clock = func(at time.Duration) time.Duration { return at + s.shift + at*time.Duration(s.ppm)/1e6 }
	}
	s.scene.At(clock(l.at))
	c := s.scene.Dial(l.client, l.server, pcaptest.On(tap), pcaptest.RTT(rtt), pcaptest.ISNs(l.isn[0], l.isn[1]), pcaptest.AckEvery(0))
	slices.SortStableFunc(l.events, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	end := time.Duration(0)
	for _, e := range l.events {
		c.At(clock(e.at))
		if e.side == pcaptest.Client {
			c.Client(e.data)
		} else {
			c.Server(e.data)
		}
		end = e.at
	}
	c.At(clock(end + 50*time.Millisecond))
	switch {
	case l.reset != nil:
		c.Reset(*l.reset)
	case !l.open:
		c.Ack(pcaptest.Client).Ack(pcaptest.Server).Close()
	}
}

// run compares the two places.
func (s *stage) run(t *testing.T) *document.Document {
	t.Helper()
	dir := t.TempDir()
	var paths [2]string
	for tap, name := range []string{"edge.pcap", "core.pcap"} {
		paths[tap] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[tap], s.scene.Pcap(tap), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return compared(t, 2, paths[0], paths[1])
}

// compared compares two captures.
func compared(t *testing.T, workers int, edge, core string) *document.Document {
	t.Helper()
	doc, err := run.Run(context.Background(), run.Config{
		Paths: []string{edge, core}, At: []pcaps.Point{pcaps.Edge, pcaps.Core}, Workers: workers, Compare: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func endpoint(h document.Host) string { return fmt.Sprintf("%s:%d", h.IP, h.Port) }

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func show(n *int64) string {
	if n == nil {
		return "null"
	}
	return fmt.Sprint(*n)
}

const handle = pcaptest.UUID("01020304-0506-0708-090a-0b0c0d0e0f10")

// mdb is the EMSMDB interface.
var mdb = pcaptest.Syntax{UUID: "a4f1db00-ca47-1067-b31f-00dd010662da", Version: 0x510000}

// pairOfLegs returns the legs of one connection, with handshake, bind and
// connect, which go all the way: 20 ms there and 20 ms back.
func pairOfLegs(client, server string, at time.Duration, seed uint32) (edge, core *legOf) {
	edge = &legOf{client: client, server: server, isn: [2]uint32{seed, seed + 77}, at: at}
	core = &legOf{core: true, client: client, server: server, isn: edge.isn, at: at + 20*time.Millisecond}
	bind := pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1)
	through(edge, core, at+50*time.Millisecond, bind, pcaptest.BindAck(0x10000+seed, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1))
	connect := pcaptest.ConnectEx{UserDN: "/o=lab/cn=user", Client: pcaptest.Outlook2003}.Request(pcaptest.NDR{})
	answer := pcaptest.ConnectExResult{Handle: handle, Server: pcaptest.Version{8, 0x80f0, 5}, Best: pcaptest.Outlook2003}.Response(pcaptest.NDR{})
	through(edge, core, at+100*time.Millisecond, pcaptest.Request(0, pcaptest.OpEcDoConnectEx, connect).Call(2), pcaptest.Response(0, answer).Call(2))
	return edge, core
}

// through lets a call go all the way, the same bytes at both places.
func through(edge, core *legOf, at time.Duration, ask, answer pcaptest.PDU) {
	edge.asks(at, ask)
	core.asks(at+20*time.Millisecond, ask)
	core.answers(at+21*time.Millisecond, answer)
	edge.answers(at+41*time.Millisecond, answer)
}

// rops is a call with one ROP; the handle index is what an accelerator may
// renumber.
func rops(id uint32, index byte, rop ...byte) pcaptest.PDU {
	rop[2] = index
	in := pcaptest.Plain(pcaptest.ROPs([]uint32{7, 7, 7, 7}, rop))
	return pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, pcaptest.RpcExt2{Handle: handle, In: in, MaxOut: 0x10008}.Request(pcaptest.NDR{})).Call(id)
}

// returns answers a call with one ROP response.
func returns(id uint32, rop ...byte) pcaptest.PDU {
	out := pcaptest.Plain(pcaptest.ROPs([]uint32{7, 7, 7, 7}, rop))
	return pcaptest.Response(0, pcaptest.RpcExt2Result{Handle: handle, Out: out}.Response(pcaptest.NDR{})).Call(id)
}

// readStream asks for n bytes at the place where the stream stands; data
// answers with as many.
func readStream(n uint16) []byte {
	return binary.LittleEndian.AppendUint16([]byte{0x2c, 0, 0}, n)
}

func data(n uint16) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0x2c, 0, 0, 0, 0, 0}, n)
	return append(b, make([]byte, n)...)
}

// openFolder asks for one folder.
func openFolder(folder byte) []byte {
	return []byte{0x02, 0, 0, 1, folder, 0, 0, 0, 0, 0, 0, 0, 0}
}

var (
	folderOpen = []byte{0x02, 1, 0, 0, 0, 0, 0, 0}
	writeDone  = []byte{0x2d, 0, 0, 0, 0, 0, 4, 0}
)

func writeStream(text string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0x2d, 0, 0}, uint16(len(text)))
	return append(b, text...)
}

const ms = time.Millisecond

// accelerated is a connection whose calls are answered in every way. What the
// accelerator sends has numbers of its own.
func accelerated(edge, core *legOf, at time.Duration) {
	// Remote, with other numbers on the way.
	edge.asks(at, rops(10, 0, openFolder(1)...))
	core.asks(at+20*ms, rops(110, 1, openFolder(1)...))
	core.answers(at+25*ms, returns(110, folderOpen...))
	edge.answers(at+45*ms, returns(10, folderOpen...))
	// Read ahead twice before the client asks, then handed out at once.
	for i, size := range []uint16{1200, 800} {
		core.asks(at+time.Duration(60+10*i)*ms, rops(uint32(120+i), 2, readStream(size)...))
		core.answers(at+time.Duration(62+10*i)*ms, returns(uint32(120+i), data(size)...))
		edge.asks(at+time.Duration(120+10*i)*ms, rops(uint32(20+i), 0, readStream(size)...))
		edge.answers(at+time.Duration(121+10*i)*ms, returns(uint32(20+i), data(size)...))
	}
	// Asked ahead, and the answer still on its way when the client asks.
	core.asks(at+190*ms, rops(130, 2, readStream(1024)...))
	core.answers(at+215*ms, returns(130, data(1024)...))
	edge.asks(at+200*ms, rops(30, 0, readStream(1024)...))
	edge.answers(at+236*ms, returns(30, data(1024)...))
	// Answered from what is kept, without any question to the server.
	for i := range 3 {
		edge.asks(at+time.Duration(250+5*i)*ms, rops(uint32(40+i), 0, openFolder(byte(100+i))...))
		edge.answers(at+time.Duration(251+5*i)*ms, returns(uint32(40+i), folderOpen...))
	}
	// A write that is confirmed first and sent on later.
	edge.asks(at+300*ms, rops(50, 0, writeStream("late")...))
	edge.answers(at+300*ms+500*time.Microsecond, returns(50, writeDone...))
	core.asks(at+380*ms, rops(150, 3, writeStream("late")...))
	core.answers(at+381*ms, returns(150, writeDone...))
	// Fetched ahead and never asked for.
	core.asks(at+400*ms, rops(160, 2, readStream(512)...))
	core.answers(at+402*ms, returns(160, data(512)...))
	// Remote again.
	edge.asks(at+500*ms, rops(60, 0, openFolder(2)...))
	core.asks(at+520*ms, rops(170, 1, openFolder(2)...))
	core.answers(at+521*ms, returns(170, folderOpen...))
	edge.answers(at+541*ms, returns(60, folderOpen...))
}

func TestEveryKindOfAnswer(t *testing.T) {
	for _, shift := range []time.Duration{0, 31012 * ms, -31012 * ms} {
		t.Run(shift.String(), func(t *testing.T) {
			s := newStage(shift + 40*time.Second)
			if shift == 0 {
				s = newStage(0)
			}
			edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", time.Minute, 1000)
			accelerated(edge, core, time.Minute+time.Second)
			s.play(edge)
			s.play(core)
			doc := s.run(t)
			if len(doc.Comparison.Pairs) != 1 {
				t.Fatalf("pairs: %+v, unpaired %+v", doc.Comparison.Pairs, doc.Comparison.Unpaired)
			}
			p := doc.Comparison.Pairs[0]
			if p.Verdict != "optimized" || p.Accelerator != "mapi" || p.Streams.Verdict != "rpc_differs" || p.HandedOff != nil {
				t.Errorf("verdict %s by %s, streams %s, handed off %v", p.Verdict, p.Accelerator, p.Streams.Verdict, p.HandedOff)
			}
			us := func(n int64) *int64 { return &n }
			want := document.PairedCalls{
				Answered: 10, // the connect among them
				Remote:   &document.RemoteCalls{Count: 3, Avg: us((41_000 + 45_000 + 41_000) / 3), ServerAvg: us((1000 + 5000 + 1000) / 3)},
				Local: &document.LocalCalls{
					Count: 7, Avg: us((1000 + 1000 + 36_000 + 3*1000 + 500) / 7), Unforwarded: 3, Prefetched: 2, Waited: 1, Deferred: 1,
				},
				Originated: us(1), OriginatedData: us(512), TimeSaved: us(7*(41_000+45_000+41_000)/3 - 41_500),
				Quality: document.Exact, Why: "questions matched between both captures",
			}
			if diff := gocmp.Diff(want, *p.Calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			a := doc.Accelerators.MAPI
			got := map[string]document.Figure{"local": a.LocalResponseCount, "remote": a.RemoteResponseCount, "least": a.ReadAheadMin, "most": a.ReadAheadMax, "optimized": a.TotalOptimizedConnections}
			for name, value := range map[string]int64{"local": 7, "remote": 3, "least": 0, "most": 2000, "optimized": 1} {
				if f := got[name]; f.Value == nil || *f.Value != value {
					t.Errorf("%s: %v (%s), want %d", name, show(f.Value), f.Why, value)
				}
			}
			if d := p.Delay.NearFar; d == nil || *d < 19_000 || *d > 21_000 {
				t.Errorf("one way takes %s µs, want 20 ms", show(d))
			}
		})
	}
}

// TestDriftOverAnHour: the clocks run apart by more than one way takes between
// two bursts of calls, and nothing but the bursts says so.
func TestDriftOverAnHour(t *testing.T) {
	for _, ppm := range []int64{0, 50, -50} {
		t.Run(fmt.Sprint(ppm, " ppm"), func(t *testing.T) {
			s := newStage(31012 * ms)
			s.ppm = ppm
			const clients, bursts = 3, 6
			for i := range clients {
				at := time.Duration(i) * 7 * time.Minute
				edge, core := pairOfLegs(fmt.Sprintf("10.1.0.%d:3774", 5+i), "10.2.0.9:59531", at, uint32(1000*(i+1)))
				for n := range bursts {
					accelerated(edge, core, at+time.Second+time.Duration(n)*10*time.Minute)
				}
				s.play(edge)
				s.play(core)
			}
			c := s.run(t).Comparison
			if len(c.Pairs) != clients {
				t.Fatalf("%d pairs, unpaired %+v", len(c.Pairs), c.Unpaired)
			}
			for _, p := range c.Pairs {
				l := p.Calls.Local
				got := []int64{p.Calls.Remote.Count, l.Unforwarded, l.Prefetched, l.Waited, l.Deferred, *p.Calls.Originated}
				if want := []int64{1 + 2*bursts, 3 * bursts, 2 * bursts, bursts, bursts, bursts}; !slices.Equal(got, want) {
					t.Errorf("%s: remote, not sent, ahead, waited, deferred, of nobody: %v, want %v (%s)", endpoint(p.Client), got, want, p.Calls.Why)
				}
			}
			if d := c.Clock.Drift; d == nil || *d < float64(ppm)-2 || *d > float64(ppm)+2 {
				t.Errorf("drift %v from %d samples, want %d ppm", d, c.Clock.Samples, ppm)
			}
		})
	}
}

func TestHandOffInMidLife(t *testing.T) {
	s := newStage(0)
	edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", 0, 1000)
	accelerated(edge, core, time.Second)
	at := 2 * time.Second
	for i := range 20 {
		through(edge, core, at+time.Duration(i)*100*ms, rops(uint32(200+i), 0, openFolder(byte(i))...), returns(uint32(200+i), folderOpen...))
	}
	s.play(edge)
	s.play(core)
	p := s.run(t).Comparison.Pairs[0]
	if p.HandedOff == nil || *p.HandedOff != "2009-06-25T06:32:29.000000000Z" {
		t.Errorf("handed off at %v, want the first of the calls that nobody touched", p.HandedOff)
	}
	if p.Verdict != "optimized" || p.Accelerator != "generic" || p.Calls.Local.Count != 7 || p.Calls.Remote.Count != 23 {
		t.Errorf("%s by %s, local %+v, remote %+v", p.Verdict, p.Accelerator, *p.Calls.Local, *p.Calls.Remote)
	}
}

func TestWhoEndedIt(t *testing.T) {
	server, client := pcaptest.Server, pcaptest.Client
	for _, row := range []struct {
		name           string
		edge, core     *pcaptest.Side
		open           bool
		endedBy, reset string
		dropped        int64
	}{
		{name: "closed by the client", endedBy: "client"},
		{name: "reset towards the client alone", edge: &server, endedBy: "optimizer", reset: "edge", dropped: 1},
		{name: "reset towards the server alone", core: &client, endedBy: "optimizer", reset: "core"},
		{name: "reset by the server", edge: &server, core: &server, endedBy: "server"},
		{name: "reset by the client", edge: &client, core: &client, endedBy: "client"},
		{name: "open", open: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStage(0)
			edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", 0, 1000)
			edge.reset, core.reset, edge.open, core.open = row.edge, row.core, row.open, row.open
			s.play(edge)
			s.play(core)
			doc := s.run(t)
			p := doc.Comparison.Pairs[0]
			if str(p.EndedBy) != row.endedBy || str(p.ResetAt) != row.reset {
				t.Errorf("ended by %q, reset at %q, want %q, %q", str(p.EndedBy), str(p.ResetAt), row.endedBy, row.reset)
			}
			if f := doc.Accelerators.MAPI.TotalDroppedConnections; *f.Value != row.dropped {
				t.Errorf("total_dropped_connections = %d, want %d", *f.Value, row.dropped)
			}
		})
	}
}

// rewritten lets a device change ends and sequence numbers of the core leg.
func rewritten(core *legOf, client, server string, isn uint32) {
	core.client, core.server = client, server
	if isn != 0 {
		core.isn = [2]uint32{isn, isn + 5}
	}
}

func TestRewrittenAddresses(t *testing.T) {
	for _, row := range []struct {
		name         string
		isn          uint32 // 0: kept
		client, port string
		basis        string
	}{
		{"the client's address", 0, "10.9.0.1:2000", "10.2.0.9:59531", "isn"},
		{"the client's address and the sequence numbers", 5000, "10.9.0.1:2000", "10.2.0.9:59531", "content"},
		{"the server's port", 6000, "10.1.0.5:3774", "10.2.0.9:27744", "content"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStage(0)
			server := "10.2.0.9:59531"
			if row.port != server {
				server = "10.2.0.9:7830"
			}
			edge, core := pairOfLegs("10.1.0.5:3774", server, 0, 1000)
			accelerated(edge, core, time.Second)
			rewritten(core, row.client, row.port, row.isn)
			s.play(edge)
			s.play(core)
			c := s.run(t).Comparison
			if len(c.Pairs) != 1 || len(c.Unpaired) != 0 {
				t.Fatalf("%d pairs, unpaired %+v", len(c.Pairs), c.Unpaired)
			}
			p := c.Pairs[0]
			if !p.Rewritten || p.Basis != row.basis || endpoint(*p.FarClient) != row.client || endpoint(*p.FarServer) != row.port {
				t.Errorf("rewritten %v, by %s, far ends %v %v", p.Rewritten, p.Basis, p.FarClient, p.FarServer)
			}
			if p.Calls.Local == nil || p.Calls.Local.Count != 7 || p.Calls.Remote.Count != 3 || *p.Calls.Originated != 1 {
				t.Errorf("calls %+v, local %+v, remote %+v", *p.Calls, p.Calls.Local, p.Calls.Remote)
			}
		})
	}
}

func TestSeveralClientsBehindOneAddress(t *testing.T) {
	s := newStage(31 * time.Second)
	clients := []string{"10.1.0.5:3774", "10.1.0.6:3774", "10.1.0.7:3774"}
	for i, client := range clients {
		edge, core := pairOfLegs(client, "10.2.0.9:59531", time.Duration(i)*5*ms, uint32(1000*(i+1)))
		rewritten(core, "10.9.0.1:"+[]string{"4001", "4002", "4003"}[i], core.server, uint32(70000+i*100))
		s.play(edge)
		s.play(core)
	}
	c := s.run(t).Comparison
	if len(c.Pairs) != 3 || len(c.Unpaired) != 0 {
		t.Fatalf("%d pairs, unpaired %+v", len(c.Pairs), c.Unpaired)
	}
	for i, p := range c.Pairs {
		if endpoint(p.Client) != clients[i] || int(p.FarClient.Port) != 4001+i {
			t.Errorf("%s is paired with %s", endpoint(p.Client), endpoint(*p.FarClient))
		}
	}
}

// joins lets a leg pair bind into the group of another one.
func joins(edge, core *legOf, group uint32, at time.Duration) {
	edge.events, core.events = nil, nil
	bind := pcaptest.Bind(group, pcaptest.Offer(0, mdb)).Call(1)
	through(edge, core, at+50*ms, bind, pcaptest.BindAck(group, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1))
	through(edge, core, at+100*ms, rops(2, 0, openFolder(9)...), returns(2, folderOpen...))
}

func TestConnectionsOnOneSideOnly(t *testing.T) {
	for _, missing := range []string{"core", "edge"} {
		t.Run("missing at the "+missing, func(t *testing.T) {
			s := newStage(31012 * ms)
			edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", 0, 1000)
			accelerated(edge, core, time.Second)
			second, secondCore := pairOfLegs("10.1.0.5:3775", "10.2.0.9:59531", 3*time.Second, 2000)
			joins(second, secondCore, 0x10000+1000, 3*time.Second)
			third, thirdCore := pairOfLegs("10.1.0.6:4000", "10.2.0.9:59531", 9*time.Second, 3000)
			for _, l := range []*legOf{edge, core, third, thirdCore} {
				s.play(l)
			}
			code, at := "CLIENT_ONLY_AT_EDGE", "edge"
			if missing == "core" {
				s.play(second)
			} else {
				s.play(secondCore)
				code, at = "CLIENT_ONLY_AT_CORE", "core"
			}
			doc := s.run(t)
			c := doc.Comparison
			if len(c.Pairs) != 2 || len(c.Unpaired) != 1 || c.Unpaired[0].At != at || c.Unpaired[0].Client.Port != 3775 || c.Unpaired[0].Reason != "missing" {
				t.Fatalf("%d pairs, unpaired %+v", len(c.Pairs), c.Unpaired)
			}
			var found []string
			for _, f := range doc.Findings {
				if f.Code == code {
					found = append(found, f.Detail)
				}
				if f.Code == code && (len(f.Connections) != 1 || f.Connections[0] != c.Unpaired[0].Connection || f.Severity != document.Error) {
					t.Errorf("%+v", f)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s: %q in %+v", code, found, doc.Findings)
			}
			// Whether it took another path, or one capture is not complete, cannot be told.
			possible := 0
			for _, g := range doc.AssociationGroups {
				if len(g.Possible) == 0 {
					continue
				}
				possible++
				if !slices.Equal(g.Possible, []int{c.Unpaired[0].Connection}) || g.Verdict != "unknown" {
					t.Errorf("group %+v", g)
				}
			}
			if e := doc.Assessment.Escape; possible != 1 || e.State != "possible" || e.PossibleConnections != 1 {
				t.Errorf("%d groups with possible escapes: %+v", possible, e)
			}
		})
	}
}

func TestWhatLiesOutsideTheOtherCapture(t *testing.T) {
	s := newStage(0)
	edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", 0, 1000)
	core.open = true // and goes on when the capture ends
	late, _ := pairOfLegs("10.1.0.5:3775", "10.2.0.9:59531", 2*time.Second, 2000)
	muchLater, _ := pairOfLegs("10.1.0.5:3776", "10.2.0.9:59531", time.Minute, 2500)
	other, _ := pairOfLegs("10.1.0.77:3775", "10.3.0.9:59531", 50*ms, 3000)
	for _, l := range []*legOf{edge, core, late, muchLater, other} {
		s.play(l)
	}
	doc := s.run(t)
	var reasons []string
	for _, u := range doc.Comparison.Unpaired {
		reasons = append(reasons, u.Reason)
	}
	slices.Sort(reasons)
	if want := []string{"out_of_scope", "outside_captures", "outside_captures"}; !slices.Equal(reasons, want) {
		t.Errorf("reasons %v, want %v", reasons, want)
	}
	for _, f := range doc.Findings {
		if f.Code == "CLIENT_ONLY_AT_EDGE" {
			t.Errorf("%s: %s", f.Code, f.Detail)
		}
	}
}

// TestLossHidesNothingAndInventsNothing drops the core's view of calls that
// were forwarded: without the guard they would look local.
func TestLossHidesNothingAndInventsNothing(t *testing.T) {
	s := newStage(0)
	edge, core := pairOfLegs("10.1.0.5:3774", "10.2.0.9:59531", 0, 1000)
	for i := range 10 {
		through(edge, core, time.Second+time.Duration(i)*100*ms, rops(uint32(10+i), 0, openFolder(byte(i))...), returns(uint32(10+i), folderOpen...))
	}
	s.play(edge)
	slices.SortStableFunc(core.events, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	s.play(core)
	dir := t.TempDir()
	edgePath, corePath := filepath.Join(dir, "edge.pcap"), filepath.Join(dir, "core.pcap")
	for path, tap := range map[string]int{edgePath: 0, corePath: 1} {
		if err := os.WriteFile(path, s.scene.Pcap(tap), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Without the SYN, SYN/ACK and ACK, the bind and the connect (7 packets).
	for drop := 7; drop < 26; drop++ {
		doc := compared(t, 1, edgePath, without(t, corePath, drop))
		for _, p := range doc.Comparison.Pairs {
			if p.Calls.Local != nil && p.Calls.Local.Count > 0 || p.Calls.Originated != nil && *p.Calls.Originated > 0 {
				t.Errorf("without packet %d: local %+v, originated %v", drop, p.Calls.Local, p.Calls.Originated)
			}
		}
	}
}

// without copies a capture and leaves one packet out.
func without(t *testing.T, from string, drop int) string {
	t.Helper()
	r, err := pcaps.Open([]string{from}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "lossy.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcaps.NewPcapWriter(f, r.Captures()[0].Link, 0, true)
	var p pcaps.Packet
	for n := 0; ; n++ {
		switch err := r.Next(&p); {
		case errors.Is(err, io.EOF):
			return f.Name()
		case err != nil:
			t.Fatal(err)
		case n != drop:
			if err := w.WritePacket(0, p.Time, p.Data, p.WireLen); err != nil {
				t.Fatal(err)
			}
		}
	}
}
