package dcerpc

import (
	"testing"

	"mapiscope/internal/wire"
)

func TestReasons(t *testing.T) {
	refused := []string{
		"reason not specified", "temporary congestion", "local limit exceeded", "called presentation address unknown",
		"protocol version not supported", "default context not supported", "user data not readable",
		"no presentation access point available", "authentication type not recognized", "invalid checksum", "reason 10",
	}
	for i, want := range refused {
		if got := BindNakReasonName(uint16(i)); got != want {
			t.Errorf("bind_nak reason %d: %q, want %q", i, got, want)
		}
	}
	rejected := []string{"reason not specified", "abstract syntax not supported", "proposed transfer syntaxes not supported", "local limit exceeded", "reason 4"}
	for i, want := range rejected {
		if got := ReasonName(uint16(i)); got != want {
			t.Errorf("reason %d: %q, want %q", i, got, want)
		}
	}
	types := map[uint8]string{
		0: "none", 1: "dce_private", 2: "dce_public", 9: "spnego", 10: "ntlm", 14: "schannel", 16: "kerberos", 17: "dpa", 18: "msn",
		20: "digest", 68: "netlogon", 100: "message_queue", 255: "default",
	}
	for kind, want := range types {
		if got := AuthTypeName(kind); got != want {
			t.Errorf("auth_type %d: %q, want %q", kind, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ got, want string }{
		{AuthTypeName(0), "none"}, {AuthTypeName(9), "spnego"}, {AuthTypeName(10), "ntlm"}, {AuthTypeName(14), "schannel"},
		{AuthTypeName(16), "kerberos"}, {AuthTypeName(20), "digest"}, {AuthTypeName(68), "netlogon"}, {AuthTypeName(255), "default"}, {AuthTypeName(77), "type 77"},
		{AuthLevelName(0), "none"}, {AuthLevelName(1), "none"}, {AuthLevelName(2), "connect"}, {AuthLevelName(3), "call"},
		{AuthLevelName(4), "packet"}, {AuthLevelName(5), "integrity"}, {AuthLevelName(6), "privacy"}, {AuthLevelName(7), "level 7"},
		{Acceptance.String(), "acceptance"}, {UserRejection.String(), "user_rejection"}, {ProviderRejection.String(), "provider_rejection"},
		{NegotiateAck.String(), "negotiate_ack"}, {Result(4).String(), "result 4"},
		{ReasonName(1), "abstract syntax not supported"}, {ReasonName(2), "proposed transfer syntaxes not supported"}, {ReasonName(9), "reason 9"},
		{BindNakReasonName(4), "protocol version not supported"}, {BindNakReasonName(8), "authentication type not recognized"}, {BindNakReasonName(99), "reason 99"},
		{FaultName(5), "access denied"}, {FaultName(0x1c010002), "nca_s_op_rng_error"}, {FaultName(0x1c010003), "nca_s_unk_if"},
		{FaultName(0x1c01000b), "nca_s_proto_error"}, {FaultName(0x1c00001c), "nca_s_invalid_pres_context_id"}, {FaultName(0x6f7), "rpc_x_bad_stub_data"},
		{FaultName(0x1c00000d), "nca_s_fault_cancel"}, {FaultName(0xdeadbeef), "unknown"},
		{TransferSyntaxName(NDR), "NDR"}, {TransferSyntaxName(NDR64), "NDR64"}, {TransferSyntaxName(wire.UUID{}), ""},
		{TransferSyntaxName(wire.MustUUID("6cb71c2c-9812-4540-0300-000000000000")), "bind time feature negotiation"},
		{Offered.String(), "offered"}, {Established.String(), "established"}, {Rejected.String(), "rejected"}, {Incomplete.String(), "incomplete"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
