IDP_HEADERS=${IDP_HEADERS:-} OTHER=${OTHER:-}

# carry BASE: the files of headers that requests to it carry, in $carried and $carried_too.
carry() {
    carried='' carried_too=''
    [ "$1" != "$TARGET" ] || carried=$HEADERS
    [ "$1" != "$IDP" ] || carried_too=$IDP_HEADERS
}

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
        openssl genpkey -algorithm ed25519 -out "$keys/$1.pem" 2>/dev/null
        # Twelve bytes that are the same in every such key, then the key: PEM has both in base64.
        id=$(openssl pkey -in "$keys/$1.pem" -pubout)
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
    signature=$(openssl pkeyutl -sign -rawin -inkey "$keys/$1.pem" -in "$work/nonce" | openssl base64 -A)
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
