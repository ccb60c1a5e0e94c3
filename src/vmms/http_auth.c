// SPDX-License-Identifier: Apache-2.0
#include "http_auth.h"

#include <gnutls/crypto.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "http_attempts.h"
#include "http_tls.h"
#include "lib/check.h"
#include "pam_check.h"
#include "target.h"
#include "task.h"

#define AT_ONCE_MAX 4u
#define REMEMBERED_MAX 64u
#define REMEMBERED_NS (UINT64_C(300) * 1000000000)
#define DIGEST_BYTES 32u

/* A password that was right a moment ago is not asked for again: only a keyed digest of it is kept. */
struct remembered {
	uint8_t digest[DIGEST_BYTES];
	uint64_t until_ns; /* 0: free */
	struct identity identity;
};

struct http_auth {
	struct tasks *tasks;
	const char *pam_folder;
	struct audit *audit;
	uint8_t key[DIGEST_BYTES];
	struct question *questions; /* that are being asked */
	unsigned count;
	struct remembered remembered[REMEMBERED_MAX];
	struct attempts attempts;
};

struct question {
	struct http_auth *auth;
	struct http_request *request; /* NULL: nobody waits any longer */
	struct question *next;
	struct sockaddr_storage from;
	struct pam_question pam;
	uint8_t digest[DIGEST_BYTES];
	bool right;
	bool known; /* the identity is complete */
	struct identity identity;
	char why[128];
};

struct http_auth *http_auth_create(struct tasks *tasks, const char *pam_folder, struct audit *audit)
{
	struct http_auth *a = calloc(1, sizeof(*a));

	if (a != NULL) {
		a->tasks = tasks;
		a->pam_folder = pam_folder;
		a->audit = audit;
		CHECK(gnutls_rnd(GNUTLS_RND_KEY, a->key, sizeof(a->key)) == 0);
	}
	return a;
}

void http_auth_destroy(struct http_auth *a)
{
	if (a == NULL) {
		return;
	}
	/* the threads have ended, and nothing comes back */
	while (a->questions != NULL) {
		struct question *q = a->questions;

		a->questions = q->next;
		explicit_bzero(q, sizeof(*q));
		free(q);
	}
	explicit_bzero(a, sizeof(*a));
	free(a);
}

/* ---- What was right before ---- */

static void digest_of(const struct http_auth *a, const struct pam_question *p,
		      uint8_t ret[DIGEST_BYTES])
{
	uint8_t both[PAM_NAME_BYTES + PAM_PASSWORD_BYTES] = {0};

	memcpy(both, p->user, strlen(p->user));
	memcpy(both + PAM_NAME_BYTES, p->password, strlen(p->password));
	CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, a->key, sizeof(a->key), both, sizeof(both),
			       ret) == 0);
	explicit_bzero(both, sizeof(both));
}

static const struct identity *recall(const struct http_auth *a, const uint8_t digest[DIGEST_BYTES])
{
	uint64_t now = host_now_ns();

	for (size_t i = 0; i < REMEMBERED_MAX; i++) {
		const struct remembered *r = &a->remembered[i];

		if (r->until_ns > now && gnutls_memcmp(r->digest, digest, DIGEST_BYTES) == 0) {
			return &r->identity;
		}
	}
	return NULL;
}

static void remember(struct http_auth *a, const struct question *q)
{
	struct remembered *oldest = &a->remembered[0];

	for (size_t i = 1; i < REMEMBERED_MAX; i++) {
		if (a->remembered[i].until_ns < oldest->until_ns) {
			oldest = &a->remembered[i];
		}
	}
	memcpy(oldest->digest, q->digest, sizeof(q->digest));
	oldest->until_ns = host_now_ns() + REMEMBERED_NS;
	oldest->identity = q->identity;
}

/* ---- Refusing ---- */

static void text_of(const struct sockaddr_storage *from, char text[INET6_ADDRSTRLEN])
{
	if (getnameinfo((const struct sockaddr *)from, sizeof(*from), text, INET6_ADDRSTRLEN, NULL,
			0, NI_NUMERICHOST) != 0) {
		text[0] = '\0';
	}
}

/* @who is what the client says of itself, which nobody has proved. */
static void note_refused(struct http_auth *a, const char *who, const char *from, const char *why)
{
	char unproved[PAM_NAME_BYTES + 16];

	snprintf(unproved, sizeof(unproved), "unproved:%s", who);
	audit_note_denied(a->audit, unproved, "log in", NULL,
			  json_pack("{ss ss}", "from", from, "message", why));
}

/* ---- Asking ---- */

static void work(void *ctx)
{
	struct question *q = ctx;

	q->right = pam_check(q->auth->pam_folder, &q->pam, q->why, sizeof(q->why));
	q->known = q->right && identity_of_user(q->pam.user, &q->identity);
	if (q->right && !q->known) {
		snprintf(q->why, sizeof(q->why),
			 "the password is right, but this host knows no such user");
	}
}

