package sink

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// keeper looks after finished files: it removes the oldest and compresses the
// others. The folder itself says what there is to do, so that files of earlier
// runs, and what an earlier try left, need no memory.
type keeper struct {
	config *Config
	disk   disk
	series series
	off    bool          // there is one file, and none is finished before the end
	last   int           // number of the newest file at the start
	wake   chan struct{} // room for one; nil where nothing is compressed
	cancel chan struct{} // closed: compress no further
	done   chan struct{} // closed: the goroutine has ended

	mu     sync.Mutex // also: a file is removed, or gets its final name
	active string     // file that is being written
	ending bool
	text   string // what went wrong since the last file was finished
	small  string // what went wrong when files were compressed last
}

var errStopped = errors.New("stopped")

// begin makes the folder and sets right what a killed process left in it.
func (k *keeper) begin() error {
	if k.off {
		return nil
	}
	all, err := k.entries()
	if errors.Is(err, fs.ErrNotExist) {
		err = k.disk.mkdir()
		if err == nil {
			all, err = k.entries() // takes the lock
		}
	}
	if err != nil {
		return trouble(k.config.Dir, err)
	}
	for _, e := range all {
		k.last = max(k.last, e.number)
		if e.temp != "" && !k.busy(e.temp) {
			k.remove(e.temp)
		}
		if e.plain && e.small { // the compressed one is complete: it has its name
			k.remove(e.file)
		}
	}
	k.prune()
	return nil
}

// start starts to compress.
func (k *keeper) start() {
	if k.config.Zstd && !k.off {
		k.wake, k.cancel, k.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		k.wake <- struct{}{}
		go k.run()
	}
}

func (k *keeper) entries() ([]entry, error) {
	list, err := k.disk.list(k.series.name + "-")
	return k.series.entries(list), err
}

// busy tells whether another process, of the same name in the same folder,
// writes a file.
func (k *keeper) busy(file string) bool { return k.disk.busy(file) }

// writes says which file is being written. It is called before the file is
// there.
func (k *keeper) writes(file string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active = file
}

// finished is called when a file is; err says how closing it went.
func (k *keeper) finished(err error) {
	k.mu.Lock()
	k.active, k.text = "", ""
	if err != nil {
		k.text = err.Error()
	}
	k.mu.Unlock()
	k.prune()
	k.rouse()
}

func (k *keeper) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// trouble returns what stands in the way of removing or compressing, or "".
func (k *keeper) trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return cmp.Or(k.text, k.small)
}

// prune removes the oldest finished files.
func (k *keeper) prune() {
	if k.config.Keep == 0 {
		return
	}
	all, err := k.entries()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.mu.Lock()
		k.text = trouble(k.config.Dir, err).Error()
		k.mu.Unlock()
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return !e.plain && !e.small })
	for _, e := range all[:max(len(all)-k.config.Keep, 0)] {
		if e.plain && !k.busy(e.file) {
			k.remove(e.file)
		}
		if e.small {
			k.remove(e.file + suffixZstd)
		}
	}
}

func (k *keeper) remove(name string) {
	path := filepath.Join(k.config.Dir, name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.disk.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.text = trouble(path, err).Error()
	}
}

// close compresses what is finished and stops, at the latest when the context
// ends: what is not done then is done by the next run.
func (k *keeper) close(ctx context.Context) {
	if k.wake == nil {
		return
	}
	k.mu.Lock()
	first := !k.ending
	k.ending = true
	k.mu.Unlock()
	k.rouse()
	select {
	case <-k.done:
		return
	case <-ctx.Done():
	}
	if first {
		close(k.cancel)
	}
	select {
	case <-k.done:
	case <-time.After(hung):
	}
}

func (k *keeper) run() {
	defer close(k.done)
	for range k.wake {
		k.mu.Lock()
		ending := k.ending
		k.mu.Unlock()
		small := ""
		if err := k.compressAll(); err != nil {
			small = err.Error()
		}
		k.mu.Lock()
		k.small = small
		k.mu.Unlock()
		if ending {
			return
		}
	}
}

// compressAll compresses the finished files, oldest first.
func (k *keeper) compressAll() error {
	all, err := k.entries()
	if err != nil {
		return trouble(k.config.Dir, err)
	}
	k.mu.Lock()
	active := k.active // asked after the list: what is in that and not active is finished
	k.mu.Unlock()
	var failed error
	for _, e := range all {
		if !e.plain || e.small || e.file == active || k.busy(e.file) {
			continue
		}
		switch err := k.compress(e.file); {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, errBusy):
		case errors.Is(err, errStopped):
			return nil
		default:
			failed = trouble(filepath.Join(k.config.Dir, e.file)+suffixZstd, err)
		}
	}
	return failed
}

// compress makes one file small. The file is removed when the small one is
// complete and on the disk, so that a kill loses nothing. errBusy is another
// process that is at it, fs.ErrNotExist one that was faster.
func (k *keeper) compress(name string) error {
	temp := name + suffixZstd + suffixTemp
	if err := k.disk.convert(name, temp, k.pack); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err := fs.ErrNotExist
	if k.disk.exists(name) { // it may have been the oldest by now
		if err = k.disk.rename(temp, name+suffixZstd); err == nil {
			return k.disk.remove(name)
		}
	}
	k.disk.remove(temp)
	return err
}

// pack writes a compressed copy of what it reads.
func (k *keeper) pack(out io.Writer, in io.Reader) error {
	// Fast, and on one processor: the capture needs the others.
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	_, err = io.Copy(z, stoppable{in, k.cancel})
	return errors.Join(err, z.Close())
}

// stoppable is a reader that ends with errStopped when told to.
type stoppable struct {
	r    io.Reader
	stop chan struct{}
}

func (s stoppable) Read(b []byte) (int, error) {
	select {
	case <-s.stop:
		return 0, errStopped
	default:
		return s.r.Read(b)
	}
}
