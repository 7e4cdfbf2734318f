package pcaps

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNotCapture is wrapped by the OpenError of an input that is in none of
// the known formats.
var ErrNotCapture = errors.New("not a packet capture")

// ErrNoBPF is returned by Open for a filter in a build without cgo.
var ErrNoBPF = errors.New("this build has no packet filter (BPF needs cgo and libpcap)")

// ErrStopped is the Err of a capture whose input was waited for when
// Options.Done was closed, until Reader.Stop names a better cause.
var ErrStopped = errors.New("not read to its end")

// OpenError says why an input cannot be read at all.
type OpenError struct {
	Path string
	Err  error
}

func (e *OpenError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// FilterError says why a filter expression cannot be used on a link type.
type FilterError struct {
	Expr string
	Link LinkType
	Err  error
}

func (e *FilterError) Error() string {
	return fmt.Sprintf("filter %q on link type %v: %v", e.Expr, e.Link, e.Err)
}

// Unwrap returns the cause, as libpcap words it.
func (e *FilterError) Unwrap() error { return e.Err }

// DamageError says where a capture stopped making sense. Nothing after that
// place was read. A capture that was merely cut off, in the file or in its
// compressed stream, is an io.ErrUnexpectedEOF.
type DamageError struct {
	Reason string // what is wrong: "cut off", "record length 4294967295 is absurd"
	Packet int64  // number that the packet would have had
	Offset int64  // of the damaged record in the capture, uncompressed
	Err    error  // cause, if there is another one
}

func (e *DamageError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in packet %d (file offset %d)", e.Reason, e.Packet, e.Offset)
	if e.Err != nil && e.Err != io.ErrUnexpectedEOF {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause: io.ErrUnexpectedEOF for a capture that was cut
// off, the error of the input or of its decompression, or nil.
func (e *DamageError) Unwrap() error { return e.Err }

// Why an interface cannot be captured on.
var (
	ErrNoRights    = errors.New("no right to capture: run as root, or give the program the capability once with `setcap cap_net_raw,cap_net_admin=eip`")
	ErrNoInterface = errors.New("no such interface (`mapiscope live --list` names them)")
	ErrDown        = errors.New("the interface is down")
)
