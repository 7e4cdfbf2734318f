package dcerpc

import (
	"testing"

	"mapiscope/internal/wire"
)

func TestInterfaceNamesAreDistinct(t *testing.T) {
	seen := map[string]wire.UUID{}
	for id, name := range interfaceNames {
		if other, twice := seen[name]; twice {
			t.Errorf("%v and %v are both %q", id, other, name)
		}
		seen[name] = id
		if name == "" {
			t.Errorf("%v has no name", id)
		}
	}
	for id, names := range operationNames {
		if _, ok := InterfaceName(id); !ok {
			t.Errorf("%v has operations and no name", id)
		}
		if names[len(names)-1] == "" {
			t.Errorf("the operations of %v end with an unnamed one", id)
		}
	}
}

func TestInterfaceName(t *testing.T) {
	tests := []struct{ id, want string }{
		{"a4f1db00-ca47-1067-b31f-00dd010662da", "EMSMDB"},
		{"5261574a-4572-206e-b268-6b199213b4e4", "AsyncEMSMDB"},
		{"f5cc5a18-4264-101a-8c59-08002b2f8426", "NSPI"},
		{"1544f5e0-613c-11d1-93df-00c04fd7bd09", "RFR"},
		{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", "EPM"},
		{"afa8bd80-7d8a-11c9-bef4-08002b102989", "MGMT"},
		{"f5cc59b4-4264-101a-8c59-08002b2f8426", "FrsRpc"}, // one digit from NSPI
		{"17fdd703-1827-4e34-79d4-24a55c53bb37", "MSGSVC"},
		{"12345678-1234-abcd-ef00-0123456789ab", "SPOOLSS"},
		{"12345778-1234-abcd-ef00-0123456789ab", "LSARPC"},
		{"12345778-1234-abcd-ef00-0123456789ac", "SAMR"},
		{"12345678-1234-abcd-ef00-01234567cffb", "NETLOGON"},
		{"00000000-0000-0000-0000-000000000000", ""},
	}
	for _, tt := range tests {
		if got, ok := InterfaceName(wire.MustUUID(tt.id)); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.id, got, ok, tt.want)
		}
	}
}

func TestOperationName(t *testing.T) {
	samr := wire.MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	lsa := wire.MustUUID("12345778-1234-abcd-ef00-0123456789ab")
	netlogon := wire.MustUUID("12345678-1234-abcd-ef00-01234567cffb")
	drs := wire.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2")
	wmi := wire.MustUUID("9556dc99-828c-11cf-a37e-00aa003240c7")
	tests := []struct {
		id    wire.UUID
		opnum uint16
		want  string
	}{
		{EPM, 2, "ept_lookup"}, {EPM, 3, "ept_map"}, {EPM, 4, "ept_lookup_handle_free"}, {EPM, 6, "ept_mgmt_delete"}, {EPM, 7, ""},
		{Mgmt, 0, "rpc__mgmt_inq_if_ids"}, {Mgmt, 4, "rpc__mgmt_inq_princ_name"}, {Mgmt, 5, ""},
		{EMSMDB, 0, "EcDoConnect"}, {EMSMDB, 1, "EcDoDisconnect"}, {EMSMDB, 2, "EcDoRpc"}, {EMSMDB, 4, "EcRRegisterPushNotification"},
		{EMSMDB, 6, "EcDummyRpc"}, {EMSMDB, 9, "EcDoRpcExt"}, {EMSMDB, 10, "EcDoConnectEx"}, {EMSMDB, 11, "EcDoRpcExt2"},
		{EMSMDB, 12, ""}, {EMSMDB, 14, "EcDoAsyncConnectEx"}, {EMSMDB, 15, ""},
		{AsyncEMSMDB, 0, "EcDoAsyncWaitEx"}, {AsyncEMSMDB, 1, ""},
		{NSPI, 0, "NspiBind"}, {NSPI, 3, "NspiQueryRows"}, {NSPI, 9, "NspiGetProps"}, {NSPI, 12, "NspiGetSpecialTable"},
		{NSPI, 15, ""}, {NSPI, 16, "NspiQueryColumns"}, {NSPI, 20, "NspiResolveNamesW"}, {NSPI, 21, ""},
		{RFR, 0, "RfrGetNewDSA"}, {RFR, 1, "RfrGetFQDNFromServerDN"}, {RFR, 2, ""},
		// The long tables are right when their last rows are.
		{samr, 34, "SamrOpenUser"}, {samr, 57, "SamrConnect2"}, {samr, 64, "SamrConnect5"}, {samr, 67, "SamrValidatePassword"},
		{lsa, 44, "LsarOpenPolicy2"}, {lsa, 57, "LsarLookupSids2"}, {lsa, 68, "LsarLookupNames3"}, {lsa, 77, "LsarLookupNames4"},
		{netlogon, 4, "NetrServerReqChallenge"}, {netlogon, 26, "NetrServerAuthenticate3"}, {netlogon, 34, "DsrGetDcNameEx2"},
		{netlogon, 45, "NetrLogonSamLogonWithFlags"},
		{drs, 3, "IDL_DRSGetNCChanges"}, {drs, 12, "IDL_DRSCrackNames"}, {drs, 28, "IDL_DRSAddCloneDC"},
		{wmi, 20, "ExecQuery"}, {wmi, 24, "ExecMethod"},
		{wire.UUID{}, 0, ""},
	}
	for _, tt := range tests {
		if got, ok := OperationName(tt.id, tt.opnum); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%v opnum %d: %q, %v; want %q", tt.id, tt.opnum, got, ok, tt.want)
		}
	}
}
