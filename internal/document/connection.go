package document

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/satta/gommunityid"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/finding"
	"mapiscope/internal/hist"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"net/netip"
)

func (b *builder) connections() {
	b.doc.Connections = make([]Connection, 0, len(b.f.Conns))
	community, err := gommunityid.GetCommunityIDByVersion(1, 0)
	if err != nil {
		panic(err) // version 1 is what the library is for
	}
	for _, c := range b.f.Conns {
		d := b.connection(c)
		client, server := c.Client(), c.Server()
		d.CommunityID = community.CalcBase64(gommunityid.MakeFlowTupleTCP(client.Addr().AsSlice(), server.Addr().AsSlice(), client.Port(), server.Port()))
		b.doc.Connections = append(b.doc.Connections, d)
	}
}

func (b *builder) connection(c *finding.Conn) Connection {
	f := c.Flow
	leg := c.Leg
	d := Connection{
		ID: b.ids[c.Conn], UID: uid(f), At: leg.Place.String(), Client: host(c.Client()), Server: host(c.Server()),
		Start: wire.Stamp(f.First.Time), End: wire.Stamp(f.Last.Time), FirstPacket: ref(f.First), LastPacket: ref(f.Last),
		Origin: f.Origin.String(), State: f.State().String(), Directions: f.Directions().String(),
		DSCP:          perSide(f, func(s *flows.SideStats) int64 { return int64(s.DSCP) }),
		Packets:       perSide(f, func(s *flows.SideStats) int64 { return s.Packets }),
		Bytes:         perSide(f, func(s *flows.SideStats) int64 { return s.Bytes }),
		Retransmitted: perSide(f, func(s *flows.SideStats) int64 { return s.Retransmitted }),
		OutOfOrder:    perSide(f, func(s *flows.SideStats) int64 { return s.OutOfOrder }),
		GapBytes:      perSide(f, func(s *flows.SideStats) int64 { return s.GapBytes }),
		Service:       string(c.Service), ServiceBasis: string(c.Basis), Encrypted: c.Encrypted, Signed: c.Signed,
		WCCP:       redirections(c.Conn),
		Interfaces: []Context{}, BindNaks: []BindNak{}, Auth: []Auth{}, Operations: []Operation{}, Faults: []Fault{},
	}
	if s := &f.Sides[f.Client]; s.HasISN {
		d.ClientISN = ptr(s.ISN)
	}
	if rtt, ok := f.RTT(); ok {
		d.RTT = ptr(int64(rtt / time.Microsecond))
	}
	if c.RPC != nil {
		b.rpc(&d, c.Conn)
	}
	if c.Unseen {
		d.Unseen = &Unseen{MayBeMAPI: c.MayBeMAPI}
	}
	if g := c.Group; g != nil {
		d.AssocGroup.Group = ptr(b.groupIDs[g])
	}
	if c.Service == assoc.MAPI || c.Service == assoc.MAPIAsync {
		d.MAPI = mapi(c)
	}
	d.Optimizer = optimizer(leg)
	d.Disposition, d.traits = disposition(c.Disposition), c.Traits
	if x := leg.Conversation; x != nil {
		if len(x.Legs) > 1 {
			d.Conversation = ptr(b.ids[x.Main])
		}
		if e := x.Escaped; e != nil {
			d.Escaped = &Escaped{Reason: e.Reason, Group: b.groupIDs[e.Group], Quality: e.Quality}
		}
		if e := x.Possible; e != nil {
			d.PossibleEscape = &PossibleEscape{Reason: e.Reason, Group: b.groupIDs[e.Group]}
		}
	}
	if b.in.Live {
		d.Ended, d.Times = c.Ended(), responseTimes(c)
	}
	return d
}

// uid names a connection by its ends and its first packet, which are the same
// for any number of workers, at any moment of a live job, and in the file that
// keeps its packets.
func uid(f *flows.Conn) string {
	h := fnv.New64a()
	var room [128]byte
	raw := f.B.Addr().AppendTo(f.A.Addr().AppendTo(room[:0]))
	raw = binary.BigEndian.AppendUint16(raw, f.A.Port())
	raw = binary.BigEndian.AppendUint16(raw, f.B.Port())
	raw = binary.BigEndian.AppendUint64(raw, uint64(f.First.Time))
	raw = binary.BigEndian.AppendUint32(raw, uint32(f.First.Capture))
	raw = binary.BigEndian.AppendUint64(raw, uint64(f.First.Packet))
	h.Write(raw)
	return fmt.Sprintf("%016x", h.Sum64())
}

// responseTimes are those of the answered EMSMDB calls.
func responseTimes(c *finding.Conn) *hist.Histogram {
	mapi := c.Service == assoc.MAPI || c.Service == assoc.MAPIAsync
	if c.RPC == nil || c.MAPI == nil && (!mapi || c.Basis == assoc.ByBind) {
		return nil
	}
	h := new(hist.Histogram)
	for _, op := range c.RPC.Ops {
		if !op.Known || op.Interface == emsmdb.MDB {
			h.Merge(&op.Latency)
		}
	}
	return h
}

