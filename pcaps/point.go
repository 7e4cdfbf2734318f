package pcaps

import (
	"fmt"
	"strings"
	"unicode"
)

// Point is the place of a capture on the path between client and server.
type Point uint8

// The capture points of a pair of WAN optimizers.
const (
	Unknown Point = iota // not told
	Edge                 // between the clients and the edge device
	WAN                  // between the two devices
	Core                 // between the core device and the servers
)

var pointNames = [...]string{Unknown: "unknown", Edge: "edge", WAN: "wan", Core: "core"}

// String returns "unknown", "edge", "wan" or "core".
func (p Point) String() string {
	if int(p) < len(pointNames) {
		return pointNames[p]
	}
	return fmt.Sprintf("Point(%d)", uint8(p))
}

// ParsePoint reads what String returns, in either case.
func ParsePoint(s string) (Point, error) {
	for p, name := range pointNames {
		if strings.EqualFold(s, name) {
			return Point(p), nil
		}
	}
	return Unknown, fmt.Errorf("%q is no capture point (edge, wan, core or unknown)", s)
}

// pointOfName looks for a capture point among the words of an interface
// name: "edge-lan", "wan0", "Core LAN". "wan" wins over the other two, since
// the WAN side of an edge device ("edge-wan") is the WAN.
func pointOfName(name string) Point {
	var found Point
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) {
		p, err := ParsePoint(word)
		switch {
		case err != nil || p == Unknown:
		case p == WAN:
			return WAN
		case found == Unknown:
			found = p
		}
	}
	return found
}
