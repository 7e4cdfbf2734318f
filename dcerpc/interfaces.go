package dcerpc

import "mapiscope/internal/wire"

// The interfaces whose operations are named here.
var (
	EPM         = wire.MustUUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa")
	mgmt        = wire.MustUUID("afa8bd80-7d8a-11c9-bef4-08002b102989")
	emsmdb      = wire.MustUUID("a4f1db00-ca47-1067-b31f-00dd010662da")
	asyncEMSMDB = wire.MustUUID("5261574a-4572-206e-b268-6b199213b4e4")
	nspi        = wire.MustUUID("f5cc5a18-4264-101a-8c59-08002b2f8426")
	rfr         = wire.MustUUID("1544f5e0-613c-11d1-93df-00c04fd7bd09")
)

// interfaceNames names interfaces by the specifications that define them.
var interfaceNames = map[wire.UUID]string{
	EPM:         "EPM",
	mgmt:        "MGMT",
	emsmdb:      "EMSMDB",
	asyncEMSMDB: "AsyncEMSMDB",
	nspi:        "NSPI",
	rfr:         "RFR",

	// Exchange, beside what clients use.
	wire.MustUUID("a4f1db00-ca47-1067-b31e-00dd010662da"): "Exchange store admin 1",
	wire.MustUUID("89742ace-a9ed-11cf-9c0c-08002be7ae86"): "Exchange store admin 2",
	wire.MustUUID("99e64010-b032-11d0-97a4-00c04fd6551d"): "Exchange store admin 3",
	wire.MustUUID("0e4a0156-dd5d-11d2-8c2f-00c04fb6bcde"): "Exchange store information",
	wire.MustUUID("469d6ec0-0d87-11ce-b13f-00aa003bac6c"): "Exchange system attendant public",
	wire.MustUUID("83d72bf0-0d89-11ce-b13f-00aa003bac6c"): "Exchange system attendant private",
	wire.MustUUID("f930c514-1215-11d3-99a5-00a0c9b61b04"): "Exchange system attendant cluster",
	wire.MustUUID("38a94e72-a9bc-11d2-8faf-00c04fa378ff"): "Exchange MTA queue admin",
	wire.MustUUID("f5cc59b4-4264-101a-8c59-08002b2f8426"): "Exchange directory DRS",
	wire.MustUUID("f5cc5a7c-4264-101a-8c59-08002b2f8426"): "Exchange directory XDS",

	// Directory and security services.
	wire.MustUUID("12345778-1234-abcd-ef00-0123456789ac"): "SAMR",
	wire.MustUUID("12345778-1234-abcd-ef00-0123456789ab"): "LSARPC",
	wire.MustUUID("12345678-1234-abcd-ef00-01234567cffb"): "NETLOGON",
	wire.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"): "DRSUAPI",
	wire.MustUUID("ecec0d70-a603-11d0-96b1-00a0c91ece30"): "NTDS backup",
	wire.MustUUID("16e0cf3a-a604-11d0-96b1-00a0c91ece30"): "NTDS restore",
	wire.MustUUID("3919286a-b10c-11d0-9ba8-00c04fd92ef5"): "DSSETUP",
	wire.MustUUID("7c44d7d4-31d5-424c-bd5e-2b3e1f323d22"): "DSAOP",
	wire.MustUUID("50abc2a4-574d-40b3-9d66-ee4fd5fba076"): "DNSSERVER",
	wire.MustUUID("91ae6020-9e3c-11cf-8d7c-00aa00c091be"): "ICertPassage",
	wire.MustUUID("3dde7c30-165d-11d1-ab8f-00805f14db40"): "BackupKey",
	wire.MustUUID("897e2e5f-93f3-4376-9c9c-fd2277495c27"): "FrsTransport",
	wire.MustUUID("f5cc59b4-4264-101a-8c59-08002b2f8427"): "FrsRpc",
	wire.MustUUID("d049b186-814f-11d1-9a3c-00c04fc9b232"): "NtFrsApi",
	wire.MustUUID("b9785960-524f-11df-8b6d-83dcded72085"): "ISDKey",

	// Windows services.
	wire.MustUUID("367abb81-9844-35f1-ad32-98f038001003"): "SVCCTL",
	wire.MustUUID("338cd001-2244-31f1-aaaa-900038001003"): "WINREG",
	wire.MustUUID("4b324fc8-1670-01d3-1278-5a47bf6ee188"): "SRVSVC",
	wire.MustUUID("6bffd098-a112-3610-9833-46c3f87e345a"): "WKSSVC",
	wire.MustUUID("12345678-1234-abcd-ef00-0123456789ab"): "SPOOLSS",
	wire.MustUUID("76f03f96-cdfd-44fc-a22c-64950a001209"): "IRemoteWinspool",
	wire.MustUUID("ae33069b-a2a8-46ee-a235-ddfd339be281"): "IRPCRemoteObject",
	wire.MustUUID("0b6edbfa-4a24-4fc6-8a23-942b1eca65d1"): "IRPCAsyncNotify",
	wire.MustUUID("86d35949-83c9-4044-b424-db363231fd0c"): "ITaskSchedulerService",
	wire.MustUUID("1ff70682-0a51-30e8-076d-740be8cee98b"): "ATSVC",
	wire.MustUUID("378e52b0-c0a9-11cf-822d-00aa0051e40f"): "SASec",
	wire.MustUUID("82273fdc-e32a-18c3-3f78-827929dc23ea"): "EVENTLOG",
	wire.MustUUID("f6beaff7-1e19-4fbb-9f8f-b89e2018337c"): "EVENTLOG6",
	wire.MustUUID("c681d488-d850-11d0-8c52-00c04fd90f7e"): "EFSRPC (lsarpc)",
	wire.MustUUID("df1941c5-fe89-4e79-bf10-463657acf44d"): "EFSRPC",
	wire.MustUUID("ccd8c074-d0e5-4a40-92b4-d074faa6ba28"): "Witness",
	wire.MustUUID("4fc742e0-4a10-11cf-8273-00aa004ae673"): "DFSNM",
	wire.MustUUID("894de0c0-0d55-11d3-a322-00c04fa321a1"): "InitShutdown",
	wire.MustUUID("d95afe70-a6d5-4259-822e-2c84da1ddb0d"): "WindowsShutdown",
	wire.MustUUID("8d9f4e40-a03d-11ce-8f69-08003e30051b"): "PNP",
	wire.MustUUID("300f3532-38cc-11d0-a3f0-0020af6b0add"): "TRKWKS",
	wire.MustUUID("a8e0653c-2744-4389-a61d-7373df8b2292"): "FSRVP",
	wire.MustUUID("6bffd098-a112-3610-9833-012892020162"): "BROWSER",
	wire.MustUUID("8f09f000-b7ed-11ce-bbd2-00001a181cad"): "DIMSVC",
	wire.MustUUID("6bffd098-a112-3610-9833-46c3f874532d"): "DHCPSRV",
	wire.MustUUID("5b821720-f63b-11d0-aad2-00c04fc324db"): "DHCPSRV2",
	wire.MustUUID("45f52c28-7f9f-101a-b52b-08002b2efabe"): "WINSIF",
	wire.MustUUID("811109bf-a4e1-11d1-ab54-00a0c91e9b45"): "WINSI2",
	wire.MustUUID("484809d6-4239-471b-b5bc-61df8c23ac48"): "TermSrvSession",
	wire.MustUUID("906b0ce0-c70b-1067-b317-00dd010662da"): "IXnRemote",
	wire.MustUUID("5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc"): "MSGSVC",
	wire.MustUUID("17fdd703-1827-4e34-79d4-24a55c53bb37"): "MSGSVC send",
	wire.MustUUID("3c4728c5-f0ab-448b-bda1-6ce01eb0a6d5"): "DHCPC client",
	wire.MustUUID("1088a980-eae5-11d0-8d9b-00a02453c337"): "MSMQ queue manager 2",
	wire.MustUUID("fdb3a030-065f-11d1-bb9b-00a024ea5525"): "MSMQ queue manager",

	// DCOM and WMI.
	wire.MustUUID("99fcfec4-5260-101b-bbcb-00aa0021347a"): "IObjectExporter",
	wire.MustUUID("000001a0-0000-0000-c000-000000000046"): "ISystemActivator",
	wire.MustUUID("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57"): "IActivation",
	wire.MustUUID("00000000-0000-0000-c000-000000000046"): "IUnknown",
	wire.MustUUID("00000131-0000-0000-c000-000000000046"): "IRemUnknown",
	wire.MustUUID("00000143-0000-0000-c000-000000000046"): "IRemUnknown2",
	wire.MustUUID("00020400-0000-0000-c000-000000000046"): "IDispatch",
	wire.MustUUID("9556dc99-828c-11cf-a37e-00aa003240c7"): "IWbemServices",
	wire.MustUUID("f309ad18-d86a-11d0-a075-00c04fb68820"): "IWbemLevel1Login",
	wire.MustUUID("d4781cd6-e5d3-44df-ad94-930efe48a887"): "IWbemLoginClientID",
	wire.MustUUID("9f6c78ef-fce5-42fa-abea-3e7df91921dc"): "IWbemLoginHelper",
	wire.MustUUID("027947e1-d731-11ce-a357-000000000001"): "IEnumWbemClassObject",
	wire.MustUUID("1c1c45ee-4395-11d2-b60b-00104b703efd"): "IWbemFetchSmartEnum",
	wire.MustUUID("423ec01e-2e35-11d2-b604-00104b703efd"): "IWbemWCOSmartEnum",
	wire.MustUUID("dc12a681-737f-11cf-884d-00aa004b2e24"): "IWbemClassObject",
	wire.MustUUID("44aca674-e8fc-11d0-a07c-00c04fb68820"): "IWbemContext",
	wire.MustUUID("44aca675-e8fc-11d0-a07c-00c04fb68820"): "IWbemCallResult",
	wire.MustUUID("c49e32c7-bc8b-11d2-85d4-00105a1f8304"): "IWbemBackupRestoreEx",
	wire.MustUUID("c49e32c6-bc8b-11d2-85d4-00105a1f8304"): "IWbemBackupRestore",
	wire.MustUUID("541679ab-2e5f-11d3-b34e-00104bcc4b4a"): "IWbemRefreshingServices",
	wire.MustUUID("7c857801-7381-11cf-884d-00aa004b2e24"): "IWbemObjectSink",
}

