#!/bin/sh
# deps.sh NEED... makes sure that this machine has what is named, and installs
# it with apt-get where it may (Debian, root):
#
#   pcap  the C compiler, headers and library that cgo needs for libpcap
#   ip    ip(8), with which tests make network namespaces
#   samba a DCE/RPC server and a client, which tests watch
#   tshark what tests compare counts with
#   python what derives scenes and holds the corpus against a build
#
# It exits 1 where something stays missing, after saying what to install.
# Everything it prints goes to standard error.
set -u

say() { echo "deps: $*" >&2; }

# there NEED tells whether a need is met.
there() {
	case $1 in
	pcap)
		cc=${CC:-$(go env CC)}
		command -v "${cc%% *}" >/dev/null 2>&1 || return 1
		dir=$(mktemp -d) || return 1
		printf '#include <pcap.h>\nint main(void) { return pcap_lib_version() == 0; }\n' >"$dir/a.c"
		# The flags are words, as they are for cgo.
		# shellcheck disable=SC2086
		$cc ${CGO_CFLAGS:-} -o "$dir/a" "$dir/a.c" ${CGO_LDFLAGS:-} -lpcap >/dev/null 2>&1
		rc=$?
		rm -rf "$dir"
		return $rc
		;;
	ip) command -v ip >/dev/null 2>&1 ;;
	tshark) command -v tshark >/dev/null 2>&1 ;;
	python) command -v python3 >/dev/null 2>&1 ;;
	samba) [ -x /usr/libexec/samba/samba-dcerpcd ] && command -v rpcclient >/dev/null 2>&1 && command -v smbpasswd >/dev/null 2>&1 ;;
	esac
}

# packages NEED prints the Debian packages that meet a need.
packages() {
	case $1 in
	pcap) echo gcc libc6-dev libpcap-dev ;;
	ip) echo iproute2 ;;
	tshark) echo tshark ;;
	python) echo python3-minimal ;;
	samba) echo samba samba-common-bin smbclient ;;
	esac
}

# install PACKAGE... asks for new package lists only where the present ones
# do not do.
install() {
	apt="apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=120"
	export DEBIAN_FRONTEND=noninteractive
	$apt install "$@" </dev/null >&2 || { $apt update </dev/null >&2 && $apt install "$@" </dev/null >&2; }
}

status=0
for need; do
	case $need in pcap | ip | samba | tshark | python) ;; *) say "unknown need $need"; exit 2 ;; esac
	there "$need" && continue
	what=$(packages "$need")
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		say "missing: $what (as root on Debian: apt-get install $what)"
		status=1
		continue
	fi
	say "installing $what"
	# shellcheck disable=SC2086
	if ! install $what || ! there "$need"; then
		say "could not install $what"
		status=1
	fi
done
exit $status
