package pcaps

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// FormatError says that an input is in a format that is known and not read.
type FormatError struct {
	Name    string // "a snoop capture"
	Convert string // command that makes something of it that is read
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("it is %s, which is not read; `%s` converts it", e.Name, e.Convert)
}

// Unwrap returns ErrNotCapture.
func (e *FormatError) Unwrap() error { return ErrNotCapture }

// The commands that convert most formats: those of Wireshark, of Microsoft, and
// what unpacks.
const (
	byEditcap = "editcap -F pcapng FILE NEW.pcapng"
	byEtl     = "etl2pcapng FILE NEW.pcapng"
)

// foreignFormats are those that a few bytes at their begin tell.
var foreignFormats = [...]struct {
	magic string
	FormatError
}{
	{"snoop\x00\x00\x00", FormatError{"a snoop capture", byEditcap}},
	{"LOGG", FormatError{"a BLF log of Vector", byEditcap}},
	{"TRSNIFF data    \x1a", FormatError{"a Sniffer capture", byEditcap}},
	{"XCP\x00", FormatError{"a NetXray capture", byEditcap}},
	{"iptrace ", FormatError{"an iptrace capture of AIX", byEditcap}},
	{"\x7fver", FormatError{"an OmniPeek capture", byEditcap}},
	{"ObserverPktBufferVersion=", FormatError{"an Observer capture", byEditcap}},
	{"\x05VNF", FormatError{"a capture of Visual Networks", byEditcap}},
	{"\xaa\xaa\xaa\xaa", FormatError{"a 5Views capture", byEditcap}},
	{"cpse", FormatError{"a Capsa capture", byEditcap}},
	{"\x54\x52\x00\x64\x00", FormatError{"a nettl trace of HP-UX", byEditcap}},
	{"\x00\x00\x02\x00\x12\x05\x00\x10", FormatError{"a K12 capture", byEditcap}},
	{"\xac\x01\x00\x1c", FormatError{"a capture of an Ixia", byEditcap}},
	{"\xab\x01\x00\x1c", FormatError{"a capture of an Ixia", byEditcap}},
	{"\x1c\x00\x01\xac", FormatError{"a capture of an Ixia", byEditcap}},
	{"\x1c\x00\x01\xab", FormatError{"a capture of an Ixia", byEditcap}},
	{"PK\x03\x04", FormatError{"a zip archive", "unzip FILE"}},
	{"7z\xbc\xaf\x27\x1c", FormatError{"a 7z archive", "7z x FILE"}},
	{"Rar!\x1a\x07", FormatError{"a rar archive", "unrar x FILE"}},
	{"MSCF", FormatError{"a cabinet archive", "cabextract FILE"}},
	{"\x1f\x9d", FormatError{"compressed with compress", "gzip -dc FILE > NEW"}},
	{"LZIP", FormatError{"compressed with lzip", "lzip -dk FILE"}},
	{"\x89LZO\x00\r\n\x1a\n", FormatError{"compressed with lzop", "lzop -d FILE"}},
	{"\x5d\x00\x00", FormatError{"compressed with lzma", "xz -dk --format=lzma FILE"}},
	{"\xff\x06\x00\x00sNaPpY", FormatError{"compressed with snappy", "snzip -dk FILE"}},
}

// foreign says of the first bytes of an input that is none of the captures that
// are read what it may be.
func foreign(head []byte) error {
	for i := range foreignFormats {
		if bytes.HasPrefix(head, []byte(foreignFormats[i].magic)) {
			e := foreignFormats[i].FormatError
			return &e
		}
	}
	switch {
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return &FormatError{"a tar archive", "tar -xf FILE"}
	case isETL(head):
		return &FormatError{"an event trace of Windows (ETL)", byEtl}
	case isERF(head):
		return &FormatError{"an ERF capture", byEditcap}
	case isNetMonOfAnyVersion(head):
		return &FormatError{"a Network Monitor capture of an unknown version", byEditcap}
	}
	return ErrNotCapture
}

// isETL tells a buffer of Event Tracing for Windows: its size, its fill, and
// behind its header of 72 bytes the event that describes the trace, which has a
// marker in its fourth byte.
func isETL(b []byte) bool {
	if len(b) < 80 {
		return false
	}
	size, saved := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	return size >= 1024 && size <= 64<<20 && size%512 == 0 && saved <= size && b[75] == 0xc0 && (b[74] == 1 || b[74] == 2)
}

// isERF tells a record of Endace: a time in seconds of this age, a type, and a
// length that leads to another one.
func isERF(b []byte) bool {
	record := func(b []byte) (size int, ok bool) {
		if len(b) < 16 {
			return 0, false
		}
		const from, to = 631152000, 4102444800 // 1990 and 2100
		seconds, kind := binary.LittleEndian.Uint32(b[4:]), b[8]&0x7f
		size = int(binary.BigEndian.Uint16(b[10:]))
		return size, seconds >= from && seconds <= to && kind >= 1 && kind <= 48 && size >= 18
	}
	size, ok := record(b)
	if !ok {
		return false
	}
	if size+16 > len(b) {
		return len(b) == sniffLen || size == len(b)
	}
	_, ok = record(b[size:])
	return ok
}

func isNetMonOfAnyVersion(b []byte) bool {
	return bytes.HasPrefix(b, []byte(netmonMagic1)) || bytes.HasPrefix(b, []byte(netmonMagic2))
}
