package metrics

import (
	"cmp"
	"slices"

	"mapiscope/internal/escape"
	"mapiscope/internal/live"
)

// maxInterfaces bounds the interfaces that have metrics of their own, maxLabel
// the bytes of a label's value.
const (
	maxInterfaces = 64
	maxLabel      = 64
)

// distinct returns the interfaces under names that fit a label, in order.
// Those whose names are then equal, and all behind the first 64, are summed
// up: packets must not be missing from a total.
func distinct(all []live.Interface) []live.Interface {
	var out []live.Interface
	for _, in := range all {
		in.Name, in.At = clean(in.Name), point(in.At)
		same := func(o live.Interface) bool { return o.Name == in.Name && o.At == in.At }
		i := slices.IndexFunc(out, same)
		if i < 0 && len(out) >= maxInterfaces {
			in.Name, in.At = other, "unknown"
			i = slices.IndexFunc(out, same)
		}
		if i < 0 {
			out = append(out, in)
			continue
		}
		out[i] = together(out[i], in)
	}
	return out
}

// together sums up two interfaces under the name of the first.
func together(o, in live.Interface) live.Interface {
	o.Packets += in.Packets
	o.Bytes += in.Bytes
	o.KernelReceived = sum(o.KernelReceived, in.KernelReceived)
	o.KernelDropped = sum(o.KernelDropped, in.KernelDropped)
	o.DriverDropped = sum(o.DriverDropped, in.DriverDropped)
	o.Err = cmp.Or(o.Err, in.Err)
	return o
}

// sum adds what is known.
func sum(a, b *int64) *int64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return new(*a + *b)
}

// point keeps the words of the capture points.
func point(at string) string {
	switch at {
	case "edge", "wan", "core":
		return at
	}
	return "unknown"
}

// clean makes a text fit for the value of a label: nothing that a terminal
// could act on, 64 bytes at most.
func clean(s string) string { return escape.Label(s, maxLabel) }
