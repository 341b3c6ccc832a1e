
set -eu
umask 077
work=$(mktemp -d)
# Whoever ends without a verdict (a tool that is missing, a full disk) has none.
verdict=2
trap 'rm -rf "$work"; exit "$verdict"' EXIT

# How the target is reached; each may be left empty.
CACERT=${CACERT:-} CLIENT_CERT=${CLIENT_CERT:-} CLIENT_KEY=${CLIENT_KEY:-} INSECURE=${INSECURE:-} PROXY=${PROXY:-}
HEADERS=${HEADERS:-} IDP_HEADERS=${IDP_HEADERS:-} MAX_TIME=${MAX_TIME:-30} OTHER=${OTHER:-}

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
    [ -z "$HEADERS" ] || [ "$send_base" != "$TARGET" ] || set -- -H @"$HEADERS" "$@"
    [ -z "$IDP_HEADERS" ] || [ "$send_base" != "$IDP" ] || set -- -H @"$IDP_HEADERS" "$@"
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

# field NAME: a text field of the last answer.
field() {
    tr -d '\n' <"$work/answer" | sed -n -e 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/' -e 't found' -e d -e ': found' \
        -e 's#\\/#/#g; s/\\u002[bB]/+/g; s/\\u002[fF]/\//g; s/\\u003[dD]/=/g; p'
}

# flags: what the last answer says of a conflict and the like.
flags() {
    tr -d ' \t\r\n' <"$work/answer" | grep -o '"\(accepted\|conflict\|unchanged\)":[a-z]*' | sort | tr '\n' ' '
}

# plain: a text without white space, and without what no two answers share.
plain() {
    tr -d ' \t\r\n\000' | sed 's/\("nonce":"\)[^"]*/\1/g; s/\("token":"\)[^"]*/\1/g; s/\("expires_*[aA]t":\)[0-9]*/\1/g'
}

# kind: the content type of the last answer, and whether it says when to try again.
kind() {
    tr '[:upper:]' '[:lower:]' <"$work/head" | tr -d ' \r' | sed -n 's/^content-type:/type:/p; s/^retry-after:.*/retry/p' | tr '\n' ' '
}

# elsewhere NAME ID: a token that another server issued for the same keys, in $elsewhere.
elsewhere() {
    [ -n "$OTHER" ] || fail 'set OTHER to the address of another server (avp-conform serve --port 8788): its token is needed'
    elsewhere_idp=$IDP
    elsewhere_headers=$IDP_HEADERS IDP=$OTHER IDP_HEADERS=
    login "$1" "$2"
    IDP=$elsewhere_idp IDP_HEADERS=$elsewhere_headers
    elsewhere=$(field token)
}

# url TEXT: base64 in the alphabet for URLs.
url() { printf '%s' "$1" | tr '+/' '-_'; }

# spelt TEXT FORM: whether base64 has a character that tells its alphabet (odd), or none (plain).
spelt() {
    case $1 in
    '') false ;;
    *[+/]*) [ "$2" = odd ] ;;
    *) [ "$2" = plain ] ;;
    esac
}

# member NAME FORM FORM: throw-away keys that are spelt so; the public ones are in $id and $x25519, the id for paths in $path and
# $loose.
member() {
    id='' x25519=''
    until spelt "$id" "$2"; do
        openssl genpkey -algorithm ed25519 -out "$work/$1.pem" 2>/dev/null
        # Twelve bytes that are the same in every such key, then the key: PEM has both in base64.
        id=$(openssl pkey -in "$work/$1.pem" -pubout)
        id=${id#*MCowBQYDK2VwAyEA}
        id=${id%%[!A-Za-z0-9+/=]*}
    done
    # Any 32 bytes are a public key of X25519.
    until spelt "$x25519" "$3"; do x25519=$(openssl rand -base64 32); done
    loose=$(printf '%s' "$id" | sed 's#/#%2F#g')
    path=$(printf '%s' "$loose" | sed 's/+/%2B/g; s/=/%3D/g')
}

# sign NAME NONCE: the signature over the bytes of the nonce is in $signature.
sign() {
    printf '%s' "$2" | openssl base64 -d -A >"$work/nonce"
    sign_file "$1"
}

sign_file() {
    signature=$(openssl pkeyutl -sign -rawin -inkey "$work/$1.pem" -in "$work/nonce" | openssl base64 -A)
}

# login NAME ID: asks for a nonce and redeems it; the token is in the last answer.
login() {
    printf '{"ed25519PublicKey":"%s"}' "$2" >"$work/body"
    send POST "$IDP" /api/auth/keypair/challenge -H 'Content-Type: application/json' --data-binary @"$work/body"
    granted
    nonce=$(field nonce)
    sign "$1" "$nonce"
    printf '{"ed25519PublicKey":"%s","nonce":"%s","signature":"%s"}' "$2" "$nonce" "$signature" >"$work/body"
    send POST "$IDP" /api/auth/keypair/token -H 'Content-Type: application/json' --data-binary @"$work/body"
    granted
}
