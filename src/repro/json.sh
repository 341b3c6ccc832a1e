
# flat: JSON as lines, each value that is no object and no list behind its pointer; `not JSON` where it is none.
flat() {
    tr -d '\000' | LC_ALL=C awk '
        { text = text (NR > 1 ? "\n" : "") $0 }
        END { at = 1; value(""); space(); if (failed || at <= length(text)) print "not JSON" }
        function fail() { failed = 1 }
        function here() { return substr(text, at, 1) }
        function space() { while (here() ~ /^[ \t\r\n]$/) at++ }
        function string(start) {
            start = at
            if (here() != "\"") { fail(); return "" }
            for (at++; at <= length(text); at++) {
                if (here() == "\"") { at++; return substr(text, start + 1, at - start - 2) }
                if (here() == "\\") at++
            }
            fail()
            return ""
        }
        function value(place, n, key, rest) {
            space()
            if (failed) return
            if (here() == "{" || here() == "[") {
                rest = here()
                at++
                space()
                if (here() == (rest == "{" ? "}" : "]")) { at++; print place "\t" (rest == "{" ? "{}" : "[]"); return }
                for (n = 0; !failed; n++) {
                    key = n
                    if (rest == "{") {
                        space()
                        key = string()
                        space()
                        if (here() != ":") { fail(); return }
                        at++
                    }
                    value(place "/" key)
                    space()
                    at++
                    if (substr(text, at - 1, 1) == (rest == "{" ? "}" : "]")) return
                    if (substr(text, at - 1, 1) != ",") fail()
                }
                return
            }
            if (here() == "\"") { key = string(); print place "\t\"" key "\""; return }
            rest = substr(text, at, 40)
            if (!match(rest, /^[-+.0-9A-Za-z]+/)) { fail(); return }
            at += RLENGTH
            print place "\t" substr(rest, 1, RLENGTH)
        }'
}

# below POINTER: of such lines those of one value, with its own pointer left out.
below() {
    POINTER=$1 awk '
        BEGIN { pointer = ENVIRON["POINTER"] }
        index($0, pointer "/") == 1 || index($0, pointer "\t") == 1 { print substr($0, length(pointer) + 1) }'
}

# member NAME: a string of the last answer's body, as it is written there.
member() {
    flat <"$work/answer" | below "/$1" | sed -n 's/^[[:space:]]*"\(.*\)"$/\1/p' | sed 's#\\/#/#g'
}

# items POINTER: how many items the list of the last answer has.
items() {
    flat <"$work/answer" | below "$1" | sed -n 's#^/\([0-9]*\).*#\1#p' | sort -u | wc -l | tr -d ' '
}

# known NAME VALUE: from now on the name stands for a string, wherever answers are compared.
: >"$keys/known"
known() {
    [ -n "$2" ] || return 0
    printf '%s' "$2" | sed 's/[][\.*^$/]/\\&/g; s/.*/s\/"&"\/'"$1"'\//' >>"$keys/known"
    printf '\n' >>"$keys/known"
}

# alike: such lines in their order, with names for what is known, and without what no two answers share.
alike() {
    sed -f "$keys/known" |
        sed 's/"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9:.]*/"time /' |
        LC_ALL=C sort
}

# escaped TEXT: as it stands in an address.
escaped() {
    printf '%s' "$1" | od -An -v -tu1 | LC_ALL=C awk '{
        for (n = 1; n <= NF; n++)
            if ($n >= 48 && $n <= 57 || $n >= 65 && $n <= 90 || $n >= 97 && $n <= 122 || $n == 45 || $n == 46 || $n == 95 || $n == 126)
                printf "%c", $n + 0
            else printf "%%%02X", $n
    }'
}
