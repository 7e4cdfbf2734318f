package finding

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/auth"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TestRepeatedDisconnects shows that the device bears four in a row.
func TestRepeatedDisconnects(t *testing.T) {
	row := func(n int, shapes ...shape) (conns []*Conn) {
		for i := range n {
			conns = append(conns, conn(uint16(i+1), append([]shape{unanswered}, shapes...)...))
		}
		return conns
	}
	const five = "10.1.0.5: 5 connections in a row to EMSMDB at 10.2.0.9 ended before the first answered call"
	for _, x := range []struct {
		name  string
		conns []*Conn
		want  []told
	}{
		{"four", row(4), nil},
		{"five", row(5), []told{{Detail: five, Conns: "1 2 3 4 5 ", Marks: 5}}},
		{"five, then one that is served", append(row(5), conn(6)), []told{{Detail: five + "; connection 6 stays: the device has handed the client to the generic accelerator by then (likely)", Conns: "1 2 3 4 5 ", Marks: 5}}},
		{"four, one that is served, four", append(append(row(4), conn(5)), row(4)...), nil},
		{"five and one that is open", append(row(5), conn(6, unanswered, open)), []told{{Detail: five, Conns: "1 2 3 4 5 ", Marks: 5}}},
		{"five that say nothing", row(5, hidden, silent), []told{{Detail: five, Conns: "1 2 3 4 5 ", Marks: 5}}},
		{"five that cannot be read", row(5, hidden), nil},
		{"five from their middle", row(5, midstream), nil},
		{"five to another service", row(5, of(assoc.NSPI)), nil},
		{"of two clients", append(row(3), row(3, client("10.1.0.6"))...), nil},
		{"at two points", append(row(5), row(5, at(pcaps.Core))...), []told{{Detail: five, Conns: "1 2 3 4 5 ", Marks: 5}}},
		{"five twice", append(append(row(5), conn(6)), row(5)...), []told{
			{Detail: five + "; connection 6 stays: the device has handed the client to the generic accelerator by then (likely)", Conns: "1 2 3 4 5 ", Marks: 5},
			{Detail: five, Conns: "1 2 3 4 5 ", Marks: 5},
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			check(t, x.want, apply(job(facts{conns: x.conns}), (*judge).findDisconnects))
		})
	}
}

// TestSlowFrom shows from when on calls are slow: five times the round trip of
// the handshake, and never below 100 ms.
func TestSlowFrom(t *testing.T) {
	for _, row := range []struct{ half, want time.Duration }{
		{0, 250 * time.Millisecond},
		{time.Millisecond, 100 * time.Millisecond},
		{10 * time.Millisecond, 100 * time.Millisecond},
		{20 * time.Millisecond, 200 * time.Millisecond},
		{50 * time.Millisecond, 500 * time.Millisecond},
		{20*time.Millisecond + 300, 200 * time.Millisecond}, // whole microseconds count
	} {
		if got := slowFrom(&flows.Conn{SynToSynAck: row.half, SynAckToAck: row.half}); got != row.want {
			t.Errorf("a round trip of %v: slow from %v, want %v", 2*row.half, got, row.want)
		}
	}
}

