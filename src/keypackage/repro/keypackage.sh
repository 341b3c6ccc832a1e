
# carry BASE: requests to it carry the fields of HEADERS.
carry() { carried=$HEADERS carried_too=''; }

# public NAME: the public half of a key, 32 bytes.
public() { openssl pkey -in "$keys/$1.pem" -pubout -outform DER | tail -c 32; }

# device NAME: a throw-away key; its public half in hexadecimal is in $id, and in upper case in $upper.
device() {
    openssl genpkey -algorithm ed25519 -out "$keys/$1.pem" 2>/dev/null
    id=$(public "$1" | od -An -v -tx1 | tr -d ' \n')
    upper=$(printf '%s' "$id" | tr 'a-f' 'A-F')
}

# sign NAME: the signature over $work/signed is in $work/signature, 64 bytes.
sign() {
    openssl pkeyutl -sign -rawin -inkey "$keys/$1.pem" -in "$work/signed" -out "$work/signature"
}
