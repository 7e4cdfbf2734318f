package run

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// spnegoNTLM is NTLM inside SPNEGO, offered behind Kerberos.
func spnegoNTLM(c *pcaptest.Conn, level byte) *rpc {
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).
		Auth(9, level, 7, pcaptest.SPNEGOInit(nil, pcaptest.OIDMSKerb, pcaptest.OIDKerberos, pcaptest.OIDNTLM)).Bytes())
	c.Server(pcaptest.BindAck(0x2000, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1).
		Auth(9, level, 7, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1}))).Bytes())
	c.Client(pcaptest.AlterContext(0x2000, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).
		Auth(9, level, 7, pcaptest.SPNEGOResp(1, nil, pcaptest.NTLMAuthenticate("CORP", "alice", "PC1"))).Bytes())
	c.Server(pcaptest.AlterContextResp(0x2000, pcaptest.Accept(pcaptest.NDR32)).Call(1).
		Auth(9, level, 7, pcaptest.SPNEGOResp(0, nil, nil)).Bytes())
	return &rpc{c: c, call: 1, seal: func(p pcaptest.PDU) pcaptest.PDU { return p.Auth(9, level, 7, noise(16, 9)) }}
}

// TestScenesOfProtection: what is asked for, and what a release does with it.
func TestScenesOfProtection(t *testing.T) {
	protected := func(open func(c *pcaptest.Conn) *rpc) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			r := open(dial(s, 4001, mdb))
			r.do(pcaptest.OpEcDoRpcExt2, noise(64, 1), noise(96, 2)).c.Close()
		}
	}
	bare := func(level byte) func(c *pcaptest.Conn) *rpc {
		return func(c *pcaptest.Conn) *rpc { return ntlm(c, pcaptest.EMSMDB, level) }
	}
	krb := func(level byte) func(c *pcaptest.Conn) *rpc {
		return func(c *pcaptest.Conn) *rpc { return kerberos(c, pcaptest.EMSMDB, level) }
	}
	refused := []string{"ENCRYPTED_CONNECTION", "UNSUPPORTED_AUTH_NTLM"}
	runScenes(t, []sceneRow{
		{name: "NTLM connect", build: protected(bare(2))},
		{name: "NTLM packet", build: protected(bare(4))},
		{name: "NTLM integrity", build: protected(bare(5)), findings: refused[:1]},
		{name: "NTLM privacy, 5.3", build: protected(bare(6)), findings: refused},
		{name: "NTLM privacy, 5.0", build: protected(bare(6)), waas: "5.0", findings: refused},
		{name: "NTLM privacy, 4.1: no kind of privacy is taken", build: protected(bare(6)), waas: "4.1", findings: refused[:1]},
		{name: "Kerberos privacy, 5.3", build: protected(krb(6))},
		{name: "Kerberos integrity, 5.0", build: protected(krb(5)), waas: "5.0"},
		{name: "Kerberos integrity, 4.5", build: protected(krb(5)), waas: "4.5", findings: refused[:1], detail: "level integrity with kerberos"},
		{
			name:     "NTLM inside SPNEGO",
			build:    protected(func(c *pcaptest.Conn) *rpc { return spnegoNTLM(c, 6) }),
			findings: refused,
		},
		{
			name: "NTLM privacy on another interface is nobody's concern",
			build: func(s *pcaptest.Scene) {
				r := ntlm(dial(s, 4001, exchange+":49152"), pcaptest.NSPI, 6)
				r.do(0, noise(64, 1), noise(96, 2)).c.Close()
			},
		},
	})
}

