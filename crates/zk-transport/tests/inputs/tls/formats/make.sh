#!/bin/sh
# Makes the files beside it, which the tests read: keys and key stores in every form that OpenSSL and Java
# write. The keys are for tests and guard nothing; all passphrases are `changeit`, except where the name of
# a file says otherwise. Run it in this directory, with OpenSSL 3 and a JDK.
set -eu
days=36500
conf=$(mktemp)
trap 'rm -f "$conf"' EXIT
printf '[req]\ndistinguished_name=dn\n[dn]\n' > "$conf"
pass=pass:changeit

# Two identities for localhost that issued themselves.
own() {
    openssl req -x509 "$@" -nodes -days $days -config "$conf" \
        -addext basicConstraints=critical,CA:TRUE -addext subjectAltName=DNS:localhost,IP:127.0.0.1
}
own -newkey rsa:2048 -subj /CN=rsa -keyout rsa.key -out rsa.pem
own -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=ec -keyout ec.key -out ec.pem

# Keys without encryption.
openssl rsa -in rsa.key -traditional -out rsa-pkcs1.key
openssl ec -in ec.key -out ec-sec1.key
openssl pkey -in rsa.key -outform DER -out rsa-pkcs8.der
openssl rsa -in rsa.key -traditional -outform DER -out rsa-pkcs1.der
openssl ec -in ec.key -outform DER -out ec-sec1.der

# Encrypted PKCS#8.
for cipher in aes-128-cbc aes-192-cbc aes-256-cbc des3; do
    openssl pkcs8 -topk8 -in ec.key -v2 $cipher -passout $pass -out pkcs8-$cipher.key
done
for prf in hmacWithSHA1 hmacWithSHA384 hmacWithSHA512; do
    openssl pkcs8 -topk8 -in ec.key -v2 aes256 -v2prf $prf -passout $pass -out pkcs8-$prf.key
done
openssl pkcs8 -topk8 -in ec.key -scrypt -passout $pass -out pkcs8-scrypt.key
for scheme in PBE-SHA1-3DES PBE-SHA1-2DES; do
    openssl pkcs8 -topk8 -in ec.key -v1 $scheme -passout $pass -out pkcs8-$scheme.key
done
for scheme in PBE-MD5-DES PBE-SHA1-DES PBE-SHA1-RC2-40 PBE-SHA1-RC2-128 PBE-SHA1-RC4-128; do
    openssl pkcs8 -topk8 -in ec.key -v1 $scheme -passout $pass -out pkcs8-$scheme.key \
        -provider legacy -provider default
done
openssl pkcs8 -topk8 -in ec.key -v2 camellia-128-cbc -passout $pass -out pkcs8-camellia.key
openssl pkcs8 -topk8 -in rsa.key -passout $pass -outform DER -out pkcs8.der

# OpenSSL's own encryption of PEM.
for cipher in aes128 aes192 aes256 des3 camellia128; do
    openssl rsa -in rsa.key -traditional -$cipher -passout $pass -out pkcs1-$cipher.key
    openssl ec -in ec.key -$cipher -passout $pass -out sec1-$cipher.key
done
openssl rsa -in rsa.key -traditional -des -passout $pass -out pkcs1-des.key \
    -provider legacy -provider default

# PKCS#12 by OpenSSL.
store() {
    out=$1
    shift
    openssl pkcs12 -export -in ec.pem -inkey ec.key -name own "$@" -out "$out"
}
store openssl.p12 -passout $pass
store openssl-legacy.p12 -passout $pass -legacy
store openssl-sha512.p12 -passout $pass -macalg sha512 -keypbe aes-128-cbc -certpbe aes-128-cbc
store openssl-3des.p12 -passout $pass -macalg sha1 -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES
store openssl-plain.p12 -passout $pass -keypbe NONE -certpbe NONE
store openssl-no-mac.p12 -passout $pass -nomac
store openssl-empty-passphrase.p12 -passout pass:
store openssl-umlaut.p12 -passout 'pass:schlüssel'
openssl pkcs12 -export -nokeys -in ec.pem -passout $pass -out openssl-trust.p12

# Key stores by Java.
rm -f keytool*
import() {
    keytool "$@" -importkeystore -srckeystore openssl.p12 -srcstoretype PKCS12 -srcstorepass changeit \
        -srcalias own -noprompt
}
import -destkeystore keytool.p12 -deststoretype PKCS12 -deststorepass changeit
import -J-Dkeystore.pkcs12.legacy -destkeystore keytool-legacy.p12 -deststoretype PKCS12 \
    -deststorepass changeit
import -destkeystore keytool.jks -deststoretype JKS -deststorepass changeit
import -destkeystore keytool-key-other.jks -deststoretype JKS -deststorepass changeit -destkeypass otherone
import -destkeystore keytool.jceks -deststoretype JCEKS -deststorepass changeit
import -destkeystore keytool-two.jks -deststoretype JKS -deststorepass changeit -destalias First
import -destkeystore keytool-two.jks -deststoretype JKS -deststorepass changeit -destalias second
for type in JKS PKCS12; do
    keytool -importcert -file ec.pem -alias ca -keystore keytool-trust.$type -storetype $type \
        -storepass changeit -noprompt
done

# A certificate with two CAs above it, the store's certificates in any order.
sign() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config "$conf" -subj "/CN=$1" \
        -keyout "$1.key" -out request.pem
    printf '%s\n' "$4" > extensions
    openssl x509 -req -in request.pem -CA "$2" -CAkey "$3" -days $days -extfile extensions -out "$1.pem"
    rm -f request.pem extensions ec.srl above.srl
}
sign above ec.pem ec.key basicConstraints=critical,CA:TRUE
sign below above.pem above.key subjectAltName=DNS:localhost
cat ec.pem above.pem > others.pem
openssl pkcs12 -export -in below.pem -inkey below.key -certfile others.pem -name own -passout $pass \
    -out chain.p12
keytool -importkeystore -srckeystore chain.p12 -srcstoretype PKCS12 -srcstorepass changeit -noprompt \
    -destkeystore chain.jks -deststoretype JKS -deststorepass changeit
rm -f above.key above.pem below.key below.pem others.pem
# What a server presents; its CA is ec.pem.
sign server ec.pem ec.key subjectAltName=DNS:localhost,IP:127.0.0.1
