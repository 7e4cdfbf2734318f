package device

import (
	"cmp"
	"slices"
	"time"

	"mapiscope/internal/document"
)

// flow is one TCP connection with all captures of it: the device keeps its
// addresses, its ports and the client's initial sequence number on the way.
type flow struct {
	edge, wan, core, elsewhere *document.Connection
	main                       *document.Connection // the leg that speaks for the flow
}

// roleOf guesses whose view a job can show.
func roleOf(conns []document.Connection) Role {
	at := func(place string) bool {
		return slices.ContainsFunc(conns, func(c document.Connection) bool { return c.At == place })
	}
	switch {
	case at("edge"):
		return Edge
	case at("core"):
		return Core
	}
	return Auto
}

// ends finds a flow by its addresses.
type ends struct{ client, server document.Host }

// collect joins the rows of each connection, as the document ties them. A
// point that shows a connection twice has one leg.
func collect(conns []document.Connection, role Role) []*flow {
	var flows []*flow
	tied := make(map[int]*flow)
	for i := range conns {
		c := &conns[i]
		f := tied[c.Stands()]
		if f == nil {
			f = new(flow)
			tied[c.Stands()] = f
			flows = append(flows, f)
		}
		if leg := f.leg(c.At); *leg == nil || c.Main() {
			*leg = c
		}
	}
	for _, f := range flows {
		f.main = cmp.Or(f.edge, f.elsewhere, f.wan, f.core)
		if role == Core {
			f.main = cmp.Or(f.core, f.elsewhere, f.wan, f.edge)
		}
	}
	slices.SortStableFunc(flows, func(a, b *flow) int {
		return cmp.Or(cmp.Compare(a.main.Start, b.main.Start), cmp.Compare(a.main.ID, b.main.ID))
	})
	return flows
}

// leg returns the place of a flow for a connection captured there.
func (f *flow) leg(at string) **document.Connection {
	switch at {
	case "edge":
		return &f.edge
	case "wan":
		return &f.wan
	case "core":
		return &f.core
	}
	return &f.elsewhere
}

// legs returns the captures of the flow, the one that speaks for it first.
func (f *flow) legs() []*document.Connection {
	out := []*document.Connection{f.main}
	for _, c := range [...]*document.Connection{f.wan, f.edge, f.core, f.elsewhere} {
		if c != nil && c != f.main {
			out = append(out, c)
		}
	}
	return out
}

// lan returns the capture on the original side of the device, nil when there
// is none. One whose place is not known is taken for it.
func (f *flow) lan(role Role) *document.Connection {
	if role == Core {
		return cmp.Or(f.core, f.elsewhere)
	}
	return cmp.Or(f.edge, f.elsewhere)
}

// optimizer returns what is known about the path, best from the WAN.
func (f *flow) optimizer() *document.Optimizer {
	if f.wan != nil && f.wan.Optimizer.Verdict != "unknown" {
		return &f.wan.Optimizer
	}
	for _, c := range f.legs() {
		if c.Optimizer.Verdict != "unknown" {
			return &c.Optimizer
		}
	}
	return &f.main.Optimizer
}

func (f *flow) optimized() bool   { return f.optimizer().Verdict == "optimized" }
func (f *flow) passThrough() bool { return f.optimizer().Verdict == "pass_through" }

// passed says by what the packets show that a flow passed through.
func (f *flow) passed() string {
	why := f.disposition().Reason
	for _, e := range f.optimizer().Evidence {
		switch e.Kind {
		case "option_unanswered", "option_dropped", "no_option", "late_ack", "other_leg":
			return e.Detail
		}
	}
	return why
}

// disposition returns what the device does with the flow, by the leg that
// tells.
func (f *flow) disposition() *document.Disposition {
	for _, c := range f.legs() {
		if c.Disposition.Accelerator != "unknown" {
			return &c.Disposition
		}
	}
	return &f.main.Disposition
}

// service names what the flow carries, by the leg that tells best.
func (f *flow) service() string {
	for _, basis := range [...]string{"bind", "epm", "heuristic"} {
		for _, c := range f.legs() {
			if c.ServiceBasis == basis && c.Service != "unknown" {
				return c.Service
			}
		}
	}
	return f.main.Service
}

