package emsmdb

// returnNames names the return values of EMSMDB calls ([MS-OXCRPC] 3.1.4.1,
// [MS-OXCDATA] 2.4).
var returnNames = map[uint32]string{
	0x00000000:   "success",
	0x000003eb:   "unknown user",
	0x00000478:   "wrong server",
	0x00000480:   "server busy",
	0x000004b6:   "RPC failed",
	0x000004df:   "client version disallowed",
	0x000004e0:   "RPC over HTTP disallowed",
	0x000004e1:   "cached mode required",
	0x000007d8:   "protocol disabled",
	0x000007ee:   "asynchronous calls rejected",
	NotEncrypted: "not encrypted",
	0x80040110:   "version mismatch",
	0x80040111:   "login failure",
	0x80070005:   "access denied",
}

// NotEncrypted is the return value to a connect of a client that does not
// encrypt, of a server that demands it: ecNotEncrypted, [MS-OXCDATA] 2.4.
const NotEncrypted = 0x970

// ReturnName names the return value of a call in a few words, "" when no
// document does.
func ReturnName(value uint32) string { return returnNames[value] }
