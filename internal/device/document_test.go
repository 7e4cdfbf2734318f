package device

import (
	"fmt"

	"mapiscope/internal/document"
)

// leg is one capture of a connection of the test documents.
type leg struct {
	id             int
	at             string
	port           uint16
	isn            uint32
	client, server int64 // payload
	verdict        string
	state          string
	accel          string
}

// twoSides is a document of an edge LAN and a WAN capture: an EMSMDB connection
// that is optimized and still open, one that has closed, one that escaped, and
// the endpoint mapper before them.
func twoSides() *document.Document {
	doc := captured("5.3", "2009-06-25T06:32:00Z", "2009-06-25T06:40:00Z")
	doc.Totals.TCPConnections = 8
	for _, l := range []leg{
		{1, "edge", 135, 1, 272, 236, "optimized", "closed", "TEDL"},
		{2, "wan", 135, 1, 182, 160, "optimized", "closed", "-"},
		{3, "edge", 1146, 2, 4612, 4086, "optimized", "open", "TMDL"},
		{4, "wan", 1146, 2, 2096, 1973, "optimized", "open", "-"},
		{5, "edge", 1146, 3, 822, 634, "optimized", "closed", "TMDL"},
		{6, "wan", 1146, 3, 706, 556, "optimized", "closed", "-"},
		{7, "edge", 1146, 4, 500, 600, "pass_through", "open", "-"},
		{8, "wan", 1146, 4, 500, 600, "pass_through", "open", "-"},
	} {
		c := l.connection()
		c.Conversation = ptr(l.id - (l.id+1)%2) // of each two the one at the edge
		doc.Connections = append(doc.Connections, c)
	}
	doc.Endpoints = []document.Endpoint{{Server: "10.10.100.101", Port: 1146, InterfaceUUID: emsmdb, LearnedFrom: "ept_map"}}
	doc.PolicyRules = []document.PolicyRule{{Server: "10.10.100.101", Port: 1146, UUID: emsmdb, MapName: "uuid" + emsmdb, Created: "2009-06-25T06:32:00.5Z"}}
	doc.Accelerators.MAPI = document.MAPIAccelerator{
		TotalHandledConnections:   figure(3),
		TotalOptimizedConnections: document.Figure{Value: ptr(int64(2)), Quality: document.Heuristic, Why: "by verdict"},
		TotalDroppedConnections:   document.Figure{Value: ptr(int64(1)), Quality: document.LowerBound, Why: "resets"},
		SyncGetBufferRequests:     figure(7), SyncGetBufferMin: figure(30088), SyncGetBufferMax: figure(31680), SyncGetBufferAvg: figure(31428),
		CurrentActiveConnections: figure(2),
	}
	doc.Accelerators.EPM = document.EPMAccelerator{TotalHandledConnections: figure(1), TotalRequests: figure(1), TotalResponses: figure(1)}
	return doc
}

func ptr[T any](v T) *T { return &v }

func (l leg) connection() document.Connection {
	c := document.Connection{
		ID: l.id, At: l.at, Client: document.Host{IP: "10.10.10.10", Port: uint16(3770 + l.isn)}, Server: document.Host{IP: "10.10.100.101", Port: l.port},
		Start: fmt.Sprintf("2009-06-25T06:32:%02d.000000000Z", l.id), End: fmt.Sprintf("2009-06-25T06:33:%02d.000000000Z", l.id),
		Origin: "handshake", State: l.state, Directions: "both", ClientISN: &l.isn, Bytes: document.PerSide{Client: l.client, Server: l.server},
		Service: "mapi", ServiceBasis: "bind",
		Optimizer:   document.Optimizer{Verdict: l.verdict},
		Disposition: document.Disposition{Accelerator: "unknown", Accel: l.accel, Quality: document.Heuristic, Reason: "by rule"},
	}
	switch l.accel {
	case "TMDL":
		c.Disposition.Accelerator = "mapi"
	case "TEDL":
		c.Disposition.Accelerator = "epm"
	}
	if l.port == 135 {
		c.Service = "epm"
	}
	if l.verdict == "optimized" && l.at == "wan" {
		c.ServiceBasis = "epm"
		c.Optimizer.EdgeDevice, c.Optimizer.CoreDevice = ptr("02:4d:09:00:00:01"), ptr("02:4d:09:00:00:02")
	}
	if l.verdict == "pass_through" {
		c.Disposition.Accelerator = "pass_through"
		c.Optimizer.Evidence = []document.Evidence{{Kind: "option_unanswered", Detail: "discovery option on the SYN, none on the SYN/ACK", Quality: document.Exact}}
	}
	return c
}
