// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/bits.h"
#include "manage.h"

static const struct manage_verb *const nouns[] = {
	manage_vm_verbs,      manage_checkpoint_verbs, manage_disk_verbs, manage_dvd_verbs,
	manage_adapter_verbs, manage_host_verbs,       manage_job_verbs,  manage_event_verbs,
	manage_role_verbs,    manage_audit_verbs,
};

const struct manage_verb *manage_noun(const char *noun)
{
	for (size_t i = 0; i < ARRAY_LEN(nouns); i++) {
		if (strcmp(nouns[i][0].noun, noun) == 0) {
			return nouns[i];
		}
	}
	return NULL;
}

const struct manage_verb *manage_verb_of(const char *noun, const char *name)
{
	const struct manage_verb *v = manage_noun(noun);

	while (v != NULL && v->name != NULL && strcmp(v->name, name) != 0) {
		v++;
	}
	return v != NULL && v->name != NULL ? v : NULL;
}
