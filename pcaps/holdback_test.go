package pcaps

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

// fakeDevice is an interface on which packets arrive when the test says so.
type fakeDevice struct {
	mu     sync.Mutex
	queue  []int64 // times of packets that were captured and not read
	total  int64
	failed error
}

func (d *fakeDevice) capture(times ...int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, times...)
	d.total += int64(len(times))
}

func (d *fakeDevice) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
}

func (d *fakeDevice) read() ([]byte, int, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		if d.failed != nil {
			return nil, 0, 0, d.failed
		}
		d.mu.Unlock()
		time.Sleep(time.Millisecond)
		d.mu.Lock()
		return nil, 0, 0, ErrIdle
	}
	at := d.queue[0]
	d.queue = d.queue[1:]
	return binary.BigEndian.AppendUint64(nil, uint64(at)), 8, at, nil
}

func (d *fakeDevice) link() LinkType { return LinkEthernet }
func (d *fakeDevice) close()         {}
func (d *fakeDevice) stats() (deviceStats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return deviceStats{received: d.total}, nil
}

// openFakes captures on interfaces that the test feeds.
func openFakes(t *testing.T, holdback time.Duration, interfaces ...LiveInterface) (*Live, []*fakeDevice) {
	t.Helper()
	var all []*fakeDevice
	l, err := openLive(interfaces, LiveOptions{Holdback: holdback, Now: time.Now}, func(string, LiveOptions) (device, error) {
		d := new(fakeDevice)
		all = append(all, d)
		return d, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, all
}

// given reads n packets, all to the end with n < 0, and returns their times.
func given(t *testing.T, l *Live, n int) (times []int64) {
	t.Helper()
	var p Packet
	for give := time.Now().Add(20 * time.Second); len(times) != n; {
		switch err := l.Next(&p); {
		case err == nil:
			if got := int64(binary.BigEndian.Uint64(p.Data)); got != p.Time {
				t.Fatalf("packet of %d has the bytes of %d", p.Time, got)
			}
			times = append(times, p.Time)
		case errors.Is(err, io.EOF) && n < 0:
			return times
		case !errors.Is(err, ErrIdle):
			t.Fatalf("after %d packets: %v", len(times), err)
		case time.Now().After(give):
			t.Fatalf("%d packets of %d came", len(times), n)
		}
	}
	return times
}

// every returns n times from first on, a step apart.
func every(first, step int64, n int) (times []int64) {
	for i := range n {
		times = append(times, first+int64(i)*step)
	}
	return times
}

var twoTaps = []LiveInterface{{Name: "tap0"}, {Name: "tap1", OtherHalf: true}}

// TestHoldback: packets of two interfaces come in order of time though those
// of one are handed over later, in whatever blocks.
func TestHoldback(t *testing.T) {
	for _, row := range []struct {
		name     string
		holdback time.Duration
		late     time.Duration
		block    int
		sorted   bool
	}{
		{"late blocks", LiveHoldback, 50 * time.Millisecond, 1000, true},
		{"late packets", LiveHoldback, 50 * time.Millisecond, 1, true},
		{"off", 0, 50 * time.Millisecond, 1000, false},
		{"later than the holdback", 20 * time.Millisecond, 200 * time.Millisecond, 1000, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l, d := openFakes(t, row.holdback, twoTaps...)
			const n = 4000
			go func() {
				for i := 0; i < n; i += row.block {
					at := every(2*int64(i), 2, row.block)
					d[0].capture(at...)
					if i%1000 == 0 {
						time.Sleep(row.late)
					}
					for k := range at {
						at[k]++
					}
					d[1].capture(at...)
				}
			}()
			got := given(t, l, 2*n)
			if sorted := slices.IsSorted(got); sorted != row.sorted {
				t.Errorf("packets in order of time: %v, want %v", sorted, row.sorted)
			}
			slices.Sort(got)
			if !slices.Equal(got, every(0, 1, 2*n)) {
				t.Error("packets are missing or came twice")
			}
			if n := l.Capture().HoldbackExceeded; n != 0 {
				t.Errorf("%d packets were not held back", n)
			}
		})
	}
}

// TestHoldbackWaits: how long a packet waits for an interface on which nothing
// comes.
func TestHoldbackWaits(t *testing.T) {
	const holdback = 300 * time.Millisecond
	ended := errors.New("it went away")
	for _, row := range []struct {
		name       string
		interfaces []LiveInterface
		before     func(*Live, []*fakeDevice)
		waits      bool
	}{
		{"one interface", twoTaps[:1], func(*Live, []*fakeDevice) {}, false},
		{"two, one silent", twoTaps, func(*Live, []*fakeDevice) {}, true},
		{"two, one later", twoTaps, func(_ *Live, d []*fakeDevice) { d[1].capture(8) }, false},
		{"two, one ended", twoTaps, func(_ *Live, d []*fakeDevice) { d[1].fail(ended); time.Sleep(20 * time.Millisecond) }, false},
		{"stopped", twoTaps, func(l *Live, d []*fakeDevice) { l.Stop() }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l, d := openFakes(t, holdback, row.interfaces...)
			begun := time.Now()
			d[0].capture(7)
			row.before(l, d)
			got := given(t, l, 1)
			if took := time.Since(begun); got[0] != 7 || (took >= holdback) != row.waits {
				t.Errorf("packet %d after %v", got[0], took)
			}
		})
	}
}

