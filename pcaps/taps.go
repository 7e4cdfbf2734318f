package pcaps

// Tap numbers a capture point of a job, from 1; 0 is none. Point says where on
// the path it lies; several taps may lie at one place.
//
// A tap is an interface of a file. A file that begins when another has ended
// continues its taps, as the files of a ring do. Files that overlap in time
// are taps of their own, unless their packets show that they captured at one
// place: identical bytes, in the same order, at a constant spacing; or the two
// directions of the same connections, one each.
type Tap uint16

// Joined says how an interface came to its tap.
type Joined uint8

// How interfaces come to their taps.
const (
	Alone     Joined = iota // the first of its tap
	Continues               // it began when another had ended
	SeenTwice               // it shows the same packets as another
	OtherHalf               // it shows the other direction of the same connections
	Crowded                 // the job has more capture points than are told apart
)

// String returns "alone", "continues", "seen twice", "other direction" or
// "crowded".
func (j Joined) String() string {
	return [...]string{Alone: "alone", Continues: "continues", SeenTwice: "seen twice", OtherHalf: "other direction", Crowded: "crowded"}[min(j, Crowded)]
}

// ToAnother reports whether an interface was joined to another one.
func (j Joined) ToAnother() bool { return j == Continues || j == SeenTwice || j == OtherHalf }

// InterfaceRef names an interface of a capture of the job.
type InterfaceRef struct {
	Capture   int32 // index into Captures
	Interface int32 // index into Capture.Interfaces
}

// TapPart is an interface that belongs to a tap.
type TapPart struct {
	InterfaceRef
	Joined Joined
	Of     InterfaceRef // that it continues or shows the packets of; itself where there is none
}

// TapInfo describes a capture point of a job.
type TapInfo struct {
	Tap        Tap
	Point      Point  // where it was said to be
	PointBasis string // "option", "interface name" or "" where nothing was said
	Site       string // that it was said to be at, "" for none
	Link       LinkType
	Parts      []TapPart // in the order of captures
	// Same are other taps that show the same packets though they were said to
	// be at another place or site.
	Same []Tap
}

// Taps describes the capture points of the packets so far.
func (r *Reader) Taps() []TapInfo { return TapsOf(r.Captures()) }

// Taps describes the capture points: each interface is one, or with the other
// halves behind it.
func (l *Live) Taps() []TapInfo { return TapsOf([]Capture{l.Capture()}) }

// TapsOf describes the capture points of a job: the tap n is at index n-1. An
// interface without packets belongs to none.
func TapsOf(captures []Capture) []TapInfo {
	var all []TapInfo
	for i := range captures {
		c := &captures[i]
		for k := range c.Interfaces {
			f := &c.Interfaces[k]
			for len(all) < int(f.Tap) {
				all = append(all, TapInfo{Tap: Tap(len(all) + 1)})
			}
			if f.Tap == 0 {
				continue
			}
			t, ref := &all[f.Tap-1], InterfaceRef{int32(i), int32(k)}
			if len(t.Parts) == 0 {
				t.Point, t.Site, t.Link, t.Same = f.Point, f.Site, f.Link, f.Same
				if f.Point != Unknown {
					t.PointBasis = c.PointBasis
				}
			}
			part := TapPart{ref, f.Joined, ref}
			if f.Joined.ToAnother() {
				part.Of = f.Of
			}
			t.Parts = append(t.Parts, part)
		}
	}
	return all
}
