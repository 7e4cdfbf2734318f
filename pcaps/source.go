package pcaps

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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

	number int64 // of the last record
	clock  int64 // last time seen
	rec    record
	timed  bool // head has a time of its own
	any    bool // some packet that was given out had one
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
const sniffLen = 128

// maxSpool bounds a Network Monitor capture that cannot be seeked, since it
// came compressed or through a pipe: it is held in memory.
const maxSpool = 256 << 20

// maxZstdWindow is what zstd --long asks for at most by default.
const maxZstdWindow = 128 << 20

// openSource opens path and reads its file header.
func openSource(s *source, m *meter, o *Options, chunk int) error {
	in, size, err := openInput(s.capture.Path, o.Stdin)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, in)
	m.addTotal(size)
	// A read of a pipe may wait for ever, so nothing reads one but the reader
	// itself.
	s.alone = size < 0
	r := io.Reader(&meteredReader{in, m})

	head, r, err := sniff(r)
	if err != nil {
		return err
	}
	seekable, _ := in.(io.ReaderAt)
	if size < 0 {
		seekable = nil
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		s.capture.Compression, seekable = "gzip", nil
		var z *gzip.Reader
		if z, err = gzip.NewReader(r); err != nil {
			return notCapture(err)
		}
		head, r, err = sniff(s.ahead(z, chunk))
	case isZstd(head):
		s.capture.Compression, seekable = "zstd", nil
		// With one thread it decodes in Read, with more several blocks at a time.
		threads := 0
		if s.alone {
			threads = 1
		}
		var z *zstd.Decoder
		z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(threads), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(cmp.Or(o.Hold, maxZstdWindow))))
		if err != nil {
			return notCapture(err)
		}
		r = s.ahead(z, chunk)
		s.closers = append(s.closers, z.IOReadCloser())
		head, r, err = sniff(r)
	default:
		if s.several && !isNetMon(head) {
			r = s.ahead(r, chunk)
		}
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
		s.dec, err = newPcap(s, newWindow(r, chunk))
	case isPcapng(head):
		s.dec, err = newPcapng(s, newWindow(r, chunk))
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
		return ErrNotCapture
	}
	return err
}

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
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the OpenError names the path
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errors.New("is a directory")
	case info.Mode().IsRegular():
		return f, info.Size(), nil
	default:
		return f, -1, nil
	}
	f.Close()
	return nil, 0, err
}

// sniff returns the first bytes of r, fewer at its end, and a reader that
// still has them.
func sniff(r io.Reader) ([]byte, io.Reader, error) {
	head := make([]byte, sniffLen)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if err != nil && n == 0 && err != io.EOF {
		return nil, nil, notCapture(err)
	}
	rest := r
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
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

// isZstd tells a zstd frame or a skippable frame, as parallel compressors
// put first (RFC 8878, 3.1).
func isZstd(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(b)
	return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50
}

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
	for {
		if err := s.dec.next(&s.rec); err != nil {
			var d *DamageError
			if errors.As(err, &d) {
				d.Packet = s.number + 1
			}
			if err != io.EOF && s.capture.Err == nil {
				s.capture.Err = err
			}
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
		h.Time, h.Packet, h.Capture = s.clock, s.number, s.index
		h.Data, h.WireLen, h.Link, h.Point, h.Interface = rec.data, wireLen, i.Link, i.Point, rec.iface
		s.timed = rec.timed
		return true
	}
}

// count enters a packet that is given out now; timed says whether it has a time
// of its own.
func (s *source) count(h *Packet, timed bool) {
	c := &s.capture
	c.Packets++
	c.Interfaces[h.Interface].Packets++
	c.BytesWire += int64(h.WireLen)
	c.BytesCaptured += int64(len(h.Data))
	if h.WireLen > len(h.Data) {
		c.Truncated++
	}
	if !timed {
		return
	}
	if !s.any {
		c.First, c.Last, s.any = h.Time, h.Time, true
	}
	c.First, c.Last = min(c.First, h.Time), max(c.Last, h.Time)
}

func (s *source) close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	s.closers = nil
	return err
}
