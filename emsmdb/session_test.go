package emsmdb

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

const otherSession = pcaptest.UUID("11111111-2222-3333-4444-555555555555")

// buffer is a ROP buffer of a list in hex.
func buffer(t testing.TB, handles []uint32, list string) []byte {
	t.Helper()
	return pcaptest.ROPs(handles, unhex(t, list))
}

const (
	openTable    = "05 00 00 01 00 "                     // index 0 is the folder, index 1 the table
	openedTable  = "05 01 00000000 02000000 "            // two rows
	setColumns   = "12 00 01 00 0200 0300fe0f 1e003700 " // an integer and a string
	setString    = "12 00 01 00 0100 1e003700 "
	columnsSet   = "12 01 00000000 00 "
	columnsError = "12 01 05400080 "
	queryRows    = "15 00 01 00 01 0a00 "
	rows         = "15 01 00000000 02 0200 00 05000000 6100 00 06000000 6200 " // two rows of both columns
	stringRows   = "15 01 00000000 02 0100 00 6100 "                           // one row of the string
	resetTable   = "81 00 01 "
	tableReset   = "81 01 00000000 "
	release      = "01 00 01 "
)

var (
	asked    = []uint32{0x10, noHandle}
	answered = []uint32{0x10, 0x77}
	known    = []uint32{0x10, 0x77}
)

// prepared is a client whose table 0x77 has the columns of setColumns.
func prepared(t testing.TB, s *Store) *client {
	c := newClient(t, s)
	c.call(buffer(t, asked, openTable+setColumns), buffer(t, answered, openedTable+columnsSet))
	return c
}

// reads reports whether rows of the given kind can now be read by c.
func reads(t testing.TB, c *client, rowsText string) bool {
	t.Helper()
	f := c.conn.Figures()
	before, unwalked := f.Unwalked[NoColumns], f.ResponseUnwalked
	c.call(buffer(t, known, queryRows), buffer(t, known, rowsText))
	if f.ResponseUnwalked == unwalked {
		return true
	}
	if f.Unwalked[NoColumns] == before {
		t.Errorf("the rows could not be walked, but not for want of columns: %v", f.Unwalked)
	}
	return false
}

func TestColumns(t *testing.T) {
	for _, x := range []struct {
		name string
		do   func(t *testing.T, s *Store, c *client)
		rows string
		want bool
	}{
		{"remembered", func(*testing.T, *Store, *client) {}, rows, true},
		{"set anew", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, setString), buffer(t, known, columnsSet))
		}, stringRows, true},
		{"a failed RopSetColumns changes nothing", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, setString), buffer(t, known, columnsError))
		}, rows, true},
		{"reset", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, resetTable), buffer(t, known, tableReset))
		}, rows, false},
		{"a failed RopResetTable changes nothing", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, resetTable), buffer(t, known, "81 01 05400080"))
		}, rows, true},
		{"released", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, release), buffer(t, known, ""))
		}, rows, false},
		{"another table opened with the same handle", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, asked, openTable), buffer(t, answered, openedTable))
		}, rows, false},
		{"RopSetColumns without an answer", func(t *testing.T, _ *Store, c *client) {
			c.conn.Drop(c.ask(aSession, buffer(t, known, setString)))
		}, rows, false},
		{"RopSetColumns answered by a fault", func(t *testing.T, _ *Store, c *client) {
			c.conn.Fault(c.ask(aSession, buffer(t, known, setString)), 5)
		}, rows, false},
		{"RopSetColumns with an answer that is no ROP buffer", func(t *testing.T, _ *Store, c *client) {
			c.tell(c.ask(aSession, buffer(t, known, setString)), aSession, pcaptest.Plain([]byte{1}))
		}, rows, false},
		{"RopSetColumns sent back by RopBufferTooSmall", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, setString), buffer(t, known, "ff 0020 "+setString))
		}, rows, true},
		{"another call without an answer", func(t *testing.T, _ *Store, c *client) {
			c.conn.Drop(c.ask(aSession, buffer(t, known, "16 00 01")))
		}, rows, true},
		{"a request that cannot be walked", func(t *testing.T, _ *Store, c *client) {
			c.call(buffer(t, known, "28 00 01"), buffer(t, known, ""))
		}, rows, false},
		{"bytes that were not captured", func(_ *testing.T, _ *Store, c *client) { c.conn.Missed() }, rows, false},
		{"an answer whose request was not captured", func(_ *testing.T, _ *Store, c *client) {
			c.tell(nil, aSession, pcaptest.Plain(buffer(t, known, "")))
		}, rows, false},
		{"an answer of another session whose request was not captured", func(_ *testing.T, _ *Store, c *client) {
			c.tell(nil, otherSession, pcaptest.Plain(buffer(t, known, "")))
		}, rows, true},
		{"the session ended by EcDoDisconnect", func(_ *testing.T, _ *Store, c *client) {
			p := c.conn.Request(MDB, opDisconnect, wire.LittleEndian, ndr.NDR32, wire.Mark{}, pcaptest.DisconnectRequest(pcaptest.NDR{}, aSession), false)
			c.conn.Response(p, wire.LittleEndian, pcaptest.DisconnectResponse(pcaptest.NDR{}, 0), false, 0)
		}, rows, false},
		{"an EcDoDisconnect that was refused", func(_ *testing.T, _ *Store, c *client) {
			p := c.conn.Request(MDB, opDisconnect, wire.LittleEndian, ndr.NDR32, wire.Mark{}, pcaptest.DisconnectRequest(pcaptest.NDR{}, aSession), false)
			c.conn.Response(p, wire.LittleEndian, pcaptest.DisconnectResponse(pcaptest.NDR{}, 0x80040111), false, 0)
		}, rows, true},
		{"the session ended by the server", func(t *testing.T, _ *Store, c *client) {
			c.tell(c.ask(aSession, buffer(t, known, "16 00 01")), "00000000-0000-0000-0000-000000000000", nil)
		}, rows, false},
		{"set by another connection of the session", func(t *testing.T, s *Store, _ *client) {
			newClient(t, s).call(buffer(t, known, setString), buffer(t, known, columnsSet))
		}, stringRows, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := NewStore(Limits{})
			c := prepared(t, s)
			x.do(t, s, c)
			if got := reads(t, c, x.rows); got != x.want {
				t.Errorf("rows can be read: %v, want %v", got, x.want)
			}
		})
	}
}

