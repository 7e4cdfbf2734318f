// Package document gives what a job found the shape that the report shows:
// numbers for connections and groups, names, times and JSON. It concludes
// nothing. The types of this package are the report: their JSON names are the
// contract that scripts rely on (schema "mapiscope/1"), so a field
// that stands here keeps its name, its type and its meaning. A pointer that
// is nil is a figure that the packets do not give, written null and never 0.
package document

import (
	"mapiscope/internal/finding"
	"mapiscope/internal/hist"
)

// Schema names the version of the document.
const Schema = "mapiscope/1"

// Document is everything that one run found out.
type Document struct {
	Schema            string             `json:"schema"`
	WAAS              string             `json:"waas"` // release whose rules decide
	Assessment        Assessment         `json:"assessment"`
	Captures          []Capture          `json:"captures"`
	Totals            Totals             `json:"totals"`
	Ledger            Ledger             `json:"ledger"`
	Endpoints         []Endpoint         `json:"endpoints"`
	Connections       []Connection       `json:"connections"`
	AssociationGroups []AssociationGroup `json:"association_groups"`
	Accelerators      Accelerators       `json:"accelerators"`
	Encryption        []Encryption       `json:"encryption"`
	Kerberos          []KerberosError    `json:"kerberos_errors"`
	PolicyRules       []PolicyRule       `json:"policy_rules"`
	Findings          []Finding          `json:"findings"`
	Comparison        *Comparison        `json:"comparison,omitempty"`
	Limits            Limits             `json:"limits"`
	Events            []Event            `json:"-"` // time order; log and jsonl styles write them

	Places map[int]int `json:"-"` // of connections, by number; nil where numbers are positions
}

// PacketRef names a packet: the index of its capture and its 1-based number.
type PacketRef struct {
	Capture int   `json:"capture"`
	Packet  int64 `json:"packet"`
	Time    int64 `json:"-"` // of the packet, ns since 1970; 0 when not known
}

// Host is one end of a connection.
type Host struct {
	IP   string `json:"ip"`
	Port uint16 `json:"port"`
}

// PerSide is a pair of counts, one for what each side sent.
type PerSide struct {
	Client int64 `json:"client"`
	Server int64 `json:"server"`
}

// Totals are the head figures of the job.
type Totals struct {
	Packets                  int64         `json:"packets"`
	TCPConnections           int64         `json:"tcp_connections"`
	DCERPCConnections        int64         `json:"dcerpc_connections"`
	EPMConnections           int64         `json:"epm_connections"`
	MAPIConnections          int64         `json:"mapi_connections"`
	EncryptedMAPIConnections int64         `json:"encrypted_mapi_connections"`
	AssociationGroups        int64         `json:"association_groups"`
	EscapedConnections       int64         `json:"escaped_connections"`
	PossibleEscapes          int64         `json:"possible_escapes"`
	NamedPipeConnections     int64         `json:"named_pipe_connections"` // DCE/RPC over SMB, counted apart
	Findings                 SeverityTally `json:"findings"`
}

// SeverityTally counts findings by severity.
type SeverityTally struct {
	Info    int64 `json:"info"`
	Warning int64 `json:"warning"`
	Error   int64 `json:"error"`
}

// Ledger accounts for every TCP payload byte.
// CapturedPayload = Delivered + Duplicate + OutOfWindow + Skipped.
type Ledger struct {
	CapturedPayload int64 `json:"captured_payload"`
	Delivered       int64 `json:"delivered"`
	Duplicate       int64 `json:"duplicate"`
	OutOfWindow     int64 `json:"out_of_window"`
	Skipped         int64 `json:"skipped"`
	Gap             int64 `json:"gap"` // bytes of sequence space that were never captured
}

