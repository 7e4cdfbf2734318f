package emsmdb

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"mapiscope/internal/budget"
	"mapiscope/internal/pcaptest"
)

// TestWeights holds the estimates near to what the compiler says.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		name   string
		weight int
		size   uintptr
	}{
		{"Conn", Weight, unsafe.Sizeof(Conn{})},
		{"session", sessionWeight, unsafe.Sizeof(session{}) + 28},
		{"table", tableWeight, unsafe.Sizeof(table{}) + 12},
		{"Rop", ropWeight, unsafe.Sizeof(Rop{})},
		{"Connect", connectWeight, unsafe.Sizeof(Connect{})},
		{"Pending", pendingWeight, unsafe.Sizeof(Pending{})},
		{"request", requestWeight, unsafe.Sizeof(request{})},
	} {
		if size := int(tt.size); tt.weight < size || tt.weight > size*2 {
			t.Errorf("%s: weighs %d, takes %d", tt.name, tt.weight, size)
		}
	}
}

// crowded returns a Store of a shard whose others hold all there is.
func crowded() (*Store, *budget.Account) {
	a := budget.New(1 << 20)
	a.Add(budget.Shared, 1<<20)
	a.Add(budget.Detail, 1<<20)
	limits := DefaultLimits()
	limits.Budget = a
	return NewStore(limits), a
}

// charged returns what the account holds beside that.
func charged(a *budget.Account) int64 { return a.Sum() - 2<<20 }

// TestSessionsInACrowd opens sessions until the host pair has used up what it
// has to itself; then the least recently used goes.
func TestSessionsInACrowd(t *testing.T) {
	s, a := crowded()
	c := newClient(t, s)
	for i := range 1000 {
		session := pcaptest.UUID(fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1))
		p := c.ask(session, buffer(t, asked, openTable+setColumns))
		c.tell(p, session, pcaptest.Plain(buffer(t, answered, openedTable+columnsSet)))
	}
	c.call(buffer(t, asked, openTable+setColumns), buffer(t, answered, openedTable+columnsSet))
	if s.Weight() > budget.Floor || s.Weight() < budget.Floor-2*sessionWeight || s.Stats().SessionsEvicted == 0 {
		t.Errorf("sessions weigh %d, %d were forgotten", s.Weight(), s.Stats().SessionsEvicted)
	}
	if !reads(t, c, rows) {
		t.Error("the latest session does not know its table")
	}
	s.Shed()
	if reads(t, c, rows) || s.Stats().TablesEvicted == 0 {
		t.Errorf("tables are still known, %d were forgotten", s.Stats().TablesEvicted)
	}
	c.conn.End()
	s.Close()
	if n := charged(a); n != 0 {
		t.Errorf("%d bytes stay charged", n)
	}
}

// TestTablesInACrowd fills what the host pair has to itself with one session's
// tables: the least recently used go, the latest is known.
func TestTablesInACrowd(t *testing.T) {
	s, a := crowded()
	c := newClient(t, s)
	wide := "12 00 01 00 0002 " + strings.Repeat("0300fe0f", 512)
	for i := range 200 {
		table := []uint32{0x10, uint32(i + 1)}
		c.call(buffer(t, asked, openTable+wide), buffer(t, table, openedTable+columnsSet))
	}
	if s.Weight() > budget.Floor+sessionWeight || s.Stats().TablesEvicted == 0 {
		t.Errorf("tables weigh %d, %d were forgotten", s.Weight(), s.Stats().TablesEvicted)
	}
	for _, of := range s.sessions {
		if s.columns(of, 200) == nil || s.columns(of, 1) != nil {
			t.Error("the latest table is not known, or the first one is")
		}
	}
	c.conn.End()
	s.Close()
	if n := charged(a); n != 0 {
		t.Errorf("%d bytes stay charged", n)
	}
}

// TestRequestsInACrowd leaves requests of thousands of ROPs unanswered: their
// ROPs are forgotten, and the next call is read as ever.
func TestRequestsInACrowd(t *testing.T) {
	s, a := crowded()
	c := newClient(t, s)
	flood := buffer(t, known, strings.Repeat(release, 2000))
	var open []*Pending
	for range 50 {
		open = append(open, c.ask(aSession, flood))
	}
	f := c.conn.Figures()
	if c.conn.Weight() > budget.Floor+51*pendingWeight || f.RequestsForgotten == 0 {
		t.Errorf("the connection weighs %d, the ROPs of %d requests were forgotten", c.conn.Weight(), f.RequestsForgotten)
	}
	for _, p := range open {
		c.conn.Drop(p)
	}
	c.call(buffer(t, asked, openTable+setColumns), buffer(t, answered, openedTable+columnsSet))
	if !reads(t, c, rows) {
		t.Error("the call after the flood was not read")
	}
	c.conn.End()
	s.Close()
	if n := charged(a); n != 0 {
		t.Errorf("%d bytes stay charged", n)
	}
}
