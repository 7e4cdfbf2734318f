package dcerpc

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// step is what one direction brings: bytes, or a gap.
type step struct {
	side wire.Side
	data []byte
	gap  int64
}

// script is a connection in the order in which it was captured.
type script []step

func client(pdus ...[]byte) script { return sends(wire.SideA, pdus) }
func server(pdus ...[]byte) script { return sends(wire.SideB, pdus) }

func sends(side wire.Side, pdus [][]byte) (s script) {
	for _, b := range pdus {
		s = append(s, step{side: side, data: b})
	}
	return s
}

func clientGap(n int64) script { return script{{side: wire.SideA, gap: n}} }
func serverGap(n int64) script { return script{{side: wire.SideB, gap: n}} }

func join(parts ...script) (s script) {
	for _, p := range parts {
		s = append(s, p...)
	}
	return s
}

// cut cuts the bytes of every step into pieces of random size.
func (s script) cut(r *rand.Rand) (out script) {
	for _, x := range s {
		if x.gap != 0 {
			out = append(out, x)
			continue
		}
		for len(x.data) > 0 {
			n := 1 + r.IntN(len(x.data))
			if r.IntN(2) == 0 {
				n = min(n, 1+r.IntN(20))
			}
			out = append(out, step{side: x.side, data: x.data[:n]})
			x.data = x.data[n:]
		}
	}
	return out
}

// merge joins neighbours of one direction.
func (s script) merge() (out script) {
	for _, x := range s {
		if n := len(out); n > 0 && out[n-1].side == x.side && out[n-1].gap == 0 && x.gap == 0 {
			out[n-1].data = append(append([]byte(nil), out[n-1].data...), x.data...)
			continue
		}
		out = append(out, x)
	}
	return out
}

func (s script) delivered() (n int64) {
	for _, x := range s {
		n += int64(len(x.data))
	}
	return n
}

// recorder writes down what a Conn hands over.
type recorder struct {
	lines []string
	want  int
	log   bool
}

func (r *recorder) Want(*Call, bool) int { return r.want }

func (r *recorder) note(format string, args ...any) {
	if r.log {
		r.lines = append(r.lines, fmt.Sprintf(format, args...))
	}
}

func (r *recorder) Request(call *Call, stub []byte) {
	call.Data = call.ID
	r.note("request %d context %d opnum %d %s", call.ID, call.ContextID, call.Opnum, show(stub, call))
}

func (r *recorder) Response(call *Call, stub []byte) {
	answer := show(stub, call)
	if call.Fault != nil {
		answer = "fault " + FaultName(*call.Fault)
	}
	opnum := "?"
	if call.OpnumKnown {
		opnum = fmt.Sprint(call.Opnum)
	}
	if call.Request.Complete && call.Data != call.ID {
		answer += " with the Data of another call"
	}
	r.note("response %d context %d opnum %s %s", call.ID, call.ContextID, opnum, answer)
}

func (r *recorder) Lost(call *Call) { r.note("lost %d", call.ID) }

func (r *recorder) Event(e *Event) {
	line := fmt.Sprintf("%s %d", e.Kind, e.CallID)
	for _, x := range e.Contexts {
		name, _ := InterfaceName(x.Interface.UUID)
		line += fmt.Sprintf(" [%d %s %s", x.ID, name, TransferSyntaxName(x.Transfer.UUID))
		if x.Acked {
			line += " " + x.Result.String()
		}
		line += "]"
	}
	if e.Auth != nil {
		line += fmt.Sprintf(" %s/%s/%d", AuthTypeName(e.Auth.Type), AuthLevelName(e.Auth.Level), e.Auth.ContextID)
	}
	r.note("%s", line)
}

// show prints a stub: short ones as text, long ones by length and sum.
func show(stub []byte, call *Call) string {
	s := fmt.Sprintf("%q", stub)
	if len(stub) > 40 {
		sum := 0
		for _, v := range stub {
			sum = (sum*31 + int(v)) % 65521
		}
		s = fmt.Sprintf("%d bytes/%d", len(stub), sum)
	}
	if stub == nil {
		s = "sealed or not wanted"
	}
	if call.Cut {
		s += " cut"
	}
	return s
}