func isMAPI(service string) bool { return service == "mapi" || service == "mapi_async" }

// over reports whether the connection ended in the capture.
func (f *flow) over() bool {
	switch f.main.State {
	case "open", "half_closed", "unanswered":
		return false
	}
	return true
}

// established is when the handshake was over, as far as it was captured.
func (f *flow) established() time.Time {
	t := instant(f.main.Start)
	if f.main.RTT != nil {
		t = t.Add(time.Duration(*f.main.RTT) * time.Microsecond)
	}
	return t
}

// payload returns the TCP payload that each side sent, each byte once, those
// that the capture lost included.
func payload(c *document.Connection) (client, server Value) {
	n := [2]int64{c.Bytes.Client + c.GapBytes.Client, c.Bytes.Server + c.GapBytes.Server}
	out := [2]Value{exact(n[0]), exact(n[1])}
	if c.Origin != "handshake" {
		const why = "the connection was captured from its middle"
		out = [2]Value{atLeast(n[0], why), atLeast(n[1], why)}
	}
	switch c.Directions {
	case "client_only":
		out[1] = none("only the client's packets were captured")
	case "server_only":
		out[0] = none("only the server's packets were captured")
	}
	return out[0], out[1]
}

// counts are the four byte counters of a flow.
type counts struct{ originalRead, originalWritten, optimizedRead, optimizedWritten Value }

// counts fills the counters from the seat of the device: the edge device reads the original
// bytes from the client and the optimized ones from the WAN, the core device
// the other way round.
func (v *Views) counts(f *flow) counts {
	fromClient := func(c *document.Connection, missing string) (client, server Value) {
		if c == nil {
			return none(missing), none(missing)
		}
		return payload(c)
	}
	oc, os := fromClient(f.lan(v.role), "needs a capture on the LAN side of the device")
	wc, ws := fromClient(f.wan, "needs a capture between the two devices")
	switch v.role {
	case Core:
		return counts{os, oc, wc, ws}
	case Auto:
		for _, x := range [...]*Value{&oc, &os, &wc, &ws} {
			if x.Quality == document.Exact {
				*x = heuristic(x.V, "counted as the edge device reads and writes: "+whyPlace)
			}
		}
	}
	return counts{oc, os, ws, wc}
}

// ratio returns the reduction ratio where both sides of the device were
// captured.
func (v *Views) ratio(f *flow, print func(float64) string) Value {
	b := v.counts(f)
	quality, why := document.Exact, ""
	var n [4]int64
	for i, x := range [...]Value{b.originalRead, b.originalWritten, b.optimizedRead, b.optimizedWritten} {
		count, ok := x.V.(int64)
		if !ok {
			return x
		}
		if x.Quality != document.Exact {
			quality, why = document.Heuristic, x.Why
		}
		n[i] = count
	}
	percent, ok := Counters{n[0], n[1], n[2], n[3]}.ReductionRatio()
	if !ok {
		return none("no payload on the original side")
	}
	return Value{print(percent), quality, why}
}

// peer returns the candidate for the peer's device id.
func (v *Views) peer(f *flow, zeros bool) Value {
	o := f.optimizer()
	id := o.CoreDevice
	if v.role == Core {
		id = o.EdgeDevice
	}
	if id == nil {
		return none("the discovery option of the peer is not in the capture")
	}
	return heuristic(peerID(*id, zeros), "candidate, read from TCP option 33, whose layout is not published")
}

// accel returns the Accel column. known is false when the accelerator's letter
// is not known.
func (v *Views) accel(f *flow) (value Value, known bool) {
	d := f.disposition()
	switch {
	case f.passThrough() || d.Accelerator == "pass_through":
		return heuristic("-", d.Reason), true
	case d.Accel != "-" && d.Accelerator != "unknown":
		if set, ok := ParseLetters(d.Accel); ok {
			return Value{set.String(), d.Quality, d.Reason}, true
		}
	case f.optimized():
		return heuristic("T", "optimized; which accelerator took it shows only on a LAN"), false
	}
	return none("nothing tells what the device does with it"), false
}