// InterfaceName returns the common name of an interface.
func InterfaceName(id wire.UUID) (string, bool) {
	name, ok := interfaceNames[id]
	return name, ok
}

// operationNames lists the operations of an interface in order of opnum; ""
// stands for one without a known name.
var operationNames = map[wire.UUID][]string{
	// [C706] appendix O, [MS-RPCE] 2.2.1.2.
	EPM: {"ept_insert", "ept_delete", "ept_lookup", "ept_map", "ept_lookup_handle_free", "ept_inq_object", "ept_mgmt_delete"},
	// [C706] appendix Q.
	mgmt: {"rpc__mgmt_inq_if_ids", "rpc__mgmt_inq_stats", "rpc__mgmt_is_server_listening", "rpc__mgmt_stop_server_listening", "rpc__mgmt_inq_princ_name"},
	// [MS-OXCRPC] 3.1.4; the names of reserved opnums are those of old clients.
	emsmdb: {
		"EcDoConnect", "EcDoDisconnect", "EcDoRpc", "EcGetMoreRpc", "EcRRegisterPushNotification", "EcRUnregisterPushNotification",
		"EcDummyRpc", "EcRGetDCName", "EcRNetGetDCName", "EcDoRpcExt", "EcDoConnectEx", "EcDoRpcExt2", "", "", "EcDoAsyncConnectEx",
	},
	asyncEMSMDB: {"EcDoAsyncWaitEx"}, // [MS-OXCRPC] 3.3.4
	// [MS-OXNSPI] 3.1.4, [MS-NSPI] 3.1.4.
	nspi: {
		"NspiBind", "NspiUnbind", "NspiUpdateStat", "NspiQueryRows", "NspiSeekEntries", "NspiGetMatches", "NspiResortRestriction",
		"NspiDNToMId", "NspiGetPropList", "NspiGetProps", "NspiCompareMIds", "NspiModProps", "NspiGetSpecialTable",
		"NspiGetTemplateInfo", "NspiModLinkAtt", "", "NspiQueryColumns", "NspiGetNamesFromIDs", "NspiGetIDsFromNames",
		"NspiResolveNames", "NspiResolveNamesW",
	},
	rfr: {"RfrGetNewDSA", "RfrGetFQDNFromServerDN"}, // [MS-OXABREF] 3.1.4
}

// OperationName returns the name of an operation of an interface.
func OperationName(iface wire.UUID, opnum uint16) (string, bool) {
	names := operationNames[iface]
	if int(opnum) >= len(names) || names[opnum] == "" {
		return "", false
	}
	return names[opnum], true
}
