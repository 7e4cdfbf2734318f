package assoc

// TCP option kinds that WAN optimizers put on the wire. None is registered
// for them; kind 33 stands in the registry's list of kinds used without
// assignment.
const (
	OptionWAAS          = 0x21 // Cisco WAAS automatic discovery
	OptionRiverbedProbe = 0x4c // Riverbed SteelHead discovery
	OptionRiverbedInner = 0x4e // Riverbed transparent inner connection
)

// EachOption calls f for every option of a TCP header that is well formed;
// value excludes kind and length. It stops at the end of the list and at the
// first option that does not fit (RFC 9293 3.1).
func EachOption(options []byte, f func(kind uint8, value []byte)) {
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

// FindOption returns the value of the first option of a kind.
func FindOption(options []byte, kind uint8) (value []byte, ok bool) {
	EachOption(options, func(k uint8, v []byte) {
		if k == kind && !ok {
			value, ok = v, true
		}
	})
	return value, ok
}

func optimizerOption(options []byte) bool {
	found := false
	EachOption(options, func(kind uint8, _ []byte) {
		found = found || kind == OptionWAAS || kind == OptionRiverbedProbe || kind == OptionRiverbedInner
	})
	return found
}

// StrangeKinds returns the option kinds of a handshake segment that neither
// TCP stacks nor the optimizers above use: other products discover each other
// with such. They are reported, not explained.
func StrangeKinds(options []byte) []uint8 {
	var kinds []uint8
	EachOption(options, func(kind uint8, _ []byte) {
		switch kind {
		case 2, 3, 4, 5, 8, 9, 10, 14, 15, 19, 27, 28, 29, 30, 34, OptionWAAS, OptionRiverbedProbe, OptionRiverbedInner:
		default:
			kinds = append(kinds, kind)
		}
	})
	return kinds
}
