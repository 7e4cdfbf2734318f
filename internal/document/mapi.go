package document

import (
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/finding"
)

// mapi puts the EMSMDB figures of a connection into the document.
func mapi(c *finding.Conn) *MAPI {
	out := &MAPI{Connects: []Connect{}, Rops: []Rop{}, Refusals: []Refusal{}, Responses: responses(finding.ResponsesOf(c.Conn))}
	if sessions, pushes, known := c.Sessions(); known {
		out.Sessions, out.PushNotifications = &sessions, &pushes
	}
	why, some := c.Unread()
	out.Unavailable = text(why)
	if !some {
		return out
	}
	f := c.MAPI.Figures()
	out.UserDN = text(f.UserDN)
	if f.Client.Known() {
		out.ClientVersion, out.ClientProduct = ptr(f.Client.String()), text(f.Client.Product())
	}
	if f.Server.Known() {
		out.ServerVersion, out.ServerProduct = ptr(f.Server.String()), text(f.Server.ServerProduct())
	}
	out.connects(f)
	out.rops(f)
	return out
}

func responses(r finding.Responses) Responses {
	return Responses{LocalCount: Figure(r.LocalCount), LocalAvg: Figure(r.LocalAvg), RemoteCount: Figure(r.RemoteCount), RemoteAvg: Figure(r.RemoteAvg)}
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