func TestColumnsInOneList(t *testing.T) {
	for _, x := range []struct {
		name              string
		request, response string
		unwalked          int64
	}{
		{"opened, set and read", openTable + setColumns + queryRows, openedTable + columnsSet + rows, 0},
		{"set twice", openTable + setColumns + setString + queryRows, openedTable + columnsSet + columnsSet + stringRows, 0},
		{"opened again, not set", openTable + setColumns + openTable + queryRows, openedTable + columnsSet + openedTable + rows, 23},
		{"set, refused", openTable + setColumns + queryRows, openedTable + columnsError + rows, 23},
		{"reset", openTable + setColumns + resetTable + queryRows, openedTable + columnsSet + tableReset + rows, 23},
		{"released and opened again", openTable + setColumns + release + openTable + queryRows, openedTable + columnsSet + openedTable + rows, 23},
		{"a notification in between", openTable + setColumns + queryRows, openedTable + "6e f500 " + columnsSet + rows + "6e f500", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			c.call(buffer(t, asked, x.request), buffer(t, answered, x.response))
			if f := c.conn.Figures(); f.ResponseUnwalked != x.unwalked || f.Unwalked[NoColumns] != x.unwalked || f.RequestUnwalked != 0 {
				t.Errorf("unwalked %d and %d bytes, want 0 and %d: %v", f.RequestUnwalked, f.ResponseUnwalked, x.unwalked, f.Unwalked)
			}
		})
	}
}

// TestMultivalueInstance: a table with one row for each value of a property
// has single values in its rows.
func TestMultivalueInstance(t *testing.T) {
	c := newClient(t, NewStore(Limits{}))
	c.call(buffer(t, known, "12 00 01 00 0100 1e30 0180"+queryRows), buffer(t, known, columnsSet+"15 01 00000000 02 0200 00 6100 00 6200"))
	if f := c.conn.Figures(); f.ResponseUnwalked != 0 {
		t.Errorf("%d bytes were not walked: %v", f.ResponseUnwalked, f.Unwalked)
	}
}

