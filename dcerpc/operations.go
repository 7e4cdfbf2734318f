package dcerpc

import "mapiscope/internal/wire"

// OperationName returns the name of an operation of an interface.
func OperationName(iface wire.UUID, opnum uint16) (string, bool) {
	names := operationNames[iface]
	if int(opnum) >= len(names) || names[opnum] == "" {
		return "", false
	}
	return names[opnum], true
}

// operationNames lists the operations of an interface in order of opnum; ""
// stands for one without a known name.
var operationNames = map[wire.UUID][]string{
	// [C706] appendix O, [MS-RPCE] 2.2.1.2.
	EPM: {"ept_insert", "ept_delete", "ept_lookup", "ept_map", "ept_lookup_handle_free", "ept_inq_object", "ept_mgmt_delete"},
	// [C706] appendix Q.
	Mgmt: {"rpc__mgmt_inq_if_ids", "rpc__mgmt_inq_stats", "rpc__mgmt_is_server_listening", "rpc__mgmt_stop_server_listening", "rpc__mgmt_inq_princ_name"},
	// [MS-OXCRPC] 3.1.4; the names of reserved opnums are those of old clients.
	EMSMDB: {
		"EcDoConnect", "EcDoDisconnect", "EcDoRpc", "EcGetMoreRpc", "EcRRegisterPushNotification", "EcRUnregisterPushNotification",
		"EcDummyRpc", "EcRGetDCName", "EcRNetGetDCName", "EcDoRpcExt", "EcDoConnectEx", "EcDoRpcExt2", "", "", "EcDoAsyncConnectEx",
	},
	AsyncEMSMDB: {"EcDoAsyncWaitEx"}, // [MS-OXCRPC] 3.3.4
	// [MS-OXNSPI] 3.1.4, [MS-NSPI] 3.1.4.
	NSPI: {
		"NspiBind", "NspiUnbind", "NspiUpdateStat", "NspiQueryRows", "NspiSeekEntries", "NspiGetMatches", "NspiResortRestriction",
		"NspiDNToMId", "NspiGetPropList", "NspiGetProps", "NspiCompareMIds", "NspiModProps", "NspiGetSpecialTable",
		"NspiGetTemplateInfo", "NspiModLinkAtt", "", "NspiQueryColumns", "NspiGetNamesFromIDs", "NspiGetIDsFromNames",
		"NspiResolveNames", "NspiResolveNamesW",
	},
	RFR: {"RfrGetNewDSA", "RfrGetFQDNFromServerDN"}, // [MS-OXABREF] 3.1.4
	// [MS-NRPC] 3.5.4.
	wire.MustUUID("12345678-1234-abcd-ef00-01234567cffb"): {
		"NetrLogonUasLogon", "NetrLogonUasLogoff", "NetrLogonSamLogon", "NetrLogonSamLogoff", "NetrServerReqChallenge",
		"NetrServerAuthenticate", "NetrServerPasswordSet", "NetrDatabaseDeltas", "NetrDatabaseSync", "NetrAccountDeltas",
		"NetrAccountSync", "NetrGetDCName", "NetrLogonControl", "NetrGetAnyDCName", "NetrLogonControl2", "NetrServerAuthenticate2",
		"NetrDatabaseSync2", "NetrDatabaseRedo", "NetrLogonControl2Ex", "NetrEnumerateTrustedDomains", "DsrGetDcName",
		"NetrLogonGetCapabilities", "NetrLogonSetServiceBits", "NetrLogonGetTrustRid", "NetrLogonComputeServerDigest",
		"NetrLogonComputeClientDigest", "NetrServerAuthenticate3", "DsrGetDcNameEx", "DsrGetSiteName", "NetrLogonGetDomainInfo",
		"NetrServerPasswordSet2", "NetrServerPasswordGet", "NetrLogonSendToSam", "DsrAddressToSiteNamesW", "DsrGetDcNameEx2",
		"NetrLogonGetTimeServiceParentDomain", "NetrEnumerateTrustedDomainsEx", "DsrAddressToSiteNamesExW", "DsrGetDcSiteCoverageW",
		"NetrLogonSamLogonEx", "DsrEnumerateDomainTrusts", "DsrDeregisterDnsHostRecords", "NetrServerTrustPasswordsGet",
		"DsrGetForestTrustInformation", "NetrGetForestTrustInformation", "NetrLogonSamLogonWithFlags", "NetrServerGetTrustInfo",
	},
	// [MS-SAMR] 3.1.5.
	wire.MustUUID("12345778-1234-abcd-ef00-0123456789ac"): {
		"SamrConnect", "SamrCloseHandle", "SamrSetSecurityObject", "SamrQuerySecurityObject", "", "SamrLookupDomainInSamServer",
		"SamrEnumerateDomainsInSamServer", "SamrOpenDomain", "SamrQueryInformationDomain", "SamrSetInformationDomain",
		"SamrCreateGroupInDomain", "SamrEnumerateGroupsInDomain", "SamrCreateUserInDomain", "SamrEnumerateUsersInDomain",
		"SamrCreateAliasInDomain", "SamrEnumerateAliasesInDomain", "SamrGetAliasMembership", "SamrLookupNamesInDomain",
		"SamrLookupIdsInDomain", "SamrOpenGroup", "SamrQueryInformationGroup", "SamrSetInformationGroup", "SamrAddMemberToGroup",
		"SamrDeleteGroup", "SamrRemoveMemberFromGroup", "SamrGetMembersInGroup", "SamrSetMemberAttributesOfGroup", "SamrOpenAlias",
		"SamrQueryInformationAlias", "SamrSetInformationAlias", "SamrDeleteAlias", "SamrAddMemberToAlias",
		"SamrRemoveMemberFromAlias", "SamrGetMembersInAlias", "SamrOpenUser", "SamrDeleteUser", "SamrQueryInformationUser",
		"SamrSetInformationUser", "SamrChangePasswordUser", "SamrGetGroupsForUser", "SamrQueryDisplayInformation",
		"SamrGetDisplayEnumerationIndex", "", "", "SamrGetUserDomainPasswordInformation", "SamrRemoveMemberFromForeignDomain",
		"SamrQueryInformationDomain2", "SamrQueryInformationUser2", "SamrQueryDisplayInformation2",
		"SamrGetDisplayEnumerationIndex2", "SamrCreateUser2InDomain", "SamrQueryDisplayInformation3",
		"SamrAddMultipleMembersToAlias", "SamrRemoveMultipleMembersFromAlias", "SamrOemChangePasswordUser2",
		"SamrUnicodeChangePasswordUser2", "SamrGetDomainPasswordInformation", "SamrConnect2", "SamrSetInformationUser2", "", "", "",
		"SamrConnect4", "", "SamrConnect5", "SamrRidToSid", "SamrSetDSRMPassword", "SamrValidatePassword",
	},
	// [MS-LSAD] 3.1.4, [MS-LSAT] 3.1.4.
	wire.MustUUID("12345778-1234-abcd-ef00-0123456789ab"): {
		"LsarClose", "", "LsarEnumeratePrivileges", "LsarQuerySecurityObject", "LsarSetSecurityObject", "", "LsarOpenPolicy",
		"LsarQueryInformationPolicy", "LsarSetInformationPolicy", "", "LsarCreateAccount", "LsarEnumerateAccounts",
		"LsarCreateTrustedDomain", "LsarEnumerateTrustedDomains", "LsarLookupNames", "LsarLookupSids", "LsarCreateSecret",
		"LsarOpenAccount", "LsarEnumeratePrivilegesAccount", "LsarAddPrivilegesToAccount", "LsarRemovePrivilegesFromAccount", "", "",
		"LsarGetSystemAccessAccount", "LsarSetSystemAccessAccount", "LsarOpenTrustedDomain", "LsarQueryInfoTrustedDomain",
		"LsarSetInformationTrustedDomain", "LsarOpenSecret", "LsarSetSecret", "LsarQuerySecret", "LsarLookupPrivilegeValue",
		"LsarLookupPrivilegeName", "LsarLookupPrivilegeDisplayName", "LsarDeleteObject", "LsarEnumerateAccountsWithUserRight",
		"LsarEnumerateAccountRights", "LsarAddAccountRights", "LsarRemoveAccountRights", "LsarQueryTrustedDomainInfo",
		"LsarSetTrustedDomainInfo", "LsarDeleteTrustedDomain", "LsarStorePrivateData", "LsarRetrievePrivateData", "LsarOpenPolicy2",
		"LsarGetUserName", "LsarQueryInformationPolicy2", "LsarSetInformationPolicy2", "LsarQueryTrustedDomainInfoByName",
		"LsarSetTrustedDomainInfoByName", "LsarEnumerateTrustedDomainsEx", "LsarCreateTrustedDomainEx", "",
		"LsarQueryDomainInformationPolicy", "LsarSetDomainInformationPolicy", "LsarOpenTrustedDomainByName", "", "LsarLookupSids2",
		"LsarLookupNames2", "LsarCreateTrustedDomainEx2", "", "", "", "", "", "", "", "", "LsarLookupNames3", "", "", "", "",
		"LsarQueryForestTrustInformation", "LsarSetForestTrustInformation", "", "LsarLookupSids3", "LsarLookupNames4",
	},
	// [MS-DRSR] 4.1.
	wire.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"): {
		"IDL_DRSBind", "IDL_DRSUnbind", "IDL_DRSReplicaSync", "IDL_DRSGetNCChanges", "IDL_DRSUpdateRefs", "IDL_DRSReplicaAdd",
		"IDL_DRSReplicaDel", "IDL_DRSReplicaModify", "IDL_DRSVerifyNames", "IDL_DRSGetMemberships", "IDL_DRSInterDomainMove",
		"IDL_DRSGetNT4ChangeLog", "IDL_DRSCrackNames", "IDL_DRSWriteSPN", "IDL_DRSRemoveDsServer", "IDL_DRSRemoveDsDomain",
		"IDL_DRSDomainControllerInfo", "IDL_DRSAddEntry", "IDL_DRSExecuteKCC", "IDL_DRSGetReplInfo", "IDL_DRSAddSidHistory",
		"IDL_DRSGetMemberships2", "IDL_DRSReplicaVerifyObjects", "IDL_DRSGetObjectExistence", "IDL_DRSQuerySitesByCost",
		"IDL_DRSInitDemotion", "IDL_DRSReplicaDemotion", "IDL_DRSFinishDemotion", "IDL_DRSAddCloneDC",
	},
	// [MS-TSCH] 3.2.5.4.
	wire.MustUUID("86d35949-83c9-4044-b424-db363231fd0c"): {
		"SchRpcHighestVersion", "SchRpcRegisterTask", "SchRpcRetrieveTask", "SchRpcCreateFolder", "SchRpcSetSecurity",
		"SchRpcGetSecurity", "SchRpcEnumFolders", "SchRpcEnumTasks", "SchRpcEnumInstances", "SchRpcGetInstanceInfo",
		"SchRpcStopInstance", "SchRpcStop", "SchRpcRun", "SchRpcDelete", "SchRpcRename", "SchRpcScheduledRuntimes",
		"SchRpcGetLastRunInfo", "SchRpcGetTaskInfo", "SchRpcGetNumberOfMissedRuns", "SchRpcEnableTask",
	},
	// [MS-DCOM] 3.1.2.5, 3.1.1.5. The first three of an object are IUnknown's.
	wire.MustUUID("99fcfec4-5260-101b-bbcb-00aa0021347a"): {"ResolveOxid", "SimplePing", "ComplexPing", "ServerAlive", "ResolveOxid2", "ServerAlive2"},
	wire.MustUUID("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57"): {"RemoteActivation"},
	wire.MustUUID("000001a0-0000-0000-c000-000000000046"): {"", "", "", "RemoteGetClassObject", "RemoteCreateInstance"},
	wire.MustUUID("00000131-0000-0000-c000-000000000046"): {"", "", "", "RemQueryInterface", "RemAddRef", "RemRelease"},
	wire.MustUUID("00000143-0000-0000-c000-000000000046"): {"", "", "", "RemQueryInterface", "RemAddRef", "RemRelease", "RemQueryInterface2"},
	// [MS-WMI] 3.1.4.
	wire.MustUUID("f309ad18-d86a-11d0-a075-00c04fb68820"): {"", "", "", "EstablishPosition", "RequestChallenge", "WBEMLogin", "NTLMLogin"},
	wire.MustUUID("9556dc99-828c-11cf-a37e-00aa003240c7"): {
		"", "", "", "OpenNamespace", "CancelAsyncCall", "QueryObjectSink", "GetObject", "GetObjectAsync", "PutClass", "PutClassAsync",
		"DeleteClass", "DeleteClassAsync", "CreateClassEnum", "CreateClassEnumAsync", "PutInstance", "PutInstanceAsync",
		"DeleteInstance", "DeleteInstanceAsync", "CreateInstanceEnum", "CreateInstanceEnumAsync", "ExecQuery", "ExecQueryAsync",
		"ExecNotificationQuery", "ExecNotificationQueryAsync", "ExecMethod", "ExecMethodAsync",
	},
}
