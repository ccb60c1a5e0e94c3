// SPDX-License-Identifier: Apache-2.0
#include "pam_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "virid"

static void drop(struct pam_response *r, int count)
{
	for (int i = 0; i < count; i++) {
		if (r[i].resp != NULL) {
			explicit_bzero(r[i].resp, strlen(r[i].resp));
			free(r[i].resp);
		}
	}
	free(r);
}

/* What cannot be answered (a new password, a second factor) ends the conversation. */
static bool answer_one(const struct pam_message *m, const struct pam_question *q,
		       struct pam_response *ret)
{
	switch (m->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		ret->resp = strdup(q->password);
		return ret->resp != NULL;
	case PAM_PROMPT_ECHO_ON:
		ret->resp = strdup(q->user);
		return ret->resp != NULL;
	case PAM_ERROR_MSG:
	case PAM_TEXT_INFO:
		return true;
	default:
		return false;
	}
}

int pam_check_converse(int count, const struct pam_message **messages, struct pam_response **ret,
		       void *question)
{
	if (count <= 0 || count > PAM_MAX_NUM_MSG) {
		return PAM_CONV_ERR;
	}
	struct pam_response *r = calloc((size_t)count, sizeof(*r));

	if (r == NULL) {
		return PAM_BUF_ERR;
	}
	for (int i = 0; i < count; i++) {
		if (!answer_one(messages[i], question, &r[i])) {
			drop(r, count);
			return PAM_CONV_ERR;
		}
	}
	*ret = r;
	return PAM_SUCCESS;
}

bool pam_check(const char *folder, const struct pam_question *q, char *why, size_t size)
{
	struct pam_question copy = *q;
	const struct pam_conv conversation = {pam_check_converse, &copy};
	pam_handle_t *h = NULL;
	int r = pam_start_confdir(SERVICE, q->user, &conversation, folder, &h);

	if (r == PAM_SUCCESS && q->from[0] != '\0') {
		r = pam_set_item(h, PAM_RHOST, q->from);
	}
	if (r == PAM_SUCCESS) {
		r = pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	}
	if (r == PAM_SUCCESS) {
		r = pam_acct_mgmt(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	}
	if (r != PAM_SUCCESS) {
		snprintf(why, size, "%s", h == NULL ? "PAM cannot be started" : pam_strerror(h, r));
	}
	if (h != NULL) {
		pam_end(h, r);
	}
	explicit_bzero(&copy, sizeof(copy));
	return r == PAM_SUCCESS;
}