// outcome is all that is known at the end of a script, as text.
func outcome(c *Conn, r *recorder) string {
	var b strings.Builder
	for _, line := range r.lines {
		fmt.Fprintln(&b, line)
	}
	for i := range c.Contexts {
		x := &c.Contexts[i]
		name, _ := InterfaceName(x.Interface.UUID)
		fmt.Fprintf(&b, "context %d %v %s %d.%d %s of %d", x.ID, x.Interface.UUID, name, x.Interface.Major, x.Interface.Minor, TransferSyntaxName(x.Transfer.UUID), len(x.Transfers))
		if x.Acked {
			fmt.Fprintf(&b, ", %v %d", x.Result, x.Reason)
		}
		fmt.Fprintf(&b, ", call %d, packets %d and %d\n", x.CallID, x.Mark.Packet, x.AckMark.Packet)
	}
	for i := range c.Auths {
		a, f := &c.Auths[i], &c.Auths[i].Facts
		fmt.Fprintf(&b, "auth %s/%s/%d %v, signing %v, error %q, packets %d and %d\n", AuthTypeName(a.Type), AuthLevelName(a.Level), a.ContextID, a.State, a.HeaderSigning, a.Error, a.Mark.Packet, a.ErrorMark.Packet)
		fmt.Fprintf(&b, "  %s of %v, selected %q, %s, malformed %v\n", f.Mechanism, f.Offered, f.Selected, strings.Join(f.Messages, ", "), f.Malformed)
		fmt.Fprintf(&b, "  domain %q, user %q, workstation %q, target %q, realm %q, SPN %q\n", f.Domain, f.User, f.Workstation, f.Target, f.Realm, f.SPN)
	}
	for _, o := range c.Ops {
		fmt.Fprintf(&b, "operation %v %v %d %v %d %d %d %d %d\n", o.Interface, o.Known, o.Opnum, o.OpnumKnown, o.Requests, o.Responses, o.Faults, o.RequestBytes, o.ResponseBytes)
	}
	fmt.Fprintf(&b, "naks %+v multiplexed %v signing %v\n%+v\n%+v\n%+v\nverdict %v", c.Naks, c.Multiplexed, c.HeaderSigning, c.Counts, c.Stats, c.Bytes, c.Verdict())
	return b.String()
}

type playing struct {
	limits    Limits
	midstream bool
	want      int
}

// play runs a script and checks what must hold for every one.
func (p playing) play(tb testing.TB, s script) (*Conn, *recorder) {
	tb.Helper()
	r := &recorder{want: p.want, log: true}
	if p.want == 0 {
		r.want = 1 << 20
	}
	if p.limits == (Limits{}) {
		p.limits = DefaultLimits()
	}
	c := NewConn(p.limits, r)
	if p.midstream {
		c.Midstream()
	}
	for i, x := range s {
		m := wire.Mark{Time: int64(i) * 1e6, Packet: int64(i) + 1}
		if x.gap != 0 {
			c.Gap(x.side, 0, m, x.gap)
		} else {
			c.Data(x.side, 0, m, x.data)
		}
	}
	c.End(wire.Mark{})
	if c.Bytes.Delivered != s.delivered() || c.Bytes.Sum() != c.Bytes.Delivered {
		tb.Errorf("the bytes are out of balance: %d went in, %+v", s.delivered(), c.Bytes)
	}
	return c, r
}

func play(tb testing.TB, s script) (*Conn, *recorder) {
	tb.Helper()
	return playing{}.play(tb, s)
}

// lines compares what a script hands over with one expected line each.
func lines(tb testing.TB, r *recorder, want string) {
	tb.Helper()
	var rows []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			rows = append(rows, line)
		}
	}
	if d := cmp.Diff(rows, r.lines); d != "" {
		tb.Errorf("(-want +got):\n%s", d)
	}
}

// anySegmentation checks that a script gives the same result however its bytes
// are cut into segments. Marks differ by nature and are left out.
func (p playing) anySegmentation(tb testing.TB, s script, tries int) {
	tb.Helper()
	one := func(s script) string {
		r := &recorder{want: 1 << 20, log: true}
		l := p.limits
		if l == (Limits{}) {
			l = DefaultLimits()
		}
		c := NewConn(l, r)
		if p.midstream {
			c.Midstream()
		}
		for _, x := range s {
			if x.gap != 0 {
				c.Gap(x.side, 0, wire.Mark{}, x.gap)
			} else {
				c.Data(x.side, 0, wire.Mark{}, x.data)
			}
		}
		c.End(wire.Mark{})
		return outcome(c, r)
	}
	want := one(s.merge())
	for i := range tries {
		if d := cmp.Diff(want, one(s.cut(rand.New(rand.NewPCG(1, uint64(i)))))); d != "" {
			tb.Fatalf("segmentation %d (-one segment +many):\n%s", i, d)
		}
	}
}

// opening is a bind of EMSMDB as context 0 and its answer.
func opening() script {
	return join(
		client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes()),
		server(pcaptest.BindAck(0x1234, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes()),
	)
}

const opened = `
	bind 1 [0 EMSMDB NDR]
	bind_ack 1 [0 EMSMDB NDR acceptance]
`

func request(id uint32, stub string) []byte {
	return pcaptest.Request(0, 11, []byte(stub)).Call(id).Bytes()
}

func response(id uint32, stub string) []byte {
	return pcaptest.Response(0, []byte(stub)).Call(id).Bytes()
}
