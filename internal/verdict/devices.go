package verdict

import (
	"fmt"
	"slices"

	"mapiscope/assoc"
)

// The id of a device is not at a published place in its option 33, so it is
// worked out, and called a candidate. It has the form of a MAC address in
// every display of the device. Where the options of several connections have
// exactly six bytes in common at one place, between bytes that vary, those are
// it. Where everything is constant, that tells nothing, and the place is that
// of options of 12 bytes in published traces: after two bytes of other content.
const (
	idLength      = 6
	stableOptions = 3  // connections that must agree
	tracedLength  = 10 // value bytes of the option in published traces
	tracedOffset  = 2
)

// idPlace names a kind of option that has its id at one place.
type idPlace struct {
	server bool // on the SYN/ACK
	length int
}

// idRules knows where ids lie, and how often each was seen.
type idRules struct {
	offsets map[idPlace]int
	seen    map[idOf]int // connections
}

// idOf is a candidate on one side.
type idOf struct {
	server bool
	id     string
}

// learnIDs reads the options of all connections.
func learnIDs(conns []*assoc.Conn) *idRules {
	r := &idRules{offsets: make(map[idPlace]int), seen: make(map[idOf]int)}
	values := make(map[idPlace][][]byte)
	for _, c := range conns {
		for i, options := range c.HandshakeOptions() {
			if v, ok := assoc.FindOption(options, assoc.OptionWAAS); ok {
				p := idPlace{server: i == 1, length: len(v)}
				values[p] = append(values[p], v)
			}
		}
	}
	for p, vs := range values {
		if o, ok := commonRun(vs); ok {
			r.offsets[p] = o
		}
		for _, v := range vs {
			if id := r.candidate(p.server, v); id != "" {
				r.seen[idOf{p.server, id}]++
			}
		}
	}
	return r
}

// commonRun finds the offset at which every value has an id that at least
// three values share, while the bytes on both sides of it vary among those.
func commonRun(values [][]byte) (offset int, ok bool) {
	length := len(values[0])
	for o := 0; o+idLength <= length; o++ {
		clusters := make(map[string][][]byte)
		for _, v := range values {
			clusters[string(v[o:o+idLength])] = append(clusters[string(v[o:o+idLength])], v)
		}
		good := 0
		for id, vs := range clusters {
			if len(vs) < stableOptions {
				continue
			}
			if id[0]&3 != 0 || blank([]byte(id)) || o > 0 && !varies(vs, o-1) || o+idLength < length && !varies(vs, o+idLength) {
				good = -1
				break
			}
			good++
		}
		if good > 0 && length > idLength {
			return o, true
		}
	}
	return 0, false
}

func varies(values [][]byte, at int) bool {
	return slices.ContainsFunc(values, func(v []byte) bool { return v[at] != values[0][at] })
}

// blank reports whether bytes are all 00 or all ff: no id.
func blank(b []byte) bool {
	for _, v := range b {
		if v != b[0] || v != 0 && v != 0xff {
			return false
		}
	}
	return true
}

// candidate reads the device id out of the value of an option 33, "" when
// there is none.
func (r *idRules) candidate(server bool, value []byte) string {
	o, ok := r.offsets[idPlace{server, len(value)}]
	if !ok {
		if len(value) != tracedLength {
			return ""
		}
		o = tracedOffset
	}
	id := value[o : o+idLength]
	if blank(id) {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", id[0], id[1], id[2], id[3], id[4], id[5])
}

// describe prints an option 33 as it was on the wire, with its candidate.
func (r *idRules) describe(server bool, value []byte) string {
	id := r.candidate(server, value)
	if id == "" {
		return waasText(value)
	}
	text := fmt.Sprintf("%s, device id candidate %s (unverified)", waasText(value), id)
	if _, stable := r.offsets[idPlace{server, len(value)}]; stable && r.seen[idOf{server, id}] >= stableOptions {
		text = fmt.Sprintf("%s, device id candidate %s (unverified, the same bytes on %d connections)", waasText(value), id, r.seen[idOf{server, id}])
	}
	return text
}

// distinct reports whether two candidates of one side are ids of two devices,
// and not bytes that differ on every connection: each was seen again, or both
// begin with the same vendor's three bytes. An empty one may be any.
func (r *idRules) distinct(server bool, a, b string) bool {
	const vendor = len("00:00:00")
	if a == b || a == "" || b == "" {
		return false
	}
	return r.seen[idOf{server, a}] > 1 && r.seen[idOf{server, b}] > 1 || a[:vendor] == b[:vendor]
}