// TestScenesOfBinds: refused interfaces, refused logons, and those that only
// look so.
func TestScenesOfBinds(t *testing.T) {
	const denied, unknownInterface = 5, 0x1c010003
	runScenes(t, []sceneRow{
		{
			name: "every context is rejected",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				c := dial(s, 4001, mdb)
				c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB), pcaptest.Offer(1, pcaptest.AsyncEMSMDB)).Call(1).Bytes())
				c.Server(pcaptest.BindAck(0x2000, "59531", pcaptest.Reject(1), pcaptest.Reject(1)).Call(1).Bytes()).Close()
			},
			findings: []string{"BIND_REJECTED"},
		},
		{
			name: "near: one context of two is accepted",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				c := dial(s, 4001, mdb)
				c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB), pcaptest.Offer(1, pcaptest.EMSMDB, pcaptest.NDR64)).Call(1).Bytes())
				c.Server(pcaptest.BindAck(0x2000, "59531", pcaptest.Accept(pcaptest.NDR32), pcaptest.Reject(2)).Call(1).Bytes()).Close()
			},
		},
		{
			name: "a group of another address is not to be joined",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				c := dial(s, 4001, mdb)
				c.Client(pcaptest.Bind(0x2000, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
				c.Server(pcaptest.BindNak(0).Call(1).Bytes()).Close()
			},
			findings: []string{"BIND_REJECTED"}, detail: "it asked to join association group 0x00002000",
		},
		{
			name: "access denied after the third leg",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				ntlm(dial(s, 4001, mdb), pcaptest.EMSMDB, 2).fault(pcaptest.OpEcDoConnectEx, denied).c.Close()
			},
			findings: []string{"AUTH_REJECTED"},
		},
		{
			name: "near: another fault",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				ntlm(dial(s, 4001, mdb), pcaptest.EMSMDB, 2).fault(pcaptest.OpEcDoConnectEx, unknownInterface).c.Close()
			},
		},
		{
			name: "near: access denied for a call, others are answered",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				r := ntlm(dial(s, 4001, mdb), pcaptest.EMSMDB, 2).connect(pcaptest.Outlook2007)
				r.fault(pcaptest.OpEcDoRpcExt2, denied).polls(1).c.Close()
			},
		},
		{
			name: "the third leg never comes",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				bindAuth(dial(s, 4001, mdb), pcaptest.EMSMDB, 10, 2, pcaptest.NTLMNegotiate(), pcaptest.NTLMChallenge("CORP", "M", [8]byte{1}), nil).c.Close()
			},
			findings: []string{"AUTH_REJECTED"}, detail: "never finished",
		},
		{
			name: "near: the capture ends before it can come",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				bindAuth(dial(s, 4001, mdb), pcaptest.EMSMDB, 10, 2, pcaptest.NTLMNegotiate(), pcaptest.NTLMChallenge("CORP", "M", [8]byte{1}), nil)
			},
		},
	})
}

// drop is a connection that ends before any call is answered.
func drop(s *pcaptest.Scene, port uint16) {
	bind(dial(s, port, mdb), pcaptest.EMSMDB, 0, 0x2000+uint32(port)).c.Reset(pcaptest.Server)
	s.Sleep(time.Second)
}

func TestScenesOfDisconnects(t *testing.T) {
	drops := func(n uint16, then func(s *pcaptest.Scene)) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			for port := range n {
				drop(s, 4001+port)
			}
			if then != nil {
				then(s)
			}
		}
	}
	runScenes(t, []sceneRow{
		{name: "five in a row", build: drops(5, nil), findings: []string{"REPEATED_DISCONNECT"}, detail: "5 connections in a row"},
		{name: "near: four in a row", build: drops(4, nil)},
		{
			name: "five in a row, then one that stays",
			build: drops(5, func(s *pcaptest.Scene) {
				mail(dial(s, 4100, mdb), 0, 0x3000)
			}),
			findings: []string{"REPEATED_DISCONNECT"}, detail: "stays: the device has handed the client to the generic accelerator",
		},
		{
			name: "near: a session between them",
			build: drops(3, func(s *pcaptest.Scene) {
				mail(dial(s, 4100, mdb), 0, 0x3000).c.Close()
				drop(s, 4201)
				drop(s, 4202)
			}),
		},
		{
			name: "near: two clients, three each",
			build: drops(3, func(s *pcaptest.Scene) {
				for _, port := range []string{"4001", "4002", "4003"} {
					bind(s.Dial("10.1.0.6:"+port, mdb), pcaptest.EMSMDB, 0, 0x4000).c.Reset(pcaptest.Server)
				}
			}),
		},
		{
			name: "near: five sessions that are closed after their calls",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				for port := range uint16(5) {
					mail(dial(s, 4001+port, mdb), 0, 0x3000+uint32(port)).c.Close()
				}
			},
		},
	})
}

