package budget

import "testing"

func TestAccount(t *testing.T) {
	const total = 16 << 20 // a sixteenth is 1 MiB
	tests := []struct {
		name                         string
		charge                       map[Kind]int
		kind                         Kind
		own, more                    int
		room, grants, pressed, eased bool
	}{
		{"empty", nil, Held, 0, 1 << 20, true, true, false, true},
		{"more than its share", nil, Held, 0, 1<<20 + 1, false, false, false, true},
		{"at its share", map[Kind]int{Held: 1 << 20}, Held, 0, 0, true, true, false, false},
		{"over its share", map[Kind]int{Held: 1<<20 + 1}, Held, Floor, 1, false, false, true, false},
		{"a neighbour of who is over", map[Kind]int{Detail: 5 << 20}, Detail, Floor - 1, 1, false, true, false, false},
		{"the floor is not more", map[Kind]int{Detail: 5 << 20}, Detail, Floor, 1, false, false, false, false},
		{"ended ones make room", map[Kind]int{Ended: 16 << 20}, Held, Floor, 1, true, true, false, true},
		{"the total", map[Kind]int{Open: 4 << 20, Detail: 4 << 20, Shared: 2 << 20, Events: 4 << 20, Ended: 3 << 20}, Held, Floor, 1 << 20, true, true, true, true},
		{"the total without ended ones", map[Kind]int{Detail: 14 << 20, Events: 2 << 20}, Held, Floor, 1, false, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := New(total)
			for k, n := range tt.charge {
				a.Add(k, n)
			}
			got := [...]bool{a.Room(tt.kind, tt.more), a.Grants(tt.kind, tt.own, tt.more), a.Pressed(), a.Eased(tt.kind)}
			if want := [...]bool{tt.room, tt.grants, tt.pressed, tt.eased}; got != want {
				t.Errorf("room, grants, pressed, eased: %v, want %v", got, want)
			}
			for k, n := range tt.charge {
				a.Add(k, -n)
			}
			if a.Sum() != 0 || a.Used(tt.kind) != 0 {
				t.Errorf("%d bytes are left", a.Sum())
			}
		})
	}
}

// TestNobodyCounts uses no account at all.
func TestNobodyCounts(t *testing.T) {
	var a *Account
	a.Add(Held, 1<<30)
	if !a.Room(Held, 1<<30) || !a.Grants(Detail, 1<<30, 1) {
		t.Error("no account, and no room")
	}
}
