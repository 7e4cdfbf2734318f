//go:build !cgo

package pcaps

// HaveBPF reports whether this build can filter packets.
const HaveBPF = false

func compileBPF(string, LinkType) (matchFunc, error) { return nil, ErrNoBPF }
