//go:build !cgo

package pcaps

const haveBPF = false

func compileBPF(string, LinkType) (matchFunc, error) { return nil, ErrNoBPF }
