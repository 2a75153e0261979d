#!/bin/sh
# Starts a run of a PipelineTrigger, of what its source has now, and prints the name of that run: NAMESPACE/RUN.
# rungate.sh, beside it, shows its log.
#
#   run=$(sh trigger.sh NAMESPACE/TRIGGER KEY) && sh rungate.sh "$run"
#
# KEY is a text of your own for this run, without blanks: the number of the build. The same KEY again is the same run.
#
# Environment:
#   RUNGATE_URL                 where rungate is: https://rungate.example.com
#   RUNGATE_USERNAME, RUNGATE_PASSWORD
#                               a caller to whom ACCESS_FILE gives `run` in that namespace
#   RUNGATE_WAIT                seconds to wait for the run to be created (60)
#
# Exit code:
#   0   the run has been created
#   2   not asked properly: a variable is missing, or rungate refuses (the answer is printed)
#   3   not known: rungate cannot be reached, or the run has not come. The same KEY again does not start another.
#
# Of a trigger on a PullRequest it is one of the runs of all branches.
#
# Needs a POSIX shell and curl 7.76 or newer.
set -u

say() {
  printf 'rungate: %s\n' "$*" >&2
}

if [ $# -ne 2 ] || [ -z "$1" ] || [ -z "$2" ]; then
  say 'usage: trigger.sh NAMESPACE/TRIGGER KEY'
  exit 2
fi
for variable in RUNGATE_URL RUNGATE_USERNAME RUNGATE_PASSWORD; do
  eval "value=\${$variable:-}"
  if [ -z "$value" ]; then
    say "$variable is not set"
    exit 2
  fi
done

trigger=$1
key=$2
url=${RUNGATE_URL%/}
until=$(($(date +%s) + ${RUNGATE_WAIT:-60}))
folder=$(mktemp -d) || exit 3
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Asks, with credentials that a process list must not show, and leaves status and body of the answer. Whatever goes wrong on
# the way is tried again: the key makes a request that was lost on its way back the same one.
ask() {
  user=$(printf '%s:%s' "$RUNGATE_USERNAME" "$RUNGATE_PASSWORD" | sed 's/["\\]/\\&/g')
  status=$(printf 'user = "%s"\n' "$user" | curl --config - --silent --show-error --retry 5 --retry-all-errors \
    --output "$folder/body" --write-out '%{http_code}' "$@") || status=000
}

# The answer was no: prints it and ends.
refused() {
  say "$trigger was not started (HTTP $status): $(cat "$folder/body" 2>/dev/null)"
  case $status in
    4*) exit 2 ;;
    *) exit 3 ;;
  esac
}

in_time() {
  [ "$(date +%s)" -lt "$until" ]
}

# 409: another run of the trigger was asked for and has not begun, which is over in a moment; or the trigger is suspended.
while ask --data '' --header "Idempotency-Key: $key" "$url/triggers/$trigger/run"; [ "$status" = 409 ]; do
  if grep -q suspended "$folder/body" || ! in_time; then refused; fi
  sleep 1
done
[ "$status" = 202 ] || refused
event=$(sed -n 's/.*"eventID":"\([^"]*\)".*/\1/p' "$folder/body")

# Flux may be asked to look at the source first.
namespace=${trigger%%/*}
until=$(($(date +%s) + ${RUNGATE_WAIT:-60}))
while :; do
  ask "$url/runs/$namespace?eventId=$event&limit=1&wait=5"
  [ "$status" = 200 ] || refused
  run=$(sed -n 's/^{"items":\[{"namespace":"[^"]*","name":"\([^"]*\)".*/\1/p' "$folder/body")
  if [ -n "$run" ]; then break; fi
  if ! in_time; then
    say "the run of $trigger has not come. Run this job again: the same key does not start another."
    exit 3
  fi
done
printf '%s/%s\n' "$namespace" "$run"
