package run

import (
	"fmt"

	"mapiscope/assoc"
)

// MinMemory is the least that Config.MaxMemory may be, bytes: 64 MB.
const MinMemory = 64_000_000

// How MaxMemory is divided. fixedMemory is the program itself with the buffers
// of its inputs; batchMemory is what frames on the way to one shard take. Of
// the rest a fragment table takes a sixteenth. What then is left goes in four
// equal portions to what the shards hold, to the document that is made of it, to
// the one before, which somebody may still read, and to what the garbage
// collector has not found yet.
const (
	fixedMemory = 20 << 20
	batchMemory = batches * (batchBytes + batchFrames*frameWeight)
	frameWeight = 256
	portions    = 4
)

// InputMemory returns what one input may hold beside a record when the job may
// use memory, an eighth of it, between 8 MiB, what zstd asks for without
// --long, and 128 MiB; 0 leaves that to its default.
func InputMemory(memory int64) int64 {
	if memory == 0 {
		return 0
	}
	return min(max(memory/8, 8<<20), 128<<20)
}

// CheckMemory returns an error when n is no MaxMemory: less than MinMemory,
// and not 0.
func CheckMemory(n int64) error {
	if n != 0 && n < MinMemory {
		return fmt.Errorf("%d bytes of memory are not enough: the least is %d MB", n, MinMemory/1_000_000)
	}
	return nil
}

// fit derives the bounds of a job from the memory that it may use, bytes; 0
// leaves them as they are.
func fit(cfg *assoc.Config, memory int64, workers int) {
	if memory == 0 {
		return
	}
	rest := max(memory, MinMemory) - fixedMemory - int64(workers)*batchMemory
	rest = max(rest, MinMemory/4) // very many workers: their batches come first
	fragments := rest / 16
	cfg.Flows.DatagramBytes = int(min(int64(cfg.Flows.DatagramBytes), fragments))
	cfg.Memory = min(cfg.Memory, (rest-fragments)/portions/int64(workers))
}
