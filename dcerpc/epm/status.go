package epm

import "fmt"

// statusNames are the status codes that endpoint mappers answer with: those
// of DCE ([C706] appendix E), and Win32 codes that Windows puts in their place.
var statusNames = map[uint32]string{
	0:          "ok",
	5:          "access_denied",
	0x6b5:      "unknown_if",
	0x6d7:      "ept_s_invalid_entry",
	0x6d8:      "ept_s_cant_perform_op",
	0x6d9:      "ept_s_not_registered",
	0x16c9a012: "rpc_s_no_memory",
	0x16c9a0bd: "rpc_s_invalid_vers_option",
	0x16c9a0cd: "ept_s_cant_perform_op",
	0x16c9a0ce: "ept_s_no_memory",
	0x16c9a0cf: "ept_s_database_invalid",
	0x16c9a0d0: "ept_s_cant_create",
	0x16c9a0d1: "ept_s_cant_access",
	0x16c9a0d2: "ept_s_database_already_open",
	0x16c9a0d3: "ept_s_invalid_entry",
	0x16c9a0d4: "ept_s_update_failed",
	0x16c9a0d5: "ept_s_invalid_context",
	0x16c9a0d6: "ept_s_not_registered",
	0x16c9a0d7: "ept_s_server_unavailable",
}

// StatusName returns the name of the status of an answer, e.g. "ok" or
// "ept_s_not_registered" (also the regular end of a lookup); for an unknown
// one its number as "0x1c010003".
func StatusName(status uint32) string {
	if name, ok := statusNames[status]; ok {
		return name
	}
	return fmt.Sprintf("0x%08x", status)
}
