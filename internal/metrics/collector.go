package metrics

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mapiscope/internal/document"
	"mapiscope/internal/hist"
	"mapiscope/internal/live"
)

// other is the value of a label for all that has none of its own.
const other = "other"

// collector gives the metrics of the latest view. It makes them once for each
// view, so that a scrape costs the analysis nothing.
type collector struct {
	o      Options
	descs  map[string]*prometheus.Desc // by name
	latest atomic.Pointer[state]

	mu sync.Mutex // one set at a time
	// floor is the highest value that each counter had: verdicts are worked
	// out anew for each view, and one that is withdrawn must not read as a
	// restart. The labels are of bounded sets, so it is bounded, too.
	floor map[series]int64
	times *hist.Histogram // with the most durations so far, likewise
}

// state is what one view says.
type state struct {
	at         time.Time // when it came
	metrics    []prometheus.Metric
	interfaces []live.Interface // without those that share a label
	failing    string           // of the log
}

// series names a metric and the values of its labels.
type series struct{ name, first, second string }

func newCollector(o Options) *collector {
	c := &collector{o: o, descs: map[string]*prometheus.Desc{}, floor: map[series]int64{}, times: new(hist.Histogram)}
	describe := func(name, help string, labels ...string) {
		c.descs[name] = prometheus.NewDesc(name, help, labels, nil)
	}
	for _, m := range scalars {
		describe(m.name, m.help)
	}
	for _, m := range perInterface {
		describe(m.name, m.help, "interface", "at")
	}
	for name, m := range labelled {
		describe(name, m.help, m.labels...)
	}
	return c
}

// set takes the figures of a view; of the view itself it keeps the response
// times.
func (c *collector) set(s *live.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &state{at: c.o.Now(), interfaces: distinct(s.Interfaces), failing: s.Log.Failing}
	put := func(kind prometheus.ValueType, v int64, name string, labels ...string) {
		if kind == counter {
			key := series{name: name}
			for i, l := range labels {
				*[]*string{&key.first, &key.second}[i] = l
			}
			v = max(v, c.floor[key])
			c.floor[key] = v
		}
		st.metrics = append(st.metrics, prometheus.MustNewConstMetric(c.descs[name], kind, float64(v), labels...))
	}
	for _, m := range scalars {
		put(m.kind, m.value(s), m.name)
	}
	for i := range st.interfaces {
		at := &st.interfaces[i]
		for _, m := range perInterface {
			if v := m.value(at); v != nil {
				put(m.kind, *v, m.name, at.Name, at.At)
			}
		}
	}
	severities := document.FindingSeverities()
	known := slices.Collect(maps.Keys(severities))
	for code, n := range bounded(s.Counts.Findings, known) {
		put(gauge, n, findingsName, code, string(severities[code]))
	}
	for name, n := range bounded(s.Counts.LimitsHit, limitNames()) {
		put(counter, n, limitsName, name)
	}
	if h := s.ResponseTimes; h != nil && h.Count() >= c.times.Count() {
		c.times = h
	}
	st.metrics = append(st.metrics, c.responseTimes())
	c.latest.Store(st)
}

// responseTimes gives a histogram in seconds.
func (c *collector) responseTimes() prometheus.Metric {
	h := c.times
	buckets := make(map[float64]uint64, len(responseTimeBounds))
	for _, us := range responseTimeBounds {
		buckets[float64(us)/1e6] = uint64(h.AtMost(us))
	}
	return prometheus.MustNewConstHistogram(c.descs[responseTimeName], uint64(h.Count()), float64(h.Sum())/1e6, buckets)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector. Before the first view there are
// only the build, the start and the age.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	value := func(name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], gauge, v, labels...)
	}
	value(buildName, 1, clean(c.o.Version), clean(c.o.Revision), clean(c.o.GoVersion))
	value(startName, float64(c.o.Start.UnixMicro())/1e6)
	st := c.latest.Load()
	value(ageName, c.age(st).Seconds())
	if st != nil {
		for _, m := range st.metrics {
			out <- m
		}
	}
}

// age is how long ago the latest view came, or the start when none did.
func (c *collector) age(st *state) time.Duration {
	since := c.o.Start
	if st != nil {
		since = st.at
	}
	return max(0, c.o.Now().Sub(since))
}

// bounded gives the counts of known names, 0 for those that have none, and
// the sum of all others under "other".
func bounded(counts map[string]int64, known []string) map[string]int64 {
	all := map[string]int64{other: 0}
	for _, name := range known {
		all[name] = 0
	}
	for name, n := range counts {
		if _, ok := all[name]; !ok {
			name = other
		}
		all[name] += n
	}
	return all
}

// limitNames are the JSON names of the bounds of the document.
func limitNames() []string {
	var names map[string]int64
	raw, err := json.Marshal(document.Limits{})
	if err == nil {
		err = json.Unmarshal(raw, &names)
	}
	if err != nil {
		return nil // then all count under "other"
	}
	return slices.Collect(maps.Keys(names))
}
