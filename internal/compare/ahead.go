package compare

// Ahead follows the bytes of streams and FastTransfers that were fetched from
// the server and not yet handed to the client. It samples their sum whenever
// the client reads.
type Ahead struct {
	Samples       int64
	Min, Max, Sum int64
	Void          bool // a bound was hit, or the order of the answers was never known

	held      int64
	near, far []read
}

// read is an answer with data: at the far point when it was given, at the near
// point when it was asked for.
type read struct {
	at   int64
	data int64
}

// maxReads bounds the answers that wait for the other point to catch up.
const maxReads = 4096

// add takes an answered call with data. theta is far clock minus near clock.
func (a *Ahead) add(c *call, near bool, theta int64, known bool) {
	if a.Void {
		return
	}
	if near {
		a.near = append(a.near, read{c.asked, c.data})
	} else {
		a.far = append(a.far, read{c.done, c.data})
	}
	if known {
		for len(a.near) > 0 && len(a.far) > 0 {
			a.step(theta)
		}
	}
	if len(a.near) > maxReads || len(a.far) > maxReads {
		*a = Ahead{Void: true}
	}
}

// step takes what came first.
func (a *Ahead) step(theta int64) {
	if len(a.near) == 0 || len(a.far) > 0 && a.far[0].at-theta <= a.near[0].at {
		a.held += a.far[0].data
		a.far = a.far[1:]
		return
	}
	n := max(a.held, 0)
	if a.Samples == 0 || n < a.Min {
		a.Min = n
	}
	a.Max = max(a.Max, n)
	a.Sum += n
	a.Samples++
	a.held -= a.near[0].data
	a.near = a.near[1:]
}

// finish takes what is left.
func (a *Ahead) finish(theta int64, known bool) {
	if !known {
		*a = Ahead{Void: true}
	}
	for len(a.near)+len(a.far) > 0 {
		a.step(theta)
	}
	a.near, a.far = nil, nil
}

// runs remembers the latest calls that were the same at both points, to find
// out from when on nothing was changed any more.
type runs struct {
	latest [handOffRing]int64 // near times
	n      int64
	first  int64 // the first one after the latest known sign of an accelerator
}

const (
	handOffRing  = 64
	handOffCalls = 8 // so many untouched calls in a row make a hand-off
)

func (r *runs) add(t, lastDiff int64) {
	if r.first <= lastDiff {
		r.first = t
	}
	r.latest[r.n%handOffRing] = t
	r.n++
}

// handedOff looks for the change from accelerated to untouched.
func (p *Pair) handedOff() {
	if p.lastDiff == 0 || p.Sealed && p.Calls.Identical == 0 {
		return
	}
	since, count := int64(0), 0
	for i := range min(p.runs.n, handOffRing) {
		if t := p.runs.latest[i]; t > p.lastDiff {
			count++
			if since == 0 || t < since {
				since = t
			}
		}
	}
	if count < handOffCalls {
		return
	}
	if p.HandedOff = since; p.runs.first > p.lastDiff {
		p.HandedOff = p.runs.first
	}
}

// Add adds the samples of another connection.
func (a *Ahead) Add(o *Ahead) {
	if o.Samples == 0 {
		return
	}
	if a.Samples == 0 || o.Min < a.Min {
		a.Min = o.Min
	}
	a.Max = max(a.Max, o.Max)
	a.Sum += o.Sum
	a.Samples += o.Samples
}
