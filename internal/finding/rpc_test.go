package finding

import (
	"errors"
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

const first = "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): "

func one(detail string) []told { return []told{{Detail: first + detail, Conns: "1 ", Marks: 1}} }

func TestRejectedBinds(t *testing.T) {
	group := uint32(0x10000)
	for _, row := range []struct {
		name  string
		shape shape
		want  []told
	}{
		{"accepted", func(*Conn) {}, nil},
		{"bind_nak", nak, one("bind_nak: protocol version not supported")},
		{"bind_nak of one that joins", func(d *Conn) { nak(d); d.RPC.Requested = &group }, one("bind_nak: protocol version not supported; it asked to join association group 0x00010000")},
		{"every context", func(d *Conn) {
			d.RPC.Contexts = []dcerpc.Context{{Acked: true, Result: 2, Reason: 1, Interface: dcerpc.Syntax{UUID: emsmdb.MDB}, Mark: d.Flow.First}}
		}, one("every context was rejected (EMSMDB: abstract syntax not supported)")},
		{"one of two", func(d *Conn) { d.RPC.Contexts = append(d.RPC.Contexts, dcerpc.Context{Acked: true, Result: 2}) }, nil},
		{"no answer", func(d *Conn) { d.RPC.Contexts[0] = dcerpc.Context{} }, nil},
		{"features alone", func(d *Conn) { d.RPC.Contexts[0].Result = dcerpc.NegotiateAck }, nil},
		{"hidden", hidden, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, apply(job(facts{conns: []*Conn{conn(1, row.shape)}}), (*judge).findRejectedBinds))
		})
	}
}

func TestRejectedAuthentication(t *testing.T) {
	with := func(a dcerpc.Auth, more ...shape) shape {
		return func(d *Conn) {
			a.Level, a.Type, a.Mark = dcerpc.LevelPrivacy, 10, d.Flow.First
			d.RPC.Auths = append(d.RPC.Auths, a)
			for _, s := range more {
				s(d)
			}
		}
	}
	krb := auth.Facts{KRBErr: &auth.KRBError{Name: "KRB_AP_ERR_SKEW"}}
	for _, row := range []struct {
		name  string
		shape shape
		want  []told
	}{
		{"established", with(dcerpc.Auth{State: dcerpc.Established}), nil},
		{"refused", with(dcerpc.Auth{State: dcerpc.Rejected}), one("ntlm at level privacy: refused")},
		{"refused with a reason", with(dcerpc.Auth{State: dcerpc.Rejected, Error: "access denied"}), one("ntlm at level privacy: access denied")},
		{"by Kerberos first", with(dcerpc.Auth{State: dcerpc.Rejected, Error: "access denied", Facts: krb}), one("ntlm at level privacy: KRB_AP_ERR_SKEW, then access denied")},
		{"by Kerberos alone", with(dcerpc.Auth{State: dcerpc.Rejected, Error: "KRB_AP_ERR_SKEW", Facts: krb}), one("ntlm at level privacy: KRB_AP_ERR_SKEW")},
		{"never finished", with(dcerpc.Auth{State: dcerpc.Incomplete}), one("ntlm at level privacy never finished")},
		{"not finished yet", with(dcerpc.Auth{State: dcerpc.Incomplete}, open), nil},
		{"not finished in what was captured", with(dcerpc.Auth{State: dcerpc.Incomplete}, gapped), nil},
		{"of one direction", with(dcerpc.Auth{State: dcerpc.Incomplete}, clientOnly), nil},
		{"from its middle", with(dcerpc.Auth{State: dcerpc.Incomplete}, midstream), nil},
		{"of a refused bind", with(dcerpc.Auth{State: dcerpc.Incomplete}, nak), nil},
		{"the first of two", with(dcerpc.Auth{State: dcerpc.Rejected}, with(dcerpc.Auth{State: dcerpc.Rejected, Error: "x"})), one("ntlm at level privacy: refused")},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, apply(job(facts{conns: []*Conn{conn(1, row.shape)}}), (*judge).findRejectedAuth))
		})
	}
}

