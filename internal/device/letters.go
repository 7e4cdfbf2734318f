package device

import (
	"slices"
	"strings"
)

// Letters is the Accel column as the set that it is: T for TCP, the letters of
// the accelerators, D for DRE, L for LZ. Its order on the device differs
// between releases, so only membership counts.
type Letters map[byte]bool

// ParseLetters reads an Accel column. ok is false when it holds anything but
// capital letters, or no T.
func ParseLetters(s string) (Letters, bool) {
	set := Letters{}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return nil, false
		}
		set[s[i]] = true
	}
	return set, set['T'] && len(s) <= 8
}

// String prints the set as the device does: T, the accelerators, D, L.
func (l Letters) String() string {
	var accelerators []byte
	for c := range l {
		if !strings.ContainsRune("TDL", rune(c)) {
			accelerators = append(accelerators, c)
		}
	}
	slices.Sort(accelerators)
	out := make([]byte, 0, len(l))
	for _, c := range append(append([]byte{'T'}, accelerators...), 'D', 'L') {
		if l[c] {
			out = append(out, c)
		}
	}
	return string(out)
}
