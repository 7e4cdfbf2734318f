package account

import "mapiscope/pcaps"

// Capture describes one input.
type Capture struct {
	Path             string      `json:"path"`
	Format           string      `json:"format"`      // "pcap", "pcapng", "netmon"
	Compression      string      `json:"compression"` // "", "gzip", "zstd"
	LinkType         string      `json:"link_type"`
	Snaplen          int64       `json:"snaplen"`
	At               string      `json:"at"`
	AtBasis          string      `json:"at_basis"` // "option", "interface name", "evidence", ""
	Interfaces       []Interface `json:"interfaces"`
	Packets          int64       `json:"packets"`
	BytesWire        int64       `json:"bytes_wire"`
	BytesCaptured    int64       `json:"bytes_captured"`
	First            *string     `json:"first"`
	Last             *string     `json:"last"`
	TruncatedPackets int64       `json:"truncated_packets"`
	UndecodedPackets int64       `json:"undecoded_packets"`
	DroppedPackets   *int64      `json:"dropped_packets"` // of all interfaces, by system and driver; null where none tells
	Error            *string     `json:"error"`
}

// Interface is one capture interface of an input.
type Interface struct {
	Name     string `json:"name"`
	LinkType string `json:"link_type"`
	Snaplen  int64  `json:"snaplen"`
	At       string `json:"at"`
	Site     string `json:"site"` // "" where none was named
	// Point numbers the capture point that the interface belongs to, null
	// without packets; Joined says how it came there, JoinedTo to which other
	// interface. SamePoints are others with the same packets.
	Point         *int      `json:"point"`
	Joined        *string   `json:"joined"` // "alone", "continues", "seen twice", "other direction", "crowded"
	JoinedTo      *JoinedTo `json:"joined_to"`
	SamePoints    []int     `json:"same_points"`
	Packets       int64     `json:"packets"`
	CopiedPackets int64     `json:"copied_packets"` // that another interface of the capture point showed before
	// What whoever captured counted; null where it did not tell.
	ReceivedPackets      *int64  `json:"received_packets"`
	DroppedPackets       *int64  `json:"dropped_packets"`        // for want of room in the system's buffer
	DriverDroppedPackets *int64  `json:"driver_dropped_packets"` // by the interface or its driver
	Error                *string `json:"error"`                  // why a live capture on it ended
}

// JoinedTo names an interface by its place in the document.
type JoinedTo struct {
	Capture   int `json:"capture"`   // index into captures
	Interface int `json:"interface"` // index into its interfaces
}

// join says which capture point an interface belongs to.
func (f *Interface) join(from *pcaps.Interface) {
	f.SamePoints = []int{}
	if from.Tap == 0 {
		return
	}
	f.Point, f.Joined = ptr(int(from.Tap)), ptr(from.Joined.String())
	if from.Joined.ToAnother() {
		f.JoinedTo = &JoinedTo{int(from.Of.Capture), int(from.Of.Interface)}
	}
	for _, t := range from.Same {
		f.SamePoints = append(f.SamePoints, int(t))
	}
}

func (b *builder) captures() {
	b.doc.Captures = []Capture{}
	for i := range b.in.Captures {
		c := &b.in.Captures[i]
		out := Capture{
			Path: c.Path, Format: c.Format, Compression: c.Compression, LinkType: c.Link.String(), Snaplen: c.Snaplen,
			At: c.Point.String(), AtBasis: c.PointBasis, Interfaces: []Interface{},
			Packets: c.Packets, BytesWire: c.BytesWire, BytesCaptured: c.BytesCaptured, TruncatedPackets: c.Truncated,
		}
		if c.Point == pcaps.Unknown && len(c.Interfaces) <= 1 {
			if p := b.places[pcaps.Unknown]; p != pcaps.Unknown {
				out.At, out.AtBasis = p.String(), "evidence"
			}
		}
		for k := range c.Interfaces {
			f := &c.Interfaces[k]
			if f.Joined == pcaps.Crowded {
				b.doc.Limits.CapturePointsShared++
			}
			out.Interfaces = append(out.Interfaces, Interface{
				Name: f.Name, LinkType: f.Link.String(), Snaplen: f.Snaplen, At: f.Point.String(), Site: f.Site, Packets: f.Packets, CopiedPackets: f.Copies,
				ReceivedPackets: f.Received, DroppedPackets: f.Dropped, DriverDroppedPackets: f.DriverDropped, Error: errorText(f.Err),
			})
			out.Interfaces[k].join(f)
			for _, n := range [...]*int64{f.Dropped, f.DriverDropped} {
				if n == nil {
					continue
				}
				if out.DroppedPackets == nil {
					out.DroppedPackets = new(int64)
				}
				*out.DroppedPackets += *n
			}
		}
		if c.Packets > 0 {
			out.First, out.Last = ptr(stamp(c.First)), ptr(stamp(c.Last))
		}
		if i < len(b.in.Undecoded) {
			out.UndecodedPackets = b.in.Undecoded[i]
		}
		out.Error = errorText(c.Err)
		b.doc.Captures = append(b.doc.Captures, out)
	}
}
