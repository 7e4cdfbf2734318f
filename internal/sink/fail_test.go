package sink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openFake(t *testing.T, c Config, d *fakeDisk) *Log[int] {
	t.Helper()
	l, err := open(c, numbered, d)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFullAtEveryByte lets the disk become full, or break, after every number
// of bytes that the records have, and come back.
func TestFullAtEveryByte(t *testing.T) {
	const records = 12 // of 8 and 9 bytes
	total := len(lines(1, records))
	for _, row := range []struct {
		name  string
		rigid bool // nothing can be cut off
		size  int64
		time  time.Duration
		limit func(d *fakeDisk, bytes int)
		cause error
		torn  bool // an unfinished line may stay
	}{
		{name: "full", limit: func(d *fakeDisk, n int) { d.room = n }, cause: syscall.ENOSPC},
		{name: "full, small files", size: 30, limit: func(d *fakeDisk, n int) { d.room = n }, cause: syscall.ENOSPC},
		{name: "full and rigid", rigid: true, size: 30, limit: func(d *fakeDisk, n int) { d.room = n }, cause: syscall.ENOSPC},
		{name: "full and rigid, short files", rigid: true, time: 3 * time.Second, limit: func(d *fakeDisk, n int) { d.room = n }, cause: syscall.ENOSPC},
		{name: "broken", limit: func(d *fakeDisk, n int) { d.broken = n }, cause: syscall.EIO},
		{name: "broken, small files", size: 30, limit: func(d *fakeDisk, n int) { d.broken = n }, cause: syscall.EIO},
		{name: "broken and rigid", rigid: true, size: 30, limit: func(d *fakeDisk, n int) { d.broken = n }, cause: syscall.EIO, torn: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			for n := range total {
				for _, together := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						d := newFakeDisk()
						d.rigid = row.rigid
						c := config("/log")
						c.RotateSize, c.Rotate = row.size, row.time
						l := openFake(t, c, d)
						synctest.Wait()
						d.set(func(d *fakeDisk) { row.limit(d, n) })
						for i := 1; i <= records; i++ {
							l.Put(i)
							if !together {
								synctest.Wait()
							}
						}
						synctest.Wait()
						s := l.Stats()
						if s.Written+s.Spooled != records || s.Spooled == 0 || !strings.HasSuffix(s.Failing, row.cause.Error()) {
							t.Fatalf("after %d bytes: %+v", n, s)
						}
						d.set(func(d *fakeDisk) { whole(t, d.contents(), 1, int(s.Written), row.rigid) })
						time.Sleep(20 * time.Second)
						d.set(func(d *fakeDisk) { d.room, d.broken = 1<<30, -1 })
						time.Sleep(retryMost)
						synctest.Wait()
						if s := l.Stats(); s.Written != records || s.Failing != "" {
							t.Errorf("%+v", s)
						}
						closeLog(t, l)
						whole(t, d.contents(), 1, records, row.torn)
					})
				}
			}
		})
	}
}

// TestBadFile shows that a file which cannot be written is left for another,
// and how often a sink is tried.
func TestBadFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		l := openFake(t, config("/log"), d)
		l.Put(1)
		synctest.Wait()
		d.set(func(d *fakeDisk) { d.bad, d.broken, d.tries = "events-20000101-000000-000001.jsonl", 0, 0 })
		l.Put(2)
		time.Sleep(time.Minute)
		d.set(func(d *fakeDisk) {
			if d.tries != 1 {
				t.Errorf("%d tries to write to a bad file", d.tries)
			}
			d.broken = -1
		})
		time.Sleep(retryMost)
		closeLog(t, l)
		if diff := cmp.Diff([]string{lines(1, 1), lines(2, 2)}, d.contents()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestBackoff counts the tries of a sink that fails for an hour.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		l := openFake(t, config("/log"), d)
		d.set(func(d *fakeDisk) { d.room = 0 })
		for n := 1; n <= 100; n++ {
			l.Put(n)
			time.Sleep(36 * time.Second)
		}
		d.set(func(d *fakeDisk) {
			if want := int(time.Hour/retryMost) + 10; d.tries > want || d.tries < want/2 {
				t.Errorf("%d tries in an hour, want %d at most", d.tries, want)
			}
			d.room = 1 << 30
		})
		closeLog(t, l)
		whole(t, d.contents(), 1, 100, false)
	})
}

// TestAnyTrouble puts records while a disk fails in one way after the other.
func TestAnyTrouble(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				d := newFakeDisk()
				c := config("/log")
				c.Queue = 1 + random.IntN(2000)
				c.RotateSize = random.Int64N(2) * random.Int64N(1<<17)
				c.Rotate = time.Duration(random.IntN(2)*(1+random.IntN(100))) * time.Second
				l := openFake(t, c, d)
				n := 0
				for range 50 {
					switch random.IntN(10) {
					case 0:
						d.set(func(d *fakeDisk) { d.room = random.IntN(3000) })
					case 1:
						d.set(func(d *fakeDisk) { d.broken = random.IntN(3000) })
					case 2:
						d.set(func(d *fakeDisk) { d.room, d.broken = 1<<30, -1 })
					case 3:
						synctest.Wait() // what is being written is written
						d.removeAll()
					case 4:
						l.Rotate()
					case 5:
						time.Sleep(time.Duration(random.Int64N(int64(10 * time.Second))))
					case 6:
						d.set(func(d *fakeDisk) { d.rigid = !d.rigid })
					default:
						for range random.IntN(2000) {
							n++
							l.Put(n)
						}
					}
					if s := l.Stats(); s.Waiting+s.Spooled+s.Written+s.Lost != int64(n) || s.Lost != 0 {
						t.Fatalf("of %d records: %+v", n, s)
					}
				}
				d.set(func(d *fakeDisk) { d.room, d.broken = 1<<30, -1 })
				closeLog(t, l)
				if s := l.Stats(); s.Written != int64(n) {
					t.Errorf("of %d records: %+v", n, s)
				}
				whole(t, append(d.past, d.contents()...), 1, n, true)
			})
		})
	}
}

