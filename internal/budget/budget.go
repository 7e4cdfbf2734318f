// Package budget is the account of the memory that one shard holds: who keeps
// bytes charges them here and refunds them when it lets go. Bounds of one
// connection multiply by the number of connections; the bounds here do not.
//
// Weights are estimates of live heap. An Account allocates nothing, takes no
// lock, and gives nothing up itself: package assoc does that, between frames.
package budget

// Kind says what bytes are held for.
type Kind uint8

// The kinds.
const (
	Open       Kind = iota // open connections with their decoders, as far as all have the same
	Detail                 // what the tables of open connections hold
	Held                   // payload behind holes
	Unfinished             // PDUs and messages that are not complete, bytes that are searched for a PDU
	Shared                 // what connections share: host pairs, their EMSMDB sessions and ports
	Exchanges              // with endpoint mappers and KDCs
	Events                 // events for the log
	Ended                  // records of ended connections
	kinds
)

// shares says, in sixteenths of the total, what a kind may hold. Records of
// ended connections may take all that the others leave, and make room for them.
var shares = [kinds]int64{Open: 8, Detail: 4, Held: 1, Unfinished: 1, Shared: 2, Exchanges: 2, Events: 4, Ended: 16}

// Default is the total of a shard when nobody says otherwise: 1 GiB.
const Default = 1 << 30

// Floor is what each connection, and each host pair, may hold whatever the
// others hold: a flood then costs those that flood, not their neighbours.
const Floor = 64 << 10

// Account is what a shard holds, bytes. The methods of a nil Account allow
// everything and count nothing.
type Account struct {
	total  int64
	sum    int64
	limits [kinds]int64
	used   [kinds]int64
}

// New returns an empty Account over a total of bytes; 0 is Default.
func New(total int64) *Account {
	if total <= 0 {
		total = Default
	}
	a := &Account{total: total}
	for k, share := range shares {
		a.limits[k] = total / 16 * share
	}
	return a
}

// Add charges n bytes, or refunds them when n is negative.
func (a *Account) Add(k Kind, n int) {
	if a != nil {
		a.used[k] += int64(n)
		a.sum += int64(n)
	}
}

// Room reports whether n more bytes of a kind fit. Records of ended
// connections do not stand in the way.
func (a *Account) Room(k Kind, n int) bool {
	return a == nil || a.used[k]+int64(n) <= a.limits[k] && a.sum-a.used[Ended]+int64(n) <= a.total
}

// Grants is Room for somebody who holds own bytes already and has the Floor to
// himself.
func (a *Account) Grants(k Kind, own, n int) bool {
	return own+n <= Floor || a.Room(k, n)
}

// Pressed reports whether something has to go.
func (a *Account) Pressed() bool {
	return a.sum > a.total || a.used[Open] > a.limits[Open] || a.used[Held] > a.limits[Held] ||
		a.used[Unfinished] > a.limits[Unfinished] || a.used[Shared] > a.limits[Shared]
}

// Over reports whether a kind holds more than its share.
func (a *Account) Over(k Kind) bool { return a.used[k] > a.limits[k] }

// Eased reports whether a kind holds clearly less than its share, an eighth
// below: who gives up goes on until then, so that it is seldom done.
func (a *Account) Eased(k Kind) bool { return a.used[k] <= a.limits[k]-a.limits[k]/8 }

// Full reports whether all kinds together hold more than the total.
func (a *Account) Full() bool { return a.sum > a.total }

// Excess returns how much has to go until all kinds together hold clearly less
// than the total, a sixteenth below; it may be negative.
func (a *Account) Excess() int64 { return a.sum - (a.total - a.total/16) }

// Worth reports whether a kind holds so much that giving it up helps against
// Full.
func (a *Account) Worth(k Kind) bool { return a.used[k] > a.total/64 }

// Toll is by what those who hold bytes are ranked when some have to let go: the
// bytes, and for how long, ns. What is small may wait and what is soon done may
// be large.
func Toll(bytes int, ns int64) float64 { return float64(bytes) * float64(max(ns, 1)) }

// Used returns what a kind holds.
func (a *Account) Used(k Kind) int64 { return a.used[k] }

// Sum returns what all kinds together hold.
func (a *Account) Sum() int64 { return a.sum }

// Total returns the bound of Sum.
func (a *Account) Total() int64 { return a.total }
