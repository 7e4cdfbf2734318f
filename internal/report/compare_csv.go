package report

import (
	"fmt"
	"io"
	"strconv"

	"mapiscope/internal/document"
)

// pairColumns are the columns of the list of pairs; new ones go to the end.
var pairColumns = []column[document.ConnectionPair]{
	{"id", func(x *document.ConnectionPair) any { return number(x.ID) }},
	{"edge", func(x *document.ConnectionPair) any { return optional(x.Connections.Edge) }},
	{"wan", func(x *document.ConnectionPair) any { return optional(x.Connections.WAN) }},
	{"core", func(x *document.ConnectionPair) any { return optional(x.Connections.Core) }},
	{"client_ip", func(x *document.ConnectionPair) any { return x.Client.IP }},
	{"client_port", func(x *document.ConnectionPair) any { return number(x.Client.Port) }},
	{"server_ip", func(x *document.ConnectionPair) any { return x.Server.IP }},
	{"server_port", func(x *document.ConnectionPair) any { return number(x.Server.Port) }},
	{"rewritten", func(x *document.ConnectionPair) any { return strconv.FormatBool(x.Rewritten) }},
	{"basis", func(x *document.ConnectionPair) any { return x.Basis }},
	{"service", func(x *document.ConnectionPair) any { return x.Service }},
	{"verdict", func(x *document.ConnectionPair) any { return x.Verdict }},
	{"accelerator", func(x *document.ConnectionPair) any { return x.Accelerator }},
	{"accel", func(x *document.ConnectionPair) any { return x.Accel }},
	{"quality", func(x *document.ConnectionPair) any { return string(x.Quality) }},
	{"streams", func(x *document.ConnectionPair) any { return x.Streams.Verdict }},
	{"handed_off_at", func(x *document.ConnectionPair) any { return value(x.HandedOff) }},
	{"ended_by", func(x *document.ConnectionPair) any { return value(x.EndedBy) }},
	{"reset_at", func(x *document.ConnectionPair) any { return value(x.ResetAt) }},
	{"bytes_edge", func(x *document.ConnectionPair) any { return total(x.Bytes.Edge) }},
	{"bytes_wan", func(x *document.ConnectionPair) any { return total(x.Bytes.WAN) }},
	{"bytes_core", func(x *document.ConnectionPair) any { return total(x.Bytes.Core) }},
	{"reduction_percent", func(x *document.ConnectionPair) any {
		if x.Reduction == nil {
			return ""
		}
		return numeral(fmt.Sprintf("%.3f", *x.Reduction))
	}},
	{"one_way_delay_us", func(x *document.ConnectionPair) any { return optional(x.Delay.NearFar) }},
	{"remarked", func(x *document.ConnectionPair) any { return strconv.FormatBool(x.Remarked) }},
	{"lossy", func(x *document.ConnectionPair) any { return strconv.FormatBool(x.Lossy) }},
	{"escaped", func(x *document.ConnectionPair) any { return strconv.FormatBool(x.Escaped) }},
	{"answered", ofCalls(func(c *document.PairedCalls) any { return number(c.Answered) })},
	{"remote", ofCalls(func(c *document.PairedCalls) any {
		if c.Remote == nil {
			return ""
		}
		return number(c.Remote.Count)
	})},
	{"local", ofCalls(func(c *document.PairedCalls) any {
		if c.Local == nil {
			return ""
		}
		return number(c.Local.Count)
	})},
	{"originated", ofCalls(func(c *document.PairedCalls) any { return optional(c.Originated) })},
	{"undecided", ofCalls(func(c *document.PairedCalls) any { return number(c.Undecided) })},
}

func ofCalls(f func(*document.PairedCalls) any) func(*document.ConnectionPair) any {
	return func(x *document.ConnectionPair) any {
		if x.Calls == nil {
			return ""
		}
		return f(x.Calls)
	}
}

func total(s *document.PerSide) numeral {
	if s == nil {
		return ""
	}
	return number(s.Client + s.Server)
}

// WritePairs writes the pairs of a comparison as CSV with a head line.
func WritePairs(w io.Writer, d *document.Document) error {
	return writeCSV(w, pairColumns, d.Comparison.Pairs)
}