func TestStoreLimits(t *testing.T) {
	s := NewStore(Limits{Sessions: 2, Tables: 2, Columns: 2})
	c := newClient(t, s)
	set := func(handle uint32, list string) {
		h := []uint32{0x10, handle}
		c.call(buffer(t, h, list), buffer(t, h, columnsSet))
	}
	set(1, setColumns)
	set(2, setColumns)
	set(1, setColumns) // used last
	set(3, setColumns) // 2 goes
	of := s.session(sessionKeyOf(t, aSession))
	if len(of.tables) != 2 || of.tables[1] == nil || of.tables[3] == nil {
		t.Errorf("tables %v, want 1 and 3", of.tables)
	}
	set(1, "12 00 01 00 0300 0300fe0f 1e003700 1e003800") // more columns than are kept
	if of.tables[1] != nil {
		t.Error("columns beyond the limit were kept")
	}
	for _, id := range []pcaptest.UUID{otherSession, "22222222-2222-3333-4444-555555555555"} {
		c.tell(c.ask(id, buffer(t, nil, "")), id, pcaptest.Plain(buffer(t, nil, "")))
	}
	if s.sessions[sessionKeyOf(t, aSession)] != nil || len(s.sessions) != 2 {
		t.Errorf("%d sessions, want the 2 that were used last", len(s.sessions))
	}
	if diff := cmp.Diff(StoreStats{SessionsEvicted: 1, TablesEvicted: 1, ColumnsDropped: 1}, s.Stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := NewStore(Limits{Tables: -1}).limits, DefaultLimits(); got != want {
		t.Errorf("limits %+v, want the defaults %+v", got, want)
	}
}

func sessionKeyOf(t testing.TB, id pcaptest.UUID) sessionKey {
	n := pcaptest.NDR{}
	return sessionKey(n.Handle(id).Bytes())
}

// chained is an rgbOut of several payloads, of which the last says so.
func chained(payloads ...[]byte) []byte {
	var out []byte
	for i, p := range payloads {
		flags := uint16(pcaptest.ExtXorMagic)
		if i == len(payloads)-1 {
			flags |= pcaptest.ExtLast
		}
		out = append(out, pcaptest.HeaderExt(flags, p, len(p))...)
	}
	return out
}

func TestChained(t *testing.T) {
	data := func(n int) string {
		size := binary.LittleEndian.AppendUint16(nil, uint16(n))
		return "2c 00 00000000 " + hexOf(size) + strings.Repeat("61", n)
	}
	t.Run("RopReadStream", func(t *testing.T) {
		c := newClient(t, NewStore(Limits{}))
		h := []uint32{0x30}
		c.tell(c.ask(aSession, buffer(t, h, "16 00 00  2c 00 00 beba 00000100")), aSession,
			chained(buffer(t, h, "16 00 00000000 00 "+data(10)), buffer(t, h, data(20)), buffer(t, h, data(3))))
		f := c.conn.Figures()
		want := Sizes{Requests: 1, Asked: Range{1, 0x10000, 0x10000, 0x10000}, Answers: Range{3, 3, 20, 33}}
		if diff := cmp.Diff(want, f.ReadStream); diff != "" || f.ResponseUnwalked != 0 || f.Buffers != (Buffers{Plain: 1, Xored: 3, Chained: 2}) {
			t.Errorf("unwalked %d, buffers %+v (-want +got):\n%s", f.ResponseUnwalked, f.Buffers, diff)
		}
		if r := f.rop(ropReadStream); r.Responses != 3 || r.Latency.Count() != 1 {
			t.Errorf("%d responses with %d response times, want 3 with one", r.Responses, r.Latency.Count())
		}
		if c.seen[0].Buffers != 3 || c.seen[0].Out != 3*8+3*6+33+24+7 {
			t.Errorf("observed %+v", c.seen[0])
		}
	})
	t.Run("RopQueryRows keeps its columns", func(t *testing.T) {
		c := prepared(t, NewStore(Limits{}))
		c.tell(c.ask(aSession, buffer(t, known, queryRows)), aSession,
			chained(buffer(t, known, rows), buffer(t, known, rows), buffer(t, known, "15 01 00000000 02 0000")))
		if f := c.conn.Figures(); f.ResponseUnwalked != 0 || f.rop(0x15).Responses != 3 {
			t.Errorf("%d responses, unwalked %v", f.rop(0x15).Responses, f.Unwalked)
		}
	})
	t.Run("what was not asked last", func(t *testing.T) {
		c := newClient(t, NewStore(Limits{}))
		h := []uint32{0x30}
		c.tell(c.ask(aSession, buffer(t, h, "2c 00 00 beba 00000100")), aSession, chained(buffer(t, h, data(1)), buffer(t, h, "16 00 00000000 00")))
		if f := c.conn.Figures(); f.Unwalked[Unexpected] != 7 {
			t.Errorf("unwalked %v", f.Unwalked)
		}
	})
	t.Run("a payload that cannot be decoded", func(t *testing.T) {
		c := newClient(t, NewStore(Limits{}))
		h := []uint32{0x30}
		out := chained(buffer(t, h, data(1)), buffer(t, h, data(2)))
		out[8+2+9+4] = 1 // version of the second header
		c.tell(c.ask(aSession, buffer(t, h, "2c 00 00 beba 00000100")), aSession, out)
		if f := c.conn.Figures(); f.ReadStream.Answers.Count != 1 || f.Unwalked[Encoding] != int64(len(out)-(8+2+9+4)) || f.DecodeErrors != 1 {
			t.Errorf("answers %+v, unwalked %v, %d errors", f.ReadStream.Answers, f.Unwalked, f.DecodeErrors)
		}
	})
	t.Run("more payloads than an answer can have", func(t *testing.T) {
		c := newClient(t, NewStore(Limits{}))
		h := []uint32{0x30}
		var payloads [][]byte
		for range maxPayloads + 2 {
			payloads = append(payloads, buffer(t, h, data(1)))
		}
		c.tell(c.ask(aSession, buffer(t, h, "2c 00 00 beba 00000100")), aSession, chained(payloads...))
		if f := c.conn.Figures(); f.ReadStream.Answers.Count != maxPayloads || f.Unwalked[Unexpected] != 2*(8+2+9+4) || f.DecodeErrors != 1 {
			t.Errorf("%d answers, unwalked %v, %d errors", f.ReadStream.Answers.Count, f.Unwalked, f.DecodeErrors)
		}
	})
	t.Run("bytes behind the last payload", func(t *testing.T) {
		c := newClient(t, NewStore(Limits{}))
		h := []uint32{0x30}
		c.tell(c.ask(aSession, buffer(t, h, "16 00 00")), aSession, append(pcaptest.Plain(buffer(t, h, "16 00 00000000 00")), 1, 2, 3))
		if f := c.conn.Figures(); f.ResponseWalked != 7 || f.DecodeErrors != 1 {
			t.Errorf("walked %d, %d errors", f.ResponseWalked, f.DecodeErrors)
		}
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	s := ""
	for _, c := range b {
		s += string(digits[c>>4]) + string(digits[c&15])
	}
	return s
}

// TestSentAgain: reads that the server sends back unexecuted are counted when
// they come again, not twice.
func TestSentAgain(t *testing.T) {
	const read = "2c 00 00 0004 "
	const get = "4e 00 00 c07b "
	h := []uint32{0x30}
	c := newClient(t, NewStore(Limits{}))
	c.call(buffer(t, h, read+get), buffer(t, h, "ff 0020 "+read+get))
	c.call(buffer(t, h, read+get), buffer(t, h, "2c 00 00000000 0100 61 ff 0020 "+get))
	c.call(buffer(t, h, get), buffer(t, h, "f9 00 e8030000 00 0000"))
	c.call(buffer(t, h, get), buffer(t, h, "4e 00 00000000 0300 0000 0000 00 0100 61"))
	f := c.conn.Figures()
	if f.ReadStream.Requests != 1 || f.SyncGetBuffer.Requests != 1 || f.Unexecuted != 4 {
		t.Errorf("%d reads, %d transfers, %d unexecuted, want 1, 1, 4", f.ReadStream.Requests, f.SyncGetBuffer.Requests, f.Unexecuted)
	}
	if f.rop(ropReadStream).Requests != 2 || f.rop(ropGetBuffer).Requests != 4 {
		t.Error("the ROPs count as they were sent")
	}
}

// The two forms of a RopSetMessageReadFlag request, and the logons.
const (
	readFlagPrivate = "11 00 00 01 05 "
	readFlagPublic  = "11 00 00 01 05 000102030405060708090a0b0c0d0e0f1011121314151617 "
	logonPrivateROP = "fe 00 00 01 0c000000 00000000 0000 "
	logonPublicROP  = "fe 00 00 00 06000000 00000000 0000 "
)

func TestLogonKinds(t *testing.T) {
	loggedOn := map[logonKind][2]string{
		logonPrivate: {logonPrivateROP, "fe 00 00000000 01" + zeros(160-1)},
		logonPublic:  {logonPublicROP, "fe 00 00000000 00" + zeros(139-1)},
	}
	for _, x := range []struct {
		name     string
		logon    logonKind
		request  string
		walked   int64
		unwalked int64
		why      Reason
	}{
		{"private, as known", logonPrivate, readFlagPrivate + readFlagPrivate, 10, 0, Walked},
		{"public, as known", logonPublic, readFlagPublic + readFlagPrivate, 29, 5, Malformed},
		{"private by its end", logonUnknown, readFlagPrivate + readFlagPrivate, 10, 0, Walked},
		{"public by its end", logonUnknown, readFlagPublic + readFlagPublic, 58, 0, Walked},
		{"neither", logonUnknown, release + readFlagPublic + "00", 3, 30, Ambiguous},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			h := []uint32{0x30, 0x31}
			if on := loggedOn[x.logon]; on[0] != "" {
				c.call(buffer(t, h, on[0]), buffer(t, h, on[1]))
			}
			f := c.conn.Figures()
			before := f.RequestWalked
			c.call(buffer(t, h, x.request), buffer(t, h, ""))
			if got := f.RequestWalked - before; got != x.walked || f.RequestUnwalked != x.unwalked || x.why != Walked && f.Unwalked[x.why] != x.unwalked {
				t.Errorf("walked %d, unwalked %v, want %d and %d for reason %q", got, f.Unwalked, x.walked, x.unwalked, x.why)
			}
			if f.ResponseUnwalked != 0 {
				t.Errorf("%d bytes of responses were not walked", f.ResponseUnwalked)
			}
		})
	}
}

// TestUncertainRequest: a ROP whose layout is uncertain counts when its list
// ends well, and takes the rest of the list with it when not.
func TestUncertainRequest(t *testing.T) {
	const rules = "41 00 00 00 0100 01 0100 fe00 8066 0100 0200 aabb "
	for _, x := range []struct {
		name, request  string
		rules, walked  int64
		unwalked, left int64
	}{
		{"ends well", release + rules + release, 1, 25, 0, 0},
		{"ends badly", release + rules + "28 00", 0, 3, 21, 21},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			c.call(buffer(t, known, x.request), buffer(t, known, ""))
			f := c.conn.Figures()
			if f.rop(0x41).Requests != x.rules || f.RequestWalked != x.walked || f.RequestUnwalked != x.unwalked || f.Unwalked[Opaque] != x.left {
				t.Errorf("%d rules, walked %d, unwalked %v", f.rop(0x41).Requests, f.RequestWalked, f.Unwalked)
			}
		})
	}
}

