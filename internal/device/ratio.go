package device

import "fmt"

// Counters are the four byte counters of a connection, TCP payload on the
// original (LAN) and on the optimized (WAN) side of the device.
type Counters struct {
	OriginalRead, OriginalWritten   int64
	OptimizedRead, OptimizedWritten int64
}

// ReductionRatio returns 1 - optimized/original in per cent. A connection
// that grew gives a negative ratio; ok is false when nothing was original.
func (c Counters) ReductionRatio() (percent float64, ok bool) {
	original := c.OriginalRead + c.OriginalWritten
	if original <= 0 {
		return 0, false
	}
	return 100 * (1 - float64(c.OptimizedRead+c.OptimizedWritten)/float64(original)), true
}

// ListRatio prints a reduction ratio as the connection list does, with one
// decimal.
func ListRatio(percent float64) string { return ratio(percent, 1) }

// DetailRatio prints a reduction ratio as the detail of a connection does,
// with three decimals.
func DetailRatio(percent float64) string { return ratio(percent, 3) }

// ratio prints a ratio; the device shows growth as 0.00%, whatever the view.
func ratio(percent float64, decimals int) string {
	if percent < 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.*f%%", decimals, percent)
}
