package pcaps

// matchFunc says whether a packet passes the filter.
type matchFunc func(wireLen int, data []byte) bool

// filter compiles an expression for each link type when it is first met.
type filter struct {
	expr     string
	compiled map[LinkType]matchFunc
}

// newFilter returns nil for the empty expression.
func newFilter(expr string) (*filter, error) {
	if expr == "" {
		return nil, nil
	}
	if !HaveBPF {
		return nil, ErrNoBPF
	}
	return &filter{expr, map[LinkType]matchFunc{}}, nil
}

// forLink returns the filter for packets of a link type. With an error it
// returns one that matches nothing.
func (f *filter) forLink(link LinkType) (matchFunc, error) {
	if match, ok := f.compiled[link]; ok {
		return match, nil
	}
	match, err := compileBPF(f.expr, link)
	if err != nil {
		return func(int, []byte) bool { return false }, &FilterError{f.expr, link, err}
	}
	f.compiled[link] = match
	return match, nil
}
