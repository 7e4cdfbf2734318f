package device

import (
	"io"
)

// Accelerator is `show statistics accelerator mapi` or `... epm`.
type Accelerator struct {
	Name   string  `json:"accelerator"`
	Fields []Field `json:"counters"`
	// Policy is the policy engine block of the detail, nil without it.
	Policy []Field `json:"policy_engine,omitempty"`
}

// The labels of the accelerators that are needed by name.
const (
	labelStarted     = "Time Accelerator was started"
	labelReset       = "Time Statistics were Last Reset/Cleared"
	labelHandled     = "Total Handled Connections"
	labelOptimized   = "Total Optimized Connections"
	labelHandedOff   = "Total Connections Handed-off with Compression Policies Unchanged"
	labelDropped     = "Total Dropped Connections"
	labelActive      = "Current Active Connections"
	labelPending     = "Current Pending Connections"
	labelMaximum     = "Maximum Active Connections"
	labelAheadMin    = "Minimum Accumulated Read Ahead Data Size (bytes)"
	labelAheadMax    = "Maximum Accumulated Read Ahead Data Size (bytes)"
	labelAheadAvg    = "Average Accumulated Read Ahead Data Size (bytes)"
	labelLocalCount  = "Local Response Count"
	labelLocalAvg    = "Average Local Response Time (usec)"
	labelRemoteCount = "Remote Response Count"
	labelRemoteAvg   = "Average Remote Response Time (usec)"
)

// MAPI returns the counters of the MAPI accelerator.
func (v *Views) MAPI(detail bool) *Accelerator {
	a := &v.doc.Accelerators.MAPI
	out := &Accelerator{Name: "MAPI", Fields: []Field{
		{labelStarted, v.since()},
		{labelReset, v.since()},
		{labelHandled, valueOf(a.TotalHandledConnections)},
		{labelOptimized, valueOf(a.TotalOptimizedConnections)},
		{labelHandedOff, valueOf(a.TotalHandedOffConnections)},
		{labelDropped, valueOf(a.TotalDroppedConnections)},
		{labelActive, valueOf(a.CurrentActiveConnections)},
		{labelPending, valueOf(a.CurrentPendingConnections)},
		{labelMaximum, valueOf(a.MaximumActiveConnections)},
		{"Number of Synch Get Buffer Requests", valueOf(a.SyncGetBufferRequests)},
		{"Minimum Synch Get Buffer Size (bytes)", valueOf(a.SyncGetBufferMin)},
		{"Maximum Synch Get Buffer Size (bytes)", valueOf(a.SyncGetBufferMax)},
		{"Average Synch Get Buffer Size (bytes)", valueOf(a.SyncGetBufferAvg)},
		{"Number of Read Stream Requests", valueOf(a.ReadStreamRequests)},
		{"Minimum Read Stream Buffer Size (bytes)", valueOf(a.ReadStreamMin)},
		{"Maximum Read Stream Buffer Size (bytes)", valueOf(a.ReadStreamMax)},
		{"Average Read Stream Buffer Size (bytes)", valueOf(a.ReadStreamAvg)},
		{labelAheadMin, valueOf(a.ReadAheadMin)},
		{labelAheadMax, valueOf(a.ReadAheadMax)},
		{labelAheadAvg, valueOf(a.ReadAheadAvg)},
		{labelLocalCount, valueOf(a.LocalResponseCount)},
		{labelLocalAvg, valueOf(a.LocalResponseAvg)},
		{labelRemoteCount, valueOf(a.RemoteResponseCount)},
		{labelRemoteAvg, valueOf(a.RemoteResponseAvg)},
		{"Current 2000 Accelerated Sessions", valueOf(a.Sessions2000)},
		{"Current 2003 Accelerated Sessions", valueOf(a.Sessions2003)},
		{"Current 2007 Accelerated Sessions", valueOf(a.Sessions2007)},
		{"Secured Connections", valueOf(a.SecuredConnections)},
		{"Lower than 2000 Sessions", valueOf(a.SessionsLowerThan2000)},
		{"Higher than 2007 Sessions", valueOf(a.SessionsHigherThan2007)},
	}}
	if detail {
		out.Policy = policyEngine(valueOf(a.TotalHandledConnections), valueOf(a.CurrentActiveConnections))
	}
	return out
}

