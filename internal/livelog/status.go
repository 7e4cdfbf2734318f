package livelog

import (
	"time"

	"mapiscope/internal/live"
)

// statusRecord is how the job does at one moment. Counts are since its start.
type statusRecord struct {
	Time       string            `json:"time"`
	Running    int64             `json:"running_us"`
	Interfaces []interfaceStatus `json:"interfaces"`

	TCPConnections    int64            `json:"tcp_connections"`
	OpenConnections   int64            `json:"open_connections"`
	MAPIConnections   int64            `json:"mapi_connections"`
	EncryptedMAPI     int64            `json:"encrypted_mapi_connections"`
	Escaped           int64            `json:"escaped_connections"`
	AssociationGroups int64            `json:"association_groups"`
	Findings          map[string]int64 `json:"findings"`
	CapturedPayload   int64            `json:"captured_payload"`
	Gap               int64            `json:"gap"`
	Limits            map[string]int64 `json:"limits"`

	LogWaiting int64  `json:"log_waiting"`
	LogWritten int64  `json:"log_written"`
	LogLost    int64  `json:"log_lost"`
	LogSpooled int64  `json:"log_spooled"`
	LogFailing string `json:"log_failing"`
	Heap       int64  `json:"heap_bytes"`
}

type interfaceStatus struct {
	Name             string  `json:"name"`
	At               string  `json:"at"`
	Packets          int64   `json:"packets"`
	Bytes            int64   `json:"bytes_wire"`
	Received         *int64  `json:"received_packets"`
	Dropped          *int64  `json:"dropped_packets"`
	DriverDropped    *int64  `json:"driver_dropped_packets"`
	PacketsPerSecond float64 `json:"packets_per_second"`
	BitsPerSecond    float64 `json:"bits_per_second"`
	Error            *string `json:"error"`
}

func statusOf(s *live.Status) *statusRecord {
	n, q := &s.Counts, &s.Log
	out := &statusRecord{
		Time: s.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"), Running: int64(s.Running / time.Microsecond),
		TCPConnections: n.Connections, OpenConnections: n.OpenConnections, MAPIConnections: n.MAPIConnections,
		EncryptedMAPI: n.EncryptedMAPI, Escaped: n.EscapedConnections, AssociationGroups: n.AssociationGroups,
		Findings: n.Findings, CapturedPayload: n.CapturedPayload, Gap: n.Gap, Limits: n.LimitsHit,
		LogWaiting: q.Waiting, LogWritten: q.Written, LogLost: q.Lost, LogSpooled: q.Spooled, LogFailing: q.Failing, Heap: s.Memory.Heap,
	}
	for i := range s.Interfaces {
		f := &s.Interfaces[i]
		row := interfaceStatus{
			Name: f.Name, At: f.At, Packets: f.Packets, Bytes: f.Bytes, Received: f.KernelReceived, Dropped: f.KernelDropped,
			DriverDropped: f.DriverDropped, PacketsPerSecond: f.PacketsPerSecond, BitsPerSecond: f.BitsPerSecond,
		}
		if f.Err != "" {
			row.Error = &f.Err
		}
		out.Interfaces = append(out.Interfaces, row)
	}
	return out
}
