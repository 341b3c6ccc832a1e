#!/bin/sh
# Runs the suite in a CI job: what the GitHub Action and the GitLab component do. Options come from the environment, so
# that nothing of them is ever read by a shell; an empty one is not given.
#
#   CONFORM_TARGET CONFORM_IDP CONFORM_EXEC CONFORM_SPEC CONFORM_BASELINE CONFORM_CONFIG   the options of these names
#   CONFORM_STRICT     true: --strict
#   CONFORM_FILTER     one --filter a line
#   CONFORM_ARGUMENTS  one further argument a line
#   CONFORM_REPORTS    the directory of the reports; avp-conform-report unless told
#
# The exit code is that of avp-conform.
set -u
reports=${CONFORM_REPORTS:-avp-conform-report}

option() {
    [ -z "$2" ] || printf '%s=%s\n' "$1" "$2"
}

lines() {
    printf '%s\n' "$2" | while IFS= read -r line; do
        option "$1" "$line"
    done
}

# An argument a line: none of them holds a line break.
arguments=$(
    option --target "${CONFORM_TARGET:-}"
    option --idp "${CONFORM_IDP:-}"
    option --exec "${CONFORM_EXEC:-}"
    option --spec "${CONFORM_SPEC:-}"
    option --baseline "${CONFORM_BASELINE:-}"
    option --config "${CONFORM_CONFIG:-}"
    lines --filter "${CONFORM_FILTER:-}"
    [ "${CONFORM_STRICT:-false}" != true ] || echo --strict
    printf '%s\n' "${CONFORM_ARGUMENTS:-}"
)
set -- run
while IFS= read -r argument; do
    [ -z "$argument" ] || set -- "$@" "$argument"
done <<END
$arguments
END

set -- "$@" --report "json=$reports/report.json" --report "junit=$reports/junit.xml" \
    --report "html=$reports/report.html" --report "text=$reports/report.txt"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    set -- "$@" --report "markdown=$reports/summary.md" --report github=-
fi

code=0
avp-conform "$@" || code=$?
[ ! -s "$reports/report.txt" ] || cat "$reports/report.txt"

if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -s "$reports/summary.md" ]; then
    # The page takes one MiB.
    if [ "$(wc -c <"$reports/summary.md")" -lt 1000000 ]; then
        cat "$reports/summary.md" >>"$GITHUB_STEP_SUMMARY"
    else
        echo "The summary is too long for this page; it is among the reports, in summary.md." >>"$GITHUB_STEP_SUMMARY"
    fi
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
    printf 'exit-code=%s\nreport=%s\n' "$code" "$reports/report.json" >>"$GITHUB_OUTPUT"
fi
exit "$code"
