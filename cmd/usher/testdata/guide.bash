# The terminals of whoever follows a guide, for TestGuides. The addresses are in the environment.
set -euo pipefail

running=
trap 'kill $running 2>/dev/null || true' EXIT

# answers URL COMMAND... is a terminal of its own for a server; it returns when the server answers.
answers() {
	"${@:2}" >>server.log 2>&1 &
	running+=" $!"
	until command curl -s -o /dev/null "$1"; do
		kill -0 $! 2>/dev/null || { cat server.log >&2; exit 1; }
		sleep 0.05
	done
}

# The server that ran before ends when another one starts, without an error.
server=
usher() {
	if [[ $1 != serve ]]; then
		command usher "$@"
		return
	fi
	[[ -z $server ]] || { kill "$server" && wait "$server"; }
	answers "http://$USHER_ADDR/healthz" command usher "$@"
	server=$!
}

# go run COMMAND
go() {
	case $2 in
	./cmd/usher) usher "${@:3}" ;;
	./cmd/usher/testdata/provider) answers "http://$PROVIDER_ADDR/jwks" "$PROVIDER" ;;
	*) echo "go $*: what is that?" >&2; exit 1 ;;
	esac
}

# A request that is refused is a failure, unless the guide shows the refusal.
refused=
curl() {
	local status=0
	command curl -sS --fail-with-body "$@" || status=$?
	[[ -n $refused && $status == 22 ]] || return $status
}
