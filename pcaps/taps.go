package pcaps

// Tap numbers a capture point of a job, from 1; 0 is none. Point says where on
// the path it lies; several taps may lie at one place.
//
// A tap is an interface of a file. A file that begins when another has ended
// continues its taps, as the files of a ring do. Files that overlap in time
// are taps of their own, unless their packets show that they captured at one
// place: identical bytes, in the same order, at a constant spacing.
type Tap uint16

// Joined says how an interface came to its tap.
type Joined uint8

// How interfaces come to their taps.
const (
	Alone     Joined = iota // the first of its tap
	Continues               // it began when another had ended
	SeenTwice               // it shows the same packets as another
)

// String returns "alone", "continues" or "seen twice".
func (j Joined) String() string {
	return [...]string{Alone: "alone", Continues: "continues", SeenTwice: "seen twice"}[min(j, SeenTwice)]
}

// InterfaceRef names an interface of a capture of the job.
type InterfaceRef struct {
	Capture   int32 // index into Captures
	Interface int32 // index into Capture.Interfaces
}

// TapPart is an interface that belongs to a tap.
type TapPart struct {
	InterfaceRef
	Joined Joined
	Of     InterfaceRef // that it continues or shows the packets of; itself where it is alone
}

// TapInfo describes a capture point of a job.
type TapInfo struct {
	Tap        Tap
	Point      Point  // where it was said to be
	PointBasis string // "option", "interface name" or "" where nothing was said
	Site       string // that it was said to be at, "" for none
	Link       LinkType
	Parts      []TapPart // in order of their first packets
	// Same are other taps that show the same packets though they were said to
	// be at another place or site.
	Same []Tap
	// Crowded says that the job has more capture points than are told apart;
	// this one stands for several.
	Crowded bool
}

// Taps describes the capture points of the packets so far: the tap n is at
// index n-1. An interface without packets belongs to none.
func (r *Reader) Taps() []TapInfo {
	all := make([]TapInfo, len(r.taps))
	for i, t := range r.taps {
		all[i] = t.info
		all[i].Parts = append([]TapPart(nil), t.info.Parts...)
		all[i].Same = append([]Tap(nil), t.info.Same...)
	}
	return all
}

// Taps describes the capture points: each interface is one.
func (l *Live) Taps() []TapInfo {
	all := make([]TapInfo, len(l.capture.Interfaces))
	for i := range l.capture.Interfaces {
		f := &l.capture.Interfaces[i]
		ref := InterfaceRef{Interface: int32(i)}
		all[i] = TapInfo{Tap: f.Tap, Point: f.Point, PointBasis: l.bases[i], Link: f.Link, Parts: []TapPart{{ref, Alone, ref}}}
	}
	return all
}
