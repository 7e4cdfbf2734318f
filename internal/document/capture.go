package document

import (
	"mapiscope/internal/finding"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Capture describes one input.
type Capture struct {
	Path             string         `json:"path"`
	Format           string         `json:"format"`      // "pcap", "pcapng", "netmon"; "" for none of them
	Compression      string         `json:"compression"` // "", "gzip", "zstd", "xz", "bzip2", "lz4"
	LinkType         string         `json:"link_type"`
	Snaplen          int64          `json:"snaplen"`
	At               string         `json:"at"`
	AtBasis          string         `json:"at_basis"` // "option", "interface name", "evidence", ""
	Interfaces       []Interface    `json:"interfaces"`
	Packets          int64          `json:"packets"`
	FilteredPackets  int64          `json:"filtered_packets"` // that did not match the filter, in no other figure
	BytesWire        int64          `json:"bytes_wire"`
	BytesCaptured    int64          `json:"bytes_captured"`
	First            *string        `json:"first"`
	Last             *string        `json:"last"`
	TruncatedPackets int64          `json:"truncated_packets"`
	UndecodedPackets int64          `json:"undecoded_packets"`
	Undecoded        []Undecoded    `json:"undecoded"` // the same by reason, most packets first
	UntimedPackets   int64          `json:"untimed_packets"`
	DoubtfulLengths  int64          `json:"doubtful_lengths"` // packets that say they were longer than any network carries
	SkippedBlocks    int64          `json:"skipped_blocks"`   // of pcapng, of kinds that are not known
	WCCP             []WCCPMessages `json:"wccp"`
	DroppedPackets   *int64         `json:"dropped_packets"` // of all interfaces, by system and driver; null where none tells
	Error            *string        `json:"error"`
}

// Undecoded counts packets that could not be read as far as TCP, or to where
// it is certain that they carry none, for one reason.
type Undecoded struct {
	Reason  string `json:"reason"`
	Packets int64  `json:"packets"`
	First   int64  `json:"first"` // number of the first of them
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
	LostPackets          *int64  `json:"lost_packets"`           // the same by what the packets themselves say
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
	for i := range b.f.Facts.Captures {
		c := &b.f.Facts.Captures[i]
		out := Capture{
			Path: c.Path, Format: c.Format, Compression: c.Compression, LinkType: c.Link.String(), Snaplen: c.Snaplen,
			At: c.Point.String(), AtBasis: c.PointBasis, Interfaces: []Interface{}, Undecoded: []Undecoded{}, WCCP: []WCCPMessages{},
			Packets: c.Packets, FilteredPackets: c.Filtered, BytesWire: c.BytesWire, BytesCaptured: c.BytesCaptured, TruncatedPackets: c.Truncated,
			UntimedPackets: c.Untimed, DoubtfulLengths: c.Doubtful, SkippedBlocks: c.Skipped,
		}
		if c.Point == pcaps.Unknown && len(c.Interfaces) <= 1 {
			if p := b.f.PlaceOf(c); p != pcaps.Unknown {
				out.At, out.AtBasis = p.String(), "evidence"
			}
		}
		b.doc.Limits.HoldbackExceeded += c.HoldbackExceeded
		for k := range c.Interfaces {
			f := &c.Interfaces[k]
			if f.Joined == pcaps.Crowded {
				b.doc.Limits.CapturePointsShared++
			}
			out.Interfaces = append(out.Interfaces, Interface{
				Name: f.Name, LinkType: f.Link.String(), Snaplen: f.Snaplen, At: f.Point.String(), Site: f.Site, Packets: f.Packets, CopiedPackets: f.Copies,
				ReceivedPackets: f.Received, DroppedPackets: f.Dropped, DriverDroppedPackets: f.DriverDropped, LostPackets: f.Lost, Error: errorText(f.Err),
			})
			out.Interfaces[k].join(f)
		}
		if n, told := finding.Lost(c); told {
			out.DroppedPackets = &n
		}
		if len(c.Interfaces) == 0 {
			out.LinkType = ""
		}
		if c.Packets > c.Untimed {
			out.First, out.Last = ptr(wire.Stamp(c.First)), ptr(wire.Stamp(c.Last))
		}
		if i < len(b.in.Undecoded) {
			for _, u := range b.in.Undecoded[i] {
				out.UndecodedPackets += u.Packets
				out.Undecoded = append(out.Undecoded, Undecoded{u.Reason.String(), u.Packets, u.First})
			}
		}
		if i < len(b.in.WCCP) {
			for _, m := range b.in.WCCP[i] {
				out.WCCP = append(out.WCCP, WCCPMessages{m.Reason.String(), m.Packets, m.First})
			}
		}
		if c.Err != nil {
			out.Error = ptr(finding.InputError(c.Err))
		}
		b.doc.Captures = append(b.doc.Captures, out)
	}
}
