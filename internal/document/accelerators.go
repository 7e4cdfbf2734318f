package document

import (
	"mapiscope/internal/finding"
	"mapiscope/internal/wire"
)

// accelerators writes the counters of the device into the document.
func (b *builder) accelerators() {
	b.doc.Accelerators = Accelerators{MAPI: mapiAccelerator(&b.f.MAPI), EPM: epmAccelerator(&b.f.EPM)}
}

func mapiAccelerator(c *finding.MAPICounters) MAPIAccelerator {
	return MAPIAccelerator{
		TotalHandledConnections:   Figure(c.TotalHandledConnections),
		TotalOptimizedConnections: Figure(c.TotalOptimizedConnections),
		TotalHandedOffConnections: Figure(c.TotalHandedOffConnections),
		TotalDroppedConnections:   Figure(c.TotalDroppedConnections),
		CurrentActiveConnections:  Figure(c.CurrentActiveConnections),
		CurrentPendingConnections: Figure(c.CurrentPendingConnections),
		MaximumActiveConnections:  Figure(c.MaximumActiveConnections),
		SyncGetBufferRequests:     Figure(c.SyncGetBufferRequests),
		SyncGetBufferMin:          Figure(c.SyncGetBufferMin),
		SyncGetBufferMax:          Figure(c.SyncGetBufferMax),
		SyncGetBufferAvg:          Figure(c.SyncGetBufferAvg),
		ReadStreamRequests:        Figure(c.ReadStreamRequests),
		ReadStreamMin:             Figure(c.ReadStreamMin),
		ReadStreamMax:             Figure(c.ReadStreamMax),
		ReadStreamAvg:             Figure(c.ReadStreamAvg),
		ReadAheadMin:              Figure(c.ReadAheadMin),
		ReadAheadMax:              Figure(c.ReadAheadMax),
		ReadAheadAvg:              Figure(c.ReadAheadAvg),
		LocalResponseCount:        Figure(c.LocalResponseCount),
		LocalResponseAvg:          Figure(c.LocalResponseAvg),
		RemoteResponseCount:       Figure(c.RemoteResponseCount),
		RemoteResponseAvg:         Figure(c.RemoteResponseAvg),
		Sessions2000:              Figure(c.Sessions2000),
		Sessions2003:              Figure(c.Sessions2003),
		Sessions2007:              Figure(c.Sessions2007),
		SecuredConnections:        Figure(c.SecuredConnections),
		SessionsLowerThan2000:     Figure(c.SessionsLowerThan2000),
		SessionsHigherThan2007:    Figure(c.SessionsHigherThan2007),
	}
}

func epmAccelerator(c *finding.EPMCounters) EPMAccelerator {
	return EPMAccelerator{
		TotalHandledConnections:     Figure(c.TotalHandledConnections),
		TotalOptimizedConnections:   Figure(c.TotalOptimizedConnections),
		TotalHandedOffConnections:   Figure(c.TotalHandedOffConnections),
		TotalDroppedConnections:     Figure(c.TotalDroppedConnections),
		CurrentActiveConnections:    Figure(c.CurrentActiveConnections),
		CurrentPendingConnections:   Figure(c.CurrentPendingConnections),
		MaximumActiveConnections:    Figure(c.MaximumActiveConnections),
		TotalRequests:               Figure(c.TotalRequests),
		TotalRequestsParsed:         Figure(c.TotalRequestsParsed),
		TotalResponses:              Figure(c.TotalResponses),
		TotalResponsesParsed:        Figure(c.TotalResponsesParsed),
		RequestErrors:               Figure(c.RequestErrors),
		ResponseErrors:              Figure(c.ResponseErrors),
		ParseErrors:                 Figure(c.ParseErrors),
		ServiceUnavailableResponses: Figure(c.ServiceUnavailableResponses),
		RequestsNotInMap:            Figure(c.RequestsNotInMap),
	}
}

// policyRules writes the dynamic match rules into the document.
func (b *builder) policyRules() {
	b.doc.PolicyRules = make([]PolicyRule, 0, len(b.f.Policy))
	for _, r := range b.f.Policy {
		row := r.Row
		out := PolicyRule{
			Server: row.At.String(), Port: row.Port, UUID: row.Interface.String(), MapName: "uuid" + row.Interface.String(),
			Created: wire.Stamp(row.Mark.Time), Packet: ref(row.Mark), Hits: r.Hits, Flows: r.Live,
		}
		if r.Hits > 0 {
			out.LastHit = ptr(wire.Stamp(r.Last.Time))
		}
		b.doc.PolicyRules = append(b.doc.PolicyRules, out)
	}
}
