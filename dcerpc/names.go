package dcerpc

import (
	"fmt"

	"mapiscope/internal/wire"
)

// Transfer syntaxes ([C706] 14.1, [MS-RPCE] 2.2.5, 3.3.1.5.3).
var (
	NDR   = wire.MustUUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
	NDR64 = wire.MustUUID("71710533-beba-4937-8319-b5dbef9ccc36")

	// negotiation is the first half of the bind time feature negotiation
	// syntax; the feature bits stand in the second.
	negotiation = wire.MustUUID("6cb71c2c-9812-4540-0000-000000000000")
)

func isNegotiation(u wire.UUID) bool { return [8]byte(u[:8]) == [8]byte(negotiation[:8]) }

// TransferSyntaxName names a transfer syntax, "" when it is unknown.
func TransferSyntaxName(u wire.UUID) string {
	switch {
	case u == NDR:
		return "NDR"
	case u == NDR64:
		return "NDR64"
	case isNegotiation(u):
		return "bind time feature negotiation"
	}
	return ""
}

// Authentication levels ([MS-RPCE] 2.2.1.1.8).
const (
	LevelNone      = 1
	LevelConnect   = 2
	LevelCall      = 3
	LevelPacket    = 4
	LevelIntegrity = 5
	LevelPrivacy   = 6
)

// AuthLevelName names an authentication level.
func AuthLevelName(level uint8) string {
	names := [...]string{"none", "none", "connect", "call", "packet", "integrity", "privacy"}
	if int(level) < len(names) {
		return names[level]
	}
	return fmt.Sprintf("level %d", level)
}

// AuthSPNEGO is the security provider that negotiates another one ([MS-RPCE]
// 2.2.1.1.7).
const AuthSPNEGO = 9

// AuthTypeName names a security provider ([MS-RPCE] 2.2.1.1.7).
func AuthTypeName(kind uint8) string {
	switch kind {
	case 0:
		return "none"
	case 1:
		return "dce_private"
	case 2:
		return "dce_public"
	case AuthSPNEGO:
		return "spnego"
	case 10:
		return "ntlm"
	case 14:
		return "schannel"
	case 16:
		return "kerberos"
	case 17:
		return "dpa"
	case 18:
		return "msn"
	case 20:
		return "digest"
	case 68:
		return "netlogon"
	case 100:
		return "message_queue"
	case 255:
		return "default"
	}
	return fmt.Sprintf("type %d", kind)
}

// ReasonName names the reason of a rejected context ([C706] 12.6.3.1,
// [MS-RPCE] 2.2.2.5).
func ReasonName(reason uint16) string {
	switch reason {
	case 0:
		return "reason not specified"
	case 1:
		return "abstract syntax not supported"
	case 2:
		return "proposed transfer syntaxes not supported"
	case 3:
		return "local limit exceeded"
	}
	return fmt.Sprintf("reason %d", reason)
}

// BindNakReasonName names the reason of a bind_nak ([C706] 12.6.3.1,
// [MS-RPCE] 2.2.2.5).
func BindNakReasonName(reason uint16) string {
	switch reason {
	case 0:
		return "reason not specified"
	case 1:
		return "temporary congestion"
	case 2:
		return "local limit exceeded"
	case 3:
		return "called presentation address unknown"
	case 4:
		return "protocol version not supported"
	case 5:
		return "default context not supported"
	case 6:
		return "user data not readable"
	case 7:
		return "no presentation access point available"
	case 8:
		return "authentication type not recognized"
	case 9:
		return "invalid checksum"
	}
	return fmt.Sprintf("reason %d", reason)
}

