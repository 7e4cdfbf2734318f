package pcaps

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"mapiscope/internal/wire"
)

// record is what a decoder finds in a file.
type record struct {
	time    int64  // ns since the Unix epoch
	timed   bool   // false: the record has no time of its own
	packet  bool   // false: numbered, but no packet
	iface   int32  // index into Capture.Interfaces
	wireLen uint32 // original length; may be wrong and less than len(data)
	data    []byte // valid until the next call
}

// decoder reads the records of one file format. next returns io.EOF at a
// regular end and a *DamageError, its Packet not set, at any other.
type decoder interface {
	next(*record) error
}

// source is one open capture and its next packet.
type source struct {
	capture Capture
	index   int32
	at      Point  // of the option
	site    string // likewise
	filter  *filter
	match   []matchFunc // for each interface; nil passes everything
	dec     decoder
	closers []io.Closer // first to last: inputs before who reads them
	several bool        // there are other captures
	alone   bool        // no goroutine may read the input
	opened  bool        // the input exists and may be read
	ready   bool        // head is the first packet
	ended   bool        // there is no packet left
	parked  bool        // closed until that packet's time comes
	again   bool        // opened before
	first   int64       // time of that packet
	pipe    *ahead      // the input, where a wait for it can be given up
	window  *window     // of the decoder, nil where it has none

	number int64 // of the last record
	clock  int64 // last time seen
	rec    record
	head   Packet

	strands []*strand // its interfaces
	section int       // index of the first interface of the section that is being read
	start   int64     // time of its first packet
	begun   int       // interfaces that showed a packet
	done    bool      // there are no more packets
	held    int       // packets that were read ahead and not given out
}

// sniffLen is enough for every magic number and for the Network Monitor
// header.
const sniffLen = 512

// maxWire is more than a packet can be on any wire, also where the capturing
// host had not cut it up yet (64 KiB, 512 KiB with jumbograms).
const maxWire = 1 << 20

// maxSpool bounds a Network Monitor capture that cannot be seeked, since it
// came compressed or through a pipe: it is held in memory.
const maxSpool = 256 << 20

// openSource opens path and reads its file header.
func openSource(s *source, m *meter, o *Options, chunk int) error {
	in, size, err := awaitInput(s.capture.Path, o.Stdin, o.Done)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, in)
	s.opened = true
	if !s.again {
		m.addTotal(size)
	}
	// A read of a pipe may wait for ever, so nothing waits for one but the
	// reader itself, and that no longer than it may.
	s.alone = size < 0
	r := io.Reader(&meteredReader{in, m})
	if s.alone && o.Done != nil {
		s.pipe = newAhead(r, chunk)
		s.pipe.pipe, s.pipe.done, s.pipe.waits = true, o.Done, o.waits
		s.closers = append(s.closers, s.pipe)
		r = s.pipe
	}

	head, r, err := sniff(r)
	if err != nil {
		return err
	}
	seekable, _ := in.(io.ReaderAt)
	if size < 0 {
		seekable = nil
	}
	if name := compressionOf(head); name != "" {
		s.capture.Compression, seekable = name, nil
		if r, err = s.unpack(r, o.Hold, chunk); err != nil {
			return err
		}
		head, r, err = sniff(r)
	} else if s.several && !isNetMon(head) {
		r = s.ahead(r, chunk)
	}
	if err != nil {
		return err
	}
	return s.openFormat(head, r, seekable, size, m, chunk, cmp.Or(o.Hold, maxSpool))
}

// ahead returns a reader that reads r ahead, where that can be stopped.
func (s *source) ahead(r io.Reader, chunk int) io.Reader {
	if s.alone {
		return r
	}
	a := newAhead(r, chunk)
	s.closers = append(s.closers, a)
	return a
}

// openFormat picks the decoder by the first bytes of the capture; spool bounds
// what it may hold of one that it has to seek in and cannot.
func (s *source) openFormat(head []byte, r io.Reader, seekable io.ReaderAt, size int64, m *meter, chunk int, spool int64) (err error) {
	switch {
	case isPcap(head):
		s.window = newWindow(r, chunk)
		s.dec, err = newPcap(s, s.window)
	case isPcapng(head):
		s.window = newWindow(r, chunk)
		s.dec, err = newPcapng(s, s.window)
	case isNetMon(head):
		var broken error
		if seekable == nil {
			var b []byte
			if b, broken = io.ReadAll(io.LimitReader(r, spool+1)); int64(len(b)) > spool {
				return fmt.Errorf("a Network Monitor capture over %d MiB is read only from an uncompressed file", spool>>20)
			}
			seekable, size = bytes.NewReader(b), int64(len(b))
		} else {
			seekable = &meteredReaderAt{seekable, m}
		}
		s.dec, err = newNetMon(s, seekable, size, broken, chunk)
	case len(head) == 0:
		return notCapture(errors.New("it is empty"))
	default:
		return foreign(head)
	}
	return err
}

