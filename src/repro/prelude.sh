
set -eu
umask 077
work=$(mktemp -d)
# Requests that go out together have a work of their own each; the keys are those of all.
keys=$work
# Whoever ends without a verdict (a tool that is missing, a full disk) has none.
verdict=2
trap 'rm -rf "$keys"; exit "$verdict"' EXIT

# How the target is reached; each may be left empty.
CACERT=${CACERT:-} CLIENT_CERT=${CLIENT_CERT:-} CLIENT_KEY=${CLIENT_KEY:-} INSECURE=${INSECURE:-} PROXY=${PROXY:-}
HEADERS=${HEADERS:-} MAX_TIME=${MAX_TIME:-30}

# Whether an answer has had another status than in the run, and whether there has been one at all.
strayed='' reached=''

say() { printf '%s\n' "$*" >&2; }
end() { verdict=$1; exit "$1"; }
fail() { say "$*"; end 2; }

# send METHOD BASE PATH [curl's options]: the status is in $status then, the answer in $work/answer, its head in $work/head.
# Nothing of the user's own configuration of curl is heeded.
send() {
    send_method=$1 send_base=$2 send_url=${2%/}$3
    shift 3
    carry "$send_base"
    [ -z "$carried" ] || set -- -H @"$carried" "$@"
    [ -z "$carried_too" ] || set -- -H @"$carried_too" "$@"
    [ -z "$CACERT" ] || set -- --cacert "$CACERT" "$@"
    [ -z "$CLIENT_CERT" ] || set -- --cert "$CLIENT_CERT" "$@"
    [ -z "$CLIENT_KEY" ] || set -- --key "$CLIENT_KEY" "$@"
    [ -z "$INSECURE" ] || set -- --insecure "$@"
    # No body follows the answer to HEAD, which curl must know.
    if [ "$send_method" = HEAD ]; then set -- --head "$@"; else set -- -X "$send_method" "$@"; fi
    if [ -n "$PROXY" ]; then set -- --proxytunnel --proxy "$PROXY" "$@"; else set -- --noproxy '*' "$@"; fi
    : >"$work/answer"
    : >"$work/head"
    status=$(curl -q -sS --http1.1 --globoff --path-as-is --max-time "$MAX_TIME" -H 'Expect:' -D "$work/head" \
        -o "$work/answer" -w '%{http_code}' "$@" "$send_url") || unanswered $?
    [ "$status" = none ] || reached=yes
}

# unanswered CODE: no answer, unless curl never came so far as to ask.
unanswered() {
    status=none
    case $1 in
    1 | 8 | 16 | 18 | 28 | 47 | 52 | 55 | 56 | 61 | 92 | 100) ;;
    2 | 23 | 26 | 27 | 58 | 59 | 60 | 66 | 77 | 83 | 90 | 91 | 126 | 127) fail "curl could not do its work (it ended with $1)" ;;
    *) [ -n "$reached" ] || fail "curl cannot ask $send_url (it ended with $1)" ;;
    esac
}

# show STATUS: what came, and what the run was answered where that was another status.
show() {
    show_other=
    [ "$status" = "$1" ] || show_other=" (in the run: $1)" strayed=yes
    say "  $status$show_other $(head -c 2000 "$work/answer" | tr -d '\000')"
}
granted() { case $status in 2??) ;; *) show 200; fail 'this was to be granted; the rest makes no sense' ;; esac; }

# kind: the content type of the last answer, and whether it says when to try again.
kind() {
    tr '[:upper:]' '[:lower:]' <"$work/head" | tr -d ' \r' | sed -n 's/^content-type:/type:/p; s/^retry-after:.*/retry/p' | tr '\n' ' '
}
