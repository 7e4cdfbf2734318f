package finding

import "mapiscope/pcaps"

// Figure is a counter of the device as the packets give it.
type Figure struct {
	Value   *int64 // nil where the packets do not give it
	Quality Quality
	Why     string
}

func exact(n int64, why string) Figure     { return Figure{&n, Exact, why} }
func heuristic(n int64, why string) Figure { return Figure{&n, Heuristic, why} }
func atLeast(n int64, why string) Figure   { return Figure{&n, LowerBound, why} }
func none(why string) Figure               { return Figure{nil, Unavailable, why} }

// MAPICounters are those of the MAPI accelerator, as `show statistics
// accelerator mapi` prints them.
type MAPICounters struct {
	TotalHandledConnections   Figure
	TotalOptimizedConnections Figure
	TotalHandedOffConnections Figure
	TotalDroppedConnections   Figure
	CurrentActiveConnections  Figure
	CurrentPendingConnections Figure
	MaximumActiveConnections  Figure
	SyncGetBufferRequests     Figure
	SyncGetBufferMin          Figure
	SyncGetBufferMax          Figure
	SyncGetBufferAvg          Figure
	ReadStreamRequests        Figure
	ReadStreamMin             Figure
	ReadStreamMax             Figure
	ReadStreamAvg             Figure
	ReadAheadMin              Figure
	ReadAheadMax              Figure
	ReadAheadAvg              Figure
	LocalResponseCount        Figure
	LocalResponseAvg          Figure
	RemoteResponseCount       Figure
	RemoteResponseAvg         Figure
	Sessions2000              Figure
	Sessions2003              Figure
	Sessions2007              Figure
	SecuredConnections        Figure
	SessionsLowerThan2000     Figure
	SessionsHigherThan2007    Figure
}

// EPMCounters are those of the EPM accelerator, as `show statistics
// accelerator epm` prints them.
type EPMCounters struct {
	TotalHandledConnections     Figure
	TotalOptimizedConnections   Figure
	TotalHandedOffConnections   Figure
	TotalDroppedConnections     Figure
	CurrentActiveConnections    Figure
	CurrentPendingConnections   Figure
	MaximumActiveConnections    Figure
	TotalRequests               Figure
	TotalRequestsParsed         Figure
	TotalResponses              Figure
	TotalResponsesParsed        Figure
	RequestErrors               Figure
	ResponseErrors              Figure
	ParseErrors                 Figure
	ServiceUnavailableResponses Figure
	RequestsNotInMap            Figure
}

// Responses splits the answered EMSMDB calls by who answered them, an
// accelerator on the near side or the server; times in microseconds.
type Responses struct {
	LocalCount, LocalAvg, RemoteCount, RemoteAvg Figure
}

// points ranks capture points by what a device's own counters are of: a device
// counts a connection once, and next to the clients it counts most.
var points = []pcaps.Point{pcaps.Edge, pcaps.Unknown, pcaps.Core, pcaps.WAN}

// counted returns the connections that an accelerator's counters are made of:
// those of the wanted services, and of one capture point if there are several,
// since each of them saw the same connections. from says at which, "" where
// there is one.
func (b *judge) counted(wanted func(*Conn) bool) (conns []*Conn, from string) {
	at := make(map[pcaps.Point][]*Conn)
	b.each(func(d *Conn) {
		if wanted(d) {
			at[d.place()] = append(at[d.place()], d)
		}
	})
	for _, p := range points {
		if len(at[p]) > 0 && len(at) > 1 {
			return at[p], ", as seen at " + p.String()
		}
		if len(at[p]) > 0 {
			return at[p], ""
		}
	}
	return nil, ""
}
