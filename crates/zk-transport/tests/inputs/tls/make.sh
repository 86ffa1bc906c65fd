#!/bin/sh
# Makes the files beside it, which the tests read: what OpenSSL and Java write, and rcgen cannot. The keys
# are for tests and guard nothing. Run it in this directory.
set -eu
days=36500
san='subjectAltName=DNS:localhost,IP:127.0.0.1'
conf=$(mktemp)
trap 'rm -f "$conf" request.pem' EXIT
printf '[req]\ndistinguished_name=dn\n[dn]\n' > "$conf"

# What people make of the first recipe they find: self-signed, and a CA's.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days -config "$conf" \
    -subj /CN=localhost -addext basicConstraints=critical,CA:TRUE -addext "$san" \
    -keyout ca.key -out ca.pem
openssl x509 -in ca.pem -outform DER -out ca.der
openssl pkey -in ca.key -outform DER -out key.der
openssl pkcs8 -topk8 -in ca.key -outform DER -passout pass:changeit -out key-encrypted.der
openssl crl2pkcs7 -nocrl -certfile ca.pem -out pkcs7.pem
openssl crl2pkcs7 -nocrl -certfile ca.pem -outform DER -out pkcs7.der

# OpenSSL's own form, with settings behind the certificate.
openssl x509 -in ca.pem -trustout -addtrust serverAuth -setalias ours -out trusted.pem
openssl x509 -in ca.pem -trustout -addtrust clientAuth -out trusted-for-clients.pem
openssl x509 -in ca.pem -trustout -addreject serverAuth -out rejected.pem

# A request without extensions, signed without any: version 1.
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config "$conf" -subj /CN=localhost \
    -keyout v1.key -out request.pem
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -out v1.pem
rm -f ca.srl
openssl req -in request.pem -out request-kept.pem

openssl ecparam -name secp521r1 -genkey -noout -out p521.key
openssl req -x509 -key p521.key -days $days -config "$conf" -subj /CN=localhost -addext "$san" \
    -out p521.pem

openssl pkcs12 -export -in ca.pem -inkey ca.key -name server -passout pass:changeit -out store.p12
rm -f store.jks
keytool -importkeystore -srckeystore store.p12 -srcstoretype PKCS12 -srcstorepass changeit \
    -destkeystore store.jks -deststoretype JKS -deststorepass changeit -noprompt
mv request-kept.pem request.csr
