package document

import (
	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
)

// mapi adds the figures of one connection.
func (t *mapiTally) mapi(c *emsmdb.Conn) {
	f := c.Figures()
	if f.SealedCalls > 0 {
		t.sealed++
	}
	if f.Calls > 0 {
		t.readable++
	}
	t.connectsDropped += f.ConnectsDropped
	t.sync.Requests += f.SyncGetBuffer.Requests
	t.sync.Answers.Merge(f.SyncGetBuffer.Answers)
	t.read.Requests += f.ReadStream.Requests
	t.read.Answers.Merge(f.ReadStream.Answers)
	for i := range f.Connects {
		x := &f.Connects[i]
		if x.Answered && x.Status == 0 && x.Client.Known() {
			t.buckets[x.Client.Bucket()]++
		}
	}
}

// Why figures of a connection that need plaintext are null.
const (
	whySealed = "the calls are sealed (level privacy)"
	whyPart   = "some calls are sealed: figures are those of the readable ones"
	whyHidden = "the payload is not readable at this capture point"
	whyNoCall = "no EMSMDB call was captured"
)

// mapi puts the EMSMDB figures of a connection into the document.
func (b *builder) mapi(c *assoc.Conn, d *Connection) *MAPI {
	out := &MAPI{
		Connects: []Connect{}, Rops: []Rop{}, Refusals: []Refusal{},
		Responses: responses(c.Local, c.Remote, c.Unjudged),
	}
	if c.MAPI == nil {
		why := whyNoCall
		switch n := c.SealedShape(); {
		case c.RPC == nil:
			why = whyHidden
		case n.Requests > 0:
			why = whySealed
			out.Sessions, out.PushNotifications = ptr(n.Connects), ptr(n.PushNotifications)
		}
		out.Unavailable = &why
		return out
	}
	f := c.MAPI.Figures()
	// The headers of sealed calls tell these two.
	out.Sessions = ptr(f.Sessions + f.Sealed.Connects)
	out.PushNotifications = ptr(f.PushNotifications + f.Sealed.PushNotifications)
	switch readable := f.Calls + f.Unpaired; {
	case readable == 0 && f.SealedCalls > 0:
		out.Unavailable = ptr(whySealed)
		return out
	case readable == 0:
		return out
	case f.SealedCalls > 0:
		out.Unavailable = ptr(whyPart)
	}
	out.UserDN = text(f.UserDN)
	if f.Client.Known() {
		out.ClientVersion, out.ClientProduct = ptr(f.Client.String()), text(f.Client.Product())
		out.major, out.build = ptr(f.Client[0]), ptr(f.Client[2])
	}
	if f.Server.Known() {
		out.ServerVersion, out.ServerProduct = ptr(f.Server.String()), text(f.Server.ServerProduct())
	}
	out.connects(f)
	out.rops(f)
	return out
}

// connects lists the connects and the return values of calls.
func (out *MAPI) connects(f *emsmdb.Figures) {
	for i := range f.Connects {
		x := &f.Connects[i]
		one := Connect{Operation: operationOf(false, x.Opnum), UserDN: x.UserDN, ClientVersion: x.Client.String(), Packet: ref(x.Mark)}
		if x.Server.Known() {
			one.ServerVersion = ptr(x.Server.String())
		}
		if x.Answered {
			one.Status, one.StatusName = ptr(x.Status), text(emsmdb.ReturnName(x.Status))
			if x.Fault {
				one.StatusName = text(dcerpc.FaultName(x.Status))
			}
		}
		out.Connects = append(out.Connects, one)
	}
	for _, r := range f.Refusals {
		out.Refusals = append(out.Refusals, Refusal{Operation: operationOf(r.Async, r.Opnum), Value: r.Value, Name: text(emsmdb.ReturnName(r.Value)), Count: r.Count})
	}
}

func operationOf(async bool, opnum uint16) string {
	iface := emsmdb.MDB
	if async {
		iface = emsmdb.AsyncMDB
	}
	name, _ := dcerpc.OperationName(iface, opnum)
	return name
}

// rops fills in what the ROPs say.
func (out *MAPI) rops(f *emsmdb.Figures) {
	out.SyncGetBuffer, out.ReadStream = sizes(&f.SyncGetBuffer), sizes(&f.ReadStream)
	out.Rops = make([]Rop, 0, len(f.Rops))
	for i := range f.Rops {
		r := &f.Rops[i]
		out.Rops = append(out.Rops, Rop{
			ID: r.ID, Name: emsmdb.RopName(r.ID), Requests: r.Requests, Responses: r.Responses, Failures: r.Failures,
			RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes, ResponseTime: latency(&r.Latency),
		})
	}
	out.RopBytes = &RopBytes{
		Walked: f.RequestWalked + f.ResponseWalked, Unwalked: f.RequestUnwalked + f.ResponseUnwalked,
		Request:  RopSide{f.RequestWalked, f.RequestUnwalked},
		Response: RopSide{f.ResponseWalked, f.ResponseUnwalked},
		Reasons:  []UnwalkedBytes{},
	}
	for why, n := range f.Unwalked {
		if n > 0 {
			out.RopBytes.Reasons = append(out.RopBytes.Reasons, UnwalkedBytes{emsmdb.Reason(why).String(), n})
		}
	}
	out.Unexecuted, out.AsyncWaits, out.DecodeErrors = f.Unexecuted, f.AsyncWaits, f.DecodeErrors
	out.Buffers = &Buffers{Plain: f.Buffers.Plain, Obfuscated: f.Buffers.Xored, Compressed: f.Buffers.Compressed, Chained: f.Buffers.Chained}
}

func sizes(s *emsmdb.Sizes) *Sizes {
	out := &Sizes{Requests: s.Requests}
	if a := s.Answers; a.Count > 0 {
		out.Min, out.Max, out.Avg = ptr(a.Min), ptr(a.Max), ptr(a.Avg())
	}
	if a := s.Asked; a.Count > 0 {
		out.AskedMin, out.AskedMax, out.AskedAvg = ptr(a.Min), ptr(a.Max), ptr(a.Avg())
	}
	return out
}

func mapiLimits(out *Limits, c *emsmdb.Conn) {
	f := c.Figures()
	out.ConnectsDropped += f.ConnectsDropped
	out.RefusalsDropped += f.RefusalsDropped
	out.RequestsForgotten += f.RequestsForgotten
}