static void done(void *ctx)
{
	struct question *q = ctx;
	struct http_auth *a = q->auth;
	struct question **link = &a->questions;

	while (*link != q) {
		link = &(*link)->next;
	}
	*link = q->next;
	a->count--;
	if (q->right) {
		attempts_right(&a->attempts, &q->from);
	}
	if (q->known) {
		remember(a, q);
	} else {
		note_refused(a, q->pam.user, q->pam.from, q->why);
	}
	if (q->request != NULL) {
		http_request_identified(q->request, q->known ? &q->identity : NULL, 401,
					"the name or the password is not right");
	}
	explicit_bzero(q, sizeof(*q));
	free(q);
}

/* False: not now, and the client knows it. */
static bool may_ask(struct http_auth *a, struct http_request *request,
		    const struct http_connection *c, const struct pam_question *pam)
{
	char why[160];

	if (a->count >= AT_ONCE_MAX) {
		http_request_identified(
			request, NULL, 503,
			"too many passwords are being checked; try again in some seconds");
		return false;
	}
	uint64_t wait_ns = attempts_begin(&a->attempts, &c->address, host_now_ns());

	if (wait_ns > 0) {
		snprintf(why, sizeof(why),
			 "too many wrong passwords came from %s; try again in %u seconds",
			 pam->from, (unsigned)(wait_ns / 1000000000) + 1);
		note_refused(a, pam->user, pam->from, why);
		http_request_identified(request, NULL, 429, why);
	}
	return wait_ns == 0;
}

static void ask(struct http_auth *a, struct http_request *request, const struct http_connection *c,
		const struct pam_question *pam, const uint8_t digest[DIGEST_BYTES])
{
	if (!may_ask(a, request, c, pam)) {
		return;
	}
	struct question *q = calloc(1, sizeof(*q));

	CHECK(q != NULL);
	q->auth = a;
	q->request = request;
	q->from = c->address;
	q->pam = *pam;
	memcpy(q->digest, digest, sizeof(q->digest));
	q->next = a->questions;
	a->questions = q;
	a->count++;
	task_run(a->tasks, work, done, q);
}

void http_auth_forget(struct http_auth *a, struct http_request *request)
{
	for (struct question *q = a == NULL ? NULL : a->questions; q != NULL; q = q->next) {
		if (q->request == request) {
			q->request = NULL;
		}
	}
}

/* ---- Who it is ---- */

/* False: the client named nobody, or nobody that could be. */
static bool read_password(struct http_connection *c, struct MHD_Connection *mhd,
			  struct pam_question *ret)
{
	char *password = NULL;
	char *user = MHD_basic_auth_get_username_password(mhd, &password);
	bool ok = user != NULL && password != NULL && user[0] != '\0' &&
		  strlen(user) < PAM_NAME_BYTES && strlen(password) < PAM_PASSWORD_BYTES &&
		  target_is_text(user);

	*ret = (struct pam_question){0};
	if (ok) {
		snprintf(ret->user, sizeof(ret->user), "%s", user);
		snprintf(ret->password, sizeof(ret->password), "%s", password);
		text_of(&c->address, ret->from);
	}
	if (password != NULL) {
		explicit_bzero(password, strlen(password));
	}
	MHD_free(user);
	MHD_free(password);
	return ok;
}

static void identify_by_password(struct http_auth *a, struct http_connection *c,
				 struct MHD_Connection *mhd, struct http_request *q)
{
	struct pam_question p;
	uint8_t digest[DIGEST_BYTES];

	if (!http_tls_passwords(c->listener->tls) || a == NULL) {
		http_request_identified(q, NULL, 403, "this needs a client certificate");
		return;
	}
	if (!read_password(c, mhd, &p)) {
		http_request_identified(q, NULL, 401,
					"this needs a client certificate, or a name and password");
		return;
	}
	digest_of(a, &p, digest);
	const struct identity *known = recall(a, digest);

	if (known != NULL) {
		http_request_identified(q, known, 0, NULL);
	} else {
		ask(a, q, c, &p, digest);
	}
	explicit_bzero(&p, sizeof(p));
}

static void refuse_certificate(struct http_auth *a, struct http_connection *c,
			       struct http_request *q, const char *why)
{
	char from[INET6_ADDRSTRLEN];

	text_of(&c->address, from);
	if (a != NULL) {
		note_refused(a, "certificate", from, why);
	}
	http_request_identified(q, NULL, 403, why);
}

void http_auth_identify(struct http_auth *a, struct http_connection *c, struct MHD_Connection *mhd,
			struct http_request *q)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	char why[256];

	CHECK(info != NULL && c->listener->tls != NULL);
	switch (http_tls_identify(info->tls_session, &c->identity, why, sizeof(why))) {
	case HTTP_TLS_CERTIFICATE:
		c->identified = true;
		http_request_identified(q, &c->identity, 0, NULL);
		return;
	case HTTP_TLS_BAD_CERTIFICATE:
		refuse_certificate(a, c, q, why);
		return;
	case HTTP_TLS_NO_CERTIFICATE:
	default:
		identify_by_password(a, c, mhd, q);
	}
}
