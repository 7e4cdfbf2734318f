package document

import (
	"mapiscope/assoc"
	"mapiscope/internal/verdict"
)

// epmAccelerator reproduces the counters of the EPM accelerator.
func (b *builder) epmAccelerator() EPMAccelerator {
	var n assoc.EPMCounts
	var conns, hidden, notInMap, optimized, dropped, active int64
	var spans []span
	counted, point, several := b.counted(func(d *Connection) bool { return d.Service == "epm" && reached(d) })
	in := make(map[*assoc.Conn]bool, len(counted))
	for _, c := range counted {
		in[c] = true
		d := b.row(c)
		conns++
		if isHidden(c, d) {
			hidden++
		}
		spans = append(spans, spanOf(c, d))
		if b.v.Leg(c).Path != verdict.PassThrough {
			optimized++
		}
		if alive(d) {
			active++
		}
		if d.State == "reset_by_server" && c.EPM.Responses == 0 {
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
	for i := range b.res.Maps {
		ex := &b.res.Maps[i]
		if !in[ex.Conn] {
			continue
		}
		if _, known := policyMap[ex.Interface]; !known && ex.Sequence != "lookup" && !ex.Interface.IsZero() {
			notInMap++
		}
	}
	of, why := exact, "ept_map on connections to the endpoint mapper"
	if hidden > 0 {
		of, why = atLeast, "some endpoint mapper connections are unreadable between the devices"
	}
	handled := "connections to the endpoint mapper"
	if several {
		handled += ", as seen at " + point
	}
	return EPMAccelerator{
		TotalHandledConnections:   of(conns, handled),
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
