/* tier_certificates.h - an authority of the test's own with certificates for a tier server and its
 * clients, made by the command openssl. */
#ifndef FC_TESTS_TIER_CERTIFICATES_H
#define FC_TESTS_TIER_CERTIFICATES_H

#define TIER_CERTIFICATES_CA "ca.crt"
#define TIER_CERTIFICATES_CERT "peer.crt" /* for 127.0.0.1 and localhost, valid for both sides */
#define TIER_CERTIFICATES_KEY "peer.key"
#define TIER_CERTIFICATES_OTHER_CA "other.crt" /* of an authority that signed nothing */

/* Makes these files in the directory. Fails the test if openssl fails. */
void tier_certificates_make(const char *dir);

#endif
