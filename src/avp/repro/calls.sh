# call PATH [grpcurl's options]: the message in $work/body, as JSON, over gRPC. The status is the one of HTTP that the status of
# gRPC stands for.
call() {
    call_method=${1#/}
    shift
    if [ -n "$HEADERS" ]; then
        while IFS= read -r call_header; do set -- -H "$call_header" "$@"; done <"$HEADERS"
    fi
    case $GRPC in
    grpcs://*)
        [ -z "$CACERT" ] || set -- -cacert "$CACERT" "$@"
        [ -z "$CLIENT_CERT" ] || set -- -cert "$CLIENT_CERT" "$@"
        [ -z "$CLIENT_KEY" ] || set -- -key "$CLIENT_KEY" "$@"
        [ -z "$INSECURE" ] || set -- -insecure "$@"
        ;;
    *) set -- -plaintext "$@" ;;
    esac
    : >"$work/head"
    call_code=0
    grpcurl -import-path "$proto" -proto avp.proto -emit-defaults -max-time "$MAX_TIME" "$@" -d @ "${GRPC#*://}" \
        "$call_method" <"$work/body" >"$work/served" 2>"$work/told" || call_code=$?
    call_status
    # Numbers of 64 bits are text in what grpcurl writes, and messages that are absent are null.
    if [ "$call_code" = 0 ]; then
        sed -e '/^ *"[A-Za-z0-9]*": null,*$/d' -e 's/\("payloadVersion": \)"\([-0-9]*\)"/\1\2/' \
            -e 's/\("keyEpoch": \)"\([-0-9]*\)"/\1\2/' -e 's/\("expiresAt": \)"\([-0-9]*\)"/\1\2/' "$work/served" |
            tr -d '\n' | sed 's/, *}/}/g' >"$work/answer"
    else
        : >"$work/answer"
        say "  $(head -c 500 "$work/told" | tr '\n' ' ')"
    fi
}

# call_status: what the exit code of grpcurl stands for: 64 and the number of the status.
call_status() {
    case $((call_code - 64)) in
    -64) status=200 ;;
    1) status=499 ;;
    2 | 13 | 15) status=500 ;;
    3 | 9 | 11) status=400 ;;
    4) status=504 ;;
    5) status=404 ;;
    6 | 10) status=409 ;;
    7) status=403 ;;
    8) if [ "$(wc -c <"$work/body")" -lt 65536 ]; then status=429; else status=413; fi ;;
    12) status=501 ;;
    14) status=503 ;;
    16) status=401 ;;
    *) fail "grpcurl could not do its work (it ended with $call_code): $(head -c 500 "$work/told")" ;;
    esac
}

# call_login NAME ID: the same as login, over gRPC.
call_login() {
    printf '{"ed25519PublicKey":"%s"}' "$2" >"$work/body"
    call /avp.Auth/Challenge
    granted
    nonce=$(field nonce)
    sign "$1" "$nonce"
    printf '{"ed25519PublicKey":"%s","nonce":"%s","signature":"%s"}' "$2" "$nonce" "$signature" >"$work/body"
    call /avp.Auth/Token
    granted
}
