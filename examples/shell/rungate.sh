#!/bin/sh
# Shows the log of a Tekton run in a CI job, live, and ends as the run ends.
#
#   rungate.sh RUN              a run in the namespace that rungate has as its own
#   rungate.sh NAMESPACE/RUN    a run in another namespace
#
# Environment:
#   RUNGATE_URL                 where rungate is: https://rungate.example.com
#   RUNGATE_USERNAME, RUNGATE_PASSWORD
#   RUNGATE_WAIT                seconds to wait for the run to be created (60)
#   RUNGATE_FORMAT              how the log looks: text (unless set), or gitlab for one section per task
#
# Exit code:
#   0   the log came to its end, and the run succeeded
#   1   the run failed, was cancelled or timed out
#   2   not asked properly: a variable is missing, or rungate refuses (the answer is printed)
#   3   not known: the log broke off, or rungate cannot say how the run stands. The run itself is not touched by that:
#       run the job again, and it will show the same run from its beginning.
#
# Needs a POSIX shell and curl 7.76 or newer.
set -u

say() {
  printf 'rungate: %s\n' "$*" >&2
}

if [ $# -ne 1 ] || [ -z "$1" ]; then
  say 'usage: rungate.sh [NAMESPACE/]RUN'
  exit 2
fi
for variable in RUNGATE_URL RUNGATE_USERNAME RUNGATE_PASSWORD; do
  eval "value=\${$variable:-}"
  if [ -z "$value" ]; then
    say "$variable is not set"
    exit 2
  fi
done

run=$1
url=${RUNGATE_URL%/}
folder=$(mktemp -d) || exit 3
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# curl with credentials, which a process list must not show. Tries again while rungate cannot be reached or has no time
# (429, 5xx); an answer that broke off is not asked for twice.
ask() {
  user=$(printf '%s:%s' "$RUNGATE_USERNAME" "$RUNGATE_PASSWORD" | sed 's/["\\]/\\&/g')
  printf 'user = "%s"\n' "$user" | curl --config - --silent --show-error --retry 5 --retry-connrefused "$@"
}

# The log, as it is written. It ends when the run has ended. Of a run that did not succeed rungate leaves the answer
# unfinished (onFailure=abort), so that even this call alone would not look like a success.
ask --no-buffer --fail-with-body --dump-header "$folder/head" \
  "$url/logs/$run?wait=${RUNGATE_WAIT:-60}&onFailure=abort&format=${RUNGATE_FORMAT:-text}"
log=$?
if [ $log -eq 22 ]; then
  echo
  case $(sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$folder/head" | tail -n 1) in
    4*) exit 2 ;;
    *) exit 3 ;;
  esac
fi

# Whatever the log was, how the run stands is asked. A log that is whole comes after the end of its run, so this answers
# at once; the few seconds are for a replica that has not heard of the end yet.
code=$(ask --output "$folder/status" --write-out '%{http_code}' "$url/status/$run?wait=10") || code=000
case $code in
  200) state=True ;;
  *) state=$(sed -n 's/.*"status":"\([A-Za-z]*\)".*/\1/p' "$folder/status" 2>/dev/null) ;;
esac

if [ "$state" = False ]; then
  say "$run did not succeed: $(cat "$folder/status")"
  exit 1
fi
if [ $log -ne 0 ]; then
  say "the log of $run broke off (curl $log), and the run is not known to have failed. Run this job again."
  exit 3
fi
if grep -qi '^x-log-complete: *false' "$folder/head"; then
  say "a part of the log of $run is missing. Run this job again."
  exit 3
fi
if [ "$state" != True ]; then
  say "the log of $run ended, but not the run, or rungate cannot say (HTTP $code): $(cat "$folder/status" 2>/dev/null)"
  exit 3
fi
