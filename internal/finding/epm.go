package finding

import (
	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
)

// epmCounters reproduces the counters of the EPM accelerator.
func (b *judge) epmCounters() EPMCounters {
	var n assoc.EPMCounts
	var conns, hidden, notInMap, optimized, dropped, active int64
	var spans []span
	counted, seen := b.counted(func(d *Conn) bool { return d.Service == assoc.EPM && d.reached() })
	in := make(map[*assoc.Conn]bool, len(counted))
	for _, d := range counted {
		c := d.Conn
		in[c] = true
		conns++
		if d.hidden() {
			hidden++
		}
		spans = append(spans, d.span())
		if d.Leg.Path != verdict.PassThrough {
			optimized++
		}
		if d.alive() {
			active++
		}
		if d.Flow.State() == flows.ResetByServer && c.EPM.Responses == 0 {
			dropped++
		}
		n.Requests += c.EPM.Requests
		n.RequestsParsed += c.EPM.RequestsParsed
		n.Responses += c.EPM.Responses
		n.ResponsesParsed += c.EPM.ResponsesParsed
		n.RequestErrors += c.EPM.RequestErrors
		n.ResponseErrors += c.EPM.ResponseErrors
		n.Unavailable += c.EPM.Unavailable
	}
	for i := range b.Result.Maps {
		ex := &b.Result.Maps[i]
		if !in[ex.Conn] {
			continue
		}
		if !policyMap[ex.Interface] && ex.Sequence != assoc.Lookup && !ex.Interface.IsZero() {
			notInMap++
		}
	}
	of, why := exact, "ept_map on connections to the endpoint mapper"
	if hidden > 0 {
		of, why = atLeast, "some endpoint mapper connections are unreadable between the devices"
	}
	return EPMCounters{
		TotalHandledConnections:   of(conns, "connections to the endpoint mapper"+seen),
		TotalOptimizedConnections: heuristic(optimized, "handled without those seen to pass through"),
		TotalHandedOffConnections: none("no rule hands endpoint mapper connections on; a hand-off leaves no trace in packets"),
		TotalDroppedConnections:   atLeast(dropped, "reset from the server's side before the first answer"),
		CurrentActiveConnections:  exact(active, "open at the end of the capture"),
		CurrentPendingConnections: none("a queue inside the device leaves no trace in packets"),
		MaximumActiveConnections:  exact(highWater(spans), "high-water mark in this capture"),
		TotalRequests:             of(n.Requests, why), TotalRequestsParsed: of(n.RequestsParsed, why),
		TotalResponses: of(n.Responses, why), TotalResponsesParsed: of(n.ResponsesParsed, why),
		RequestErrors:               of(n.RequestErrors, "questions that do not decode"),
		ResponseErrors:              of(n.ResponseErrors, "answers that do not decode"),
		ParseErrors:                 of(n.RequestErrors+n.ResponseErrors, "calls that do not decode"),
		ServiceUnavailableResponses: of(n.Unavailable, "not registered, or an answer without a tower"),
		RequestsNotInMap:            of(notInMap, "against the default policy map"),
	}
}
