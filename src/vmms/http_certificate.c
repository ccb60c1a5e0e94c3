// SPDX-License-Identifier: Apache-2.0
/* Who a client is by its certificate. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#include "http_tls.h"
#include "target.h"

static void add_name(struct identity *i, const char *name, size_t bytes)
{
	char *to;

	if (i->certificate_name_count == CALLER_CERTIFICATE_NAMES_MAX || bytes == 0 ||
	    bytes >= CALLER_NAME_BYTES || memchr(name, '\0', bytes) != NULL) {
		return; /* a name that was cut would be somebody else's */
	}
	to = i->certificate_names[i->certificate_name_count];
	memcpy(to, name, bytes);
	to[bytes] = '\0';
	i->certificate_name_count += target_is_text(to);
}

static void read_names(gnutls_x509_crt_t certificate, struct identity *ret)
{
	char name[256];
	size_t n = sizeof(name);

	*ret = (struct identity){0};
	if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
					  &n) == 0) {
		add_name(ret, name, n);
	}
	for (unsigned i = 0; i < CALLER_CERTIFICATE_NAMES_MAX; i++) {
		n = sizeof(name);
		int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &n, NULL);

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
			break;
		}
		if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME) {
			add_name(ret, name, n);
		}
	}
	if (ret->certificate_name_count > 0) {
		snprintf(ret->name, sizeof(ret->name), "certificate:%.50s",
			 ret->certificate_names[0]);
	}
}

static bool verify(gnutls_session_t session, char *why, size_t size)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	gnutls_datum_t text = {NULL, 0};
	unsigned status = 0;
	int r = gnutls_certificate_verify_peers(session, &purpose, 1, &status);

	if (r == 0 && status == 0) {
		return true;
	}
	if (r == 0 &&
	    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
		snprintf(why, size, "the client certificate is not good: %s",
			 (const char *)text.data);
		gnutls_free(text.data);
	} else {
		snprintf(why, size, "the client certificate cannot be checked: %s",
			 gnutls_strerror(r));
	}
	return false;
}

enum http_tls_result http_tls_identify(void *session, struct identity *ret, char *why, size_t size)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t certificate;

	if (chain == NULL || count == 0) {
		return HTTP_TLS_NO_CERTIFICATE;
	}
	if (!verify(session, why, size)) {
		return HTTP_TLS_BAD_CERTIFICATE;
	}
	if (gnutls_x509_crt_init(&certificate) < 0) {
		snprintf(why, size, "out of memory");
		return HTTP_TLS_BAD_CERTIFICATE;
	}
	if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0) {
		read_names(certificate, ret);
	}
	gnutls_x509_crt_deinit(certificate);
	if (ret->certificate_name_count == 0) {
		snprintf(
			why, size,
			"the client certificate has no name; expected a common or alternative name "
			"of at most 63 bytes");
		return HTTP_TLS_BAD_CERTIFICATE;
	}
	return HTTP_TLS_CERTIFICATE;
}