// awaitInput is openInput, given up when done is closed: who opens a pipe waits
// until somebody opens it to write.
func awaitInput(path string, stdin io.Reader, done <-chan struct{}) (io.ReadCloser, int64, error) {
	if done == nil || path == "-" {
		return openInput(path, stdin)
	}
	type opened struct {
		in   io.ReadCloser
		size int64
		err  error
	}
	c := make(chan opened, 1)
	go func() {
		in, size, err := openInput(path, stdin)
		c <- opened{in, size, err}
	}()
	select {
	case o := <-c:
		return o.in, o.size, o.err
	case <-done:
		go func() {
			if o := <-c; o.err == nil {
				o.in.Close()
			}
		}()
		return nil, 0, ErrStopped
	}
}

// stopped reports whether the input was given up.
func (s *source) stopped() bool { return s.pipe != nil && s.pipe.stopped }

// ended is the decoder of a capture that nothing was read of.
type ended struct{}

func (ended) next(*record) error { return io.EOF }

// openInput opens a file or the standard input. The size is -1 when unknown.
func openInput(path string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if path == "-" {
		if stdin == nil {
			stdin = os.Stdin
		}
		return io.NopCloser(stdin), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, cause(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		return f, info.Size(), nil
	default:
		return f, -1, nil
	}
	f.Close()
	return nil, 0, err
}

// sniff returns the first bytes of r, fewer at its end or where they tell the
// format, and a reader that still has them. Who writes a pipe may have no more
// to say for now.
func sniff(r io.Reader) ([]byte, io.Reader, error) {
	head := make([]byte, 0, sniffLen)
	var err error
	for empty := 0; len(head) < sniffLen && err == nil && !isPcap(head) && !isPcapng(head) && compressionOf(head) == ""; {
		var n int
		n, err = r.Read(head[len(head):sniffLen])
		head = head[:len(head)+n]
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	if err != nil && len(head) == 0 && err != io.EOF {
		return nil, nil, notCapture(err)
	}
	rest := r
	if err != nil && err != io.EOF {
		rest = failed{err}
	}
	return head, io.MultiReader(bytes.NewReader(head), rest), nil
}

// failed is a reader in the state of an error that has been read already.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// notCapture is ErrNotCapture with a reason.
func notCapture(err error) error { return &reasonError{ErrNotCapture, err} }

type reasonError struct{ err, reason error }

func (e *reasonError) Error() string   { return e.err.Error() + ": " + e.reason.Error() }
func (e *reasonError) Unwrap() []error { return []error{e.err, e.reason} }

// addInterface enters an interface and returns its index. The description is
// used where the name tells nothing.
func (s *source) addInterface(name, description string, link LinkType, snaplen int64) int32 {
	i := Interface{Name: cmp.Or(name, description), Link: link, Snaplen: snaplen, Point: s.at, Site: s.site}
	c := &s.capture
	if s.at != Unknown {
		c.PointBasis = "option"
	} else if i.Point = cmp.Or(pointOfName(name), pointOfName(description)); i.Point != Unknown {
		c.PointBasis = "interface name"
	}
	if len(c.Interfaces) == 0 {
		c.Link, c.Snaplen, c.Point = link, snaplen, i.Point
	} else if c.Point != i.Point {
		c.Point = Unknown
	}
	c.Interfaces = append(c.Interfaces, i)
	s.strands = append(s.strands, &strand{src: s, iface: int32(len(c.Interfaces) - 1), place: len(c.Interfaces) - 1 - s.section})

	var match matchFunc
	if s.filter != nil {
		var err error
		if match, err = s.filter.forLink(link); err != nil && c.Err == nil {
			c.Err = err
		}
	}
	s.match = append(s.match, match)
	return int32(len(c.Interfaces) - 1)
}

// advance reads up to the next packet that passes the filter. It reports
// false at the end of the capture, however that came.
func (s *source) advance() bool {
	for s.dec != nil && !s.ended {
		if err := s.dec.next(&s.rec); err != nil {
			var d *DamageError
			if errors.As(err, &d) {
				d.Packet = s.number + 1
			}
			if s.stopped() {
				err = ErrStopped // whatever the decoder made of it
			}
			if err != io.EOF && s.capture.Err == nil {
				s.capture.Err = err
			}
			s.ended = true
			return false
		}
		s.number++
		rec := &s.rec
		if rec.timed {
			s.clock = rec.time
		}
		if !rec.packet {
			s.capture.Metadata++
			continue
		}
		wireLen := max(int(min(rec.wireLen, math.MaxInt32)), len(rec.data))
		if match := s.match[rec.iface]; match != nil && !match(wireLen, rec.data) {
			s.capture.Filtered++
			continue
		}
		i := &s.capture.Interfaces[rec.iface]
		h := &s.head
		h.Mark = wire.Mark{Time: s.clock, Packet: s.number, Capture: s.index, Untimed: !rec.timed}
		h.Data, h.WireLen, h.Link, h.Point, h.Interface = rec.data, wireLen, i.Link, i.Point, rec.iface
		return true
	}
	return false
}

func (s *source) close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	s.closers = nil
	return err
}