// faultNames are the statuses that faults carry: those of [C706] appendix E and
// the system errors that Windows puts there.
var faultNames = map[uint32]string{
	0x00000001: "nca_s_fault_other", 0x00000005: "access denied",
	0x0000000e: "out of memory", 0x00000057: "invalid parameter",
	0x000006b5: "rpc_s_unknown_if", 0x000006ba: "rpc_s_server_unavailable", 0x000006bb: "rpc_s_server_too_busy",
	0x000006be: "rpc_s_call_failed", 0x000006bf: "rpc_s_call_failed_dne", 0x000006c0: "rpc_s_protocol_error",
	0x000006c6: "rpc_s_invalid_bound", 0x000006d1: "rpc_s_procnum_out_of_range", 0x000006d3: "rpc_s_unknown_authn_service",
	0x000006d4: "rpc_s_unknown_authn_level", 0x000006d5: "rpc_s_invalid_auth_identity", 0x000006d8: "ept_s_cant_perform_op",
	0x000006d9: "ept_s_not_registered", 0x000006e4: "rpc_s_cannot_support", 0x000006f4: "rpc_x_null_ref_pointer",
	0x000006f7: "rpc_x_bad_stub_data", 0x0000071a: "rpc_s_call_cancelled", 0x00000721: "rpc_s_sec_pkg_error",
	0x80070005: "access denied", 0x16c9a0d6: "ept_s_not_registered",
	0x1c000001: "nca_s_fault_int_div_by_zero", 0x1c000002: "nca_s_fault_addr_error", 0x1c000003: "nca_s_fault_fp_div_zero",
	0x1c000004: "nca_s_fault_fp_underflow", 0x1c000005: "nca_s_fault_fp_overflow", 0x1c000006: "nca_s_fault_invalid_tag",
	0x1c000007: "nca_s_fault_invalid_bound", 0x1c000008: "nca_s_rpc_version_mismatch", 0x1c000009: "nca_s_unspec_reject",
	0x1c00000a: "nca_s_bad_actid", 0x1c00000b: "nca_s_who_are_you_failed", 0x1c00000c: "nca_s_manager_not_entered",
	0x1c00000d: "nca_s_fault_cancel", 0x1c00000e: "nca_s_fault_ill_inst", 0x1c00000f: "nca_s_fault_fp_error",
	0x1c000010: "nca_s_fault_int_overflow", 0x1c000012: "nca_s_fault_unspec", 0x1c000013: "nca_s_fault_remote_comm_failure",
	0x1c000014: "nca_s_fault_pipe_empty", 0x1c000015: "nca_s_fault_pipe_closed", 0x1c000016: "nca_s_fault_pipe_order",
	0x1c000017: "nca_s_fault_pipe_discipline", 0x1c000018: "nca_s_fault_pipe_comm_error", 0x1c000019: "nca_s_fault_pipe_memory",
	0x1c00001a: "nca_s_fault_context_mismatch", 0x1c00001b: "nca_s_fault_remote_no_memory",
	0x1c00001c: "nca_s_invalid_pres_context_id", 0x1c00001d: "nca_s_unsupported_authn_level",
	0x1c00001f: "nca_s_invalid_checksum", 0x1c000020: "nca_s_invalid_crc", 0x1c000021: "nca_s_fault_user_defined",
	0x1c000022: "nca_s_fault_tx_open_failed", 0x1c000023: "nca_s_fault_codeset_conv_error",
	0x1c000024: "nca_s_fault_object_not_found", 0x1c000025: "nca_s_fault_no_client_stub",
	0x1c010001: "nca_s_comm_failure", 0x1c010002: "nca_s_op_rng_error", 0x1c010003: "nca_s_unk_if",
	0x1c010006: "nca_s_wrong_boot_time", 0x1c010009: "nca_s_you_crashed", 0x1c01000b: "nca_s_proto_error",
	0x1c010013: "nca_s_out_args_too_big", 0x1c010014: "nca_s_server_too_busy", 0x1c010015: "nca_s_string_too_long",
	0x1c010017: "nca_s_unsupported_type",
}

// FaultName names the status of a fault, "unknown" when it is not known.
func FaultName(status uint32) string {
	if name, ok := faultNames[status]; ok {
		return name
	}
	return "unknown"
}

// authFault reports whether a fault, as the answer to the first call, says that
// the authentication failed.
func authFault(status uint32) bool {
	switch status {
	case 0x5, 0x721, 0x6d3, 0x6d4, 0x6d5, 0x80070005, 0x1c00001d, 0x1c00001f, 0x1c01000b:
		return true
	}
	return false
}
