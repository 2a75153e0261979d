#!/bin/sh
# Makes a certificate for rungate, of an authority of your own, in the current folder. Where you have cert-manager or an authority
# already, take those; the files have the same names.
#
#   certificate.sh rungate.tekton-pipelines.svc rungate.example.com     (names and IP addresses, the first is the subject)
#
#   ca.crt            for everybody who asks rungate
#   ca.key            for nobody: it makes certificates that they all believe. Keep it off the cluster
#   tls.crt, tls.key  for rungate, good for 90 days
#
# Run again, it keeps the authority and renews the rest: clients change nothing.
#
# Needs a POSIX shell and openssl 1.1.1 or newer.
set -eu
if [ $# -eq 0 ]; then
  echo 'usage: certificate.sh NAME...' >&2
  exit 2
fi
umask 077

names=
for name; do
  case $name in
    *[!0-9.]*) names=${names:+$names,}DNS:$name ;;
    *) names=${names:+$names,}IP:$name ;;
  esac
done
config=$(mktemp)
trap 'rm -f "$config" tls.csr' EXIT
cat >"$config" <<END
[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $names
END

if [ ! -e ca.key ]; then
  openssl req -x509 -config "$config" -extensions authority -subj '/CN=rungate authority' -days 3650 \
    -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt
fi
openssl req -new -config "$config" -subj "/CN=$1" \
  -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days 90 \
  -extfile "$config" -extensions server -out tls.crt
chmod 644 ca.crt tls.crt
