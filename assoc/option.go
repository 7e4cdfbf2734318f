package assoc

import (
	"encoding/hex"
	"fmt"
)

// TCP option kinds that WAN optimizers put on the wire. None is registered
// for them; kind 33 stands in the registry's list of kinds used without
// assignment.
const (
	optWAAS          = 0x21 // Cisco WAAS automatic discovery
	optRiverbedProbe = 0x4c // Riverbed SteelHead discovery
	optRiverbedInner = 0x4e // Riverbed transparent inner connection
)

// eachOption calls f for every option of a TCP header that is well formed;
// value excludes kind and length. It stops at the end of the list and at the
// first option that does not fit (RFC 9293 3.1).
func eachOption(options []byte, f func(kind uint8, value []byte)) {
	for len(options) > 0 {
		switch options[0] {
		case 0:
			return
		case 1:
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return
		}
		n := int(options[1])
		f(options[0], options[2:n:n])
		options = options[n:]
	}
}

// findOption returns the value of the first option of a kind.
func findOption(options []byte, kind uint8) (value []byte, ok bool) {
	eachOption(options, func(k uint8, v []byte) {
		if k == kind && !ok {
			value, ok = v, true
		}
	})
	return value, ok
}

func optimizerOption(options []byte) bool {
	found := false
	eachOption(options, func(kind uint8, _ []byte) {
		found = found || kind == optWAAS || kind == optRiverbedProbe || kind == optRiverbedInner
	})
	return found
}

// strangeKinds returns the option kinds of a handshake segment that neither
// TCP stacks nor the optimizers above use: other products discover each other
// with such. They are reported, not explained.
func strangeKinds(options []byte) []uint8 {
	var kinds []uint8
	eachOption(options, func(kind uint8, _ []byte) {
		switch kind {
		case 2, 3, 4, 5, 8, 9, 10, 14, 15, 19, 27, 28, 29, 30, 34, optWAAS, optRiverbedProbe, optRiverbedInner:
		default:
			kinds = append(kinds, kind)
		}
	})
	return kinds
}

// waasText prints an option 33 as it was on the wire. Its layout is not
// published, so the raw bytes are the fact.
func waasText(value []byte) string {
	return fmt.Sprintf("waas-ad(33) len=%d raw=%s", len(value)+2, hex.EncodeToString(value))
}
