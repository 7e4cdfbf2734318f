package emsmdb

import "testing"

func TestVersion(t *testing.T) {
	for _, x := range []struct {
		words   [3]uint16
		text    string
		product string
		bucket  Bucket
	}{
		{[3]uint16{0, 0, 0}, "unknown", "", UnknownBucket},
		{[3]uint16{4, 993, 0}, "4.0.993.0", "Exchange client 4.0", LowerThan2000},
		{[3]uint16{5, 2653, 23}, "5.0.2653.23", "Outlook 97 or 98", LowerThan2000},
		{[3]uint16{5, 2999, 0}, "5.0.2999.0", "Outlook 97 or 98", LowerThan2000},
		{[3]uint16{5, 3000, 0}, "5.0.3000.0", "Outlook 2000", Outlook2000},
		{[3]uint16{5, 3144, 0}, "5.0.3144.0", "Outlook 2000", Outlook2000},
		{[3]uint16{6, 4417, 5}, "6.0.4417.5", "MAPI of Exchange 2000 or 2003", Outlook2000},
		{[3]uint16{8, 0x8000 | 692, 3}, "8.0.692.3", "MAPI of Exchange 2007", Outlook2000},
		{[3]uint16{0x0800, 0x82b4, 3}, "8.0.692.3", "MAPI of Exchange 2007", Outlook2000},
		{[3]uint16{10, 4219, 0}, "10.0.4219.0", "Outlook 2002", Outlook2000},
		{[3]uint16{0x000b, 0x15e8, 0x15e6}, "11.0.5608.5606", "Outlook 2003", Outlook2003},
		{[3]uint16{12, 6206, 1000}, "12.0.6206.1000", "Outlook 2007", Outlook2007},
		{[3]uint16{0x0c00, 0x9919, 1000}, "12.0.6425.1000", "Outlook 2007", Outlook2007},
		{[3]uint16{13, 1, 1}, "13.0.1.1", "", Outlook2007},
		{[3]uint16{0x0e00, 0x9298, 1000}, "14.0.4760.1000", "Outlook 2010", HigherThan2007},
		{[3]uint16{0x0f00, 0x9144, 1000}, "15.0.4420.1000", "Outlook 2013", HigherThan2007},
		{[3]uint16{0x1000, 0x9085, 1000}, "16.0.4229.1000", "Outlook 2016 or later", HigherThan2007},
		{[3]uint16{0x0e02, 0x8001, 1}, "14.2.1.1", "Outlook 2010", HigherThan2007},
	} {
		v := NewVersion(x.words)
		if v.String() != x.text || v.Product() != x.product || v.Bucket() != x.bucket {
			t.Errorf("%x: %s, %q, %v; want %s, %q, %v", x.words, v, v.Product(), v.Bucket(), x.text, x.product, x.bucket)
		}
	}
}

func TestServerProduct(t *testing.T) {
	for v, want := range map[Version]string{
		{}: "", {4, 0, 993, 0}: "Exchange 4.0", {5, 0, 1457, 3}: "Exchange 5.0", {5, 0, 2653, 23}: "Exchange 5.5",
		{6, 0, 4417, 5}: "Exchange 2000", {6, 0, 6944, 0}: "Exchange 2003", {8, 1, 240, 0}: "Exchange 2007",
		{14, 3, 123, 0}: "Exchange 2010", {15, 0, 516, 0}: "Exchange 2013", {15, 1, 225, 0}: "Exchange 2016",
		{15, 2, 221, 0}: "Exchange 2019", {7, 0, 0, 1}: "",
	} {
		if got := v.ServerProduct(); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	if got := RopName(0x2c); got != "RopReadStream" {
		t.Errorf("0x2C is %q", got)
	}
	if got := RopName(0x2b); got != "RopOpenStream" {
		t.Errorf("0x2B is %q", got)
	}
	for why := range NumReasons {
		if why.String() == "" || why.String() == "unknown" {
			t.Errorf("reason %d has no name", why)
		}
	}
	if Reason(NumReasons).String() != "unknown" || Bucket(99).String() != "Bucket(99)" || HigherThan2007.String() != "higher than 2007" {
		t.Error("names of values that do not exist")
	}
}
