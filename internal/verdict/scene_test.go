package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// The words of the scenes: one client, one Exchange server.
const (
	outlook  = "10.1.0.5"
	exchange = "10.2.0.9"
	mdb      = "10.2.0.9:59531"
	session  = pcaptest.UUID("5f3a1c00-7be1-4c11-9d8a-0a1b2c3d4e5f")
)

func opts(lists ...[]pcaptest.Option) []pcaptest.Option { return slices.Concat(lists...) }

func rtt(d time.Duration) []pcaptest.Option { return []pcaptest.Option{pcaptest.RTT(d)} }

// onWAN is a path with 40 ms, seen in no special place.
func onWAN() []pcaptest.Option { return rtt(40 * time.Millisecond) }

// waasOption is an option 33 of the traced layout, from a device.
func waasOption(device byte) []byte {
	return []byte{0x21, 12, 0x01, 0x08, 0x00, 0x14, 0x5e, 0, 0, device, 0, 0}
}

// pair are the options of a connection between two devices.
func pair(edge, core byte) []pcaptest.Option {
	return []pcaptest.Option{pcaptest.SynOptions(waasOption(edge)...), pcaptest.SynAckOptions(waasOption(core)...)}
}

// jumped is pair with the sequence jump.
func jumped(edge, core byte) []pcaptest.Option {
	return append(pair(edge, core), pcaptest.Jump(1<<31))
}

func dial(s *pcaptest.Scene, port uint16, server string, options ...[]pcaptest.Option) *pcaptest.Conn {
	return s.Dial(fmt.Sprintf("%s:%d", outlook, port), server, opts(options...)...)
}

// noise is payload that is no DCE/RPC.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 99
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	b[0] = 0x78
	return b
}

// tunnel is an exchange that two devices compress.
func tunnel(c *pcaptest.Conn, rounds int) *pcaptest.Conn {
	for i := range rounds {
		c.Client(noise(300+i, byte(i))).Server(noise(700+i, byte(i+100)))
	}
	return c
}

// hidden is an EMSMDB connection between two devices: open, not closed yet.
func hidden(s *pcaptest.Scene, port uint16) *pcaptest.Conn {
	return tunnel(dial(s, port, mdb, onWAN(), jumped(1, 2)), 2)
}

// rpc is a DCE/RPC conversation that counts its calls.
type rpc struct {
	c    *pcaptest.Conn
	call uint32
}

func bind(c *pcaptest.Conn, iface pcaptest.Syntax, asked, granted uint32) *rpc {
	return bindAt(c, iface, asked, granted, 1)
}

// bindAt binds with a call id, as clients do that count over all connections.
func bindAt(c *pcaptest.Conn, iface pcaptest.Syntax, asked, granted, call uint32) *rpc {
	c.Client(pcaptest.Bind(asked, pcaptest.Offer(0, iface)).Call(call).Bytes())
	c.Server(pcaptest.BindAck(granted, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(call).Bytes())
	return &rpc{c: c, call: call}
}

func (r *rpc) do(opnum uint16, request, response []byte) *rpc {
	return r.slow(opnum, 0, request, response)
}

// slow calls an operation that the server thinks about.
func (r *rpc) slow(opnum uint16, think time.Duration, request, response []byte) *rpc {
	r.call++
	r.c.Client(pcaptest.Request(0, opnum, request).Call(r.call).Bytes()).Sleep(think)
	r.c.Server(pcaptest.Response(0, response).Call(r.call).Bytes())
	return r
}

func poll() (request, response []byte) {
	empty := pcaptest.Xored(pcaptest.ROPs(nil))
	return pcaptest.RpcExt2{Handle: session, Flags: 1, In: empty, MaxOut: 0x8000}.Request(pcaptest.NDR{}),
		pcaptest.RpcExt2Result{Handle: session, Flags: 1, Out: empty}.Response(pcaptest.NDR{})
}

// polls is n EcDoRpcExt2.
func (r *rpc) polls(n int) *rpc {
	for range n {
		request, response := poll()
		r.do(pcaptest.OpEcDoRpcExt2, request, response)
	}
	return r
}

// mail is a healthy EMSMDB connection up to its last call.
func mail(c *pcaptest.Conn, asked, granted uint32) *rpc {
	return bind(c, pcaptest.EMSMDB, asked, granted).polls(2)
}

// mapper is a whole conversation that announces EMSMDB.
func mapper(s *pcaptest.Scene, port uint16, options ...[]pcaptest.Option) {
	c := dial(s, port, exchange+":135", options...)
	found := pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr(exchange), Port: 59531}
	bind(c, pcaptest.EPM, 0, 0x9c41).do(pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4),
		pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, found))
	c.Close()
}

// start is when every scene begins.
func start() time.Time { return time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC) }

// places are two capture points, each with the tap of its LAN.
func places() *pcaptest.Scene {
	s := pcaptest.New(start())
	s.Tap("one", pcaps.LinkEthernet, 0)
	s.Tap("two", pcaps.LinkEthernet, 0)
	return s
}

