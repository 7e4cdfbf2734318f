package account

import (
	"mapiscope/assoc"
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
	whyHidden = "the payload is not readable at this capture point"
	whyNoCall = "no EMSMDB call was captured"
)

// mapi puts the EMSMDB figures of a connection into the document.
func (b *builder) mapi(c *assoc.Conn, d *Connection) *MAPI {
	out := &MAPI{Rops: []Rop{}, Responses: responses(c.Local, c.Remote, c.Unjudged)}
	if c.MAPI == nil {
		why := whyNoCall
		if c.RPC == nil {
			why = whyHidden
		}
		out.Unavailable = &why
		return out
	}
	f := c.MAPI.Figures()
	out.UserDN = text(f.UserDN)
	out.Sessions, out.PushNotifications = f.Sessions, f.PushNotifications
	if f.Client.Known() {
		out.ClientVersion, out.ClientProduct = ptr(f.Client.String()), text(f.Client.Product())
		out.major, out.build = ptr(f.Client[0]), ptr(f.Client[2])
	}
	if f.Server.Known() {
		out.ServerVersion, out.ServerProduct = ptr(f.Server.String()), text(f.Server.ServerProduct())
	}
	if f.Calls+f.Unpaired == 0 {
		if f.SealedCalls > 0 {
			out.Unavailable = ptr(whySealed)
		}
		return out
	}
	if f.SealedCalls > 0 {
		out.Unavailable = ptr("some calls are sealed: figures are those of the readable ones")
	}
	out.SyncGetBuffer, out.ReadStream = sizes(&f.SyncGetBuffer), sizes(&f.ReadStream)
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
	}
	return out
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
}