// rpc fills in what the DCE/RPC layer saw.
func (b *builder) rpc(d *Connection, c *assoc.Conn) {
	r := c.RPC
	d.Interfaces = make([]Context, 0, len(r.Contexts))
	for i := range r.Contexts {
		d.Interfaces = append(d.Interfaces, b.context(&r.Contexts[i]))
	}
	d.AssocGroup.Requested, d.AssocGroup.Granted = r.Requested, r.Granted
	for _, n := range r.Naks {
		d.BindNaks = append(d.BindNaks, BindNak{CallID: n.CallID, Reason: n.Reason, ReasonText: dcerpc.BindNakReasonName(n.Reason), Packet: ref(n.Mark)})
	}
	for i := range r.Auths {
		d.Auth = append(d.Auth, authOf(&r.Auths[i]))
	}
	d.Multiplexed = r.Multiplexed
	n := &r.Counts
	d.Calls = Calls{Requests: n.Requests, Responses: n.Responses, Faults: n.Faults, Cancels: n.Cancels, Orphaned: n.Orphaned, Unanswered: n.Unanswered, Lost: n.Lost}
	d.Operations = make([]Operation, 0, len(r.Ops))
	for _, op := range r.Ops {
		d.Operations = append(d.Operations, b.operation(c, op))
	}
	for i := range r.Faults {
		f := &r.Faults[i]
		d.Faults = append(d.Faults, Fault{CallID: f.CallID, Opnum: f.Opnum, Status: f.Status, StatusName: dcerpc.FaultName(f.Status), Packet: ref(f.Mark)})
	}
}

func (b *builder) context(x *dcerpc.Context) Context {
	id := b.uuid(x.Interface.UUID)
	out := Context{
		ContextID: x.ID, UUID: *id.text, Version: version(x.Interface.Major, x.Interface.Minor),
		Name: id.name, TransferSyntax: *b.uuid(x.Transfer.UUID).text, CallID: x.CallID, Packet: ref(x.Mark),
	}
	if x.Acked {
		out.Result = ptr(x.Result.String())
		if x.Result != dcerpc.Acceptance && x.Result != dcerpc.NegotiateAck {
			out.Reason = ptr(dcerpc.ReasonName(x.Reason))
		}
	}
	return out
}

func authOf(a *dcerpc.Auth) Auth {
	f := &a.Facts
	out := Auth{
		ContextID: a.ContextID, Type: a.Type, TypeName: dcerpc.AuthTypeName(a.Type), Mechanism: text(f.Mechanism),
		MechanismsOffered: slices.Clone(f.Offered), Level: a.Level, LevelName: dcerpc.AuthLevelName(a.Level), HeaderSigning: a.HeaderSigning,
		Domain: text(f.Domain), User: text(f.User), Workstation: text(f.Workstation), Target: text(f.Target),
		Realm: text(f.Realm), SPN: text(f.SPN), State: a.State.String(), Error: text(a.Error), Packet: ref(a.Mark),
	}
	if out.MechanismsOffered == nil {
		out.MechanismsOffered = []string{}
	}
	return out
}

func (b *builder) operation(c *assoc.Conn, op *dcerpc.Operation) Operation {
	out := Operation{
		Requests: op.Requests, Responses: op.Responses, Faults: op.Faults,
		RequestBytes: op.RequestBytes, ResponseBytes: op.ResponseBytes, ResponseTime: latency(&op.Latency),
	}
	id, known := b.f.Facts.Dir.OperationOf(c, op)
	if known {
		of := b.uuid(id)
		out.InterfaceUUID, out.Interface = of.text, of.name
	}
	if op.OpnumKnown {
		out.Opnum = ptr(op.Opnum)
		if name, ok := dcerpc.OperationName(id, op.Opnum); ok && known {
			out.Name = ptr(name)
		}
	}
	return out
}

func latency(h *hist.Histogram) Latency {
	n := h.Count()
	if n == 0 {
		return Latency{}
	}
	v := &[...]int64{h.Min(), h.Avg(), h.Max(), h.Quantile(0.50), h.Quantile(0.95), h.Quantile(0.99)}
	return Latency{Count: n, Min: &v[0], Avg: &v[1], Max: &v[2], P50: &v[3], P95: &v[4], P99: &v[5]}
}

func optimizer(v *verdict.Leg) Optimizer {
	out := Optimizer{Vendor: text(v.Vendor), Verdict: string(v.Path), EdgeDevice: text(v.Edge), CoreDevice: text(v.Core), Evidence: evidence(v.Evidence)}
	return out
}

func evidence(all []verdict.Evidence) []Evidence {
	out := []Evidence{}
	for _, e := range all {
		out = append(out, Evidence{Kind: string(e.Kind), Detail: e.Detail, Quality: e.Weight, Packet: ref(e.Mark)})
	}
	return out
}

func disposition(d finding.Disposition) Disposition {
	return Disposition{Accelerator: string(d.Accelerator), Accel: d.Accel, Quality: d.Quality, Reason: d.Reason}
}

// Releases returns the names of the releases whose rules are known.
func Releases() []string { return finding.Releases() }

// ByRule says what a release does by its rules alone with a connection, if both
// devices are in its path. Of a document that was read from JSON it is not known.
func (d *Connection) ByRule(release string) Disposition {
	return disposition(finding.ReleaseOf(release).Rule(d.traits))
}

func perSide(f *flows.Conn, of func(*flows.SideStats) int64) PerSide {
	return PerSide{Client: of(&f.Sides[f.Client]), Server: of(&f.Sides[f.Client.Other()])}
}

func host(a netip.AddrPort) Host { return Host{IP: a.Addr().String(), Port: a.Port()} }

func version(major, minor uint16) string { return fmt.Sprintf("%d.%d", major, minor) }

// uuidText is a UUID as text and what it names, if that is known. Thousands of
// rows share one.
type uuidText struct{ text, name *string }

func (b *builder) uuid(id wire.UUID) uuidText {
	t, known := b.uuids[id]
	if !known {
		t = uuidText{ptr(id.String()), interfaceName(id)}
		b.uuids[id] = t
	}
	return t
}

func interfaceName(id wire.UUID) *string {
	if name, ok := dcerpc.InterfaceName(id); ok {
		return &name
	}
	return nil
}