// Endpoint is one row of the endpoint ledger: who serves which interface
// where, and how that was learned.
type Endpoint struct {
	Server           string    `json:"server"`
	Port             uint16    `json:"port"`
	InterfaceUUID    string    `json:"interface_uuid"`
	InterfaceVersion string    `json:"interface_version"`
	Interface        *string   `json:"interface"`
	Annotation       *string   `json:"annotation"`
	LearnedFrom      string    `json:"learned_from"`
	Client           *string   `json:"client"` // who asked
	FirstSeen        string    `json:"first_seen"`
	Until            *string   `json:"until"` // null: it holds
	Packet           PacketRef `json:"packet"`
	Flows            []int     `json:"flows"`
}

// Connection is one TCP connection that the report talks about.
type Connection struct {
	ID            int           `json:"id"`
	UID           string        `json:"uid"` // the same in every document and log of these packets
	CommunityID   string        `json:"community_id"`
	At            string        `json:"at"`
	Client        Host          `json:"client"`
	Server        Host          `json:"server"`
	Start         string        `json:"start"`
	End           string        `json:"end"`
	FirstPacket   PacketRef     `json:"first_packet"`
	LastPacket    PacketRef     `json:"last_packet"`
	Origin        string        `json:"origin"`
	ClientISN     *uint32       `json:"client_isn"` // of the SYN: the same wherever the connection is captured
	DSCP          PerSide       `json:"dscp"`       // of the first packet of each side
	State         string        `json:"state"`
	RTT           *int64        `json:"rtt_us"`
	WCCP          []Redirection `json:"wccp"`
	Packets       PerSide       `json:"packets"`
	Bytes         PerSide       `json:"bytes"`
	Retransmitted PerSide       `json:"retransmitted"`
	OutOfOrder    PerSide       `json:"out_of_order"`
	GapBytes      PerSide       `json:"gap_bytes"`
	Directions    string        `json:"directions"`
	Service       string        `json:"service"`
	ServiceBasis  string        `json:"service_basis"`
	Unseen        *Unseen       `json:"unseen"` // null: something names its interface, or it carries no DCE/RPC
	Interfaces    []Context     `json:"interfaces"`
	AssocGroup    AssocGroup    `json:"assoc_group"`
	BindNaks      []BindNak     `json:"bind_naks"`
	Auth          []Auth        `json:"auth"`
	Encrypted     bool          `json:"encrypted"`
	Signed        bool          `json:"signed"`
	Multiplexed   bool          `json:"multiplexed"`
	Calls         Calls         `json:"calls"`
	Operations    []Operation   `json:"operations"`
	Faults        []Fault       `json:"faults"`
	MAPI          *MAPI         `json:"mapi"`
	Optimizer     Optimizer     `json:"optimizer"`
	Disposition   Disposition   `json:"disposition"`
	Escaped       *Escaped      `json:"escaped"`
	// PossibleEscape is set where the packets hint at an escape and do not prove it.
	PossibleEscape *PossibleEscape `json:"possible_escape"`
	// Conversation is the id of the leg that stands for this connection in
	// totals, groups and findings, null where it was captured once.
	Conversation *int `json:"conversation"`

	// Of a live job: whether nothing can change any more, and how long the
	// answered EMSMDB calls took, µs.
	Ended bool            `json:"-"`
	Times *hist.Histogram `json:"-"`

	traits finding.Traits
}

// Unseen says of a connection that it carries DCE/RPC of an interface that
// nothing in the captures names.
type Unseen struct {
	MayBeMAPI bool `json:"may_be_mapi"` // no call of it contradicts EMSMDB
}

// Context is one presentation context that a bind or alter_context offered.
type Context struct {
	ContextID      uint16    `json:"context_id"`
	UUID           string    `json:"uuid"`
	Version        string    `json:"version"`
	Name           *string   `json:"name"`
	TransferSyntax string    `json:"transfer_syntax"`
	Result         *string   `json:"result"`
	Reason         *string   `json:"reason"`
	CallID         uint32    `json:"call_id"`
	Packet         PacketRef `json:"packet"`
}

