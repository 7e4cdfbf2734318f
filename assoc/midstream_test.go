package assoc

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"testing"

	"mapiscope/flows"
	"mapiscope/pcaps"
)

// tcpEnds names a TCP connection of a capture, client first.
type tcpEnds struct{ client, server netip.AddrPort }

// late are the connections of a capture whose bind was captured, each with the
// last packet of its binds and authentication.
func late(t *testing.T, path string) map[tcpEnds]*lateConn {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Events = 1 << 20
	conns := make(map[tcpEnds]*lateConn)
	r := feed(t, path, cfg, func(*flows.Frame, int64) bool { return true })
	for _, e := range r.Events {
		switch e.Kind {
		case "bind", "bind_ack", "bind_nak", "alter_context", "alter_context_resp", "auth3", "auth":
			s, ok := boundService(e.Conn)
			if !ok || s == EPM {
				continue
			}
			at := tcpEnds{e.Conn.Client(), e.Conn.Server()}
			if conns[at] == nil {
				conns[at] = &lateConn{service: s}
			}
			c := conns[at]
			c.after = max(c.after, e.Mark.Packet)
			if c.service != s { // ports used again
				c.service = Unknown
			}
		}
	}
	return conns
}

type lateConn struct {
	service Service
	after   int64
}

// feed runs those frames of a capture through one Linker that take says.
func feed(t *testing.T, path string, cfg Config, take func(*flows.Frame, int64) bool) *Result {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, d := NewLinker(cfg), flows.NewDecoder(cfg.Flows)
	var p pcaps.Packet
	var f flows.Frame
	for r.Next(&p) == nil {
		if kind := d.Decode(&p, &f); kind == flows.TCP && take(&f, f.Mark.Packet) {
			l.Frame(&f, kind)
		}
	}
	return Merge([]*Result{l.Close()})
}

// TestCapturesFromTheirMiddle cuts captures behind the binds and the endpoint
// mapper: no connection of another interface may become EMSMDB, whatever is
// left of it, alone or with all others, and of EMSMDB connections those must
// that have enough calls.
func TestCapturesFromTheirMiddle(t *testing.T) {
	var found, missed, others int
	for _, folder := range []string{"public", "lab", "sealed", "exchange", "twin"} {
		paths, err := filepath.Glob(filepath.Join(corpus(t, folder), "*.*cap*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no captures in %s: %v", folder, err)
		}
		for _, path := range paths {
			conns := late(t, path)
			in := func(f *flows.Frame) (*lateConn, tcpEnds) {
				for _, at := range [2]tcpEnds{{f.Src, f.Dst}, {f.Dst, f.Src}} {
					if c := conns[at]; c != nil {
						return c, at
					}
				}
				return nil, tcpEnds{}
			}
			check := func(skip int64, r *Result) {
				dir := NewDirectory(r)
				for _, c := range r.Conns {
					of := cmp.Or(conns[tcpEnds{c.Client(), c.Server()}], conns[tcpEnds{c.Server(), c.Client()}])
					if of == nil || c.RPC == nil {
						continue
					}
					s, _ := dir.Service(c)
					named, is := s == MAPI || s == MAPIAsync, of.service == MAPI || of.service == MAPIAsync
					switch {
					case named && !is, is && !named && !dir.MayBeMAPI(c), is && c.shape.contradicts():
						t.Errorf("%s, %d packets on: %v > %v is %s, and called %s: %+v", filepath.Base(path), skip, c.Client(), c.Server(), of.service, s, c.shape)
					case !is:
						others++
					case named:
						found++
					default:
						missed++
					}
				}
			}
			for _, skip := range []int64{0, 3, 10, 40, 100} {
				check(skip, feed(t, path, DefaultConfig(), func(f *flows.Frame, n int64) bool {
					c, _ := in(f)
					return c != nil && n > c.after+skip
				}))
			}
			for one, of := range conns {
				check(0, feed(t, path, DefaultConfig(), func(f *flows.Frame, n int64) bool {
					_, at := in(f)
					return at == one && n > of.after
				}))
			}
		}
	}
	// Those that are not named have one to three calls left, or faults alone.
	if found < 8*missed || found < 450 || others < 2000 {
		t.Errorf("%d EMSMDB connections named, %d not; %d others", found, missed, others)
	}
}
