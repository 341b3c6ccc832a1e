
# bytes HEX: the bytes of hexadecimal digits.
bytes() {
    bytes_left=$1
    while [ -n "$bytes_left" ]; do
        bytes_rest=${bytes_left#??}
        printf '%b' "\\0$(printf '%03o' "0x${bytes_left%"$bytes_rest"}")"
        bytes_left=$bytes_rest
    done
}

# flipped: the signature in $work/signature with a bit of its sixth byte changed.
flipped() {
    flipped_byte=$(head -c 6 "$work/signature" | tail -c 1 | od -An -v -tu1 | tr -d ' ')
    head -c 5 "$work/signature"
    printf '%b' "\\0$(printf '%03o' $((flipped_byte ^ 1)))"
    tail -c 58 "$work/signature"
}

# malleable: the same with the group order added to its second half.
malleable() {
    head -c 32 "$work/signature"
    bytes "$(tail -c 32 "$work/signature" | od -An -v -tu1 | LC_ALL=C awk '
        BEGIN {
            split("237 211 245 92 26 99 18 88 214 156 247 162 222 249 222 20", order, " ")
            order[32] = 16
        }
        {
            for (n = 1; n <= NF; n++) {
                at++
                carry += $n + order[at]
                printf "%02x", carry % 256
                carry = int(carry / 256)
            }
        }')"
}