// AssocGroup is the association group that a connection asked for and got.
type AssocGroup struct {
	Requested *uint32 `json:"requested"`
	Granted   *uint32 `json:"granted"`
	Group     *int    `json:"group"`
}

// BindNak is one rejected bind.
type BindNak struct {
	CallID     uint32    `json:"call_id"`
	Reason     uint16    `json:"reason"`
	ReasonText string    `json:"reason_text"`
	Packet     PacketRef `json:"packet"`
}

// Auth is one authentication context of a connection.
type Auth struct {
	ContextID         uint32    `json:"context_id"`
	Type              uint8     `json:"type"`
	TypeName          string    `json:"type_name"`
	Mechanism         *string   `json:"mechanism"`
	MechanismsOffered []string  `json:"mechanisms_offered"`
	Level             uint8     `json:"level"`
	LevelName         string    `json:"level_name"`
	HeaderSigning     bool      `json:"header_signing"`
	Domain            *string   `json:"domain"`
	User              *string   `json:"user"`
	Workstation       *string   `json:"workstation"`
	Target            *string   `json:"target"`
	Realm             *string   `json:"realm"`
	SPN               *string   `json:"spn"`
	State             string    `json:"state"`
	Error             *string   `json:"error"`
	Packet            PacketRef `json:"packet"`
}

// Calls counts the calls of a connection.
type Calls struct {
	Requests   int64 `json:"requests"`
	Responses  int64 `json:"responses"`
	Faults     int64 `json:"faults"`
	Cancels    int64 `json:"cancels"`
	Orphaned   int64 `json:"orphaned"`
	Unanswered int64 `json:"unanswered"`
	Lost       int64 `json:"lost"`
}

// Latency is a response time distribution, microseconds. The percentiles
// come from a histogram of fixed size; its error is stated in the README.
type Latency struct {
	Count int64  `json:"count"`
	Min   *int64 `json:"min"`
	Avg   *int64 `json:"avg"`
	Max   *int64 `json:"max"`
	P50   *int64 `json:"p50"`
	P95   *int64 `json:"p95"`
	P99   *int64 `json:"p99"`
}

// Operation counts the calls of one opnum of one interface.
type Operation struct {
	InterfaceUUID *string `json:"interface_uuid"`
	Interface     *string `json:"interface"`
	Opnum         *uint16 `json:"opnum"`
	Name          *string `json:"name"`
	Requests      int64   `json:"requests"`
	Responses     int64   `json:"responses"`
	Faults        int64   `json:"faults"`
	RequestBytes  int64   `json:"request_bytes"`
	ResponseBytes int64   `json:"response_bytes"`
	ResponseTime  Latency `json:"response_time_us"`
}

// Fault is one fault PDU.
type Fault struct {
	CallID     uint32    `json:"call_id"`
	Opnum      *uint16   `json:"opnum"`
	Status     uint32    `json:"status"`
	StatusName string    `json:"status_name"`
	Packet     PacketRef `json:"packet"`
}

// Optimizer is what the packets say about a WAN optimizer on the path.
type Optimizer struct {
	Vendor     *string    `json:"vendor"`
	Verdict    string     `json:"verdict"`
	EdgeDevice *string    `json:"edge_device"`
	CoreDevice *string    `json:"core_device"`
	Evidence   []Evidence `json:"evidence"`
}

// Evidence is one observed fact behind a verdict.
type Evidence struct {
	Kind    string    `json:"kind"`
	Detail  string    `json:"detail"`
	Quality Quality   `json:"quality"`
	Packet  PacketRef `json:"packet"`
}

// Disposition is what the device would have done, or did, with a connection.
type Disposition struct {
	Accelerator string  `json:"accelerator"`
	Accel       string  `json:"accel"`
	Quality     Quality `json:"quality"`
	Reason      string  `json:"reason"`
}

