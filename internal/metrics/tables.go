package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"mapiscope/internal/live"
)

// The kinds of a metric: a counter only rises, a gauge is of this moment.
const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// scalars are the metrics without a label.
var scalars = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(s *live.Status) int64
}{
	{"mapiscope_connections_total", "TCP connections seen.", counter,
		func(s *live.Status) int64 { return s.Counts.Connections }},
	{"mapiscope_connections_open", "TCP connections that are open.", gauge,
		func(s *live.Status) int64 { return s.Counts.OpenConnections }},
	{"mapiscope_mapi_connections_total", "Connections with EMSMDB, the interface of MAPI.", counter,
		func(s *live.Status) int64 { return s.Counts.MAPIConnections }},
	{"mapiscope_mapi_encrypted_connections_total", "Connections with EMSMDB that are encrypted.", counter,
		func(s *live.Status) int64 { return s.Counts.EncryptedMAPI }},
	{"mapiscope_escaped_connections_total", "Connections that escaped their optimizer pair.", counter,
		func(s *live.Status) int64 { return s.Counts.EscapedConnections }},
	{"mapiscope_association_groups", "Association groups that are known.", gauge,
		func(s *live.Status) int64 { return s.Counts.AssociationGroups }},
	{"mapiscope_captured_payload_bytes_total", "TCP payload captured.", counter,
		func(s *live.Status) int64 { return s.Counts.CapturedPayload }},
	{"mapiscope_gap_bytes_total", "TCP payload that was sent and never captured.", counter,
		func(s *live.Status) int64 { return s.Counts.Gap }},
	{"mapiscope_log_queue_records", "Log records that wait to be written.", gauge,
		func(s *live.Status) int64 { return s.Log.Waiting }},
	{"mapiscope_log_queue_capacity_records", "Log records that may wait; 0 without a log.", gauge,
		func(s *live.Status) int64 { return s.Log.Capacity }},
	{"mapiscope_log_written_records_total", "Log records written.", counter,
		func(s *live.Status) int64 { return s.Log.Written }},
	{"mapiscope_log_lost_records_total", "Log records that found no room in the queue.", counter,
		func(s *live.Status) int64 { return s.Log.Lost }},
	{"mapiscope_log_spooled_records", "Log records that wait for the sink to come back.", gauge,
		func(s *live.Status) int64 { return s.Log.Spooled }},
	{"mapiscope_log_failing", "1 while the log cannot be written.", gauge,
		func(s *live.Status) int64 { return truth(s.Log.Failing != "") }},
	{"mapiscope_memory_heap_bytes", "Memory that the process holds, what is not yet collected included.", gauge,
		func(s *live.Status) int64 { return s.Memory.Heap }},
	{"mapiscope_memory_limit_bytes", "What --max-memory allows; 0 for no limit.", gauge,
		func(s *live.Status) int64 { return s.Memory.Limit }},
}

// perInterface are the metrics with the labels interface and at. What the
// system does not tell is nil and no metric.
var perInterface = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(i *live.Interface) *int64
}{
	{"mapiscope_packets_total", "Packets analysed.", counter,
		func(i *live.Interface) *int64 { return &i.Packets }},
	{"mapiscope_bytes_total", "Bytes of the packets analysed, on the wire.", counter,
		func(i *live.Interface) *int64 { return &i.Bytes }},
	{"mapiscope_kernel_received_packets_total", "Packets that the kernel counted, dropped ones included.", counter,
		func(i *live.Interface) *int64 { return i.KernelReceived }},
	{"mapiscope_kernel_dropped_packets_total", "Packets that the kernel dropped for want of room: mapiscope was too slow.", counter,
		func(i *live.Interface) *int64 { return i.KernelDropped }},
	{"mapiscope_driver_dropped_packets_total", "Packets that the interface or its driver dropped.", counter,
		func(i *live.Interface) *int64 { return i.DriverDropped }},
	{"mapiscope_interface_up", "1 while packets are taken from the interface, 0 after its end.", gauge,
		func(i *live.Interface) *int64 { return new(truth(i.Err == "")) }},
}

// The other metrics.
const (
	findingsName     = "mapiscope_findings"
	limitsName       = "mapiscope_limit_hits_total"
	responseTimeName = "mapiscope_response_time_seconds"
	buildName        = "mapiscope_build_info"
	startName        = "mapiscope_start_time_seconds"
	ageName          = "mapiscope_view_age_seconds"
)

// labelled are the names of the labels and the help of the other metrics.
var labelled = map[string]struct {
	help   string
	labels []string
}{
	findingsName:     {"Findings that stand, by code and severity.", []string{"code", "severity"}},
	limitsName:       {"How often a bound was hit, by its name in the document.", []string{"limit"}},
	responseTimeName: {"Response times of answered EMSMDB calls; a call within 1/32 of a bound may count on either side of it.", nil},
	buildName:        {"The build that runs; always 1.", []string{"version", "revision", "goversion"}},
	startName:        {"When the job started, since 1970.", nil},
	ageName:          {"Time since the analysis last said how it is doing, or since the start.", nil},
}

// responseTimeBounds are the upper bounds of the buckets of response times,
// µs.
var responseTimeBounds = []int64{
	1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
	1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