// TestUncertainNotify: undocumented forms of RopNotify count by their head
// when what follows them cannot be a response.
func TestUncertainNotify(t *testing.T) {
	c := newClient(t, NewStore(Limits{}))
	c.call(buffer(t, known, ""), buffer(t, known, "2a 20000000 00 0004 1122334455"))
	if f := c.conn.Figures(); f.rop(ropNotify).Responses != 1 || f.ResponseWalked != 0 || f.Unwalked[Opaque] != 13 {
		t.Errorf("walked %d, unwalked %v", f.ResponseWalked, f.Unwalked)
	}
}

// TestOptionalPart: when neither reading of a failure lets the list go on, its
// head counts and the walk stops.
func TestOptionalPart(t *testing.T) {
	const request = "1e 00 00 00 01 0000  16 00 01"
	for _, x := range []struct {
		name, response string
		walked         int64
		why            Reason
	}{
		{"long", "1e 00 05400080 01  16 01 00000000 00", 14, Walked},
		{"short", "1e 00 05400080  16 01 00000000 00", 13, Walked},
		{"at the end", "1e 00 05400080", 6, Walked},
		{"neither", "1e 00 05400080  77 77 00000000 00", 0, Ambiguous},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			c.call(buffer(t, known, request), buffer(t, known, x.response))
			f := c.conn.Figures()
			if f.ResponseWalked != x.walked || x.why != Walked && f.Unwalked[x.why] == 0 || f.rop(0x1e).Failures != 1 {
				t.Errorf("walked %d, unwalked %v, %d failures", f.ResponseWalked, f.Unwalked, f.rop(0x1e).Failures)
			}
		})
	}
}

// TestWithoutRequest: answers whose requests were not captured are walked as
// far as they describe themselves.
func TestWithoutRequest(t *testing.T) {
	for _, x := range []struct {
		name, response   string
		walked, unwalked int64
		why              Reason
	}{
		{"self-describing", "02 01 00000000 00 00  2c 00 00000000 0100 61  2a 30000000 00 0001 0100  6e f500", 30, 0, Walked},
		{"property row", "02 01 00000000 00 00  07 00 00000000 00 05000000", 8, 11, NoRequest},
		{"rows", "15 01 00000000 02 0200 00 0500", 0, 12, NoColumns},
		{"failed property row", "07 00 05400080  16 00 00000000 00", 13, 0, Walked},
		{"what a request would be", "01 00 00", 0, 3, Unassigned},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			c.tell(nil, aSession, pcaptest.Plain(buffer(t, known, x.response)))
			f := c.conn.Figures()
			if f.ResponseWalked != x.walked || f.ResponseUnwalked != x.unwalked || x.why != Walked && f.Unwalked[x.why] != x.unwalked || f.Unpaired != 1 {
				t.Errorf("walked %d, unwalked %v, %d unpaired", f.ResponseWalked, f.Unwalked, f.Unpaired)
			}
		})
	}
}