func TestSlowCalls(t *testing.T) {
	op := func(iface wire.UUID, opnum uint16, n int, ms int64) *dcerpc.Operation {
		o := &dcerpc.Operation{Interface: iface, Known: true, Opnum: opnum, OpnumKnown: true}
		for range n {
			o.Latency.Add(ms * 1000)
		}
		return o
	}
	const of, elsewhere = "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): ", "; the round trip of the handshake is far less, so that time is not spent on this network"
	const of11 = of + "5 of 5 calls of EcDoRpcExt2 took 205ms or more, the longest "
	mixed := op(emsmdb.MDB, 11, 18, 50)
	for _, ms := range []int64{300, 400} {
		mixed.Latency.Add(ms * 1000)
	}
	for _, row := range []struct {
		name string
		ops  []*dcerpc.Operation
		want []told
	}{
		{"five of a second", []*dcerpc.Operation{op(emsmdb.MDB, 11, 5, 1000)}, []told{{Detail: of11 + "1s" + elsewhere, Conns: "1 ", Marks: 1}}},
		{"two of twenty", []*dcerpc.Operation{mixed}, []told{{Detail: of + "2 of 20 calls of EcDoRpcExt2 took 205ms or more, the longest 400ms" + elsewhere, Conns: "1 ", Marks: 1}}},
		{"four", []*dcerpc.Operation{op(emsmdb.MDB, 11, 4, 1000)}, nil},
		{"fast", []*dcerpc.Operation{op(emsmdb.MDB, 11, 50, 150)}, nil},
		{"just slow", []*dcerpc.Operation{op(emsmdb.MDB, 11, 5, 205)}, []told{{Detail: of11 + "205ms" + elsewhere, Conns: "1 ", Marks: 1}}},
		{"just not", []*dcerpc.Operation{op(emsmdb.MDB, 11, 5, 204)}, nil},
		{"behind one of another interface", []*dcerpc.Operation{op(emsmdb.NSPI, 3, 5, 1000), op(emsmdb.MDB, 11, 5, 1000)}, []told{{Detail: of11 + "1s" + elsewhere, Conns: "1 ", Marks: 1}}},
		{"of another interface", []*dcerpc.Operation{op(emsmdb.NSPI, 11, 5, 1000)}, nil},
		{"unknown opnum", []*dcerpc.Operation{op(emsmdb.MDB, 77, 5, 1000)}, []told{{Detail: of + "5 of 5 calls of opnum 77 took 205ms or more, the longest 1s" + elsewhere, Conns: "1 ", Marks: 1}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := conn(1)
			d.Flow.SynToSynAck, d.Flow.SynAckToAck = 40*time.Millisecond, time.Millisecond // slow from 205 ms
			d.RPC.Ops = row.ops
			check(t, row.want, apply(job(facts{conns: []*Conn{d}}), (*judge).findSlow))
			d.Service = assoc.OtherRPC
			check(t, []told(nil), apply(job(facts{conns: []*Conn{d, conn(2, hidden)}}), (*judge).findSlow))
		})
	}
}

// TestWhereSpent: the handshake tells where time goes only where it crossed the
// network.
func TestWhereSpent(t *testing.T) {
	for _, row := range []struct {
		name string
		rtt  time.Duration
		fact verdict.Kind
		want bool
	}{
		{"WAN", 5 * time.Millisecond, "", true},
		{"LAN", 5*time.Millisecond - 1, "", false},
		{"not captured", 0, "", false},
		{"answered near by", 40 * time.Millisecond, verdict.LocalHandshake, false},
		{"acknowledged near by", 40 * time.Millisecond, verdict.EarlyAck, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := conn(1)
			d.Flow.SynToSynAck, d.Flow.SynAckToAck = row.rtt, 0
			if row.rtt > 0 {
				d.Flow.SynAckToAck = 1
				d.Flow.SynToSynAck--
			}
			if row.fact != "" {
				d.Leg.Evidence = append(d.Leg.Evidence, verdict.Evidence{Kind: row.fact})
			}
			if got := strings.Contains(whereSpent(d), "not spent"); got != row.want {
				t.Errorf("%s", whereSpent(d))
			}
		})
	}
}

