package finding

import (
	"math"
	"slices"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Conn is a leg of a connection that a document talks about, with what was
// found of it.
type Conn struct {
	*assoc.Conn
	Leg         *verdict.Leg
	Basis       assoc.Basis // of Service
	Group       *verdict.Group
	Traits           // by which a release decides
	Unseen      bool // DCE/RPC of an interface that nothing in the captures names
	MayBeMAPI   bool // no call of it contradicts EMSMDB
	Encrypted   bool // an authentication that was not refused asks for privacy
	Signed      bool // or for integrity at least
	Disposition Disposition
}

// talkedAbout returns the connections that a document talks about: those that
// carry DCE/RPC, are in a group, show an optimizer, go to a port that the
// endpoint mapper announced, or failed at a KDC; and the other legs of those.
func (b *judge) talkedAbout() []*Conn {
	wanted := make(map[*assoc.Conn]bool)
	for i := range b.Result.Kerberos {
		k := &b.Result.Kerberos[i]
		if k.Conn != nil && k.Message.Error != nil && telling(k.Message.Error.Code) {
			wanted[k.Conn] = true
		}
	}
	for _, c := range b.Result.Conns {
		s, _ := b.dir.Service(c)
		if b.AllConnections || c.RPC != nil || s != assoc.Unknown || b.groupOf(c) != nil || len(b.v.Leg(c).Evidence) > 0 ||
			b.dir.Announced(c, wire.UUID{}) || b.Compare != nil && b.Compared && c.Transport() == assoc.KDC {
			wanted[c] = true
		}
	}
	for _, x := range b.v.Conversations {
		if len(x.Legs) > 1 && slices.ContainsFunc(x.Legs, func(c *assoc.Conn) bool { return wanted[c] }) {
			for _, c := range x.Legs {
				wanted[c] = true
			}
		}
	}
	var out []*Conn
	for _, c := range b.Result.Conns {
		if wanted[c] {
			out = append(out, b.conn(c))
		}
	}
	return out
}

func (b *judge) conn(c *assoc.Conn) *Conn {
	d := &Conn{Conn: c, Leg: b.v.Leg(c), Group: b.groupOf(c), Unseen: b.dir.Unseen(c)}
	d.MayBeMAPI = d.Unseen && b.dir.MayBeMAPI(c)
	d.Service, d.Basis = b.dir.Service(c)
	d.Secured = secured(c)
	d.Version = clientOf(c, d.Service)
	if c.RPC == nil {
		return d
	}
	for i := range c.RPC.Auths {
		if a := &c.RPC.Auths[i]; a.State != dcerpc.Rejected {
			d.Encrypted = d.Encrypted || a.Level == dcerpc.LevelPrivacy
			d.Signed = d.Signed || a.Level >= dcerpc.LevelIntegrity
		}
	}
	return d
}

// groupOf returns the group that the conversation of a leg is in, nil for none.
func (b *judge) groupOf(c *assoc.Conn) *verdict.Group {
	if x := b.v.Of(c); x != nil {
		return x.Group
	}
	return nil
}

// each calls f for every connection that is talked about, once: for the leg
// that stands for it in figures.
func (b *judge) each(f func(d *Conn)) {
	for _, d := range b.Findings.Conns {
		if x := b.v.Of(d.Conn); x == nil || x.Main == d.Conn {
			f(d)
		}
	}
}

// eachMAPI calls f for every EMSMDB conversation with its main leg.
func (b *judge) eachMAPI(f func(x *verdict.Conversation, d *Conn)) {
	for _, x := range b.v.Conversations {
		if d := b.conns[x.Main]; x.MAPI() && d != nil {
			f(x, d)
		}
	}
}

// captureEnd is the time of the last packet.
func (b *judge) captureEnd() int64 {
	end := int64(0)
	for i := range b.Captures {
		end = max(end, b.Captures[i].Last)
	}
	return end
}

// clientOf returns the version that an EMSMDB client announced, zero where no
// call can be read.
func clientOf(c *assoc.Conn, s assoc.Service) emsmdb.Version {
	if c.MAPI == nil || !isMAPI(s) {
		return emsmdb.Version{}
	}
	f := c.MAPI.Figures()
	if f.Calls+f.Unpaired == 0 {
		return emsmdb.Version{}
	}
	return f.Client
}

func isMAPI(s assoc.Service) bool { return s == assoc.MAPI || s == assoc.MAPIAsync }

// place is where the leg was captured.
func (d *Conn) place() pcaps.Point { return d.Leg.Place }

// main is the leg that stands for the connection wherever it was captured.
func (d *Conn) main() *assoc.Conn {
	if x := d.Leg.Conversation; x != nil && x.Main != nil {
		return x.Main
	}
	return d.Conn
}

// hosts returns the hosts of both ends.
func (d *Conn) hosts() hosts { return hosts{d.Client().Addr(), d.Server().Addr()} }

// began reports whether the handshake was captured.
func (d *Conn) began() bool { return d.Flow.Origin == flows.Handshake }

// whole reports whether both directions were captured without a gap.
func (d *Conn) whole() bool { return d.Flow.Directions() == flows.BothSides && !d.Flow.Gapped() }

// payload is what both sides sent and was captured, bytes.
func (d *Conn) payload() int64 { return d.Flow.Sides[0].Bytes + d.Flow.Sides[1].Bytes }

// reached reports whether the server took the connection.
func (d *Conn) reached() bool {
	s := d.Flow.State()
	return s != flows.Refused && s != flows.Unanswered
}

// alive reports whether the connection goes on after the end of the capture.
func (d *Conn) alive() bool {
	s := d.Flow.State()
	return s == flows.Open || s == flows.HalfClosed
}

// hidden reports whether the connection carries what cannot be read as DCE/RPC,
// as between the devices.
func (d *Conn) hidden() bool { return d.RPC == nil && d.payload() > 0 }

// rejectedAll reports whether the connection offered contexts and the server
// accepted none of them. A context of the bind time feature negotiation is no
// interface and does not count.
func (d *Conn) rejectedAll() bool {
	offered := false
	if d.RPC == nil {
		return false
	}
	for i := range d.RPC.Contexts {
		x := &d.RPC.Contexts[i]
		if !x.Acked || x.Accepted() {
			return false
		}
		if x.Result != dcerpc.NegotiateAck {
			offered = true
		}
	}
	return offered
}

// span is the time of a connection, ns.
type span struct{ first, last int64 }

func (d *Conn) span() span {
	s := span{d.Flow.First.Time, max(d.Flow.First.Time, d.Flow.Last.Time)}
	if d.alive() {
		s.last = math.MaxInt64
	}
	return s
}

// The reasons why figures of a connection that need plaintext are missing.
const (
	UnreadSealed = "the calls are sealed (level privacy)"
	UnreadPart   = "some calls are sealed: figures are those of the readable ones"
	UnreadHidden = "the payload is not readable at this capture point"
	UnreadNoCall = "no EMSMDB call was captured"
)

// Unread says why figures of an EMSMDB connection that need plaintext are
// missing, "" where they are not, and whether some are there all the same.
func (d *Conn) Unread() (why string, some bool) {
	if d.MAPI == nil {
		switch {
		case d.RPC == nil:
			return UnreadHidden, false
		case d.SealedShape().Requests > 0:
			return UnreadSealed, false
		}
		return UnreadNoCall, false
	}
	f := d.MAPI.Figures()
	switch readable := f.Calls+f.Unpaired > 0; {
	case f.SealedCalls > 0 && readable:
		return UnreadPart, true
	case f.SealedCalls > 0:
		return UnreadSealed, false
	default:
		return "", readable
	}
}

// Sessions counts the sessions that were opened on an EMSMDB connection, and
// the push notifications that were registered; the headers of sealed calls
// tell them too. known is false where nothing tells.
func (d *Conn) Sessions() (sessions, pushes int64, known bool) {
	if d.MAPI != nil {
		f := d.MAPI.Figures()
		return f.Sessions + f.Sealed.Connects, f.PushNotifications + f.Sealed.PushNotifications, true
	}
	if n := d.SealedShape(); d.RPC != nil && n.Requests > 0 {
		return n.Connects, n.PushNotifications, true
	}
	return 0, 0, false
}
