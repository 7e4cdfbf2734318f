package live

import (
	"cmp"
	"encoding/json"
	"runtime/metrics"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/hist"
)

// status says how the job does.
func (j *job) status(now time.Time, doc *document.Document) Status {
	s := Status{
		Time: now, Running: now.Sub(j.begun), Interfaces: j.interfaces(now), Counts: j.counts(doc),
		Memory: Memory{Heap: heap(), Limit: j.MemoryLimit}, ResponseTimes: j.known.times(doc),
	}
	if j.Queue != nil {
		s.Log = j.Queue()
	}
	return s
}

// interfaces counts what came from each and takes rates since the last time.
func (j *job) interfaces(now time.Time) []Interface {
	c := j.src.Capture()
	out := make([]Interface, len(c.Interfaces))
	seconds := now.Sub(j.rated).Seconds()
	for i := range c.Interfaces {
		f := &c.Interfaces[i]
		out[i] = Interface{
			Name: cmp.Or(f.Name, c.Path), At: f.Point.String(), Packets: f.Packets, Bytes: f.BytesWire,
			KernelReceived: f.Received, KernelDropped: f.Dropped, DriverDropped: f.DriverDropped,
		}
		if f.Err != nil {
			out[i].Err = f.Err.Error()
		}
		var before Interface
		if i < len(j.last) {
			before = j.last[i]
		}
		if seconds > 0 {
			out[i].PacketsPerSecond = float64(out[i].Packets-before.Packets) / seconds
			out[i].BitsPerSecond = 8 * float64(out[i].Bytes-before.Bytes) / seconds
		}
	}
	j.last, j.rated = out, now
	return out
}

// counts are the head figures. Those of the document can fall, by what it
// forgets or judges anew; these do not.
func (j *job) counts(doc *document.Document) Counts {
	t, n := &doc.Totals, &j.known.counts
	n.Connections = max(n.Connections, t.TCPConnections)
	n.MAPIConnections = max(n.MAPIConnections, t.MAPIConnections)
	n.EncryptedMAPI = max(n.EncryptedMAPI, t.EncryptedMAPIConnections)
	n.EscapedConnections = j.known.escaped
	n.OpenConnections = int64(j.engine.Open())
	n.AssociationGroups = t.AssociationGroups
	n.FindingSeverity = t.Findings
	n.CapturedPayload, n.Gap = doc.Ledger.CapturedPayload, doc.Ledger.Gap
	n.Findings = make(map[string]int64)
	for i := range doc.Findings {
		n.Findings[doc.Findings[i].Code]++
	}
	n.LimitsHit = limitsHit(&doc.Limits)
	return *n
}

// limitsHit returns the limits that are not 0 by their JSON names.
func limitsHit(l *document.Limits) map[string]int64 {
	all := make(map[string]int64)
	raw, err := json.Marshal(l)
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		panic(err) // a struct of integers
	}
	for name, n := range all {
		if n == 0 {
			delete(all, name)
		}
	}
	return all
}

// times are the response times of all connections so far.
func (r *register) times(doc *document.Document) *hist.Histogram {
	all := new(hist.Histogram)
	all.Merge(&r.ended)
	for i := range doc.Connections {
		if c := &doc.Connections[i]; !c.Ended {
			all.Merge(c.Times)
		}
	}
	return all
}

// heapMetric is what live and dead objects take that were not yet collected.
const heapMetric = "/memory/classes/heap/objects:bytes"

func heap() int64 {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