func TestScenesOfTheEndpointMapper(t *testing.T) {
	const notRegistered = 0x16c9a0d6
	epm := func(ask func(r *rpc)) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			c := dial(s, 4000, exchange+":135")
			ask(bind(c, pcaptest.EPM, 0, 0x9c41))
			c.Close()
		}
	}
	syn := func(port uint16, answer func(c *pcaptest.Conn)) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			c := dial(s, 4001, exchange+":59531", []pcaptest.Option{pcaptest.NoHandshake()})
			c.Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
			answer(c)
		}
	}
	later := func(s *pcaptest.Scene) { s.Sleep(10*time.Second).UDP(outlook+":500", exchange+":500", noise(20, 1)) }
	runScenes(t, []sceneRow{
		{
			name: "not registered", build: epm(func(r *rpc) { r.ask(pcaptest.EMSMDB, 0, notRegistered) }),
			findings: []string{"EPM_NOT_REGISTERED"},
		},
		{
			name: "success without a tower", build: epm(func(r *rpc) { r.ask(pcaptest.EMSMDB, 0, 0) }),
			findings: []string{"EPM_NOT_REGISTERED"}, detail: "success and no tower",
		},
		{
			name: "refused with a fault", build: epm(func(r *rpc) {
				r.call++
				r.c.Client(pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4)).Call(r.call).Bytes())
				r.c.Server(pcaptest.Fault(0, 5).Call(r.call).Bytes())
			}),
			findings: []string{"EPM_NOT_REGISTERED"}, detail: "access denied",
		},
		{name: "near: another interface is not registered", build: epm(func(r *rpc) { r.ask(pcaptest.RFR, 0, notRegistered) })},
		{
			name: "near: the end of the list, after a port",
			build: epm(func(r *rpc) {
				r.ask(pcaptest.EMSMDB, mdbPort, 0).ask(pcaptest.EMSMDB, 0, notRegistered)
			}),
		},
		{
			name: "no answer, and EMSMDB all the same",
			build: func(s *pcaptest.Scene) {
				epm(func(r *rpc) {
					r.c.Client(pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4)).Call(2).Bytes())
				})(s)
				mail(dial(s, 4001, mdb), 0, 0x2000).c.Close()
			},
			findings: []string{"EPM_MISSING", "EPM_MISSING"},
		},
		{
			name: "near: the capture ends right after the question",
			build: func(s *pcaptest.Scene) {
				r := bind(dial(s, 4000, exchange+":135"), pcaptest.EPM, 0, 0x9c41)
				r.c.Client(pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4)).Call(2).Bytes())
			},
		},
		{
			name: "EMSMDB on a port that nobody announced",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				mail(dial(s, 4001, exchange+":59999"), 0, 0x2000).c.Close()
			},
			findings: []string{"EPM_MISSING"},
		},
		{
			name: "near: the answer was another client's",
			build: func(s *pcaptest.Scene) {
				c := s.Dial("10.1.0.6:4000", exchange+":135")
				bind(c, pcaptest.EPM, 0, 0x9c41).ask(pcaptest.EMSMDB, mdbPort, 0)
				c.Close()
				mail(dial(s, 4001, mdb), 0, 0x2000).c.Close()
			},
		},
		{
			name: "the announced port refuses", build: syn(mdbPort, func(c *pcaptest.Conn) {
				c.Segment(pcaptest.Server, -1, nil, pcaptest.RST|pcaptest.ACK)
			}),
			findings: []string{"ENDPOINT_UNREACHABLE"}, detail: "refuses port 59531",
		},
		{
			name: "the announced port is silent", build: syn(mdbPort, func(c *pcaptest.Conn) { later(c.Scene()) }),
			findings: []string{"ENDPOINT_UNREACHABLE"}, detail: "nothing answers on port 59531",
		},
		{
			name: "the announced port is silent, the SYN comes again", build: syn(mdbPort, func(c *pcaptest.Conn) {
				c.Sleep(time.Second).Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
			}),
			findings: []string{"ENDPOINT_UNREACHABLE"},
		},
		{name: "near: the capture ends with the SYN", build: syn(mdbPort, func(*pcaptest.Conn) {})},
		{
			name: "near: a port that nobody announced refuses",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				c := dial(s, 4001, exchange+":60000", []pcaptest.Option{pcaptest.NoHandshake()})
				c.Segment(pcaptest.Client, -1, nil, pcaptest.SYN).Segment(pcaptest.Server, -1, nil, pcaptest.RST|pcaptest.ACK)
			},
		},
		{
			name: "near: the server's packets are all missing",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				half := []pcaptest.Option{pcaptest.OneWay(pcaptest.Client)}
				mail(dial(s, 4002, mdb, half), 0, 0x2000)
				c := dial(s, 4001, mdb, []pcaptest.Option{pcaptest.NoHandshake()})
				c.Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
				later(s)
			},
			findings: []string{"ASYMMETRIC"},
		},
	})
}