// source is the captures of a scene: a file for each list of taps.
type source struct {
	taps  [][]int
	said  []pcaps.Point
	asked bool // for the comparison
	limit func(*assoc.Config)
}

// oneFile is a scene in one capture.
func oneFile(said ...pcaps.Point) source { return source{taps: [][]int{nil}, said: said} }

// twoFiles are two capture points that somebody wants to be compared.
func twoFiles(near, far pcaps.Point) source {
	return source{taps: [][]int{{0}, {1}}, said: []pcaps.Point{near, far}, asked: true}
}

// gather reads a scene as a job does, in one shard.
func gather(t testing.TB, s *pcaptest.Scene, from source) Facts {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, taps := range from.taps {
		path := filepath.Join(dir, fmt.Sprintf("%d.pcap", i))
		if err := os.WriteFile(path, s.Pcap(taps...), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	r, err := pcaps.Open(paths, pcaps.Options{At: from.said})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cfg := assoc.DefaultConfig()
	if from.limit != nil {
		from.limit(&cfg)
	}
	var job *compare.Job
	switch {
	case from.asked:
		job = compare.NewJob(pcaps.Edge, pcaps.Core)
	case len(paths) > 1:
		job = compare.NewJob(pcaps.Unknown, pcaps.Unknown)
	}
	if job != nil {
		cfg.Watch = job.Shard()
	}
	l, d := assoc.NewLinker(cfg), flows.NewDecoder(cfg.Flows)
	var p pcaps.Packet
	var f flows.Frame
	windows := make(map[pcaps.Tap]compare.Window)
	for r.Next(&p) == nil {
		kind := d.Decode(&p, &f)
		f.Several = len(paths) > 1
		w, known := windows[p.Tap]
		if !known {
			w.First = p.Mark.Time
		}
		w.Last = p.Mark.Time
		windows[p.Tap] = w
		l.Frame(&f, kind)
	}
	facts := Facts{Result: assoc.Merge([]*assoc.Result{l.Close()}), Asked: from.asked}
	facts.Dir = assoc.NewDirectory(facts.Result)
	if job != nil {
		facts.Compare = job.Finish(facts.Result.Conns, windows)
	}
	return facts
}

// build reads what a function builds.
func build(t testing.TB, f func(s *pcaptest.Scene), from source) Facts {
	t.Helper()
	s := pcaptest.New(start())
	if len(from.taps) > 1 {
		s = places()
	}
	f(s)
	return gather(t, s, from)
}

// portOf names a conversation by the port of its client.
func portOf(c *Conversation) uint16 { return c.Main.Client().Port() }

func portsOf(cs []*Conversation) (all []uint16) {
	for _, c := range cs {
		all = append(all, portOf(c))
	}
	return all
}

// since is the time of a packet from the start of the scene.
func since(m wire.Mark) time.Duration {
	if m.IsZero() {
		return -1
	}
	return time.Duration(m.Time - start().UnixNano()).Round(time.Millisecond)
}

// pathsOf says of each conversation which path it took, and how sure that is.
func pathsOf(v *Verdicts) (all []string) {
	for _, c := range v.Conversations {
		text := fmt.Sprintf("%d %s %s", portOf(c), c.Path, c.Quality)
		if c.Proven {
			text += " proven"
		}
		all = append(all, text+cmp.Or(map[bool]string{true: ": "}[c.Reason != ""], "")+c.Reason)
	}
	return all
}

// groupText says all of a group but its reasons.
func groupText(g *Group) string {
	text := fmt.Sprintf("%d %#x %s %v", g.ID, g.AGID, g.Verdict, portsOf(g.Members))
	if len(g.Inferred) > 0 {
		text += fmt.Sprintf(" inferred %v", portsOf(g.Inferred))
	}
	if g.Creator {
		text += " creator"
	}
	if g.Across > 0 {
		text += fmt.Sprintf(" across %d", g.Across)
	}
	if g.Continued > 0 {
		text += fmt.Sprintf(" continued %d", g.Continued)
	}
	if g.Missing > 0 {
		text += fmt.Sprintf(" missing %d", g.Missing)
	}
	if len(g.Escaped) > 0 {
		text += fmt.Sprintf(" escaped %v %s", portsOf(g.Escaped), g.Quality)
	}
	if len(g.Possible) > 0 {
		text += fmt.Sprintf(" possible %v", portsOf(g.Possible))
	}
	if g.Clear {
		text += " clear"
	}
	return text
}

// row is a scene and all that one view of its verdicts says.
type row struct {
	name  string
	from  source
	build func(s *pcaptest.Scene)
	want  []string
}

// check holds a view of the verdicts on each scene to its row.
func check(t *testing.T, rows []row, view func(v *Verdicts) []string) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.from.taps == nil {
				row.from = oneFile()
			}
			got := view(Judge(build(t, row.build, row.from)))
			if diff := gocmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// way is how long packets need from one point to the other.
const way = 20 * time.Millisecond

// whole dials a connection that nothing touches between two points.
func whole(s *pcaptest.Scene, port uint16, options ...pcaptest.Option) *pcaptest.Conn {
	return s.Dial(fmt.Sprintf("%s:%d", outlook, port), mdb, append([]pcaptest.Option{pcaptest.On(0), pcaptest.RTT(2*way + time.Millisecond),
		pcaptest.ISNs(uint32(port)*1000, uint32(port)*3000), pcaptest.TTL(128, 126),
		pcaptest.Again(pcaptest.On(1), pcaptest.Lag(way, -way), pcaptest.TTL(126, 128))}, options...)...)
}

// ends2 are the two legs of a connection that devices between the points take:
// each has a TCP connection of its own.
type ends2 struct {
	s    *pcaptest.Scene
	at   time.Duration
	legs [2]*pcaptest.Conn
	call uint32
	over bool // call ids count over all connections of a group
	late bool // acknowledgements come from the far end, as where nothing splits TCP
}

// split dials both legs. Handshakes go end to end, as devices let them.
func split(s *pcaptest.Scene, port uint16, options ...pcaptest.Option) *ends2 {
	e := &ends2{s: s, at: time.Duration(s.Now().Sub(start()))}
	for tap := range e.legs {
		s.At(e.at + time.Duration(tap)*way)
		e.legs[tap] = s.Dial(fmt.Sprintf("%s:%d", outlook, port), mdb, append([]pcaptest.Option{pcaptest.On(tap), pcaptest.AckEvery(0),
			pcaptest.RTT([]time.Duration{2*way + time.Millisecond, 2 * way}[tap]), pcaptest.Near(pcaptest.Side(tap)),
			pcaptest.ISNs(uint32(port)*1000+uint32(tap), uint32(port)*3000+uint32(tap)), pcaptest.TTL(128-byte(2*tap), 126+byte(2*tap))}, options...)...)
	}
	e.at += 100 * time.Millisecond
	return e
}

// turn is one question with its answer, the same at both places or not.
func (e *ends2) turn(ask, answer [2][]byte) *ends2 {
	for tap, c := range e.legs {
		s := time.Duration(tap) * way
		toServer, toClient := 300*time.Microsecond, 300*time.Microsecond
		if e.late {
			toServer, toClient = 2*(way-s)+toServer, 2*s+toClient
		}
		if ask[tap] != nil {
			c.At(e.at + s).Client(ask[tap])
			c.At(e.at + s + toServer).Ack(pcaptest.Server)
		}
		if answer[tap] != nil {
			c.At(e.at + 2*way + time.Millisecond - s).Server(answer[tap])
			c.At(e.at + 2*way + time.Millisecond - s + toClient).Ack(pcaptest.Client)
		}
	}
	e.at += 200 * time.Millisecond
	e.s.At(e.at)
	return e
}

func same(b []byte) [2][]byte { return [2][]byte{b, b} }

// mail binds and calls; cached calls stay at the near place.
func (e *ends2) mail(asked, granted uint32, calls, cached int) *ends2 {
	e.call++
	e.turn(same(pcaptest.Bind(asked, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(e.call).Bytes()),
		same(pcaptest.BindAck(granted, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(e.call).Bytes()))
	if e.over {
		e.call--
	}
	request, response := poll()
	for i := range calls + cached {
		e.call++
		ask, answer := pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, request).Call(e.call).Bytes(), pcaptest.Response(0, response).Call(e.call).Bytes()
		if i < cached {
			e.turn([2][]byte{ask}, [2][]byte{answer})
			continue
		}
		e.turn(same(ask), same(answer))
	}
	return e
}

// close ends both legs.
func (e *ends2) close() {
	for tap, c := range e.legs {
		c.At(e.at + time.Duration(tap)*way).Close()
	}
	e.s.At(e.at + 200*time.Millisecond)
}

// pointsOf says what is known of each capture point.
func pointsOf(v *Verdicts) (all []string) {
	for _, tap := range slices.Sorted(maps.Keys(v.Points)) {
		p := v.Points[tap]
		text := fmt.Sprintf("%d said %v place %v", tap, p.Said, p.Place)
		if p.Inferred {
			text += " inferred"
		}
		if p.Conflict != "" {
			text += fmt.Sprintf(", likely %v: %s", p.Likely, p.Conflict)
		}
		if len(p.SameAs) > 0 {
			text += fmt.Sprintf(" same as %v", p.SameAs)
		}
		all = append(all, text)
	}
	return all
}

// verdictsOf says all of groups and the job as a whole.
func verdictsOf(v *Verdicts) []string {
	all := pathsOf(v)
	for _, g := range v.Groups {
		if g.MAPI() {
			all = append(all, groupText(g), "  "+g.Reason)
			if g.Unproven != "" && g.Unproven != g.Reason {
				all = append(all, "  unproven: "+g.Unproven)
			}
		}
	}
	return append(all, fmt.Sprintf("%s %s: %s", v.Escape.State, v.Escape.Quality, v.Escape.Reason))
}

// polls0 is n EcDoRpcExt2 of which the first has the id of the bind, as clients
// send it that count over all connections of a group.
func (r *rpc) polls0(n int) *rpc {
	r.call--
	return r.polls(n)
}

func endPoint(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
