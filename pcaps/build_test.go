package pcaps

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"mapiscope/internal/wire"
)

// order writes integers in either byte order.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// join puts byte runs together.
func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// u16 and u32 write integers.
func u16(o order, values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = o.AppendUint16(b, v)
	}
	return b
}

func u32(o order, values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = o.AppendUint32(b, v)
	}
	return b
}

// pcapHead is a file header; pcapRec is a record with a whole packet.
func pcapHead(o order, magic uint32, minor uint16, link uint32) []byte {
	return join(u32(o, magic), u16(o, 2, minor), u32(o, 0, 0, 96, link))
}

func pcapRec(o order, sec, frac uint32, data string, wireLen uint32) []byte {
	return join(u32(o, sec, frac, uint32(len(data)), wireLen), []byte(data))
}

// block is a pcapng block with its padding.
func block(o order, kind uint32, body ...[]byte) []byte {
	b := join(body...)
	b = append(b, make([]byte, -len(b)&3)...)
	n := uint32(len(b) + 12)
	return join(u32(o, kind, n), b, u32(o, n))
}

func sectionBlock(o order) []byte {
	return block(o, blockSection, u32(o, byteOrderMagic), u16(o, 1, 0), u32(o, 0xffffffff, 0xffffffff))
}

func ifaceBlock(o order, link uint16, snaplen uint32, options ...[]byte) []byte {
	return block(o, blockInterface, u16(o, link, 0), u32(o, snaplen), join(options...))
}

func option(o order, code uint16, value string) []byte {
	return join(u16(o, code, uint16(len(value))), []byte(value), make([]byte, -len(value)&3))
}

func enhanced(o order, iface uint32, ticks uint64, data string, wireLen uint32) []byte {
	return block(o, blockEnhanced, u32(o, iface, uint32(ticks>>32), uint32(ticks), uint32(len(data)), wireLen), pad4(data))
}

// statistics takes pairs of an option's code and its count.
func statistics(o order, iface uint32, counts ...uint64) []byte {
	body := u32(o, iface, 0, 0)
	for i := 0; i < len(counts); i += 2 {
		body = join(body, option(o, uint16(counts[i]), string(o.AppendUint64(nil, counts[i+1]))))
	}
	return block(o, blockStats, body)
}

func pad4(s string) []byte { return append([]byte(s), make([]byte, -len(s)&3)...) }

func simple(o order, data string, wireLen uint32) []byte {
	return block(o, blockSimple, u32(o, wireLen), pad4(data))
}

// got is a packet as tests compare it.
type got struct {
	Num, Time int64
	Data      string
	WireLen   int
	Link      LinkType
	Iface     int32
}

// openBytes opens a capture from memory.
func openBytes(t testing.TB, b []byte, o Options) (*Reader, error) {
	t.Helper()
	o.Stdin = bytes.NewReader(b)
	r, err := Open([]string{"-"}, o)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

// readBytes reads a capture from memory, which Open must accept.
func readBytes(t testing.TB, b []byte) ([]got, Capture) {
	t.Helper()
	r, err := openBytes(t, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []got
	c := drain(t, r, func(p *Packet) {
		all = append(all, got{p.Packet, p.Time, string(p.Data), p.WireLen, p.Link, p.Interface})
	})
	return all, c[0]
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	return compressed(t, &out, gzip.NewWriter(&out), b)
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, &out, z, b)
}

func compressed(t testing.TB, out *bytes.Buffer, w io.WriteCloser, b []byte) []byte {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// nmFrame is one frame of a Network Monitor file.
type nmFrame struct {
	delta   uint64 // µs, or ms in version 1
	data    string
	wireLen uint32
	media   uint16
	utc     uint64 // FILETIME, from version 2.3
}

// netmonFile builds a Network Monitor file that started at 2021-06-15
// 17:56:55.744. Frames lie in reverse order, so that only the table tells
// theirs; reversed false puts them in order.
func netmonFile(major, minor byte, media uint16, reversed bool, frames ...nmFrame) []byte {
	head := []byte("GMBU")
	if major == 1 {
		head = []byte("RTSS")
	}
	head = append(head, minor, major)
	head = append(head, u16(le, media, 2021, 6, 2, 15, 17, 56, 55, 744)...)
	body := make([]byte, 0, 4096)
	offsets := make([]uint32, len(frames))
	place := func(i int) {
		f := frames[i]
		offsets[i] = uint32(netmonHeaderLen + len(body))
		if major == 1 {
			body = join(body, u32(le, uint32(f.delta)), u16(le, uint16(f.wireLen), uint16(len(f.data))), []byte(f.data))
			return
		}
		body = join(body, u32(le, uint32(f.delta), uint32(f.delta>>32), f.wireLen, uint32(len(f.data))), []byte(f.data))
		if minor >= 1 {
			body = append(body, u16(le, f.media)...)
		}
		if minor >= 2 {
			body = append(body, u32(le, 0xffffffff)...)
		}
		if minor >= 3 {
			body = append(body, u32(le, uint32(f.utc), uint32(f.utc>>32))...)
			body = append(body, 0)
		}
	}
	for i := range frames {
		if reversed {
			i = len(frames) - 1 - i
		}
		place(i)
	}
	head = append(head, u32(le, uint32(netmonHeaderLen+len(body)), uint32(4*len(frames)))...)
	head = append(head, make([]byte, netmonHeaderLen-len(head))...)
	return join(head, body, u32(le, offsets...))
}

// mark is the place of a packet.
func mark(time, packet int64, capture int32) wire.Mark {
	return wire.Mark{Time: time, Packet: packet, Capture: capture}
}
