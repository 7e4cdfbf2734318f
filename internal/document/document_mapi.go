package document

// Sizes describes one kind of read: bytes of data in the answers, and bytes
// that the requests ask for at most.
type Sizes struct {
	Requests int64  `json:"requests"`
	Min      *int64 `json:"min"`
	Max      *int64 `json:"max"`
	Avg      *int64 `json:"avg"`
	AskedMin *int64 `json:"asked_min"`
	AskedMax *int64 `json:"asked_max"`
	AskedAvg *int64 `json:"asked_avg"`
}

// MAPI is what the EMSMDB calls of a connection carried.
type MAPI struct {
	UserDN            *string   `json:"user_dn"`
	ClientVersion     *string   `json:"client_version"`
	ClientProduct     *string   `json:"client_product"`
	ServerVersion     *string   `json:"server_version"`
	ServerProduct     *string   `json:"server_product"`
	Sessions          *int64    `json:"sessions"`
	Connects          []Connect `json:"connects"`
	SyncGetBuffer     *Sizes    `json:"sync_get_buffer"`
	ReadStream        *Sizes    `json:"read_stream"`
	Rops              []Rop     `json:"rops"`
	Unexecuted        int64     `json:"rops_unexecuted"` // sent back by the server for another try
	RopBytes          *RopBytes `json:"rop_bytes"`
	Buffers           *Buffers  `json:"buffers"`
	PushNotifications *int64    `json:"push_notifications"`
	AsyncWaits        int64     `json:"async_waits"` // answered EcDoAsyncWaitEx, in no response time above
	Refusals          []Refusal `json:"return_values"`
	DecodeErrors      int64     `json:"decode_errors"`
	Responses         Responses `json:"responses"`
	Unavailable       *string   `json:"unavailable"` // why figures that need plaintext are null
}

// Connect is one EcDoConnect or EcDoConnectEx that could be read.
type Connect struct {
	Operation     string    `json:"operation"`
	UserDN        string    `json:"user_dn"`
	ClientVersion string    `json:"client_version"`
	ServerVersion *string   `json:"server_version"`
	Status        *uint32   `json:"status"` // null: no answer in the capture
	StatusName    *string   `json:"status_name"`
	Packet        PacketRef `json:"packet"`
}

// Refusal counts the answers of one operation with one return value that is
// not 0.
type Refusal struct {
	Operation string  `json:"operation"`
	Value     uint32  `json:"value"`
	Name      *string `json:"name"`
	Count     int64   `json:"count"`
}

// Buffers counts payloads of EcDoRpcExt2 in both directions by how they were
// sent; one can be obfuscated and compressed.
type Buffers struct {
	Plain      int64 `json:"plain"`
	Obfuscated int64 `json:"obfuscated"`
	Compressed int64 `json:"compressed"`
	Chained    int64 `json:"chained"` // after the first of an answer
}

// Responses splits the answered EMSMDB calls by who answered them, an
// accelerator on the near side or the server; times in microseconds.
type Responses struct {
	LocalCount  Figure `json:"local_count"`
	LocalAvg    Figure `json:"local_avg_us"`
	RemoteCount Figure `json:"remote_count"`
	RemoteAvg   Figure `json:"remote_avg_us"`
}

// Rop counts one remote operation.
type Rop struct {
	ID        uint8  `json:"id"`
	Name      string `json:"name"`
	Requests  int64  `json:"requests"`
	Responses int64  `json:"responses"`
	Failures  int64  `json:"failures"`
	// RequestBytes and ResponseBytes count the bytes of the ROPs themselves,
	// inside the RopsList.
	RequestBytes  int64   `json:"request_bytes"`
	ResponseBytes int64   `json:"response_bytes"`
	ResponseTime  Latency `json:"response_time_us"`
}

// RopBytes says how much of the ROP lists could be walked.
type RopBytes struct {
	Walked   int64 `json:"walked"`
	Unwalked int64 `json:"unwalked"`
	// Each direction apart; the sums are Walked and Unwalked.
	Request  RopSide `json:"request"`
	Response RopSide `json:"response"`
	// Reasons says why bytes were not walked.
	Reasons []UnwalkedBytes `json:"reasons"`
}

// UnwalkedBytes counts the bytes that were not walked for one reason.
type UnwalkedBytes struct {
	Reason string `json:"reason"`
	Bytes  int64  `json:"bytes"`
}

// RopSide is one direction of RopBytes.
type RopSide struct {
	Walked   int64 `json:"walked"`
	Unwalked int64 `json:"unwalked"`
}