// TestProtectionThatIsNotAccelerated holds the two findings apart.
func TestProtectionThatIsNotAccelerated(t *testing.T) {
	protect := func(level, kind uint8, offered ...string) shape {
		return func(d *Conn) {
			d.RPC.Auths = []dcerpc.Auth{{Level: level, Type: kind, Facts: auth.Facts{Mechanism: "ntlm", Offered: offered}, Mark: d.Flow.First}}
			if kind == 16 {
				d.RPC.Auths[0].Facts.Mechanism = "kerberos"
			}
			d.Secured = secured(d.Conn)
		}
	}
	const first = "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): "
	hands := func(what, release string) []told {
		return []told{{Detail: first + "EMSMDB at level " + what + ", which release " + release + " hands to the generic accelerator", Conns: "1 ", Marks: 1}}
	}
	ntlm := func(how string) []told {
		return []told{{Detail: first + "privacy with " + how, Conns: "1 ", Marks: 1}}
	}
	for _, row := range []struct {
		name            string
		release         string
		shape           shape
		encrypted, ntlm []told
	}{
		{"Kerberos, 4.5", "4.5", protect(dcerpc.LevelPrivacy, 16), hands("privacy with kerberos", "4.5"), nil},
		{"Kerberos, 5.0", "5.0", protect(dcerpc.LevelPrivacy, 16), nil, nil},
		{"NTLM, 4.5", "4.5", protect(dcerpc.LevelPrivacy, 10), hands("privacy with ntlm", "4.5"), nil},
		{"NTLM, 5.3", "5.3", protect(dcerpc.LevelPrivacy, 10), hands("privacy with ntlm", "5.3"), ntlm("bare NTLM (Unsupported Auth Type :NTLM)")},
		{"NTLM signs, 5.3", "5.3", protect(dcerpc.LevelIntegrity, 10), hands("integrity with ntlm", "5.3"), nil},
		{"SPNEGO, 5.3", "5.3", protect(dcerpc.LevelPrivacy, 9), hands("privacy with ntlm", "5.3"), ntlm("NTLM inside SPNEGO (Unsupported Auth Type :NTLM)")},
		{"SPNEGO with both, 5.3", "5.3", protect(dcerpc.LevelPrivacy, 9, "kerberos", "ntlm"), hands("privacy with ntlm", "5.3"),
			ntlm("NTLM inside SPNEGO, though the client offered Kerberos too (Unsupported Auth Type :NTLM)")},
		{"at level connect", "4.5", protect(2, 10), nil, nil},
		{"none", "4.5", func(*Conn) {}, nil, nil},
		{"of another service", "4.5", func(d *Conn) { protect(dcerpc.LevelPrivacy, 10)(d); d.Service = assoc.NSPI }, nil, nil},
		{"none, 5.3", "5.3", func(*Conn) {}, nil, nil},
		{"of another service, 5.3", "5.3", func(d *Conn) { protect(dcerpc.LevelPrivacy, 10)(d); d.Service = assoc.NSPI }, nil, nil},
		{"of a refused bind, 5.3", "5.3", func(d *Conn) { protect(dcerpc.LevelPrivacy, 10)(d); d.RPC.Contexts[0].Result = 2 }, nil, nil},
		{"of a refused bind", "4.5", func(d *Conn) { protect(dcerpc.LevelPrivacy, 10)(d); d.RPC.Contexts[0].Result = 2 }, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := job(facts{release: row.release, conns: []*Conn{conn(1, row.shape)}})
			check(t, row.encrypted, apply(b, (*judge).findEncrypted))
			check(t, row.ntlm, apply(b, (*judge).findNTLM))
		})
	}
}

