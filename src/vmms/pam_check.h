/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords, by PAM's service "virid". */
#ifndef VMMS_PAM_CHECK_H
#define VMMS_PAM_CHECK_H

#include <security/pam_appl.h>
#include <stdbool.h>
#include <stddef.h>

#define PAM_NAME_BYTES 64u
#define PAM_PASSWORD_BYTES 256u

struct pam_question {
	char user[PAM_NAME_BYTES];
	char password[PAM_PASSWORD_BYTES];
	char from[64]; /* address; empty: unknown */
};

/*
 * Is this the user's password, and is the account good? @folder has PAM's description of the service (NULL: the system's, /etc/pam.d). Blocks for seconds; any thread. False: @why (for the log; clients only learn that it was not
 * right).
 */
bool pam_check(const char *folder, const struct pam_question *q, char *why, size_t size);
/* The conversation: answers what it is asked with the user's name and password; a struct pam_question is its data. */
int pam_check_converse(int count, const struct pam_message **messages, struct pam_response **ret,
		       void *question);

#endif