func TestScenesOfKerberos(t *testing.T) {
	const kdc = "10.2.0.1:88"
	fail := func(s *pcaptest.Scene, code int, ctime time.Duration) {
		e := pcaptest.KRBError{Code: code, STime: s.Now(), Realm: "CORP.TEST", Server: "exchangeMDB/casarray.corp.test"}
		if ctime != 0 {
			e.CTime = s.Now().Add(ctime)
		}
		s.UDP(kdc, outlook+":3000", e.Bytes())
	}
	logon := func(open func(c *pcaptest.Conn) *rpc, before func(s *pcaptest.Scene)) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			before(s)
			if open != nil {
				open(dial(s, 4001, mdb)).connect(pcaptest.Outlook2007).c.Close()
			}
		}
	}
	byNTLM := func(c *pcaptest.Conn) *rpc { return ntlm(c, pcaptest.EMSMDB, 2) }
	byKerberos := func(c *pcaptest.Conn) *rpc { return kerberos(c, pcaptest.EMSMDB, 2) }
	runScenes(t, []sceneRow{
		{
			name:     "no such service, then NTLM",
			build:    logon(byNTLM, func(s *pcaptest.Scene) { fail(s, 7, 0) }),
			findings: []string{"KERBEROS_ERROR"}, detail: "for exchangeMDB/casarray.corp.test, then connection 2 logs on with NTLM",
		},
		{
			name:  "no such service, then NTLM with privacy: the finding says why",
			build: logon(func(c *pcaptest.Conn) *rpc { return ntlm(c, pcaptest.EMSMDB, 6) }, func(s *pcaptest.Scene) { fail(s, 7, 0) }),
			findings: []string{
				"ENCRYPTED_CONNECTION", "KERBEROS_ERROR", "UNSUPPORTED_AUTH_NTLM",
			},
		},
		{name: "near: then Kerberos", build: logon(byKerberos, func(s *pcaptest.Scene) { fail(s, 7, 0) })},
		{name: "near: pre-authentication is part of every logon", build: logon(byNTLM, func(s *pcaptest.Scene) { fail(s, 25, 0) })},
		{name: "near: the answer was too big for a datagram", build: logon(byNTLM, func(s *pcaptest.Scene) { fail(s, 52, 0) })},
		{name: "near: NTLM an hour later", build: logon(byNTLM, func(s *pcaptest.Scene) { fail(s, 7, 0); s.Sleep(time.Hour) })},
		{name: "near: nothing follows", build: logon(nil, func(s *pcaptest.Scene) { fail(s, 7, 0) })},
		{
			name:     "skew, the server echoes the client's clock",
			build:    logon(nil, func(s *pcaptest.Scene) { fail(s, 37, 400*time.Second) }),
			findings: []string{"KERBEROS_CLOCK_SKEW"}, detail: "its clock is 6m40s behind the client's",
		},
		{
			name:     "skew, the capture agrees with the server",
			build:    logon(nil, func(s *pcaptest.Scene) { fail(s, 37, 0) }),
			findings: []string{"KERBEROS_CLOCK_SKEW"}, detail: "so the clock that is off is the client's",
		},
		{
			name: "skew inside a bind_ack",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				e := pcaptest.KRBError{Code: 37, STime: s.Now().Add(-10 * time.Minute), Realm: "CORP.TEST", Server: "exchangeMDB/mail1"}
				bindAuth(dial(s, 4001, mdb), pcaptest.EMSMDB, 16, 2, pcaptest.APReq("CORP.TEST", "exchangeMDB/mail1"), e.Token(), nil).c.Close()
			},
			findings: []string{"AUTH_REJECTED", "KERBEROS_CLOCK_SKEW"}, detail: "its clock is 10m0s behind the capture's",
		},
		{
			name: "a refusal inside a bind_ack, and no session",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				e := pcaptest.KRBError{Code: 41, STime: s.Now(), Realm: "CORP.TEST", Server: "exchangeMDB/mail1"}
				bindAuth(dial(s, 4001, mdb), pcaptest.EMSMDB, 16, 2, pcaptest.APReq("CORP.TEST", "exchangeMDB/mail1"), e.Token(), nil).c.Close()
			},
			findings: []string{"AUTH_REJECTED", "KERBEROS_ERROR"},
		},
	})
}

