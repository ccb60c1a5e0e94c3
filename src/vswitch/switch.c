// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "lib/check.h"
#include "switch.h"

int vswitch_create(const struct vswitch_config *config, struct vswitch **ret)
{
	struct vswitch *s;
	int rc;

	if (config->team != VSWITCH_TEAM_HASH && config->team != VSWITCH_TEAM_STANDBY) {
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		return -ENOMEM;
	}
	s->config = *config;
	s->was_up = true;
	rc = mac_table_init(&s->macs, config);
	if (rc != 0) {
		goto no_macs;
	}
	rc = snoop_init(&s->snoop);
	if (rc != 0) {
		goto no_snoop;
	}
	*ret = s;
	return 0;

no_snoop:
	mac_table_fini(&s->macs);
no_macs:
	free(s);
	return rc;
}

void vswitch_destroy(struct vswitch *s)
{
	if (s == NULL) {
		return;
	}
	/* nobody is told of links any more */
	s->uplink_count = 0;
	s->was_up = true;
	while (s->port_count != 0) {
		vswitch_port_remove(s->ports[s->port_count - 1].port);
	}
	snoop_fini(&s->snoop);
	mac_table_fini(&s->macs);
	free(s);
}

uint64_t vswitch_tick(struct vswitch *s, uint64_t now_ns)
{
	mac_age(s, now_ns);
	snoop_age(s, now_ns);
	return now_ns + SECOND_NS;
}

void vswitch_flush(struct vswitch *s)
{
	for (unsigned i = 0; i < s->dirty_count; i++) {
		s->dirty[i]->dirty = false;
		s->dirty[i]->ops->flush(s->dirty[i]->ctx);
	}
	s->dirty_count = 0;
}

const char *vswitch_drop_name(enum vswitch_drop drop)
{
	static const char *const names[VSWITCH_DROPS] = {
		[VSWITCH_DROP_FORM] = "form",	      [VSWITCH_DROP_SIZE] = "size",
		[VSWITCH_DROP_STORM] = "storm",	      [VSWITCH_DROP_SPOOF] = "spoof",
		[VSWITCH_DROP_VLAN] = "vlan",	      [VSWITCH_DROP_GUARD] = "guard",
		[VSWITCH_DROP_ACL] = "acl",	      [VSWITCH_DROP_LOOP] = "loop",
		[VSWITCH_DROP_RESERVED] = "reserved", [VSWITCH_DROP_MIRROR] = "mirror",
		[VSWITCH_DROP_LINK] = "link",	      [VSWITCH_DROP_ROOM] = "room",
	};

	CHECK(drop < VSWITCH_DROPS);
	return names[drop];
}