func TestLoss(t *testing.T) {
	n := int64(5)
	b := job(facts{conns: []*Conn{conn(1, gapped), conn(2)}, captures: []pcaps.Capture{
		{Path: "whole"}, {Path: "none", Err: errors.New("no capture")}, {Path: "cut", Format: "pcap", Err: errors.New("ended")},
		{Path: "short", Truncated: 3}, {Path: "lost", Interfaces: []pcaps.Interface{{Dropped: &n}}},
	}})
	check(t, []told{
		{Detail: "none was not read: no capture"}, {Detail: "cut ended early: ended"}, {Detail: "short: 3 packets were cut by the snap length"},
		{Detail: "lost: 5 packets were lost while capturing, for want of room or by the interface"},
		one("bytes of the stream were never captured")[0],
	}, apply(b, (*judge).findLoss))
}

func TestAsymmetric(t *testing.T) {
	packets := func(a, b int64) shape {
		return func(d *Conn) { d.Flow.Sides[0].Packets, d.Flow.Sides[1].Packets = a, b }
	}
	for _, row := range []struct {
		name  string
		shape shape
		want  []told
	}{
		{"both", packets(3, 3), nil},
		{"the client", packets(3, 0), one("only the client's packets were captured")},
		{"the server", packets(0, 3), one("only the server's packets were captured")},
		{"too few", packets(2, 0), nil},
	} {
		check(t, row.want, apply(job(facts{conns: []*Conn{conn(1, row.shape)}}), (*judge).findAsymmetric))
	}
}

func TestClocks(t *testing.T) {
	backward := func(n int64) shape { return func(d *Conn) { d.RPC.Counts.Backward = n } }
	early := func(by time.Duration, segments int64) shape {
		return func(d *Conn) { d.Flow.Sides[1].Early = &flows.Early{Segments: segments, By: by, Mark: d.Flow.First} }
	}
	captures := []pcaps.Capture{{Path: "a"}}
	b := job(facts{captures: captures, conns: []*Conn{conn(1, backward(2)), conn(2, backward(3), early(time.Second, 1))}})
	b.Result.Steps = []flows.ClockStep{{Capture: 0, By: 1500 * time.Nanosecond, At: wire.Mark{Packet: 7}, First: wire.Mark{Packet: 5}, Streams: 4}}
	check(t, []told{{Detail: "a: times step back by at least 2µs at packet 7, streams that show a step: 4; calls without a response time for it: 2", Marks: 2}}, apply(b, (*judge).findClockSteps))

	b = job(facts{captures: captures, conns: []*Conn{conn(1, backward(2), early(0, 3)), conn(2)}})
	check(t, []told{{Detail: "a, connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): segments captured before what they answer: 3, their times are in order all the same; calls without a response time for it: 2", Conns: "1 ", Marks: 1}},
		apply(b, (*judge).findCaptureOrder))
	b = job(facts{conns: []*Conn{conn(1, early(time.Millisecond, 3)), conn(2, early(5*time.Millisecond, 4))}})
	check(t, []told{{Detail: "capture 0, 2 connections, first 1 (10.1.0.5:40001 to 10.2.0.9:59531): segments captured before what they answer: 7, by up to 5ms, so the times of the two directions are apart by at least that", Conns: "1 2 ", Marks: 2}},
		apply(b, (*judge).findCaptureOrder))
}

func TestPathFindings(t *testing.T) {
	evidence := func(k verdict.Kind) shape {
		return func(d *Conn) {
			d.Leg.Evidence = append(d.Leg.Evidence, verdict.Evidence{Kind: k, Detail: "because", Mark: d.Flow.First})
		}
	}
	b := job(facts{conns: []*Conn{conn(1, evidence(verdict.JumpBlocked)), conn(2)}})
	check(t, one("because"), apply(b, (*judge).findBlockedJumps))
	check(t, []told(nil), apply(b, (*judge).findStripped))
	b = job(facts{conns: []*Conn{conn(1, evidence(verdict.OptionUnanswered))}})
	check(t, one("because"), apply(b, (*judge).findStripped))
	b = job(facts{conns: []*Conn{conn(1, of(assoc.OverHTTP)), conn(2)}})
	check(t, one("RPC over HTTP"), apply(b, (*judge).findHTTP))
	b = job(facts{conns: []*Conn{conn(1, of(assoc.MAPIHTTPSvc))}})
	check(t, one("MAPI over HTTP"), apply(b, (*judge).findHTTP))
}
