// SPDX-License-Identifier: Apache-2.0
/*
 * Versions. The host sends its list first thing on a channel; the guest picks one of the framework's and one of the component's. Guests of
 * Windows Server 2008's time know framework 1.0 and message version 1.0 only, and pick those.
 */
#include <string.h>

#include "lib/bits.h"
#include "service.h"

static const struct ic_version frameworks[] = {{1, 0}, {3, 0}};

/* Components that came with framework 3.0 offer no older one. */
static unsigned first_framework(const struct ic_component *c)
{
	return c->old_framework ? 0 : ARRAY_LEN(frameworks) - 1;
}

static bool same(struct ic_version a, struct ic_version b)
{
	return a.major == b.major && a.minor == b.minor;
}

size_t ic_negotiate_build(const struct ic_component *c, uint8_t *body)
{
	unsigned first = first_framework(c);
	const struct ic_negotiate head = {
		.framework_count = (uint16_t)(ARRAY_LEN(frameworks) - first),
		.message_count = c->version_count,
	};
	size_t framework_bytes = head.framework_count * sizeof(struct ic_version);
	size_t message_bytes = c->version_count * sizeof(struct ic_version);

	memcpy(body, &head, sizeof(head));
	memcpy(body + sizeof(head), &frameworks[first], framework_bytes);
	memcpy(body + sizeof(head) + framework_bytes, c->versions, message_bytes);
	return sizeof(head) + framework_bytes + message_bytes;
}

bool ic_version_offered(const struct ic_component *c, struct ic_version framework,
			struct ic_version message)
{
	bool found = false;

	for (unsigned i = first_framework(c); i < ARRAY_LEN(frameworks); i++) {
		found |= same(framework, frameworks[i]);
	}
	for (unsigned i = 0; found && i < c->version_count; i++) {
		if (same(message, c->versions[i])) {
			return true;
		}
	}
	return false;
}

static void refuse(struct ic_channel *ch)
{
	ch->state = VSP_IC_INCOMPATIBLE;
	ic_changed(ch);
}

void ic_negotiate_answered(struct ic_channel *ch, const uint8_t *body, size_t bytes)
{
	const struct ic_component *c = ch->component;
	struct ic_version picked[2];
	struct ic_negotiate head;

	if (bytes < sizeof(head)) {
		ic_report(ch, IC_VIOLATION_NEGOTIATE, "versions in %zu bytes, expected %zu", bytes,
			  sizeof(head) + sizeof(picked));
		refuse(ch);
		return;
	}
	memcpy(&head, body, sizeof(head));
	if (head.framework_count == 0 && head.message_count == 0) {
		refuse(ch); /* it knows none of ours, and says so */
		return;
	}
	if (head.framework_count != 1 || head.message_count != 1 ||
	    bytes < sizeof(head) + sizeof(picked)) {
		ic_report(ch, IC_VIOLATION_NEGOTIATE,
			  "picks %u framework and %u message versions in %zu bytes, expected one "
			  "of each",
			  head.framework_count, head.message_count, bytes);
		refuse(ch);
		return;
	}
	memcpy(picked, body + sizeof(head), sizeof(picked));
	if (!ic_version_offered(c, picked[0], picked[1])) {
		ic_report(ch, IC_VIOLATION_NEGOTIATE,
			  "picks framework %u.%u and version %u.%u, which were not offered",
			  picked[0].major, picked[0].minor, picked[1].major, picked[1].minor);
		refuse(ch);
		return;
	}
	ch->framework = picked[0];
	ch->message = picked[1];
	ch->state = VSP_IC_READY;
	if (c->ready != NULL) {
		c->ready(ch);
	}
	ic_changed(ch);
}