// TestHoldbackIsBounded floods one interface while nothing comes on the other:
// nothing is lost, and what could not be held back is counted.
func TestHoldbackIsBounded(t *testing.T) {
	l, d := openFakes(t, time.Minute, twoTaps...)
	const n = heldBatches * liveBatchPackets
	times := every(0, 1, n)
	d[0].capture(times...)
	room := liveBatchesOf(2) * liveBatchPackets
	got := given(t, l, n-room-2*liveBatchPackets)
	if exceeded := l.Capture().HoldbackExceeded; exceeded != int64(len(got)) {
		t.Errorf("%d packets came, %d of them too early", len(got), exceeded)
	}
	l.Stop()
	got = append(got, given(t, l, -1)...)
	if !slices.Equal(got, times) {
		t.Errorf("%d packets of %d came", len(got), n)
	}
}

// TestLiveHalves: interfaces that were joined are one capture point.
func TestLiveHalves(t *testing.T) {
	l, _ := openFakes(t, 0,
		LiveInterface{Name: "a", Point: Edge}, LiveInterface{Name: "b", Point: Edge, OtherHalf: true}, LiveInterface{Name: "c", Point: Edge, OtherHalf: true},
		LiveInterface{Name: "d"}, LiveInterface{Name: "e", OtherHalf: true})
	var got []Interface
	for _, f := range l.Capture().Interfaces {
		got = append(got, Interface{Name: f.Name, Tap: f.Tap, Joined: f.Joined, Of: f.Of})
	}
	want := []Interface{
		{Name: "a", Tap: 1}, {Name: "b", Tap: 1, Joined: OtherHalf}, {Name: "c", Tap: 1, Joined: OtherHalf},
		{Name: "d", Tap: 2}, {Name: "e", Tap: 2, Joined: OtherHalf, Of: InterfaceRef{Interface: 3}},
	}
	for i := range want {
		if got[i].Name != want[i].Name || got[i].Tap != want[i].Tap || got[i].Joined != want[i].Joined || got[i].Of != want[i].Of {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if n := len(l.Taps()); n != 2 {
		t.Errorf("%d capture points", n)
	}
}

// BenchmarkLive gives out packets that were read: of one interface, and of two
// in turn.
func BenchmarkLive(b *testing.B) {
	for n := 1; n <= 2; n++ {
		b.Run(twoTaps[n-1].Name, func(b *testing.B) {
			l := &Live{free: make(chan *liveBatch, 2), holdback: LiveHoldback, now: time.Now}
			for k := range n {
				l.capture.addLive(twoTaps[k], LinkEthernet, 0)
				l.taps = append(l.taps, &tap{index: int32(k), full: make(chan *liveBatch, 1)})
			}
			batches := make([]*liveBatch, n)
			for k := range batches {
				batches[k] = &liveBatch{packets: make([]livePacket, liveBatchPackets)}
				for i := range batches[k].packets {
					batches[k].packets[i] = livePacket{at: int64(2*i + k), wireLen: 100, data: make([]byte, 60)}
				}
			}
			var p Packet
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%(n*liveBatchPackets) == 0 {
					for k, t := range l.taps {
						t.batch, t.at = batches[k], 0
					}
				}
				if err := l.Next(&p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