func TestScenesOfClientsAndCalls(t *testing.T) {
	version := func(v pcaptest.Version) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			bind(dial(s, 4001, mdb), pcaptest.EMSMDB, 0, 0x2000).connect(v).polls(2).c.Close()
		}
	}
	calls := func(n int, think time.Duration, trip ...pcaptest.Option) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000, trip)
			r := bind(dial(s, 4001, mdb, trip), pcaptest.EMSMDB, 0, 0x2000).connect(pcaptest.Outlook2007)
			for range n {
				request, response := poll()
				r.slow(pcaptest.OpEcDoRpcExt2, think, request, response)
			}
			r.c.Close()
		}
	}
	web := func(line string) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			c := dial(s, 4001, exchange+":80")
			c.Client([]byte(line + "\r\nHost: mail1\r\n\r\n")).Server([]byte("HTTP/1.1 200 Success\r\n\r\n")).Close()
		}
	}
	v := func(major, build uint16) pcaptest.Version { return pcaptest.Version{major << 8, 0x8000 | build, 1000} }
	runScenes(t, []sceneRow{
		{name: "Outlook 97", build: version(pcaptest.Version{5, 1457, 0}), findings: []string{"UNSUPPORTED_CLIENT"}, detail: "older than Outlook 2000"},
		{name: "near: Outlook 2000 announces 5.0.3xxx", build: version(pcaptest.Version{5, 3144, 0})},
		{name: "Outlook 2010 under 5.3", build: version(v(14, 4760))},
		{name: "Outlook 2010 under 4.5", build: version(v(14, 4760)), waas: "4.5", findings: []string{"UNSUPPORTED_CLIENT"}, detail: "newer than release 4.5 knows"},
		{name: "near: Outlook 2007 under 4.1", build: version(pcaptest.Outlook2007), waas: "4.1"},
		{name: "Outlook 2016 under 5.3", build: version(v(16, 4229)), findings: []string{"UNSUPPORTED_CLIENT"}},

		{name: "slow calls are counted", build: calls(6, 300*time.Millisecond), findings: []string{"SLOW_CALLS"}, detail: "6 of 6 calls of EcDoRpcExt2 took 100ms or more, the longest 301ms"},
		{name: "a handshake over a WAN shows that the network takes less", build: calls(6, 300*time.Millisecond, pcaptest.RTT(40*time.Millisecond)), findings: []string{"SLOW_CALLS"}, detail: "so that time is not spent on this network"},
		{name: "one of a LAN does not", build: calls(6, 300*time.Millisecond, pcaptest.RTT(2*time.Millisecond)), findings: []string{"SLOW_CALLS"}, detail: "does not show here"},
		{name: "near: calls that a person does not notice", build: calls(6, 60*time.Millisecond)},
		{name: "near: four slow calls say nothing", build: calls(4, 300*time.Millisecond)},

		{name: "RPC over HTTP", build: web("RPC_IN_DATA /rpc/rpcproxy.dll?mail1:6001 HTTP/1.1"), findings: []string{"HTTP_TRANSPORT"}},
		{name: "MAPI over HTTP", build: web("POST /mapi/emsmdb/?MailboxId=1 HTTP/1.1"), findings: []string{"HTTP_TRANSPORT"}},
		{name: "near: another web page", build: web("POST /owa/service.svc HTTP/1.1")},

		{
			name: "bytes that were never captured",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				r := mail(dial(s, 4001, mdb), 0, 0x2000)
				r.c.Drop(1)
				r.polls(3).c.Close()
			},
			findings: []string{"CAPTURE_LOSS"},
		},
		{
			name: "packets that were cut",
			build: func(s *pcaptest.Scene) {
				s.Snaplen(120)
				mapper(s, 4000)
			},
			findings: []string{"CAPTURE_LOSS", "CAPTURE_LOSS"},
		},
		{
			name: "near: lost and sent again, late and out of order",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				r := mail(dial(s, 4001, mdb, []pcaptest.Option{pcaptest.AckEvery(0)}), 0, 0x2000)
				request, response := poll()
				r.call++
				r.c.Drop(1).Client(pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, request).Call(r.call).Bytes()).Sleep(300 * time.Millisecond).Retransmit()
				r.c.Server(pcaptest.Response(0, response).Call(r.call).Bytes())
				r.c.Reorder().Client(noise(4000, 3))
				r.c.Close()
			},
		},
	})
}