// TestWhenFull fills the queue behind a write that does not return.
func TestWhenFull(t *testing.T) {
	for _, row := range []struct {
		name string
		when WhenFull
		lost int64
		want string
	}{
		{"block", Block, 0, lines(1, 6)},
		{"drop", Drop, 2, lines(1, 4)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDisk()
				d.gate = make(chan struct{})
				c := config("/log")
				c.Queue, c.WhenFull = 4, row.when
				l := openFake(t, c, d)
				put := 0
				go func() {
					for n := 1; n <= 6; n++ {
						l.Put(n)
						put = n
					}
				}()
				synctest.Wait()
				if want := 4 + int(row.lost); put != want {
					t.Errorf("%d records were put, want %d", put, want)
				}
				want := Stats{Waiting: 4, Capacity: 4, Lost: row.lost, File: "/log/events-20000101-000000-000001.jsonl"}
				if row.when == Block {
					want.Lost = 0
				}
				got := l.Stats()
				got.File = want.File // known from the first write on
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				close(d.gate)
				synctest.Wait()
				closeLog(t, l)
				if diff := cmp.Diff(row.want, strings.Join(d.contents(), "")); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(Stats{Capacity: 4, Written: 6 - row.lost, Lost: row.lost}, l.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestSpoolIsFull fills the spool, then the queue, of a disk without room.
func TestSpoolIsFull(t *testing.T) {
	for _, when := range []WhenFull{Block, Drop} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDisk()
			c := config("/log")
			c.Queue, c.WhenFull, c.SpoolBytes = 100, when, 4*chunkRoom
			l := openFake(t, c, d)
			d.set(func(d *fakeDisk) { d.room = 0 })
			const records = 50_000
			put := 0
			go func() {
				for n := 1; n <= records; n++ {
					l.Put(n)
					if put = n; n%50 == 0 {
						time.Sleep(time.Microsecond) // the spool keeps up
					}
				}
			}()
			time.Sleep(time.Minute)
			synctest.Wait()
			s := l.Stats()
			if s.Waiting != 100 || s.Waiting+s.Spooled+s.Lost != int64(put) || s.Failing == "" {
				t.Errorf("%d put, %+v", put, s)
			}
			if got := int64(len(lines(1, int(s.Spooled)))); got > c.SpoolBytes || got < c.SpoolBytes/3 {
				t.Errorf("%d bytes are spooled, the bound is %d", got, c.SpoolBytes)
			}
			if when == Block && (s.Lost > 0 || put == records) || when == Drop && (s.Lost == 0 || put != records) {
				t.Errorf("when full %d: %d put, %d lost", when, put, s.Lost)
			}
			d.set(func(d *fakeDisk) { d.room = 1 << 30 })
			time.Sleep(time.Minute)
			closeLog(t, l)
			if when == Block {
				whole(t, d.contents(), 1, records, false)
			} else {
				whole(t, d.contents(), 1, records-int(l.Stats().Lost), false)
			}
		})
	}
}

// TestCloseAtTheDeadline closes a log that cannot write.
func TestCloseAtTheDeadline(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*fakeDisk)
		want   string
		then   Stats
	}{
		{"full", func(d *fakeDisk) { d.room = 20 },
			"8 records are lost: /log/events-20000101-000000-000001.jsonl: no space left on device",
			Stats{Capacity: 4, Written: 2, Lost: 8, Failing: "/log/events-20000101-000000-000001.jsonl: no space left on device"}},
		{"a write that does not return", func(d *fakeDisk) { d.gate = make(chan struct{}) },
			"10 records are lost: writing them takes too long",
			Stats{Capacity: 4, Written: 1, Lost: 9}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDisk()
				c := config("/log")
				c.Queue, c.SpoolBytes = 4, 0
				l := openFake(t, c, d)
				d.set(row.change)
				for n := 1; n <= 10; n++ {
					go l.Put(n)
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begun := time.Now()
				if err := l.Close(ctx); err == nil || err.Error() != row.want {
					t.Errorf("Close = %v, want %s", err, row.want)
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("Close took %v", took)
				}
				if d.gate != nil {
					close(d.gate) // what is being written is written after all
				}
				synctest.Wait()
				if diff := cmp.Diff(row.then, l.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestCloseTriesAgain closes a log that waits for its next try, when the disk
// is already back.
func TestCloseTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		l := openFake(t, config("/log"), d)
		d.set(func(d *fakeDisk) { d.room = 3 })
		l.Put(1)
		time.Sleep(time.Hour)
		d.set(func(d *fakeDisk) { d.room = 100 })
		begun := time.Now()
		closeLog(t, l)
		if took := time.Since(begun); took > 2*retryLast {
			t.Errorf("Close took %v", took)
		}
		whole(t, d.contents(), 1, 1, false)
	})
}
