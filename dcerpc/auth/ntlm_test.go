package auth

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"
)

// authenticate writes an AUTHENTICATE with the whole fixed part.
func authenticate(flags uint32, lm, nt []byte, domain, user, station []byte) []byte {
	return newNTLM(3, 88).uint32(authFlags, flags).
		field(authDomain, domain).field(authUser, user).field(authStation, station).
		field(authLM, lm).field(authNT, nt).bytes()
}

// answered is what every AUTHENTICATE of the table says.
func answered(flags uint32, version string, f Facts) Facts {
	f.Mechanism, f.NTLMFlags, f.NTLMVersion, f.Messages = "ntlm", flags, version, []string{"ntlm authenticate"}
	return f
}

func TestNTLM(t *testing.T) {
	v := slices.Concat([]byte{10, 0}, binary.LittleEndian.AppendUint16(nil, 19045), []byte{0, 0, 0, 15})
	negotiate := func(flags uint32) *ntlmBuilder { return newNTLM(1, 40).uint32(negotiateFlags, flags) }
	challenge := func(flags uint32) *ntlmBuilder { return newNTLM(2, 56).uint32(challengeFlags, flags) }
	versioned := negotiate(flagVersion)
	copy(versioned.fixed[negotiateVersion:], v)
	hello := func(f Facts) Facts {
		f.Mechanism, f.Messages = "ntlm", []string{"ntlm negotiate"}
		return f
	}
	challenged := func(f Facts) Facts {
		f.Mechanism, f.Messages = "ntlm", []string{"ntlm challenge"}
		return f
	}
	behind := challenge(flagUnicode).field(challengeTarget, wide("CORP"))
	behind.uint32(challengeTarget+4, 0xfffffff0)
	long := strings.Repeat("x", maxName+1)
	nt24, lm24 := make([]byte, 24), make([]byte, 24)
	target := slices.Concat(make([]byte, 44), av(avTargetName, wide("exchangeMDB/mail1")), av(avTimestamp, binary.LittleEndian.AppendUint64(nil, 116444736000000000+15)), av(avEOL, nil))
	old := newNTLM(3, 52).field(authDomain, []byte("CORP")).field(authUser, []byte("alice")).field(authNT, nt24)

	checkRows(t, []row{
		{"negotiate without names", 10, newNTLM(1, 16).uint32(negotiateFlags, flagUnicode).bytes(), hello(Facts{NTLMFlags: flagUnicode})},
		{"negotiate with a version", 10, versioned.bytes(), hello(Facts{NTLMFlags: flagVersion, ClientVersion: "10.0.19045"})},
		{"negotiate with an empty version", 10, negotiate(flagVersion).bytes(), hello(Facts{NTLMFlags: flagVersion})},
		{"names of a negotiate are OEM", 10,
			negotiate(flagUnicode|flagDomainSupplied|flagStationSupplied).field(negotiateDomain, []byte("CORP")).field(negotiateStation, []byte("WS01")).bytes(),
			hello(Facts{NTLMFlags: flagUnicode | flagDomainSupplied | flagStationSupplied, Domain: "CORP", Workstation: "WS01"})},
		{"fields of a negotiate without the flags", 10,
			negotiate(flagUnicode).field(negotiateDomain, []byte("CORP")).bytes(), hello(Facts{NTLMFlags: flagUnicode})},
		{"negotiate cut before the flags", 10, newNTLM(1, 14).bytes(), hello(Facts{Malformed: true})},

		{"challenge in OEM", 10, challenge(0).field(challengeTarget, []byte("CORP")).bytes(), challenged(Facts{Target: "CORP"})},
		{"challenge in OEM that is not UTF-8", 10, challenge(0).field(challengeTarget, []byte("K\xd6LN")).bytes(), challenged(Facts{Target: "K\uFFFDLN"})},
		{"challenge of 32 bytes", 10, newNTLM(2, 32).uint32(challengeFlags, flagUnicode).field(challengeTarget, wide("CORP")).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Target: "CORP"})},
		{"AV pairs", 10, challenge(flagUnicode).field(challengeInfo, slices.Concat(
			av(avNetBIOSDomain, wide("CORP")), av(avNetBIOSComputer, wide("MAIL1")), av(avDNSDomain, wide("corp.test")),
			av(avDNSComputer, wide("mail1.corp.test")), av(avDNSTree, wide("test")), av(99, []byte{1}), av(avEOL, nil), []byte("rest"))).bytes(),
			challenged(Facts{
				NTLMFlags: flagUnicode, NetBIOSDomain: "CORP", NetBIOSComputer: "MAIL1",
				DNSDomain: "corp.test", DNSComputer: "mail1.corp.test", DNSTree: "test",
			})},
		{"empty sequence of AV pairs", 10, challenge(flagUnicode).field(challengeInfo, av(avEOL, nil)).bytes(), challenged(Facts{NTLMFlags: flagUnicode})},
		{"AV pairs without an end", 10, challenge(flagUnicode).field(challengeInfo, av(avDNSTree, wide("test"))).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, DNSTree: "test"})},
		{"AV pair longer than the sequence", 10, challenge(flagUnicode).field(challengeInfo, []byte{1, 0, 9, 0, 'x', 0}).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Malformed: true})},
		{"half an AV pair", 10, challenge(flagUnicode).field(challengeInfo, []byte{1, 0, 0}).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Malformed: true})},
		{"timestamp of a wrong size", 10, challenge(flagUnicode).field(challengeInfo, av(avTimestamp, make([]byte, 4))).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode})},
		{"target name behind the message", 10, behind.bytes(), challenged(Facts{NTLMFlags: flagUnicode, Malformed: true})},
		{"half a character", 10, challenge(flagUnicode).field(challengeTarget, []byte("C\x00O")).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Target: "C", Malformed: true})},
		{"half a surrogate pair", 10, challenge(flagUnicode).field(challengeTarget, []byte{0x3d, 0xd8}).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Target: "\uFFFD"})},
		{"name too long, wide", 10, challenge(flagUnicode).field(challengeTarget, wide(long)).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Target: long[:maxName], Malformed: true})},
		{"name too long, OEM", 10, challenge(0).field(challengeTarget, []byte(long)).bytes(), challenged(Facts{Target: long[:maxName], Malformed: true})},

		{"authenticate in Unicode", 10, authenticate(flagUnicode, lm24, nt24, wide("CORP"), wide("bjørn"), wide("WS01")),
			answered(flagUnicode, "NTLMv1", Facts{Domain: "CORP", User: "bjørn", Workstation: "WS01"})},
		{"authenticate in OEM", 10, authenticate(0, lm24, nt24, []byte("CORP"), []byte("alice"), []byte("WS01")),
			answered(0, "NTLMv1", Facts{Domain: "CORP", User: "alice", Workstation: "WS01"})},
		{"ASCII under the Unicode flag", 10, authenticate(flagUnicode, lm24, nt24, []byte("CORP"), []byte("alice"), []byte("WS01")),
			answered(flagUnicode, "NTLMv1", Facts{Domain: "CORP", User: "alice", Workstation: "WS01"})},
		{"ASCII under the Unicode flag, all of an even length", 10, authenticate(flagUnicode, lm24, nt24, []byte("CORP"), []byte("bo"), []byte("WS01")),
			answered(flagUnicode, "NTLMv1", Facts{Domain: "CORP", User: "bo", Workstation: "WS01"})},
		{"ASCII under the Unicode flag, one name", 10, authenticate(flagUnicode, lm24, nt24, wide("CORP"), []byte("alice"), wide("WS01")),
			answered(flagUnicode, "NTLMv1", Facts{Domain: "CORP", User: "alice", Workstation: "WS01"})},
		{"Han script whose bytes are letters", 10, authenticate(flagUnicode, lm24, nt24, wide("CORP"), []byte("usercorp"), wide("WS01")),
			answered(flagUnicode, "NTLMv1", Facts{Domain: "CORP", User: "獵牥潣灲", Workstation: "WS01"})},
		{"two letters of Han script alone", 10, authenticate(flagUnicode, lm24, nt24, nil, []byte("user"), nil),
			answered(flagUnicode, "NTLMv1", Facts{User: "獵牥"})},
		{"challenge in ASCII under the Unicode flag", 10, challenge(flagUnicode).field(challengeTarget, []byte("LAB")).bytes(),
			challenged(Facts{NTLMFlags: flagUnicode, Target: "LAB"})},
		{"session security", 10, authenticate(flagUnicode|flagExtendedSecurity, lm24, nt24, nil, wide("alice"), nil),
			answered(flagUnicode|flagExtendedSecurity, "NTLMv1 session security", Facts{User: "alice"})},
		{"LM", 10, authenticate(flagUnicode, lm24, nil, nil, wide("alice"), nil), answered(flagUnicode, "LM", Facts{User: "alice"})},
		{"anonymous", 10, authenticate(flagUnicode, []byte{0}, nil, nil, nil, wide("WS01")),
			answered(flagUnicode, "anonymous", Facts{Workstation: "WS01", Anonymous: true})},
		{"responses of no known size", 10, authenticate(flagUnicode, nil, make([]byte, 8), nil, nil, nil), answered(flagUnicode, "", Facts{})},
		{"service in an NTLMv2 response", 10, authenticate(flagUnicode, lm24, target, nil, wide("alice"), nil),
			answered(flagUnicode, "NTLMv2", Facts{User: "alice", SPN: "exchangeMDB/mail1", ServerTime: time.Unix(0, 1500).UTC()})},
		{"authenticate without flags", 10, old.bytes(), answered(0, "NTLMv1", Facts{Domain: "CORP", User: "alice"})},
		{"authenticate cut", 10, newNTLM(3, 48).bytes(), answered(0, "", Facts{Malformed: true})},

		{"unknown message", 10, newNTLM(4, 64).bytes(), Facts{Mechanism: "ntlm", Malformed: true}},
		{"signature alone", 10, []byte("NTLMSSP\x00"), Facts{Mechanism: "ntlm", Malformed: true}},
		{"NTLM where SPNEGO belongs", 9, challenge(0).field(challengeTarget, []byte("CORP")).bytes(), challenged(Facts{Target: "CORP"})},
	})
}

