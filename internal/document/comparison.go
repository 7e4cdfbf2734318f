package document

// Comparison is what two capture points say about each other: "edge" is the
// one closer to the clients, "core" the one closer to the servers. In a
// comparison with the WAN alone the WAN stands in for the missing one.
type Comparison struct {
	Near      string           `json:"near"` // "edge", "wan"
	Far       string           `json:"far"`  // "core", "wan"
	Clock     ClockDifference  `json:"clock"`
	WANClock  *ClockDifference `json:"wan_clock"` // of the captures on the WAN, null without any
	Pairs     []ConnectionPair `json:"pairs"`
	Unpaired  []UnpairedConn   `json:"unpaired"`
	Groups    []GroupPair      `json:"groups"`
	Calls     PairedCalls      `json:"calls"`      // of all paired EMSMDB connections
	ReadAhead ReadAhead        `json:"read_ahead"` // likewise
	Totals    ComparisonTotals `json:"totals"`
}

// ComparisonTotals are the head figures of a comparison.
type ComparisonTotals struct {
	Pairs            int64    `json:"pairs"`
	Optimized        int64    `json:"optimized"`
	PassThrough      int64    `json:"pass_through"`
	Unknown          int64    `json:"unknown"`
	UnpairedNear     int64    `json:"unpaired_near"`     // without those that the far captures do not cover
	UnpairedFar      int64    `json:"unpaired_far"`      // likewise
	OutsideCaptures  int64    `json:"outside_captures"`  // unpaired because the other captures began later or ended earlier
	OutOfScope       int64    `json:"out_of_scope"`      // unpaired between hosts that the other captures never show
	LossyPairs       int64    `json:"lossy_pairs"`       // pairs whose calls are not judged because a capture lost a part
	ForgottenLegs    int64    `json:"forgotten_legs"`    // unpaired connections whose calls a bound dropped before they were paired
	OriginalBytes    *int64   `json:"original_bytes"`    // of the pairs with a leg on the WAN
	OptimizedBytes   *int64   `json:"optimized_bytes"`   // of those legs
	ReductionPercent *float64 `json:"reduction_percent"` // 1 - optimized/original
}

// ClockDifference is how the clock of one capture point differs from that of
// the near one.
type ClockDifference struct {
	Offset      *int64   `json:"offset_us"`    // other minus near, at the time "at"
	Error       *int64   `json:"error_us"`     // spread of the samples around it
	Asymmetry   *int64   `json:"asymmetry_us"` // by at most this much Offset is wrong too if the two ways take different times
	Drift       *float64 `json:"drift_ppm"`    // gain of the other clock; null when the captures are too short to tell
	DriftError  *float64 `json:"drift_error_ppm"`
	At          *string  `json:"at"`
	OneWayDelay *int64   `json:"one_way_delay_us"` // the shortest seen
	Samples     int      `json:"samples"`
	Basis       string   `json:"basis"` // "handshakes", "calls", "handshakes and calls", "none"
}

// PerPoint holds one value for each capture point that has the connection.
type PerPoint[T any] struct {
	Edge *T `json:"edge"`
	WAN  *T `json:"wan"`
	Core *T `json:"core"`
}

// ConnectionPair is one connection as the capture points saw it.
type ConnectionPair struct {
	ID            int                 `json:"id"`
	Connections   PerPoint[int]       `json:"connections"` // ids in the list of connections
	Client        Host                `json:"client"`      // as seen at the near point
	Server        Host                `json:"server"`
	FarClient     *Host               `json:"far_client"` // where addresses or ports are rewritten on the way
	FarServer     *Host               `json:"far_server"`
	Rewritten     bool                `json:"rewritten"`
	Basis         string              `json:"basis"` // "isn", "content", "order"
	Service       string              `json:"service"`
	Verdict       string              `json:"verdict"` // "optimized", "pass_through", "unknown"
	Accelerator   string              `json:"accelerator"`
	Accel         string              `json:"accel"` // letters of the device's Accel column
	Quality       Quality             `json:"quality"`
	Reason        string              `json:"reason"`
	Evidence      []Evidence          `json:"evidence"`
	Streams       StreamComparison    `json:"streams"`
	HandedOff     *string             `json:"handed_off_at"` // from when on an accelerated connection was left alone
	State         PerPoint[string]    `json:"state"`
	EndedBy       *string             `json:"ended_by"`          // "client", "server", "optimizer"; null while it is open
	ResetAt       *string             `json:"reset_at"`          // the one point that saw a reset which the other did not
	Bytes         PerPoint[PerSide]   `json:"bytes"`             // stream bytes, those that were not captured included
	Reduction     *float64            `json:"reduction_percent"` // 1 - WAN bytes / bytes at the near point; null without a leg on the WAN
	Retransmitted PerPoint[PerSide]   `json:"retransmitted"`
	GapBytes      PerPoint[PerSide]   `json:"gap_bytes"`
	Handshake     PerPoint[Handshake] `json:"handshake_us"`
	Delay         PathDelay           `json:"one_way_delay_us"`
	DSCP          PerPoint[PerSide]   `json:"dscp"`
	Remarked      bool                `json:"remarked"` // the DSCP changes on the way
	Calls         *PairedCalls        `json:"calls"`    // null for what is no DCE/RPC
	Lossy         bool                `json:"lossy"`
	Escaped       bool                `json:"escaped"`
}

