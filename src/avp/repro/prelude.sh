
set -eu
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

# send METHOD BASE PATH [curl's options]: the status is in $status then, the answer in $work/answer.
send() {
    send_method=$1 send_url=${2%/}$3
    shift 3
    : >"$work/answer"
    status=$(curl -sS --globoff --path-as-is --max-time 30 -H 'Expect:' -o "$work/answer" -w '%{http_code}' \
        -X "$send_method" "$@" "$send_url") || status=none
}

show() { say "  $status $(head -c 2000 "$work/answer" | tr -d '\000')"; }
granted() { case $status in 2??) ;; *) show; fail 'this was to be granted; the rest makes no sense' ;; esac; }

# field NAME: a text field of the last answer.
field() {
    tr -d '\n' <"$work/answer" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' |
        sed 's#\\/#/#g; s/\\u002[bB]/+/g; s/\\u002[fF]/\//g; s/\\u003[dD]/=/g'
}

raw() { tail -c 32 | openssl base64 -A; }

# member NAME: throw-away keys; the public ones are in $id and $x25519, the id for paths in $path and $loose.
member() {
    openssl genpkey -algorithm ed25519 -out "$work/$1.pem" 2>/dev/null
    id=$(openssl pkey -in "$work/$1.pem" -pubout -outform DER | raw)
    x25519=$(openssl genpkey -algorithm x25519 2>/dev/null | openssl pkey -pubout -outform DER | raw)
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