// EPM returns the counters of the EPM accelerator.
func (v *Views) EPM(detail bool) *Accelerator {
	a := &v.doc.Accelerators.EPM
	out := &Accelerator{Name: "EPM", Fields: []Field{
		{labelStarted, v.since()},
		{labelReset, v.since()},
		{labelHandled, valueOf(a.TotalHandledConnections)},
		{labelOptimized, valueOf(a.TotalOptimizedConnections)},
		{labelHandedOff, valueOf(a.TotalHandedOffConnections)},
		{labelDropped, valueOf(a.TotalDroppedConnections)},
		{labelActive, valueOf(a.CurrentActiveConnections)},
		{labelPending, valueOf(a.CurrentPendingConnections)},
		{labelMaximum, valueOf(a.MaximumActiveConnections)},
		{"Total Requests", valueOf(a.TotalRequests)},
		{"Total Requests Successfully Parsed", valueOf(a.TotalRequestsParsed)},
		{"Total Request Errors", valueOf(a.RequestErrors)},
		{"Total Responses", valueOf(a.TotalResponses)},
		{"Total Responses Successfully Parsed", valueOf(a.TotalResponsesParsed)},
		{"Total Service-unavailable Responses", valueOf(a.ServiceUnavailableResponses)},
		{"Total Requests for UUID not in Policy Engine Map", valueOf(a.RequestsNotInMap)},
		{"Total Response Errors", valueOf(a.ResponseErrors)},
	}}
	if detail {
		out.Policy = policyEngine(valueOf(a.TotalHandledConnections), valueOf(a.CurrentActiveConnections))
	}
	return out
}

// policyEngine is the block behind the counters in the detail. All of it lives
// inside the device, but for what was classified to the accelerator.
func policyEngine(handled, active Value) []Field {
	inside := none("kept inside the device")
	completed := inside
	h, known := handled.V.(int64)
	if a, ok := active.V.(int64); ok && known {
		completed = heuristic(h-a, "handled connections that are not active any more")
	}
	return []Field{
		{"Session timeouts", inside}, {"Total timeouts", inside},
		{"Last keepalive received", inside}, {"Last registration occurred", inside},
		{"Hits", handled}, {"Update Released", inside},
		{"Active Connections", active}, {"Completed Connections", completed},
		{"Drops", inside},
	}
}

// accelWidth is the width of the label column: the longest label has 65
// characters, its colon included, behind an indent of two.
const accelWidth = 69

// WriteText prints the counters as the device does.
func (a *Accelerator) WriteText(w io.Writer, plain bool) error {
	p := newPage(plain)
	p.line("%s:", a.Name)
	p.line("  Global Statistics")
	p.line("  -----------------")
	for _, f := range a.Fields {
		p.field(accelWidth, "  "+f.Label+":", f.Value)
	}
	if a.Policy != nil {
		a.policy(p)
	}
	return p.writeTo(w)
}

// policy prints the block of the policy engine, two figures to a line.
func (a *Accelerator) policy(p *page) {
	v := func(i int) Value { return a.Policy[i].Value }
	p.line("\nPolicy Engine Statistics")
	p.line("-------------------------")
	p.line("Session timeouts: %s,  Total timeouts: %s%s", v(0), v(1), p.marks(v(0), v(1)))
	p.line("Last keepalive received %s Secs ago%s", v(2), p.marks(v(2)))
	p.line("Last registration occurred %s Days:Hours:Mins:Secs ago%s", v(3), p.marks(v(3)))
	p.line("Hits: %21s,  Update Released: %21s%s", v(4), v(5), p.marks(v(4), v(5)))
	p.line("Active Connections: %7s,  Completed Connections: %15s%s", v(6), v(7), p.marks(v(6), v(7)))
	p.line("Drops: %20s%s", v(8), p.marks(v(8)))
}