// Escaped says why a connection escaped and from which group.
type Escaped struct {
	Reason  string  `json:"reason"`
	Group   int     `json:"group"`
	Quality Quality `json:"quality"`
}

// PossibleEscape says why a connection may have escaped, and from which group:
// the packets hint at it and do not prove it.
type PossibleEscape struct {
	Reason string `json:"reason"`
	Group  int    `json:"group"`
}

// AssociationGroup is one association group of one server end point.
type AssociationGroup struct {
	ID             int             `json:"id"`
	At             string          `json:"at"`
	Server         Host            `json:"server"`
	AssocGroupID   uint32          `json:"assoc_group_id"`
	Clients        []string        `json:"clients"`
	Connections    []int           `json:"connections"`
	Service        string          `json:"service"`
	First          string          `json:"first"`
	Last           string          `json:"last"`
	ClientProduct  *string         `json:"client_product"`
	Encrypted      bool            `json:"encrypted"`
	OptimizerPairs []OptimizerPair `json:"optimizer_pairs"`
	Inferred       []int           `json:"inferred"` // connections counted in by inference, not by their bind
	Escaped        []int           `json:"escaped"`
	Possible       []int           `json:"possible"`      // connections that may have escaped
	MissingCalls   *int64          `json:"missing_calls"` // that went over connections which the captures do not hold; null where it cannot be told
	Verdict        string          `json:"verdict"`
	VerdictReason  string          `json:"verdict_reason"`
	MixedSince     *string         `json:"mixed_since"`
	BytesAtRisk    *int64          `json:"bytes_at_risk"`
	Proof          *PacketRef      `json:"proof"`
	Sessions       *int64          `json:"sessions"`
}

// OptimizerPair is one pair of devices that connections of a group passed.
type OptimizerPair struct {
	EdgeDevice  *string `json:"edge_device"`
	CoreDevice  *string `json:"core_device"`
	Connections []int   `json:"connections"`
}

// Quality says how far a figure can be trusted.
type Quality = finding.Quality

// The qualities of a figure.
const (
	Exact       = finding.Exact
	Heuristic   = finding.Heuristic
	LowerBound  = finding.LowerBound
	Unavailable = finding.Unavailable
)

// Figure is a counter of the device as the packets give it.
type Figure struct {
	Value   *int64  `json:"value"`
	Quality Quality `json:"quality"`
	Why     string  `json:"why"`
}

// Accelerators are the counters of the two accelerators concerned.
type Accelerators struct {
	MAPI MAPIAccelerator `json:"mapi"`
	EPM  EPMAccelerator  `json:"epm"`
}

// MAPIAccelerator reproduces `show statistics accelerator mapi`.
type MAPIAccelerator struct {
	TotalHandledConnections   Figure `json:"total_handled_connections"`
	TotalOptimizedConnections Figure `json:"total_optimized_connections"`
	TotalHandedOffConnections Figure `json:"total_handed_off_connections"`
	TotalDroppedConnections   Figure `json:"total_dropped_connections"`
	CurrentActiveConnections  Figure `json:"current_active_connections"`
	CurrentPendingConnections Figure `json:"current_pending_connections"`
	MaximumActiveConnections  Figure `json:"maximum_active_connections"`
	SyncGetBufferRequests     Figure `json:"sync_get_buffer_requests"`
	SyncGetBufferMin          Figure `json:"sync_get_buffer_min"`
	SyncGetBufferMax          Figure `json:"sync_get_buffer_max"`
	SyncGetBufferAvg          Figure `json:"sync_get_buffer_avg"`
	ReadStreamRequests        Figure `json:"read_stream_requests"`
	ReadStreamMin             Figure `json:"read_stream_min"`
	ReadStreamMax             Figure `json:"read_stream_max"`
	ReadStreamAvg             Figure `json:"read_stream_avg"`
	ReadAheadMin              Figure `json:"read_ahead_min"`
	ReadAheadMax              Figure `json:"read_ahead_max"`
	ReadAheadAvg              Figure `json:"read_ahead_avg"`
	LocalResponseCount        Figure `json:"local_response_count"`
	LocalResponseAvg          Figure `json:"local_response_avg_us"`
	RemoteResponseCount       Figure `json:"remote_response_count"`
	RemoteResponseAvg         Figure `json:"remote_response_avg_us"`
	Sessions2000              Figure `json:"sessions_2000"`
	Sessions2003              Figure `json:"sessions_2003"`
	Sessions2007              Figure `json:"sessions_2007"`
	SecuredConnections        Figure `json:"secured_connections"`
	SessionsLowerThan2000     Figure `json:"sessions_lower_than_2000"`
	SessionsHigherThan2007    Figure `json:"sessions_higher_than_2007"`
}