func TestUnsupportedClients(t *testing.T) {
	for _, row := range []struct {
		version emsmdb.Version
		want    []told
	}{
		{outlook2010, nil},
		{emsmdb.Version{}, nil},
		{outlook2013, []told{{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): version 15.0.4420.1017: client newer than release 5.0 knows", Conns: "1 ", Marks: 1}}},
	} {
		b := job(facts{release: "5.0", conns: []*Conn{conn(1, func(d *Conn) { d.Version = row.version })}})
		check(t, row.want, apply(b, (*judge).findClients))
	}
}

// TestMapsForEMSMDB holds apart what an endpoint mapper answers, and leaves open.
func TestMapsForEMSMDB(t *testing.T) {
	for _, row := range []struct {
		name                     string
		shape                    shape
		maps                     []assoc.Exchange
		notRegistered, unanswers []told
	}{
		{"a port", epmConn, []assoc.Exchange{{Answered: true, Ports: []uint16{1}}}, nil, nil},
		{"none", epmConn, []assoc.Exchange{{Answered: true, Status: 0x16c9a0d6}}, []told{{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): ept_map for EMSMDB was answered with status 0x16c9a0d6 (ept_s_not_registered) and no tower", Conns: "1 ", Marks: 1}}, nil},
		{"success and none", epmConn, []assoc.Exchange{{Answered: true}}, []told{{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): ept_map for EMSMDB was answered with success and no tower", Conns: "1 ", Marks: 1}}, nil},
		{"the end of a list", epmConn, []assoc.Exchange{{Answered: true, Ports: []uint16{1}}, {Answered: true, Status: 1}}, nil, nil},
		{"no answer", epmConn, []assoc.Exchange{{}}, nil, []told{{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): ept_map for EMSMDB was never answered", Conns: "1 ", Marks: 1}}},
		{"no answer yet", func(d *Conn) { epmConn(d); open(d) }, []assoc.Exchange{{}}, nil, nil},
		{"no answer in a capture with a gap", func(d *Conn) { epmConn(d); gapped(d) }, []assoc.Exchange{{}}, nil, nil},
		{"over a pipe", epmConn, []assoc.Exchange{{Sequence: "ncacn_np"}}, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := conn(1, row.shape)
			for i := range row.maps {
				row.maps[i].Conn, row.maps[i].Interface, row.maps[i].Mark = d.Conn, emsmdb.MDB, d.Flow.First
			}
			b := job(facts{conns: []*Conn{d}})
			b.Result.Maps = row.maps
			check(t, row.notRegistered, apply(b, (*judge).findNotRegistered))
			check(t, row.unanswers, apply(b, (*judge).findUnannounced))
		})
	}
}

func epmConn(d *Conn) { d.Service = assoc.EPM }

// TestUnannouncedPorts shows when an unannounced port says anything.
func TestUnannouncedPorts(t *testing.T) {
	missing := []told{{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): no captured ept_map answer names this port for EMSMDB", Conns: "1 ", Marks: 1}}
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  []told
	}{
		{"unannounced", []*Conn{conn(1)}, missing},
		{"from its middle", []*Conn{conn(1, midstream)}, nil},
		{"hidden", []*Conn{conn(1, hidden)}, nil},
		{"asynchronous", []*Conn{conn(1, of(assoc.MAPIAsync))}, nil},
		{"the endpoint mapper was hidden", []*Conn{conn(1), conn(2, of(assoc.EPM), hidden)}, nil},
		{"the endpoint mapper was read", []*Conn{conn(1), conn(2, of(assoc.EPM))}, missing},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, apply(job(facts{conns: row.conns}), (*judge).findUnannounced))
		})
	}
}

// TestEvents shows when what was found became true.
func TestEvents(t *testing.T) {
	d, far := conn(1, by(Generic)), conn(2, by(Generic))
	group := &verdict.Group{}
	d.Leg.Conversation = &verdict.Conversation{Main: d.Conn, Escaped: &verdict.Escaped{Reason: "why", Group: group}}
	early, late := wire.Mark{Packet: 3}, wire.Mark{Packet: 4}
	level := func(l uint8) assoc.Detail { return assoc.Detail{AuthLevel: &l} }
	events := []assoc.Event{
		{Conn: d.Conn, Kind: assoc.EventBind, Mark: wire.Mark{Packet: 1}, Detail: level(dcerpc.LevelIntegrity - 1)},
		{Conn: d.Conn, Kind: "auth", Mark: wire.Mark{Packet: 2}, Detail: level(dcerpc.LevelPrivacy)},
		{Conn: d.Conn, Kind: assoc.EventAlterContext, Mark: early, Detail: level(dcerpc.LevelIntegrity)},
		{Conn: d.Conn, Kind: assoc.EventConnect, Mark: late},
		{Conn: conn(9).Conn, Kind: assoc.EventConnect, Mark: late},
	}
	b := job(facts{conns: []*Conn{d, far}, events: events, timeline: true})
	b.disconnected = []disconnected{{far, say("five")}}
	b.events()
	want := []string{
		fmt.Sprintf("escape of 1 at %d: why", d.Flow.First.Packet), "handoff of 1 at 3: ", fmt.Sprintf("handoff of 2 at %d: ", far.Flow.First.Packet),
		fmt.Sprintf("repeated_disconnect of 2 at %d: five", far.Flow.Last.Packet),
	}
	var got []string
	for _, e := range b.Findings.Events {
		got = append(got, fmt.Sprintf("%s of %s at %d: %s", e.Kind, number(e.Conn), e.Mark.Packet, e.Reason.With(number)))
	}
	check(t, want, got)
	if e := b.Findings.Events; e[0].Group != group || e[1].Quality != Heuristic {
		t.Errorf("%+v", e)
	}
	b = job(facts{conns: []*Conn{d}, events: events})
	if b.events(); b.Findings.Events != nil {
		t.Error("events that nobody asked for")
	}
}