// TestPlaceThatIsSaid: what the user says of a capture point decides what an
// unanswered option means.
func TestPlaceThatIsSaid(t *testing.T) {
	build := func(s *pcaptest.Scene) {
		out := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}
		mapper(s, 4000, out)
		mail(dial(s, 4001, mdb, out), 0, 0x2000).c.Close()
	}
	runScenes(t, []sceneRow{
		{name: "on the WAN", build: build, at: pcaps.WAN, findings: []string{"OPTION_STRIPPED"}, optimize: map[uint16]string{4000: "pass_through", 4001: "pass_through"}},
		{name: "at the core", build: build, at: pcaps.Core},
	})
}

// TestVanishedSYNs: SYNs with the discovery option that nothing answers, and
// one without it that is answered, on the same connection or on a later one.
func TestVanishedSYNs(t *testing.T) {
	vanished := func(s *pcaptest.Scene, port uint16, options ...[]pcaptest.Option) {
		c := dial(s, port, mdb, append(options, onWAN(), []pcaptest.Option{pcaptest.NoHandshake(), pcaptest.SegmentOptions(waasOption(1)...)})...)
		for range 3 {
			c.Segment(pcaptest.Client, -1, nil, pcaptest.SYN).Sleep(3 * time.Second)
		}
	}
	runScenes(t, []sceneRow{
		{
			name: "one connection", at: pcaps.WAN,
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				vanished(s, 4001)
				mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).c.Close()
			},
			findings: []string{"OPTION_DROPPED"}, optimize: map[uint16]string{4001: "pass_through"},
		},
		{
			name: "a later connection", at: pcaps.WAN,
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				vanished(s, 4001)
				mail(dial(s, 4002, mdb, onWAN()), 0, 0x2000).c.Close()
			},
			findings: []string{"ENDPOINT_UNREACHABLE", "OPTION_DROPPED"},
		},
		{
			name: "near: the later one has the option, and no answer to it", at: pcaps.WAN,
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				vanished(s, 4001)
				mail(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}), 0, 0x2000).c.Close()
			},
			findings: []string{"ENDPOINT_UNREACHABLE", "OPTION_STRIPPED"}, optimize: map[uint16]string{4002: "pass_through"},
		},
		{
			name: "near: the SYN without the option comes first", at: pcaps.WAN,
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				mail(dial(s, 4002, mdb, onWAN()), 0, 0x2000).c.Close()
				vanished(s, 4001)
			},
			findings: []string{"ENDPOINT_UNREACHABLE"},
		},
	})
}

