package document

import (
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
)

// Limits has one counter per bound that was hit; all are 0 in a good run.
type Limits struct {
	ConnectionsEvicted     int64 `json:"connections_evicted"`
	ConnectionsExpired     int64 `json:"connections_expired"`
	ReassemblyHoles        int64 `json:"reassembly_holes"`
	ReassemblyDroppedBytes int64 `json:"reassembly_dropped_bytes"`
	FragmentsDropped       int64 `json:"fragments_dropped"`
	PDUsDamaged            int64 `json:"pdus_damaged"`
	Resynchronised         int64 `json:"resynchronised"`
	ContextsDropped        int64 `json:"contexts_dropped"`
	AuthContextsDropped    int64 `json:"auth_contexts_dropped"`
	OperationsDropped      int64 `json:"operations_dropped"`
	FaultsDropped          int64 `json:"faults_dropped"`
	CallsLost              int64 `json:"calls_lost"`
	StubsCut               int64 `json:"stubs_cut"`
	SessionsDropped        int64 `json:"sessions_dropped"`
	TablesDropped          int64 `json:"tables_dropped"`
	EventsDropped          int64 `json:"events_dropped"`
	HostPairsDropped       int64 `json:"host_pairs_dropped"`
	ConnectionsUnlisted    int64 `json:"connections_unlisted"`
	ExchangesDropped       int64 `json:"exchanges_dropped"`
	ConnectsDropped        int64 `json:"connects_dropped"`
	RefusalsDropped        int64 `json:"refusals_dropped"`
	LegsRefused            int64 `json:"legs_refused"`
	CapturePointsShared    int64 `json:"capture_points_shared"`
	MemoryExceeded         int64 `json:"memory_exceeded"`
	UnfinishedDropped      int64 `json:"unfinished_dropped"`
	RequestsForgotten      int64 `json:"requests_forgotten"`
	PortsDropped           int64 `json:"ports_dropped"`
	EndpointsDropped       int64 `json:"endpoints_dropped"`
	HoldbackExceeded       int64 `json:"holdback_exceeded"`
	CallIDsJoined          int64 `json:"call_ids_joined"`
	DevicePairsDropped     int64 `json:"device_pairs_dropped"`
}

func (b *builder) limits() {
	out := &b.doc.Limits
	out.ConnectionsEvicted = b.res.Flows.Evicted
	out.ConnectionsExpired = b.res.Flows.Expired
	out.ReassemblyHoles = b.res.Flows.ReassemblyHoles
	out.ReassemblyDroppedBytes = b.res.Flows.ReassemblyDropped
	out.LegsRefused = b.res.Flows.LegsRefused
	out.FragmentsDropped = b.in.Fragments
	out.HostPairsDropped = b.res.Stats.PairsDropped
	out.ConnectionsUnlisted = b.res.Stats.ConnsUnlisted
	out.ExchangesDropped = b.res.Stats.ExchangesDropped
	out.EventsDropped = b.res.Stats.EventsDropped
	out.SessionsDropped = b.res.Stats.SessionsEvicted
	out.TablesDropped = b.res.Stats.TablesEvicted
	out.MemoryExceeded = b.res.Stats.MemoryExceeded
	out.UnfinishedDropped = b.res.Stats.UnfinishedDropped
	out.PortsDropped = b.res.Stats.PortsDropped
	out.EndpointsDropped = b.f.Facts.Dir.Dropped()
	for _, g := range b.f.Facts.Verdicts.Groups {
		out.DevicePairsDropped += g.PairsDropped
	}
	u := &b.res.Unlisted
	rpcLimits(out, &u.Stats)
	out.ConnectsDropped, out.RefusalsDropped, out.RequestsForgotten = u.ConnectsDropped, u.RefusalsDropped, u.RequestsForgotten
	for _, c := range b.res.Conns {
		if c.RPC != nil {
			rpcLimits(out, &c.RPC.Stats)
		}
		if c.MAPI != nil {
			mapiLimits(out, c.MAPI)
		}
	}
}

func rpcLimits(out *Limits, s *dcerpc.Stats) {
	out.PDUsDamaged += s.PDUsDamaged
	out.Resynchronised += s.Resynchronised
	out.ContextsDropped += s.ContextsDropped
	out.AuthContextsDropped += s.AuthsDropped
	out.OperationsDropped += s.OperationsDropped
	out.FaultsDropped += s.FaultsDropped
	out.CallsLost += s.CallsLost
	out.StubsCut += s.StubsCut
	out.UnfinishedDropped += s.UnfinishedDropped
	out.CallIDsJoined += s.CallIDsJoined
}

func mapiLimits(out *Limits, c *emsmdb.Conn) {
	f := c.Figures()
	out.ConnectsDropped += f.ConnectsDropped
	out.RefusalsDropped += f.RefusalsDropped
	out.RequestsForgotten += f.RequestsForgotten
}