// StreamComparison says how the bytes at the two points compare.
type StreamComparison struct {
	Verdict        string        `json:"verdict"` // "identical", "resegmented", "pdus_identical", "rpc_differs", "reencrypted", "differs", "unknown"
	Client         StreamCompare `json:"client"`
	Server         StreamCompare `json:"server"`
	IdenticalCalls int64         `json:"identical_calls"` // matched calls whose PDUs are the same bytes
	DifferingCalls int64         `json:"differing_calls"`
	FirstDiffering *string       `json:"first_differing"` // time of the first of those at the near point
}

// StreamCompare is one direction. Bytes are compared in blocks of 4096.
type StreamCompare struct {
	Compared        int64  `json:"compared"`
	Identical       int64  `json:"identical"`
	Resegmented     int64  `json:"resegmented"`      // identical bytes in blocks whose segments end elsewhere
	Uncompared      int64  `json:"uncompared"`       // in blocks that one capture does not have whole
	FirstDifference *int64 `json:"first_difference"` // position of the first block that differs
}

// Handshake is the two halves of a handshake at one point: how far away the
// server is, and the client.
type Handshake struct {
	ToServer *int64 `json:"to_server"`
	ToClient *int64 `json:"to_client"`
}

// PathDelay is how long one way between two points takes.
type PathDelay struct {
	NearFar *int64 `json:"near_far"`
	NearWAN *int64 `json:"near_wan"`
	WANFar  *int64 `json:"wan_far"`
}

// PairedCalls says what became of calls on the way. EcDoAsyncWaitEx is left
// out. Where a capture lost a part of the connection nothing is judged:
// Remote and Local are null then, and Why says so.
type PairedCalls struct {
	Answered       int64        `json:"answered"` // remote + local + undecided
	Unanswered     int64        `json:"unanswered"`
	Remote         *RemoteCalls `json:"remote"`
	Local          *LocalCalls  `json:"local"`
	Originated     *int64       `json:"originated"`       // at the far point, asked by no client: read-ahead
	OriginatedData *int64       `json:"originated_bytes"` // of streams and FastTransfers in their answers
	Undecided      int64        `json:"undecided"`
	TimeSaved      *int64       `json:"time_saved_us"` // sum over local answers of the mean remote response time minus their own; our formula
	Quality        Quality      `json:"quality"`
	Why            string       `json:"why"`
}

// RemoteCalls were answered by the server.
type RemoteCalls struct {
	Count     int64  `json:"count"`
	Avg       *int64 `json:"avg_us"`        // at the client
	ServerAvg *int64 `json:"server_avg_us"` // at the far point
}

// LocalCalls were answered by an accelerator, in four ways.
type LocalCalls struct {
	Count       int64  `json:"count"`
	Avg         *int64 `json:"avg_us"`
	Unforwarded int64  `json:"unforwarded"` // the server never saw the question
	Prefetched  int64  `json:"prefetched"`  // the answer was there before the question
	Waited      int64  `json:"waited"`      // the question had been asked before, its answer was on its way
	Deferred    int64  `json:"deferred"`    // answered first, sent on later
}

// ReadAhead is what was fetched and not yet handed to the client, bytes,
// sampled at each read of the client.
type ReadAhead struct {
	Min *int64 `json:"min"`
	Max *int64 `json:"max"`
	Avg *int64 `json:"avg"`
}

// UnpairedConn is a connection that stands at one point alone.
type UnpairedConn struct {
	Connection int     `json:"connection"`
	At         string  `json:"at"`
	Client     Host    `json:"client"`
	Server     Host    `json:"server"`
	Service    string  `json:"service"`
	Start      string  `json:"start"`
	State      string  `json:"state"`
	Bytes      PerSide `json:"bytes"`
	Reason     string  `json:"reason"` // "missing", "outside_captures", "out_of_scope"
}

// GroupPair is one association group as both points saw it.
type GroupPair struct {
	ID           int           `json:"id"`
	Groups       PerPoint[int] `json:"association_groups"` // ids in the list of groups
	Client       string        `json:"client"`
	Server       Host          `json:"server"`
	AssocGroupID uint32        `json:"assoc_group_id"`
	Pairs        []int         `json:"pairs"`
	Alone        []int         `json:"alone"` // ids of connections that stand at one point only
	Verdict      string        `json:"verdict"`
	Reason       string        `json:"verdict_reason"`
	Escaped      []int         `json:"escaped"` // connection ids, as seen nearest to the client
	MixedSince   *string       `json:"mixed_since"`
	BytesAtRisk  *int64        `json:"bytes_at_risk"`
	Cause        *string       `json:"cause"` // null where the captures do not show it
}