// TestRefusedForWantOfEncryption: the server opens no mailbox to a client that
// does not encrypt.
func TestRefusedForWantOfEncryption(t *testing.T) {
	refused := func(status uint32) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			mapper(s, 4000)
			c := dial(s, 4001, mdb)
			c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
			c.Server(pcaptest.BindAck(0x2000, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
			c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: "/o=x/cn=alice", Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(2).Bytes())
			c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{Status: status}.Response(pcaptest.NDR{})).Call(2).Bytes())
			c.Close()
		}
	}
	runScenes(t, []sceneRow{
		{name: "not encrypted", build: refused(0x970), findings: []string{"ENCRYPTION_REQUIRED"}},
		{name: "near: refused for another reason", build: refused(0x3eb)},
	})
}

// TestFindingsAreComplete: a finding names its connections, hosts and packets,
// and says what to do.
func TestFindingsAreComplete(t *testing.T) {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	mapper(s, 4000, onWAN())
	a := hidden(s, 4001)
	b := ntlm(dial(s, 4003, mdb, onWAN()), pcaptest.EMSMDB, 6)
	b.c.Close()
	a.Close()
	for _, f := range analyse(t, 1, s.WriteFile(t, "complete.pcap")).Findings {
		if f.Title == "" || f.Detail == "" || !strings.HasSuffix(f.Advice, ".") || len(f.Connections) == 0 || len(f.Clients) == 0 || len(f.Servers) == 0 || len(f.Packets) == 0 {
			t.Errorf("%s is incomplete: %+v", f.Code, f)
		}
	}
}

// TestEncryptionOverTime: what a client asked, what it got, and when that
// changed.
func TestEncryptionOverTime(t *testing.T) {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	mapper(s, 4000)
	e := pcaptest.KRBError{Code: 41, STime: s.Now(), Realm: "CORP.TEST", Server: "exchangeMDB/mail1"}
	bindAuth(dial(s, 4001, mdb), pcaptest.EMSMDB, 16, 6, pcaptest.APReq("CORP.TEST", "exchangeMDB/mail1"), e.Token(), nil).c.Close()
	for i, level := range []byte{6, 6, 2} {
		r := ntlm(dial(s, 4002+uint16(i), mdb), pcaptest.EMSMDB, level)
		r.do(pcaptest.OpEcDoRpcExt2, noise(64, 1), noise(96, 2)).c.Close()
	}
	got := analyse(t, 1, s.WriteFile(t, "encryption.pcap")).Encryption
	want := []document.Encryption{
		{
			Client: outlook, Server: exchange, Service: "mapi", Asked: "privacy", Offered: []string{}, Connections: []int{2}, Refused: 1,
			Changes: []document.EncryptionChange{{Connection: 2, Type: "kerberos", Mechanism: ref("kerberos"), Level: "privacy", State: "rejected", Accelerator: ref("mapi")}},
		},
		{
			Client: outlook, Server: exchange, Service: "mapi", User: ref(`CORP\alice`), Asked: "privacy", Offered: []string{}, Used: ref("privacy"),
			Mechanism: ref("ntlm"), SealedPDUs: 4, Connections: []int{3, 4, 5}, Fallback: true,
			Changes: []document.EncryptionChange{
				{Connection: 3, Type: "ntlm", Mechanism: ref("ntlm"), Level: "privacy", State: "established", Accelerator: ref("generic")},
				{Connection: 5, Type: "ntlm", Mechanism: ref("ntlm"), Level: "connect", State: "established", Accelerator: ref("mapi")},
			},
		},
	}
	ignore := cmpopts.IgnoreFields(document.EncryptionChange{}, "Time", "Packet")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("encryption (-want +got):\n%s", diff)
	}
}

func ref[T any](v T) *T { return &v }
