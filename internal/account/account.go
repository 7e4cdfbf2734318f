// Package account stands for package document under its former name, for as
// long as anybody uses that.
package account

import (
	"mapiscope/internal/document"
)

// The constants of package document.
const (
	Error       = document.Error
	Exact       = document.Exact
	Heuristic   = document.Heuristic
	Info        = document.Info
	LowerBound  = document.LowerBound
	Schema      = document.Schema
	Unavailable = document.Unavailable
	Warning     = document.Warning
)

// The functions of package document.
var (
	Releases          = document.Releases
	FindingSeverities = document.FindingSeverities
	ChangesBetween    = document.ChangesBetween
	ReadDocument      = document.ReadDocument
)

// The types of package document.
type (
	Accelerators         = document.Accelerators
	Assessment           = document.Assessment
	EncryptionAssessment = document.EncryptionAssessment
	AssocGroup           = document.AssocGroup
	AssociationGroup     = document.AssociationGroup
	Auth                 = document.Auth
	BindNak              = document.BindNak
	Buffers              = document.Buffers
	Calls                = document.Calls
	Capture              = document.Capture
	Changes              = document.Changes
	ClientFigures        = document.ClientFigures
	ClockDifference      = document.ClockDifference
	Comparison           = document.Comparison
	ComparisonTotals     = document.ComparisonTotals
	Connection           = document.Connection
	ConnectionPair       = document.ConnectionPair
	Context              = document.Context
	Detail               = document.Detail
	Disposition          = document.Disposition
	Document             = document.Document
	EPMAccelerator       = document.EPMAccelerator
	Encryption           = document.Encryption
	EncryptionChange     = document.EncryptionChange
	Endpoint             = document.Endpoint
	Escaped              = document.Escaped
	Event                = document.Event
	EventContext         = document.EventContext
	Evidence             = document.Evidence
	Fault                = document.Fault
	Figure               = document.Figure
	Finding              = document.Finding
	GroupPair            = document.GroupPair
	Handshake            = document.Handshake
	Host                 = document.Host
	Input                = document.Input
	Interface            = document.Interface
	JoinedTo             = document.JoinedTo
	KerberosError        = document.KerberosError
	Latency              = document.Latency
	Ledger               = document.Ledger
	Limits               = document.Limits
	LocalCalls           = document.LocalCalls
	MAPI                 = document.MAPI
	MAPIAccelerator      = document.MAPIAccelerator
	Numbers              = document.Numbers
	Operation            = document.Operation
	Optimizer            = document.Optimizer
	OptimizerPair        = document.OptimizerPair
	PacketRef            = document.PacketRef
	PairedCalls          = document.PairedCalls
	PerSide              = document.PerSide
	PolicyRule           = document.PolicyRule
	Quality              = document.Quality
	ReadAhead            = document.ReadAhead
	Redirect             = document.Redirect
	Redirection          = document.Redirection
	Refusal              = document.Refusal
	RemoteCalls          = document.RemoteCalls
	Responses            = document.Responses
	Rop                  = document.Rop
	Severity             = document.Severity
	SeverityTally        = document.SeverityTally
	Sizes                = document.Sizes
	Totals               = document.Totals
	Undecoded            = document.Undecoded
	UnwalkedBytes        = document.UnwalkedBytes
)

// PerPoint is that of package document.
type PerPoint[T any] = document.PerPoint[T]
