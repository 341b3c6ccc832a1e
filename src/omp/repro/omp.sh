
SIGN_WITH=${SIGN_WITH:-}
now=$(date +%s)

# Every service is the target, in one of its modes.
carry() { carried=$HEADERS carried_too=''; }

# url: bytes in base64url without padding.
url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# key ID: the private key that the target knows by an id, in $keys/ID.pem: the one that SIGN_WITH names, else the one that servers are
# told of which the harness starts, the hash of a sentence.
key() {
    key_seed=
    for key_pair in $SIGN_WITH; do
        [ "${key_pair%%=*}" != "$1" ] || key_seed=${key_pair#*=}
    done
    # Sixteen bytes that are the same in every such key, then the seed.
    {
        bytes 302e020100300506032b657004220420
        if [ -n "$key_seed" ]; then bytes "$key_seed"; else printf '%s' "avp-conform OMP key $1" | openssl dgst -sha256 -binary; fi
    } | openssl pkey -inform DER -out "$keys/$1.pem"
}

# sign KEY TEXT: the signature over a text is in $work/signature, 64 bytes.
sign() {
    printf '%s' "$2" >"$work/signed"
    openssl pkeyutl -sign -rawin -inkey "$keys/$1.pem" -in "$work/signed" -out "$work/signature"
}

# origin BASE: what stands before the path in the line that is signed: without the port where it is the usual one.
origin() {
    case ${1%/} in
    http://*:80) printf '%s' "${1%:80*}" ;;
    https://*:443) printf '%s' "${1%:443*}" ;;
    *) printf '%s' "${1%/}" ;;
    esac
}

# next_page: how the last answer calls the page that follows, as it stands in an address, in $next. Without a name it is the last item,
# where the run went on so.
next_page() {
    next=
    guess=
    for next_name in next_cursor nextCursor cursor next; do
        [ -n "$next" ] || next=$(escaped "$(member "$next_name")")
    done
    [ -n "$next" ] ||
        next=$(tr -d '\r' <"$work/head" | sed -n 's/^[Ll]ink: *<[^>]*[?&]cursor=\([^&>]*\)[^>]*> *; *rel="\{0,1\}next.*/\1/p')
    [ -z "$next" ] && [ -n "$by_item" ] || return 0
    guess=yes
    next=$(escaped "$(flat <"$work/answer" | sed -n 's#^/items/[0-9]*/id[[:space:]]*"\(.*\)"$#\1#p' | tail -n 1)")
}

# shown: the ids of the last answer's items, by their names, behind those of the pages before.
shown() {
    flat <"$work/answer" | alike | sed -n 's#^/items/[0-9]*/id[[:space:]]*##p' >>"$work/shown"
    shown_now=$(items /items)
    [ "$shown_now" -le "$most" ] || most=$shown_now
}

# how_often NAME...: of each whether it is shown, once or oftener; and whether others are.
how_often() {
    for how_name in "$@"; do
        case $(grep -cx "$how_name" "$work/shown" || :) in
        0) printf '%s no ' "$how_name" ;;
        1) printf '%s once ' "$how_name" ;;
        *) printf '%s often ' "$how_name" ;;
        esac
    done
    ! grep -qv '^id_[0-9]*$' "$work/shown" || printf 'others '
}
