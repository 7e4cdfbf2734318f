package emsmdb

import "strconv"

// Version is the version of a client or server in four numbers: major, minor,
// build, revision. The zero Version is unknown.
type Version [4]uint16

// NewVersion makes four numbers of the three words of a connect call
// ([MS-OXCRPC] 3.1.4.1.3). The top bit of the second word marks the packed
// form, whose first word holds major and minor; programs that put the major
// number into the low byte of the packed form are understood too.
func NewVersion(words [3]uint16) Version {
	if words[1]&0x8000 == 0 {
		return Version{words[0], 0, words[1], words[2]}
	}
	v := Version{words[0] >> 8, words[0] & 0xff, words[1] & 0x7fff, words[2]}
	if v[0] == 0 {
		v[0], v[1] = v[1], 0
	}
	return v
}

// Known reports whether v was announced at all.
func (v Version) Known() bool { return v != Version{} }

// String returns "11.0.5608.0", or "unknown" for the zero Version.
func (v Version) String() string {
	if !v.Known() {
		return "unknown"
	}
	b := make([]byte, 0, 4*6)
	for i, n := range v {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return string(b)
}

// firstOutlook2000 is the boundary inside major 5 between the clients of
// Exchange 5.5 (2653 and below) and Outlook 2000 (3121 and above): Outlook
// 2000 announces its provider's 5.0, not its own 9.0.
const firstOutlook2000 = 3000

// Product names the product of a client version, "" when it is unknown.
func (v Version) Product() string {
	switch major := v[0]; {
	case !v.Known():
		return ""
	case major <= 4:
		return "Exchange client 4.0"
	case major == 5 && v[2] < firstOutlook2000:
		return "Outlook 97 or 98"
	case major == 5:
		return "Outlook 2000"
	case major == 6:
		return "MAPI of Exchange 2000 or 2003"
	case major == 8:
		return "MAPI of Exchange 2007"
	case major == 10:
		return "Outlook 2002"
	case major == 11:
		return "Outlook 2003"
	case major == 12:
		return "Outlook 2007"
	case major == 14:
		return "Outlook 2010"
	case major == 15:
		return "Outlook 2013"
	case major == 16:
		return "Outlook 2016 or later"
	}
	return ""
}

// ServerProduct names the product of a server version, "" when it is unknown.
func (v Version) ServerProduct() string {
	switch major, minor, build := v[0], v[1], v[2]; {
	case major == 4:
		return "Exchange 4.0"
	case major == 5 && minor == 0 && build < 1500:
		return "Exchange 5.0"
	case major == 5:
		return "Exchange 5.5"
	case major == 6 && build < 6700: // the old form of three words has no minor number
		return "Exchange 2000"
	case major == 6:
		return "Exchange 2003"
	case major == 8:
		return "Exchange 2007"
	case major == 14:
		return "Exchange 2010"
	case major == 15 && minor == 0:
		return "Exchange 2013"
	case major == 15 && minor == 1:
		return "Exchange 2016"
	case major == 15 && minor == 2:
		return "Exchange 2019"
	}
	return ""
}

// Bucket is one of the five client classes of WAAS session statistics.
type Bucket uint8

// The classes. There is none for Outlook 2002, which goes with 2000.
const (
	UnknownBucket Bucket = iota
	LowerThan2000
	Outlook2000
	Outlook2003
	Outlook2007
	HigherThan2007
)

var bucketNames = [...]string{"unknown", "lower than 2000", "2000", "2003", "2007", "higher than 2007"}

// String returns the name of the class as the device prints it.
func (b Bucket) String() string {
	if int(b) >= len(bucketNames) {
		return "Bucket(" + strconv.Itoa(int(b)) + ")"
	}
	return bucketNames[b]
}

// Bucket returns the class of a client version, UnknownBucket when no version
// was announced.
func (v Version) Bucket() Bucket {
	switch major := v[0]; {
	case !v.Known():
		return UnknownBucket
	case major < 5, major == 5 && v[2] < firstOutlook2000:
		return LowerThan2000
	case major < 11:
		return Outlook2000
	case major == 11:
		return Outlook2003
	case major < 14:
		return Outlook2007
	}
	return HigherThan2007
}