// TestAuthenticateReplacesTheNegotiate: the NEGOTIATE tells the machine's
// domain, the AUTHENTICATE the user's.
func TestAuthenticateReplacesTheNegotiate(t *testing.T) {
	var f Facts
	f.Add(10, newNTLM(1, 40).uint32(negotiateFlags, flagDomainSupplied|flagStationSupplied).
		field(negotiateDomain, []byte("MACHINES")).field(negotiateStation, []byte("WS01")).bytes())
	f.Add(10, authenticate(flagUnicode, nil, make([]byte, 24), wide("PEOPLE"), wide("alice"), wide("WS02")))
	f.Add(10, authenticate(flagUnicode, nil, make([]byte, 24), wide("OTHERS"), wide("bob"), wide("WS03")))
	if f.Domain != "PEOPLE" || f.User != "alice" || f.Workstation != "WS02" {
		t.Errorf("%s\\%s on %s", f.Domain, f.User, f.Workstation)
	}
}

// TestFlagsOfAnOldAuthenticate: without flags those of the challenge hold.
func TestFlagsOfAnOldAuthenticate(t *testing.T) {
	var f Facts
	f.Add(10, newNTLM(2, 48).uint32(challengeFlags, flagUnicode).bytes())
	f.Add(10, newNTLM(3, 52).field(authUser, wide("alice")).field(authNT, bytes.Repeat([]byte{1}, 24)).bytes())
	if f.User != "alice" || f.NTLMFlags != flagUnicode {
		t.Errorf("user %q, flags %#x", f.User, f.NTLMFlags)
	}
}