// EPMAccelerator reproduces `show statistics accelerator epm`.
type EPMAccelerator struct {
	TotalHandledConnections     Figure `json:"total_handled_connections"`
	TotalOptimizedConnections   Figure `json:"total_optimized_connections"`
	TotalHandedOffConnections   Figure `json:"total_handed_off_connections"`
	TotalDroppedConnections     Figure `json:"total_dropped_connections"`
	CurrentActiveConnections    Figure `json:"current_active_connections"`
	CurrentPendingConnections   Figure `json:"current_pending_connections"`
	MaximumActiveConnections    Figure `json:"maximum_active_connections"`
	TotalRequests               Figure `json:"total_requests"`
	TotalRequestsParsed         Figure `json:"total_requests_parsed"`
	TotalResponses              Figure `json:"total_responses"`
	TotalResponsesParsed        Figure `json:"total_responses_parsed"`
	RequestErrors               Figure `json:"request_errors"`
	ResponseErrors              Figure `json:"response_errors"`
	ParseErrors                 Figure `json:"parse_errors"` // of both
	ServiceUnavailableResponses Figure `json:"service_unavailable_responses"`
	RequestsNotInMap            Figure `json:"requests_not_in_map"`
}

// KerberosError is one KRB-ERROR, from the KDC or out of an authentication
// trailer.
type KerberosError struct {
	Time       string    `json:"time"`
	Client     string    `json:"client"`
	Server     string    `json:"server"`
	Code       int32     `json:"code"`
	Name       string    `json:"name"`
	Realm      *string   `json:"realm"`
	SPN        *string   `json:"spn"`
	Skew       *int64    `json:"skew_us"`        // server time minus capture time
	ClientSkew *int64    `json:"client_skew_us"` // server time minus client time, when the server echoes it
	Connection *int      `json:"connection"`
	Packet     PacketRef `json:"packet"`
}

// PolicyRule is a dynamic match rule that an EPM answer would create on the
// device (`show policy-engine application dynamic`).
type PolicyRule struct {
	Server  string    `json:"server"`
	Port    uint16    `json:"port"`
	MapName string    `json:"map_name"`
	UUID    string    `json:"uuid"`
	Created string    `json:"created"`
	Hits    int64     `json:"hits"`
	LastHit *string   `json:"last_hit"`
	Flows   int64     `json:"flows"` // live at the end of the capture
	Packet  PacketRef `json:"packet"`
}

// Severity ranks findings.
type Severity = finding.Severity

// The severities, in rising order.
const (
	Info    = finding.Info
	Warning = finding.Warning
	Error   = finding.Error
)

// Finding is something that a person should know.
type Finding struct {
	Code        string      `json:"code"`
	Severity    Severity    `json:"severity"`
	Quality     Quality     `json:"quality"`
	Title       string      `json:"title"`
	Detail      string      `json:"detail"`
	Advice      string      `json:"advice"`
	Connections []int       `json:"connections"`
	Groups      []int       `json:"groups"`
	Clients     []string    `json:"clients"`
	Servers     []string    `json:"servers"`
	Packets     []PacketRef `json:"packets"`
}
